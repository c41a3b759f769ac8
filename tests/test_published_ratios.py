"""Published ratios of an FPGA over a GPU, and what is computed beside them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest

pytest.importorskip("torch", reason="the benchmark builds its network in PyTorch")
sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import fpga17

import xnorflow as xf

PAGE = Path(__file__).parents[1] / "docs" / "methods" / "can_fpgas_beat_gpus.md"


def test_ratios_are_those_of_the_abstract() -> None:
    known = {name: quantity.value for name, quantity in fpga17.PUBLISHED.items()}
    assert known == {"binary": 5.4, "int6": 1.5, "pruned": 1.1, "resnet": 1.6, "per watt": 2.3}


def test_every_number_says_how_it_is_known_and_stands_on_the_page() -> None:
    lines, page = fpga17.gemm(), PAGE.read_text(encoding="utf-8")
    for quantity in lines:
        assert quantity.kind in get_args(fpga17.Kind)
        assert quantity.source
        assert quantity.line() in page


def test_our_ratio_is_proportional_to_the_clock() -> None:
    def ratio(mhz: float) -> float:
        clock = replace(fpga17.CLOCK, value=mhz)
        found = {q.name: q.value for q in fpga17.gemm(clock)}
        value = found["binary GEMM, our ratio"]
        assert value is not None
        return value

    assert ratio(600) == pytest.approx(2 * ratio(300))
    # 933,120 x 0.8 / 1.05 lanes at 300 MHz against 88 TOP/s.
    assert ratio(300) == pytest.approx(933_120 * 0.8 / 1.05 * 2 * 300e6 / 88e12)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_small_ternary_resnet_is_compared() -> None:
    import torch

    torch.manual_seed(1)
    net = fpga17.imported(fpga17.settled(fpga17.ternary_resnet(2, 1), 1))
    found = xf.compare(net, ["u250"], ["t4"], batches=(1, 128), cycles=100_000)
    assert {row.device for row in found.rows} == {"u250", "t4"}
