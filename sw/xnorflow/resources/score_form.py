"""Say how a network's scores are computed, and estimate what that takes beside the last array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xnorflow import ir
from xnorflow.devices.tables import Family
from xnorflow.plan.layer_rules import reductions
from xnorflow.plan.mapping import describe_stage, has_steps, unit_of_scores
from xnorflow.plan.reductions import Fold
from xnorflow.resources import terms
from xnorflow.resources.coefficients import fitted
from xnorflow.resources.summarise import score_summary
from xnorflow.storage.blocks import StorageChoice
from xnorflow_hw.spec import OffsetSpec, ScoreSpec, StageSpec, TableSpec


@dataclass(frozen=True)
class ScoreForm:
    """How scores are computed.

    Parameters
    ----------
    form : str
        As `xnorflow.ir.Scores.form`.
    bits : int
        Bits of a score.
    luts : int
        LUTs beside the last array, estimated.
    ram_blocks : int
        Blocks of RAM beside those of the last array's weights.
    """

    form: str
    bits: int
    luts: int
    ram_blocks: int


def score_form(
    scores: Sequence[ir.Scores], stage: StageSpec, unit: ScoreSpec | None, family: Family
) -> ScoreForm:
    """Return how scores are computed, and what that takes on a family.

    Parameters
    ----------
    scores : sequence of Scores
        The layers, one for each output.
    stage : StageSpec
        The last stage.
    unit : ScoreSpec or None
        The unit behind it, if it does not compute the scores itself.
    family : Family
        FPGA family to estimate for.
    """
    form = "; ".join(dict.fromkeys(layer.form for layer in scores))
    memories = StorageChoice(family)
    luts, bits, blocks = 0.0, stage.out_bits, 0
    if unit is not None:
        found = terms.scores(score_summary(unit), family)
        luts, bits = fitted()[family.coefficients].part("scores", found)[0], unit.out_bits
        blocks = int(found[f"{terms.WHOLE}ROM blocks"])
    else:
        tail, lanes = stage.tails[-1], stage.lanes_out
        if isinstance(tail, TableSpec):
            rows, _, values = tail.table.shape
            each, own = memories.takes(rows * values, tail.out_bits, tail.rom)
            luts, blocks = lanes * each, lanes * own
        elif isinstance(tail, OffsetSpec):
            luts = fitted()[family.coefficients].part(
                "tail", {"tails": 1, "tails: bits": lanes * max(stage.array.out_bits, bits)}
            )[0]
    return ScoreForm(form, bits, round(luts), blocks)


def inspected(net: ir.LayerGraph, family: Family) -> ScoreForm:
    """Return how a network's scores are computed, one at a time and without DSP blocks."""
    part, fold = reductions(net)[-1], Fold(1, 1)
    stage = describe_stage(part, fold, last=True, steps=has_steps(net))
    layers = net.score_layers
    unit = unit_of_scores(net, part, fold, stage, 1)
    return score_form(layers, stage, unit, family)
