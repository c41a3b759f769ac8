"""Plain descriptions of an accelerator: the compiler decides them, the hardware is built from them.

Imports no Amaranth, so that the cycle model can read the same objects, and nothing else of the
project.
"""

from xnorflow_hw.spec.accelerator import (
    AcceleratorSpec,
    FrontSpec,
    InputSpec,
    StageSpec,
    StreamSpec,
)
from xnorflow_hw.spec.arrays import (
    ArraySpec,
    DotSpec,
    GatherSpec,
    JoinedSpec,
    MacSpec,
    MaxSpec,
    SumSpec,
)
from xnorflow_hw.spec.buffer import BufferSpec
from xnorflow_hw.spec.edges import EdgeSpec
from xnorflow_hw.spec.gearbox import GearboxSpec
from xnorflow_hw.spec.joining import JoinSpec, PortSpec, StretchSpec
from xnorflow_hw.spec.rom import FAR_CYCLES, IN_BLOCKS, IN_SPRAM, NEAR, RomSpec, Tile, segments
from xnorflow_hw.spec.score_unit import ScoreSpec, ScoreStepSpec
from xnorflow_hw.spec.tails import AffineSpec, OffsetSpec, TableSpec, TailSpec, ThresholdSpec
from xnorflow_hw.spec.weighted import Weighted

__all__ = [
    "StretchSpec",
    "PortSpec",
    "JoinSpec",
    "JoinedSpec",
    "StreamSpec",
    "FrontSpec",
    "AcceleratorSpec",
    "AffineSpec",
    "ArraySpec",
    "BufferSpec",
    "DotSpec",
    "EdgeSpec",
    "FAR_CYCLES",
    "GatherSpec",
    "GearboxSpec",
    "IN_BLOCKS",
    "IN_SPRAM",
    "InputSpec",
    "MacSpec",
    "MaxSpec",
    "NEAR",
    "OffsetSpec",
    "RomSpec",
    "ScoreSpec",
    "ScoreStepSpec",
    "StageSpec",
    "SumSpec",
    "TableSpec",
    "TailSpec",
    "ThresholdSpec",
    "Tile",
    "Weighted",
    "segments",
]
