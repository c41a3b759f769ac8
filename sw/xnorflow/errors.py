"""Errors that a user can act on.

Each carries one message that says what, where, why, and what would work. The command line prints
the message alone; ``--debug`` adds the traceback.
"""


class XnorflowError(Exception):
    """Base of every error that xnorflow raises on purpose.

    ``exit_code`` is what the command line ends with: 2 for bad usage or bad input.
    """

    exit_code = 2


class UnsupportedModel(XnorflowError):
    """A model that cannot be mapped exactly.

    Parameters
    ----------
    reason : str
        Why the node cannot be mapped.
    node : str
        Name of the offending node, or of the file if the file itself is at fault.
    op : str
        Operator of that node, empty if the file itself is at fault.
    hint : str
        What would work instead.
    """

    def __init__(self, reason: str, *, node: str = "", op: str = "", hint: str = "") -> None:
        self.reason, self.node, self.op, self.hint = reason, node, op, hint
        where = f"{op} node {node!r}: " if op else (f"{node}: " if node else "")
        super().__init__(where + reason + (f" What would work: {hint}" if hint else ""))


class BadInput(XnorflowError):
    """Data, a folding file or an option that does not fit the network."""


class CheckFailed(XnorflowError):
    """A check that ran and failed: a mismatch, a missed clock, a design that does not fit."""

    exit_code = 1


class ToolMissing(XnorflowError):
    """An external tool that is not installed; the message says how to install it."""
