"""The unit that computes float32 scores in integers, for one beat of classes after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Cat, Const, Elaboratable, EnableInserter, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from xnorflow_hw.array.product import product
from xnorflow_hw.base.loop import Loop
from xnorflow_hw.base.pipeline import delay
from xnorflow_hw.memory.rom import IMAGE_BITS, Rom, field_words
from xnorflow_hw.spec.kinds import Style
from xnorflow_hw.spec.rom import RomSpec
from xnorflow_hw.spec.scores import SIGNIFICANT, ScoreSpec, ScoreStepSpec


class _Constants:
    """Constants of a step's classes: a memory that is read by beat, or the same for all.

    Parameters
    ----------
    values : object array [beats, lanes]
        The constants, of at most `width` bits in two's complement.
    at : int
        Registers between a beat's arrival and the use of its constants.
    """

    def __init__(
        self, values: NDArray[Any], width: int, at: int, rom: RomSpec, **options: Any
    ) -> None:
        """Create the memory, unless all constants are equal."""
        self.width, self.at, self.memory = width, at, None
        lanes = values.shape[1]
        self.data: Value = Const(int(values.flat[0]) % (1 << width), width).replicate(lanes)
        if (values != values.flat[0]).any():
            self.memory = Rom(
                words=field_words(values, width),
                width=width * lanes,
                storage=rom.storage,
                register=False,
                **options,
            )
            self.data = Signal(width * lanes, name=f"{options['name']}_data")

    def lane(self, k: int) -> Value:
        """Return the constant of a lane."""
        return self.data.word_select(k, self.width)


class _Pipeline(Elaboratable):
    """All registers of the unit, which stand still together while its output waits.

    Parameters
    ----------
    spec : ScoreSpec
        The unit's steps.
    constants : list of (_Constants or None, _Constants)
        Factors, if there is a product, and what is added, of each step.
    index : Value
        Number of the beat that comes in.
    """

    def __init__(
        self,
        spec: ScoreSpec,
        constants: list[tuple[_Constants | None, _Constants]],
        index: Value,
    ) -> None:
        """Declare the signals at both ends."""
        self.spec, self.constants, self.index = spec, constants, index
        self.i_valid, self.o_valid = Signal(), Signal()
        self.i_data = Signal(spec.lanes * spec.in_bits)
        self.o_data = Signal(spec.lanes * spec.out_bits)
        last = max((c.at for pair in constants for c in pair if c and c.memory), default=0)
        self.indices: list[Value] = [
            index,
            *(Signal(len(index), name=f"beat_{k + 1}", reset_less=True) for k in range(last)),
        ]

    def elaborate(self, platform: Any) -> Module:
        """Chain the steps of each lane."""
        m, spec = Module(), self.spec
        for before, after in zip(self.indices, self.indices[1:], strict=False):
            m.d.sync += after.eq(before)
        m.d.comb += self.o_valid.eq(delay(m, self.i_valid, spec.latency, name="valid", reset=True))
        scores = []
        for lane in range(spec.lanes):
            value = delay(m, self.i_data.word_select(lane, spec.in_bits), 1, name=f"value_{lane}")
            value = Cat(value, Const(0, 1)).as_signed()
            for k, (step, (factors, added)) in enumerate(
                zip(spec.steps, self.constants, strict=True)
            ):
                factor = factors.lane(lane) if factors else None
                name = f"{k}_{lane}"
                value = _step(m, step, value, factor, added.lane(lane).as_signed(), name)
            scores.append(value[: spec.out_bits])
        m.d.comb += self.o_data.eq(Cat(scores))
        return m


def _step(
    m: Module, step: ScoreStepSpec, value: Value, factor: Value | None, added: Value, name: str
) -> Value:
    """Return the signed result of a step."""
    total: Value
    if factor is None:
        scaled = Cat(Const(0, step.places or 0), value).as_signed()
        total = scaled + added if step.adds else scaled
        if step.adds:
            total = _register(m, total, step.total_bits, f"total_{name}")
    elif step.multiplier == "dsp":
        whole = value * factor.as_signed()
        total = _register(m, whole, len(whole), f"product_{name}")
        if step.adds:
            total = _register(m, total + added, step.total_bits, f"total_{name}")
    else:
        total = _of_magnitudes(m, step, value, factor, added, name)
    total = total[: step.total_bits].as_signed()
    if step.rounds:
        total = _rounded(m, total, name)
    return (total >> step.shift)[: step.result_bits].as_signed()


def _register(m: Module, value: Value, width: int, name: str) -> Value:
    late = Signal(width, name=name, reset_less=True)
    m.d.sync += late.eq(value)
    return late.as_signed()


def _of_magnitudes(
    m: Module, step: ScoreStepSpec, value: Value, factor: Value, added: Value, name: str
) -> Value:
    """Return the sum of a product of logic, which is one of magnitudes, and a constant."""
    bits = step.factor_bits
    size = Signal(step.value_bits, name=f"size_{name}", reset_less=True)
    m.d.sync += size.eq(Mux(value < 0, -value, value))
    negative = delay(m, (value < 0) ^ factor[bits], 1, name=f"negative_{name}")
    own = delay(m, factor[:bits], 1, name=f"factor_{name}")
    whole = product(m, size, own, "logic", name=f"product_{name}")
    cycles = step.latency - 2 * step.rounds - 2
    late = delay(m, negative, cycles, name=f"late_{name}")
    # A negative product is added as its complement and 1, which is the carry into the sum.
    signed = Cat(Const(1, 1), whole ^ late.replicate(len(whole)), late).as_signed()
    total = signed + Cat(late, added).as_signed()
    return _register(m, total[1:], step.total_bits, f"total_{name}")


def _rounded(m: Module, total: Value, name: str) -> Value:
    """Return a value rounded to 24 significant bits, half to even, two cycles later.

    The mask has ones where bits are dropped; a negative value is measured by its complement.
    """
    size = total[:-1] ^ total[-1].replicate(len(total) - 1)
    over = len(size) - SIGNIFICANT
    mask = Signal(over, name=f"mask_{name}", reset_less=True)
    m.d.sync += mask.eq(Cat(size[SIGNIFICANT + k :].any() for k in range(over)))
    value = _register(m, total, len(total), f"place_{name}")
    above = Cat(mask[1:], Const(0, 1))
    odd = (mask & ~above & value[1 : over + 1]).any()
    # Just less than half of the last place, and 1 if it is odd.
    up = Cat(odd, mask[1:], Const(0, 1)).as_signed()
    total_up = Cat(Const(1, 1), value).as_signed() + up
    near = _register(m, total_up[1:], len(total) + 1, f"near_{name}")
    dropped = delay(m, mask, 1, name=f"dropped_{name}")
    return (near & ~Cat(dropped, Const(0, len(near) - over))).as_signed()


class ScoreUnit(wiring.Component):
    """Computes the scores of a stream of sums, step by step, with the constants of their classes.

    One beat may come in every cycle. All registers stand still while a score is not taken.

    Parameters
    ----------
    spec : ScoreSpec
        The steps.
    name : str
        Prefix of the names of the memories' modules and images.
    style : {"amaranth", "verilog"}
        Only "verilog" has `modules` and `images`.
    image_bits : int
        Memories of more bits than this go to a hex image.

    Members
    -------
    i : stream of lanes * in_bits
        Sums; lane 0 lowest.
    o : stream of lanes * out_bits
        Scores, two's complement.

    Attributes
    ----------
    latency : int
        Clock cycles from a sum to its score, if nothing waits.
    modules, images : dict of str to str
        Verilog modules, by name, to append to the design, and hex images, by file name, to lie
        beside it.

    Raises
    ------
    ValueError
        If there are no steps, or constants have another shape.
    """

    def __init__(
        self,
        spec: ScoreSpec,
        *,
        name: str = "scores",
        style: Style = "amaranth",
        image_bits: int = IMAGE_BITS,
    ) -> None:
        """Check the shapes and create the memories."""
        shape = (spec.beats, spec.lanes)
        if not spec.steps or any(s.multiply.shape != shape for s in spec.steps):
            raise ValueError(
                f"there are no steps, or their constants have another shape than {shape}"
            )
        if any(s.add.shape != shape for s in spec.steps):
            raise ValueError(f"what is added has another shape than {shape}")
        self.spec, self.latency = spec, spec.latency
        options: dict[str, Any] = {"style": style, "image_bits": image_bits}
        self._constants: list[tuple[_Constants | None, _Constants]] = []
        at = 1
        for k, step in enumerate(spec.steps):
            factors = None
            if step.places is None:
                width, values = step.factor_bits + 1, step.multiply
                if step.multiplier == "logic":
                    # The sign is the bit above the magnitude.
                    negative = np.where(step.multiply < 0, 1 << step.factor_bits, 0)
                    values = abs(step.multiply) + negative.astype(object)
                factors = _Constants(
                    values, width, at, step.multiply_rom, name=f"{name}_{k}_multiply", **options
                )
            adds_at = at + step.latency - 2 * step.rounds - step.adds
            added = _Constants(
                step.add, step.add_bits, adds_at, step.add_rom, name=f"{name}_{k}_add", **options
            )
            self._constants.append((factors, added))
            at += step.latency
        self.modules: dict[str, str] = {}
        self.images: dict[str, str] = {}
        for memory in self._memories():
            self.modules |= memory.modules
            self.images |= memory.images
        super().__init__(
            {
                "i": In(stream.Signature(spec.lanes * spec.in_bits)),
                "o": Out(stream.Signature(spec.lanes * spec.out_bits)),
            }
        )

    def _memories(self) -> list[Rom]:
        every = [c for pair in self._constants for c in pair if c is not None]
        return [c.memory for c in every if c.memory is not None]

    def model(self, values: NDArray[Any]) -> NDArray[np.int64]:
        """Return the scores, int64 [frames, beats, lanes], of sums of that shape."""
        found = np.asarray(values).astype(object)
        for step in self.spec.steps:
            total = found * step.multiply + step.add
            found = np.vectorize(_nearest, otypes=[object])(total) >> step.shift
        return found.astype(np.int64)

    def elaborate(self, platform: Any) -> Module:
        """Let the pipeline move unless a score waits; read constants for where beats will be."""
        m, spec = Module(), self.spec
        beat = Loop(spec.beats, "beat")
        moves = Signal()
        pipeline = _Pipeline(spec, self._constants, beat.index)
        m.submodules.pipeline = EnableInserter(moves)(pipeline)
        m.d.comb += [
            moves.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(moves),
            pipeline.i_valid.eq(self.i.valid),
            pipeline.i_data.eq(self.i.payload),
            self.o.valid.eq(pipeline.o_valid),
            self.o.payload.eq(pipeline.o_data),
        ]
        with m.If(self.i.valid & self.i.ready):
            beat.advance(m)
        for constants in (c for pair in self._constants for c in pair if c is not None):
            if constants.memory is not None:
                m.submodules[f"rom_{constants.memory.name}"] = constants.memory
                before, now = pipeline.indices[constants.at - 1 : constants.at + 1]
                m.d.comb += [
                    constants.memory.address.eq(Mux(moves, before, now)),
                    constants.data.eq(constants.memory.data),
                ]
        return m


def _nearest(value: int) -> int:
    """Round a whole number to 24 significant bits, ties to even."""
    dropped = max(0, abs(value).bit_length() - SIGNIFICANT)
    whole, rest = divmod(value, 1 << dropped)
    half = 1 << dropped >> 1
    up = dropped > 0 and (rest > half or (rest == half and whole % 2 == 1))
    return (whole + up) << dropped
