"""Builds what works on a stage's windows: the array of the reduction and the tails behind it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from xnorflow_hw.array.baked_array import FORM, BakedArray
from xnorflow_hw.array.dot import DotArray
from xnorflow_hw.array.pool import MaxArray, SumArray
from xnorflow_hw.array.tail import OffsetTail, TableTail, ThresholdTail
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
from xnorflow_hw.spec.kinds import Style
from xnorflow_hw.spec.latency import compares

Array = DotArray | BakedArray | MaxArray | SumArray
Tails = list[ThresholdTail | OffsetTail | TableTail]


def engine(
    array: ArraySpec, tails: Sequence[TailSpec], *, rows: int, style: Style, name: str
) -> tuple[Array, Tails]:
    """Build the array and the tails that it needs; together they take `engine_latency` cycles.

    Parameters
    ----------
    array : ArraySpec
        Spec of the array.
    tails : sequence of TailSpec
        Specs of the tails, in order.
    rows : int
        Number of values of the buffer's `o_row`.
    style : {"amaranth", "verilog"}
        Whether large memories and arithmetic are Verilog modules.
    name : str
        Prefix of the memories' names.

    Returns
    -------
    array : DotArray, BakedArray, MaxArray or SumArray
        The array, which compares with the thresholds itself if `compares`.
    tails : list of ThresholdTail, OffsetTail or TableTail
        The tails that remain.

    Raises
    ------
    ValueError
        If a tail does not have one row of constants for each of `rows`.
    """
    pixels = array.pixels if isinstance(array, DotSpec) else 1
    for tail in tails:
        if (given := len(_constants(tail))) != rows:
            raise ValueError(
                f"a tail of {name!r} has constants for {given} rows; its buffer needs {rows}"
            )
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
            "rom": tail.rom.storage,
        }
        built.append(_tail(tail, options))
        bits = tail.out_bits
    return _array(array, rows, compared, style, name), built


def _array(
    spec: ArraySpec, rows: int, compared: ThresholdSpec | None, style: Style, name: str
) -> Array:
    """Build the array, with the thresholds that it compares with, if any."""
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
    """Return the constants of a tail, an array whose first axis is rows."""
    match spec:
        case ThresholdSpec():
            return spec.thresholds
        case OffsetSpec():
            return spec.offset
        case TableSpec():
            return spec.table


def _tail(spec: TailSpec, options: dict[str, Any]) -> ThresholdTail | OffsetTail | TableTail:
    """Build a tail."""
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
