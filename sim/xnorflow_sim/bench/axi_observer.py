"""An observer that checks every port of a wrapped accelerator in every cycle.

It drives nothing. From the transfers alone it knows when a write takes effect, what each register
holds and what each read must return. So a test may read at any time, in parallel to anything else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge

from xnorflow_hw.axi.axi_lite import Response
from xnorflow_hw.axi.register_map import (
    CONTROL,
    EDGE_REGISTERS,
    EDGES,
    REGISTERS,
    SCRATCH,
    STATUS,
    registers,
)
from xnorflow_sim.bench.axi_model import MonitorModel, words

_PORTS = (
    "s_axis_tvalid",
    "s_axis_tready",
    "s_axis_tlast",
    "m_axis_tvalid",
    "m_axis_tready",
    "m_axis_tlast",
    "m_axis_tdata",
    *(
        f"s_axi_ctrl_{name}"
        for name in (
            "awvalid",
            "awready",
            "awaddr",
            "wvalid",
            "wready",
            "wdata",
            "wstrb",
            "bvalid",
            "bready",
            "bresp",
            "arvalid",
            "arready",
            "araddr",
            "rvalid",
            "rready",
            "rdata",
            "rresp",
        )
    ),
)
_HELD = {
    "m_axis_t": ("data", "last"),
    "s_axi_ctrl_b": ("resp",),
    "s_axi_ctrl_r": ("data", "resp"),
}
READABLE = {r.offset // 4 + k for r in REGISTERS for k in range(r.words)}
WRITABLE = {r.offset // 4 + k for r in REGISTERS for k in range(r.words) if "w" in r.access}

Pins = dict[str, int]


class Observer:
    """Checks of a wrapped accelerator, which begin with its construction.

    In every cycle it checks that offers stay until they are taken, computes the `MonitorModel`,
    compares each answer on the register bus with what the registers have to hold, and follows the
    results on `m_axis`. A reset through the register cuts a result off; the wrapper then has to
    fill it up with zeros, and the observer checks them.

    Parameters
    ----------
    dut : cocotb handle
        Wrapped accelerator.
    constants : dict of str to int
        Content of the registers of `register_map.IDENTITY`, by name.
    idle_limit : int
        Number of cycles without a transfer, while a frame is on its way, after which the streams
        count as stuck; and without an answer, while a request is, for the register bus.

    Attributes
    ----------
    model : MonitorModel
        Counters and measurements.
    reads, writes : int
        Number of answers on the register bus since the last reset.
    resets : int
        Number of resets through the register.
    offered : int
        Number of beats that `m_axis` has offered since the last reset.
    """

    def __init__(self, dut: Any, constants: Mapping[str, int], idle_limit: int) -> None:
        self.dut, self.constants, self.idle_limit = dut, dict(constants), idle_limit
        self.most_edges = self.constants.get("MOST_EDGES", 1)
        known = registers(self.most_edges)
        self.readable = {r.offset // 4 + k for r in known for k in range(r.words)}
        self.writable = {r.offset // 4 for r in known if "w" in r.access}
        self.handles = {name: getattr(dut, name) for name in _PORTS}
        self._reset()
        cocotb.start_soon(self._watch())

    def _reset(self) -> None:
        self.model = MonitorModel(self.constants["FRAME_BEATS"])
        self.before: Pins | None = None  # Signals of the cycle that is not checked yet.
        self.addresses: deque[int] = deque()
        self.data: deque[tuple[int, int]] = deque()
        self.asked: deque[int] = deque()
        self.edges = self.most_edges
        self.scratch = self.reads = self.writes = self.resets = self.offered = 0
        self.idle = {"streams": 0, "registers": 0}
        self.filling = self.real = False
        self.restart = 1  # The accelerator's reset ends one cycle after aresetn.

    async def _watch(self) -> None:
        edge = RisingEdge(self.dut.aclk)
        while True:
            await edge
            if self.dut.aresetn.value != 1:
                if (
                    self.before is None
                ):  # Only the first edge in reset: later cycles change nothing.
                    for channel in _HELD:
                        assert int(self.handles[f"{channel}valid"].value) == 0, (
                            f"{channel}valid is up in reset"
                        )
                self._reset()
                continue
            now = {name: int(handle.value) for name, handle in self.handles.items()}
            if self.before is not None:
                self._hold(self.before, now)
                self._cycle(self.before, now)
            elif now["m_axis_tvalid"]:
                raise AssertionError("m_axis offers a beat in the first cycle after reset")
            self.before = now

    def _hold(self, was: Pins, now: Pins) -> None:
        """Check that every offer stays unchanged until it is taken."""
        for channel, parts in _HELD.items():
            if was[f"{channel}valid"] and not was[f"{channel}ready"]:
                assert now[f"{channel}valid"], f"{channel}valid fell before the transfer"
                for part in parts:
                    name = channel + part
                    assert was[name] == now[name], f"{name} changed before the transfer"

    def _cycle(self, was: Pins, now: Pins) -> None:
        """Check a cycle; the answers to its write and read are among the next cycle's signals."""
        model, bus = self.model, "s_axi_ctrl_"

        def fresh(channel: str) -> bool:
            return bool(now[f"{channel}valid"]) and (
                not was[f"{channel}valid"] or bool(was[f"{channel}ready"])
            )

        streams = {
            f"{side}_{part}": was[f"{side}_axis_t{part}"]
            for side in "sm"
            for part in ("valid", "ready")
        }
        if fresh(f"{bus}r"):
            self._read(now, model.status(**streams, filling=int(self.filling)))
        assert not (self.restart and streams["s_ready"]), "s_axis is ready during a reset"
        wanted = self._write(now) if fresh(f"{bus}b") else 0
        model.step(
            **streams,
            s_last=was["s_axis_tlast"],
            m_last=was["m_axis_tlast"],
            m_real=int(self.real),
            restart=self.restart,
            clear=int(bool(wanted & CONTROL["CLEAR"].mask)),
            snapshot=int(bool(wanted & CONTROL["SNAPSHOT"].mask)),
        )
        if was[f"{bus}awvalid"] and was[f"{bus}awready"]:
            self.addresses.append(was[f"{bus}awaddr"])
        if was[f"{bus}wvalid"] and was[f"{bus}wready"]:
            self.data.append((was[f"{bus}wdata"], was[f"{bus}wstrb"]))
        if was[f"{bus}arvalid"] and was[f"{bus}arready"]:
            self.asked.append(was[f"{bus}araddr"])

        # A result that a reset cuts off is filled up with zeros.
        beats = self.constants["RESULT_BEATS"]
        if self.restart and self.offered % beats:
            self.filling = True
        if fresh("m_axis_t"):
            self.offered += 1
            self.real = not self.filling
            ends = self.offered % beats == 0
            assert now["m_axis_tlast"] == ends, f"m_axis_tlast is {now['m_axis_tlast']}"
            assert self.real or now["m_axis_tdata"] == 0, "a result is not filled up with zeros"
            if ends:
                self.filling = False
        self.restart = int(bool(wanted & CONTROL["RESET"].mask))
        self.resets += self.restart

        moved = any(streams[f"{side}_valid"] and streams[f"{side}_ready"] for side in "sm")
        answered = fresh(f"{bus}r") or fresh(f"{bus}b")
        asking = (
            self.asked
            or self.addresses
            or self.data
            or any(was[f"{bus}{channel}valid"] for channel in ("aw", "w", "ar"))
        )
        for what, waits, goes_on in (
            ("streams", model.begun or self.filling, moved),
            ("registers", asking, answered),
        ):
            self.idle[what] = 0 if goes_on or not waits else self.idle[what] + 1
            assert self.idle[what] <= self.idle_limit, (
                f"the {what} are stuck for {self.idle[what]} cycles"
            )

    def _read(self, now: Pins, status: int) -> None:
        """Check the answer to a read."""
        assert self.asked, "an answer to a read that nobody asked for"
        word = self.asked.popleft() >> 2
        values = words(
            self.constants
            | self.model.taken
            | {"CONTROL": 0, "STATUS": status, "SCRATCH": self.scratch, "EDGES": self.edges}
        )
        there = word in self.readable
        expected = (values.get(word, 0), Response.OKAY if there else Response.DECERR)
        got = now["s_axi_ctrl_rdata"], now["s_axi_ctrl_rresp"]
        assert got == expected or (not there and got[1] == expected[1]), (
            f"word {4 * word:#x} reads {got[0]:#x}, response {got[1]}; expected"
            f" {expected[0]:#x}, {expected[1]}"
        )
        self.reads += 1

    def _write(self, now: Pins) -> int:
        """Check the answer to a write, and return the bits that it sets in the control register."""
        assert self.addresses and self.data, "an answer to a write that is not complete"
        word = self.addresses.popleft() >> 2
        data, strobe = self.data.popleft()
        expected = (
            Response.OKAY
            if word in self.writable
            else Response.SLVERR
            if word in self.readable
            else Response.DECERR
        )
        assert now["s_axi_ctrl_bresp"] == expected, (
            f"a write to {4 * word:#x} is answered with {now['s_axi_ctrl_bresp']}, not {expected}"
        )
        self.writes += 1
        if word == SCRATCH.offset // 4:
            mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
            self.scratch = self.scratch & ~mask | data & mask
        if self.most_edges > 1 and word == EDGES.offset // 4 and strobe & 1:
            self.edges = data & ((1 << self.most_edges.bit_length()) - 1)
        return data if word == CONTROL.offset // 4 and strobe & 1 else 0


def fields(status: int) -> dict[str, int]:
    """Return the fields of the status register by name."""
    return {field.name: (status & field.mask) >> field.low for field in STATUS.fields}


def offset(name: str) -> int:
    """Return the byte offset of a register."""
    return next(r.offset for r in (*REGISTERS, *EDGE_REGISTERS) if r.name == name)
