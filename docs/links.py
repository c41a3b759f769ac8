"""Check the links of the built site: ``python docs/links.py build/site``.

Internal links have to lead to a file and, with a fragment, to an element of it. External ones are
listed, not fetched.
"""

from __future__ import annotations

import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, and what its own elements are called."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.names: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note the links and names of an element."""
        for key, value in attrs:
            if value and key in ("href", "src"):
                self.links.add(value)
            elif value and (key == "id" or (key == "name" and tag == "a")):
                self.names.add(value)


page = cache(Page)


def check(site: Path) -> tuple[list[str], list[str]]:
    """Return the internal links that lead nowhere, and the external links.

    Parameters
    ----------
    site : Path
        Folder of the built site.
    """
    broken, external = [], set()
    for path in sorted(site.rglob("*.html")):
        for link in sorted(page(path).links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                external.add(link)
            elif not _there(path, unquote(parts.path), unquote(parts.fragment)):
                broken.append(f"{path.relative_to(site)}: {link}")
    return broken, sorted(external)


def _there(origin: Path, path: str, fragment: str) -> bool:
    target = origin.parent / path if path else origin
    if target.is_dir():
        target /= "index.html"
    if not target.is_file():
        return False
    return not fragment or target.suffix != ".html" or fragment in page(target).names


if __name__ == "__main__":
    broken, external = check(Path(sys.argv[1]))
    sys.stdout.write("".join(f"{link}\n" for link in external))
    if broken:
        sys.exit("links that lead nowhere:\n" + "\n".join(broken))
