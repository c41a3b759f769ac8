"""Compute the terms of the resource model: the sizes that resources depend on linearly.

Each component of the generated hardware (``docs/hardware.md``) has a few terms, such as its lanes,
the bits of its sums or the bits of its counters. The resource model multiplies them by a fabric's
coefficients, which were fitted to synthesised components (``benchmarks/resources.py``). The LUTs of
memories, which are known, are terms, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from math import ceil, gcd

from xnorflow.devices.tables import Family
from xnorflow.plan.products import adder_bits, product_luts, product_registers
from xnorflow.resources.engine import (
    ComputedCodes,
    DesignSummary,
    EdgeSums,
    EngineSummary,
    JoinSummary,
    Lookups,
    Products,
    ScoreSummary,
    StreamSummary,
)
from xnorflow.resources.join_counts import extra_counts
from xnorflow.storage.blocks import StorageChoice, ram_luts, rom_luts
from xnorflow_hw.array import stored_sums as stored
from xnorflow_hw.fabric import copies, xnor_sum
from xnorflow_hw.spec import GearboxSpec, RomSpec
from xnorflow_hw.spec.latency import register_count, ternary_width

Terms = dict[str, float]
CONSTANT = ", constants"
"""Ending of the names of arrays and searches whose ROM has a single word."""
MASKED = "masked "
"""Beginning of the names of arrays whose weights have a mask."""
WHOLE = "whole, "
"""Beginning of the names of terms that take resources only in a whole design."""
SPARED = f"{WHOLE}spared "
"""Beginning of the names of terms whose resources a component takes, but a whole design spares."""
FAR = "flip-flops of far tiles"
"""Name of the term for flip-flops that are counted instead of fitted. The few that delay the row of
a beat are not counted; thresholds are assumed to be read early enough to need none."""
SPREAD = 32
"""Most words of a ROM of six-input LUTs that takes as many LUTs in a flat design as by itself."""
FEW = 64
"""Most words of a ROM of LUTs that needs few multiplexers."""


def _bits(number: int) -> int:
    """Return the bits of a counter with `number` steps."""
    return (number - 1).bit_length()


def _memory(depth: int, width: int, family: Family, kind: str, number: int = 1) -> Terms:
    """Return the terms of `number` equal memories with a write and a read port."""
    if depth == 1:
        return {"bits of a single word": number * width}
    if StorageChoice(family).ram_of(depth, width, kind) != "distributed":
        return {}
    return {"memory": number * ram_luts(depth, width, family)}


def in_blocks(e: EngineSummary, family: Family) -> dict[str, int]:
    """Return, by component, the flip-flops that the tools move into the registers of block RAM.

    These are the flip-flops that directly follow a memory in block RAM.
    """
    if not family.ram_registers:
        return {}
    memories = StorageChoice(family)
    found = {"buffer": _buffer_registers(e, family)}
    if e.rom_depth > 1:
        found["array"] = _registers(memories, e.rom_depth, e.rom_width, e.rom)
    if e.threshold_levels and not e.tail_bits and e.threshold_rows > 1:
        starts = _registers(memories, e.threshold_rows, sum(e.threshold_words), e.threshold_rom)
        found["array"] = found.get("array", 0) + starts
    return found


def _buffer_registers(e: EngineSummary, family: Family) -> int:
    """Return the bits of the buffer's output register that move into registers of block RAM."""
    if not family.ram_registers or e.buffer_depth <= 1 or e.padded:
        return 0
    kind = StorageChoice(family).ram_of(e.buffer_depth, e.buffer_width, e.buffer_ram)
    return e.at_once * e.buffer_width * (kind == "block")


def _registers(memories: StorageChoice, depth: int, width: int, rom: RomSpec | None) -> int:
    """Return the bits of a ROM's output registers in block RAM; every tile has its own."""
    rom = rom or memories.rom(depth, width)
    if rom.storage != "block":
        return 0
    return sum(t.width for t in rom.tiles) or width


def buffer(e: EngineSummary, family: Family) -> Terms:
    """Return the terms of the feature buffer, or of what takes the beats of several ports."""
    if not e.buffer_depth and e.join is not None:
        return _join_front(e.join, family)
    height, width = e.frame
    rows, columns = e.windows
    words = ceil(e.inputs // (height * width) * e.act_bits / e.buffer_width)
    loops = (words, width, height, *e.kernel, e.repeat, ceil(columns / e.at_once), rows)
    memory = _memory(e.buffer_depth, e.buffer_width, family, e.buffer_ram, e.at_once)
    name = "buffer" if e.at_once == 1 else "banks"
    return {
        name: 1,
        f"{name}: banks": e.at_once,
        f"{name}: loops": sum(n > 1 for n in loops),
        f"{name}: bits of loops": sum(map(_bits, loops)),
        f"{name}: bits of addresses": e.at_once * _bits(e.buffer_depth),
        f"{name}: bits of words": e.at_once * e.buffer_width,
        f"{name}: bits of registers": e.at_once * e.buffer_width - _buffer_registers(e, family),
        f"{name}: bits of padded words": e.at_once * e.buffer_width * e.padded,
        **{f"{name}: {key}": value for key, value in memory.items()},
    }


def _join_front(join: JoinSummary, family: Family) -> Terms:
    found: Terms = {"joins: LUTs": join.front_luts, "joins: flip-flops": join.front_ffs}
    for depth, width in join.memories:
        for name, value in _memory(depth, width, family, "auto").items():
            found[f"buffer: {name}"] = found.get(f"buffer: {name}", 0) + value
    return found


def array(e: EngineSummary, family: Family) -> Terms:
    """Return the terms of the array, with its ROM and the thresholds that it compares with.

    Raises
    ------
    TypeError
        If there is no entry in `ARRAYS` for layers of this kind.
    """
    if e.join is not None:
        return _joined(e.join, family)
    if e.kind not in ARRAYS:
        raise TypeError(f"no resources are known of the array of a layer of kind {e.kind!r}")
    return ARRAYS[e.kind](e, family)


def _joined(join: JoinSummary, family: Family) -> Terms:
    memories = StorageChoice(family)
    taken = [memories.takes(*words, None) for words in join.roms]
    return {
        "joins: LUTs": join.array_luts,
        "joins: flip-flops": join.array_ffs,
        "joins, ROMs: LUTs": sum(luts for luts, _ in taken),
        f"{WHOLE}ROM blocks": sum(blocks for _, blocks in taken),
    }


def streams(e: EngineSummary, family: Family) -> Terms:
    """Return the terms of the forks and queues of an engine's streams, and of their memories.

    Gearboxes beside that of the first port have terms of their own, see `gearboxes`.
    """
    luts, ffs = extra_counts(e.streams)
    found: Terms = {"joins: LUTs": luts, "joins: flip-flops": ffs}
    for stream in e.streams:
        if stream.queue > 1:
            memory = _memory(stream.queue, stream.width, family, stream.ram)
            found["queue: memory"] = found.get("queue: memory", 0) + memory.get("memory", 0)
    return found


def gearboxes(e: EngineSummary) -> Terms:
    """Return the terms of all gearboxes before an engine."""
    boxes = [stream.gearbox for stream in e.streams] or [e.gearbox]
    found: Terms = {}
    for box in boxes:
        for name, value in gearbox(box).items():
            found[name] = found.get(name, 0) + value
    return found


def _pool(e: EngineSummary, family: Family) -> Terms:
    return {e.kind: 1, f"{e.kind}: bits": e.pe * (e.acc_bits or e.act_bits)}


def _weights(e: EngineSummary, family: Family) -> Terms:
    """Return the terms of a memory of weights of more than one word."""
    luts, blocks = StorageChoice(family).takes(e.rom_depth, e.rom_width, e.rom)
    spread = 0 if blocks else _spread(e.rom_depth, e.rom_width, family)
    return {
        # With n words there are at most 2**n different columns of bits; the tools merge equal ones.
        "ROM: bits of registers": min(e.rom_width, 1 << min(e.rom_depth, 32)),
        f"ROM of {_kind(e.rom_depth, blocks)}: LUTs": luts,
        f"{WHOLE}ROM blocks": blocks,
        f"{WHOLE}bits of ROM blocks": e.rom_width * (blocks > 0),
        f"{WHOLE}bits of large ROMs of LUTs": spread,
    }


def _far(e: EngineSummary, family: Family) -> float:
    """Return the flip-flops that far tiles of the weights need."""
    registers, cycles = StorageChoice(family).far_registers(e.rom_depth, e.rom_width, e.rom)
    # Far tiles answer later, so the activations need registers to wait for their weights.
    return registers + cycles * e.at_once * e.simd * e.act_bits


def _mac(e: EngineSummary, products: Products, family: Family) -> Terms:
    """Return the terms of an array of multipliers."""
    sums, bits, width = e.pe * e.at_once, e.act_bits, products.weight_bits
    lanes, multiplier = e.block_lanes, products.multiplier
    own = lanes * product_luts(bits, width) * (multiplier == "logic")
    found: Terms = {
        "array": 1,
        "array: bits of sums": sums * e.acc_bits,
        "products: bits of sums": sums * e.acc_bits,
        "products: LUTs": sums * own,
        "products: bits of adders": sums * adder_bits(lanes, bits, width),
        f"products of {multiplier}: flip-flops": sums
        * product_registers(lanes, bits, width, multiplier),
        "array: bits of copies": e.at_once * e.simd * bits,
        f"{WHOLE}chains": sums * (1 + lanes),
    }
    if e.rom_depth > 1:
        found |= _weights(e, family)
        found[FAR] = _far(e, family)
    if e.reduction <= lanes:
        found[f"{SPARED}bits of sums"] = sums * e.acc_bits
    return found


def _gather(e: EngineSummary, family: Family) -> Terms:
    """Return the terms of an array that selects entries of tables and adds them."""
    assert e.lookups is not None
    found: Terms = {
        "gather": 1,
        "gather: bits of sums": e.pe * e.acc_bits,
        "gather: bits of words": e.simd * e.act_bits,
        **_lookup_terms(e.lookups, e.pe, e.simd, e.act_bits, family),
        f"{WHOLE}chains": e.pe * e.simd // e.lookups.words,
    }
    if e.rom_depth > 1:
        found |= _weights(e, family)
        found[FAR] = _far(e, family)
    return found


def _lookup_terms(lookups: Lookups, pe: int, simd: int, bits: int, family: Family) -> Terms:
    """Return the terms of the multiplexers and adders of lookups.

    Multiplexers are counted in two-way ones. A LUT of six inputs holds three of them, one of four
    inputs holds one.
    """
    tables, levels = simd // lookups.words, lookups.index_bits
    each = lookups.words - 1 if family.lut_inputs == 4 else ceil((lookups.words - 1) / 3)
    stages = register_count(levels)
    flops = 0
    for k in range(1, stages + 1):
        level = ceil(k * levels / stages)
        flops += ceil(lookups.words / (1 << level)) * bits + levels - level
    added = adder_bits(tables, bits, 0)
    return {
        "gather: multiplexers": pe * tables * each * bits,
        "gather: bits of adders": pe * added,
        "gather: flip-flops": pe * (tables * flops + added * (tables > 1) / 2),
    }


def _edges(e: EngineSummary, edges: EdgeSums, family: Family) -> Terms:
    """Return the terms of an array whose weights are sums of edges."""
    sums, number, codes = e.pe * e.at_once, edges.number, e.simd * e.act_bits
    width = ternary_width(edges.lanes, e.act_bits)
    part = replace(e, simd=edges.lanes, blocks=1)
    found: Terms = {
        "array": 1,
        "array: bits of sums": sums * e.acc_bits,
        **{name: sums * number * value for name, value in beat(part).items()},
        "products: LUTs": sums * number * product_luts(width, edges.factor_bits),
        "products: bits of adders": sums * adder_bits(number, width, edges.factor_bits),
        "products of logic: flip-flops": sums
        * product_registers(number, width, edges.factor_bits, "logic"),
        "array: bits of copies": e.at_once * codes * edges.edges,
        f"{WHOLE}chains": sums * (1 + number * (1 + e.weight_planes)),
    }
    if edges.edges > 1 and edges.frames:
        settings = (StreamSummary(None, edges.frames, edges.edges - 1),)
        luts, ffs = extra_counts(settings)
        found |= {"joins: LUTs": luts, "joins: flip-flops": ffs}
    if e.form == "recoded":
        found["array: lanes recoded"] = e.at_once * codes * edges.edges
    if e.rom_depth > 1:
        found |= _weights(e, family)
        found[FAR] = _far(e, family)
    if e.reduction <= e.block_lanes:
        found[f"{SPARED}bits of sums"] = sums * e.acc_bits
    return found


def array_dsps(e: EngineSummary, family: Family) -> int:
    """Return the DSP blocks of an array."""
    if e.products is None or e.products.multiplier != "dsp" or family.dsp is None:
        return 0
    number = e.pe * e.block_lanes * e.at_once
    return ceil(number * family.dsp.blocks(e.act_bits, e.products.weight_bits))


def _dot(e: EngineSummary, family: Family) -> Terms:
    if e.products is not None:
        return _mac(e, e.products, family)
    if e.edges is not None:
        return _edges(e, e.edges, family)
    sums = e.pe * e.at_once
    found: Terms = {
        "array": 1,
        "array: bits of sums": sums * e.acc_bits,
        **{name: sums * value for name, value in beat(e).items()},
    }
    memories = StorageChoice(family)
    if e.rom_depth > 1 and e.form != stored.FORM:
        found |= _weights(e, family)
    if e.threshold_levels and not e.tail_bits:
        luts, blocks = threshold_rom(e, family)
        found |= {
            f"thresholds, ROM of {_kind(e.threshold_rows, blocks)}: LUTs": luts,
            "thresholds: bits": sums * e.threshold_levels * e.acc_bits,
            "thresholds: bits of codes": sums * e.out_bits,
        }
        found[f"{WHOLE}bits of large ROMs of LUTs"] = found.get(
            f"{WHOLE}bits of large ROMs of LUTs", 0
        ) + (0 if blocks else _spread(e.threshold_rows, sum(e.threshold_words), family))
    if e.at_once > 1:
        found["array: bits of sums that turn"] = sums * e.acc_bits
        # With windows one column wide no sum ever turns, which the tools see in a whole design.
        found[f"{SPARED}bits of sums that turn"] = sums * e.acc_bits * (e.kernel[1] == 1)
    codes = e.simd * e.act_bits
    if e.rom_depth > 1 and e.form != stored.FORM:
        found[FAR] = _far(e, family)
    if e.threshold_levels and e.threshold_rows > 1 and not e.tail_bits:
        width = sum(e.threshold_words)
        found[FAR] = (
            found.get(FAR, 0) + memories.far_registers(e.threshold_rows, width, e.threshold_rom)[0]
        )
    if e.form == "recoded":
        found["array: lanes recoded"] = e.at_once * codes
    pe = e.pe // e.blocks
    groups = ceil(pe / copies.group(pe, codes // e.blocks, family.fabric))
    found["array: bits of copies"] = e.at_once * codes * groups
    found[f"{WHOLE}chains"] = sums * (1 + (e.weight_planes - e.masked) * e.act_bits)
    if e.reduction <= e.block_lanes:
        # Every beat is the first of its reduction, so nothing is accumulated.
        found[f"{SPARED}bits of sums"] = sums * e.acc_bits
    return found


ARRAYS: dict[str, Callable[[EngineSummary, Family], Terms]] = {
    "conv": _dot,
    "gather": _gather,
    "maxpool": _pool,
    "sumpool": _pool,
}
"""Functions that compute the terms of an array, by the kind of its layer."""


def beat(e: EngineSummary) -> Terms:
    """Return the terms of one sum of a beat's products, see `xnorflow_hw.fabric.beat`."""
    planes, simd = e.weight_planes - e.masked, e.block_lanes
    # Where weights are stored in the LUTs of the sums, a mask costs nothing.
    masked = e.masked and e.form != stored.FORM
    form = (MASKED if masked else "") + e.form + (CONSTANT if e.rom_depth == 1 else "")
    if e.form == "add":
        terms, bits = planes, xnor_sum.width_for(simd, e.act_bits)
        own = {
            "lanes": simd * e.act_bits,
            "adders": xnor_sum.adder_bits(simd, e.act_bits),
            # With a single lane, the operands of adders have to be complemented here.
            "bits of a single lane": e.act_bits * (simd == 1),
        }
    else:
        # If SIMD is a power of two, one lane goes to the carry input of the accumulator.
        terms = planes * e.act_bits
        spared = terms == 1 and simd > 1 and simd & (simd - 1) == 0 and e.form != stored.FORM
        counted = simd - spared
        bits = counted.bit_length()
        own = {"lanes": simd, "bits of counts": bits, "adders": counted - bits}
    return {
        **{f"{form}: {name}": terms * value for name, value in own.items()},
        "array: bits of sums of counts": (terms - 1) * (bits + 1),
    }


def _spread(depth: int, width: int, family: Family) -> int:
    """Return the bits of a ROM of LUTs that takes more LUTs in a flat design than by itself.

    In a flat design with six-input LUTs, Yosys no longer finds the LUTs that hold whole columns.
    """
    return depth * width * (family.lut_inputs == 6 and depth > SPREAD)


def _kind(depth: int, blocks: int) -> str:
    """Return the kind of a ROM's storage, as it stands in the names of terms."""
    return "blocks" if blocks else "few words" if depth <= FEW else "many words"


def tail(e: EngineSummary, family: Family) -> Terms:
    """Return the terms of the tails that the array does not compute."""
    found = {} if e.computed is None else _computed(e, e.computed, family)
    if not e.tail_bits:
        return found
    if not e.threshold_levels:
        return {"tails": 1, "tails: bits": e.tail_bits, **found}
    return {**_searches(e, family), **found}


def _computed(e: EngineSummary, tail: ComputedCodes, family: Family) -> Terms:
    """Return the terms of a tail that computes codes."""
    lanes, memories = e.pe * e.at_once, StorageChoice(family)
    luts, blocks = memories.takes(tail.rows, tail.word_bits, tail.rom)
    each, own = memories.takes(tail.late_depth, 1, tail.late_rom) if tail.late_depth else (0, 0)
    return {
        "computed codes: LUTs": lanes * tail.lane_luts,
        "computed codes: flip-flops": lanes * tail.lane_ffs,
        "computed codes, ROMs: LUTs": luts + lanes * each,
        f"{WHOLE}ROM blocks": blocks + lanes * own,
    }


def computed_blocks(tail: ComputedCodes, e: EngineSummary, family: Family) -> int:
    """Return the blocks of RAM of an engine's tail that computes codes."""
    return int(_computed(e, tail, family)[f"{WHOLE}ROM blocks"])


def _searches(e: EngineSummary, family: Family) -> Terms:
    """Return the terms of a tail that searches for codes."""
    lanes, memories = e.pe * e.at_once, StorageChoice(family)
    found: Terms = {"shared ROM: LUTs": 0, "own ROMs: LUTs": 0, "bits chosen": 0}
    for step, width in enumerate(e.threshold_words):
        luts, blocks = memories.takes(e.threshold_rows, width, e.threshold_rom)
        if step and not blocks:
            # Every lane has its own memory, which the bits of its code found so far also address.
            each = rom_luts(e.threshold_rows << step, 1, family.lut_inputs)
            found["own ROMs: LUTs"] += e.at_once * each * width / (1 << step)
        else:
            found["shared ROM: LUTs"] += luts
            found["bits chosen"] += e.at_once * width * (1 - 1 / (1 << step))
    # A comparison with a constant threshold takes fewer LUTs.
    name = "searches" + (CONSTANT if e.threshold_rows == 1 else "")
    return {
        f"{name}: bits": lanes * e.out_bits * (e.acc_bits or e.act_bits),
        f"{name}: bits of codes": lanes * e.out_bits,
        **{f"searches, {key}": value for key, value in found.items()},
        f"{WHOLE}ROM blocks": threshold_rom(e, family)[1],
        f"{WHOLE}chains": lanes * e.out_bits,
    }


def threshold_rom(e: EngineSummary, family: Family) -> tuple[float, int]:
    """Return the LUTs and the blocks of RAM of the memories of thresholds.

    An array that compares by itself has one memory; a tail has one for each step of its search.
    """
    if not e.threshold_levels:
        return 0, 0
    return _roms(e.threshold_rows, e.threshold_words, e.threshold_rom, family)


@lru_cache(1 << 14)
def _roms(
    rows: int, words: tuple[int, ...], rom: RomSpec | None, family: Family
) -> tuple[float, int]:
    """Return the LUTs and the blocks of RAM of memories with `rows` words of so many bits.

    It is kept, because foldings that differ in their inputs at once only have the same thresholds.
    """
    memories = StorageChoice(family)
    found = [memories.takes(rows, width, rom) for width in words if width]
    return sum(luts for luts, _ in found), sum(blocks for _, blocks in found)


def queue(e: EngineSummary, family: Family) -> Terms:
    """Return the terms of the queue behind the array."""
    width = e.pe * e.out_bits * e.at_once
    name = "queue" if e.at_once == 1 else "pixel queue"
    if family.lutram_shapes or e.queue_depth == 1:
        contents = _memory(e.queue_depth, width, family, "distributed")
    else:
        contents = {"stored bits": width * e.queue_depth}
    return {
        name: 1,
        f"{name}: bits of addresses": _bits(e.queue_depth),
        f"{name}: bits of words": width,
        **{f"{name}: {key}": value for key, value in contents.items()},
    }


def gearbox(box: GearboxSpec | None) -> Terms:
    """Return the terms of a gearbox."""
    if box is None or box.kind == "wires":
        return {}
    wide, narrow = max(box.lanes_in, box.lanes_out), min(box.lanes_in, box.lanes_out)
    name = f"gearbox {box.kind}"
    if box.kind != "barrel":
        return {name: 1, f"{name}: bits": box.bits * wide, f"{name}: parts": ceil(wide / narrow)}
    size = wide + narrow - 1
    rest_in, rest_out = box.group_in % box.lanes_in, box.group_out % box.lanes_out
    # Beats start at multiples of the divisor, so there are this many places where one can start.
    levels = box.lanes_out / gcd(wide, narrow, rest_in, rest_out)
    beats = box.group_in / box.lanes_in, box.group_out / box.lanes_out
    return {
        f"{name}: bits": box.bits * size,
        f"{name}: bits put": box.bits * box.lanes_in * levels,
        f"{name}: levels": levels,
        f"{name}: bits that move twice": box.bits * (size - rest_out) * (rest_out > 0),
        f"{name}: bits cleared": box.bits
        * ((box.lanes_in - rest_in) * (rest_in > 0) + (box.lanes_out - rest_out) * (rest_out > 0)),
        f"{name}: bits of levels": size.bit_length() + box.lanes_out.bit_length(),
        f"{name}: bits of loops": sum(ceil(n).bit_length() for n in beats),
    }


def engine(e: EngineSummary, family: Family) -> dict[str, Terms]:
    """Return the terms of each component of an engine, by the name of its module."""
    return {
        "gearbox": gearboxes(e),
        **({"streams": streams(e, family)} if e.streams else {}),
        "buffer": buffer(e, family),
        "array": array(e, family),
        "tail": tail(e, family),
        "queue": queue(e, family),
        "glue": {"stage": 1, "stage: bits of credit": _bits(e.queue_depth + 1)},
    }


def scores(unit: ScoreSummary | None, family: Family) -> Terms:
    """Return the terms of the unit of scores."""
    if unit is None:
        return {}
    memories = StorageChoice(family)
    taken = [memories.takes(*memory) for memory in unit.memories]
    return {
        "scores: LUTs": unit.luts,
        "scores: flip-flops": unit.ffs,
        "scores, ROMs: LUTs": sum(luts for luts, _ in taken),
        f"{WHOLE}ROM blocks": sum(blocks for _, blocks in taken),
    }


def ends(d: DesignSummary, family: Family) -> dict[str, Terms]:
    """Return the terms of the components before the first engine and after the last one."""
    return {
        "input": {"input": 1, "input: bits": d.input_bits, "input: bits of tables": d.table_bits},
        "output": gearbox(d.output),
        **({} if d.scores is None else {"scores": scores(d.scores, family)}),
        "top": {"design": 1, "design: bits of scores": d.score_bits, f"{WHOLE}designs": 1},
    }
