"""Network files: read as written, and nothing else is."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.errors import BadInput
from xnorflow.ir import file as ir_file
from xnorflow.ir.encoding import to_arrays
from xnorflow.ir.input_kind import HostQuantiser
from xnorflow.ir.verify import verify
from xnorflow.npz import read_archive
from xnorflow_sim import golden


def network() -> ir.IntegerNetwork:
    """A layer of every kind, every option used."""
    rng = np.random.default_rng(4)
    table = np.sort(rng.integers(0, 4, (3, 256)), axis=1)
    ranks = np.concatenate([np.arange(30), [-1, -1]])[None].repeat(4, 0)
    w = ir.Window((3, 2), (1, 2), (2, 1), (1, 0, 2, 1))
    layers: tuple[ir.Layer, ...] = (
        ir.InputTable("input", table, ir.Alphabet(0, 1, 4), sources=("a", "b")),
        ir.Conv("conv", rng.integers(-1, 2, (5, 3, 2, 3)), ir.TERNARY, w, -1),
        ir.Threshold("sign", np.zeros((5, 1), np.int64), ir.BIPOLAR),
        ir.CodeTable("codes", np.tile([2, 0], (5, 1)), ir.TERNARY),
        ir.MaxPool("pool", ir.Window((2, 2), (2, 2)), np.array([0, 1, 0, 0, 1], bool)),
        ir.SumPool("sums", ir.Window((2, 1), (1, 1), (1, 1), (1, 0, 0, 0)), 1),
        ir.Flatten("flat"),
    )
    size = ir.IntegerNetwork("net", (6, 5, 3), layers).features[-1]
    dense = ir.Conv("dense", np.ones((4, 1, 1, size.channels), np.int64), ir.BIPOLAR)
    low = np.full(4, -15)
    scores = ir.Scores("scores", np.zeros(4, np.int64), ranks, low, np.zeros(30, np.float32), 0)
    return ir.IntegerNetwork(
        "net", (6, 5, 3), (*layers, dense, scores), ("cat", "dog", "é", "fox"), ("A note.",)
    )


def test_a_network_that_says_nothing_of_its_samples_has_the_first_format() -> None:
    header, arrays = to_arrays(network())
    content = json.loads(header)
    assert content["format"] == "xnorflow-network-1"
    assert set(content) == {"format", "name", "shape", "classes", "notes", "layers"}
    assert all(name[0].isdigit() for name in arrays)
    # As it was before networks said what their samples are, and before there were code tables.
    older = tuple(layer for layer in network().layers if not isinstance(layer, ir.CodeTable))
    assert replace(network(), layers=older).digest[:16] == "f85568b3b21d34c0"


def ordered() -> ir.IntegerNetwork:
    """A network whose samples come in another order, as floats."""
    net = network()
    gather = np.random.default_rng(2).permutation(90)
    quantiser = HostQuantiser(
        np.sort(np.random.default_rng(3).normal(size=(3, 255)), axis=1).astype(np.float32),
        np.tile(np.arange(256), (3, 1)),
    )
    return replace(
        net,
        order=ir.InputOrder((3, 6, 5), gather, "first", "nhwc"),
        samples=ir.InputKind(ir.UINT8, quantiser),
    )


def test_order_and_kind_of_samples_are_kept(tmp_path: Path) -> None:
    net = ordered()
    ir_file.save(net, tmp_path / "net.npz")
    read = ir_file.load(tmp_path / "net.npz")
    assert read.digest == net.digest != network().digest
    x = np.random.default_rng(1).normal(size=(2, 6, 5, 3))
    np.testing.assert_array_equal(golden.frames(read, x), golden.frames(net, x))


@pytest.mark.parametrize(
    "change",
    [
        {"order": ir.InputOrder((3, 6, 5), np.full(90, 90))},
        {"order": ir.InputOrder((3, 6, 5), np.full(90, -1))},
        {"order": ir.InputOrder((3, 6, 5), np.arange(89))},
        {"order": ir.InputOrder((3, 6, 4))},
        {"order": ir.InputOrder((0, 6, 5))},
        {"order": ir.InputOrder(())},
        {"order": ir.InputOrder((3, 6, 5), None, "middle")},
        {"order": ir.InputOrder((3, 6, 5), None, "", "hwc")},
        {"samples": ir.InputKind(ir.Alphabet(0, 1, 255))},
        {"samples": ir.InputKind(ir.Alphabet(0, 1, 1 << 17))},
        {"samples": ir.InputKind(ir.UINT8, HostQuantiser(np.ones((1, 2)), np.zeros((1, 3), int)))},
        {
            "samples": ir.InputKind(
                ir.UINT8, HostQuantiser(np.array([[2, 1]], np.float32), np.zeros((1, 3), int))
            )
        },
        {
            "samples": ir.InputKind(
                ir.UINT8, HostQuantiser(np.ones((1, 1), np.float32), np.full((1, 2), 256))
            )
        },
    ],
)
def test_orders_and_kinds_that_cannot_be_are_refused(
    change: dict[str, Any], tmp_path: Path
) -> None:
    net = replace(network(), **change)
    with pytest.raises(ValueError):
        verify(net)
    ir_file.save(net, tmp_path / "net.npz")
    with pytest.raises(BadInput, match="is not a network that xnorflow wrote"):
        ir_file.load(tmp_path / "net.npz")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    ir_file.save(network(), tmp_path / "net.npz")
    return tmp_path / "net.npz"


def test_a_network_is_read_as_it_was_written(saved: Path) -> None:
    net, read = network(), ir_file.load(saved)
    assert read.digest == net.digest and read.features == net.features
    assert (read.name, read.shape, read.classes, read.notes) == (
        net.name,
        net.shape,
        net.classes,
        net.notes,
    )
    for a, b in zip(net.layers, read.layers, strict=True):
        assert type(a) is type(b) and a.sources == b.sources
        for name, value in vars(a).items():
            if isinstance(value, np.ndarray):
                got = vars(b)[name]
                assert got.dtype == value.dtype
                np.testing.assert_array_equal(got, value)
            else:
                assert vars(b)[name] == value


def test_every_change_of_a_number_changes_the_digest() -> None:
    net, seen = network(), {network().digest}
    for index, layer in enumerate(net.layers):
        for name, value in vars(layer).items():
            if isinstance(value, np.ndarray):
                other = value.copy()
                other.flat[-1] = not other.flat[-1]
                layers = list(net.layers)
                layers[index] = replace(layer, **{name: other})
                seen.add(replace(net, layers=tuple(layers)).digest)
    assert len(seen) == 11


def rewrite(saved: Path, change: Any) -> None:
    """Change the header, a dict, or the arrays beside it."""
    arrays, _ = read_archive(saved, 1 << 20)
    header = json.loads(str(arrays.pop("header")))
    change(header, arrays)
    np.savez(saved, header=np.array(json.dumps(header)), **arrays)


def layer(index: int, **changes: Any) -> Any:
    return lambda header, arrays: header["layers"][index].update(changes)


def array(name: str, value: Any) -> Any:
    return lambda header, arrays: arrays.update({name: np.asarray(value)})


def window(*parts: Any) -> dict[str, Any]:
    return {"window": list(parts)}


WRONG = {
    "format": (lambda h, a: h.update(format="another"), "its format is 'another'"),
    "no layers": (lambda h, a: h.update(layers=[]), "last layer is not a Scores"),
    "name": (lambda h, a: h.update(name="../etc"), "is not an identifier"),
    "letters": (lambda h, a: h.update(name="näme"), "is not an identifier"),
    "number": (lambda h, a: h.update(name=3), "is not an identifier"),
    "shape": (lambda h, a: h.update(shape=[6, 5]), "not 3 whole numbers"),
    "float": (lambda h, a: h.update(shape=[6.0, 5, 3]), "not 3 whole numbers"),
    "huge": (lambda h, a: h.update(shape=[1 << 40, 1 << 40, 3]), "not possible"),
    "negative": (lambda h, a: h.update(shape=[-6, -5, 3]), "not possible"),
    "kind": (layer(0, kind="lambda"), "lambda"),
    "same name": (layer(1, name="input"), "share a name"),
    "layer name": (layer(1, name="a;b"), "not an identifier"),
    "unknown": (layer(1, colour="red"), "colour"),
    "missing": (lambda h, a: h["layers"][1].pop("weights"), "weights"),
    "no array": (layer(1, weights={"array": "nothing"}), "nothing"),
    "alphabet": (layer(1, alphabet={"alphabet": [0, 0, 2]}), "step and levels of at least 1"),
    "wide": (layer(1, alphabet={"alphabet": [-(1 << 70), 1, 1 << 71]}), "too wide"),
    "kernel": (layer(1, window=window([9, 9], [1, 1], [1, 1], [0, 0, 0, 0])), "do not fit"),
    "stride": (layer(1, window=window([3, 2], [0, 0], [1, 1], [0, 0, 0, 0])), "not possible"),
    "pads": (layer(1, window=window([3, 2], [1, 1], [1, 1], [-1, 0, 0, 0])), "not possible"),
    "large": (layer(1, window=window([3, 2], [1, 1], [1, 1], [1 << 40, 0, 0, 0])), "too large"),
    "dilated": (layer(1, window=window([3, 2], [1, 1], [1 << 40, 1], [0, 0, 0, 0])), "too large"),
    "pad value": (layer(1, pad_value=0.5), "no value for padding"),
    "pad": (layer(5, pad_code=3), "pad code is out of range"),
    "padding": (layer(4, window=window([2, 2], [2, 2], [1, 1], [2, 0, 0, 0])), "padding only"),
    "twice": (lambda h, a: h["layers"].insert(1, {**h["layers"][0], "name": "b"}), "only be first"),
    "weights": (array("1.weights", np.full((5, 3, 2, 3), 2)), "a weight is not in ternary"),
    "dtype": (array("1.weights", np.zeros((5, 3, 2, 3), np.float32)), "weights are not int64"),
    "axes": (array("1.weights", np.zeros((5, 18), np.int64)), "4 axes"),
    "overflow": (array("1.weights", np.full((5, 3, 2, 3), -(1 << 63))), "not in ternary"),
    "codes": (array("0.table", np.full((3, 256), 4)), "out of range"),
    "thresholds": (array("2.thresholds", np.zeros((5, 2), np.int64)), "do not fit"),
    "code": (array("3.table", np.full((5, 2), 3)), "out of range"),
    "table": (array("3.table", np.zeros((5, 3), np.int64)), "does not fit"),
    "marks": (array("4.minimum", np.zeros(5, np.int64)), "not bool"),
    "offsets": (array("8.offsets", np.ones(4, np.int64)), "ranks and offsets"),
    "ranks": (array("8.ranks", np.full((4, 2), -2)), "a rank is out of range"),
    "classes": (lambda h, a: h.update(classes=["cat"]), "1 names of classes are not one for each"),
    "class": (lambda h, a: h.update(classes=["cat", "dog", 3, "fox"]), "not a list of texts"),
    "half": (lambda h, a: h.update(notes=["\ud800"]), "surrogates not allowed"),
    "notes": (lambda h, a: h.update(notes="A note."), "not a list of texts"),
    "sources": (layer(1, sources=["a", None]), "not a list of texts"),
    "floats": (array("8.floats", np.zeros(30)), "float scores is not float32"),
    "first float": (layer(8, floats_lo=None), "floats_lo is not an integer"),
    "rank_lo": (array("8.rank_lo", np.zeros(3, np.int64)), "for 4 classes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_no_network_can_be_is_refused(saved: Path, name: str) -> None:
    change, message = WRONG[name]
    rewrite(saved, change)
    with pytest.raises(BadInput, match=f"is not a network that xnorflow wrote: .*{message}"):
        ir_file.load(saved)


def test_thresholds_ascend(saved: Path) -> None:
    def change(header: dict[str, Any], arrays: dict[str, Any]) -> None:
        header["layers"][2]["alphabet"] = {"alphabet": [-1, 1, 3]}
        arrays["2.thresholds"] = np.array([[0, -1]] * 5)

    rewrite(saved, change)
    with pytest.raises(BadInput, match="layer 'sign': thresholds descend"):
        ir_file.load(saved)


def scrambled(value: Any, rng: random.Random) -> Any:
    """Replace one value somewhere inside by one of another kind."""
    array = {"array": "1.weights"}
    strange: list[Any] = [None, True, -1, 0, 2**80, 0.5, "x", [], {}, [1, [2]], array]
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(sorted(value))
        return {**value, key: scrambled(value[key], rng)}
    if isinstance(value, list) and value and rng.random() < 0.9:
        at = rng.randrange(len(value))
        return [*value[:at], scrambled(value[at], rng), *value[at + 1 :]]
    return rng.choice(strange)


def test_scrambled_headers_are_refused_or_sound(saved: Path) -> None:
    arrays, _ = read_archive(saved, 1 << 20)
    header = json.loads(str(arrays.pop("header")))
    for seed in range(120):
        text = json.dumps(scrambled(header, random.Random(seed)))
        np.savez(saved, header=np.array(text), **arrays)
        try:
            net = ir_file.load(saved)
        except BadInput:
            continue
        verify(net)
        assert net(np.zeros((1, *net.shape), np.uint8)).shape == (1, 4)


def test_cut_files_are_refused(saved: Path) -> None:
    content = saved.read_bytes()
    for length in (*range(0, len(content), 97), len(content) - 1):
        saved.write_bytes(content[:length])
        with pytest.raises(BadInput, match="is not a network"):
            ir_file.load(saved)
    with pytest.raises(BadInput, match="No such file"):
        ir_file.load(saved.with_name("none.npz"))


def test_objects_are_never_loaded(saved: Path) -> None:
    arrays, _ = read_archive(saved, 1 << 20)
    np.savez(saved, **(arrays | {"1.weights": np.array([{}], object)}))
    with pytest.raises(BadInput, match="Python objects, which are never loaded"):
        ir_file.load(saved)


def test_every_byte_that_may_be_wrong_leaves_a_sound_network_or_one_line(saved: Path) -> None:
    content = saved.read_bytes()
    refused = 0
    for at in range(0, len(content), 5):
        changed = bytearray(content)
        changed[at] ^= 1 << at % 8
        saved.write_bytes(changed)
        try:
            verify(ir_file.load(saved))
        except BadInput as e:
            refused += 1
            assert "\n" not in str(e)
    assert refused > len(content) // 10


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "net.npz")
    with pytest.raises(BadInput, match="is not a network .*: it is no regular file"):
        ir_file.load(tmp_path / "net.npz")
