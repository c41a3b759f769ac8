"""Draw random networks, and compare golden model, schedule and hardware on them.

The tests do the same with a small fixed number. Run for example::

    python benchmarks/fuzz.py 200                 # Amaranth's simulator, every beat
    python benchmarks/fuzz.py 20 --verilator      # generated Verilog, with stalls
    python benchmarks/fuzz.py 5000 --schedule     # the prediction alone against its bound

A failing network is shrunk and printed with the seed that draws it again.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.bench import check, check_schedule, check_verilog
from tests.strategies import Case, cases


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
    parser.add_argument("--no-shrink", action="store_true")
    options = parser.parse_args()
    held: Callable[[Case], None] = lambda case: check(case, thorough=True)  # noqa: E731
    if options.verilator:
        held = check_verilog
    elif options.schedule:
        held = check_schedule
    phases = (Phase.generate,) if options.no_shrink else (Phase.generate, Phase.shrink)
    count, started = 0, time.monotonic()

    @seed(options.seed)
    @settings(
        max_examples=options.examples,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(cases())
    def fuzz(case: Case) -> None:
        nonlocal count
        count += 1
        if count % 10 == 0:
            print(f"\r{count} networks, {time.monotonic() - started:.0f} s", end="", flush=True)
        held(case)

    print(f"seed {options.seed}")
    try:
        fuzz()
    except BaseException:
        print(f"\nfailed; the same networks again: --seed {options.seed}")
        raise
    print(f"\r{count} networks in {time.monotonic() - started:.0f} s: no difference")


if __name__ == "__main__":
    main()
