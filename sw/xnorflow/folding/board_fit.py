"""Fit a network to a board, or say why it does not fit and what would work."""

from __future__ import annotations

from collections.abc import Callable

from xnorflow import ir
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga, fpgas
from xnorflow.errors import CheckFailed
from xnorflow.folding import stream_lanes
from xnorflow.folding.budget import board_budget
from xnorflow.folding.search import Assemble, Fit, Fitted
from xnorflow.resources.usage import Resources, design_resources, status


class BoardFit:
    """Designs of a network that fit a board.

    Parameters
    ----------
    net : IntegerNetwork
        Network to build.
    board : str
        Name of the board.
    mhz : float
        Clock in MHz, used to express speeds as frames per second.
    assemble : callable
        Builds the design for a folding and a target in cycles per frame.
    progress : callable, optional
        Callback that receives a line of text about what is being tried.
    """

    def __init__(
        self,
        net: ir.IntegerNetwork,
        board: str,
        mhz: float,
        assemble: Assemble,
        progress: Callable[[str], object] | None = None,
    ) -> None:
        self.net, self.device, self.mhz = net, fpga(board), mhz
        frame, _ = stream_lanes.input_groups(net)
        self.frame, self._kind = frame, status(self.device.family)
        self.budget = board_budget(self.device, frame)
        self.whole = board_budget(self.device, frame, whole=True)
        self.search = Fit(net, self.device, assemble, progress)

    def fastest(self, must_fit: bool = True) -> Fitted:
        """Choose the fastest design that fits.

        Parameters
        ----------
        must_fit : bool
            Whether it is an error if no design fits; otherwise the smallest of all is returned.

        Raises
        ------
        CheckFailed
            If no design fits and one has to; the message names larger boards.
        """
        found = self.search.fastest(self.budget) or self.search.fastest(self.whole)
        if found is None and must_fit:
            raise CheckFailed(self._too_large())
        if found is None:
            choice = self.search.smallest_of_all()
            design = self.search.assemble(choice.folds, choice.cycles)
            return Fitted(design, self.search.takes(design))
        return found

    def smallest(self, cycles: int, must_fit: bool = True) -> Fitted:
        """Choose the smallest design that is fast enough.

        Parameters
        ----------
        cycles : int
            Target: most cycles per frame.
        must_fit : bool
            Whether it is an error if that design does not fit.

        Raises
        ------
        BadInput
            If no folding is fast enough on any board.
        CheckFailed
            If the design has to fit and does not; the message says what would work.
        """
        found = self.search.smallest(cycles, self.budget) or self.search.smallest(
            cycles, self.whole
        )
        if found is None:
            found = self.search.smallest(cycles)
            assert found is not None
            if must_fit:
                raise CheckFailed(
                    self._refusal(
                        f"{self.net.name} at {cycles:,} cycles per frame", found.design, found.takes
                    )
                )
        return found

    def front(self) -> list[Fitted]:
        """Choose the Pareto front of the designs that fit, from fast to slow.

        Raises
        ------
        CheckFailed
            If no design fits.
        """
        found = self.search.front(self.budget)
        if not found:
            raise CheckFailed(self._too_large())
        return found

    def check(self, design: Design) -> None:
        """Check that a design with a given folding fits.

        Raises
        ------
        CheckFailed
            If it does not; the message says what would work.
        """
        takes = self.search.takes(design)
        if self.whole.exceeded(takes):
            raise CheckFailed(self._refusal(f"{self.net.name} at this folding", design, takes))

    def _refusal(self, what: str, design: Design, takes: Resources) -> str:
        fits = self.search.fastest(self.budget) or self.search.fastest(self.whole)
        if fits is None:
            return self._too_large()
        fps = self.mhz * 1e6 / fits.design.ii
        wishes = [
            f"at most {fps:,.0f} frames per second at {self.mhz:g} MHz ({fits.design.ii:,} cycles"
            " per frame)",
            *self._larger(design),
        ]
        return (
            f"{what} does not fit {self.device.board}: it takes about"
            f" {', '.join(self.whole.exceeded(takes))} ({self._kind}). What would work:"
            f" {', or '.join(wishes)}"
        )

    def _too_large(self) -> str:
        """Return the message for a network of which even the smallest folding does not fit."""
        choice = self.search.smallest_of_all()
        design = self.search.assemble(choice.folds, choice.cycles)
        over = self.whole.exceeded(self.search.takes(design))
        if not over:  # Each resource alone suffices for some folding, but none saves both.
            over = [f"more LUT or more {self.whole.ram} than there are, whichever is saved"]
        engine = max(design.shape.engines, key=lambda e: e.weights)
        boards = self._larger(design)
        return (
            f"{self.net.name} does not fit {self.device.board}: even its smallest folding takes"
            f" about {', '.join(over)} ({self._kind}); layer {engine.name!r} has"
            f" {engine.weights:,} of its {design.shape.weights:,} weights. What would work:"
            f" {boards[0] if boards else 'a smaller network'}"
        )

    def _larger(self, design: Design) -> list[str]:
        """Return a phrase that names the boards with room for a design, or nothing."""
        names = [
            device.board
            for device in fpgas().values()
            if not board_budget(device, self.frame).exceeded(
                design_resources(design.shape, device.family)
            )
        ]
        return [f"a larger board ({', '.join(names)})"] if names else []
