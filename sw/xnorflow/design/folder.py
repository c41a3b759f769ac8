"""The folder of a design: Verilog, ROM images, ``network.npz`` and ``design.json``."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xnorflow import ir
from xnorflow.design.clock import MAX_MHZ, Clock
from xnorflow.errors import BadInput
from xnorflow.inputs import blaming, opened, read_json, whole
from xnorflow.ir import file as ir_file
from xnorflow.outputs import whole_folder
from xnorflow.plan.reductions import Fold

FORMAT = "xnorflow-design-1"
SUMMARY, NETWORK = "design.json", "network.npz"
"""Names of the files that every such folder has."""
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
MAX_BYTES = 1 << 31
"""Most bytes that a file of a design may have."""


@dataclass(frozen=True)
class StoredDesign:
    """What a folder says of its design.

    Parameters
    ----------
    path : Path
        The folder.
    net : IntegerNetwork
        What the design computes.
    folds : tuple of Fold
        One per reduction.
    in_lanes, out_lanes : int
        Samples per input beat, scores per output beat.
    board : str or None
        Name of the board that it is meant for.
    clock : Clock
        The clock that it was compiled for.
    limit : str
        What stands in the way of a faster folding.
    """

    path: Path
    net: ir.IntegerNetwork
    folds: tuple[Fold, ...]
    in_lanes: int
    out_lanes: int
    board: str | None
    clock: Clock
    limit: str

    def compare(self, files: Mapping[str, str]) -> None:
        """Raise ValueError or OSError where a file of the folder says something else.

        Comments in Verilog may differ.
        """
        for name, text in files.items():
            with opened(self.path / name, MAX_BYTES) as file:
                there = file.read()
            if _meaning(name, there.decode()) != _meaning(name, text):
                raise ValueError(f"{name} is not what this version writes; compile it again")


def _meaning(name: str, text: str) -> str:
    """Return Verilog without its comments, whose words may change; other text as it is."""
    if not name.endswith(".v"):
        return text
    lines = _COMMENT.sub("", text).splitlines()
    return "\n".join(line.rstrip() for line in lines if line.strip())


def write(
    directory: str | Path,
    files: Mapping[str, str],
    net: ir.IntegerNetwork,
    summary: Mapping[str, Any],
) -> Path:
    """Write a design's folder, all or nothing.

    A folder that xnorflow wrote before is replaced, unless it holds folders other than ``build``;
    any other must not exist or be empty.

    Parameters
    ----------
    directory : path
        The folder.
    files : mapping of str to str
        Verilog and ROM images by name.
    net : IntegerNetwork
        What the design computes.
    summary : mapping
        Content of ``design.json``.

    Raises
    ------
    BadInput
        If the folder holds something else, or cannot be written.
    """
    target = Path(directory).resolve()
    if target.exists() and not target.is_dir():
        raise BadInput(f"{target} is a file, not a folder")
    if target.exists() and any(target.iterdir()) and not _wrote(target):
        raise BadInput(f"{target} holds other files; give a new folder or an empty one")
    with whole_folder(target) as made:
        for name, text in {**files, SUMMARY: json.dumps(summary, indent=1) + "\n"}.items():
            (made / name).write_text(text, encoding="utf-8")
        ir_file.save(net, made / NETWORK)
    return target


def read(directory: str | Path) -> StoredDesign:
    """Read what a folder says of its design; its Verilog is not looked at.

    Raises
    ------
    BadInput
        If it is not a folder that `write` made.
    """
    directory = Path(directory)
    what = "a design that xnorflow wrote"
    content = read_json(directory / SUMMARY, what)
    with blaming(f"{directory} is not {what}"):
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}, not {FORMAT!r}")
        net = ir_file.load(directory / NETWORK)
        if net.digest != content["network_digest"]:
            raise ValueError(f"{NETWORK} is not the network of {SUMMARY}")
        mhz = content["clock_mhz"]
        if type(mhz) not in (int, float) or not 0 < mhz < MAX_MHZ:
            raise ValueError(f"its clock of {mhz!r} MHz is not possible")
        lanes = content["interface"]
        return StoredDesign(
            directory,
            net,
            tuple(
                Fold(*(whole(e[name], name) for name in ("pe", "simd", "pixels")))
                for e in content["layers"]
            ),
            whole(lanes["s_axis"]["lanes"], "lanes"),
            whole(lanes["m_axis"]["lanes"], "lanes"),
            content["board"],
            Clock(float(mhz), str(content["clock_source"])),
            str(content["limit"]),
        )


def _wrote(folder: Path) -> bool:
    """Return whether `write` made a folder, and nobody put folders of their own there."""
    if any(path.is_dir() and path.name != "build" for path in folder.iterdir()):
        return False
    try:
        content = read_json(folder / SUMMARY, "a design")
        return str(content["format"]).startswith(FORMAT.rstrip("0123456789"))
    except (BadInput, LookupError, TypeError):
        return False
