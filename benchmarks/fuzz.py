"""Draw random networks, and compare golden model, schedule and hardware on them.

The tests do the same with a small fixed number. Run for example::

    python benchmarks/fuzz.py 200                 # Amaranth's simulator, every beat
    python benchmarks/fuzz.py 20 --verilator      # generated Verilog, with stalls
    python benchmarks/fuzz.py 5000 --schedule     # the prediction alone against its bound
    python benchmarks/fuzz.py 2000 --executor     # golden model against ONNX Runtime and loops
    python benchmarks/fuzz.py 5000 --compiled     # golden model: compiled layers against NumPy
    python benchmarks/fuzz.py 200 --verilator --with affine scores groups rescale
    python benchmarks/fuzz.py 1000 --graphs 4     # networks that branch, with up to 4 forks

With ``--executor`` the golden model is held to what shares no arithmetic with it: plain loops over
Python's integers, and ONNX Runtime on the exported network. What a file in float32 does not hold
(sums beyond 2**24, constants of scores) is compared with the loops alone and counted. With
``--with`` every network has at least one of the parts. The last lines count the parts drawn.

A failing network is shrunk and printed with the seed that draws it again.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, Phase, given, seed, settings

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.bench import check, check_schedule, check_verilog
from tests.branching import branching_cases
from tests.sim.test_golden import frame
from tests.strategies import Case, cases

from xnorflow import ir
from xnorflow.errors import UnsupportedModel
from xnorflow.export.integer_model import integer_model
from xnorflow.plan.fabric import with_fabric
from xnorflow.plan.mapping import mapped
from xnorflow.plan.tail_choice import with_tails
from xnorflow_hw.spec import AffineSpec, BufferSpec, DotSpec
from xnorflow_sim import golden
from xnorflow_sim.compiled.compiled_layers import compiled_layers

PARTS = {
    "affine": "thresholds that hardware computes as an affine function",
    "scores": "a unit of float32 scores",
    "groups": "a convolution in groups, depthwise ones among them",
    "depthwise": "a convolution with a group for each input channel",
    "masked": "weights of -1, 0 and 1, with a mask",
    "rescale": "codes that are computed, as fixed point has them",
    "pixels": "several pixels at once",
    "borders": "several pixels at once, and padding that is no value of the alphabet",
    "joins": "a join or a stretch",
    "outputs": "several outputs, or a map as output",
}


def parts(case: Case) -> set[str]:
    """Return those of `PARTS` that a drawn network has."""
    # What is chosen later, such as depths, has no part in it.
    spec = mapped(case.net, case.folds, in_lanes=case.in_lanes, out_lanes=case.out_lanes)
    spec = with_tails(with_fabric(spec, None), None)
    computed = sum(isinstance(tail, AffineSpec) for stage in spec.stages for tail in stage.tails)
    rescaled = sum(isinstance(layer, ir.Rescale) for layer in case.net.layers)
    found = {"rescale"} if rescaled else set()
    if computed > rescaled:
        found.add("affine")
    if any(isinstance(s.array, DotSpec) and s.array.masked for s in spec.stages):
        found.add("masked")
    if spec.scores is not None:
        found.add("scores")
    several = [s.buffer for s in spec.stages if s.buffer.pixels > 1]
    if several:
        found.add("pixels")
    if any(isinstance(b, BufferSpec) and len(b.borders.classes) > 1 for b in several):
        found.add("borders")
    if any(isinstance(layer, ir.Join | ir.Stretch | ir.AddMap) for layer in case.net.layers):
        found.add("joins")
    if case.net.outputs:
        found.add("outputs")
    for layer, inp, _ in case.net:
        if isinstance(layer, ir.Conv) and layer.groups > 1:
            found.add("groups")
            if layer.groups == inp.channels:
                found.add("depthwise")
    return found


def check_executor(case: Case, seen: Counter[str]) -> None:
    """Hold the golden model to plain loops, and to ONNX Runtime where a file holds the network."""
    # Only this check needs ONNX Runtime.
    from standard_onnx import session

    scores = golden.run(case.net, case.x)
    seen["networks whose scores vary"] += bool((scores != scores[0]).any())
    seen["frames"] += len(scores)
    np.testing.assert_array_equal(scores, [frame(case.net, x) for x in case.x])
    try:
        model = integer_model(case.net)
    except UnsupportedModel:
        seen["networks that no file in float32 holds"] += 1
        return
    executed = session(model, threads=1, fuse=False).run(None, {"x": case.x})[0]
    np.testing.assert_array_equal(scores, executed)
    seen["networks in ONNX Runtime"] += 1


def check_compiled(case: Case, seen: Counter[str]) -> None:
    """Hold the golden model's compiled layers to NumPy."""
    scores = {}
    for engine in ("numpy", "compiled"):
        os.environ[golden.ENGINE] = engine
        scores[engine] = golden.run(case.net, case.x)
    np.testing.assert_array_equal(scores["compiled"], scores["numpy"])
    fast = compiled_layers(case.net, needed=True)
    seen["networks with compiled layers"] += fast is not None
    seen["networks whose layers but the last are all compiled"] += (
        fast is not None and fast.layers >= len(case.net.layers) - 1
    )
    seen["scores"] += scores["numpy"].size


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("examples", type=int, help="number of networks to draw")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    what = parser.add_mutually_exclusive_group()
    what.add_argument(
        "--verilator", action="store_true", help="simulate generated Verilog in Verilator"
    )
    what.add_argument(
        "--schedule", action="store_true", help="only compare the predicted interval with its bound"
    )
    what.add_argument(
        "--executor", action="store_true", help="only compare the golden model with executors"
    )
    what.add_argument(
        "--compiled",
        action="store_true",
        help="only compare the golden model's compiled layers with NumPy",
    )
    parser.add_argument(
        "--with",
        dest="wanted",
        nargs="+",
        choices=PARTS,
        default=[],
        help="; ".join(f"{name}: {text}" for name, text in PARTS.items()),
    )
    parser.add_argument(
        "--graphs",
        type=int,
        default=0,
        metavar="FORKS",
        help="draw networks that branch, with so many forks at most; not with --executor",
    )
    parser.add_argument("--no-shrink", action="store_true")
    options = parser.parse_args()
    if options.graphs and options.executor:
        parser.error("--graphs draws networks for the hardware: leave out --executor")
    seen: Counter[str] = Counter()
    held: Callable[[Case], None] = lambda case: check(case, thorough=True)  # noqa: E731
    if options.verilator:
        held = check_verilog
    elif options.schedule:
        held = check_schedule
    elif options.executor:
        held = lambda case: check_executor(case, seen)  # noqa: E731
    elif options.compiled:
        held = lambda case: check_compiled(case, seen)  # noqa: E731
    phases = (Phase.generate,) if options.no_shrink else (Phase.generate, Phase.shrink)
    count, drawn, started = 0, Counter[str](), time.monotonic()
    networks = branching_cases(forks=options.graphs) if options.graphs else cases()
    if options.wanted:
        networks = networks.filter(lambda case: bool(parts(case) & set(options.wanted)))

    @seed(options.seed)
    @settings(
        max_examples=options.examples,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(networks)
    def fuzz(case: Case) -> None:
        nonlocal count
        count += 1
        if count % 10 == 0:
            print(f"\r{count} networks, {time.monotonic() - started:.0f} s", end="", flush=True)
        drawn.update(parts(case))
        held(case)

    print(f"seed {options.seed}")
    ended = "no difference"
    try:
        fuzz()
    except KeyboardInterrupt:
        count, ended = count - 1, "no difference; interrupted in the next, whose parts are counted"
    except BaseException:
        print(f"\nfailed; the same networks again: --seed {options.seed}")
        raise
    print(f"\r{count} networks in {time.monotonic() - started:.0f} s: {ended}")
    for what_is, number in (drawn | seen).items():
        print(f"{number:7,} {PARTS.get(what_is, what_is)}")
    if count < options.examples:
        raise SystemExit(f"{options.examples} networks were asked for")


if __name__ == "__main__":
    main()
