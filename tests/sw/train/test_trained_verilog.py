"""Networks that were trained here, in Verilog: every score equals the golden model's."""

from __future__ import annotations

from pathlib import Path

import pytest

import xnorflow
from xnorflow.train.methods import find_method

from .tiny import needs_torch, stripes, trained


@pytest.mark.rtl
@pytest.mark.slow
@pytest.mark.parametrize("name", ["ebp", "true-north-ensemble", "bnn", "react-net"])
def test_every_score_in_verilog(name: str, tmp_path: Path) -> None:
    method = find_method(name)
    needs_torch(method)
    trained(method, tmp_path / "a.onnx")
    bits = None if method.fixed_point is None else 8
    known = None if bits is None else stripes().x_train
    net = xnorflow.load(tmp_path / "a.onnx", fixed_point=bits, calibrate=known)
    design = xnorflow.compile(net)
    x = stripes().x_test[:3]
    run = design.simulate(x)
    assert (run.scores == design.net(x)).all()
