"""Axes that several charts share."""

from __future__ import annotations

from collections.abc import Iterable
from math import log10
from typing import Any


def log_axis(title: str, values: Iterable[float]) -> dict[str, Any]:
    """Return a logarithmic axis whose labels read 1k, 10k, 1M; a short one has 2 and 5 as well.

    Parameters
    ----------
    title : str
        What it shows.
    values : iterable of float
        What is drawn along it; what is not positive is left out.
    """
    logs = [log10(value) for value in values if value > 0]
    decades = max(logs) - min(logs) if logs else 0.0
    step: int | str = "D2" if decades < 2 else 1 if decades < 7 else 2
    return {"type": "log", "title": {"text": title}, "dtick": step, "tickformat": "~s"}
