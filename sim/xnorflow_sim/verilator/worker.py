"""One process that runs one shard of a batch in a compiled design.

A process of its own, because the model finds its ROM images in the working folder and because a
crash of the model must not take the caller with it. Run as a script, so that it starts quickly: it
imports NumPy and nothing of ours.

Standard input is one JSON object (see ``runner.py``); standard output gets a line with the number
of finished frames now and then; results go to the ``.npy`` files in ``output``.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

_POINTER = ctypes.c_void_p
CYCLES_PER_CALL = 500_000
"""Between two looks at the progress: under a second even on large designs."""

TIMES = ("first_in", "last_in", "first_out", "last_out")
COUNTS = ("cycle", "in_beats", "out_beats", "frames_out")


class Batch(ctypes.Structure):
    """Mirror of ``struct Batch`` in ``harness.cpp``."""

    _fields_ = [
        ("input", _POINTER), ("edges", _POINTER), ("output", _POINTER),
        *((name, _POINTER) for name in TIMES),
        ("taps", _POINTER), ("tap_room", _POINTER), ("tap_beats", _POINTER),
        ("frames", ctypes.c_int64), ("idle_limit", ctypes.c_int64),
        ("seed", ctypes.c_uint64),
        ("stall_in", ctypes.c_uint32), ("stall_out", ctypes.c_uint32),
        *((name, ctypes.c_int64) for name in COUNTS),
        ("status", ctypes.c_int32),
    ]  # fmt: skip


def main(job: dict[str, Any]) -> None:
    """Run frames ``start`` to ``stop`` of ``job["input"]``; write what happened to ``output``."""
    # What the Verilog prints goes to standard error, so that only progress is in the pipe.
    progress = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    start, stop = job["start"], job["stop"]
    output = Path(job["output"])
    # A copy, because the model must not depend on a file that someone may change meanwhile.
    beats = np.array(np.load(job["input"], mmap_mode="r")[start:stop])
    edges = np.array(job["edges"][start:stop], np.uint8) if job["edges"] else None
    results = np.zeros((stop - start, *job["out_shape"]), np.uint8)
    times = {name: np.full(stop - start, -1, np.int64) for name in TIMES}
    taps = [np.zeros(((stop - start) * n, size), np.uint8) for n, size in job["taps"]]
    addresses = np.array([tap.ctypes.data for tap in taps], np.uintp)
    room = np.array([len(tap) for tap in taps], np.int64)
    passed = np.zeros(len(taps), np.int64)

    batch = Batch(
        input=beats.ctypes.data, output=results.ctypes.data,
        edges=None if edges is None else edges.ctypes.data,
        taps=addresses.ctypes.data if taps else None,
        tap_room=room.ctypes.data, tap_beats=passed.ctypes.data,
        frames=stop - start, idle_limit=job["idle_limit"], seed=job["seed"],
        stall_in=job["stall_in"], stall_out=job["stall_out"],
        **{name: array.ctypes.data for name, array in times.items()},
    )  # fmt: skip
    os.chdir(job["folder"])
    library = ctypes.CDLL(job["library"])
    library.xnorflow_open.restype = _POINTER
    library.xnorflow_open.argtypes = [ctypes.POINTER(Batch), ctypes.c_char_p]
    library.xnorflow_run.argtypes = [_POINTER, ctypes.c_int64]
    library.xnorflow_close.argtypes = [_POINTER]
    library.xnorflow_close.restype = ctypes.c_int
    waves = os.fsencode(job["waves"]) if job["waves"] else None
    bench = library.xnorflow_open(ctypes.byref(batch), waves)
    while batch.status == 0:
        library.xnorflow_run(bench, CYCLES_PER_CALL)
        progress.write(f"{batch.frames_out}\n")
    waves_error = library.xnorflow_close(bench)

    np.save(output / "out.npy", results)
    np.save(output / "times.npy", np.stack([times[name] for name in TIMES]))
    for i, tap in enumerate(taps):
        np.save(output / f"tap_{i}.npy", tap)
    counts = {name: getattr(batch, name) for name in COUNTS}
    summary = {**counts, "status": batch.status, "tap_beats": passed.tolist()}
    summary["waves_error"] = waves_error
    (output / "summary.json").write_text(json.dumps(summary))


if __name__ == "__main__":
    try:
        main(json.load(sys.stdin))
    except BrokenPipeError:
        sys.exit("nobody waits for the results any more")
    except Exception as e:  # One line, for the message of the caller.
        sys.exit(f"{type(e).__name__}: {e}")
