"""The process of a simulated board: the compiled model behind one end of a pseudo-terminal.

Bytes from the host pass a `NoisyLine` and the model, and the model's bytes pass another one on
their way back. The module is run as a script. Standard input brings one JSON object (see
``simulated_board.py``) and stays open; when it ends, the process writes what happened as JSON to
standard output and ends, too.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import sys
import time
from typing import Any

if __name__ == "__main__":
    sys.path.insert(1, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from xnorflow_sim.board.faults import FaultRates, NoisyLine

CHUNK = 4096
"""Most bytes that are read at once."""
CYCLES_PER_CALL = 200_000
"""Clock cycles that are simulated before the terminal is looked at again."""
COUNTS = ("in_size", "out_room", "in_used", "out_used", "cycle", "quiet")


class Pump(ctypes.Structure):
    """The fields of ``struct Pump`` in ``pump.cpp``."""

    _fields_ = [
        ("input", ctypes.c_char_p), ("output", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in COUNTS),
    ]  # fmt: skip


class CompiledBoard:
    """The compiled model of a board.

    Parameters
    ----------
    library, folder : str
        Shared library that `xnorflow_sim.verilator.library.build` made, and its folder.
    settle : int
        Number of cycles without a byte after which no more come without further input.
    seed : int
        Seed of the registers' initial values.
    """

    def __init__(self, library: str, folder: str, settle: int, seed: int) -> None:
        here = os.getcwd()
        os.chdir(folder)
        self.settle = settle
        self.library = ctypes.CDLL(library)
        self.library.xnorflow_open.restype = ctypes.c_void_p
        self.library.xnorflow_open.argtypes = [ctypes.c_uint64]
        self.library.xnorflow_run.argtypes = [ctypes.c_void_p, ctypes.POINTER(Pump), ctypes.c_int64]
        self.library.xnorflow_reset.argtypes = [ctypes.c_void_p]
        self.library.xnorflow_close.argtypes = [ctypes.c_void_p]
        self.bench = self.library.xnorflow_open(seed)
        os.chdir(here)
        self.room = ctypes.create_string_buffer(CHUNK)
        self.pump = Pump(output=ctypes.addressof(self.room), out_room=CHUNK)

    @property
    def busy(self) -> bool:
        """Whether more bytes may come without further input."""
        return self.pump.quiet < self.settle

    @property
    def cycle(self) -> int:
        """Number of clock cycles so far."""
        return int(self.pump.cycle)

    def feed(self, data: bytes) -> bytes:
        """Run until all bytes are taken, and return those that came out."""
        out = b""
        self.pump.quiet = 0
        self.pump.input, self.pump.in_size, self.pump.in_used = data, len(data), 0
        while self.pump.in_used < len(data):
            out += self._run()
        return out

    def run(self) -> bytes:
        """Run for a while without input, and return the bytes that came out."""
        self.pump.input, self.pump.in_size, self.pump.in_used = b"", 0, 0
        return self._run()

    def drain(self) -> bytes:
        """Run until no more bytes come, and return those that came out."""
        out = b""
        while self.busy:
            out += self.run()
        return out

    def reset(self) -> None:
        """Reset the board."""
        self.library.xnorflow_reset(self.bench)

    def close(self) -> None:
        """Free the model."""
        self.library.xnorflow_close(self.bench)

    def _run(self) -> bytes:
        self.pump.out_used = 0
        cycles = CYCLES_PER_CALL if self.pump.in_size else max(1, self.settle - self.pump.quiet)
        self.library.xnorflow_run(self.bench, self.pump, cycles)
        return self.room.raw[: self.pump.out_used]


def main(job: dict[str, Any], terminal: int, control: int) -> None:
    """Run the board until `control` ends.

    Parameters
    ----------
    job : dict
        What the parent sent.
    terminal : int
        File descriptor of the pseudo-terminal's master.
    control : int
        File descriptor that the parent keeps open while the board is to run.
    """
    model = CompiledBoard(job["library"], job["folder"], job["settle"], job["seed"])
    rates = FaultRates(**job["rates"])
    lines = [NoisyLine(rates, job["seed"] * 2 + way) for way in range(2)]
    # Numbers of bytes from the host after which the board is reset, or the cable pulled.
    resets, pulls = sorted(job["resets"]), sorted(job["pulls"])
    done = {"resets": 0, "pulls": 0, "bytes_in": 0, "bytes_out": 0}
    waiting = b""
    unplugged_until = 0.0
    while True:
        idle = not model.busy and not waiting
        ready, writable, _ = select.select(
            [terminal, control], [terminal] if waiting else [], [], None if idle else 0
        )
        if control in ready:
            break
        data = os.read(terminal, CHUNK) if terminal in ready else b""
        if terminal in writable:
            waiting = waiting[os.write(terminal, waiting) :]
        done["bytes_in"] += len(data)
        unplugged = time.monotonic() < unplugged_until
        if pulls and done["bytes_in"] >= pulls[0]:
            # Bytes that were in the cable are cut off somewhere.
            data = data[: len(data) // 2]
            unplugged_until = time.monotonic() + job["pull_seconds"]
            done["pulls"] += 1
            pulls.pop(0)
        if resets and done["bytes_in"] >= resets[0]:
            waiting += lines[1].carry(model.feed(data[: len(data) // 2]))
            data = data[len(data) // 2 :]
            model.reset()
            done["resets"] += 1
            resets.pop(0)
        data = b"" if unplugged else lines[0].carry(data)
        sent = b""
        if data:
            sent = model.feed(data)
        elif model.busy:
            sent = model.run()
        if sent and not unplugged:
            done["bytes_out"] += len(sent)
            waiting += lines[1].carry(sent)
    faults = {kind: sum(line.counts[kind] for line in lines) for kind in lines[0].counts}
    sys.stdout.write(json.dumps(done | faults | {"cycles": model.cycle}))
    model.close()


if __name__ == "__main__":
    main(json.loads(sys.stdin.readline()), int(sys.argv[1]), sys.stdin.fileno())
