"""Designs with weights in SPRAM, although they would fit elsewhere, too."""

from __future__ import annotations

from dataclasses import replace

from xnorflow import compile as compile_network
from xnorflow import demo, load
from xnorflow.plan.memories import IN_SPRAM
from xnorflow_hw.spec import DotSpec


def in_spram(design, names=()):
    """Return a design with weights in SPRAM, by default all those that are in block RAM."""
    stages = []
    for stage in design.spec.stages:
        array = stage.array
        chosen = stage.name in names or not names
        if chosen and isinstance(array, DotSpec) and array.rom.storage == "block":
            assert not array.rom.registers, "the latency would be another"
            array = replace(array, rom=IN_SPRAM)
        stages.append(replace(stage, array=array))
    return replace(design, spec=replace(design.spec, stages=tuple(stages)))


def digits():
    """Return the demo network, compiled as for the iCEBreaker."""
    return in_spram(compile_network(load(demo.model_path()), board="icebreaker", cycles=20_000))
