"""Which tools of the board flows are installed, for ``xnorflow doctor``."""

from __future__ import annotations

from collections.abc import Callable

from xnorflow.errors import ToolMissing
from xnorflow_boards.flows import OPEN_FLOWS, ToolFlow, tools
from xnorflow_boards.flows.tools import FlowTool


def report(only: ToolFlow | None = None) -> list[tuple[str, str, FlowTool | None, str, str]]:
    """Look for every tool.

    Parameters
    ----------
    only : ToolFlow, optional
        The one flow whose tools are wanted.

    Returns
    -------
    list of (str, str, FlowTool or None, str, str)
        Name of the tool, what it is needed for, the tool; and if it is missing, what is wrong and
        the command that installs it.
    """
    wanted: list[tuple[str, str, Callable[[], FlowTool]]] = [("yosys", "build", tools.yosys)]
    for flow in OPEN_FLOWS if only is None else [f for f in OPEN_FLOWS if f is only]:
        use = f"build for {flow.title}"
        wanted += [
            (f"nextpnr-{flow.architecture}", use, flow.find_nextpnr),
            (flow.packer, use, flow.find_packer),
        ]
    wanted.append(("openFPGALoader", "program", tools.loader))
    lines: list[tuple[str, str, FlowTool | None, str, str]] = []
    for name, use, find in wanted:
        try:
            lines.append((name, use, find(), "", ""))
        except ToolMissing as error:
            lines.append((name, use, None, str(error), error.install))
    return lines
