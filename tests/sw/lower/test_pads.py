"""Padding as integers."""

import numpy as np
import pytest

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.graph import ops
from xnorflow.lower.pads import check_pool, pad_value, resolve_pads

ONES = np.ones((1, 1, 1, 1), np.int64)


def conv(value, pads=(1, 1, 1, 1)):
    return ops.ConvOp(ONES, np.float32(1), ir.Window(pads=pads), value, node="c", op="Conv")


@pytest.mark.parametrize(
    ("value", "scale", "integer"),
    [
        (0.0, 0.3, 0),
        (0.5, 0.5, 1),
        (-0.5, 0.5, -1),
        (0.1, float(np.float32(0.1)), 1),
        (6.0, 2.0, 3),
    ],
)
def test_multiples_of_the_scale(value, scale, integer):
    assert pad_value(conv(value), scale) == integer


def test_other_values_are_refused_only_where_they_pad():
    with pytest.raises(UnsupportedModel, match="Conv node 'c'.*padding of 0.7"):
        pad_value(conv(0.7), 0.5)
    assert pad_value(conv(0.7, (0, 0, 0, 0)), 0.5) == 0


@pytest.mark.parametrize(
    ("window", "fits"),
    [
        (ir.Window((2, 2), (1, 1), (1, 1), (1, 1, 1, 1)), True),
        (ir.Window((1, 1), (1, 1), (1, 1), (0, 0, 0, 1)), False),
        (ir.Window((2, 2), (1, 1), (1, 1), (2, 0, 0, 0)), False),
        (ir.Window((2, 1), (1, 1), (9, 1), (5, 0, 9, 0)), False),
        (ir.Window((2, 1), (7, 1), (2, 1), (1, 0, 1, 0)), True),
    ],
)
def test_pools_of_padding_alone_are_refused(window, fits):
    op = ops.MaxPoolOp(window, node="p", op="MaxPool")
    if fits:
        check_pool(op, 4, 4)
    else:
        with pytest.raises(UnsupportedModel, match="MaxPool node 'p'"):
            check_pool(op, 4, 4)


def padded_sum(table, alphabet):
    pool = ir.SumPool("pool0", ir.Window((2, 2), pads=(1, 1, 0, 0)), sources=("avg",))
    last = ir.Scores("scores", np.zeros(1, np.int64))
    layers = (ir.InputTable("input", table, alphabet), pool, last)
    return ir.IntegerNetwork("n", (1, 1, 1), layers)


def test_padded_sums_count_the_code_of_zero():
    net = resolve_pads(padded_sum(np.ones((1, 256), np.int64), ir.TERNARY))
    assert net.layers[1].pad_code == 1
    assert net(np.zeros((1, 1, 1, 1), np.uint8)) == 0
    with pytest.raises(UnsupportedModel, match="'avg'"):
        resolve_pads(padded_sum(np.ones((1, 256), np.int64), ir.BIPOLAR))
