"""Networks that branch: files, digests, and everything that a hostile file may say."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from xnorflow import ir
from xnorflow.errors import BadInput, UnsupportedModel
from xnorflow.ir import file as ir_file
from xnorflow.ir.encoding import FORMAT, FORMAT_3, from_arrays, to_arrays
from xnorflow.ir.verify import verify, verify_reached

from ...graph_strategies import GraphCase, graph_cases
from .test_file import rewrite, scrambled

LEAST = np.iinfo(np.int64).min
FEATURES = 1 << 24
"""Most features of a map."""


def zeros(*shape: int) -> ir.Ints:
    return np.zeros(shape, np.int64)


def conv(name: str, channels: int = 2, **options: Any) -> ir.Conv:
    return ir.Conv(name, np.ones((channels, 1, 1, 1), np.int64), ir.UNIPOLAR, **options)


def network() -> ir.IntegerNetwork:
    """Every join and stretch; two outputs, of which one is a map with its channels first."""
    layers = (
        conv("a", inputs=("",)),
        conv("b", inputs=("",)),
        ir.Add("sum", np.array([[1], [-2]]), inputs=("a", "b")),
        ir.Maximum("most", np.array([[1, 2], [3, -1]]), True, inputs=("sum", "a")),
        ir.Multiply("product", inputs=("most", "b")),
        ir.Concat("both", 2, inputs=("product", "a")),
        ir.AddMap("position", np.arange(-2, 2).reshape(2, 2, 1)),
        ir.Stretch("larger", (2, 3), "repeat", (1, 0, 0, 2)),
        ir.Scores("map", zeros(4)),
        conv("c", inputs=("a",), groups=2),
        ir.SumPool("whole", ir.Window((2, 2))),
        ir.Scores("vector", np.array([4, -4])),
        ir.AllScores("all", inputs=("vector", "map")),
    )
    places = 2 + np.arange(3 * 4 * 4).reshape(3, 4, 4)
    outputs = (
        ir.Output("seen", (4, 3, 4), places.transpose(2, 0, 1).ravel()),
        ir.Output("class/0", (2,), np.arange(2)),
    )
    return ir.IntegerNetwork("net", (2, 2, 1), layers, outputs=outputs)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    ir_file.save(network(), tmp_path / "net.npz")
    return tmp_path / "net.npz"


def test_a_network_with_every_join_is_sound() -> None:
    verify(network())
    verify_reached(network())
    net = network()
    assert not net.chain and net.score_count == 50
    assert [layer.name for layer in net.score_layers] == ["vector", "map"]


def test_a_network_is_read_as_it_was_written(saved: Path) -> None:
    net, read = network(), ir_file.load(saved)
    assert read.digest == net.digest and read.features == net.features
    assert json.loads(to_arrays(net)[0])["format"] == FORMAT_3
    assert [o.name for o in read.outputs] == ["seen", "class/0"]
    for a, b in zip(net.outputs, read.outputs, strict=True):
        assert a.shape == b.shape
        np.testing.assert_array_equal(a.gather, b.gather)
    for a, b in zip(net.layers, read.layers, strict=True):
        assert type(a) is type(b) and a.inputs == b.inputs
        for f in fields(a):
            value, got = getattr(a, f.name), getattr(b, f.name)
            assert type(value) is type(got)
            assert (value == got).all() if isinstance(value, np.ndarray) else value == got


@settings(max_examples=60)
@given(graph_cases(frames=2))
def test_drawn_networks_are_read_as_they_were_written(case: GraphCase) -> None:
    text, arrays = to_arrays(case.net)
    read = ir.IntegerNetwork(**vars(from_arrays(text, arrays)))
    verify(read)
    assert read.digest == case.net.digest
    for name, values in case.net.evaluate(case.x).items():
        np.testing.assert_array_equal(read.evaluate(case.x)[name], values)


def test_a_chain_that_names_what_it_would_read_anyway_is_a_chain() -> None:
    chain = (conv("a"), ir.SumPool("whole", ir.Window((2, 2))), ir.Scores("scores", zeros(2)))
    named = tuple(
        replace(layer, inputs=(before,))
        for layer, before in zip(chain, ("", "a", "whole"), strict=True)
    )
    nets = [ir.IntegerNetwork("net", (2, 2, 1), layers) for layers in (chain, named)]
    assert nets[0].chain and nets[1].chain and nets[0].reads == nets[1].reads
    text, _ = to_arrays(nets[0])
    assert "inputs" not in text and "outputs" not in text
    assert json.loads(text)["format"] == FORMAT


def test_every_change_of_what_is_read_changes_the_digest() -> None:
    net, seen = network(), {network().digest}
    for k, layer in enumerate(net.layers):
        if len(layer.inputs) > 1:
            layers = list(net.layers)
            layers[k] = replace(layer, inputs=layer.inputs[::-1])
            seen.add(replace(net, layers=tuple(layers)).digest)
    for other in (
        replace(net.outputs[0], name="other"),
        replace(net.outputs[0], shape=(4, 12)),
        replace(net.outputs[0], gather=net.outputs[0].gather[::-1].copy()),
    ):
        seen.add(replace(net, outputs=(other, net.outputs[1])).digest)
    assert len(seen) == 1 + 5 + 3


def layer(name: str, **changes: Any) -> Any:
    """Return a change of a layer's fields in a header."""

    def change(header: dict[str, Any], arrays: dict[str, Any]) -> None:
        next(entry for entry in header["layers"] if entry["name"] == name).update(changes)

    return change


def array(name: str, value: Any) -> Any:
    """Return a change of an array."""

    def change(header: dict[str, Any], arrays: dict[str, Any]) -> None:
        assert name in arrays
        arrays[name] = np.asarray(value)

    return change


def output(number: int, **changes: Any) -> Any:
    return lambda header, arrays: header["outputs"][number].update(changes)


def without(name: str) -> Any:
    def change(header: dict[str, Any], arrays: dict[str, Any]) -> None:
        header["layers"] = [entry for entry in header["layers"] if entry["name"] != name]

    return change


WRONG: dict[str, tuple[Any, str]] = {
    "unknown": (layer("sum", inputs=["a", "z"]), "reads 'z', which is no layer before it"),
    "later": (layer("sum", inputs=["a", "both"]), "reads 'both', which is no layer before"),
    "itself": (layer("sum", inputs=["a", "sum"]), "reads 'sum', which is no layer before it"),
    "text": (layer("sum", inputs="ab"), "its inputs are no names of layers"),
    "numbers": (layer("sum", inputs=[0, 1]), "its inputs are no names of layers"),
    "nested": (layer("sum", inputs=[["a"], "b"]), "its inputs are no names of layers"),
    "two for one": (layer("c", inputs=["a", "b"]), "reads 2 maps, but joins none"),
    "unread": (layer("larger", inputs=["both"]), "layer 'position': nothing reads its output"),
    "factors of three": (array("2.multiply", zeros(3, 1)), "do not fit 2 maps of 2 channels"),
    "factors of channels": (array("2.multiply", zeros(2, 3)), "do not fit 2 maps of 2 channels"),
    "factors of floats": (array("2.multiply", np.zeros((2, 1))), "factors are not int64"),
    "huge factor": (array("2.multiply", np.array([[1], [1 << 50]])), "exceeds .* in magnitude"),
    "least factor": (array("2.multiply", np.array([[1], [LEAST]])), "exceeds .* in magnitude"),
    "wide sums": (array("2.multiply", np.full((2, 1), 1 << 47)), "could take more than 48 bits"),
    "one factor": (array("3.multiply", zeros(1, 1)), "do not fit 2 maps"),
    "least of greatest": (array("3.multiply", np.full((2, 2), LEAST)), "exceeds .* in magnitude"),
    "wide greatest": (array("3.multiply", np.full((2, 2), 1 << 47)), "could take more than 48"),
    "minimum": (layer("most", minimum=1), "minimum is not a bool"),
    "three factors": (layer("product", inputs=["most", "a", "b"]), "3 maps cannot be multiplied"),
    "no axis": (layer("both", axis=3), "there is no axis 3"),
    "axis": (layer("both", axis=True), "there is no axis True"),
    "constant axes": (array("6.values", zeros(2, 2)), "constants are not int64 with 3 axes"),
    "constant size": (array("6.values", zeros(3, 2, 1)), "does not fit"),
    "constant": (array("6.values", np.full((2, 2, 1), 1 << 50)), "exceeds .* in magnitude"),
    "least constant": (array("6.values", np.full((2, 2, 1), LEAST)), "exceeds .* in magnitude"),
    "wide constant": (array("6.values", np.full((2, 2, 1), 1 << 48)), "could take more than 48"),
    "factor 0": (layer("larger", factors=[0, 1]), "are not possible"),
    "one size": (layer("larger", factors=[2]), "are not possible"),
    "factor of half": (layer("larger", factors=[0.5, 1]), "are not possible"),
    "huge factors": (
        layer("larger", factors=[FEATURES, FEATURES], crop=[2 * FEATURES - 1, 0, 0, 0]),
        "too large",
    ),
    "beyond": (layer("larger", factors=[1 << 80, 1]), "are not possible"),
    "crop of all": (layer("larger", crop=[4, 0, 0, 0]), "leaves nothing"),
    "crop of more": (layer("larger", crop=[0, 0, 1 << 70, 0]), "leaves nothing"),
    "negative crop": (layer("larger", crop=[-1, 0, 0, 0]), "is not possible"),
    "three crops": (layer("larger", crop=[0, 0, 0]), "is not possible"),
    "fill": (layer("larger", fill="mirror"), "none of repeat, zeros, blocks"),
    "no fill": (layer("larger", fill=None), "none of repeat, zeros, blocks"),
    "blocks": (layer("larger", fill="blocks"), "channels are not 6 equal parts"),
    "scores read": (layer("c", inputs=["map"]), "scores can only be last"),
    "no scores": (layer("all", inputs=["vector", "larger"]), "makes no scores|can only be|is read"),
    "all twice": (
        lambda h, a: h["layers"].append({**h["layers"][-1], "name": "again", "inputs": ["all"]}),
        "can only be last|makes no scores|AllScores",
    ),
    "not all": (without("all"), "nothing reads its output"),
    "output places": (array("output.0.gather", np.arange(47)), "are not 48 numbers from 0 to 49"),
    "place": (array("output.1.gather", np.array([0, 50])), "are not 2 numbers from 0 to 49"),
    "before": (array("output.1.gather", np.array([-1, 0])), "are not 2 numbers from 0 to 49"),
    "float places": (array("output.1.gather", np.zeros(2)), "places among the scores are not int"),
    "output shape": (output(0, shape=[4, 3, -4]), "of shape .* is not possible"),
    "huge output": (output(0, shape=[1 << 62, 1 << 62]), "are not .* numbers"),
    "float shape": (output(0, shape=[48.0]), "not 1 whole numbers"),
    "rank": (output(0, shape=[48] + [1] * 16), "of shape .* is not possible"),
    "no name": (output(0, name=""), "are no different texts"),
    "same name": (output(0, name="class/0"), "are no different texts"),
    "number": (output(0, name=3), "not a list of texts"),
    "half": (output(0, name="\ud800"), "surrogates not allowed"),
    "no gather": (output(0, gather={"array": "none"}), "none"),
    "names of classes": (lambda h, a: h.update(classes=["cat"]), "not one for each of the 50"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_no_network_can_be_is_refused(saved: Path, name: str) -> None:
    change, message = WRONG[name]
    rewrite(saved, change)
    with pytest.raises(BadInput, match=f"is not a network that xnorflow wrote: .*({message})"):
        ir_file.load(saved)


def test_scrambled_headers_are_refused_or_sound(saved: Path) -> None:
    text, arrays = to_arrays(network())
    header = json.loads(text)
    sound = 0
    for seed in range(400):
        changed = json.dumps(scrambled(header, random.Random(seed)))
        np.savez(saved, header=np.array(changed), **arrays)
        try:
            net = ir_file.load(saved)
        except BadInput:
            continue
        sound += 1
        found = net.evaluate(np.zeros((1, *net.shape), np.uint8))
        assert [values.shape[1:] for values in found.values()] == [o.shape for o in net.named]
    assert 0 < sound < 200


def features(*shape: int, alphabet: ir.Alphabet = ir.TERNARY) -> ir.Features:
    height, width, channels = shape
    return ir.Features(height, width, channels, alphabet)


def factors(*rows: int) -> ir.Ints:
    return np.array(rows, np.int64)[:, None]


JOINS: list[tuple[Callable[[], ir.Features], ir.Alphabet]] = [
    (
        lambda: ir.Add("a", factors(1, 1)).output(
            features(1, 1, 1), features(1, 1, 1, alphabet=ir.BIPOLAR)
        ),
        ir.Alphabet(-2, 1, 5),
    ),
    (
        lambda: ir.Add("a", factors(1, -1)).output(
            features(1, 1, 1, alphabet=ir.BIPOLAR), features(1, 1, 1, alphabet=ir.BIPOLAR)
        ),
        ir.Alphabet(-2, 2, 3),
    ),
    (
        lambda: ir.Add("a", factors(4, 6)).output(
            features(1, 1, 1, alphabet=ir.UNIPOLAR), features(1, 1, 1, alphabet=ir.UNIPOLAR)
        ),
        ir.Alphabet(0, 2, 6),
    ),
    (
        lambda: ir.Multiply("m").output(
            features(1, 1, 1, alphabet=ir.BIPOLAR), features(1, 1, 1, alphabet=ir.BIPOLAR)
        ),
        ir.Alphabet(-1, 2, 2),
    ),
    (
        lambda: ir.Multiply("m").output(
            features(1, 1, 1, alphabet=ir.UNIPOLAR),
            features(1, 1, 1, alphabet=ir.Alphabet(-6, 4, 4)),
        ),
        ir.Alphabet(-6, 2, 7),
    ),
    (
        lambda: ir.Maximum("m", factors(1, -2)).output(
            features(1, 1, 1, alphabet=ir.Alphabet(-4, 2, 4)), features(1, 1, 1)
        ),
        ir.Alphabet(-2, 2, 3),
    ),
    (
        lambda: ir.Concat("c", 2).output(
            features(1, 1, 1, alphabet=ir.BIPOLAR),
            features(1, 1, 1, alphabet=ir.Alphabet(3, 4, 2)),
        ),
        ir.Alphabet(-1, 2, 5),
    ),
    (
        lambda: ir.Stretch("s", (2, 2), "zeros").output(features(1, 1, 1, alphabet=ir.BIPOLAR)),
        ir.TERNARY,
    ),
    (
        lambda: ir.AddMap("a", np.array([0, 2]).reshape(1, 1, 2)).output(
            features(1, 1, 2, alphabet=ir.BIPOLAR)
        ),
        ir.Alphabet(-1, 2, 3),
    ),
]


@pytest.mark.parametrize("number", range(len(JOINS)))
def test_alphabets_of_joins_are_as_narrow_as_their_values(number: int) -> None:
    make, alphabet = JOINS[number]
    assert make().alphabet == alphabet


@pytest.mark.parametrize(
    "shapes", [((2, 2, 3), (2, 1, 3)), ((2, 2, 3), (2, 2, 2)), ((1, 1, 2), (2, 2, 3))]
)
def test_maps_that_do_not_fit_are_refused(shapes: tuple[tuple[int, int, int], ...]) -> None:
    maps = [features(*shape) for shape in shapes]
    with pytest.raises(ValueError, match="does not fit one of"):
        ir.Add("sum", factors(1, 1)).output(*maps)
    with pytest.raises(ValueError, match="does not fit one of"):
        ir.Multiply("product").output(*maps)


def test_maps_side_by_side_have_the_same_size_along_the_other_axes() -> None:
    a, b = features(2, 3, 1), features(2, 3, 4)
    assert ir.Concat("c", 2).output(a, b).shape == (2, 3, 5)
    for axis in (0, 1):
        with pytest.raises(ValueError, match="do not fit side by side"):
            ir.Concat("c", axis).output(a, b)


def test_a_score_of_padding_alone_is_found_behind_joins() -> None:
    table = ir.InputTable("in", np.arange(256)[None] // 128, ir.UNIPOLAR)
    pool = ir.SumPool("padded", ir.Window((1, 1), (2, 1), pads=(0, 0, 2, 0)))
    layers = (table, pool, ir.Stretch("zeros", (1, 2), "zeros"), ir.Scores("scores", zeros(1)))
    net = ir.IntegerNetwork("net", (1, 1, 1), layers)
    with pytest.raises(UnsupportedModel, match="score 1 does not depend on the input"):
        verify_reached(net)
    join = ir.Add("sum", factors(1, 1), inputs=("zeros", "in"))
    net = replace(net, layers=(*layers[:3], join, layers[3]))
    verify_reached(net)
