"""Compute what a design takes on an FPGA: LUTs and flip-flops are estimated, the rest is counted.

LUTs and flip-flops are the sums of a design's terms (`xnorflow.resources.terms`) times the fitted
coefficients of a fabric. Block RAM is exact arithmetic: memories are cut into columns, each of one
native shape. So are DSP blocks: every product takes what the tools take for its widths.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from xnorflow.devices.tables import Family
from xnorflow.plan.tail_choice import tail_dsps
from xnorflow.resources import terms
from xnorflow.resources.coefficients import fitted
from xnorflow.resources.engine import DesignSummary, EngineSummary
from xnorflow.storage.blocks import StorageChoice, ram_blocks, ram_luts, spram_number
from xnorflow_hw.spec import GearboxSpec, RomSpec


@dataclass(frozen=True)
class Resources:
    """Resources that a part of a design takes.

    Parameters
    ----------
    luts, ffs : float
        LUTs and flip-flops, estimated.
    ram_blocks, sprams, dsps : int
        Blocks of RAM, SPRAMs and DSP blocks of the family.
    """

    luts: float = 0.0
    ffs: float = 0.0
    ram_blocks: int = 0
    sprams: int = 0
    dsps: int = 0

    def __add__(self, other: Resources) -> Resources:
        """Return the sum of each resource."""
        return Resources(
            self.luts + other.luts,
            self.ffs + other.ffs,
            self.ram_blocks + other.ram_blocks,
            self.sprams + other.sprams,
            self.dsps + other.dsps,
        )


def read_only(depth: int, width: int, family: Family, rom: RomSpec | None = None) -> Resources:
    """Compute what a read-only memory takes.

    Parameters
    ----------
    depth, width : int
        Words, and bits per word.
    family : Family
        FPGA family.
    rom : RomSpec, optional
        Storage of the memory; without it the cheapest is taken.
    """
    if depth == 0 or width == 0:
        return Resources()
    luts, blocks = StorageChoice(family).takes(depth, width, rom)
    sprams = spram_number(depth, width, family) if rom and rom.storage == "spram" else 0
    return Resources(luts=luts, ram_blocks=blocks, sprams=sprams)


def memory(depth: int, width: int, family: Family, kind: str = "auto") -> Resources:
    """Compute what a memory with a write and a read port takes.

    Parameters
    ----------
    depth, width : int
        Words, and bits per word.
    family : Family
        FPGA family.
    kind : str
        Storage: "block", "distributed", or "auto" for the cheapest.
    """
    if depth == 0 or width == 0:
        return Resources()
    if depth == 1:
        return Resources(ffs=width)
    if StorageChoice(family).ram_of(depth, width, kind) == "distributed":
        return Resources(luts=ram_luts(depth, width, family))
    return Resources(ram_blocks=ram_blocks(depth, width, family.ram_shapes))


def status(family: Family) -> str:
    """Return how the resources on a family are known, in words such as "estimated"."""
    measured = fitted()[family.coefficients].family
    return "estimated" if family.name == measured else f"estimated as for {measured}"


def error_of(family: Family, resource: str) -> str:
    """Return the measured error of "lut", "ff" or "bram" in words."""
    return fitted()[family.coefficients].errors[resource]


def typical_error(family: Family, resource: str) -> float | None:
    """Return the median error of "lut" or "ff" in percent; None if the model counts exactly."""
    return fitted()[family.coefficients].typical_error(resource)


def checked(family: Family) -> str:
    """Return how accurate the model is on a family, and what it was compared with, in words."""
    found = fitted()[family.coefficients]
    said = found.errors
    return f"LUT {said['lut']}; FF {said['ff']}; block RAM {said['bram']}; {found.against}" + (
        f"; {family.name} was not measured" if family.name != found.family else ""
    )


def engine_parts(engine: EngineSummary, family: Family) -> dict[str, Resources]:
    """Compute what each component of an engine takes, by the component's name."""
    coefficients, blocks = fitted()[family.coefficients], engine_blocks(engine, family)
    dsps = engine_dsps(engine, family)
    return {
        name: Resources(
            *coefficients.part(name, found), blocks.get(name, 0), dsps=dsps.get(name, 0)
        )
        for name, found in terms.engine(engine, family).items()
        if found
    }


def engine_blocks(engine: EngineSummary, family: Family) -> dict[str, int]:
    """Count the blocks of RAM of each component of an engine."""
    buffer = memory(engine.buffer_depth, engine.buffer_width, family, engine.buffer_ram)
    found = {"buffer": engine.at_once * buffer.ram_blocks, "array": _array_blocks(engine, family)}
    if engine.join is not None:
        memories = engine.join.memories
        found["buffer"] += sum(memory(*words, family).ram_blocks for words in memories)
    queues = [s for s in engine.streams if s.queue > 1]
    if queues:
        found["streams"] = sum(memory(s.queue, s.width, family, s.ram).ram_blocks for s in queues)
    if engine.tail_bits:
        found["tail"] = terms.threshold_rom(engine, family)[1]
    if engine.computed is not None:
        found["tail"] = found.get("tail", 0) + terms.computed_blocks(
            engine.computed, engine, family
        )
    return found


def _array_blocks(engine: EngineSummary, family: Family) -> int:
    """Count the blocks of RAM of the array: weights, and thresholds that it compares with."""
    found = read_only(engine.rom_depth, engine.rom_width, family, engine.rom).ram_blocks
    if engine.join is not None:
        found += sum(read_only(*words, family).ram_blocks for words in engine.join.roms)
    return found + (0 if engine.tail_bits else terms.threshold_rom(engine, family)[1])


def engine_dsps(engine: EngineSummary, family: Family) -> dict[str, int]:
    """Count the DSP blocks of each component of an engine."""
    found = {"array": terms.array_dsps(engine, family)}
    if engine.computed is not None:
        each = tail_dsps(engine.computed.dsp_widths, family)
        found["tail"] = engine.pe * engine.at_once * each
    return found


@cache
def gearbox_resources(box: GearboxSpec, family: Family) -> Resources:
    """Compute what a gearbox takes; one that is only wires takes nothing."""
    return Resources(*fitted()[family.coefficients].part("gearbox", terms.gearbox(box)))


def engine_resources(engine: EngineSummary, family: Family) -> Resources:
    """Compute what an engine takes, with the gearbox before it and the queue behind it."""
    found = sum(engine_parts(engine, family).values(), Resources())
    weights = read_only(engine.rom_depth, engine.rom_width, family, engine.rom)
    return replace(found, sprams=weights.sprams) if weights.sprams else found


def resources_by_storage(
    engine: EngineSummary, family: Family, storages: Sequence[RomSpec | None]
) -> list[Resources]:
    """Compute what an engine takes with its weights in each of several storages.

    Only its array depends on them. The others of its components are computed once, because a search
    compares very many engines.
    """
    parts, coefficients = engine_parts(engine, family), fitted()[family.coefficients]
    found = []
    for rom in storages:
        e = replace(engine, rom=rom)
        if rom != engine.rom:
            luts, ffs = coefficients.part("array", terms.array(e, family))
            blocks, dsps = _array_blocks(e, family), terms.array_dsps(e, family)
            parts["array"] = Resources(luts, ffs, blocks, dsps=dsps)
        total = sum(parts.values(), Resources())
        weights = read_only(e.rom_depth, e.rom_width, family, rom)
        found.append(replace(total, sprams=weights.sprams) if weights.sprams else total)
    return found


def design_resources(design: DesignSummary, family: Family) -> Resources:
    """Compute what a design takes: all engines, the input stage and the output.

    The board's logic and the host link are not included.

    Parameters
    ----------
    design : DesignSummary
        Design to estimate.
    family : Family
        FPGA family to estimate it on.
    """
    total = sum((engine_resources(e, family) for e in design.engines), Resources())
    coefficients = fitted()[family.coefficients]
    ends = (coefficients.part(*part) for part in terms.ends(design, family).items())
    total = sum((Resources(*found) for found in ends), total)
    unit = design.scores
    dsps = sum(tail_dsps(widths, family) for widths in (unit.dsp_widths if unit else ()))
    return total + Resources(ram_blocks=score_blocks(design, family), dsps=dsps)


def score_blocks(design: DesignSummary, family: Family) -> int:
    """Count the blocks of RAM of the unit of scores."""
    memories = StorageChoice(family)
    unit = design.scores
    return sum(memories.takes(*memory)[1] for memory in (unit.memories if unit else ()))
