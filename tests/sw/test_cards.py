"""What the prompt and notebooks show of networks, designs, runs, comparisons and evidence."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

import xnorflow as xf
from xnorflow import demo
from xnorflow.cards import MOST_FACTS, MOST_ROWS, Card
from xnorflow.evidence.record import Evidence
from xnorflow.ir import IntegerNetwork
from xnorflow_sim.simulation import Run

from .. import small_graphs

HOSTILE = '<script>alert("x")</script>\x1b[31m\n'


@pytest.fixture(scope="module")
def net() -> IntegerNetwork:
    return xf.load(demo.model_path())


@pytest.fixture(scope="module")
def design(net: IntegerNetwork) -> xf.Design:
    return xf.compile(net, "ulx3s-25f", cycles=4608)


def run() -> Run:
    ends = np.arange(3) * 100 + 40
    return Run(np.array([[1, 2], [5, 4], [0, 1]]), ends, ends, ends, ends + 7, 247, np.array([0]))


def few_lines(shown: object) -> str:
    text = repr(shown)
    assert 1 < len(text.splitlines()) <= 14 and max(map(len, text.splitlines())) <= 88, text
    return text


class Elements(HTMLParser):
    """Collector of the elements and attributes of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.words = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.words += data


def checked(shown: object) -> str:
    """Return the words of an object's HTML, which has nothing that could load or run anything."""
    found = Elements(shown._repr_html_())  # type: ignore[attr-defined]
    known = {"div", "p", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert found.tags <= known and found.attributes <= {"style", "scope"}
    assert "\x1b" not in found.words
    return found.words


def test_a_network_is_shown(net: IntegerNetwork) -> None:
    text = few_lines(net)
    assert text.startswith("IntegerNetwork digits: 11 layers")
    assert "25,744 weight bits" in text and "uint8 [frames, 1, 8, 8]" in text
    words = checked(net)
    assert all(layer.name in words for layer in net.layers)


def test_a_network_of_several_outputs_is_shown() -> None:
    assert "layers" in few_lines(small_graphs.two_outputs())


def test_a_design_is_shown(design: xf.Design) -> None:
    text = few_lines(design)
    assert text.startswith("Design digits for ulx3s-25f")
    assert "frames/s at 100 MHz" in text and "LUT4" in text and "--link" not in text
    assert "conv0" in checked(design)
    assert "emitted" not in vars(design), "to show a design must not take the time of its Verilog"


def test_a_run_is_shown() -> None:
    text = few_lines(run())
    assert text.startswith("Run of 3 frames") and "100 cycles" in text and "1 0 1" in text
    assert "100 cycles" in checked(run())
    assert "that takes two frames" in repr(
        replace(run(), last_out=np.array([1]), starts=np.array([0]))
    )


def test_a_comparison_is_shown(net: IntegerNetwork, design: xf.Design) -> None:
    found = xf.compare(net, ["ulx3s-25f"], ["t4"], designs={"ulx3s-25f": design})
    text = few_lines(found)
    assert "frames/s estimated" in text and "batch 1,024" in text
    assert "NVIDIA T4" in checked(found) and "LUT4" in checked(found)


def test_evidence_is_shown() -> None:
    name = {"name": HOSTILE}
    found = Evidence("1", "now", (), {}, {}, name, {}, {}, {}, (), (HOSTILE,), accuracy=0.5)
    assert "DIFFERS" in few_lines(found) and "50.00%" in repr(found)
    assert "script" in checked(found)


def test_names_of_hostile_files_are_escaped(net: IntegerNetwork) -> None:
    hostile = replace(net, classes=(HOSTILE,) * 10, notes=(HOSTILE * 100,))
    assert "\x1b" not in repr(hostile) and "\\x1b" in repr(hostile)
    assert "<script>" not in hostile._repr_html_() and "&lt;script&gt;" in hostile._repr_html_()
    checked(hostile)


def test_long_cards_are_cut_and_say_so() -> None:
    card = Card("all", (("fact", "x"),) * 50, ("a",), (("b",),) * 1000)
    assert len(card.text().splitlines()) == MOST_FACTS + 2 and "38 more" in card.text()
    assert f"{1000 - MOST_ROWS} more" in card.html()


def test_what_is_not_complete_has_a_repr(net: IntegerNetwork) -> None:
    broken = replace(net, layers=(replace(net.layers[0], inputs=("none",)),))
    assert "IntegerNetwork object" in repr(broken)
