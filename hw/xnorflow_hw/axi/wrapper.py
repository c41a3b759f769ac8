"""An accelerator as an AXI peripheral: its streams are watched, its registers are on AXI4-Lite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from amaranth.hdl import (
    Cat,
    ClockDomain,
    ClockSignal,
    Const,
    Elaboratable,
    Instance,
    Module,
    Mux,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.lib.wiring import In

from xnorflow_hw.axi import register_map
from xnorflow_hw.axi.axi_lite import AxiLite, Response
from xnorflow_hw.axi.monitor import Monitor
from xnorflow_hw.base.conversion import convert
from xnorflow_hw.base.loop import Loop

DIGEST_BYTES = 32
OUTPUT_REGISTER = 1
"""Cycles between the accelerator's own output and `m_axis`."""
_CHANNELS = {
    "aw": ("addr", "prot", "valid", "ready"),
    "w": ("data", "strb", "valid", "ready"),
    "b": ("resp", "valid", "ready"),
    "ar": ("addr", "prot", "valid", "ready"),
    "r": ("data", "resp", "valid", "ready"),
}
_IGNORED = ("awprot", "arprot")


@dataclass(frozen=True)
class AxiSpec:
    """What the registers tell about a design, and the widths of its streams.

    Parameters
    ----------
    module : str
        Name of the accelerator's module, as `emit` wrote it.
    in_bytes : int
        Samples, of one byte, per beat of the input.
    frame_beats, frame_samples : int
        Beats and samples per frame of the input.
    out_lanes : int
        Scores per beat of the output.
    score_bits : int
        Width of a score in bits, a multiple of 8.
    result_beats, classes : int
        Beats and scores per frame of the output.
    digest : bytes
        SHA-256 of the design, 32 bytes.
    interval, latency : int
        Predicted cycles of the accelerator alone.
    edges : int
        Edges of the layer that has most; with several, the accelerator has a port ``edges``.

    Raises
    ------
    ValueError
        If a number is out of its range.
    """

    module: str
    in_bytes: int
    frame_beats: int
    frame_samples: int
    out_lanes: int
    score_bits: int
    result_beats: int
    classes: int
    digest: bytes
    interval: int
    latency: int
    edges: int = 1

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if isinstance(value, int) and not 1 <= value < 1 << 31:
                raise ValueError(f"{name} is {value}; it has to be in 1 to {(1 << 31) - 1}")
        if len(self.digest) != DIGEST_BYTES:
            raise ValueError(f"digest has {len(self.digest)} bytes; it has to have {DIGEST_BYTES}")
        if self.score_bits % 8:
            raise ValueError(f"score_bits is {self.score_bits}; it has to be a multiple of 8")

    @property
    def constants(self) -> dict[str, int]:
        """Values of the registers that never change, by name."""
        return {
            "MAGIC": register_map.MAGIC,
            "VERSION": register_map.VERSION,
            "FRAME_BEATS": self.frame_beats,
            "IN_BYTES": self.in_bytes,
            "FRAME_SAMPLES": self.frame_samples,
            "CLASSES": self.classes,
            "SCORE_BITS": self.score_bits,
            "OUT_LANES": self.out_lanes,
            "RESULT_BEATS": self.result_beats,
            "PREDICTED_INTERVAL": self.interval,
            "PREDICTED_LATENCY": self.latency + OUTPUT_REGISTER,
            "DIGEST": int.from_bytes(self.digest, "little"),
            **({"MOST_EDGES": self.edges} if self.edges > 1 else {}),
        }


class AxiAccelerator(Elaboratable):
    """An accelerator's Verilog module with clock, reset and ports named as in AXI.

    A reset through `register_map.CONTROL` takes one cycle, in which `s_axis` accepts nothing; the
    next beat is the first one of a frame. A beat that `m_axis` already offers stays until it is
    taken. If the reset cuts off a result, `m_axis` fills it up with zeros to its last beat, with
    tlast, so that the receiver only ever sees whole results.

    Parameters
    ----------
    spec : AxiSpec
        The accelerator's sizes and the contents of its registers.

    Attributes
    ----------
    ports : list of Signal
        aclk, aresetn (active low, synchronous), s_axis_*, m_axis_*, s_axi_ctrl_*.
    """

    def __init__(self, spec: AxiSpec) -> None:
        self.spec = spec
        self.aclk, self.aresetn = Signal(name="aclk"), Signal(name="aresetn")
        self.s_axis = _stream("s_axis", 8 * spec.in_bytes)
        self.m_axis = _stream("m_axis", spec.score_bits * spec.out_lanes)
        widths = {"addr": register_map.ADDRESS_BITS, "prot": 3, "data": 32, "strb": 4, "resp": 2}
        self.control = {
            f"{channel}{part}": Signal(widths.get(part, 1), name=f"s_axi_ctrl_{channel}{part}")
            for channel, parts in _CHANNELS.items()
            for part in parts
        }
        self.edges = Signal(range(spec.edges + 1), init=spec.edges, name="edges")
        self.ports = [
            self.aclk,
            self.aresetn,
            *self.s_axis.values(),
            *self.m_axis.values(),
            *self.control.values(),
        ]

    def elaborate(self, platform: Any) -> Module:
        """Connect the accelerator, the output register, the monitor and the registers."""
        m = Module()
        m.domains += ClockDomain("sync", local=True)
        m.d.comb += [ClockSignal().eq(self.aclk), ResetSignal().eq(~self.aresetn)]
        m.submodules.monitor = monitor = Monitor(frame_beats=self.spec.frame_beats)
        m.submodules.lite = lite = AxiLite(address_bits=register_map.ADDRESS_BITS)
        for name, port in self.control.items():
            if name not in _IGNORED:
                inner = getattr(lite, name)
                inwards = lite.signature.members[name].flow is In
                m.d.comb += inner.eq(port) if inwards else port.eq(inner)
        self._streams(m, monitor)
        self._registers(m, lite, monitor)
        return m

    def _streams(self, m: Module, monitor: Monitor) -> None:
        """Put the accelerator between the streams, with a register at its output."""
        s, o = self.s_axis, self.m_axis
        data = Signal.like(o["tdata"], name="data")
        ready, valid, last = Signal(name="ready"), Signal(name="valid"), Signal(name="last")
        take, free = Signal(), Signal()
        real, filling = Signal(), Signal()
        beat = Loop(self.spec.result_beats, "beat")  # The next beat to enter the output register.
        started = Signal()  # Whether that beat is not the first one of a result.
        m.submodules.accelerator = Instance(
            self.spec.module,
            **({"i_edges": self.edges} if self.spec.edges > 1 else {}),
            i_clk=self.aclk,
            i_rst=monitor.restart,
            i_s_axis_tdata=s["tdata"],
            i_s_axis_tvalid=s["tvalid"] & ~monitor.restart,
            o_s_axis_tready=ready,
            o_m_axis_tdata=data,
            o_m_axis_tvalid=valid,
            i_m_axis_tready=take,
            o_m_axis_tlast=last,
        )
        m.d.comb += [
            s["tready"].eq(ready & ~monitor.restart),
            free.eq(~o["tvalid"] | o["tready"]),
            take.eq(free & ~filling & ~monitor.restart),
        ]
        load = (valid & take) | (free & filling)
        with m.If(o["tready"]):
            m.d.sync += o["tvalid"].eq(0)
        with m.If(load):
            beat.advance(m)
            m.d.sync += [
                started.eq(~beat.last),
                o["tvalid"].eq(1),
                real.eq(~filling),
                o["tdata"].eq(Mux(filling, 0, data)),
                o["tlast"].eq(Mux(filling, beat.last, last)),
            ]
            with m.If(beat.last):
                m.d.sync += filling.eq(0)
        with m.If(monitor.restart & started & ~(load & beat.last)):
            m.d.sync += filling.eq(1)
        m.d.comb += [
            monitor.s_valid.eq(s["tvalid"]),
            monitor.s_ready.eq(s["tready"]),
            monitor.s_last.eq(s["tlast"]),
            monitor.m_valid.eq(o["tvalid"]),
            monitor.m_ready.eq(o["tready"]),
            monitor.m_last.eq(o["tlast"]),
            monitor.m_real.eq(real),
            monitor.filling.eq(filling),
        ]

    def _registers(self, m: Module, lite: AxiLite, monitor: Monitor) -> None:
        """Connect every word of the map to its value, and the writable words to their effect."""
        restart = Signal(init=1)  # From a register, because it resets the whole accelerator.
        scratch = Signal(32, name="scratch")
        control = register_map.CONTROL
        m.d.comb += [
            monitor.restart.eq(restart),
            lite.write_response.eq(Response.DECERR),
            lite.read_response.eq(Response.DECERR),
        ]
        m.d.sync += restart.eq(0)
        wanted = Mux(lite.write & lite.write_strobe[0], lite.write_data[:8], 0)
        with m.Switch(lite.write_word):
            with m.Case(control.offset // 4):
                m.d.comb += [
                    lite.write_response.eq(Response.OKAY),
                    monitor.clear.eq((wanted & control["CLEAR"].mask).any()),
                    monitor.snapshot.eq((wanted & control["SNAPSHOT"].mask).any()),
                ]
                m.d.sync += restart.eq((wanted & control["RESET"].mask).any())
            with m.Case(register_map.SCRATCH.offset // 4):
                m.d.comb += lite.write_response.eq(Response.OKAY)
                for byte in range(4):
                    with m.If(lite.write & lite.write_strobe[byte]):
                        m.d.sync += scratch.word_select(byte, 8).eq(
                            lite.write_data.word_select(byte, 8)
                        )
            if self.spec.edges > 1:
                with m.Case(register_map.EDGES.offset // 4):
                    m.d.comb += lite.write_response.eq(Response.OKAY)
                    with m.If(lite.write & lite.write_strobe[0]):
                        m.d.sync += self.edges.eq(lite.write_data)
            registers = register_map.registers(self.spec.edges)
            read_only = [r for r in registers if r.access == "r"]
            with m.Case(*(r.offset // 4 + k for r in read_only for k in range(r.words))):
                m.d.comb += lite.write_response.eq(Response.SLVERR)

        values: dict[str, Value] = {
            r.name: Const(self.spec.constants[r.name], 32 * r.words)
            for r in registers
            if r.name in self.spec.constants
        }
        values |= {
            r.name: monitor.taken(r) for r in (*register_map.COUNTERS, *register_map.MEASUREMENTS)
        }
        values |= {"CONTROL": Const(0, 32), "STATUS": monitor.status, "SCRATCH": scratch}
        values["EDGES"] = Cat(self.edges, Const(0, 32 - len(self.edges)))
        with m.Switch(lite.read_word):
            for register in registers:
                for k in range(register.words):
                    with m.Case(register.offset // 4 + k):
                        m.d.comb += [
                            lite.read_data.eq(values[register.name].word_select(k, 32)),
                            lite.read_response.eq(Response.OKAY),
                        ]


def _stream(name: str, bits: int) -> dict[str, Signal]:
    """Return the signals of an AXI-Stream."""
    widths = {"tdata": bits, "tvalid": 1, "tready": 1, "tlast": 1}
    return {part: Signal(width, name=f"{name}_{part}") for part, width in widths.items()}


def emit_axi(top: AxiAccelerator, *, name: str) -> str:
    """Write the Verilog of a wrapped accelerator, without that of the accelerator's module.

    Parameters
    ----------
    top : AxiAccelerator
        The top module to write.
    name : str
        Name of the top module.
    """
    return convert(top, name=name, ports=top.ports)
