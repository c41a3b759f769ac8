"""Builds what works on a stage's windows: the array of the reduction and the tails behind it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from xnorflow_hw.array.affine_tail import AffineTail
from xnorflow_hw.array.baked_array import FORM, BakedArray
from xnorflow_hw.array.dot import DotArray
from xnorflow_hw.array.edges import EdgeArray
from xnorflow_hw.array.gather import GatherArray
from xnorflow_hw.array.joined import JoinedArray
from xnorflow_hw.array.mac import MacArray
from xnorflow_hw.array.pool import MaxArray, SumArray
from xnorflow_hw.array.tail import OffsetTail, TableTail, ThresholdTail
from xnorflow_hw.spec import (
    IN_BLOCKS,
    AffineSpec,
    ArraySpec,
    DotSpec,
    EdgeSpec,
    GatherSpec,
    JoinedSpec,
    MacSpec,
    MaxSpec,
    OffsetSpec,
    SumSpec,
    TableSpec,
    TailSpec,
    ThresholdSpec,
)
from xnorflow_hw.spec.borders import ConstantSets
from xnorflow_hw.spec.kinds import Style
from xnorflow_hw.spec.stage_latency import compares

Array = (
    DotArray | BakedArray | EdgeArray | MacArray | GatherArray | MaxArray | SumArray | JoinedArray
)
AnyTail = ThresholdTail | AffineTail | OffsetTail | TableTail
Tails = list[AnyTail]


@dataclass(frozen=True)
class Compared:
    """What an array compares its sums with, in place of its first tail.

    Parameters
    ----------
    tail : ThresholdSpec
        That tail.
    sets : ConstantSets
        Which set of its thresholds each window of a group has.
    """

    tail: ThresholdSpec
    sets: ConstantSets


def engine(
    array: ArraySpec,
    tails: Sequence[TailSpec],
    *,
    rows: int,
    sets: ConstantSets,
    style: Style,
    name: str,
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
    sets : ConstantSets
        Which set of constants each window of a group has.
    style : {"amaranth", "verilog"}
        Whether large memories and arithmetic are Verilog modules.
    name : str
        Prefix of the memories' names.

    Returns
    -------
    array : Array
        The array, which compares with the thresholds itself if `compares`.
    tails : list of ThresholdTail, AffineTail, OffsetTail or TableTail
        The tails that remain.

    Raises
    ------
    ValueError
        If a tail does not have one row of constants for each of `rows`.
    """
    for tail in tails:
        if tail.rows != rows:
            raise ValueError(
                f"a tail of {name!r} has constants for {tail.rows} rows; its buffer needs {rows}"
            )
    bits, start = array.out_bits, 0
    compared = None
    if compares(array, tails):
        assert isinstance(tails[0], ThresholdSpec)
        compared, bits, start = Compared(tails[0], sets), 1, 1
    built: Tails = []
    for index, tail in enumerate(tails[start:], start):
        suffix = f"_{index}" if index else ""
        options = {
            "pe": array.lanes_out,
            "acc_bits": bits,
            "pixels": array.pixels,
            "sets": sets.windows,
            "style": style,
            "name": f"{name}_tail{suffix}",
            "rom": tail.rom.storage,
        }
        built.append(TAILS[type(tail)](tail, options))
        bits = tail.out_bits
    return ARRAYS[type(array)](array, rows, compared, style, name), built


def _dot(
    spec: DotSpec, rows: int, compared: Compared | None, style: Style, name: str
) -> DotArray | BakedArray:
    if spec.form == FORM:
        if spec.blocks > 1:
            raise ValueError(f"blocks is {spec.blocks}; form {FORM!r} needs one block")
        return BakedArray(
            weights=spec.weights[0, 0],
            acc_bits=spec.acc_bits,
            rows=rows,
            thresholds=compared.tail.thresholds[0, :, 0] if compared else None,
            style=style,
            name=f"{name}_weights",
        )
    return DotArray(
        pe=spec.pe,
        simd=spec.simd,
        bits=spec.bits,
        coefficients=spec.coefficients,
        weights=spec.weights,
        acc_bits=spec.acc_bits,
        rows=rows,
        thresholds=compared.tail.thresholds[:, :, 0] if compared else None,
        sets=compared.sets if compared else None,
        start_rom=compared.tail.rom if compared else IN_BLOCKS,
        pixels=spec.pixels,
        turn=spec.turn,
        lanes=spec.lanes,
        blocks=spec.blocks,
        masked=spec.masked,
        form=spec.form,
        fabric=spec.fabric,
        rom=spec.rom,
        style=style,
        name=f"{name}_weights",
    )


def _edges(
    spec: EdgeSpec, rows: int, compared: Compared | None, style: Style, name: str
) -> EdgeArray:
    return EdgeArray(spec, rows=rows, style=style, name=f"{name}_weights")


def _mac(spec: MacSpec, rows: int, compared: Compared | None, style: Style, name: str) -> MacArray:
    return MacArray(spec, rows=rows, style=style, name=f"{name}_weights")


def _gather(
    spec: GatherSpec, rows: int, compared: Compared | None, style: Style, name: str
) -> GatherArray:
    return GatherArray(spec, rows=rows, style=style, name=f"{name}_weights")


def _max(spec: MaxSpec, rows: int, compared: Compared | None, style: Style, name: str) -> MaxArray:
    return MaxArray(lanes=spec.lanes, bits=spec.bits, minimum=spec.minimum)


def _sum(spec: SumSpec, rows: int, compared: Compared | None, style: Style, name: str) -> SumArray:
    return SumArray(lanes=spec.lanes, bits=spec.bits, out_bits=spec.out_bits, rows=rows)


def _joined(
    spec: JoinedSpec, rows: int, compared: Compared | None, style: Style, name: str
) -> JoinedArray:
    return JoinedArray(spec, rows=rows, style=style, name=name)


ARRAYS: dict[type[ArraySpec], Callable[..., Array]] = {
    DotSpec: _dot,
    EdgeSpec: _edges,
    MacSpec: _mac,
    GatherSpec: _gather,
    MaxSpec: _max,
    SumSpec: _sum,
    JoinedSpec: _joined,
}
"""What builds the array of each spec."""


def _threshold(spec: ThresholdSpec, options: dict[str, Any]) -> ThresholdTail:
    return ThresholdTail(thresholds=spec.thresholds, **options)


def _affine(spec: AffineSpec, options: dict[str, Any]) -> AffineTail:
    bits = options.pop("acc_bits")
    if bits != spec.acc_bits:
        raise ValueError(f"values of {bits} bits do not fit a tail for {spec.acc_bits} bits")
    return AffineTail(spec, **options)


def _offset(spec: OffsetSpec, options: dict[str, Any]) -> OffsetTail:
    return OffsetTail(
        multiply=spec.multiply,
        shift=spec.shift,
        offset=spec.offset,
        out_bits=spec.out_bits,
        **options,
    )


def _table(spec: TableSpec, options: dict[str, Any]) -> TableTail:
    return TableTail(table=spec.table, out_bits=spec.out_bits, **options)


TAILS: dict[type[TailSpec], Callable[..., AnyTail]] = {
    ThresholdSpec: _threshold,
    AffineSpec: _affine,
    OffsetSpec: _offset,
    TableSpec: _table,
}
"""What builds the tail of each spec."""
