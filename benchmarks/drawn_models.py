"""Draw ONNX networks as people write them, and hold import and golden model to an executor.

Most are written node by node, in operator sets 7 to 24; the others are PyTorch modules, written by
PyTorch's own exporters. Each is executed by ONNX Runtime with graph optimisations disabled (nodes
of QONNX in ``qonnx``), and the order of all scores, ties included, compared with the golden
model's; so are the file's floats, bit by bit, unless a note says that they hang on rounding. Run
for example::

    python benchmarks/drawn_models.py --first 0 --count 500 -o drawn.jsonl
    python benchmarks/drawn_models.py --first 0 --count 5000 -o drawn.jsonl    # goes on from there
    python benchmarks/drawn_models.py --first 4321 --count 1 --keep DIR        # one, to look at
    python benchmarks/drawn_models.py --first 0 --count 40 --rtl 20            # Verilog as well

A difference counts as explained where a note of the network says that the file's float32 results
hang on an executor's rounding (the order of a sum, an approximated function, what a
straight-through estimator leaves behind, weights that are off by their rounding), *and* the file
gives the golden model's order when it is executed with exact sums and functions that are rounded
once (`exact_sums`). All others make the run fail.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from drawn_network import Drawn, draw
from exact_sums import ExactSums
from numpy.typing import NDArray

import xnorflow as xf
from xnorflow import ir
from xnorflow.errors import BadInput, CheckFailed
from xnorflow.evidence.executor import Executor
from xnorflow.evidence.score_orders import compare_orders
from xnorflow.lower.rounding import ORDER_OF_SUMMATION

RULES = {
    ORDER_OF_SUMMATION: "order of a float32 sum",
    "executors approximate it": "approximated function",
    "y - t + t": "residue of a straight-through estimator",
    "their rounding; the file": "weights off by their rounding",
}
"""What a network's notes say, and the rule that a difference then falls under."""
SQUASHING = ("Sigmoid", "Tanh", "Erf", "Softsign")


@dataclass(frozen=True)
class Record:
    """What became of a network.

    Parameters
    ----------
    seed : int
    origin : {"nodes", "torchscript", "dynamo"}
    outcome : {"same", "explained", "refused", "not executed", "not exported", "differs"}
    reason : str
        Why it is not the same.
    frames : int
        How many were compared.
    scores : int
        How many of their floats are not the file's, where a note says that its sums round.
    hardware : str
        What became of its Verilog.
    varied : bool
        Its scores are not the same in all frames.
    tags : list of str
        What it is made of.
    """

    seed: int
    origin: str
    outcome: str
    reason: str = ""
    frames: int = 0
    scores: int = 0
    hardware: str = ""
    varied: bool = False
    tags: tuple[str, ...] = ()


def origin_of(seed: int) -> str:
    """Return what writes the network of a seed."""
    if seed % 50 == 5:
        return "dynamo"
    return "torchscript" if seed % 5 in (1, 3) else "nodes"


def ahead(model: onnx.ModelProto, ends_in: str) -> onnx.ModelProto:
    """Return a model that gives what a squashing function at its end reads."""
    if ends_in not in SQUASHING:
        return model
    out = model.graph.output[0].name
    last = next(n for n in model.graph.node if out in n.output)
    assert last.op_type == ends_in, (last.op_type, ends_in)
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.append(onnx.ValueInfoProto(name=last.input[0]))
    return shown


def differing(net: ir.IntegerNetwork, scores: ir.Ints, want: NDArray[Any]) -> tuple[int, int]:
    """Count the frames whose order of scores differs, and the floats that do."""
    orders = compare_orders(scores, want)
    floats = 0
    if net.scores.floats is not None:
        floats = int((net.scores.to_float(scores) != want).sum())
    return int(orders.order.sum()), floats


def plain(text: str) -> str:
    """Return an error without what tells one network from another."""
    text = re.sub(r"'[^']*'", "'...'", text)
    return re.sub(r"-?\d[\d.,e+-]*", "N", text)[:160]


class Check:
    """Draws networks and compares them.

    Parameters
    ----------
    folder : Path
        For the files.
    rtl : int
        How many are compiled to Verilog and simulated as well.
    """

    def __init__(self, folder: Path, rtl: int) -> None:
        self.folder, self.rtl = folder, rtl

    def __call__(self, seed: int) -> Record:
        """Draw and compare one network."""
        origin = origin_of(seed)
        path = self.folder / f"drawn_{seed}.onnx"
        twin = None
        if origin == "nodes":
            drawn = draw(seed)
            onnx.save(drawn.model, path)
            if "residue" in drawn.tags:
                twin = draw(seed, twin=True).model
        else:
            from drawn_torch import NotExported
            from drawn_torch import draw as draw_torch

            try:
                drawn, twin = draw_torch(seed, path, dynamo=origin == "dynamo")
            except NotExported as e:
                return Record(seed, origin, "not exported", plain(str(e)))
        tags = tuple(sorted(drawn.tags))
        try:
            net = xf.load(
                path, input=drawn.kind.name, input_scale=drawn.kind.scale, layout=drawn.layout
            )
            scores = net(drawn.x)
        except (xf.UnsupportedModel, BadInput) as e:
            return Record(seed, origin, "refused", plain(str(e)), tags=tags)
        shown = self.folder / f"drawn_{seed}_ahead.onnx"
        onnx.save(ahead(drawn.model, drawn.ends_in), shown)
        try:
            found = Executor(shown).run(drawn.taken)
        except CheckFailed as e:
            return Record(seed, origin, "not executed", plain(str(e)), tags=tags)
        if not np.isfinite(found.scores.astype(np.float64)).all():
            return Record(seed, origin, "not executed", "scores are not finite", tags=tags)
        record = self.compared(seed, origin, net, scores, found.scores, drawn, twin)
        record = replace(record, varied=bool((scores != scores[0]).any()), tags=tags)
        if not self.rtl or record.outcome not in ("same", "explained") or not record.varied:
            return record
        self.rtl -= 1
        return replace(record, hardware=self.hardware(net, drawn.x))

    def compared(
        self,
        seed: int,
        origin: str,
        net: ir.IntegerNetwork,
        scores: ir.Ints,
        want: NDArray[Any],
        drawn: Drawn,
        twin: onnx.ModelProto | None,
    ) -> Record:
        """Compare the golden model's scores with the executor's."""
        n = len(scores)
        if scores.shape != want.shape:
            return Record(seed, origin, "differs", "number of scores", n, scores.size)
        rules = [rule for said, rule in RULES.items() if any(said in note for note in net.notes)]
        orders, floats = differing(net, scores, want)
        labels = self.labels_differ(net, scores, want, drawn.cut)
        if not orders and not labels and (not floats or rules):
            return Record(seed, origin, "same", "", n, floats)
        if not rules:
            why = f"{orders} orders, {floats} floats, {labels} labels; no note says so"
            return Record(seed, origin, "differs", why, n, floats)
        path = self.folder / f"drawn_{seed}_exact.onnx"
        onnx.save(ahead(drawn.model if twin is None else twin, drawn.ends_in), path)
        why = ""
        for float_unit in (True, False):
            exact = ExactSums(path, float_unit=float_unit).frames(drawn.taken)
            left, _ = differing(net, scores, exact)
            other = self.labels_differ(net, scores, exact, drawn.cut)
            if not left and not other:
                break
            why = f"{left} orders, {other} labels with exact sums too; {', '.join(rules)}"
        else:
            return Record(seed, origin, "differs", why, n, floats)
        return Record(seed, origin, "explained", ", ".join(rules), n, floats)

    @staticmethod
    def labels_differ(
        net: ir.IntegerNetwork, scores: ir.Ints, want: NDArray[Any], cut: float
    ) -> int:
        """Count the frames whose single score has another label than the file's."""
        ranked = any("does not tell the label" in note for note in net.notes)
        # Scores that are probabilities are cut in their middle, which some frames do not show.
        doubtful = not cut and want.min() >= 0 and want.max() <= 1
        if want.shape[1] > 1 or ranked or doubtful:
            return 0
        return int((ir.labels(scores) != (want[:, 0] > cut)).sum())

    @staticmethod
    def hardware(net: ir.IntegerNetwork, x: NDArray[Any]) -> str:
        """Compile a network, simulate its Verilog and compare all scores."""
        try:
            design = xf.compile(net)
        except xf.UnsupportedModel as e:
            return "refused: " + plain(str(e))
        run = design.simulate(x, stalls=(0.2, 0.2))
        wrong = int((run.scores != net(x)).sum())
        return "same" if not wrong else f"{wrong} scores differ"


def summary(records: list[Record]) -> int:
    """Print what came of all; return how many differ."""
    print(f"\n{len(records)} networks, {sum(r.frames for r in records)} frames compared")
    names = ("same", "explained", "differs", "refused", "not executed", "not exported")
    last = [r for r in records if r.outcome == "same" and r.scores]
    print(f"scores vary between frames: {sum(r.varied for r in records)} networks")
    print(f"same order with floats off in their last places: {len(last)} networks")
    for origin in ("nodes", "torchscript", "dynamo"):
        own = Counter(r.outcome for r in records if r.origin == origin)
        print(f"  {origin}: " + ", ".join(f"{own[n]} {n}" for n in names))
    for outcome in names[1:]:
        reasons = Counter(r.reason for r in records if r.outcome == outcome)
        if reasons:
            print(f"{outcome}: {reasons.total()}")
        for reason, count in reasons.most_common(40):
            print(f"  {count:5d}  {reason}")
    hardware = Counter(r.hardware for r in records if r.hardware)
    if hardware:
        print("Verilog: " + ", ".join(f"{count} {what}" for what, count in hardware.items()))
    wrong = [r for r in records if r.outcome == "differs" or "differ" in r.hardware]
    for r in wrong[:40]:
        print(f"seed {r.seed} ({r.origin}): {r.reason} {r.hardware}")
    return len(wrong)


def shares(records: list[Record]) -> None:
    """Print how many of the compared networks hold each thing that was drawn."""
    compared = [r for r in records if r.outcome in ("same", "explained")]
    tags = Counter(t for r in compared for t in r.tags)
    print(", ".join(f"{t} {n}" for t, n in sorted(tags.items())))


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--count", type=int, default=100, help="number of seeds")
    parser.add_argument("-o", type=Path, help="records, one a line; seeds that it has are left out")
    parser.add_argument("--keep", type=Path, help="folder in which the files stay")
    parser.add_argument("--rtl", type=int, default=0, help="simulate the Verilog of so many")
    parser.add_argument("--origin", choices=("nodes", "torchscript", "dynamo"))
    parser.add_argument("--shares", action="store_true", help="print what was drawn how often")
    args = parser.parse_args()
    records: list[Record] = []
    if args.o and args.o.exists():
        for line in args.o.read_text().splitlines():
            fields = json.loads(line)
            records.append(Record(**(fields | {"tags": tuple(fields["tags"])})))
    done = {r.seed for r in records}
    seeds = [s for s in range(args.first, args.first + args.count) if s not in done]
    seeds = [s for s in seeds if args.origin in (None, origin_of(s))]
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as temporary:
        for number, seed in enumerate(seeds, 1):
            folder = args.keep or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            try:
                record = Check(folder, args.rtl)(seed)
            except Exception as e:  # Whatever it is, it should have been a refusal.
                record = Record(seed, origin_of(seed), "differs", f"{type(e).__name__}: {e}"[:200])
            args.rtl -= bool(record.hardware)
            records.append(record)
            if args.o:
                with args.o.open("a") as out:
                    out.write(json.dumps(asdict(record)) + "\n")
            if not args.keep:
                for path in folder.glob("*.onnx*"):
                    path.unlink()
            if record.outcome == "differs":
                print(f"seed {seed} ({record.origin}) differs: {record.reason}", flush=True)
            if number % 50 == 0 or number == len(seeds):
                lasted = time.monotonic() - began
                print(f"{number} of {len(seeds)}, seed {seed}, {lasted:.0f} s", flush=True)
    wanted = range(args.first, args.first + args.count)
    records = [r for r in records if r.seed in wanted]
    wrong = summary(records)
    if args.shares:
        shares(records)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
