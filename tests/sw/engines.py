"""Summaries of engines for the tests of comparisons and of their reports."""

from xnorflow.resources.engine import EngineSummary

FIRST = EngineSummary(
    "conv0",
    "conv",
    positions=900,
    channels=64,
    reduction=27,
    inputs=3072,
    pe=16,
    simd=3,
    cycles=32400,
    rom_depth=36,
    rom_width=48,
    buffer_depth=96,
    buffer_width=24,
    act_bits=8,
    acc_bits=13,
    threshold_rows=4,
    threshold_levels=1,
)
"""The first convolution of a small network on CIFAR-10."""


def dense(inputs: int, acc_bits: int) -> EngineSummary:
    """Return a dense layer of ten scores at SIMD 8."""
    return EngineSummary(
        "fc",
        "conv",
        positions=1,
        channels=10,
        reduction=inputs,
        inputs=inputs,
        pe=1,
        simd=8,
        cycles=10 * inputs // 8,
        rom_depth=10 * inputs // 8,
        rom_width=8,
        buffer_depth=inputs // 8,
        buffer_width=8,
        act_bits=1,
        acc_bits=acc_bits,
        out_bits=16,
    )
