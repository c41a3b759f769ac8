"""The Verilog and ROM images in a design's folder, which may have been altered since."""

from __future__ import annotations

import difflib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from xnorflow.design.design import Design, text_digest
from xnorflow.errors import BadInput
from xnorflow_hw.top.verilog import Emitted, emit
from xnorflow_sim.locate import Mismatch, locate
from xnorflow_sim.verilator.runner import Simulator

MAX_BYTES = 1 << 28
"""Most bytes of a design's file that is read."""
_MODULE = re.compile(r"^module (\w+)\b.*?^endmodule$", re.MULTILINE | re.DOTALL)
_PORT_NUMBER = re.compile(r"\bport_\d+_\d+\b")


@dataclass(frozen=True)
class Alteration:
    """A place in a design's folder that differs from what this version writes for the network.

    Parameters
    ----------
    file : str
        Name of the file.
    layer : str
        Layer that the place belongs to; empty if it belongs to none.
    place : str
        Description of the place: word and bit, or line and module.
    """

    file: str
    layer: str
    place: str

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{self.file}, {self.place}" + (f": layer {self.layer}" if self.layer else "")


@dataclass(frozen=True, eq=False)
class DesignText:
    """The Verilog and ROM images in a design's folder.

    Parameters
    ----------
    verilog : str
        Verilog of the design.
    images : dict of str to str
        ROM images by file name: those that design.json names and that exist.
    recorded : str
        Digest of the texts when they were written, from design.json.
    version : str
        Version of xnorflow that wrote them.
    """

    verilog: str
    images: dict[str, str]
    recorded: str
    version: str

    @property
    def digest(self) -> str:
        """SHA-256 over the texts, computed as `Design.digest` is."""
        return text_digest(self.verilog, self.images)

    @property
    def intact(self) -> bool:
        """Whether the texts have the digest that design.json recorded."""
        return self.digest == self.recorded

    def simulator(self, design: Design, *, frames: int | None = None) -> Simulator:
        """Build a simulator of the Verilog, which has the ports of `design`.

        `frames` is the number of frames that it will be run with, as for `Design.simulator`.
        """
        return Simulator(
            self.verilog, design.interface, images=self.images, quick=design.short(frames)
        )


def read_text(directory: Path, design: Design) -> DesignText:
    """Read the Verilog and ROM images of a design's folder.

    Parameters
    ----------
    directory : Path
        The folder.
    design : Design
        The design that the folder describes; its network names the Verilog file.

    Raises
    ------
    BadInput
        If the Verilog or design.json cannot be read, or design.json names files in other folders.
    """
    try:
        content = json.loads(_read(directory / "design.json"))
        names = [str(name) for name in content["files"]]
        recorded, version = str(content["design_digest"]), str(content["xnorflow"])
        if not all(re.fullmatch(r"\w[\w.-]*", name) for name in names):
            raise ValueError("design.json names files in other folders")
        verilog = f"{design.net.name}.v"
        images = {n: directory / n for n in sorted(names) if n != verilog}
        texts = {name: _read(path) for name, path in images.items() if path.is_file()}
        return DesignText(_read(directory / verilog), texts, recorded, version)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        raise BadInput(f"{directory} is not a design that xnorflow wrote: {e}") from e


def _read(path: Path) -> str:
    if not path.is_file():
        raise ValueError(f"it has no file {path.name}")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} has more than {MAX_BYTES} bytes")
    return path.read_text()


def alterations(design: Design, text: DesignText) -> tuple[Alteration, ...]:
    """Return every place where a text differs from what this version writes for the design."""
    found = []
    for name, want in design.emitted.images.items():
        layer = _layer(design, name)
        if name not in text.images:
            found.append(Alteration(name, layer, "which is not there"))
        elif text.images[name] != want:
            found += [Alteration(name, layer, p) for p in _words(text.images[name], want)]
    file, there, ours = f"{design.net.name}.v", _modules(text.verilog), _modules(design.verilog)
    for module in dict.fromkeys([*ours, *there]):
        old, new = ours.get(module, ""), there.get(module, "")
        if old != new:
            line = _first_line(old, new) + text.verilog[: text.verilog.find(new)].count("\n")
            place = f"line {line} in module {module}" if new else f"module {module} is not there"
            found.append(Alteration(file, _layer(design, module), place))
    if not found and text.verilog != design.verilog:
        line = _first_line(design.verilog, text.verilog)
        found.append(Alteration(file, "", f"line {line}, outside of all modules"))
    return tuple(found)


def locate_first(
    design: Design,
    text: DesignText | None,
    x: NDArray[np.uint8],
    frame: int,
    edges: int | None = None,
) -> Mismatch | str:
    """Find the first value that differs between hardware and golden model on one frame.

    The design is written and simulated once more with probe ports, which show each layer's output.

    Parameters
    ----------
    design : Design
        The design.
    text : DesignText, optional
        Text of its folder; its alterations are carried over to the design with probe ports.
    x : uint8 array [1, ...]
        The frame.
    frame : int
        Number of the frame, for the report.
    edges : int, optional
        Number of enabled edges, all by default.

    Returns
    -------
    Mismatch or str
        The first difference, or the reason why none can be named.
    """
    probed = with_probes(design)
    if text is not None and text.digest != design.digest:
        carried = carry(design, text, probed)
        if carried is None:
            return "its alterations cannot be carried over to a design with probe ports"
        probed = carried
    interface = replace(design.interface, taps=design.taps)
    counts = None if edges is None else np.full(len(x), edges, np.int64)
    # A single frame.
    simulator = Simulator(probed.verilog, interface, images=probed.images, quick=True)
    run = simulator.run(x, taps=True, edges=counts)
    found = locate(design.golden_taps(x, edges), run.taps, design.taps)
    if found is None:
        return f"frame {frame}: no difference in any layer when run alone"
    return replace(found, frame=frame)


def with_probes(design: Design) -> Emitted:
    """Return the Verilog and ROM images of a design with probe ports."""
    return emit(design.spec, header="with probe ports", taps=True)


def carry(design: Design, text: DesignText, probed: Emitted) -> Emitted | None:
    """Return the design with probe ports after the alterations of a text, or None.

    It is None if the alterations cannot be carried over.

    Parameters
    ----------
    design : Design
        The design without probe ports.
    text : DesignText
        The altered text of the design.
    probed : Emitted
        The design with probe ports, unaltered.
    """
    there, ours, theirs = (_modules(t) for t in (text.verilog, design.verilog, probed.verilog))
    if there.keys() != ours.keys():
        return None
    verilog = probed.verilog
    for module, old in ours.items():
        new = there[module]
        if new == old:
            continue
        target = theirs.get(module)
        changed = None if target is None else _patch(old, new, target)
        if target is None or changed is None:
            return None
        verilog = verilog.replace(target, changed)
    return replace(probed, verilog=verilog, images={**probed.images, **text.images})


def _patch(old: str, new: str, target: str) -> str | None:
    """Return `target` after the changes from `old` to `new`; it has other port names than `old`.

    None if a changed place does not occur in `target` exactly once.
    """
    lines, a, b = target.split("\n"), old.split("\n"), new.split("\n")
    plain = [_PORT_NUMBER.sub("port", line) for line in lines]
    for tag, i, j, k, m in reversed(difflib.SequenceMatcher(None, a, b, False).get_opcodes()):
        if tag == "equal":
            continue
        want = [_PORT_NUMBER.sub("port", line) for line in a[i:j]]
        places = [p for p in range(len(plain)) if want and plain[p : p + len(want)] == want]
        if len(places) != 1:
            return None
        lines[places[0] : places[0] + len(want)] = b[k:m]
        plain[places[0] : places[0] + len(want)] = b[k:m]
    return "\n".join(lines)


def _modules(verilog: str) -> dict[str, str]:
    return {m[1]: m[0] for m in _MODULE.finditer(verilog)}


def _layer(design: Design, name: str) -> str:
    """Return the layer that a module or ROM image is named after; empty if there is none."""
    rest = name.removeprefix(f"{design.spec.name}_").partition(".")[0]
    layers = [part.name for part in design.parts]
    fitting = [n for n in layers if rest == n or rest.startswith(f"{n}_")]
    if not fitting and rest.startswith("input_stage"):
        return "input"
    return max(fitting, key=len, default="")


def _words(got: str, want: str) -> list[str]:
    """Return descriptions of the words in which a ROM image differs."""
    a, b = got.split(), want.split()
    if len(a) != len(b):
        return [f"{len(a)} words instead of {len(b)}"]
    found = []
    for index, (x, y) in enumerate(zip(a, b, strict=True)):
        if x == y:
            continue
        try:
            changed = int(x, 16) ^ int(y, 16)
        except ValueError:
            found.append(f"word {index} is {x[:20]!r}")
            continue
        bits = [str(i) for i in range(changed.bit_length()) if changed >> i & 1]
        named = f"bit {bits[0]}" if len(bits) == 1 else f"{len(bits)} bits"
        found.append(f"word {index}, {named}")
    return found or ["in its white space only"]


def _first_line(old: str, new: str) -> int:
    """Return the number, from 1, of the first line in which `new` differs from `old`."""
    a, b = old.split("\n"), new.split("\n")
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    return (min(len(a), len(b)) if same is None else same) + 1
