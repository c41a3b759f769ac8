"""Topologies, data sets, checkpoints: what is read, and what is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from xnorflow import demo
from xnorflow.errors import BadInput
from xnorflow.train import checkpoints
from xnorflow.train.checkpoints import TrainingOrigin
from xnorflow.train.data_sets import read_data_set
from xnorflow.train.topology import PlannedLayer, hidden_widths, steps
from xnorflow.train.training import Task

from .tiny import stripes

ORIGIN = TrainingOrigin("bnn", "8", 1, 5, 2, "abc")


def test_a_network_as_the_papers_write_it() -> None:
    assert steps("32C3-MP2-64C5-128FC-50", (3, 9, 8), 10) == (
        PlannedLayer("conv", 3, 32, 3, 2),
        PlannedLayer("conv", 32, 64, 5),
        PlannedLayer("dense", 64 * 4 * 4, 128, flattens=True),
        PlannedLayer("dense", 128, 50),
        PlannedLayer("dense", 50, 10),
    )
    assert steps("", (1, 2, 3), 4) == (PlannedLayer("dense", 6, 4, flattens=True),)
    assert hidden_widths("12-7", "x") == (12, 7)


@pytest.mark.parametrize(
    ("net", "why"),
    [
        ("32X3", "is no layer"),
        ("P2-8", "does not stand behind a convolution"),
        ("8C3-P2-P2", "does not stand behind a convolution"),
        ("8-4C3", "stands behind a dense layer"),
        ("8C4", "has no middle"),
        ("8C99", "exceeds the map"),
        ("8C3-P9", "does not fit a map"),
        ("0", "1 to 16384"),
        ("-".join(["8"] * 65), "more than 64"),
    ],
)
def test_networks_that_are_none(net: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        steps(net, (1, 8, 8), 10)


def test_a_method_of_dense_layers_refuses_others() -> None:
    with pytest.raises(BadInput, match="ebp has dense layers only"):
        hidden_widths("8C3-4", "ebp")


@given(st.text(alphabet="0123456789CPMFc-", max_size=12))
def test_any_text_is_read_or_refused(net: str) -> None:
    try:
        found = steps(net, (1, 8, 8), 3)
    except BadInput:
        return
    for before, after in zip(found, found[1:], strict=False):
        assert after.flattens or before.outputs == after.inputs


def test_the_digits_are_the_default() -> None:
    data = read_data_set("digits")
    assert data.path == demo.data_path() and data.frame == (1, 8, 8)
    assert (data.most, data.classes, data.held_out) == (16, 10, False)
    assert len(read_data_set("digits", limit=50).x_train) == 50
    assert data.digest != read_data_set("digits", limit=50).digest


def test_one_set_is_split_the_same_way_every_time(tmp_path: Path) -> None:
    x = np.arange(24 * 2 * 2 * 3, dtype=np.uint8).reshape(24, 2, 2, 3)
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(24) % 2)
    data = read_data_set(str(tmp_path / "d.npz"))
    assert data.held_out and data.frame == (3, 2, 2) and len(data.x_test) == 6
    np.testing.assert_array_equal(data.x_test[0], x[0].transpose(2, 0, 1))


def test_a_folder_of_pictures(tmp_path: Path) -> None:
    for i in range(8):
        Image.fromarray(np.full((3, 4), 20 * i, np.uint8)).save(tmp_path / f"{i % 2}_{i}.png")
    data = read_data_set(str(tmp_path))
    assert data.frame == (1, 3, 4) and data.classes == 2


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ({"x_train": np.ones((4, 2, 2), np.uint8), "y_train": np.arange(4)}, "x_test, y_test"),
        ({"x": np.ones((4, 2, 2), np.uint8)}, "has no classes"),
        ({"x": np.ones((8, 2, 2), np.float32), "y": np.arange(8) % 2}, "needs uint8"),
        ({"x": np.ones((8, 2, 2), np.uint8), "y": np.arange(8) % 2 - 1}, "whole numbers from 0"),
        ({"x": np.zeros((8, 2, 2), np.uint8), "y": np.arange(8) % 2}, "blank"),
        ({"x": np.ones((8, 2, 2), np.uint8), "y": np.zeros(8, int)}, "of one class"),
    ],
)
def test_data_that_cannot_be_trained_on(
    arrays: dict[str, np.ndarray], why: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "d.npz", **arrays)
    with pytest.raises(BadInput, match=why):
        read_data_set(str(tmp_path / "d.npz"))


def test_no_data_at_all(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no data file"):
        read_data_set(str(tmp_path / "none.npz"))


def test_images_are_moved_anew_in_every_epoch() -> None:
    data = stripes(40, channels=2)
    padded = np.pad(data.x_train, ((0, 0), (0, 0), (2, 2), (2, 2)))
    still, moved = (Task(data, "8", 2, shift=shift) for shift in (0, 2))
    np.testing.assert_array_equal(still.images(1), data.x_train)
    found = moved.images(1)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, moved.images(1))
    assert not np.array_equal(found, moved.images(0))
    places = []
    for image, around in zip(found, padded, strict=True):
        places += [
            (r, c)
            for r, c in np.ndindex(5, 5)
            if np.array_equal(image, around[:, r : r + 6, c : c + 6])
        ]
    assert len(places) == 40 and len(set(places)) > 10
    assert {r for r, _ in places} == {c for _, c in places} == set(range(5))


def test_a_checkpoint_without_a_shift_is_of_none(tmp_path: Path) -> None:
    about = {k: v for k, v in asdict(ORIGIN).items() if k != "shift"}
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(tmp_path / "c.npz", **{checkpoints.ABOUT: text})
    assert checkpoints.read(tmp_path / "c.npz")[0] == ORIGIN


def test_a_checkpoint_comes_back(tmp_path: Path) -> None:
    state = {"net.w": np.arange(6.0).reshape(2, 3), "step": np.float32(3)}
    checkpoints.save(tmp_path / "c.npz", ORIGIN, state)
    origin, found = checkpoints.read(tmp_path / "c.npz")
    assert origin == ORIGIN and found.keys() == state.keys()
    np.testing.assert_array_equal(found["net.w"], state["net.w"])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"method": "twn"}, "method differ: 'bnn' there, 'twn' here"),
        ({"net": "9"}, "--net differ"),
        ({"seed": 2}, "--seed differ: 1 there, 2 here"),
        ({"shift": 1}, "--shift differ: 0 there, 1 here"),
        ({"data": "xyz"}, "training images differ$"),
        ({"epochs": 1}, "has had 2 epochs already"),
    ],
)
def test_a_checkpoint_of_another_training(change: dict[str, object], why: str) -> None:
    with pytest.raises(BadInput, match=why):
        checkpoints.check_same(Path("c.npz"), ORIGIN, replace(ORIGIN, **change))
    checkpoints.check_same(Path("c.npz"), ORIGIN, replace(ORIGIN, epochs=9))


def test_files_that_are_no_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="there is no checkpoint"):
        checkpoints.read(tmp_path / "c.npz")
    np.savez(tmp_path / "c.npz", w=np.ones(3))
    with pytest.raises(BadInput, match="is no checkpoint of xnorflow train"):
        checkpoints.read(tmp_path / "c.npz")
    for text in (b"[1]", b'{"method": 1}', b"{"):
        np.savez(tmp_path / "c.npz", about=np.frombuffer(text, np.uint8))
        with pytest.raises(BadInput, match="is no checkpoint of xnorflow train"):
            checkpoints.read(tmp_path / "c.npz")
