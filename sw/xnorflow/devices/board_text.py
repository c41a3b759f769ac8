"""The text of board files: written from plain values, and a template to fill in."""

from __future__ import annotations

from typing import Any

from xnorflow.devices.part_names import PartName


def template(part: PartName) -> str:
    """Return the text of a board file for a part, with pins to fill in as comments."""
    return (
        toml_text({"name": "my-board", "title": "My board", "part": part.text})
        + """
# Remove the # from these lines and write the pins of your board; see docs/boards.md for all keys.
# io = {IO_TYPE = "LVCMOS33"}      # attributes of all pins, as in the tools' constraint files
#
# [clock]
# pin = "G2"
# mhz = 25
#
# [uart]
# rx = "M1"                        # into the FPGA
# tx = "L4"                        # out of the FPGA
#
# [loader]
# board = "ulx3s"                  # openFPGALoader's name of the board
"""
    )


def toml_text(board: dict[str, Any]) -> str:
    """Return plain values as the text of a board file: words, then tables of words and numbers."""

    def line(key: str, value: object) -> str:
        # What TOML and Python write alike, once quotes and backslashes are escaped.
        if isinstance(value, bool):
            return f"{key} = {str(value).lower()}"
        if isinstance(value, str):
            escaped = value.replace("\\", "\\\\").replace('"', '\\"')
            return f'{key} = "{escaped}"'
        return f"{key} = {value}"

    words = [line(k, v) for k, v in board.items() if not isinstance(v, dict)]
    for name, table in board.items():
        if isinstance(table, dict):
            words += ["", f"[{name}]", *(line(k, v) for k, v in table.items())]
    return "\n".join(words) + "\n"
