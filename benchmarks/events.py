"""Hold the cycle model to a simulation by cycles, on drawn accelerators that fork and join.

Each accelerator has up to 30 stages, forks with 2 to 4 readers, and ways of different lengths; its
depths are those that the compiler chooses. Run for example::

    python benchmarks/events.py 10000           # every transfer of several frames, and stalls
    python benchmarks/events.py 300 --minimal   # each depth one place less: some frame is late

The simulation (tests/sw/schedule/clocked.py) does what docs/hardware.md says, cycle by cycle, and
shares no arithmetic with the schedule. Without `--minimal` the depths are those in closed form.
The interval, the latency of a frame alone and the cycles of all transfers have to be the model's,
and no accelerator may lock up, with source and sink at full speed or holding back at random. With
`--minimal` depths are the least, and a place less anywhere has to delay a frame or lock up, within
the number of frames that fill the accelerator, and four more, or four times as many.

Accelerators that were drawn before, or that do not fork, are drawn again. What differs ends the run
with the number of the chunk that draws it again (`--first`).
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.sw.schedule.graphs import accelerator
from tests.sw.schedule.held import check_least, check_stalls, check_times

from xnorflow.plan.depths import shrunk, with_depths
from xnorflow.schedule import bounds
from xnorflow_hw.spec import AcceleratorSpec, JoinSpec
from xnorflow_hw.spec.stage_latency import stage_latency

CHUNK, BATCH = 200, 50
"""Accelerators that are drawn from one seed, and that are simulated side by side."""
MOST_CYCLES = 400
"""Largest bound of the interval of an accelerator that is simulated."""
FRAMES = 5
STALLS = ((0.5, 0.5), (0.0, 0.8), (0.8, 0.0))


def drawn(chunk: int, most: int) -> Iterator[AcceleratorSpec]:
    """Draw the accelerators of a chunk."""
    rng = random.Random(chunk)
    for _ in range(CHUNK):
        spec = accelerator(rng.randint, most)
        if len(spec.stages) > most or max(readers(spec).values()) < 2:
            continue
        if bounds.bound(spec)[0] <= MOST_CYCLES:
            yield spec


def readers(spec: AcceleratorSpec) -> Counter[int]:
    """Count the readers of each source."""
    return Counter(stream.source for stream in spec.streams)


def key(spec: AcceleratorSpec) -> object:
    """Return what tells accelerators apart whose depths are chosen later."""
    stages = tuple((s.buffer, stage_latency(s.array, s.tails)) for s in spec.stages)
    streams = tuple((s.source, s.sink, s.port, s.box) for s in spec.streams)
    return stages, streams, spec.input.beats, spec.out_lanes


def lengths(spec: AcceleratorSpec) -> bool:
    """Return whether ways of different lengths, in stages, meet at some join."""
    length = [0]
    uneven = False
    for k, stage in enumerate(spec.stages):
        ways = {length[s.source] for s in spec.streams if s.sink == k}
        uneven |= isinstance(stage.buffer, JoinSpec) and len(ways) > 1
        length.append(1 + max(ways))
    return uneven


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("count", type=int, help="number of accelerators")
    parser.add_argument("--minimal", action="store_true", help="check that depths are the least")
    parser.add_argument("--stages", type=int, default=30, help="most stages of an accelerator")
    parser.add_argument("--first", type=int, default=0, metavar="CHUNK", help="chunk to begin with")
    options = parser.parse_args()
    seen, nodes, forks = set[object](), Counter[int](), Counter[int]()
    tried, uneven, frames, cycles, done = Counter[str](), 0, 0, 0, 0
    chunk, started = options.first, time.monotonic()
    while done < options.count:
        fresh = {key(spec): spec for spec in drawn(chunk, options.stages)}
        specs = [spec for k, spec in fresh.items() if k not in seen][: options.count - done]
        seen |= fresh.keys()
        specs.sort(key=lambda spec: bounds.bound(spec)[0])  # So that a batch ends at once.
        size = 1 if options.minimal else BATCH
        for at in range(0, len(specs), size):
            batch = [with_depths(spec) for spec in specs[at : at + size]]
            try:
                if options.minimal:
                    for spec in batch:
                        tried.update(check_least(shrunk(spec)))
                else:
                    check_times(batch, FRAMES)
                    check_stalls(batch, FRAMES, STALLS[at // size % len(STALLS)], chunk)
            except BaseException:
                print(f"\nfailed; the same accelerators again: --first {chunk}", flush=True)
                raise
            for spec in batch:
                nodes[(len(spec.stages) - 1) // 5 * 5] += 1
                forks.update(n for n in readers(spec).values() if n > 1)
                uneven += lengths(spec)
                frames += FRAMES + 1
                cycles += bounds.bound(spec)[0]
            done += len(batch)
            taken = time.monotonic() - started
            print(f"\r{done} accelerators, chunk {chunk}, {taken:.0f} s", end="", flush=True)
        chunk += 1
    print(f"\n{done} accelerators differ from each other; chunks {options.first} to {chunk - 1}")
    for low, count in sorted(nodes.items()):
        print(f"{count:7,} of {low + 1} to {low + 5} stages")
    for count, number in sorted(forks.items()):
        print(f"{number:7,} forks with {count} readers")
    print(f"{uneven:7,} in which ways of different lengths meet")
    if options.minimal:
        for what, number in tried.items():
            print(f"{number:7,} {what}")
    else:
        print(f"{frames:7,} frames, {cycles // done} cycles per frame on average: 0 cycles off")


if __name__ == "__main__":
    main()
