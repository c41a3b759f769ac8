"""Check the arguments of the public functions: what was mixed up, and what would work."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

from xnorflow.errors import BadInput

T = TypeVar("T")
FILES = (".onnx", ".npz")
"""Suffixes of the files that networks are loaded from."""
EXPORT = "export it to an ONNX file, and load that: net = xnorflow.load('model.onnx')"


def network(value: object, kind: type[T], call: str) -> T:
    """Return a network that was given to a function.

    Parameters
    ----------
    value : object
        What was given.
    kind : type
        Class of networks.
    call : str
        Name of the function, for the message.

    Raises
    ------
    BadInput
        If it is something else; the message says what would work.
    """
    if isinstance(value, kind):
        return value
    said = f"{call} takes a network"
    match value:
        case str() | Path() if Path(value).suffix in FILES or Path(value).is_dir():
            raise BadInput(
                f"{said}, not the path {str(value)!r}; load it first:"
                f" {call}(xnorflow.load({str(value)!r}), ...)"
            )
        case str() | Path():
            raise BadInput(
                f"{said} before all else, not {str(value)[:100]!r}; what would work:"
                f" {call}(xnorflow.load('model.onnx'), ...)"
            )
    if isinstance(getattr(value, "net", None), kind):
        raise BadInput(f"{said}, not {_name(value)}; give its network, as in design.net")
    raise BadInput(f"{said}, not {_described(value)}; {_cure(value)}")


def path(value: object, call: str) -> Path:
    """Return the path of a model that was given to a function.

    Parameters
    ----------
    value : object
        What was given.
    call : str
        Name of the function, for the message.

    Raises
    ------
    BadInput
        If it is something else; the message says what would work.
    """
    if isinstance(value, str | PathLike):
        return Path(value)
    said = f"{call} takes the path of a model, not {_described(value)}"
    if hasattr(value, "evaluate") and hasattr(value, "layers"):
        cure = (
            "it is loaded already, so use it as it is"
            if call.endswith("load")
            else "name the file that it was loaded from, which is executed, too"
        )
        raise BadInput(f"{said}; {cure}")
    if hasattr(value, "net") and hasattr(value, "simulate"):
        raise BadInput(f"{said}; its network is design.net, and design.write(DIR) makes a folder")
    raise BadInput(f"{said}; {_cure(value)}")


def samples(value: Any, call: str) -> Any:
    """Return samples that were given to a function.

    Parameters
    ----------
    value : object
        What was given.
    call : str
        Name of the function, for the message.

    Raises
    ------
    BadInput
        If it is a path or a network; the message says what would work.
    """
    said = f"{call} takes an array of samples, not"
    match value:
        case str() | Path():
            what = str(value)
            read = f"np.load({what!r})" + ("['x']" if what.endswith(".npz") else "")
            raise BadInput(f"{said} the path {what[:200]!r}; read it first, as in {read}")
        case dict():
            raise BadInput(f"{said} a dict; choose one, as in images['x']")
        case None:
            raise BadInput(f"{said} None")
    if hasattr(value, "files") and hasattr(value, "keys"):
        raise BadInput(f"{said} all arrays of a file; choose one, as in images['x']")
    if hasattr(value, "evaluate") or hasattr(value, "simulate"):
        raise BadInput(f"{said} {_name(value)}")
    return value


def board(value: object) -> str | None:
    """Return a board that was given to a function.

    Raises
    ------
    BadInput
        If it is no name or path; the message says what would work.
    """
    match value:
        case None | str():
            return value
        case Path():
            return str(value)
        case Real():
            raise BadInput(
                f"a board is a name, not {value!r}; a target is given as fps={value!r} frames per"
                f" second or cycles={value!r} per frame"
            )
    raise BadInput(f"a board is a name such as 'ulx3s-85f', not {_described(value)}")


def names(value: object, what: str) -> list[str]:
    """Return several names that were given to a function.

    Parameters
    ----------
    value : object
        What was given.
    what : str
        Name of the parameter, for the message.

    Raises
    ------
    BadInput
        If it is no sequence of texts; the message says what would work.
    """
    match value:
        case str():
            shown = [name.strip() for name in value.split(",")]
            raise BadInput(f"{what} is a list, not the text {value[:100]!r}; give {what}={shown}")
        case Iterable():
            given = list(value)
            if all(isinstance(name, str | Path) for name in given):
                return [str(name) for name in given]
    raise BadInput(f"{what} is a list of names, not {_described(value)}")


def number(value: object, what: str) -> None:
    """Check a number that was given to a function, or None.

    Raises
    ------
    BadInput
        If it is something else.
    """
    if value is not None and (isinstance(value, bool) or not isinstance(value, Real)):
        raise BadInput(f"{what} is a number, not {_described(value)}")


def _name(value: object) -> str:
    """Return the name of the type of a value with its article."""
    name = type(value).__name__
    vowel = name[0].lower() in "aeiou" or name == "ndarray"
    return f"{'an' if vowel else 'a'} {name}"


def _described(value: object) -> str:
    match value:
        case str() | int() | float() | None:
            return repr(value)[:100]
    return _name(value)


def _cure(value: object) -> str:
    """Return what would work for something that holds a model in another form."""
    if hasattr(value, "state_dict"):
        return f"of a PyTorch module, {EXPORT}"
    if hasattr(value, "SerializeToString"):
        return "save it first, with onnx.save(model, 'model.onnx'), and load that file"
    return "a network comes from net = xnorflow.load('model.onnx')"
