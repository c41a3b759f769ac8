"""Fits a network to a board: the folding, by a model of what it takes."""

from xnorflow.fit.budget import Budget, board_budget
from xnorflow.fit.search import Choice, Fit

__all__ = ["Budget", "Choice", "Fit", "board_budget"]
