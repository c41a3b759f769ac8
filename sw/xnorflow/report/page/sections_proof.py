"""The sections of a report about a proof: what was compared with what, and what differed."""

from __future__ import annotations

from xnorflow.devices.figure import Origin
from xnorflow.evidence.record import Evidence, Outcome
from xnorflow.report.page.page_blocks import Block, Cell, Fact, Notes, Section, Table, counted

KIND = {"golden": None, "rtl": Origin.SIMULATED, "gates": Origin.SIMULATED}
"""How the results of each implementation are known; the golden model computes, exactly."""
NAME = {"golden": "golden model", "rtl": "Verilog", "gates": "netlist"}
"""What each implementation is called in a sentence."""


def proof_facts(found: Evidence, *, ties_allowed: bool = False) -> list[Fact]:
    """Return what a reader wants to know first about a proof."""
    wrong = bool(found.alterations) or any(
        o.differs and not (ties_allowed and o.only_ties) for o in found.outcomes
    )
    compared = sum(o.total for o in found.outcomes)
    differing = sum(o.scores for o in found.outcomes)
    facts = [
        Fact(
            "Verdict",
            "nothing was compared" if not found.outcomes else "differs" if wrong else "equal",
            "in everything that was compared" if found.outcomes and not wrong else "",
            None if not found.outcomes else not wrong,
        ),
        Fact(
            "Mismatches",
            f"{differing:,} of {compared:,} scores" if compared else "only labels and orders",
            ", ".join(
                f"{NAME.get(o.name, o.name)} on {counted(o.frames, 'frame')}"
                for o in found.outcomes
            ),
            not wrong if found.outcomes else None,
            _best(found.outcomes),
        ),
    ]
    if found.accuracy is not None:
        facts.append(
            Fact(
                "Accuracy",
                f"{100 * found.accuracy:.2f} %",
                f"golden model, {found.data['frames']:,} images of {found.data.get('path', 'x')}",
            ),
        )
    return facts


def _best(outcomes: tuple[Outcome, ...]) -> Origin | None:
    return next((k for o in reversed(outcomes) if (k := KIND.get(o.name)) is not None), None)


def proof_section(found: Evidence) -> Section:
    """Return the table of all comparisons, with the first difference of each."""
    rows = []
    for o in found.outcomes:
        scores = f"{o.scores:,} of {o.total:,}" if o.total else "not compared"
        rows.append(
            [
                Cell(o.tool),
                Cell(o.against),
                Cell(f"{o.frames:,}"),
                Cell(f"{o.labels:,}", alarm=bool(o.labels)),
                Cell(f"{o.order:,}", alarm=bool(o.order)),
                Cell(o.failure or scores, alarm=bool(o.failure or (o.exact and o.scores))),
            ]
        )
    heads = ["compared", "with", "frames", "labels differ", "orders differ", "scores differ"]
    blocks: list[Block] = [Table(heads, rows)] if rows else []
    notes = [f"{o.tool}: first in {o.first}" for o in found.outcomes if o.first]
    notes += [f"altered: {place}" for place in found.alterations]
    if found.tied:
        notes.append(f"In {counted(found.tied, 'frame')}, equal scores decide the label.")
    return Section("proof", "What was compared", [*blocks, Notes([*notes, *found.notes])])
