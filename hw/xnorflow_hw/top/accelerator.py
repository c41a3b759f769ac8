"""The accelerator: input stage, stages and the streams between them, between two AXI-Streams."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import (
    Cat,
    ClockDomain,
    ClockSignal,
    Elaboratable,
    Module,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.lib import wiring

from xnorflow_hw.base.loop import Loop
from xnorflow_hw.memory.spram_rom import LOAD_BITS
from xnorflow_hw.spec import AcceleratorSpec, StreamSpec
from xnorflow_hw.spec.kinds import Style
from xnorflow_hw.stage.score_unit import ScoreUnit
from xnorflow_hw.stage.stage import Stage
from xnorflow_hw.stream.fork import Fork
from xnorflow_hw.stream.frame_settings import FrameSettings
from xnorflow_hw.stream.gearbox import Gearbox
from xnorflow_hw.stream.input import InputStage
from xnorflow_hw.stream.stream_queue import StreamQueue


class Accelerator(Elaboratable):
    """The hardware of a whole network, with plain port names.

    Parameters
    ----------
    spec : AcceleratorSpec
        Spec of the network's hardware.
    style : {"amaranth", "verilog"}
        "amaranth" runs in Amaranth's simulator; "verilog" is what `emit` writes.
    taps : bool
        Whether to add outputs ``tap_<k>_valid`` and ``tap_<k>_data`` that show every transfer out
        of stage k (out of the input stage for k = 0), for finding the first mismatch.

    Attributes
    ----------
    ports : list of Signal
        All ports, in order: clk, rst, s_axis_*, m_axis_*, the taps, where stages have several edges
        ``edges``, and, where weights are in SPRAM, ``load``, over which they are loaded while
        ``rst`` is 1. ``edges`` is the number of enabled edges; 0 stands for all. It counts in the
        cycle in which a frame's first beat is accepted, for that frame.
    sections : tuple of tuple of int
        Words to be loaded into each SPRAM, in the order of the write enables.
    modules, images : dict of str to str
        Verilog modules, by name, to append to the design, and hex images, by file name, to lie
        beside it.
    """

    def __init__(
        self, spec: AcceleratorSpec, *, style: Style = "amaranth", taps: bool = False
    ) -> None:
        self.spec, self.style = spec, style
        self.input = InputStage(
            lanes=spec.input.lanes,
            bits=spec.input.bits,
            table=spec.input.table,
            group=spec.input.group,
        )
        self.stages = [Stage(s, style=style, prefix=f"{spec.name}_") for s in spec.stages]
        self.settings = {
            k: FrameSettings(
                width=s.edges - 1, depth=spec.frames_before(k), reductions=s.buffer.reductions
            )
            for k, s in enumerate(spec.stages)
            if s.edges > 1
        }
        _check_streams(spec, [len(stage.names) for stage in self.stages])
        # A gearbox that regroups nothing is still needed where lanes past a group's end are not 0:
        # it clears them.
        clean = [True, *(stage.unused_lanes_hold_0 for stage in spec.stages)]
        self.gearboxes = [
            Gearbox(**vars(s.box)) if s.box.needed or not clean[s.source] else None
            for s in spec.streams
        ]
        self.queues = [
            StreamQueue(width=s.box.bits * s.box.lanes_out, depth=s.queue, ram=s.ram)
            if s.queue
            else None
            for s in spec.streams
        ]
        parts: list[InputStage | Stage] = [self.input, *self.stages]
        readers = [sum(s.source == k for s in spec.streams) for k in range(len(parts))]
        self.forks = [
            Fork(width=len(part.o.payload), sinks=count) if count > 1 else None
            for part, count in zip(parts, readers, strict=True)
        ]
        self.scores = (
            None
            if spec.scores is None
            else ScoreUnit(spec.scores, name=f"{spec.name}_scores", style=style)
        )
        self.modules: dict[str, str] = {}
        self.images: dict[str, str] = {}
        if self.scores is not None:
            self.modules |= self.scores.modules
            self.images |= self.scores.images
        for stage in self.stages:
            self.modules |= stage.modules
            self.images |= stage.images
        self.sections = tuple(s for stage in self.stages for s in stage.sections)
        self.clk, self.rst = Signal(name="clk"), Signal(name="rst")
        self.s_axis_tdata = Signal(
            8 * spec.input.sample_bytes * spec.input.lanes, name="s_axis_tdata"
        )
        self.s_axis_tvalid = Signal(name="s_axis_tvalid")
        self.s_axis_tready = Signal(name="s_axis_tready")
        self.m_axis_tdata = Signal(spec.score_bits * spec.out_lanes, name="m_axis_tdata")
        self.m_axis_tvalid = Signal(name="m_axis_tvalid")
        self.m_axis_tready = Signal(name="m_axis_tready")
        self.m_axis_tlast = Signal(name="m_axis_tlast")
        self.taps = []
        if taps:
            for k, part in enumerate(parts):
                self.taps.append(
                    (
                        Signal(name=f"tap_{k}_valid"),
                        Signal(len(part.o.payload), name=f"tap_{k}_data"),
                    )
                )
        self.ports = [
            self.clk,
            self.rst,
            self.s_axis_tdata,
            self.s_axis_tvalid,
            self.s_axis_tready,
            self.m_axis_tdata,
            self.m_axis_tvalid,
            self.m_axis_tready,
            self.m_axis_tlast,
            *(signal for tap in self.taps for signal in tap),
        ]
        if spec.edges > 1:
            self.edges = Signal(range(spec.edges + 1), name="edges")
            self.ports.append(self.edges)
        if self.sections:
            self.load = Signal(LOAD_BITS + len(self.sections), name="load")
            self.ports.append(self.load)

    def elaborate(self, platform: Any) -> Module:
        """Connect the input stage, stages and streams, and extend the scores to whole bytes."""
        m = Module()
        m.domains += ClockDomain("sync", local=True)
        m.d.comb += [ClockSignal().eq(self.clk), ResetSignal().eq(self.rst)]
        m.submodules.input_stage = self.input
        offered, taken = self._settings(m, self.s_axis_tvalid, self.input.i.ready)
        m.d.comb += [
            self.input.i.payload.eq(self.s_axis_tdata),
            self.input.i.valid.eq(offered),
            self.s_axis_tready.eq(taken),
        ]
        source = self._connect(m)
        if self.scores is not None:
            m.submodules.scores = self.scores
            wiring.connect(m, source, self.scores.i)
            source = self.scores.o
        enable = LOAD_BITS
        for stage in self.stages:
            if stage.sections:
                own = self.load[enable : enable + len(stage.sections)]
                m.d.comb += stage.load.eq(Cat(self.load[:LOAD_BITS], own))
                enable += len(stage.sections)
        sources = [self.input.o, *(stage.o for stage in self.stages)]
        for (valid, data), tapped in zip(self.taps, sources, strict=False):
            m.d.comb += [valid.eq(tapped.valid & tapped.ready), data.eq(tapped.payload)]

        spec = self.spec
        width = len(source.payload) // spec.out_lanes
        scores = []
        for lane in range(spec.out_lanes):
            score = source.payload.word_select(lane, width)
            wide = Signal(spec.score_bits, name=f"score_{lane}")
            m.d.comb += wide.eq(score.as_signed() if spec.score_signed else score)
            scores.append(wide)
        m.d.comb += [
            self.m_axis_tdata.eq(Cat(scores)),
            self.m_axis_tvalid.eq(source.valid),
            source.ready.eq(self.m_axis_tready),
        ]
        beat = Loop(spec.output_beats, "beat")
        m.d.comb += self.m_axis_tlast.eq(beat.last)
        with m.If(self.m_axis_tvalid & self.m_axis_tready):
            beat.advance(m)
        return m

    def _settings(self, m: Module, valid: Value, ready: Value) -> tuple[Value, Value]:
        """Give the setting of each frame to the stages with edges.

        Returns
        -------
        valid, ready : Value
            The handshake of the input stream; a frame that finds no room for its setting waits.
            Stages have room for all frames that can be on their way to them, so none does.
        """
        if not self.settings:
            return valid, ready
        beat, first = Loop(self.spec.input.beats, "input_beat"), Signal(init=1)
        room, begins = Signal(), Signal()
        queues = self.settings.values()
        m.d.comb += [
            room.eq(~first | Cat(queue.i.ready for queue in queues).all()),
            begins.eq(valid & ready & room & first),
        ]
        with m.If(valid & ready & room):
            beat.advance(m)
            m.d.sync += first.eq(beat.last)
        for k, queue in self.settings.items():
            stage = self.stages[k]
            m.submodules[f"{stage.spec.name}_settings"] = queue
            enabled = [(self.edges == 0) | (self.edges > e) for e in range(1, stage.spec.edges)]
            m.d.comb += [
                queue.i.valid.eq(begins),
                queue.i.payload.eq(Cat(enabled)),
                queue.i_last.eq(stage.o_ended),
                stage.edges.eq(queue.o),
            ]
        return valid & room, ready & room

    def _connect(self, m: Module) -> Any:
        """Add the stages and connect the streams between the parts; return that to the output."""
        left = [self._outputs(m, 0)]
        streams = zip(self.spec.streams, self.gearboxes, self.queues, strict=True)
        for s, gearbox, queue in streams:
            to_stage = s.sink < len(self.stages)
            name = self._sink_name(s)
            source = left[s.source].pop(0)
            if gearbox is not None:
                m.submodules[f"{name}_gearbox"] = gearbox
                wiring.connect(m, source, gearbox.i)
                source = gearbox.o
            if queue is not None:
                m.submodules[f"{name}_stream_queue"] = queue
                wiring.connect(m, source, queue.i)
                source = queue.o
            if not to_stage:
                return source
            stage = self.stages[s.sink]
            if s.port == 0:
                m.submodules[stage.spec.name] = stage
            wiring.connect(m, source, stage.inputs[s.port])
            if s.port == len(stage.inputs) - 1:
                left.append(self._outputs(m, s.sink + 1))
        raise AssertionError("no stream leads to the output")

    def _outputs(self, m: Module, k: int) -> list[Any]:
        """Return the streams out of part `k`, one for each of its readers."""
        part = self.stages[k - 1] if k else self.input
        fork = self.forks[k]
        if fork is None:
            return [part.o]
        name = self.stages[k - 1].spec.name if k else "input_stage"
        m.submodules[f"{name}_fork"] = fork
        wiring.connect(m, part.o, fork.i)
        return fork.outputs

    def _sink_name(self, s: StreamSpec) -> str:
        """Return what the parts on a stream are named after: the sink, with a port if needed."""
        if s.sink == len(self.stages):
            return "output"
        stage = self.stages[s.sink]
        return stage.spec.name if len(stage.names) == 1 else f"{stage.spec.name}_i{s.port}"


def _check_streams(spec: AcceleratorSpec, ports: list[int]) -> None:
    """Check that one stream leads into every port, and that each comes from a part before it.

    Parameters
    ----------
    spec : AcceleratorSpec
        Its streams are looked at.
    ports : list of int
        Number of inputs of each stage.

    Raises
    ------
    ValueError
        If streams are missing, in another order, or from a part that does not come before.
    """
    wanted = [(k, port) for k, count in enumerate([*ports, 1]) for port in range(count)]
    found = [(s.sink, s.port) for s in spec.streams]
    if found != wanted:
        raise ValueError(
            f"streams lead to the (sink, port) {found}; they have to be, in this order, {wanted}"
        )
    for s in spec.streams:
        if not 0 <= s.source <= s.sink:
            raise ValueError(
                f"the stream into port {s.port} of stage {s.sink} comes from part {s.source}; it"
                " has to be the input stage, 0, or one that comes before, up to"
                f" {s.sink}"
            )
    unread = sorted(set(range(len(ports) + 1)) - {s.source for s in spec.streams})
    if unread:
        raise ValueError(f"no stream leaves part {unread[0]}; each part needs a reader")
