"""Lowering of whole graphs: every float score comes back, bit for bit."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.lower import lower
from xnorflow_sim import golden

from . import reference
from .draw_graph import graphs


def frames(shape, seed, count=12):
    r = np.random.default_rng(seed)
    x = r.integers(0, 256, (count, *shape), np.uint8)
    x[0], x[1] = 0, 255
    x[2] = r.choice([0, 255], shape)
    x[3:6] = r.choice([0, 1, 127, 128, 254, 255], (3, *shape))
    return x


def check(graph, x):
    """Compare every score, and the order of the classes, with the float reference."""
    net = lower(graph)
    truth = reference.run(graph, x)
    scores = golden.run(net, x)
    np.testing.assert_array_equal(net.scores.to_float(scores), truth)
    # The same order and ties between any two classes.
    np.testing.assert_array_equal(
        np.sign(scores[:, :, None] - scores[:, None]),
        np.sign(truth[:, :, None] - truth[:, None]),
    )
    assert not [note for note in net.notes if "float sums" in note]
    return net


@settings(max_examples=150)
@given(graphs(), st.integers(0, 2**32 - 1))
def test_random_graphs_give_every_score(graph, seed):
    check(graph, frames(graph.shape, seed))
