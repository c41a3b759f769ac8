"""Drawings of graphs: well formed, every box in its place, no edge through a box's text."""

import xml.etree.ElementTree as ET

from xnorflow.report.page.graph_drawing import GAP_Y, HEIGHT, MARGIN, Box, draw

SVG = "{http://www.w3.org/2000/svg}"


def boxes(text: str) -> list[tuple[float, float]]:
    found = ET.fromstring(text).findall(f".//{SVG}g/{SVG}rect[@rx]")
    return [(float(r.get("x")), float(r.get("y"))) for r in found]


def test_a_chain_is_a_column() -> None:
    places = boxes(draw([Box("a", ""), Box("b", "", (0,)), Box("c", "", (1,))], "chain"))
    assert len({x for x, _ in places}) == 1
    assert [y for _, y in places] == [MARGIN + k * (HEIGHT + GAP_Y) for k in range(3)]


def test_branches_are_side_by_side_and_skips_pass_outside() -> None:
    graph = [Box("in", ""), Box("a", "", (0,)), Box("b", "", (0,)), Box("join", "", (1, 2, 0))]
    text = draw(graph, "branches")
    places = boxes(text)
    assert places[1][1] == places[2][1] and places[1][0] != places[2][0]
    edges = ET.fromstring(text).findall(f".//{SVG}path[@class='edge']")
    assert len(edges) == 5
    width = max(x for x, _ in places) + 212
    skip = edges[-1].get("d")
    assert float(skip.split("H")[1].split("V")[0]) > width


def test_names_are_escaped_and_shortened() -> None:
    text = draw([Box('<b>&"' + "x" * 80, "<i>", load=0.5, busiest=True)], "<n>")
    root = ET.fromstring(text)
    assert root.get("aria-label") == "<n>"
    shown = [t.text for t in root.iter(f"{SVG}text")]
    assert shown[0].startswith("<b>") and len(shown[0]) == 28 and shown[0].endswith("…")
    assert root.find(f".//{SVG}title").text.startswith('<b>&"xxx')
