"""Read a page as a browser would: nesting of tags, what it loads, its tables and its scripts."""

from __future__ import annotations

from html.parser import HTMLParser

VOID = {"meta", "br", "link", "img"}


class PageReader(HTMLParser):
    """Parser that checks the nesting of tags and collects what a page holds."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str]]] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.loads: list[str] = []
        self.links: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self.tables: list[list[list[tuple[dict[str, str], str]]]] = []

    def handle_starttag(self, tag, attrs):
        found = {k: v or "" for k, v in attrs}
        self.tags.append((tag, found))
        if tag not in VOID:
            self.open.append((tag, found))
        if tag == "a":
            self.links.append(found["href"])
        else:
            self.loads += [found[k] for k in ("src", "data", "href") if k in found]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append((found, ""))

    def handle_startendtag(self, tag, attrs):
        found = {k: v or "" for k, v in attrs}
        self.tags.append((tag, found))
        self.loads += [found["href"]] if "href" in found else []
        if tag == "use" and self._within("td", "th"):
            cell, text = self.tables[-1][-1][-1]
            self.tables[-1][-1][-1] = (cell | {"mark": found["href"]}, text)

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        inside = self.open[-1][0] if self.open else ""
        if inside == "script":
            self.scripts.append(data)
        elif inside == "style":
            self.styles.append(data)
        else:
            self.words.append(data)
            if self._within("td", "th") and inside != "title":
                cell, text = self.tables[-1][-1][-1]
                self.tables[-1][-1][-1] = (cell, text + data)

    def _within(self, *tags: str) -> bool:
        return any(tag in tags for tag, _ in self.open)

    @property
    def text(self) -> str:
        """All words, with single spaces."""
        return " ".join(" ".join(self.words).split())


def read(page: str) -> PageReader:
    """Return what a page holds, after checking that every tag is closed."""
    reader = PageReader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader
