from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.comparison.gpu import Settings, estimate, popcount_bound, runs_in
from xnorflow.devices import tables as devices
from xnorflow.devices.figure import Origin
from xnorflow.errors import BadInput
from xnorflow.resources.engine import DesignSummary, EngineSummary

A100, T4, H100, L4 = (devices.gpu(n) for n in ("a100", "t4", "h100", "l4"))


def layer(pixels: int, channels: int, reduction: int, **more: int) -> EngineSummary:
    values = {"inputs": pixels * reduction, "act_bits": 1, "out_bits": 1} | more
    return EngineSummary(
        name="l",
        kind="conv",
        positions=pixels,
        channels=channels,
        reduction=reduction,
        pe=1,
        simd=1,
        cycles=1,
        rom_depth=1,
        rom_width=1,
        buffer_depth=1,
        buffer_width=1,
        **values,
    )


def design(*engines: EngineSummary) -> DesignSummary:
    return DesignSummary("net", engines, 1, 1)


def test_arithmetic_bound_by_hand():
    found = estimate(design(layer(4096, 4096, 4096)), A100, "fp16", 1, "peak")
    assert found is not None
    assert found.seconds == pytest.approx(2 * 4096**3 / 312e12)


def test_memory_bound_by_hand():
    found = estimate(design(layer(1, 4096, 4096)), T4, "int8", 1, "peak")
    assert found is not None
    assert found.seconds == pytest.approx((4096 * 4096 + 4096 + 4096) / 320e9)


def test_gemm_column_by_hand():
    settings = Settings(gemm_efficiency=0.5, bandwidth_efficiency=1.0, launch_us=7.0)
    found = estimate(design(layer(5, 10, 100)), T4, "b1", 3, "gemm", settings)
    assert found is not None and T4.b1_k == 128
    padded = 2 * 16 * 16 * 128 / (1042e12 * 0.5)
    bits = 10 * 100 + 3 * (5 * 100 + 5 * 10)
    assert found.seconds == pytest.approx(max(padded, bits / 8 / 320e9) + 7e-6)
    assert found.fps.value == pytest.approx(3 / found.seconds)
    assert found.latency.value == pytest.approx(found.seconds * 1e6)


def test_energy_is_the_published_power_and_an_upper_bound():
    found = estimate(design(layer(64, 64, 64)), T4, "int8", 8, "gemm")
    assert found is not None and found.energy is not None
    assert found.energy.value == pytest.approx(70 * found.seconds / 8 * 1e3)
    assert found.energy.error == "upper bound" and found.energy.kind is Origin.ESTIMATED


@pytest.mark.parametrize(
    "act_bits, planes, gpu, expected",
    [
        (1, 1, A100, "b1"),
        (2, 1, A100, "b1"),
        (2, 2, A100, "b1"),
        (8, 1, A100, "int8"),
        (8, 1, T4, "int8"),
        (2, 2, H100, "int8"),
        (4, 2, A100, "int8"),
    ],
)
def test_which_layers_run_in_one_bit(act_bits, planes, gpu, expected):
    engine = layer(1, 8, 8, act_bits=act_bits, weight_planes=planes)
    assert runs_in(engine, gpu, "b1") == expected
    assert runs_in(engine, gpu, "fp16") == "fp16"


def test_planes_cost_passes_in_one_bit():
    one = estimate(design(layer(4096, 4096, 4096)), A100, "b1", 1, "peak")
    four = estimate(
        design(layer(4096, 4096, 4096, act_bits=2, weight_planes=2)), A100, "b1", 1, "peak"
    )
    assert one and four
    assert four.layers[0].arithmetic == pytest.approx(4 * one.layers[0].arithmetic)


def test_pools_cost_nothing():
    conv = layer(16, 16, 16)
    pool = replace(conv, name="pool", kind="maxpool", rom_depth=0)
    assert (
        estimate(design(conv, pool), A100, "int8", 1, "gemm").seconds
        == estimate(design(conv), A100, "int8", 1, "gemm").seconds
    )


def test_no_figure_without_a_source():
    net = design(layer(16, 16, 16))
    assert estimate(net, L4, "b1", 1, "peak") is None
    assert estimate(net, A100, "int8", 1, "end-to-end") is None


@given(
    st.lists(
        st.tuples(st.integers(1, 500), st.integers(1, 500), st.integers(1, 2000)),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([A100, T4, H100]),
    st.integers(1, 300),
)
def test_estimates_are_ordered(shapes, gpu, batch):
    net = design(*(layer(*s) for s in shapes))
    peak, gemm, whole = (estimate(net, gpu, "b1", batch, c) for c in ("peak", "gemm", "end-to-end"))
    assert peak.seconds < gemm.seconds <= whole.seconds
    assert gemm.seconds >= len(shapes) * 5e-6
    larger = estimate(net, gpu, "b1", 2 * batch, "gemm")
    assert larger.fps.value >= gemm.fps.value * 0.999


def test_cuda_core_bound_only_where_sourced():
    bound = popcount_bound(H100)
    assert bound is not None and bound.kind is Origin.ESTIMATED and "derived" in bound.how
    assert bound.value == pytest.approx(132 * 16 * 32 * 2 * 1.83e9 / 1e12)
    assert popcount_bound(T4) is None


@pytest.mark.parametrize(
    "bad",
    [
        {"gemm_efficiency": 0},
        {"end_to_end_efficiency": 1.5},
        {"bandwidth_efficiency": -1},
        {"launch_us": -0.1},
    ],
)
def test_settings_are_checked(bad):
    with pytest.raises(BadInput, match=next(iter(bad))):
        Settings(**bad)


def test_the_batch_is_checked():
    with pytest.raises(BadInput, match="batch"):
        estimate(design(layer(1, 1, 1)), A100, "fp16", 0, "peak")
