"""A simulated board: the compiled Verilog of link and accelerator behind a pseudo-terminal."""

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
    """Faults of a simulated board and its cable.

    Parameters
    ----------
    rates : FaultRates
        How often bytes are damaged, in both directions.
    resets, pulls : tuple of int
        Numbers of bytes from the host after which the board is reset, or the cable pulled.
    pull_seconds : float
        Seconds for which the cable stays pulled.
    """

    rates: FaultRates = FaultRates()
    resets: tuple[int, ...] = ()
    pulls: tuple[int, ...] = ()
    pull_seconds: float = 0.3


class SimulatedBoard:
    """A context manager that runs a board; the driver opens its `port` as it would a device.

    Parameters
    ----------
    verilog : str
        Verilog of the link, as `xnorflow_hw.link.linked.emit_linked` writes it, and of the
        accelerator.
    ports : BytePorts
        Ports of the link's module.
    settle : int
        Number of cycles without a byte on the link after which the board waits for the host; this
        has to be more than a frame's latency.
    images : Path or dict, optional
        ROM images, as for `xnorflow_sim.verilator.library.build`.
    trouble : Trouble
        Faults of the board and its cable.
    seed : int
        Seed of all that is random.

    Attributes
    ----------
    port : str
        Name of the terminal's device.
    report : dict of str to int
        Numbers of bytes in and out, clock cycles, resets, pulls, and faults by kind; filled when
        the board has ended.
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
                # With -P the worker's own folder cannot hide modules of the standard library.
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
        """Kill the board's process, as if its power failed."""
        self._process.kill()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop the board; CheckFailed if its process had died before."""
        output, errors = self._process.communicate()
        os.close(self._host)
        if self._process.returncode == 0:
            self.report = json.loads(output)
        elif error is None:
            raise CheckFailed(f"the simulated board died: {errors.strip()[-600:]}")
