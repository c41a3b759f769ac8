"""Damages every kind of file that xnorflow reads, and counts what comes of it.

Each input is one good file with one to three faults: bytes changed, cut, doubled or swapped, or
fields of its structure edited, with checksums put right so that the fault gets through to the
reader. A reader may accept what is left (then the network has to pass `verify` and compute, the
images have to be images) or refuse it with one line. An exception of any other kind is a traceback,
more than `SECONDS` a hang, and both are failures. Run for example::

    python benchmarks/damaged_files.py --count 20000 --seed 1
    python benchmarks/damaged_files.py --seed 1 --only 4711      # that one, with its traceback
    python benchmarks/damaged_files.py --count 2000 --kind network
"""

from __future__ import annotations

import argparse
import faulthandler
import io
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from file_faults import (
    edit_network,
    edit_npy,
    edit_npz,
    edit_onnx,
    edit_png,
    flip_file,
    scramble_json,
)
from good_files import prepare

import xnorflow as xf
from xnorflow import demo
from xnorflow.compiler import compile_network
from xnorflow.data import read_images
from xnorflow.errors import XnorflowError
from xnorflow.ir import file as ir_file
from xnorflow.ir.verify import verify

SECONDS = 60
"""After which an input counts as a hang: the slowest good file takes about 2 on a quiet machine."""
MEMORY = 6 << 30
"""Address space of the whole run, in bytes."""

Mutator = Callable[[random.Random, Path], None]


class Hang(BaseException):
    """Raised by the timer; no reader may take it for an error of the file."""


def reads_model(path: Path) -> None:
    """Import a model and compute with it."""
    net = xf.load(path)
    verify(net)
    scores = net(np.random.default_rng(0).integers(0, 256, (2, *net.shape), np.uint8))
    assert scores.dtype == np.int64 and scores.shape == (2, len(net.scores.offsets))
    for text in (*net.notes, *net.classes):
        text.encode()


def reads_network(path: Path) -> None:
    """Read a network and compute with it; written again it is the same one."""
    reads_model(path)
    net = ir_file.load(path)
    again = io.BytesIO()
    ir_file.save(net, again)  # type: ignore[arg-type]
    assert again.tell()


def reads_images(path: Path) -> None:
    """Read images."""
    images = read_images(path)
    assert images.x.dtype == np.uint8 and images.x.ndim >= 2 and images.x.size
    assert images.y is None or (images.y.dtype == np.int64 and images.y.shape == (len(images.x),))


def reads_design(path: Path) -> None:
    """Read a design; it is the hardware that its folder holds."""
    design = xf.Design.read(path)
    assert (path / f"{design.net.name}.v").read_text() == design.verilog
    assert np.isfinite(design.fps) and design.summary()
    verify(design.net)


def reads_folding(path: Path) -> None:
    """Fold the demo network by a file."""
    design = compile_network(_digits(), folding=path)
    assert design.ii > 0 and len(design.folds) == len(design.parts)


@cache
def _digits() -> xf.IntegerNetwork:
    return xf.load(demo.model_path())


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Parameters
    ----------
    files : tuple of str
        Good ones, in the folder that `prepare` filled.
    share : int
        Inputs of this kind, of all kinds' shares.
    mutators : tuple of function
        What damages one in place.
    reader : function
        What reads it; raises `XnorflowError` where it refuses it.
    inside : str
        The file to damage, if the good one is a folder.
    """

    files: tuple[str, ...]
    share: int
    mutators: tuple[Mutator, ...]
    reader: Callable[[Path], None]
    inside: tuple[str, ...] = ()


KINDS = {
    "onnx": Kind(
        ("digits.onnx", "small.onnx", "quantised.onnx"), 30, (flip_file, edit_onnx), reads_model
    ),
    "npz": Kind(("stored.npz", "packed.npz"), 20, (flip_file, edit_npz), reads_images),
    "npy": Kind(("frames.npy",), 10, (flip_file, edit_npy), reads_images),
    "network": Kind(("network.npz",), 20, (flip_file, edit_network), reads_network),
    "png": Kind(("grey", "colour", "palette"), 10, (edit_png,), reads_images),
    "folding": Kind(("folding.json", "finn.json"), 6, (flip_file, scramble_json), reads_folding),
    "design": Kind(("design",), 1, (flip_file, scramble_json), reads_design, ("design.json",)),
}


@dataclass
class Outcome:
    """What came of one input: a word, and for a traceback where it came from."""

    word: str
    place: str = ""
    text: str = ""


def attempt(kind: Kind, path: Path) -> Outcome:
    """Read one input under the timer."""

    def late(number: int, frame: object) -> None:
        raise Hang

    signal.signal(signal.SIGALRM, late)
    # A hang in compiled code holds no signal handler back: then this ends the whole run.
    faulthandler.dump_traceback_later(10 * SECONDS, exit=True)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        kind.reader(path)
        return Outcome("accepted")
    except XnorflowError as e:
        text = str(e)
        if "\n" in text or "Traceback" in text:
            return Outcome("TRACEBACK", "a message of several lines", text)
        return Outcome("refused")
    except Hang:
        return Outcome("HANG", _place(sys.exc_info()[2]), traceback.format_exc())
    except Exception as e:  # Whatever a damaged file provokes; that is the question.
        return Outcome(
            "TRACEBACK", f"{type(e).__name__} in {_place(e.__traceback__)}", traceback.format_exc()
        )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.cancel_dump_traceback_later()


def _place(trace: Any) -> str:
    """Return the innermost function of ours, and the innermost of all."""
    frames = traceback.extract_tb(trace)
    ours = [f for f in frames if "xnorflow" in f.filename] or frames
    last = frames[-1]
    where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno} {ours[-1].name}"
    return where if last is ours[-1] else f"{where}, {Path(last.filename).name} {last.name}"


def make(case: int, seed: int, kinds: list[str], good: Path, work: Path) -> tuple[str, Path]:
    """Write the damaged file of a case; returns its kind and path."""
    rng = random.Random(f"{seed}:{case}")
    name = rng.choices(kinds, [KINDS[k].share for k in kinds])[0]
    kind = KINDS[name]
    source = good / rng.choice(kind.files)
    path = work / source.name
    if path.is_dir():
        shutil.rmtree(path)
    if source.is_dir():
        shutil.copytree(source, path)
    else:
        shutil.copy(source, path)
    rng.choice(kind.mutators)(rng, path / rng.choice(kind.inside) if kind.inside else path)
    return name, path


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="inputs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="this input alone, with its traceback")
    parser.add_argument("--kind", choices=list(KINDS), help="this kind alone")
    options = parser.parse_args()
    kinds = [options.kind] if options.kind else list(KINDS)
    cases = range(options.count) if options.only is None else [options.only]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    counts: dict[str, Counter[str]] = {name: Counter() for name in kinds}
    seen: dict[str, list[int]] = {}
    started, slowest = time.monotonic(), (0.0, 0, "")
    with tempfile.TemporaryDirectory(prefix="damaged-") as folder:
        good, work = Path(folder) / "good", Path(folder) / "work"
        good.mkdir()
        work.mkdir()
        prepare(good)
        for done, case in enumerate(cases):
            name, path = make(case, options.seed, kinds, good, work)
            began = time.monotonic()
            outcome = attempt(KINDS[name], path)
            slowest = max(slowest, (time.monotonic() - began, case, name))
            counts[name][outcome.word] += 1
            if outcome.place:
                key = f"{name}: {outcome.word} {outcome.place}"
                if key not in seen:
                    print(f"case {case}: {key}", flush=True)
                    if options.only is not None:
                        print(outcome.text)
                seen.setdefault(key, []).append(case)
            if done % 500 == 499:
                print(
                    f"{done + 1} inputs, {time.monotonic() - started:.0f} s; slowest: case"
                    f" {slowest[1]} ({slowest[2]}), {slowest[0]:.1f} s",
                    flush=True,
                )
    words = ("accepted", "refused", "TRACEBACK", "HANG")
    print(
        f"\nseed {options.seed}, {time.monotonic() - started:.0f} s; the slowest was case"
        f" {slowest[1]} ({slowest[2]}), {slowest[0]:.1f} s"
    )
    print(f"| file | inputs | {' | '.join(words)} |\n|---|---|{'---|' * len(words)}")
    for name, count in (*counts.items(), ("all", sum(counts.values(), Counter[str]()))):
        print(f"| {name} | {count.total():,} | {' | '.join(f'{count[w]:,}' for w in words)} |")
    for key, found in sorted(seen.items(), key=lambda item: -len(item[1])):
        print(f"{len(found)} times {key}; first case {found[0]}")
    sys.exit(1 if seen else 0)


if __name__ == "__main__":
    main()
