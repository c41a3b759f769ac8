"""Orders of scores, against loops over all pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.evidence import score_orders
from xnorflow.evidence.score_orders import compare_orders, hanging


def pairs_differ(a, b):
    """Return of two rows of scores whether a pair differs, and whether one is turned around."""
    differ = turned = False
    for i in range(len(a)):
        for j in range(len(a)):
            left = int(a[i] > a[j]) - int(a[i] < a[j])
            right = int(b[i] > b[j]) - int(b[i] < b[j])
            differ |= left != right
            turned |= left * right < 0
    return differ, turned


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.integers(1, 6), st.integers(2, 5), st.integers(1, 4), st.integers(0, 2**32 - 1),
       st.sampled_from([1, 20, 1 << 23]), st.sampled_from([1, 256]))  # fmt: skip
def test_orders_are_those_of_a_loop_over_pairs(n, k, values, seed, pairs, few):
    rng = np.random.default_rng(seed)
    a = rng.integers(0, values, (n, k))
    b = np.where(rng.random((n, k)) < 0.7, a, rng.integers(0, values, (n, k))) / np.float32(4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score_orders, "PAIRS", pairs)
        patch.setattr(score_orders, "FEW", few)
        found = compare_orders(a, b)
    for i in range(n):
        differ, turned = pairs_differ(a[i], b[i])
        assert found.order[i] == differ and found.reversed[i] == turned
        assert found.ties[i] == (differ and not turned)
        assert found.labels[i] == (a[i].argmax() != b[i].argmax())


def test_scores_of_one_class_are_ordered_over_all_frames():
    a, b = np.array([[1], [2], [3], [9]]), np.array([[0.5], [4.0], [1.0], [9.0]])
    found = compare_orders(a, b)
    assert found.order.tolist() == [False, True, True, False]
    assert not found.labels.any() and not found.ties.any()


def test_scores_whose_difference_would_overflow_are_ordered():
    a = np.array([[-(2**62), 2**62]])
    b = np.array([[np.finfo(np.float32).min, np.finfo(np.float32).max]], np.float32)
    assert not compare_orders(a, b).order.any()
    assert compare_orders(a, b[:, ::-1]).reversed.all()


def test_scores_of_different_outputs_are_not_compared_with_each_other():
    a, b = np.array([[1, 2, 9, 3], [1, 2, 9, 3]]), np.array([[10, 20, 2, 1], [20, 10, 1, 1]])
    found = compare_orders(a, b, (2, 2))
    assert found.order.tolist() == [False, True] and found.ties.tolist() == [False, False]
    assert found.labels.tolist() == [False, True]
    assert compare_orders(a, b).order.all()


def test_a_label_of_a_pixel_may_hang():
    scores = np.array([[[1, 2], [1, 0]], [[1, 2], [0, 0]]])
    assert hanging(scores) == 1 and hanging(scores, 2) == 1


def test_a_label_hangs_where_the_best_is_not_alone():
    assert hanging(np.array([[3, 3, 1], [3, 1, 1], [0, 0, 0], [1, 2, 3]])) == 2
