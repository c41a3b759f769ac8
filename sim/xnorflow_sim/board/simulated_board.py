"""A simulated board: the Verilog of link and accelerator, behind a pseudo-terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tty
from dataclasses import asdict, dataclass
from types import TracebackType

from xnorflow.errors import CheckFailed
from xnorflow_sim.board import board_worker
from xnorflow_sim.board.faults import FaultRates
from xnorflow_sim.interface import BytePorts
from xnorflow_sim.verilator.library import CompiledModel, Images, build


@dataclass(frozen=True)
class Trouble:
    """What happens to a simulated board and its cable.

    Parameters
    ----------
    rates : FaultRates
        Damage to single bytes, on both ways.
    resets, pulls : tuple of int
        Bytes from the host after which the board is reset, and the cable pulled.
    pull_seconds : float
        For how long.
    """

    rates: FaultRates = FaultRates()
    resets: tuple[int, ...] = ()
    pulls: tuple[int, ...] = ()
    pull_seconds: float = 0.3


class SimulatedBoard:
    """A context in which a board is there; a driver opens its `port` as if it were a device.

    Parameters
    ----------
    verilog : str
        Link and accelerator: `xnorflow_hw.link.linked.emit_linked` and the accelerator's own.
    ports : BytePorts
        Its ports.
    settle : int
        Cycles without a byte on the link after which the board waits for the host; more than a
        frame's latency.
    images : Path or dict, optional
        As for `xnorflow_sim.verilator.library.build`.
    trouble : Trouble
        What goes wrong.
    seed : int
        Of all that is random.

    Attributes
    ----------
    port : str
        Name of the terminal.
    report : dict of str to int
        After the end: bytes in and out, clock cycles, resets, pulls, and faults by kind.
    """

    def __init__(
        self,
        verilog: str,
        ports: BytePorts,
        *,
        settle: int,
        images: Images = None,
        trouble: Trouble = Trouble(),
        seed: int = 0,
    ) -> None:
        self.model: CompiledModel = build(verilog, ports, images=images)
        self.report: dict[str, int] = {}
        self.port = ""
        self._job = {
            "library": str(self.model.library),
            "folder": str(self.model.folder),
            "settle": settle,
            "seed": seed,
            **asdict(trouble),
        }

    def __enter__(self) -> SimulatedBoard:
        """Start the board."""
        terminal, self._host = os.openpty()
        tty.setraw(self._host)
        self.port = os.ttyname(self._host)
        try:
            self._process = subprocess.Popen(
                # -P: the worker's own folder must not hide modules of the library.
                [sys.executable, "-P", board_worker.__file__, str(terminal)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                pass_fds=[terminal],
            )
        finally:
            os.close(terminal)
        assert self._process.stdin
        self._process.stdin.write(json.dumps(self._job) + "\n")
        self._process.stdin.flush()
        return self

    def kill(self) -> None:
        """End the board at once, as if its power failed."""
        self._process.kill()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the board; CheckFailed if it died before."""
        output, errors = self._process.communicate()
        os.close(self._host)
        if self._process.returncode == 0:
            self.report = json.loads(output)
        elif error is None:
            raise CheckFailed(f"the simulated board died: {errors.strip()[-600:]}")
