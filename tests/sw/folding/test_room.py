"""Which boards have room for a network, found without a search."""

import os
from pathlib import Path

import pytest

from xnorflow import load
from xnorflow.compiler import compile_network
from xnorflow.devices.tables import fpga, fpgas
from xnorflow.errors import CheckFailed
from xnorflow.folding.room import Room, capacity_bits
from xnorflow_boards.catalogue import board

from .test_search import network

DATA = Path(os.environ.get("XNORFLOW_DATA", Path(__file__).parents[4] / "shared" / "data"))
CNV = DATA / "models" / "cifar10_cnvW1A1.onnx"


def test_open_tools_come_first_and_then_the_smallest() -> None:
    names = Room(network(24, 96, 96, 48)).boards(fpga("icebreaker"))
    opened = [board(name).open for name in names]
    assert opened == sorted(opened, reverse=True) and any(opened) and not all(opened)
    for group in (True, False):
        sizes = [capacity_bits(fpga(n)) for n in names if board(n).open is group]
        assert sizes == sorted(sizes)
    assert "icebreaker" not in names


def test_a_board_that_is_named_holds_the_network() -> None:
    net = network(24, 96, 96, 48)
    first, *_ = Room(net).boards(fpga("icebreaker"))
    assert compile_network(net, first, cycles=4096).board == first


def test_more_weights_than_bits_are_refused_without_a_search(monkeypatch) -> None:
    net = network(64, 1024, 1024, 1024)
    room = Room(net)
    assert room.weight_bits > capacity_bits(fpga("icebreaker"))
    monkeypatch.setattr("xnorflow.folding.board_fit.Fit", None)
    with pytest.raises(CheckFailed, match=r"weights have .* bits, .*SPRAM.*room for it \("):
        compile_network(net, "icebreaker")


def test_a_published_network_too_large_for_icebreaker_names_the_smallest_open_board_first() -> None:
    if not CNV.exists():
        pytest.skip("needs XNORFLOW_DATA with models/cifar10_cnvW1A1.onnx")
    with pytest.raises(CheckFailed, match=r"What would work: a board with room .*\(ulx3s-85f, "):
        compile_network(load(CNV), "icebreaker")


def test_capacities_are_those_of_the_data_sheets() -> None:
    # 30 EBR of 4 kbit, 4 SPRAM of 256 kbit, 5,280 LUT4.
    assert capacity_bits(fpga("icebreaker")) == 30 * 4096 + 4 * 262144 + 5280 * 16
    assert capacity_bits(fpga("ulx3s-85f")) == 208 * 18432 + 83640 * 16
    assert all(capacity_bits(device) > 0 for device in fpgas().values())
