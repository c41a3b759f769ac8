"""First model of what a design takes on an FPGA: LUTs, flip-flops, block RAM. Uncalibrated.

The popcount constants were measured: Yosys 0.70 maps the project's pipelined popcount (leaves of
three products, then a + b + carry nodes, a register per level) at a width of 128 for each fabric.
Other constants are counted from the structure and are marked so; `CONSTANTS` holds all of them.
Block RAM is exact arithmetic: memories are cut into columns, each of one native shape.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from math import ceil, gcd, log2

from xnorflow.estimate import parts
from xnorflow.estimate.coefficients import fitted
from xnorflow.estimate.devices import Family
from xnorflow.estimate.memory import Choice, ram_blocks, ram_luts, spram_number
from xnorflow.estimate.shape import DesignShape, EngineShape
from xnorflow_hw.spec import GearboxSpec, RomSpec

STATUS = "estimated, uncalibrated"
CHECKED = ("against three placed single-engine designs of an earlier prototype, serial port "
           "included: LUT -9 % (ECP5), -36 % (GW2A), -52 % (UP5K); block RAM exact to 2 blocks")


@dataclass(frozen=True)
class Constant:
    """One constant of the model: a value per fabric, its unit and where it comes from."""

    unit: str
    source: str
    ice40: float
    ecp5: float
    gowin: float
    xilinx: float

    def of(self, family: Family) -> float:
        """Give the value for a family."""
        return float(getattr(self, family.fabric))


_YOSYS = "measured: Yosys 0.70, pipelined popcount of 128 bits"
_RATIO = "; ice40 and gowin not measured, scaled like ecp5"
CONSTANTS: dict[str, Constant] = {
    "popcount, weights read from a ROM": Constant(
        "LUT per XNOR bit", _YOSYS, 1.98, 2.56, 2.24, 1.66),
    "popcount, weights constant": Constant(
        "LUT per XNOR bit", _YOSYS + _RATIO, 1.51, 1.95, 1.71, 1.16),
    "popcount registers": Constant(
        "FF per XNOR bit", "measured: difference of placed designs with and without a register "
        "per level (ECP5 3.08, GW2A 3.13); others taken as the same", 3.1, 3.1, 3.1, 3.1),
    "accumulator": Constant(
        "LUT per bit", "counted: an adder that can start afresh; one LUT where the carry cell has "
        "a full LUT before it, else two", 2, 1, 2, 1),
    "accumulator registers": Constant("FF per bit", "counted: sum and result", 2, 2, 2, 2),
    "threshold compare": Constant(
        "LUT per bit", "counted: one carry position a bit, and a register to hold the value",
        1, 1, 1, 1),
    "threshold registers": Constant("FF per bit", "counted: held value", 1, 1, 1, 1),
    "maximum": Constant("LUT per bit", "counted: compare and select", 2, 2, 2, 2),
    "engine control": Constant(
        "LUT per engine", "assumed: six address counters, limits and credits", 150, 150, 150, 100),
    "engine control registers": Constant("FF per engine", "assumed", 100, 100, 100, 100),
    "address": Constant("LUT per address bit", "counted: six candidate steps", 6, 6, 6, 4),
    "buffer output": Constant("LUT per bit", "counted: pad multiplexer", 1, 1, 1, 1),
    "buffer registers": Constant("FF per bit", "counted: word in, word out", 2, 2, 2, 2),
    "gearbox, collecting": Constant(
        "LUT per slot", "measured: Yosys 0.70, 2 to 512 slots; enables", 1.1, 1.1, 1.1, 1.1),
    "gearbox, giving": Constant(
        "LUT per bit and part", "measured: Yosys 0.70, shift or load", 1, 1, 1, 1),
    "gearbox, both": Constant(
        "LUT per stored bit", "measured: Yosys 0.70, 4 to 64 lanes; shift and hold", 4.4, 4.4, 4.4,
        3.5),
    "gearbox, both, places": Constant(
        "LUT per stored bit and place of a beat", "measured: the same; multiplexers", 0.55, 0.55,
        0.55, 0.05),
    "queue": Constant("LUT per stored bit", "counted: write select", 1, 1, 1, 0.5),
    "queue registers": Constant("FF per stored bit", "counted", 1, 1, 1, 1),
}


@dataclass(frozen=True)
class Resources:
    """What something takes; RAM blocks and SPRAMs are those of the family."""

    luts: float = 0.0
    ffs: float = 0.0
    ram_blocks: int = 0
    sprams: int = 0

    def __add__(self, other: Resources) -> Resources:
        """Add resource by resource."""
        return Resources(self.luts + other.luts, self.ffs + other.ffs,
                         self.ram_blocks + other.ram_blocks, self.sprams + other.sprams)


def read_only(depth: int, width: int, family: Family, rom: RomSpec | None = None) -> Resources:
    """Give what a read-only memory takes that is built of `rom`, or of what is best."""
    if depth == 0 or width == 0:
        return Resources()
    luts, blocks = Choice(family).takes(depth, width, rom)
    sprams = spram_number(depth, width, family) if rom and rom.kind == "spram" else 0
    return Resources(luts=luts, ram_blocks=blocks, sprams=sprams)


def memory(depth: int, width: int, family: Family, kind: str = "auto") -> Resources:
    """Give what a memory with a write and a read port takes that is built of `kind`."""
    if depth == 0 or width == 0:
        return Resources()
    if depth == 1:
        return Resources(ffs=width)
    if Choice(family).ram_of(depth, width, kind) == "distributed":
        return Resources(luts=ram_luts(depth, width, family))
    return Resources(ram_blocks=ram_blocks(depth, width, family.ram_shapes))


def _weights(engine: EngineShape, family: Family) -> tuple[Resources, str]:
    """Give the weight ROM and which popcount goes with it."""
    form = "constant" if engine.rom_depth == 1 else "read from a ROM"
    taken = read_only(engine.rom_depth, engine.rom_width, family, engine.rom)
    return taken, f"popcount, weights {form}"


def status(family: Family) -> str:
    """Say what the figures of a family are."""
    return "estimated" if family.fabric in fitted() else STATUS


def checked(family: Family) -> str:
    """Say how good the figures of a family were found to be."""
    if family.fabric not in fitted():
        return CHECKED
    said = fitted()[family.fabric].errors
    return f"LUT {said['lut']}; FF {said['ff']}; block RAM {said['bram']}"


def _fitted(engine: EngineShape, family: Family) -> dict[str, Resources]:
    """Give what each part of an engine takes by the fitted coefficients; block RAM is counted."""
    coefficients, blocks = fitted()[family.fabric], engine_blocks(engine, family)
    return {
        name: Resources(*coefficients.part(features), blocks.get(name, 0))
        for name, features in parts.engine(engine, family).items() if features
    }


def engine_blocks(engine: EngineShape, family: Family) -> dict[str, int]:
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
    if family.fabric in fitted():
        return Resources(*fitted()[family.fabric].part(parts.gearbox(box)))

    def c(name: str) -> float:
        return CONSTANTS[f"gearbox, {name}"].of(family)

    wide, narrow = max(box.lanes_in, box.lanes_out), min(box.lanes_in, box.lanes_out)
    slots = ceil(wide / narrow)
    match box.kind:
        case "wires":
            return Resources()
        case "up":
            return Resources(c("collecting") * slots, box.bits * wide + slots.bit_length())
        case "down":
            bits = box.bits * (wide - narrow)
            return Resources(c("giving") * (bits + slots), box.bits * wide + slots)
    stored = box.bits * (wide + narrow - 1)
    step = gcd(wide, narrow, box.group_in % box.lanes_in, box.group_out % box.lanes_out)
    per_bit = c("both") + c("both, places") * narrow / step
    return Resources(stored * per_bit, stored + 15)


def engine_parts(engine: EngineShape, family: Family) -> dict[str, Resources]:
    """Give what each part of an engine takes."""
    if family.fabric in fitted():
        return _fitted(engine, family)

    def c(name: str) -> float:
        return CONSTANTS[name].of(family)

    found = {}
    row = engine.pe * engine.acc_bits
    accumulated = engine.at_once * row
    if engine.kind == "conv":
        rom, form = _weights(engine, family)
        bits = (engine.pe * engine.simd * engine.at_once * engine.act_bits
                * engine.weight_planes)
        found["weight ROM"] = rom
        found["popcount"] = Resources(bits * c(form), bits * c("popcount registers"))
    if engine.kind == "maxpool":
        lanes = engine.pe * engine.act_bits
        found["maximum"] = Resources(lanes * c("maximum"), lanes * c("accumulator registers"))
    else:
        found["accumulator"] = Resources(accumulated * c("accumulator"),
                                         accumulated * c("accumulator registers"))
    if engine.threshold_levels:
        luts, blocks = parts.threshold_rom(engine, family)
        found["thresholds"] = Resources(luts, 0, blocks) + Resources(
            accumulated * c("threshold compare"),
            accumulated * c("threshold registers")
            + engine.at_once * engine.pe * engine.out_bits)
    address = engine.buffer_depth.bit_length()
    bank = memory(
        engine.buffer_depth, engine.buffer_width, family, engine.buffer_ram
    ) + Resources(
        address * c("address") + engine.buffer_width * c("buffer output"),
        2 * address + engine.buffer_width * c("buffer registers"))
    found["feature buffer"] = sum([bank] * engine.at_once, Resources())
    if engine.gearbox is not None:
        found["gearbox"] = gearbox_resources(engine.gearbox, family)
    if engine.at_once > 1:
        result = engine.pe * engine.out_bits
        found["queue"] = memory(engine.queue_depth, engine.at_once * result, family) + Resources(
            result * engine.at_once * c("queue"), result * c("queue registers"))
    else:
        queued = engine.queue_depth * engine.pe * engine.out_bits
        found["queue"] = Resources(queued * c("queue"), queued * c("queue registers"))
    steps = ceil(log2(engine.cycles + 1))
    found["control"] = Resources(c("engine control") + steps,
                                 c("engine control registers") + steps)
    return found


def engine_resources(engine: EngineShape, family: Family) -> Resources:
    """Give what an engine takes."""
    found = sum(engine_parts(engine, family).values(), Resources())
    weights = read_only(engine.rom_depth, engine.rom_width, family, engine.rom)
    return replace(found, sprams=weights.sprams)


def design_resources(design: DesignShape, family: Family) -> Resources:
    """Give what a design takes: its engines and its two ends; board logic is not included."""
    total = sum((engine_resources(e, family) for e in design.engines), Resources())
    if family.fabric in fitted():
        coefficients = fitted()[family.fabric]
        for features in parts.ends(design).values():
            total += Resources(*coefficients.part(features))
    return total
