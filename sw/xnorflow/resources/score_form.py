"""Say how a network's scores are computed, and estimate what that takes beside the last array."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xnorflow import ir
from xnorflow.devices.tables import Family
from xnorflow.plan.layer_rules import Part, reductions
from xnorflow.plan.mapping import describe_stage, has_steps, unit_of_scores
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
    scores: ir.Scores, stage: StageSpec, unit: ScoreSpec | None, family: Family
) -> ScoreForm:
    """Return how scores are computed, and what that takes on a family.

    Parameters
    ----------
    scores : Scores
        The layer.
    stage : StageSpec
        The last stage.
    unit : ScoreSpec or None
        The unit behind it, if it does not compute the scores itself.
    family : Family
        FPGA family to estimate for.
    """
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
    return ScoreForm(scores.form, bits, round(luts), blocks)


def score_forms(
    net: ir.LayerGraph,
    parts: Sequence[Part],
    stages: Sequence[StageSpec],
    unit: ScoreSpec | None,
    family: Family,
) -> tuple[ScoreForm, ...]:
    """Return how each layer of scores is computed, in the order of the scores.

    Parameters
    ----------
    net : LayerGraph
        The network.
    parts : sequence of Reduction or Joint
        Its parts.
    stages : sequence of StageSpec
        Their stages.
    unit : ScoreSpec or None
        The unit behind the last stage, if that does not compute the scores itself.
    family : Family
        FPGA family to estimate for.
    """
    found = []
    for scores in net.score_layers:
        # Scores are tails, and nothing is done to them within a stage.
        at = next(k for k, part in enumerate(parts) if part.tails and part.tails[-1][0] is scores)
        found.append(score_form(scores, stages[at], unit, family))
    return tuple(found)


def inspected(net: ir.LayerGraph, family: Family) -> tuple[ScoreForm, ...]:
    """Return how a network's scores are computed, one at a time and without DSP blocks."""
    parts, steps = reductions(net), has_steps(net)
    stages = [
        describe_stage(part, part.smallest_fold, last=part is parts[-1], steps=steps)
        for part in parts
    ]
    unit = unit_of_scores(net, parts[-1], parts[-1].smallest_fold, stages[-1], 1)
    return score_forms(net, parts, stages, unit, family)
