"""Compute which issue of a join takes each beat of its ports."""

from __future__ import annotations

import numpy as np

from xnorflow.ir import Ints
from xnorflow_hw.spec import JoinSpec


def taken_at(join: JoinSpec, port: int) -> Ints:
    """Compute the issue, within a frame, that takes each beat of a port.

    Beats of a port that is held are taken by the first issue that uses them.

    Returns
    -------
    int64 array [beats of the port]
        Indices of issues, ascending.
    """
    if join.turns:
        period, before = sum(join.turns), sum(join.turns[:port])
        rounds = np.arange(join.cycles // period)[:, None] * period
        return (rounds + before + np.arange(join.turns[port])).ravel()
    match join.ports[port].hold:
        case "none":
            return np.arange(join.cycles)
        case "pixel":
            return np.arange(join.height * join.width) * join.words
        case "frame":
            return np.arange(join.port_beats(port))
        case other:
            raise ValueError(f"a port cannot be held for {other!r}")
