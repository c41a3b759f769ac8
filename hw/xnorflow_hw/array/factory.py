"""What works on a stage's windows: the array of its reduction and the tails of its results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xnorflow_hw.array import baked
from xnorflow_hw.array.baked_array import FORM, BakedArray
from xnorflow_hw.array.dot import DotArray, dot_latency
from xnorflow_hw.array.pool import MaxArray, SumArray
from xnorflow_hw.array.tail import (
    OffsetTail,
    TableTail,
    ThresholdTail,
    offset_latency,
    table_latency,
    threshold_latency,
)
from xnorflow_hw.spec import (
    IN_BLOCKS,
    ArraySpec,
    DotSpec,
    MaxSpec,
    OffsetSpec,
    SumSpec,
    TableSpec,
    TailSpec,
    ThresholdSpec,
)

Array = DotArray | BakedArray | MaxArray | SumArray
Tails = list[ThresholdTail | OffsetTail | TableTail]


def array_latency(array: ArraySpec, *, compares: bool = False) -> int:
    """Clock cycles from a reduction's last beat to its result, a code if the array compares."""
    if isinstance(array, DotSpec) and array.form == FORM:
        return baked.latency_for(array.simd, threshold=compares)
    if isinstance(array, DotSpec):
        return dot_latency(
            simd=array.simd,
            bits=array.bits,
            coefficients=array.coefficients,
            depth=len(array.weights),
            form=array.form,
            fabric=array.fabric,
            rom=array.rom,
        )
    return (MaxArray if isinstance(array, MaxSpec) else SumArray).latency


def tail_latency(tail: TailSpec) -> int:
    """Clock cycles of a tail."""
    match tail:
        case ThresholdSpec():
            return threshold_latency(bits=tail.out_bits)
        case OffsetSpec():
            return offset_latency()
        case TableSpec():
            return table_latency()


def compares(array: ArraySpec, tails: Sequence[TailSpec]) -> bool:
    """Whether the array itself gives the codes of the first tail, which is not built then."""
    if not tails or not isinstance(array, DotSpec) or not isinstance(tails[0], ThresholdSpec):
        return False
    rows, _, steps = tails[0].thresholds.shape
    if steps != 1 or tails[0].out_bits != 1:
        return False
    # The memory of several rows takes a cycle; without weights' memory there is none at all.
    return rows == 1 or (array.form != FORM and array_latency(array) > 1)


def engine_latency(array: ArraySpec, tails: Sequence[TailSpec]) -> int:
    """Clock cycles from a reduction's last beat to the last tail's result."""
    compared = compares(array, tails)
    built = tails[1:] if compared else tails
    return array_latency(array, compares=compared) + sum(tail_latency(t) for t in built)


def engine(
    array: ArraySpec, tails: Sequence[TailSpec], *, rows: int, style: str, name: str
) -> tuple[Array, Tails]:
    """Build the array and the tails that it needs; together they take `engine_latency`.

    Parameters
    ----------
    array : ArraySpec
        What to reduce with.
    tails : sequence of TailSpec
        What to do with the results, in order.
    rows : int
        Values of the buffer's `o_row`.
    style : {"amaranth", "verilog"}
        Whether large memories and arithmetic are Verilog modules.
    name : str
        The names of memories start with it.

    Raises
    ------
    ValueError
        If a tail has not as many rows of constants.
    """
    pixels = array.pixels if isinstance(array, DotSpec) else 1
    for tail in tails:
        if (given := len(_constants(tail))) != rows:
            raise ValueError(f"a tail has constants for {given} rows, its buffer gives {rows}")
    bits, start = array.out_bits, 0
    compared = None
    if compares(array, tails):
        assert isinstance(tails[0], ThresholdSpec)
        compared, bits, start = tails[0], 1, 1
    built: Tails = []
    for index, tail in enumerate(tails[start:], start):
        suffix = f"_{index}" if index else ""
        options = {
            "pe": array.lanes_out,
            "acc_bits": bits,
            "pixels": pixels,
            "style": style,
            "name": f"{name}_tail{suffix}",
            "rom": tail.rom.kind,
        }
        built.append(_tail(tail, options))
        bits = tail.out_bits
    return _array(array, rows, compared, style, name), built


def _array(
    spec: ArraySpec, rows: int, compared: ThresholdSpec | None, style: str, name: str
) -> Array:
    match spec:
        case DotSpec() if spec.form == FORM:
            return BakedArray(
                weights=spec.weights[0, 0],
                acc_bits=spec.acc_bits,
                rows=rows,
                thresholds=compared.thresholds[0, :, 0] if compared else None,
                style=style,
                name=f"{name}_weights",
            )
        case DotSpec():
            return DotArray(
                pe=spec.pe,
                simd=spec.simd,
                bits=spec.bits,
                coefficients=spec.coefficients,
                weights=spec.weights,
                acc_bits=spec.acc_bits,
                rows=rows,
                thresholds=compared.thresholds[:, :, 0] if compared else None,
                start_rom=compared.rom if compared else IN_BLOCKS,
                pixels=spec.pixels,
                turn=spec.turn,
                lanes=spec.lanes,
                form=spec.form,
                fabric=spec.fabric,
                rom=spec.rom,
                style=style,
                name=f"{name}_weights",
            )
        case MaxSpec():
            return MaxArray(lanes=spec.lanes, bits=spec.bits, minimum=spec.minimum)
        case SumSpec():
            return SumArray(lanes=spec.lanes, bits=spec.bits, out_bits=spec.out_bits, rows=rows)


def _constants(spec: TailSpec) -> Any:
    match spec:
        case ThresholdSpec():
            return spec.thresholds
        case OffsetSpec():
            return spec.offset
        case TableSpec():
            return spec.table


def _tail(spec: TailSpec, options: dict[str, Any]) -> ThresholdTail | OffsetTail | TableTail:
    match spec:
        case ThresholdSpec():
            return ThresholdTail(thresholds=spec.thresholds, **options)
        case OffsetSpec():
            return OffsetTail(
                multiply=spec.multiply,
                shift=spec.shift,
                offset=spec.offset,
                out_bits=spec.out_bits,
                **options,
            )
        case TableSpec():
            return TableTail(table=spec.table, out_bits=spec.out_bits, **options)
