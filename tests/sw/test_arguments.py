"""Arguments that were mixed up are refused with what would work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xnorflow as xf
from xnorflow import demo

NET = xf.load(demo.model_path())
DESIGN = xf.compile(NET, cycles=3000)
X = demo.data()["x_test"][:3]


class Module:
    """Has what a PyTorch module has."""

    def state_dict(self) -> dict[str, Any]:
        return {}


class Proto:
    """Has what a model of the package onnx has."""

    def SerializeToString(self) -> bytes:  # noqa: N802
        return b""


@pytest.mark.parametrize(
    ("call", "cure"),
    [
        (lambda: xf.compile("m.onnx"), "xnorflow.compile(xnorflow.load('m.onnx'), ...)"),
        (lambda: xf.compile(Path("m.onnx")), "xnorflow.compile(xnorflow.load('m.onnx'), ...)"),
        (lambda: xf.compile("ulx3s-85f", NET), "takes a network before all else"),
        (lambda: xf.compile(DESIGN), "not a Design; give its network, as in design.net"),
        (lambda: xf.compile(X), "not an ndarray; a network comes from"),
        (lambda: xf.compile(Module()), "of a PyTorch module, export it to an ONNX file"),
        (lambda: xf.compile(NET, 5000), "fps=5000 frames per second or cycles=5000 per frame"),
        (lambda: xf.compile(NET, ["u250"]), "a name such as 'ulx3s-85f', not a list"),
        (lambda: xf.compile(NET, fps="5000"), "is a number, not '5000'"),
        (lambda: xf.compile(NET, "ulx3s85f"), "did you mean 'ulx3s-85f'?"),
        (lambda: xf.load(NET), "it is loaded already, so use it as it is"),
        (lambda: xf.load(DESIGN), "its network is design.net"),
        (lambda: xf.load(Module()), "of a PyTorch module, export it to an ONNX file"),
        (lambda: xf.load(Proto()), "onnx.save(model, 'model.onnx')"),
        (lambda: xf.load(None), "takes the path of a model, not None"),
        (lambda: xf.compare("m.onnx", ["u250"], []), "xnorflow.compare(xnorflow.load('m.onnx')"),
        (lambda: xf.compare(NET, "u250,t4", []), "give fpgas=['u250', 't4']"),
        (lambda: xf.compare(NET, ["u250"], "t4"), "give gpus=['t4']"),
        (lambda: xf.compare(NET, 5, []), "fpgas is a list of names, not 5"),
        (lambda: NET("i.npz"), "read it first, as in np.load('i.npz')['x']"),
        (lambda: NET({"x": X}), "choose one, as in images['x']"),
        (lambda: NET.evaluate(None), "not None"),
        (lambda: NET(NET), "not an IntegerNetwork"),
        (lambda: DESIGN.simulate("i.npy"), "as in np.load('i.npy')"),
        (lambda: xf.check(NET, X), "name the file that it was loaded from"),
        (lambda: xf.check(demo.model_path(), "i.npz"), "np.load('i.npz')['x']"),
    ],
)
def test_the_cure_is_named(call: Callable[[], object], cure: str) -> None:
    with pytest.raises(xf.BadInput) as error:
        call()
    assert cure in str(error.value)


def test_all_arrays_of_a_file_are_no_samples(tmp_path: Path) -> None:
    np.savez(tmp_path / "i.npz", x=X)
    with np.load(tmp_path / "i.npz") as images, pytest.raises(xf.BadInput, match=r"images\['x'\]"):
        NET(images)


def test_what_is_right_is_taken() -> None:
    assert xf.load(str(demo.model_path())).digest == NET.digest
    assert xf.compile(NET, "ICEBREAKER", cycles=18432).board_name == "icebreaker"
    found = xf.compare(NET, ("ulx3s-25f",), (), cycles=4608)
    assert [row.device for row in found.rows] == ["ulx3s-25f"]
