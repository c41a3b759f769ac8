"""The first layer that does not go together with the file, found from values alone."""

from dataclasses import replace

import numpy as np
import pytest

from xnorflow import demo, ir, load
from xnorflow.evidence.divergence import first_divergence
from xnorflow.evidence.executor import Executor


@pytest.fixture(scope="module")
def net():
    return load(demo.model_path())


@pytest.fixture(scope="module")
def executor():
    return Executor(demo.model_path())


@pytest.fixture(scope="module")
def x():
    return demo.data()["x_test"][:25]


def changed(net, name, **values):
    layers = [replace(layer, **values) if layer.name == name else layer for layer in net.layers]
    return ir.IntegerNetwork(net.name, net.shape, tuple(layers))


def test_a_network_that_is_the_file_diverges_nowhere(net, executor, x):
    assert first_divergence(net, executor, x, np.arange(25)) is None


def test_the_layer_behind_a_wrong_weight_is_named(net, executor, x):
    """Ten weights of a channel are turned, so that its thresholds decide otherwise somewhere."""
    layers = {layer.name: layer for layer in net.layers}
    behind = {}
    for layer, following in zip(net.layers, net.layers[1:], strict=False):
        if isinstance(layer, ir.Conv) and not isinstance(following, ir.Scores):
            behind[layer.name] = next(
                after.name for after in net.layers[net.layers.index(layer) :]
                if isinstance(after, ir.Threshold)
            )  # fmt: skip
    assert len(behind) == 3
    for name, threshold in behind.items():
        weights = layers[name].weights.copy()
        weights[2].flat[:10] *= -1
        wrong = changed(net, name, weights=weights)
        found = first_divergence(wrong, executor, x, np.arange(100, 125))
        assert found is not None and found.layer == threshold
        assert found.channel == 2 and 100 <= found.frame < 125
        text = str(found)
        assert threshold in text and f"frame {found.frame}" in text and found.node in text


def test_a_wrong_entry_of_the_input_table_is_named_with_its_place(net, executor, x):
    table = net.layers[0].table.copy()
    table[0, 15] -= 1
    found = first_divergence(changed(net, "input", table=table), executor, x, np.arange(25))
    assert found is not None and found.layer == "input"
    # 15 and 14 both are 14 now: the rarer of the two stands out.
    assert x[found.frame].reshape(8, 8)[found.row, found.column] in (14, 15)


def test_wrong_scores_are_no_layer_s_fault(net, executor, x):
    last = net.layers[-1]
    wrong = changed(net, last.name, offsets=np.arange(10) * 50)
    assert first_divergence(wrong, executor, x, np.arange(25)) is None
