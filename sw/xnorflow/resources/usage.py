"""What a design takes on an FPGA: LUTs and flip-flops are estimated, block RAM is counted.

LUTs and flip-flops are a fabric's fitted coefficients times the features of `parts`. Block RAM is
exact arithmetic: memories are cut into columns, each of one native shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

from xnorflow.devices.tables import Family
from xnorflow.resources import terms as parts
from xnorflow.resources.coefficients import fitted
from xnorflow.resources.engine import DesignSummary, EngineSummary
from xnorflow.storage.blocks import StorageChoice, ram_blocks, ram_luts, spram_number
from xnorflow_hw.spec import GearboxSpec, RomSpec


@dataclass(frozen=True)
class Resources:
    """What something takes; RAM blocks and SPRAMs are those of the family."""

    luts: float = 0.0
    ffs: float = 0.0
    ram_blocks: int = 0
    sprams: int = 0

    def __add__(self, other: Resources) -> Resources:
        """Add resource by resource."""
        return Resources(
            self.luts + other.luts,
            self.ffs + other.ffs,
            self.ram_blocks + other.ram_blocks,
            self.sprams + other.sprams,
        )


def read_only(depth: int, width: int, family: Family, rom: RomSpec | None = None) -> Resources:
    """Give what a read-only memory takes that is built of `rom`, or of what is best."""
    if depth == 0 or width == 0:
        return Resources()
    luts, blocks = StorageChoice(family).takes(depth, width, rom)
    sprams = spram_number(depth, width, family) if rom and rom.storage == "spram" else 0
    return Resources(luts=luts, ram_blocks=blocks, sprams=sprams)


def memory(depth: int, width: int, family: Family, kind: str = "auto") -> Resources:
    """Give what a memory with a write and a read port takes that is built of `kind`."""
    if depth == 0 or width == 0:
        return Resources()
    if depth == 1:
        return Resources(ffs=width)
    if StorageChoice(family).ram_of(depth, width, kind) == "distributed":
        return Resources(luts=ram_luts(depth, width, family))
    return Resources(ram_blocks=ram_blocks(depth, width, family.ram_shapes))


def status(family: Family) -> str:
    """Say what the figures of a family are."""
    measured = fitted()[family.coefficients].family
    return "estimated" if family.name == measured else f"estimated as for {measured}"


def error_of(family: Family, resource: str) -> str:
    """Say what the error of "lut", "ff" or "bram" was found to be, of the family measured."""
    return fitted()[family.coefficients].errors[resource]


def checked(family: Family) -> str:
    """Say how good the figures of a family were found to be, and against what."""
    found = fitted()[family.coefficients]
    said = found.errors
    return f"LUT {said['lut']}; FF {said['ff']}; block RAM {said['bram']}; {found.against}" + (
        f"; {family.name} was not measured" if family.name != found.family else ""
    )


def engine_parts(engine: EngineSummary, family: Family) -> dict[str, Resources]:
    """Give what each component of an engine takes."""
    coefficients, blocks = fitted()[family.coefficients], engine_blocks(engine, family)
    return {
        name: Resources(*coefficients.part(name, features), blocks.get(name, 0))
        for name, features in parts.engine(engine, family).items()
        if features
    }


def engine_blocks(engine: EngineSummary, family: Family) -> dict[str, int]:
    """Count the RAM blocks of an engine's components."""
    buffer = memory(engine.buffer_depth, engine.buffer_width, family, engine.buffer_ram)
    weights = read_only(engine.rom_depth, engine.rom_width, family, engine.rom)
    found = {"buffer": engine.at_once * buffer.ram_blocks, "array": weights.ram_blocks}
    where = "tail" if engine.tail_bits else "array"
    found[where] = found.get(where, 0) + parts.threshold_rom(engine, family)[1]
    return found


@cache
def gearbox_resources(box: GearboxSpec, family: Family) -> Resources:
    """Give what a width converter takes; nothing where it is only wires."""
    return Resources(*fitted()[family.coefficients].part("gearbox", parts.gearbox(box)))


def engine_resources(engine: EngineSummary, family: Family) -> Resources:
    """Give what an engine takes."""
    found = sum(engine_parts(engine, family).values(), Resources())
    weights = read_only(engine.rom_depth, engine.rom_width, family, engine.rom)
    return replace(found, sprams=weights.sprams)


def design_resources(design: DesignSummary, family: Family) -> Resources:
    """Give what a design takes: its engines and its two ends; board logic is not included."""
    total = sum((engine_resources(e, family) for e in design.engines), Resources())
    coefficients = fitted()[family.coefficients]
    ends = (coefficients.part(*part) for part in parts.ends(design).items())
    return sum((Resources(*found) for found in ends), total)
