"""Float32 operations behind the last sums as a chain of integer steps.

The grid of each value, a power of two, is the coarsest one that holds all values that the chain
takes there. Whether the integers are the float32 values is not argued but tried: for every integer
that can reach any class.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from xnorflow.graph import ops as g
from xnorflow.graph.quantisers import Floats
from xnorflow.ir import Ints, ScoreStep
from xnorflow.ir.score_steps import MAX_SCORE_BITS, MAX_STEPS, ranges, run
from xnorflow.lower.evaluate import Expression, Reach

_FINEST = 1 << 20
"""An exponent above all others."""


@dataclass(frozen=True, eq=False)
class ScoreChain:
    """Steps from sums to float32 scores, which are integers times ``2 ** exponent``."""

    steps: tuple[ScoreStep, ...]
    exponent: int


@dataclass(frozen=True, eq=False)
class _Operation:
    """A float32 operation: ``x * value`` or ``x + value``, with a value per class."""

    adds: bool
    value: Floats


def find(expression: Expression, reach: Reach) -> ScoreChain | None:
    """Find the chain of an expression, or None where there is none of moderate width.

    Parameters
    ----------
    expression : Expression
        Float32 scores as a function of the sums.
    reach : Reach
        All sums that can occur.
    """
    classes = len(reach.lo)
    operations = _operations(expression, classes)
    if operations is None:
        return None
    grids = _grids(expression, operations, reach)
    if grids is None:
        return None
    units = _integers(np.broadcast_to(expression.unit, (classes,)).astype(object))
    wanted = [_scaled(*units, np.zeros(classes, object), 0, grids[0])]
    at = grids[0]
    if (units[0] == 1).all():
        # Sums that are only counted in another unit need no step.
        wanted, at = [], units[1]
    for operation, grid in zip(operations, grids[1:], strict=True):
        value, exponent = _integers(operation.value.astype(object))
        if operation.adds:
            common = min(at, exponent)
            ones = np.full(classes, 1, object)
            wanted.append(_scaled(ones, at, value, exponent, grid, common=common))
        else:
            wanted.append(_scaled(value, exponent + at, 0 * value, 0, grid))
        at = grid
    steps: list[ScoreStep] = []
    for multiply, add, shift in wanted:
        if shift < 0 or max(int(abs(multiply).max()), int(abs(add).max())) >> MAX_SCORE_BITS:
            return None
        if shift or add.any() or (multiply != 1).any():
            steps.append(ScoreStep(multiply.astype(np.int64), add.astype(np.int64), shift))
    joint = np.full(classes, int(reach.lo.min())), np.full(classes, int(reach.hi.max()))
    found = ScoreChain(tuple(steps), at)
    if not steps or len(steps) > MAX_STEPS:
        return None
    if max(r.bits for r in ranges(steps, *joint)) > MAX_SCORE_BITS:
        return None
    return found if _proved(found, expression, reach) else None


def _proved(chain: ScoreChain, expression: Expression, reach: Reach) -> bool:
    """Return whether the chain gives the float32 score of every integer of every class."""
    for integers in reach.chunks():
        values = expression(integers).astype(np.float64)
        if not np.array_equal(np.ldexp(values, -chain.exponent), run(chain.steps, integers)):
            return False
    return True


def _scaled(
    multiply: Ints, of: int, add: Ints, exponent: int, grid: int, *, common: int | None = None
) -> tuple[Ints, Ints, int]:
    """Return constants and shift of the step ``x * multiply * 2**of + add * 2**exponent``.

    The result is counted in ``2 ** grid``, in between in ``2 ** common``, by default ``2 ** of``.
    """
    common = of if common is None else common
    return multiply << (of - common), add << max(exponent - common, 0), grid - common


def _operations(expression: Expression, classes: int) -> list[_Operation] | None:
    """Return the operations of an expression, or None where one is neither product nor sum."""
    found: list[_Operation] = []
    for op in expression.ops:
        match op:
            case g.MultiplyOp():
                found.append(_Operation(False, op.value))
            case g.AddOp():
                found.append(_Operation(True, op.value))
            case g.SubtractOp(reverse=False):
                found.append(_Operation(True, -op.value))
            case g.SubtractOp():
                found.append(_Operation(False, np.array(-1, np.float32)))
                found.append(_Operation(True, op.value))
            case g.DivideOp() if (abs(np.frexp(op.value)[0]) == 0.5).all():
                found.append(_Operation(False, np.float32(1) / op.value))
            case g.BatchNormOp():
                a, b = op.folded()
                found += [_Operation(False, a), _Operation(True, b)]
            case _:
                return None
    every = [_Operation(o.adds, np.broadcast_to(o.value, (classes,))) for o in found]
    if not all(np.isfinite(o.value).all() for o in every):
        return None
    return [o for o in every if not o.adds or o.value.any()]


def _grids(expression: Expression, operations: list[_Operation], reach: Reach) -> list[int] | None:
    """Return the exponent of the grid of each value that the operations take and give."""
    found = [_FINEST] * (len(operations) + 1)
    for integers in reach.chunks():
        for k, values in enumerate(_values(expression, operations, integers)):
            if not np.isfinite(values).all():
                return None
            found[k] = min(found[k], lowest_bit(values))
    # Where all values are 0, any grid will do.
    return [0 if grid == _FINEST else grid for grid in found]


def _values(
    expression: Expression, operations: list[_Operation], integers: Ints
) -> Iterator[Floats]:
    values = expression.start(integers)
    yield values
    for operation in operations:
        with np.errstate(all="ignore"):
            values = values + operation.value if operation.adds else values * operation.value
        yield values


def lowest_bit(values: Floats) -> int:
    """Return the exponent of the lowest bit that is set in any of some finite float32 values."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    exponent = np.maximum((bits >> 23 & 0xFF).astype(np.int64), 1) - 150
    mantissa = (bits & 0x7FFFFF).astype(np.int64) | np.where(bits >> 23 & 0xFF, 1 << 23, 0)
    place = np.frexp(mantissa & -mantissa)[1] - 1
    return int((exponent + place)[mantissa != 0].min(initial=_FINEST))


def _integers(values: Ints) -> tuple[Ints, int]:
    """Return floats as integers times a power of two, the largest one, and its exponent."""
    ratios = [float(v).as_integer_ratio() for v in values]
    denominator = max(d for _, d in ratios)
    numerators = [n * (denominator // d) for n, d in ratios]
    common = np.gcd.reduce(np.array(numerators, object)) or 1
    extra = (int(common) & -int(common)).bit_length() - 1
    exponent = extra - (denominator.bit_length() - 1)
    return np.array([n >> extra for n in numerators], object), exponent
