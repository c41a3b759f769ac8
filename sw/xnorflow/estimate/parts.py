"""What the components of a design are made of, in numbers that their resources are linear in.

Each component of the generated hardware (``docs/hardware.md``) has a few features: lanes, bits of
sums, bits of counters, ... The resource model multiplies them with a fabric's coefficients, which
were fitted to synthesised components (``benchmarks/resources.py``). The LUTs of memories are known
and are features, too.
"""

from __future__ import annotations

from math import ceil, gcd

from xnorflow.estimate.devices import Family
from xnorflow.estimate.memory import Choice, ram_luts
from xnorflow.estimate.shape import DesignShape, EngineShape
from xnorflow.fabrics import fabric_of
from xnorflow_hw import copies
from xnorflow_hw.spec import GearboxSpec, RomSpec

Features = dict[str, float]
WHOLE = "whole, "
"""Begins features of which the tools make something only in a whole design."""
FEW = 64
"""Words of a ROM of LUTs that needs few multiplexers."""


def _bits(number: int) -> int:
    """Give the bits of a counter of so many steps."""
    return (number - 1).bit_length()


def _memory(depth: int, width: int, family: Family, kind: str, number: int = 1) -> Features:
    """Give the features of memories with a write and a read port."""
    if depth == 1:
        return {"bits of a single word": number * width}
    if Choice(family).ram_of(depth, width, kind) != "distributed":
        return {}
    return {"memory": number * ram_luts(depth, width, family)}


def in_blocks(e: EngineShape, family: Family) -> dict[str, int]:
    """Give the flip-flops of components that are registers of block RAM in the end.

    They follow a memory at once and are read without anything between.
    """
    if family.fabric != "ecp5":
        return {}
    memories = Choice(family)
    found = {"buffer": _buffer_registers(e, family)}
    if e.kind == "conv" and e.rom_depth > 1:
        found["array"] = _registers(memories, e.rom_depth, e.rom_width, e.rom)
    if e.threshold_levels and not e.tail_bits and e.threshold_rows > 1:
        starts = _registers(memories, e.threshold_rows, sum(e.threshold_words), e.threshold_rom)
        found["array"] = found.get("array", 0) + starts
    return found


def _buffer_registers(e: EngineShape, family: Family) -> int:
    """Give the bits of the buffer's output that are registers of block RAM in the end."""
    if family.fabric != "ecp5" or e.buffer_depth == 1 or e.padded:
        return 0
    kind = Choice(family).ram_of(e.buffer_depth, e.buffer_width, e.buffer_ram)
    return e.at_once * e.buffer_width * (kind == "block")


def _registers(memories: Choice, depth: int, width: int, rom: RomSpec | None) -> int:
    """Give the bits of the registers of blocks, every tile with its own."""
    rom = rom or memories.rom(depth, width)
    if rom.kind != "block":
        return 0
    return sum(t.width for t in rom.tiles) or width


def buffer(e: EngineShape, family: Family) -> Features:
    """Give the features of the feature buffer."""
    height, width = e.frame
    rows, columns = e.windows
    words = ceil(e.inputs // (height * width) * e.act_bits / e.buffer_width)
    loops = (words, width, height, *e.kernel, e.repeat, ceil(columns / e.at_once), rows)
    memory = _memory(e.buffer_depth, e.buffer_width, family, e.buffer_ram, e.at_once)
    name = "buffer" if e.at_once == 1 else "banks"
    return {
        name: 1, f"{name}: banks": e.at_once, f"{name}: loops": sum(n > 1 for n in loops),
        f"{name}: bits of loops": sum(map(_bits, loops)),
        f"{name}: bits of addresses": e.at_once * _bits(e.buffer_depth),
        f"{name}: bits of words": e.at_once * e.buffer_width,
        f"{name}: bits of registers": e.at_once * e.buffer_width - _buffer_registers(e, family),
        f"{name}: bits of padded words": e.at_once * e.buffer_width * e.padded,
        **{f"{name}: {key}": value for key, value in memory.items()},
    }


def array(e: EngineShape, family: Family) -> Features:
    """Give the features of the array, with its ROM and what its accumulators start from."""
    if e.kind != "conv":
        return {e.kind: 1, f"{e.kind}: bits": e.pe * max(e.act_bits, e.acc_bits)}
    sums = e.pe * e.at_once
    trees = sums * e.weight_planes * e.act_bits
    form = e.form + (", constant weights" if e.rom_depth == 1 else "")
    counted = e.simd.bit_length()
    found: Features = {
        "array": 1, f"{form}: lanes": trees * e.simd, f"{form}: bits of counts": trees * counted,
        f"{form}: adders": trees * max(0, e.simd - counted),
        "array: bits of sums": sums * e.acc_bits,
    }
    memories = Choice(family)
    if e.rom_depth > 1:
        found["ROM: bits of registers"] = e.rom_width
        luts, blocks = memories.takes(e.rom_depth, e.rom_width, e.rom)
        found[f"ROM of {_kind(e.rom_depth, blocks)}: LUTs"] = luts
        found[f"{WHOLE}ROM blocks"] = blocks
        found[f"{WHOLE}bits of ROM blocks"] = e.rom_width * (blocks > 0)
    if e.threshold_levels and not e.tail_bits:
        luts, blocks = threshold_rom(e, family)
        found |= {
            f"thresholds, ROM of {_kind(e.threshold_rows, blocks)}: LUTs": luts,
            "thresholds: bits": sums * e.threshold_levels * e.acc_bits,
            "thresholds: bits of codes": sums * e.out_bits,
        }
    if e.at_once > 1:
        found["array: bits of sums that turn"] = sums * e.acc_bits
    codes = e.simd * e.act_bits
    groups = ceil(e.pe / copies.group(e.pe, codes, fabric_of(family)))
    found["array: bits of copies"] = e.at_once * codes * groups
    found[f"{WHOLE}chains"] = trees + sums
    return found


def _kind(depth: int, blocks: int) -> str:
    """Name what a ROM is built of."""
    return "blocks" if blocks else "few words" if depth <= FEW else "many words"


def tail(e: EngineShape, family: Family) -> Features:
    """Give the features of the tails that the array does not compute."""
    if not e.tail_bits:
        return {}
    if not e.threshold_levels:
        return {"tails": 1, "tails: bits": e.tail_bits}
    lanes, (luts, blocks) = e.pe * e.at_once, threshold_rom(e, family)
    # Constant thresholds take less to choose from.
    name = "searches" if e.threshold_rows > 1 else "searches of constants"
    return {
        name: 1, f"{name}: bits": lanes * e.out_bits * e.acc_bits,
        f"{name}: bits of thresholds": lanes * e.threshold_levels * e.acc_bits,
        f"{name}, ROM of {_kind(e.threshold_rows, blocks)}: LUTs": luts,
        f"{name}: bits of codes": lanes * e.out_bits, f"{WHOLE}ROM blocks": blocks,
        f"{WHOLE}chains": lanes * e.out_bits,
    }


def threshold_rom(e: EngineShape, family: Family) -> tuple[float, int]:
    """Give LUTs and block RAMs of the thresholds' memories.

    An array that compares has one; a tail has one for each step of its search.
    """
    if not e.threshold_levels:
        return 0, 0
    memories = Choice(family)
    found = [
        memories.takes(e.threshold_rows, width, e.threshold_rom)
        for width in e.threshold_words if width
    ]
    return sum(luts for luts, _ in found), sum(blocks for _, blocks in found)


def queue(e: EngineShape, family: Family) -> Features:
    """Give the features of the queue behind the array."""
    width = e.pe * e.out_bits * e.at_once
    name = "queue" if e.at_once == 1 else "pixel queue"
    if family.lutram_shapes or e.queue_depth == 1:
        stored = _memory(e.queue_depth, width, family, "distributed")
    else:
        stored = {"stored bits": width * e.queue_depth}
    return {
        name: 1, f"{name}: bits of addresses": _bits(e.queue_depth),
        f"{name}: bits of words": width,
        **{f"{name}: {key}": value for key, value in stored.items()},
    }


def gearbox(box: GearboxSpec | None) -> Features:
    """Give the features of a gearbox."""
    if box is None or box.kind == "wires":
        return {}
    wide, narrow = max(box.lanes_in, box.lanes_out), min(box.lanes_in, box.lanes_out)
    name = f"gearbox {box.kind}"
    if box.kind != "barrel":
        return {name: 1, f"{name}: bits": box.bits * wide, f"{name}: parts": ceil(wide / narrow)}
    stored = box.bits * (wide + narrow - 1)
    step = gcd(wide, narrow, box.group_in % box.lanes_in, box.group_out % box.lanes_out)
    return {name: 1, f"{name}: bits": stored, f"{name}: places": stored * narrow / step}


def engine(e: EngineShape, family: Family) -> dict[str, Features]:
    """Give the features of an engine's components, by the names of their modules."""
    return {
        "gearbox": gearbox(e.gearbox), "buffer": buffer(e, family), "array": array(e, family),
        "tail": tail(e, family), "queue": queue(e, family),
        "glue": {"stage": 1, "stage: bits of credit": _bits(e.queue_depth + 1)},
    }


def ends(d: DesignShape) -> dict[str, Features]:
    """Give the features of what stands before the first engine and behind the last."""
    return {
        "input": {"input": 1, "input: bits": d.input_bits, "input: bits of tables": d.table_bits},
        "output": gearbox(d.output),
        "top": {"design": 1, "design: bits of scores": d.score_bits, f"{WHOLE}designs": 1},
    }
