"""A stage: one reduction of the network, from the streams of its inputs to that of its output.

Front, array and tails pass pulses with a fixed latency and never stall. The queue at the
end takes their results, and the front issues the last beat of a reduction only while the queue has
a free place for its result.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from xnorflow_hw.array.dot import DotArray
from xnorflow_hw.array.edges import EdgeArray
from xnorflow_hw.array.factory import engine
from xnorflow_hw.array.mac import MacArray
from xnorflow_hw.base.pipeline import delay
from xnorflow_hw.memory.spram_rom import LOAD_BITS
from xnorflow_hw.spec import BufferSpec, FrontSpec, JoinSpec, StageSpec, StretchSpec
from xnorflow_hw.spec.borders import ONE_SET
from xnorflow_hw.spec.kinds import Style
from xnorflow_hw.spec.stage_latency import stage_latency
from xnorflow_hw.stage.banked_buffer import BankedBuffer
from xnorflow_hw.stage.feature_buffer import FeatureBuffer
from xnorflow_hw.stage.pixel_queue import PixelQueue
from xnorflow_hw.stage.stream_join import StreamJoin
from xnorflow_hw.stage.stretch_buffer import StretchBuffer

Front = FeatureBuffer | BankedBuffer | StreamJoin | StretchBuffer


def feature_buffer(spec: BufferSpec) -> FeatureBuffer | BankedBuffer:
    """Build the buffer of a stage.

    Parameters
    ----------
    spec : BufferSpec
        Geometry and capacity.

    Returns
    -------
    FeatureBuffer or BankedBuffer
        The latter for several pixels at once.

    Raises
    ------
    ValueError
        If the buffer refuses its parameters.
    """
    options = dict(vars(spec))
    if spec.pixels == 1:
        del options["pixels"]
        return FeatureBuffer(**options)
    return BankedBuffer(**options)


def front(spec: FrontSpec) -> Front:
    """Build what stands in front of a stage's array.

    Raises
    ------
    ValueError
        If it refuses its parameters.
    """
    match spec:
        case BufferSpec():
            return feature_buffer(spec)
        case JoinSpec():
            return StreamJoin(spec)
        case StretchSpec():
            return StretchBuffer(spec)
        case _:
            raise ValueError(f"no front of a stage is built of a {type(spec).__name__}")


class Stage(wiring.Component):
    """Computes one reduction layer and the layers behind it that work on its results.

    Parameters
    ----------
    spec : StageSpec
        Spec of the stage.
    style : {"amaranth", "verilog"}
        Whether large memories and arithmetic are Verilog modules; see `modules` and `images`.
    prefix : str
        Prefix of the memories' names.

    Members
    -------
    i, or i_0, i_1, ... : In(stream.Signature(word_bits))
        Features of each port, one word of the buffer or of the port per beat; `i` if there is one
        port.
    o : Out(stream.Signature(lanes_out * out_bits))
        Features of the output, ``spec.lanes_out`` per beat.
    edges : In(edges - 1)
        Which edges are enabled in the beat that enters the array, as `EdgeArray.i_edges`; only with
        several edges.
    o_ended : Out(1)
        Whether that beat is a reduction's last one; only with several edges.
    load : In(LOAD_BITS + number of SPRAMs)
        The load bus of `SpramRom`; only where the weights are in SPRAM.

    Attributes
    ----------
    latency : int
        Clock cycles from the issue of a reduction's last beat to its result's entry into the queue;
        see `stage_latency`. The result can leave one cycle later.
    names : list of str
        Names of the streams of all ports, in order.
    inputs : list of stream
        These streams.
    sections : tuple of tuple of int
        Words to be loaded into each SPRAM; empty where there is none.
    modules, images : dict of str to str
        Verilog modules, by name, to append to the design, and hex images, by file name, to lie
        beside it.

    Raises
    ------
    ValueError
        If a part refuses its parameters, or the beats of the front do not fit the array.
    """

    def __init__(self, spec: StageSpec, *, style: Style = "amaranth", prefix: str = "") -> None:
        self.spec = spec
        self.buffer = front(spec.buffer)
        name = f"{prefix}{spec.name}"
        sets = spec.buffer.sets if isinstance(spec.buffer, BufferSpec) else ONE_SET
        self.array, self.tails = engine(
            spec.array, spec.tails, rows=self.buffer.rows, sets=sets, style=style, name=name
        )
        self.latency = self.buffer.latency + self.array.latency
        self.latency += sum(tail.latency for tail in self.tails)
        assert self.latency == stage_latency(spec.array, spec.tails), (
            f"{type(spec.array).__name__} or a tail has another latency than what was built of it"
        )
        self.sections: tuple[tuple[int, ...], ...] = getattr(self.array, "sections", ())
        self.modules: dict[str, str] = {}
        self.images: dict[str, str] = {}
        for part in (self.array, *self.tails):
            self.modules |= getattr(part, "modules", {})
            self.images |= getattr(part, "images", {})
        if len(self.array.i_data) != len(self.buffer.o_data):
            raise ValueError(
                f"beats of {len(self.buffer.o_data)} bits do not fit the array of {spec.name!r},"
                f" which takes {len(self.array.i_data)}"
            )
        self.names = self.buffer.names if isinstance(self.buffer, StreamJoin) else ["i"]
        super().__init__(
            {
                **{name: self.buffer.signature.members[name] for name in self.names},
                "o": Out(stream.Signature(spec.lanes_out * spec.out_bits)),
                **({"edges": In(spec.edges - 1), "o_ended": Out(1)} if spec.edges > 1 else {}),
                **({"load": In(LOAD_BITS + len(self.sections))} if self.sections else {}),
            }
        )

    @property
    def inputs(self) -> list[Any]:
        """The streams of all ports, in order."""
        return [getattr(self, name) for name in self.names]

    def elaborate(self, platform: Any) -> Module:
        """Connect the parts, and count the results that are in the pipeline or in the queue."""
        m = Module()
        m.submodules.buffer = buffer = self.buffer
        m.submodules.array = array = self.array
        for name, i in zip(self.names, self.inputs, strict=True):
            wiring.connect(m, wiring.flipped(i), getattr(buffer, name))
        m.d.comb += [
            array.i_valid.eq(buffer.o_valid),
            array.i_data.eq(buffer.o_data),
            array.i_first.eq(buffer.o_first),
            array.i_last.eq(buffer.o_last),
            array.i_row.eq(buffer.o_row),
        ]
        if self.spec.edges > 1:
            m.d.comb += [
                array.i_edges.eq(self.edges),
                self.o_ended.eq(buffer.o_valid & buffer.o_last),
            ]
        if isinstance(array, DotArray | EdgeArray | MacArray) and self.sections:
            m.d.comb += array.load.eq(self.load)
        if "i_pad" in array.signature.members and isinstance(buffer, FeatureBuffer):
            m.d.comb += array.i_pad.eq(buffer.o_pad)
        if isinstance(buffer, BankedBuffer):
            m.d.comb += array.i_turn.eq(buffer.o_turn)
        if "i_port" in array.signature.members and isinstance(buffer, StreamJoin):
            m.d.comb += array.i_port.eq(buffer.o_port)
        valid, values, row = array.o_valid, array.o_values, array.o_row
        for index, tail in enumerate(self.tails):
            m.submodules[f"tail_{index}"] = tail
            m.d.comb += [tail.i_valid.eq(valid), tail.i_values.eq(values), tail.i_row.eq(row)]
            row = delay(m, row, tail.latency, name=f"row_{index}")
            valid, values = tail.o_valid, tail.o_values

        freed = self._queue(m, valid, values)
        on_their_way = Signal(range(self.spec.queue_depth + 1))
        m.d.sync += on_their_way.eq(on_their_way + buffer.o_issued - freed)
        m.d.comb += buffer.permit.eq(on_their_way != self.spec.queue_depth)
        return m

    def _queue(self, m: Module, valid: Value, values: Value) -> Value:
        """Put results into the queue and offer them; return whether a place becomes free."""
        width, depth, buffer = len(self.o.payload), self.spec.queue_depth, self.buffer
        if isinstance(buffer, BankedBuffer):
            m.submodules.queue = pixels = PixelQueue(
                width=width, banks=buffer.banks, repeat=buffer.repeat, depth=depth
            )
            m.d.comb += [pixels.i_valid.eq(valid), pixels.i_values.eq(values)]
            wiring.connect(m, pixels.o, wiring.flipped(self.o))
            return pixels.o_freed
        if depth == 1:
            # A SyncFIFO of one place would have addresses without bits, which Verilog lacks.
            full, data = Signal(), Signal(width, reset_less=True)
            with m.If(valid):
                m.d.sync += [full.eq(1), data.eq(values)]
            with m.Elif(self.o.ready):
                m.d.sync += full.eq(0)
            m.d.comb += [self.o.valid.eq(full), self.o.payload.eq(data)]
            return self.o.valid & self.o.ready
        m.submodules.queue = queue = SyncFIFO(width=width, depth=depth)
        m.d.comb += [
            queue.w_en.eq(valid),
            queue.w_data.eq(values),
            self.o.valid.eq(queue.r_rdy),
            self.o.payload.eq(queue.r_data),
            queue.r_en.eq(self.o.ready),
        ]
        return self.o.valid & self.o.ready
