"""Fit a network to a board, or say why it does not fit and what would work."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from xnorflow import ir
from xnorflow.design.design import Design
from xnorflow.devices.tables import fpga
from xnorflow.errors import CheckFailed
from xnorflow.folding import stream_lanes
from xnorflow.folding.room import Room
from xnorflow.folding.search import Assemble, Fit, Fitted
from xnorflow.resources.budget import board_budget
from xnorflow.resources.usage import Resources, status


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
        self.assemble, self._progress = assemble, progress

    @cached_property
    def search(self) -> Fit:
        """The search for foldings, which takes a while to set up."""
        return Fit(self.net, self.device, self.assemble, self._progress)

    def _need_bits(self) -> None:
        """Check that the board can store the weights; CheckFailed names boards that hold them."""
        if why := Room(self.net).lacks_bits(self.device):
            raise CheckFailed(
                f"{self.net.name} does not fit {self.device.board}: {why}. What would work:"
                f" {self._larger()[0]}"
            )

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
        if must_fit:
            self._need_bits()
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
        if must_fit:
            self._need_bits()
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
        self._need_bits()
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
        self._need_bits()
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
            *self._larger(design.ii),
        ]
        return (
            f"{what} does not fit {self.device.board}: it takes about"
            f" {', '.join(self.whole.exceeded(takes))} ({self._kind}). What would work:"
            f" {', or '.join(wishes)}"
        )

    def _too_large(self) -> str:
        """Return the message for a network of which even the smallest folding does not fit."""
        room = Room(self.net)
        over = min(map(self.whole.exceeded, room.takes(self.device)), key=len)
        if not over:
            # Each resource alone suffices for some folding, but no folding saves both.
            over = [f"more LUT or more {self.whole.ram} than there are, whichever is saved"]
        weights = {x.name: x.weights.size for x in self.net.layers if isinstance(x, ir.Conv)}
        most = max(weights, key=lambda name: weights[name])
        return (
            f"{self.net.name} does not fit {self.device.board}: even a narrow folding takes"
            f" about {', '.join(over)} ({self._kind}); layer {most!r} has {weights[most]:,} of its"
            f" {sum(weights.values()):,} weights. What would work: {self._larger()[0]}"
        )

    def _larger(self, cycles: int | None = None) -> list[str]:
        """Return a phrase that names the boards with room for the network, the smallest first.

        `cycles` is the most that a frame may take; without it any speed will do. If there is no
        such board, the phrase says what else would work, or is missing if a speed was asked for.
        """
        names = Room(self.net, cycles).boards(self.device)
        if names:
            return [
                f"a board with room for it ({', '.join(names)}; the smallest first, those with"
                " open tools ahead)"
            ]
        return ["a smaller network"] if cycles is None else []
