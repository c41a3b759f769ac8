"""Headers of network files: whole numbers only, as many as there have to be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.ir.encoding import FORMATS, from_arrays, to_arrays

Change = Callable[[dict[str, Any]], object]


def network() -> ir.IntegerNetwork:
    window = ir.Window((3, 2), (1, 2), (2, 1), (1, 0, 2, 1))
    conv = ir.Conv("conv", np.ones((2, 3, 2, 1), np.int64), ir.BIPOLAR, window, -1, sources=("n",))
    scores = ir.Scores("scores", np.zeros(2, np.int64))
    return ir.IntegerNetwork("net", (4, 3, 1), (conv, scores), ("yes", "no"), ("A note.",))


def changed(change: Change) -> Any:
    text, arrays = to_arrays(network())
    header = json.loads(text)
    change(header)
    return from_arrays(json.dumps(header), arrays)


def window(parts: Any) -> Change:
    return lambda header: header["layers"][0].update(window={"window": parts})


def alphabet(numbers: Any) -> Change:
    return lambda header: header["layers"][0].update(alphabet={"alphabet": numbers})


def shape(numbers: Any) -> Change:
    return lambda header: header.update(shape=numbers)


def test_what_is_unchanged_comes_back() -> None:
    read, net = changed(lambda header: None), network()
    assert (read.name, read.shape, read.classes, read.notes) == (
        net.name,
        net.shape,
        net.classes,
        net.notes,
    )
    conv = read.layers[0]
    assert isinstance(conv, ir.Conv) and conv.sources == ("n",) and conv.pad_value == -1
    assert (conv.window, conv.alphabet) == (net.layers[0].window, ir.BIPOLAR)  # type: ignore[attr-defined]


PARTS: list[Any] = [[3, 2], [1, 2], [2, 1], [1, 0, 2, 1]]
LONGER = [1, 2, 3, 4, 5]


@pytest.mark.parametrize("part", range(4))
@pytest.mark.parametrize("wrong", [0, 1.0, True, "1", None, [1]])
def test_parts_of_a_window_are_whole_numbers(part: int, wrong: Any) -> None:
    count = len(PARTS[part])
    if wrong == 0 and type(wrong) is int:
        assert changed(window(PARTS)).layers[0].window.kernel == (3, 2)
        for numbers in (LONGER[: count - 1], LONGER[: count + 1], []):
            with pytest.raises(ValueError, match=f"is not {count} whole numbers"):
                changed(window([*PARTS[:part], numbers, *PARTS[part + 1 :]]))
    else:
        numbers = [*PARTS[part][:-1], wrong]
        with pytest.raises(ValueError, match=f"is not {count} whole numbers"):
            changed(window([*PARTS[:part], numbers, *PARTS[part + 1 :]]))


@pytest.mark.parametrize("make", [shape, alphabet])
@pytest.mark.parametrize(
    "wrong",
    [
        [1, 1],
        [1, 1, 1, 1],
        [],
        [1, 1, 1.0],
        [True, 1, 1],
        ["1", 1, 1],
        [1, 1, None],
        3,
        None,
        "1 1",
    ],
)
def test_shapes_and_alphabets_are_three_whole_numbers(
    make: Callable[[Any], Change], wrong: Any
) -> None:
    assert changed(make([1, 1, 1])).layers
    with pytest.raises(ValueError, match="is not 3 whole numbers"):
        changed(make(wrong))


@pytest.mark.parametrize(("step", "levels"), [(0, 1), (1, 0), (-1, 1), (1, -1)])
def test_steps_and_levels_are_at_least_one(step: int, levels: int) -> None:
    assert ir.Alphabet(-5, 1, 1).hi == -5
    with pytest.raises(ValueError, match="step and levels of at least 1"):
        ir.Alphabet(-5, step, levels)
    with pytest.raises(ValueError, match="step and levels of at least 1"):
        changed(alphabet([-5, step, levels]))


@pytest.mark.parametrize("name", ["xnorflow-network-0", "xnorflow-network-4", "", 1, None])
def test_other_formats_are_refused(name: Any) -> None:
    assert FORMATS == ("xnorflow-network-1", "xnorflow-network-2", "xnorflow-network-3")
    with pytest.raises(ValueError, match="its format is"):
        changed(lambda header: header.update(format=name))


@pytest.mark.parametrize(
    ("alphabet", "bits", "text"),
    [
        (ir.Alphabet(0, 1, 1), 1, "{0..0}"),
        (ir.BIPOLAR, 1, "bipolar"),
        (ir.UNIPOLAR, 1, "unipolar"),
        (ir.TERNARY, 2, "ternary"),
        (ir.Alphabet(0, 1, 3), 2, "{0..2}"),
        (ir.Alphabet(0, 1, 4), 2, "uint2"),
        (ir.Alphabet(1, 1, 4), 2, "{1..4}"),
        (ir.Alphabet(0, 1, 5), 3, "{0..4}"),
        (ir.Alphabet(-4, 1, 8), 3, "int3"),
        (ir.Alphabet(-3, 1, 8), 3, "{-3..4}"),
        (ir.Alphabet(-4, 1, 7), 3, "{-4..2}"),
        (ir.Alphabet(-3, 2, 4), 2, "{-3..3 step 2}"),
        (ir.Alphabet(0, 2, 4), 2, "{0..6 step 2}"),
        (ir.UINT8, 8, "uint8"),
        (ir.Alphabet(0, 1, 257), 9, "{0..256}"),
    ],
    ids=str,
)
def test_alphabets_have_a_width_and_a_name(alphabet: ir.Alphabet, bits: int, text: str) -> None:
    assert alphabet.bits == bits and str(alphabet) == text
    codes = np.arange(alphabet.levels)
    values = alphabet.values(codes)
    assert values.dtype == np.int64 and (values[0], values[-1]) == (alphabet.lo, alphabet.hi)
    assert [alphabet.code_of(int(v)) for v in values] == codes.tolist()
    beyond = [alphabet.lo - alphabet.step, alphabet.hi + alphabet.step]
    between = [alphabet.lo + 1] if alphabet.step > 1 else []
    assert [alphabet.code_of(v) for v in (*beyond, *between)] == [None] * (2 + len(between))
