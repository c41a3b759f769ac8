"""`progress=True`, and callables in its place, on the functions that take long."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import pytest
from rich.console import Console

import xnorflow as xf
from xnorflow import demo, progress


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a terminal shows of progress."""
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, width=80)
    monkeypatch.setattr(progress, "_console", lambda console: console or terminal)
    yield out


def test_long_functions_show_progress(screen: io.StringIO) -> None:
    def seen() -> str:
        text = screen.getvalue()
        screen.seek(0)
        screen.truncate()
        return text

    net = xf.load(demo.model_path(), progress=True)
    assert "importing digits.onnx" in seen()
    x = demo.data()["x_test"][:8]
    assert (net(x, progress=True) == net(x)).all() and "golden model of digits" in seen()
    xf.compile(net, "ulx3s-25f", cycles=4608, progress=True)
    assert "compiling digits" in seen()
    xf.compare(net, ["ulx3s-25f"], [], cycles=4608, progress=True)
    assert "for ulx3s-25f" in seen()
    xf.check(demo.model_path(), x, progress=True)
    assert "golden model" in seen()
    net(x), xf.compile(net, cycles=4608), xf.compile(net, cycles=4608, progress=False)
    assert not seen()


def test_callables_are_told(screen: io.StringIO) -> None:
    told: list[Any] = []
    net = xf.load(demo.model_path(), progress=told.append)
    assert told == ["lowering"]
    xf.compile(net, "ulx3s-25f", cycles=4608, progress=told.append)
    assert len(told) > 1 and all(isinstance(words, str) for words in told)
    counts: list[tuple[int, int]] = []
    net(demo.data()["x_test"][:8], progress=lambda done, total: counts.append((done, total)))
    assert counts[-1] == (8, 8) and not screen.getvalue()


def test_nothing_is_shown_where_nobody_watches() -> None:
    out = io.StringIO()
    for console in (Console(file=out), Console(file=out, force_terminal=True, quiet=True)):
        with progress.bar("frames", console) as tick, progress.spinner("work", console) as tell:
            tick(1, 2)
            tell("[bold]more")
    assert not out.getvalue()


def test_texts_are_no_markup() -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=80, color_system=None)
    with progress.spinner("[red]a[/]", console) as tell:
        tell("b")
    with progress.bar("[red]c[/]", console) as tick:
        tick(1, 1)
    assert "[red]a[/]" in out.getvalue() and "[red]c[/]" in out.getvalue()
