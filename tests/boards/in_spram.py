"""Designs with weights in SPRAM, whatever room there is for them elsewhere."""

from __future__ import annotations

from dataclasses import replace

from xnorflow import compile as compile_network
from xnorflow import demo, load
from xnorflow.plan.memories import IN_SPRAM
from xnorflow_hw.spec import DotSpec


def in_spram(design, names=()):
    """Put the weights of these stages, of all that are in block RAM by default, into SPRAM."""
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
    """Give the demo network as the iCEBreaker would have it."""
    return in_spram(compile_network(load(demo.model_path()), board="icebreaker", cycles=20_000))
