"""The integer network: what the compiler lowers to and everything else starts from.

A network is a graph of layers, mostly a chain, over feature maps ``[height, width, channels]``. A
feature is stored as an unsigned *code*; its alphabet says which integer the code stands for. All
arithmetic is on integers, so every tool that reads a network computes the same numbers. This room
may import NumPy, `xnorflow.errors`, `xnorflow.inputs` and `xnorflow.npz`; calling a network also
imports the golden model.
"""

from xnorflow.ir.alphabet import (
    BIPOLAR,
    MAX_BITS,
    NAMED_ALPHABETS,
    TERNARY,
    UINT8,
    UNIPOLAR,
    Alphabet,
    Ints,
)
from xnorflow.ir.features import Features, Window
from xnorflow.ir.input_kind import InputKind
from xnorflow.ir.input_order import InputOrder
from xnorflow.ir.joins import Add, AllScores, Concat, Join, Maximum, Multiply
from xnorflow.ir.layer import FRAME, KINDS, Layer
from xnorflow.ir.layer_graph import LayerGraph, Output
from xnorflow.ir.layers import (
    CodeTable,
    Conv,
    Flatten,
    InputTable,
    MaxPool,
    Rescale,
    Scores,
    SumPool,
    Threshold,
)
from xnorflow.ir.looked_up import Gather
from xnorflow.ir.network import SCORES, IntegerNetwork, labels, result_arrays
from xnorflow.ir.score_steps import ScoreStep
from xnorflow.ir.stretches import AddMap, Stretch

__all__ = [
    "Add",
    "AddMap",
    "AllScores",
    "Concat",
    "FRAME",
    "Join",
    "Maximum",
    "Multiply",
    "Output",
    "Stretch",
    "Alphabet",
    "BIPOLAR",
    "CodeTable",
    "Conv",
    "Features",
    "Flatten",
    "Gather",
    "InputKind",
    "InputOrder",
    "InputTable",
    "IntegerNetwork",
    "Ints",
    "KINDS",
    "Layer",
    "LayerGraph",
    "MAX_BITS",
    "MaxPool",
    "NAMED_ALPHABETS",
    "Rescale",
    "SCORES",
    "ScoreStep",
    "Scores",
    "SumPool",
    "TERNARY",
    "Threshold",
    "UINT8",
    "UNIPOLAR",
    "Window",
    "labels",
    "result_arrays",
]
