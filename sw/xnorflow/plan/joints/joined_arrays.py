"""Describe the arrays of joints: constants that turn the codes of maps into those of the result.

A map's values are ``x = lo + step * u``, so a sum of values times factors is a sum of codes times
other factors, plus a constant; and so are maxima and copies. The result is a code of the joint's
own alphabet, whose step divides all of these factors.
"""

from __future__ import annotations

from math import gcd

import numpy as np

from xnorflow import ir
from xnorflow.plan.joints.fronts import held
from xnorflow.plan.joints.joint import Joint
from xnorflow.plan.tail_constants import Affine
from xnorflow.plan.weight_words import per_lane
from xnorflow_hw import spec
from xnorflow_hw.spec.arrays import JoinedOp


def codes(joint: Joint) -> Affine:
    """Return the meaning of codes of the joint's alphabet."""
    a = joint.out.alphabet
    return Affine(a.step, 1, np.full((1, joint.out.channels), a.lo, np.int64))


def _step(a: ir.Alphabet) -> int:
    """Return the distance of values; 0 if there is one only, as its code is always 0."""
    return a.step if a.levels > 1 else 0


def _by_beat(constants: ir.Ints, lanes: int) -> ir.Ints:
    """Return constants [..., channels, ports] as [rows, ports, lanes], one row if all are equal."""
    flat = constants.reshape(-1, *constants.shape[-2:])
    if (flat == flat[:1, :1]).all():
        return np.broadcast_to(flat[0, 0][:, None], (1, flat.shape[-1], lanes)).copy()
    if (flat == flat[:1]).all():
        flat = flat[:1]
    rows = [per_lane(pixel, lanes).swapaxes(1, 2) for pixel in flat]
    return np.concatenate(rows)


def _joined(
    joint: Joint, lanes: int, op: JoinedOp, factors: ir.Ints, offsets: ir.Ints, bits: int
) -> spec.JoinedSpec:
    """Return an array with factors and offsets [..., channels, ports]."""
    return spec.JoinedSpec(
        op,
        tuple(f.alphabet.bits for f in joint.inputs),
        _by_beat(factors, lanes),
        _by_beat(offsets, lanes),
        bits,
        held(joint) if op != "copy" else (False,) * len(joint.inputs),
    )


def _scaled(joint: Joint, multiply: ir.Ints) -> tuple[ir.Ints, ir.Ints]:
    """Return factors of the codes of all ports and their constants, int64 [channels, ports].

    `multiply` are the factors of the values, int64 [ports, 1 or channels].
    """
    wide = np.broadcast_to(multiply, (len(joint.inputs), joint.out.channels))
    steps = np.array([_step(f.alphabet) for f in joint.inputs])[:, None]
    lows = np.array([f.alphabet.lo for f in joint.inputs])[:, None]
    return (wide * steps).T, (wide * lows).T


def added_array(joint: Joint, lanes: int) -> tuple[spec.JoinedSpec, Affine]:
    """Return the array of an `Add`, and the meaning of its codes."""
    layer, a = joint.layer, joint.out.alphabet
    assert isinstance(layer, ir.Add)
    factors, offsets = _scaled(joint, layer.multiply)
    offsets[:, 0] -= a.lo
    # Each port alone may have a constant that the step does not divide.
    offsets[:, 0], offsets[:, 1:] = offsets.sum(1), 0
    return _joined(joint, lanes, "sum", factors // a.step, offsets // a.step, a.bits), codes(joint)


def extreme_array(joint: Joint, lanes: int) -> tuple[spec.JoinedSpec, Affine]:
    """Return the array of a `Maximum`, and the meaning of its codes."""
    layer, a = joint.layer, joint.out.alphabet
    assert isinstance(layer, ir.Maximum)
    factors, offsets = _scaled(joint, layer.multiply)
    op: JoinedOp = "minimum" if layer.minimum else "maximum"
    made = _joined(joint, lanes, op, factors // a.step, (offsets - a.lo) // a.step, a.bits)
    return made, codes(joint)


def product_array(joint: Joint, lanes: int) -> tuple[spec.JoinedSpec, Affine]:
    """Return the array of a `Multiply`, and the meaning of its values.

    A value is the product in two's complement, less common factors of each map. A tail has to make
    codes of it where some products are negative.
    """
    a, b = (f.alphabet for f in joint.inputs)
    shared = [max(1, gcd(x.lo, _step(x))) for x in (a, b)]
    shape = (joint.out.channels, 2)
    factors = np.broadcast_to([_step(x) // g for x, g in zip((a, b), shared, strict=True)], shape)
    offsets = np.broadcast_to([x.lo // g for x, g in zip((a, b), shared, strict=True)], shape)
    numerator, out = shared[0] * shared[1], joint.out.alphabet
    low, high = out.lo // numerator, out.hi // numerator
    bits = max(1, (high - min(low, 0)).bit_length())
    made = _joined(joint, lanes, "product", factors, offsets, bits)
    return made, Affine(numerator, 1, np.zeros((1, joint.out.channels), np.int64))


def copy_array(joint: Joint, lanes: int) -> tuple[spec.JoinedSpec, Affine]:
    """Return the array that copies codes into the joint's alphabet, and their meaning."""
    a, ports = joint.out.alphabet, len(joint.inputs)
    factors, offsets = (
        np.array([constant(f.alphabet) for f in joint.inputs]).reshape(1, ports)
        for constant in (lambda f: _step(f) // a.step, lambda f: (f.lo - a.lo) // a.step)
    )
    return _joined(joint, lanes, "copy", factors, offsets, a.bits), codes(joint)


def constant_array(joint: Joint, lanes: int) -> tuple[spec.JoinedSpec, Affine]:
    """Return the array of an `AddMap`, and the meaning of its codes."""
    layer, a, inp = joint.layer, joint.out.alphabet, joint.inp.alphabet
    assert isinstance(layer, ir.AddMap)
    values = np.broadcast_to(layer.values, joint.out.shape)[..., None]
    factors = np.full((joint.out.channels, 1), _step(inp) // a.step)
    offsets = (inp.lo + values - a.lo) // a.step
    return _joined(joint, lanes, "sum", factors, offsets, a.bits), codes(joint)


def code_tail(meaning: Affine, out: ir.Features, lanes: int) -> spec.OffsetSpec:
    """Return the tail that makes codes of an alphabet of the values of a product.

    Parameters
    ----------
    meaning : Affine
        Meaning of the values, which are in two's complement.
    out : Features
        Map whose codes are wanted.
    lanes : int
        Values that come at once.
    """
    a = out.alphabet
    # A map of a single value has a step of 1, whatever the factors.
    step, low = max(1, a.step // meaning.numerator), a.lo // meaning.numerator
    shift = (step & -step).bit_length() - 1
    # A multiple of an odd number is divided by it, in some bits, by a product with its inverse.
    inverse = pow(step >> shift, -1, 1 << a.bits)
    offset = np.full(out.channels, -low * inverse, np.int64)
    return spec.OffsetSpec(inverse, per_lane(offset, lanes), shift, a.bits)
