"""Signs, quantisers and functions ahead of them, in the many ways in which people write them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from onnx_writer import FLOAT, INT32, INT64, Value, Writer, f32

Way = Callable[[Writer, str, float], str]
"""Writes the sign of a tensor whose values have that usual magnitude."""


def _threshold_values(w: Writer, x: Value, spread: float) -> NDArray[np.float32]:
    """Draw thresholds near 0, one per channel or one; some are whole, so that ties happen."""
    count = x.shape[0] if w.chance(50) else 1
    t = w.rng.normal(0, spread / 3, count)
    t = np.rint(t) if w.chance(60) else np.round(t * 4) / 4
    return w.per_channel(x, t) if count > 1 else f32(t[0])


# Signs: two values, -1 and +1.


def _where_ge(w: Writer, x: str, _: float) -> str:
    return w.where(w.reaches(x, f32(0)), 1, -1)


def _where_gt(w: Writer, x: str, _: float) -> str:
    return w.where(w("Greater", x, f32(0)), 1, -1)


def _where_lt(w: Writer, x: str, _: float) -> str:
    return w.where(w("Less", x, f32(0)), -1, 1)


def _where_not(w: Writer, x: str, _: float) -> str:
    return w.where(w("Not", w("Less", x, f32(0))), 1, -1)


def _cast_floats(w: Writer, x: str, _: float) -> str:
    return w("Sub", w("Mul", f32(2), w.truth(w.reaches(x, f32(0)))), f32(1))


def _cast_integers(w: Writer, x: str, _: float) -> str:
    kind, dtype = w.pick((INT64, np.int64), (INT32, np.int32))
    truth = w("Cast", w("Greater", x, f32(0)), to=kind)
    return w("Cast", w("Sub", w("Mul", truth, np.array(2, dtype)), np.array(1, dtype)), to=FLOAT)


def _difference(w: Writer, x: str, _: float) -> str:
    return w("Sub", w.truth(w.reaches(x, f32(0))), w.truth(w("Less", x, f32(0))))


def _sign_of_sign(w: Writer, x: str, _: float) -> str:
    return w.sign(w("Add", w.sign(x), f32(w.pick(0.1, 0.5, 1e-3))))


def _sign_mended(w: Writer, x: str, _: float) -> str:
    return w("Add", w.sign(x), w.truth(w("Equal", x, f32(0))))


def _sign_where(w: Writer, x: str, _: float) -> str:
    s = w.sign(x)
    return w("Where", w("Equal", s, f32(0)), f32(1), s)


def _clamped_sign(w: Writer, x: str, _: float) -> str:
    return w.clip(w("Add", w("Mul", w.sign(x), f32(2)), f32(1)), -1, 1)


def _both(w: Writer, x: str, _: float) -> str:
    inside = w("And", w.reaches(x, f32(0)), w("Less", x, f32(1e9)))
    return w.where(inside, 1, -1)


def _either(w: Writer, x: str, _: float) -> str:
    outside = w("Or", w("Less", x, f32(0)), w("Greater", x, f32(1e9)))
    return w.where(outside, -1, 1)


def _exclusive(w: Writer, x: str, _: float) -> str:
    odd = w("Xor", w("Less", x, f32(0)), w("Greater", x, f32(1e9)))
    return w.where(w("Not", odd), 1, -1)


def _round_of_clip(w: Writer, x: str, _: float) -> str:
    unit = w("Div", w("Add", w.clip(x, -1, 1), f32(1)), f32(2))
    return w("Sub", w("Mul", w.round(unit), f32(2)), f32(1))


def _floored(w: Writer, x: str, _: float) -> str:
    return w.clip(w("Add", w("Mul", w("Floor", x), f32(2)), f32(1)), -1, 1)


def _min_max(w: Writer, x: str, _: float) -> str:
    twice = w("Sub", w("Mul", w("Ceil", x), f32(2)), f32(1))
    return w("Max", w("Min", twice, f32(1)), f32(-1))


def _of_hardtanh(w: Writer, x: str, spread: float) -> str:
    return _where_ge(w, w.clip(x, -1, 1), spread)


def _of_tanh(w: Writer, x: str, spread: float) -> str:
    return _sign_of_sign(w, w("Tanh", w("Mul", x, f32(1 / spread))), spread)


def _rounded_hard_sigmoid(w: Writer, x: str, _: float) -> str:
    unit = w("HardSigmoid", x, alpha=0.5, beta=0.5)
    return w("Sub", w("Mul", w.round(unit), f32(2)), f32(1))


def _residue(w: Writer, x: str, spread: float) -> str:
    """Write what a straight-through estimator leaves behind."""
    w.tags.add("residue")
    y = _where_ge(w, x, spread)
    t = x if w.chance(30) else w.clip(x, -1, 1)
    again = t if w.chance(50) or t == x else w.clip(x, -1, 1)
    match w.pick(0, 1, 2):
        case 0:
            made = w("Add", w("Sub", y, t), again)
        case 1:
            made = w("Add", again, w("Sub", y, t))
        case _:
            made = w("Sub", w("Add", y, t), again)
    return y if w.twin else made


def _bipolar_quant(w: Writer, x: str, _: float) -> str:
    return w.own("BipolarQuant", x, f32(1))


def _one_bit_quant(w: Writer, x: str, _: float) -> str:
    return w.own("Quant", x, f32(1), f32(0), f32(1), signed=1, narrow=0, rounding_mode="ROUND")


SIGNS: tuple[tuple[Way, int], ...] = (
    (_where_ge, 7),
    (_where_gt, 7),
    (_where_lt, 7),
    (_where_not, 7),
    (_cast_floats, 7),
    (_cast_integers, 7),
    (_difference, 7),
    (_sign_of_sign, 7),
    (_sign_mended, 11),
    (_sign_where, 11),
    (_clamped_sign, 7),
    (_both, 7),
    (_either, 7),
    (_exclusive, 7),
    (_round_of_clip, 11),
    (_floored, 7),
    (_min_max, 8),
    (_of_hardtanh, 7),
    (_of_tanh, 9),
    (_rounded_hard_sigmoid, 11),
    (_residue, 9),
    (_bipolar_quant, 7),
    (_one_bit_quant, 7),
)
"""Each way with the first operator set that has it."""


def sign(w: Writer, x: Value) -> Value:
    """Write the sign of `x`, less a threshold sometimes."""
    ways = [way for way, since in SIGNS if since <= w.opset]
    way = ways[int(w.rng.integers(0, len(ways)))]
    name = x.name
    if w.chance(40):
        name = w(w.pick("Add", "Sub"), name, _threshold_values(w, x, x.size))
    name = way(w, name, x.size)
    w.tags.add(f"sign:{way.__name__.strip('_')}")
    amplitude = 1.0
    if w.chance(20):
        amplitude = float(w.pick(0.5, 2.0, 0.25, 0.3, 1.7))
        name = w("Mul", name, f32(amplitude))
    return replace(x, name=name, size=amplitude, few=True, amplitude=amplitude, whole=False)


# Quantisers of several values.


def _unit(w: Writer, wanted: float) -> float:
    """Draw a scale near that: a power of two mostly, or any float32."""
    if w.chance(65):
        return float(2.0 ** np.round(np.log2(wanted)))
    return float(np.float32(wanted * w.rng.uniform(0.7, 1.4)))


def _dorefa(w: Writer, x: Value) -> Value:
    levels = (1 << int(w.rng.integers(1, 4))) - 1
    y = w("Mul", x.name, f32(_unit(w, 1 / x.size)))
    if w.chance(50):
        y = w("Add", y, f32(0.5))
    y = w("Max", w("Min", y, f32(1)), f32(0)) if w.opset >= 8 and w.chance(40) else w.clip(y, 0, 1)
    y = w.round(w("Mul", y, f32(levels)))
    y = w("Div", y, f32(levels)) if w.chance(60) else w("Mul", y, f32(1 / levels))
    return replace(x, name=y, size=0.6)


def _pact(w: Writer, x: Value) -> Value:
    alpha, levels = _unit(w, x.size), (1 << int(w.rng.integers(1, 4))) - 1
    match w.pick("clip", "absolute", "relu") if w.opset >= 8 else "clip":
        case "clip":
            y = w.clip(x.name, 0, alpha)
        case "absolute":
            far = w("Abs", w("Sub", x.name, f32(alpha)))
            y = w("Mul", w("Add", w("Sub", w("Abs", x.name), far), f32(alpha)), f32(0.5))
        case _:
            y = w("Min", w("Relu", x.name), f32(alpha))
    y = w.round(w("Mul", y, f32(levels / alpha)))
    return replace(x, name=w("Mul", y, f32(alpha / levels)), size=alpha * 0.6)


def _steps(w: Writer, x: Value) -> Value:
    """Write a learned step size: clipped, rounded, scaled."""
    half = 1 << int(w.rng.integers(0, 3))
    low, high = w.pick((-half, half - 1), (-half, half), (0, 2 * half - 1), (0, 2 * half))
    s = _unit(w, 2 * x.size / (2 * half))
    y = w("Div", x.name, f32(s)) if w.chance(60) else w("Mul", x.name, f32(1 / s))
    y = w.round(w.clip(y, low, high)) if w.chance(60) else w.clip(w.round(y), low, high)
    return replace(x, name=w("Mul", y, f32(s)), size=s * half, whole=s == 1)


def _floors(w: Writer, x: Value) -> Value:
    s = _unit(w, x.size / 2)
    y = w("Mul", x.name, f32(1 / s))
    y = w("Floor", w("Add", y, f32(0.5))) if w.chance(60) else w(w.pick("Floor", "Ceil"), y)
    top = int(w.rng.integers(1, 7))
    bottom = -top if w.chance(50) else 0
    if w.opset >= 8 and w.chance(60):
        y = w("Min", w("Max", y, f32(bottom)), f32(top))
    else:
        y = w.clip(y, bottom, top)
    return replace(x, name=y, size=top * 0.6, whole=True)


def _ternary(w: Writer, x: Value) -> Value:
    match w.pick("sign", "where", "truths") if w.opset >= 9 else "truths":
        case "sign":
            y = w("Sign", w(w.pick("Round", "Floor"), x.name)) if w.opset > 10 else w.sign(x.name)
        case "where":
            t = f32(x.size * 0.5)
            low = w("Where", w("Less", x.name, -t), f32(-1), f32(0))
            y = w("Where", w("Greater", x.name, t), f32(1), low)
        case _:
            t = f32(np.rint(x.size * 0.5))
            y = w("Sub", w.truth(w("Greater", x.name, t)), w.truth(w("Less", x.name, -t)))
    return replace(x, name=y, size=0.8, whole=True)


def _bit(w: Writer, x: Value) -> Value:
    match w.pick("cast", "relu", "where", "hard"):
        case "cast":
            y = w.truth(w("Greater", x.name, _threshold_values(w, x, x.size)))
        case "relu":
            y = w("Relu", w.sign(x.name))
        case "where":
            y = w.where(w.reaches(x.name, f32(0)), 1, 0)
        case _:
            y = w("Ceil", w("Sub", w("HardSigmoid", x.name, alpha=0.2, beta=0.5), f32(0.5)))
    return replace(x, name=y, size=0.5, whole=True)


def _truths(w: Writer, x: Value) -> Value:
    """Write a sum of comparisons."""
    count = int(w.rng.integers(2, 5))
    at = np.sort(w.rng.normal(0, x.size / 2, count))
    parts = [w.truth(w("Greater", x.name, f32(np.rint(t * 2) / 2))) for t in at]
    if w.opset >= 8 and w.chance(50):
        y = w("Sum", *parts)
    else:
        y = parts[0]
        for other in parts[1:]:
            y = w("Add", y, other)
    return replace(x, name=y, size=count / 2, whole=True)


def _quant(w: Writer, x: Value) -> Value:
    bits, signed = int(w.rng.integers(2, 5)), w.chance(50)
    s = _unit(w, 2 * x.size / (1 << bits))
    y = w.own(
        "Quant",
        x.name,
        f32(s) if w.chance(50) else f32([s]),
        f32(0 if w.chance(80) else 1),
        f32(bits),
        signed=int(signed),
        narrow=int(w.chance(40)),
        rounding_mode=w.pick("ROUND", "ROUND", "FLOOR", "CEIL"),
    )
    return replace(x, name=y, size=x.size)


def _multi_threshold(w: Writer, x: Value) -> Value:
    count = int(w.rng.integers(1, 8))
    rows = w.pick(1, x.shape[0])
    t = np.sort(np.round(w.rng.normal(0, x.size / 2, (rows, count)) * 2) / 2, axis=1)
    scale, bias = w.pick((1.0, 0.0), (0.5, -1.0), (2.0, -1.0))
    kinds = {} if len(x.shape) == 1 else {"data_layout": "NCHW" if len(x.shape) == 3 else "NCW"}
    y = w.own("MultiThreshold", x.name, f32(t), out_scale=scale, out_bias=bias, **kinds)
    return replace(x, name=y, size=scale * count / 2 + abs(bias))


def _qdq(w: Writer, x: Value) -> Value:
    signed = w.chance(50)
    dtype = np.int8 if signed else np.uint8
    zero = dtype(0 if w.chance(70) else w.rng.integers(-3, 4) if signed else w.rng.integers(0, 9))
    clipped = w.opset >= 12 and w.chance(60)
    s = _unit(w, x.size / (4 if clipped else 40))
    y = w("QuantizeLinear", x.name, f32(s), zero)
    if clipped:
        w.tags.add("QCDQ")
        low, high = w.pick((-4, 3), (-3, 3), (-8, 7)) if signed else w.pick((0, 7), (0, 3), (0, 1))
        y = w("Clip", y, np.array(low, dtype), np.array(high, dtype))
    return replace(x, name=w("DequantizeLinear", y, f32(s), zero), size=x.size)


QUANTISERS: tuple[tuple[Callable[[Writer, Value], Value], int, int], ...] = (
    (sign, 7, 8),
    (_dorefa, 7, 1),
    (_pact, 7, 1),
    (_steps, 7, 2),
    (_floors, 7, 1),
    (_ternary, 7, 1),
    (_bit, 7, 1),
    (_truths, 7, 1),
    (_quant, 7, 2),
    (_multi_threshold, 7, 1),
    (_qdq, 10, 2),
)
"""Each with the first operator set that has it, and how often it is drawn."""


def quantiser(w: Writer, x: Value) -> Value:
    """Write a quantiser, so that a layer may read its values."""
    fits = [(way, often) for way, since, often in QUANTISERS if since <= w.opset]
    often = np.array([o for _, o in fits], float)
    way = fits[int(w.rng.choice(len(fits), p=often / often.sum()))][0]
    w.tags.add(f"quantiser:{way.__name__.strip('_')}")
    made = way(w, x)
    return made if way is sign else replace(made, few=True, amplitude=0.0)


# Functions ahead of a quantiser.


def batch_norm(w: Writer, x: Value) -> Value:
    """Write a batch normalisation; some gammas are negative, some 0."""
    c = x.shape[0]
    gamma = w.rng.normal(0, 1, c) * (w.rng.random(c) > 0.05)
    mean = np.round(w.rng.normal(0, x.size / 2, c) * 2) / 2
    parameters = (gamma, w.rng.normal(0, 0.5, c), mean, w.rng.uniform(0.3, 2, c) * x.size**2)
    more = {"epsilon": w.pick(1e-5, 1e-3)} if w.chance(60) else {}
    y = w("BatchNormalization", x.name, *map(f32, parameters), **more)
    return replace(x, name=y, size=1.0, few=False, amplitude=0.0, whole=False)


def affine(w: Writer, x: Value) -> Value:
    """Write a bias, a factor, or both, for the tensor or per channel."""
    c = x.shape[0]
    match w.pick("add", "mul", "sub", "div", "neg"):
        case "neg":
            return replace(x, name=w("Neg", x.name))
        case "add" | "sub" as way:
            name = w(way.capitalize(), x.name, _threshold_values(w, x, x.size))
            return replace(x, name=name, whole=False)
        case way:
            by = w.rng.uniform(0.2, 2, c) * w.rng.choice([-1, 1], c)
            by = w.per_channel(x, by) if w.chance(60) else f32(by[0])
            return replace(x, name=w(way.capitalize(), x.name, by), whole=False)


def function(w: Writer, x: Value) -> Value:
    """Write a function that floats have, ahead of a quantiser."""
    new = [
        name
        for name, since in (("Erf", 9), ("Celu", 12), ("HardSwish", 14), ("Mish", 18), ("Gelu", 20))
        if since <= w.opset
    ]
    old = "Abs PRelu LeakyRelu HardTanh HardSigmoid Sigmoid Tanh Softsign Relu Elu Selu"
    old += " Softplus SiLU Square Dropout Identity Exp"
    name = w.pick(*old.split(), *new)
    w.tags.add(f"function:{name}")
    if name in ("Sigmoid", "Tanh", "Softsign", "Erf", "Exp", "Softplus", "Mish", "Gelu", "SiLU"):
        # As behind a normalisation, where these are used.
        x = replace(x, name=w("Mul", x.name, f32(_unit(w, 1 / x.size))), size=1.0)
    made = replace(x, few=False, amplitude=0.0, whole=False)
    match name:
        case "PRelu":
            slope = w.rng.uniform(-0.5, 1, x.shape[0])
            shape = w.per_channel(x, slope) if w.chance(60) else f32([slope[0]])
            return replace(
                made, name=w("PRelu", x.name, shape.reshape(shape.shape[-len(x.shape) :]))
            )
        case "LeakyRelu":
            return replace(made, name=w("LeakyRelu", x.name, alpha=float(w.pick(0.01, 0.1, 0.25))))
        case "HardTanh":
            return replace(made, name=w.clip(x.name, -x.size, x.size))
        case "HardSigmoid":
            y = w("HardSigmoid", x.name, alpha=float(_unit(w, 0.5 / x.size)), beta=0.5)
            y = w("Sub", y, f32(0.5)) if w.chance(50) else y
            return replace(made, name=y, size=0.5)
        case "SiLU":
            return replace(made, name=w("Mul", x.name, w("Sigmoid", x.name)))
        case "Square":
            y = w("Mul", x.name, x.name) if w.chance(50) else w("Pow", x.name, f32(2))
            return replace(made, name=y, size=x.size**2)
        case "Dropout":
            more = {"ratio": 0.5} if w.opset < 12 else {}
            return replace(x, name=w("Dropout", x.name, **more))
        case "Identity":
            return replace(x, name=w("Identity", x.name))
        case "Sigmoid" | "Softplus" | "Exp":
            y = w(name, x.name)
            return replace(made, name=w("Sub", y, f32(w.pick(0.5, 0.75, 1.0))), size=0.6)
    return replace(made, name=w(name, x.name))
