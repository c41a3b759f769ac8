"""The integer network: what the compiler lowers to and everything else starts from.

A network is a chain of layers over feature maps ``[height, width, channels]``. A feature is stored
as an unsigned *code*; its alphabet says which integer the code stands for. Nothing here is a
float, so every tool that reads a network computes the same numbers. Imports NumPy and
`xnorflow.errors` and `xnorflow.npz`; a network that is called reaches up to the golden model.
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
from xnorflow.ir.layer import KINDS, Layer
from xnorflow.ir.layer_graph import LayerGraph
from xnorflow.ir.layers import (
    CodeTable,
    Conv,
    Flatten,
    InputTable,
    MaxPool,
    Scores,
    SumPool,
    Threshold,
)
from xnorflow.ir.network import IntegerNetwork, labels
from xnorflow.ir.score_steps import ScoreStep

__all__ = [
    "Alphabet",
    "BIPOLAR",
    "CodeTable",
    "Conv",
    "Features",
    "Flatten",
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
    "ScoreStep",
    "Scores",
    "SumPool",
    "TERNARY",
    "Threshold",
    "UINT8",
    "UNIPOLAR",
    "Window",
    "labels",
]
