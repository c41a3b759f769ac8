"""Hold the public API to networks that were drawn without knowledge of the importer.

Each network is one of `foreign_networks`, a small low-bit network in valid ONNX. It is executed
twice, by `foreign_executor` and by ONNX Runtime without optimisation. A frame in which the two do
not agree is in doubt (floats were rounded on the way, and decided otherwise) and only counted; so
is one that float64 decides otherwise, or with samples in which the last place of a float32 differs,
in networks that add fractions. In
all others the scores of ``xnorflow.load(...)(x)`` have to be in the file's very order, ties
included, also where `x` is given flat or with its channels last; and where the network keeps the
file's own scores, they are compared too. A refusal has to name the node, the reason and what would
work; an exception of any other kind is a failure. Run for example::

    python benchmarks/foreign_models.py --count 1000
    python benchmarks/foreign_models.py --only 4711 --save n.onnx  # that one, and its file
"""

from __future__ import annotations

import argparse
import re
import tempfile
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from foreign_executor import Array, execute
from foreign_networks import Drawn, TooLarge, draw

import xnorflow as xf
from xnorflow.ir.network import labels

NUDGE = 3e-7
"""A few units in the last place of a float32, of 1."""

onnxruntime.set_default_logger_severity(4)


class Unfit(Exception):
    """Raised where a drawn network cannot be used: the second executor does not run it."""


def executed(drawn: Drawn) -> tuple[Array, Array, Array]:
    """Return the file's outputs by both executors, and by ours in float64.

    Their shapes are [frames, n] and [k, frames, n]; the last are also for samples that are a little
    less and a little greater, where that tells.
    """
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            drawn.model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise Unfit(
            re.sub("name.*?Status Message", "", str(error).replace("\n", " "))[:300]
        ) from error
    stored = {t.name for t in drawn.model.graph.initializer}
    (name,) = (i.name for i in drawn.model.graph.input if i.name not in stored)
    ours, theirs, wide = [], [], []
    for i in range(0, len(drawn.fed), drawn.batch):
        fed = drawn.fed[i : i + drawn.batch]
        ours.append(execute(drawn.model, {name: fed})[0].reshape(len(fed), -1))
        fine = drawn.fine[i : i + drawn.batch]
        if fine.dtype == np.float64 and not drawn.steady:
            near = [fine * (1 + by) for by in (0, -NUDGE, NUDGE)]
        else:
            near = [fine]
        made = [execute(drawn.model, {name: n}, wide=True)[0] for n in near]
        wide.append(np.stack([m.reshape(len(fed), -1) for m in made]))
        try:
            theirs.append(np.asarray(session.run(None, {name: fed})[0]).reshape(len(fed), -1))
        except Exception as error:
            raise Unfit(
                re.sub("name.*?Status Message", "", str(error).replace("\n", " "))[:300]
            ) from error
    return np.concatenate(ours), np.concatenate(theirs), np.concatenate(wide, 1)


def order(scores: Array) -> Array:
    """Return the dense rank of every score within its frame."""
    return np.stack([np.unique(row, return_inverse=True)[1].reshape(row.shape) for row in scores])


def agree(scores: Array, expected: Array, end: str) -> Array:
    """Return per frame whether integer scores say the same as the file's output."""
    if end == "label":
        return scores.argmax(1) == expected[:, 0]
    if end == "last label":
        return scores.shape[1] - 1 - scores[:, ::-1].argmax(1) == expected[:, 0]
    if end == "order":
        first = np.argsort(-scores, 1, kind="stable")[:, : expected.shape[1]]
        return (first == expected).all(1)
    if end == "scores":
        return (order(scores) == order(expected)).all(1)
    mine = np.sign(scores[:, :, None] - scores[:, None, :])
    file = np.sign(expected[:, :, None] - expected[:, None, :])
    return ((file == 0) | (mine == file)).all((1, 2))


@dataclass
class Tally:
    """What became of the networks."""

    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    frames: int = 0
    varied: int = 0
    doubtful: int = 0
    floats: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def forms(drawn: Drawn) -> list[tuple[str, Array]]:
    """Return the same frames in each form that is documented to mean them."""
    x = drawn.samples
    made = [("own shape", x), ("flat", x.reshape(len(x), -1))]
    if drawn.pictures and x.ndim == 4 and x.shape[1] != x.shape[3]:
        made.append(("channels last", np.ascontiguousarray(np.moveaxis(x, 1, -1))))
    return made


def hold(seed: int, drawn: Drawn, folder: Path, tally: Tally) -> None:
    """Execute one network, import it and compare."""
    ours, theirs, wide = executed(drawn)
    if drawn.end in ("scores", "monotone"):
        sure = (order(ours) == order(theirs)).all(1)
        sure &= np.isclose(ours, theirs, rtol=1e-4, atol=1e-4).all(1)  # else they decided otherwise
        if not drawn.steady:
            sure &= np.isclose(ours, wide, rtol=1e-4, atol=1e-4).all((0, 2))
        if drawn.end == "scores" and ours.shape[1] == 1:
            sure &= (np.sign(ours) == np.sign(theirs))[:, 0]
        if not drawn.exact:
            # Sums that were rounded: both executors may have torn the same tie.
            apart = np.abs(ours[:, :, None] - ours[:, None, :])
            sure &= ~((apart > 0) & (apart < 1e-5 * np.abs(ours).max())).any((1, 2))
    else:
        sure = (ours == theirs).all(1)
        if not drawn.steady:
            sure &= (ours == wide).all((0, 2))
    path = folder / "network.onnx"
    onnx.save(drawn.model, path)
    try:
        net = xf.load(path, input=drawn.kind, input_scale=drawn.scale)
    except xf.UnsupportedModel as refusal:
        tally.outcomes["refused"] += 1
        if not (refusal.node and refusal.reason and refusal.hint):
            tally.faults.append(f"{seed}: refused without node, reason and way out: {refusal}")
        text = re.sub(r"'[^']*'|\"[^\"]*\"", "*", refusal.reason)
        reason = f"{refusal.op}: {re.sub(r'-?[0-9][0-9.e+-]*', '#', text)}"
        tally.reasons[reason] += 1
        tally.examples.setdefault(reason, f"{seed}: {refusal}")
        return
    wrong = False
    tally.frames += len(sure)
    tally.doubtful += int((~sure).sum())
    for form, x in forms(drawn):
        try:
            scores = net(x)
        except xf.BadInput as refusal:
            reason = f"data, {form}"
            tally.reasons[reason] += 1
            tally.examples.setdefault(reason, f"{seed}: {refusal}")
            continue
        bad = ~agree(scores, ours, drawn.end) & sure
        if drawn.end == "scores" and ours.shape[1] > 1:
            bad |= (labels(scores) != ours.argmax(1)) & sure
        if ours.shape[1] == 1 and drawn.end == "scores":
            level = 0.5 if ours.min() >= 0 and ours.max() <= 1 else 0
            between = ours.min() < 0 or ours.max() > 1
            label = ours[:, 0] > level
            ranked = any("does not tell the label" in note for note in net.notes)
            if between and not ranked:
                bad |= (labels(scores) != label) & sure
            over = np.argsort(ours[:, 0], kind="stable")
            steps = np.sign(np.diff(ours[over, 0])) != np.sign(np.diff(scores[over, 0]))
            bad[over[1:]] |= steps & sure[over[1:]] & sure[over[:-1]] & drawn.exact
        if bad.any():
            wrong = True
            i = int(np.flatnonzero(bad)[0])
            tally.faults.append(
                f"{seed}: {form}: {int(bad.sum())} frames, as frame {i}: {scores[i]} for {ours[i]}"
            )
        if form == "own shape" and drawn.end == "scores" and net.scores.floats is not None:
            same = net.scores.to_float(scores) == ours
            near = np.isclose(net.scores.to_float(scores), ours, rtol=1e-4, atol=1e-4)
            tally.floats["the same" if same.all() else "last places" if near.all() else "far"] += 1
            if not near[sure].all():
                tally.faults.append(
                    f"{seed}: float scores {net.scores.to_float(scores)[0]} for {ours[0]}"
                )
    if drawn.samples.ndim == 4 and seed % 4 == 0:
        wrong |= not laid_out(seed, drawn, path, net(drawn.samples), tally)
    tally.outcomes["differs" if wrong else "agrees"] += 1
    tally.varied += not wrong and len(np.unique(ours, axis=0)) > 1


def laid_out(seed: int, drawn: Drawn, path: Path, scores: Array, tally: Tally) -> bool:
    """Give the same pictures in the layouts that a user may name; return whether all agree."""
    x, fine = drawn.samples, True
    first, last = ("nhwc", "nchw") if drawn.last else ("nchw", "nhwc")
    turned = np.moveaxis(x, 3, 1) if drawn.last else np.moveaxis(x, 1, 3)
    for layout, frames in (("file", x), (first, x), (last, np.ascontiguousarray(turned))):
        try:
            net = xf.load(path, input=drawn.kind, input_scale=drawn.scale, layout=layout)
            made = [net(frames), net(frames.reshape(len(x), -1))]
        except xf.XnorflowError as refusal:
            reason = f"layout {layout}: {type(refusal).__name__}"
            tally.reasons[reason] += 1
            tally.examples.setdefault(reason, f"{seed}: {refusal}")
            continue
        if not all(np.array_equal(m, scores) for m in made):
            tally.faults.append(f"{seed}: layout {layout}: other scores")
            fine = False
    return fine


def main() -> int:
    """Run the comparison and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="networks to compare")
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--only", type=int, help="one seed")
    parser.add_argument("--save", type=Path, help="where to keep that one")
    args = parser.parse_args()
    tally, unfit = Tally(), Counter[str]()
    seed = args.seed if args.only is None else args.only
    held = 0
    with tempfile.TemporaryDirectory() as folder:
        while held < (args.count if args.only is None else 1):
            try:
                with np.errstate(all="ignore"):
                    drawn = draw(seed)
                    if args.save:
                        onnx.save(drawn.model, args.save)
                    hold(seed, drawn, Path(folder), tally)
                held += 1
            except TooLarge:
                unfit["too large"] += 1
            except Unfit as error:
                unfit[f"ONNX Runtime: {error}"] += 1
                if args.only is not None:
                    print(error)
            except Exception:
                held += 1
                tally.outcomes["traceback"] += 1
                tally.faults.append(f"{seed}: {traceback.format_exc()}")
            if args.only is not None:
                break
            seed += 1
    for fault in tally.faults:
        print(fault)
    for reason, n in tally.reasons.most_common():
        print(f"{n:5} {reason}\n        {tally.examples[reason]}")
    print(f"not compared: {dict(unfit)}; {tally.frames} frames, {tally.doubtful} of them in doubt")
    print(f"float scores: {dict(tally.floats)}")
    print(f"networks that agree, and whose outputs differ between frames: {tally.varied}")
    print(f"networks: {dict(tally.outcomes)}; seeds to {seed - 1}")
    return 1 if tally.faults else 0


if __name__ == "__main__":
    raise SystemExit(main())
