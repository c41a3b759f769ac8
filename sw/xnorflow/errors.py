"""Errors that a user can act on.

Each has a message that says what is wrong, where, why, and what would work. The command line prints
only this message; with ``--debug`` it also prints the traceback.
"""


class XnorflowError(Exception):
    """Base of every error that xnorflow raises on purpose.

    Attributes
    ----------
    exit_code : int
        Exit code of the command line: 2 for bad usage or bad input.
    """

    exit_code = 2


class UnsupportedModel(XnorflowError):
    """Error for a model that cannot be mapped exactly.

    Parameters
    ----------
    reason : str
        Reason why the node cannot be mapped.
    node : str
        Name of the node at fault, or of the file if the file itself is at fault.
    op : str
        Operator of that node; empty if the file itself is at fault.
    hint : str
        Description of what would work instead.
    """

    def __init__(self, reason: str, *, node: str = "", op: str = "", hint: str = "") -> None:
        self.reason, self.node, self.op, self.hint = reason, node, op, hint
        where = f"{op} node {node!r}: " if op else (f"{node}: " if node else "")
        super().__init__(where + reason + (f" What would work: {hint}" if hint else ""))


class BadInput(XnorflowError):
    """Error for data, a file or an option that is wrong or does not fit the network."""


class CheckFailed(XnorflowError):
    """Error for a check that failed: a mismatch, a missed clock, a design that does not fit."""

    exit_code = 1


class ToolMissing(XnorflowError):
    """Error for a tool or package that is not installed; the message says how to install it.

    Parameters
    ----------
    message : str
        What is missing, why it is needed and how to install it.
    install : str
        The command that installs it; empty if the message alone has it.
    """

    def __init__(self, message: str, *, install: str = "") -> None:
        self.install = install
        super().__init__(message)
