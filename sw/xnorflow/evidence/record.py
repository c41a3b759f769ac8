"""The record of a proof, ``evidence.json``: it is written, read, and compared with a later one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xnorflow import outputs
from xnorflow.cards import Card, Shown
from xnorflow.errors import BadInput

FORMAT = "xnorflow-evidence-1"
MAX_BYTES = 1 << 24
"""Most bytes of a file that is read."""


@dataclass(frozen=True)
class Outcome:
    """The comparison of the scores of two implementations on the same frames.

    Parameters
    ----------
    name : str
        Implementation under test: "golden", "rtl" or "gates".
    tool, against : str
        The tool that ran it, and the one that it was compared with, with versions.
    frames : int
        Number of frames.
    labels : int
        Number of frames whose labels differ.
    order : int
        Number of frames in which some pair of scores has a different order.
    ties : int
        Number of those frames in which all such pairs are equal in one of the implementations.
    scores, total : int
        Number of scores that differ, and of all scores; both 0 if single scores cannot be compared.
    exact : bool
        Whether a single score that differs is a fault. It is not if the network has float32 sums
        that depend on the order of summation, which its notes say.
    rounded : bool
        Whether the network was rounded to fixed point, so that its scores may be others than those
        of the file.
    digest, expected : str
        SHA-256 of the scores under test, and of those that they were compared with.
    first : str
        Place of the first difference; empty if there is none.
    failure : str
        Reason why there are no scores; empty if there are.
    """

    name: str
    tool: str
    against: str
    frames: int
    labels: int = 0
    order: int = 0
    ties: int = 0
    scores: int = 0
    total: int = 0
    exact: bool = True
    rounded: bool = False
    digest: str = ""
    expected: str = ""
    first: str = ""
    failure: str = ""

    @property
    def differs(self) -> bool:
        """Whether anything differs that should not."""
        wrong = self.labels or self.order or (self.exact and self.scores)
        return bool((wrong and not self.rounded) or self.failure)

    @property
    def only_ties(self) -> bool:
        """Whether only the order of scores differs that are equal in one of the implementations."""
        return self.differs and not self.failure and self.order == self.ties > 0


@dataclass(frozen=True, repr=False)
class Evidence(Shown):
    """A proof of one model on one set of images.

    Parameters
    ----------
    version : str
        Version of xnorflow.
    date : str
        Date and time in UTC, in ISO 8601.
    command : tuple of str
        Command line; empty for a call from Python.
    model, data, network, design : dict
        Names and SHA-256 digests; `design` is empty if no hardware took part.
    options : dict
        All other options that decide the result.
    tools : dict of str to str
        Versions of tools and packages by name.
    outcomes : tuple of Outcome
        Comparisons in their order.
    alterations : tuple of str
        Places where a design's folder was altered.
    notes : tuple of str
        Facts that a user should know, one sentence each.
    tied : int
        Number of frames whose label depends on a tie of the golden model's scores.
    accuracy : float or None
        Share of correct labels, from 0 to 1; None without labels.
    format : str
        Version of the file's format.
    """

    version: str
    date: str
    command: tuple[str, ...]
    model: dict[str, Any]
    data: dict[str, Any]
    network: dict[str, Any]
    design: dict[str, Any]
    options: dict[str, Any]
    tools: dict[str, str]
    outcomes: tuple[Outcome, ...]
    alterations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    tied: int = 0
    accuracy: float | None = None
    format: str = field(default=FORMAT)

    def card(self) -> Card:
        """Return what the prompt and a notebook show of the evidence."""
        said = "DIFFERS" if self.differs else "nothing differs that should not"
        facts = [
            (
                o.name,
                o.failure
                or f"{o.tool} against {o.against}, {o.frames:,} frames: {o.labels:,} labels,"
                f" {o.order:,} orders and {o.scores:,} of {o.total:,} scores differ",
            )
            for o in self.outcomes
        ]
        facts += [("altered", place) for place in self.alterations]
        if self.accuracy is not None:
            facts.append(("accuracy", f"{self.accuracy:.2%}"))
        facts += [("note", note) for note in self.notes]
        return Card(f"Evidence about {self.network.get('name')}: {said}", tuple(facts))

    @property
    def differs(self) -> bool:
        """Whether anything differs that should not."""
        return bool(self.alterations) or any(o.differs for o in self.outcomes)

    def to_json(self) -> dict[str, Any]:
        """Return the content of the file, for `json.dumps`."""
        content = asdict(self)
        content["outcomes"] = [asdict(o) | {"differs": o.differs} for o in self.outcomes]
        return {"format": content.pop("format"), "differs": self.differs} | content

    def write(self, path: Path) -> None:
        """Write the record to a file, which `read_evidence` reads.

        Parameters
        ----------
        path : Path
            File to write.
        """
        outputs.write_json(path, self.to_json())


def read_evidence(path: str | Path) -> Evidence:
    """Read a file that `Evidence.write` wrote.

    Parameters
    ----------
    path : path
        The file; it may come from anywhere.

    Raises
    ------
    BadInput
        If the file is absent, too large or anything else.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise ValueError("it is no file")
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has more than {MAX_BYTES} bytes")
        content = json.loads(path.read_text())
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']!r}, not {FORMAT!r}")
        outcomes = tuple(_outcome(entry) for entry in content["outcomes"])
        return Evidence(
            version=_text(content["version"]),
            date=_text(content["date"]),
            command=tuple(map(_text, content["command"])),
            model=_table(content["model"]),
            data=_table(content["data"]),
            network=_table(content["network"]),
            design=_table(content["design"]),
            options=_table(content["options"]),
            tools={name: _text(version) for name, version in _table(content["tools"]).items()},
            outcomes=outcomes,
            alterations=tuple(map(_text, content["alterations"])),
            notes=tuple(map(_text, content["notes"])),
            tied=int(content["tied"]),
            accuracy=None if content["accuracy"] is None else float(content["accuracy"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise BadInput(f"{path} is no evidence that xnorflow wrote: {e}") from e


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _table(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is no table")
    return value


def _outcome(entry: dict[str, Any]) -> Outcome:
    values = {}
    entry = {"rounded": False} | entry  # Evidence from before there was fixed point lacks it.
    for f in fields(Outcome):
        kind = {"str": str, "int": int, "bool": bool}[str(f.type)]
        if type(entry[f.name]) is not kind:
            raise ValueError(f"{f.name} of an outcome is {entry[f.name]!r}")
        values[f.name] = entry[f.name]
    return Outcome(**values)


@dataclass(frozen=True)
class Change:
    """A difference from an earlier proof.

    Parameters
    ----------
    what : str
        Name of the thing that changed.
    before, after : str
        Its values in the two proofs.
    matters : bool
        Whether it is an input or a result, rather than a version or a way of building.
    """

    what: str
    before: str
    after: str
    matters: bool

    def __str__(self) -> str:
        """Return one line for a person."""
        return f"{self.what}: {self.before or 'none'}, now {self.after or 'none'}"


def changes(before: Evidence, after: Evidence) -> tuple[Change, ...]:
    """Return what changed between two proofs; dates and commands do not count."""
    return tuple(
        Change(what, _short(a), _short(b), matters)
        for what, a, b, matters in _pairs(before, after)
        if a != b
    )


def _pairs(a: Evidence, b: Evidence) -> Iterator[tuple[str, Any, Any, bool]]:
    """Yield what is compared: its name, its values in both proofs, and whether it matters."""
    yield "model", a.model.get("sha256"), b.model.get("sha256"), True
    yield "file of the model", a.model.get("file_sha256"), b.model.get("file_sha256"), True
    yield "images", a.data.get("sha256"), b.data.get("sha256"), True
    yield "labels of the images", a.data.get("labels_sha256"), b.data.get("labels_sha256"), True
    yield "integer network", a.network.get("digest"), b.network.get("digest"), False
    yield "design", a.design.get("digest"), b.design.get("digest"), False
    yield "accuracy", a.accuracy, b.accuracy, True
    yield "alterations of the folder", len(a.alterations), len(b.alterations), True
    ours, theirs = ({o.name: o for o in e.outcomes} for e in (a, b))
    for name in dict.fromkeys([*ours, *theirs]):
        old, new = ours.get(name), theirs.get(name)
        if old is None or new is None:
            yield name, old and "compared", new and "compared", True
            continue
        for what in ("frames", "labels", "order", "ties", "scores", "failure"):
            yield f"{name}, {what}", getattr(old, what), getattr(new, what), True
        yield f"{name}, tool", old.tool, new.tool, False
        yield f"{name}, digest of its scores", old.digest, new.digest, True
        yield f"{name}, digest of {old.against}'s scores", old.expected, new.expected, True
    yield "xnorflow", a.version, b.version, False
    for tool in dict.fromkeys([*a.tools, *b.tools]):
        yield tool, a.tools.get(tool), b.tools.get(tool), False


def _short(value: object) -> str:
    """Return a value as text; digests are shortened."""
    text = "" if value is None else str(value)
    hexadecimal = len(text) == 64 and all(c in "0123456789abcdef" for c in text)
    return f"{text[:12]}..." if hexadecimal else text


def array_digest(a: NDArray[Any]) -> str:
    """Return the SHA-256 of an array, its type and its shape, in hexadecimal."""
    a = np.ascontiguousarray(a)
    h = hashlib.sha256(f"{a.dtype.str} {a.shape}\n".encode())
    h.update(a.tobytes())
    return h.hexdigest()
