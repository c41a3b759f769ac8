"""Write and read the folder of a design: Verilog, ROM images, ``network.npz``, ``design.json``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from xnorflow import ir, outputs
from xnorflow.design.clock import MAX_MHZ, Clock
from xnorflow.devices.board_names import is_name
from xnorflow.devices.links import HostLink, link
from xnorflow.errors import BadInput
from xnorflow.inputs import blaming, opened, read_json, whole
from xnorflow.ir import file as ir_file
from xnorflow.outputs import whole_folder
from xnorflow.plan.reductions import Fold

FORMAT = "xnorflow-design-1"
SUMMARY, NETWORK = "design.json", "network.npz"
"""Names of the two files that the folder of every design has."""
BOARD = "board.toml"
"""Name of the board's file, in the folder of a design for a board that is not known by name."""
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
MAX_BYTES = 1 << 31
"""Most bytes that a file of a design may have."""


@dataclass(frozen=True)
class StoredDesign:
    """Content of a design's folder, apart from Verilog and ROM images.

    Parameters
    ----------
    path : Path
        The folder.
    net : IntegerNetwork
        Network that the design computes.
    folds : tuple of Fold
        Folding of each reduction.
    in_lanes, out_lanes : int
        Samples per input beat and scores per output beat.
    board : str or None
        Board that the design is meant for, if any: its name, or its file in the folder.
    clock : Clock
        Clock that the design was compiled for.
    limit : str
        Reason why no faster folding fits the board; empty if none was sought.
    link : HostLink or None
        Link to the host that was chosen, if any.
    """

    path: Path
    net: ir.IntegerNetwork
    folds: tuple[Fold, ...]
    in_lanes: int
    out_lanes: int
    board: str | None
    clock: Clock
    limit: str
    link: HostLink | None

    def compare(self, files: Mapping[str, str]) -> None:
        """Check that the folder holds the given files; comments in Verilog may differ.

        Parameters
        ----------
        files : mapping of str to str
            Expected texts by file name.

        Raises
        ------
        OSError
            If a file cannot be read.
        ValueError
            If a file has another content.
        """
        for name, text in files.items():
            with opened(self.path / name, MAX_BYTES) as file:
                there = file.read()
            if _meaning(name, there.decode()) != _meaning(name, text):
                raise ValueError(f"{name} is not what this version writes; compile the model again")


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
    """Write the folder of a design, completely or not at all.

    Parameters
    ----------
    directory : path
        Folder to write. It is created if it does not exist. If xnorflow wrote it before and it
        holds no folders other than ``build``, it is replaced; otherwise it has to be empty.
    files : mapping of str to str
        Texts of the Verilog and of the ROM images, by file name.
    net : IntegerNetwork
        Network that the design computes.
    summary : mapping
        Content of ``design.json``.

    Returns
    -------
    Path
        Absolute path of the folder.

    Raises
    ------
    BadInput
        If the folder holds other files or cannot be written.
    """
    target = Path(directory).resolve()
    if target.exists() and not target.is_dir():
        raise BadInput(f"{target} is a file, not a folder")
    if target.exists() and any(target.iterdir()) and not _wrote(target):
        raise BadInput(f"{target} holds other files; give a new folder or an empty one")
    with whole_folder(target) as made:
        for name, text in files.items():
            (made / name).write_text(text, encoding="utf-8")
        outputs.write_json(made / SUMMARY, summary)
        ir_file.save(net, made / NETWORK)
    return target


def read(directory: str | Path) -> StoredDesign:
    """Read the folder of a design, apart from its Verilog and ROM images.

    Raises
    ------
    BadInput
        If the folder is not one that `write` made.
    """
    directory = Path(directory)
    what = "a design that xnorflow wrote"
    content = read_json(directory / SUMMARY, what)
    with blaming(f"{directory} is not {what}"):
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}, not {FORMAT!r}")
        net = ir_file.load(directory / NETWORK)
        if net.digest != content["network_digest"]:
            raise ValueError(f"{NETWORK} is not the network that {SUMMARY} describes")
        mhz = content["clock_mhz"]
        if type(mhz) not in (int, float) or not 0 < mhz < MAX_MHZ:
            raise ValueError(
                f"its clock of {mhz!r} MHz is not possible; it has to be above 0 and below"
                f" {MAX_MHZ:,} MHz"
            )
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
            _board(directory, content),
            Clock(float(mhz), str(content["clock_source"])),
            str(content["limit"]),
            # Designs from before there was a choice lack it.
            link(str(chosen)) if (chosen := content.get("host", {}).get("chosen")) else None,
        )


def _board(directory: Path, content: Mapping[str, Any]) -> str | None:
    """Return the board that a summary names, but never a class, which would be imported."""
    name, file = content["board"], content.get("board_file")
    if file is not None:
        if file != BOARD:
            raise ValueError(f"its board_file is {file!r}, not {BOARD!r}")
        return str(directory / BOARD)
    if name is not None and not is_name(name):
        raise ValueError(f"its board is {name!r}, which is no name")
    return cast("str | None", name)


def _wrote(folder: Path) -> bool:
    """Return whether `write` made a folder to which nobody has added folders since."""
    if any(path.is_dir() and path.name != "build" for path in folder.iterdir()):
        return False
    try:
        content = read_json(folder / SUMMARY, "a design")
        return str(content["format"]).startswith(FORMAT.rstrip("0123456789"))
    except (BadInput, LookupError, TypeError):
        return False
