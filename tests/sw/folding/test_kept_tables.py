"""Tables of costs are computed once for devices that they are the same for, and only for these."""

from __future__ import annotations

import pytest

import xnorflow as xf
from xnorflow import demo
from xnorflow.devices.tables import fpga
from xnorflow.folding import kept_tables
from xnorflow.folding.search import Fit


def search(net: xf.IntegerNetwork, board: str) -> Fit:
    return Fit(net, fpga(board), lambda folds, target: pytest.fail("nothing is assembled"))


def test_boards_of_a_family_share_tables_and_others_do_not() -> None:
    net = xf.load(demo.model_path())
    first = search(net, "zcu104").chain
    assert search(net, "kv260").chain is first and search(net, "u250").chain is first
    assert search(net, "pynq-z1").chain is not first
    assert search(net, "icebreaker").chain is not search(net, "ulx3s-85f").chain
    assert search(net, "zcu104").chain is first
    assert len(kept_tables._KEPT[net]) == kept_tables.MOST
    assert search(xf.load(demo.model_path()), "zcu104").chain is not first


def test_a_board_gets_the_same_design_after_another_as_by_itself() -> None:
    together = xf.load(demo.model_path())
    for board in ("ulx3s-25f", "ulx3s-85f", "orangecrab-85f"):
        design = xf.compile(together, board=board, fps=20_000)
        alone = xf.compile(xf.load(demo.model_path()), board=board, fps=20_000)
        assert design.digest == alone.digest
