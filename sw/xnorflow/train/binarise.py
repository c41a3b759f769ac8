"""Brevitas quantisers whose scale is 1, so that a network's sums are integers.

Import this module by `xnorflow.train.needs`, which says what to install if Brevitas is missing.
"""

from __future__ import annotations

from brevitas.inject.enum import RestrictValueType, ScalingImplType, ScalingPerOutputType
from brevitas.quant.base import UintQuant
from brevitas.quant.binary import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst
from brevitas.quant.solver import ActQuantSolver


class BinaryWeight(SignedBinaryWeightPerTensorConst):
    """Quantiser of weights to -1 and +1."""

    scaling_const = 1.0


class BinaryActivation(SignedBinaryActPerTensorConst):
    """Quantiser of activations to -1 below 0 and to +1 otherwise.

    The gradient passes where the activation is between -1 and +1.
    """


class Sample4(UintQuant, ActQuantSolver):
    """Quantiser of samples to the nearest whole number from 0 to 15."""

    bit_width = 4
    min_val, max_val = 0.0, 15.0
    scaling_impl_type = ScalingImplType.CONST
    scaling_per_output_type = ScalingPerOutputType.TENSOR
    restrict_scaling_type = RestrictValueType.FP
