"""The layer that scales and rounds: its limits, its mirror image, and its way through a file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow import ir
from xnorflow.errors import BadInput
from xnorflow.ir import file as ir_file
from xnorflow.ir.layers import MAX_PRODUCT_BITS
from xnorflow.ir.verify import verify
from xnorflow_sim import golden

LEAST, MOST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


def ints(*values: int) -> ir.Ints:
    return np.array(values, np.int64)


def rescale(**changes: Any) -> ir.Rescale:
    """Two channels of 8 codes."""
    fields: dict[str, Any] = {
        "multiply": ints(3, 5),
        "offset": ints(4, -1),
        "least": ints(0, 2),
        "most": ints(7, 5),
        "shift": 4,
        "alphabet": ir.Alphabet(-3, 2, 8),
    }
    return ir.Rescale("rescale", **(fields | changes))


def network(layer: ir.Layer, alphabet: ir.Alphabet = ir.UINT8) -> ir.IntegerNetwork:
    """Two samples through a layer to two scores."""
    table = ir.InputTable("table", np.zeros((1, 256), np.int64), alphabet)
    return ir.IntegerNetwork(
        "net", (1, 1, 2), (table, layer, ir.Scores("scores", np.zeros(2, np.int64)))
    )


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "factor below 0": ({"multiply": ints(3, -1)}, "a factor is negative"),
    "least factor": ({"multiply": ints(LEAST, 1)}, "a factor is negative"),
    "least below 0": ({"least": ints(-1, 0)}, "bound of its codes"),
    "most above the levels": ({"most": ints(8, 5)}, "bound of its codes"),
    "far bounds": ({"least": ints(LEAST, 0), "most": ints(MOST, 7)}, "bound of its codes"),
    "least above most": ({"least": ints(0, 6)}, "a least code is above"),
    "shift below 0": ({"shift": -1}, "shift of -1 bits"),
    "shift too far": ({"shift": MAX_PRODUCT_BITS}, "shift of 62 bits"),
    "shift of another type": ({"shift": 4.0}, "shift of 4.0 bits"),
    "shift of truth": ({"shift": True}, "shift of True bits"),
    "shift of NumPy": ({"shift": np.int64(4)}, "shift of"),
    "too few factors": ({"multiply": ints(1)}, "do not fit"),
    "too many offsets": ({"offset": ints(1, 2, 3)}, "do not fit"),
    "two axes": ({"multiply": np.ones((2, 1), np.int64)}, "not int64 with 1 axes"),
    "floats": ({"offset": np.ones(2)}, "not int64 with 1 axes"),
    "narrow": ({"most": np.ones(2, np.int32)}, "not int64 with 1 axes"),
    "none": ({"least": ints()}, "not int64 with 1 axes"),
    "wide codes": ({"alphabet": ir.Alphabet(0, 1, (1 << 48) + 1)}, "too wide"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_beyond_a_limit_is_refused_from_memory_and_from_a_file(
    name: str, tmp_path: Path
) -> None:
    changes, why = BAD[name]
    net = network(rescale(**changes))
    with pytest.raises(ValueError, match=f"layer 'rescale': .*{why}"):
        verify(net)
    try:
        ir_file.save(net, tmp_path / "net.npz")
    except (TypeError, ValueError):  # Nothing that a file can hold.
        return
    with pytest.raises(BadInput, match="is not a network that xnorflow wrote"):
        ir_file.load(tmp_path / "net.npz")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"least": ints(0, 0), "most": ints(7, 7)},
        {"least": ints(7, 5), "most": ints(7, 5)},
        {"least": ints(0, 0), "most": ints(0, 0)},
        {"shift": 0},
        {"shift": MAX_PRODUCT_BITS - 1},
        {"multiply": ints(0, 0), "offset": ints(0, 0)},
        {"alphabet": ir.Alphabet(0, 1, 1 << 48)},
    ],
)
def test_what_is_within_the_limits_passes(changes: dict[str, Any]) -> None:
    verify(network(rescale(**changes)))


@pytest.mark.parametrize("lowest", [-255, 0])
def test_products_take_up_to_62_bits(lowest: int) -> None:
    """The value of the greatest magnitude is 255 whatever its sign; 255 does not divide 2**62."""
    alphabet = ir.Alphabet(lowest, 1, 256)
    factor, rest = divmod((1 << MAX_PRODUCT_BITS) - 1, 255)
    for offset in (rest, -rest):
        last = rescale(multiply=ints(1, factor), offset=ints(offset, 0))
        verify(network(last, alphabet))
        beyond = replace(last, offset=last.offset + ints(np.sign(offset), 0))
        with pytest.raises(ValueError, match="more than 62 bits"):
            verify(network(beyond, alphabet))
    with pytest.raises(ValueError, match="more than 62 bits"):
        verify(network(rescale(multiply=ints(1, factor + 1), offset=ints(0, 0)), alphabet))


@pytest.mark.parametrize("extreme", [LEAST, LEAST + 1, MOST])
def test_products_that_would_wrap_do_not_look_small(extreme: int) -> None:
    with pytest.raises(ValueError, match="more than 62 bits"):
        verify(network(rescale(offset=ints(0, extreme))))
    if extreme > 0:
        with pytest.raises(ValueError, match="more than 62 bits"):
            verify(network(rescale(multiply=ints(0, extreme))))


def test_the_shape_is_kept_and_the_alphabet_new() -> None:
    out = rescale().output(ir.Features(4, 5, 2, ir.UINT8))
    assert out == ir.Features(4, 5, 2, ir.Alphabet(-3, 2, 8))
    alive = np.random.default_rng(0).random((4, 5, 2)) < 0.5
    np.testing.assert_array_equal(rescale().depends(alive), alive)
    assert ir.KINDS["rescale"] is ir.Rescale and ir.Rescale.quantises


@st.composite
def layers(draw: Any) -> ir.Rescale:
    """Draw a layer of two channels with values up to 1000."""
    levels = draw(st.integers(1, 40))
    pairs = [sorted(draw(st.tuples(*[st.integers(0, levels - 1)] * 2))) for _ in range(2)]
    (a, b), (c, d) = pairs
    shift = draw(st.integers(0, 20))
    numbers = st.integers(-(40 << shift), 40 << shift)
    multiply = draw(st.tuples(*[st.integers(0, (1 << shift) + 1)] * 2))
    return ir.Rescale(
        "rescale",
        ints(*multiply),
        ints(*draw(st.tuples(numbers, numbers))),
        ints(a, c),
        ints(b, d),
        shift,
        ir.Alphabet(draw(st.integers(-5, 5)), draw(st.integers(1, 3)), levels),
    )


class Turned:
    """Layers before that turn round to ``source - value``."""

    def __init__(self, source: int) -> None:
        self.source = source

    def mirror(self, mask: Any) -> ir.Ints:
        return np.where(mask, self.source, 0).astype(np.int64)

    def features(self) -> ir.Features:
        raise AssertionError("a rescaling asks for nothing but the mirror image")


@given(layers(), st.tuples(st.booleans(), st.booleans()), st.integers(-50, 50))
def test_the_mirror_image_has_the_codes_counted_from_the_other_end(
    layer: ir.Rescale, which: tuple[bool, bool], source: int
) -> None:
    mask = np.array(which)
    turned, mirror = layer.mirrored(mask, Turned(source))
    inp = ir.Features(1, 1, 2, ir.Alphabet(-1100, 1, 2201))
    turned.check(inp)
    x = np.arange(-1000, 1001)[:, None, None, None] * np.ones((1, 1, 1, 2), np.int64)
    a = layer.alphabet
    codes = (golden.apply(layer, x, inp).astype(np.int64) - a.lo) // a.step
    other = golden.apply(turned, np.where(mask, source - x, x), inp).astype(np.int64)
    np.testing.assert_array_equal(
        (other - a.lo) // a.step, np.where(mask, a.levels - 1 - codes, codes)
    )
    np.testing.assert_array_equal(mirror, a.lo + a.hi)
    np.testing.assert_array_equal(other, np.where(mask, mirror - a.values(codes), a.values(codes)))


def test_a_file_keeps_every_field(tmp_path: Path) -> None:
    net = network(rescale(sources=("a", "b")))
    ir_file.save(net, tmp_path / "net.npz")
    read = ir_file.load(tmp_path / "net.npz")
    assert read.digest == net.digest
    layer, made = net.layers[1], read.layers[1]
    assert isinstance(layer, ir.Rescale) and isinstance(made, ir.Rescale)
    for name, value in vars(layer).items():
        np.testing.assert_array_equal(getattr(made, name), value)
    for change in ({"shift": 5}, {"multiply": ints(3, 6)}, {"least": ints(1, 2)}):
        assert network(rescale(**change)).digest != net.digest
