"""Is the built site whole? Links and anchors, pictures and their words, and nothing that comes from elsewhere.

    python docs/check_site.py docs/_build/html

Says what is wrong, a line each, and fails if anything is. Sphinx checks the links that it makes itself; this looks at
all that a browser follows or loads: links of tables of contents, of notebooks and of raw HTML as well.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {
    "script": "src",
    "img": "src",
    "link": "href",
    "iframe": "src",
    "source": "src",
}  # when a page is opened
RELATIONS = {"stylesheet", "icon", "preload", "prefetch", "modulepreload"}  # the links that load


class Page(HTMLParser):
    """What a page refers to, and what can be referred to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.silent: list[str] = []  # pictures without words
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Take down what a tag says."""
        given = {name: value or "" for name, value in attributes}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        loads = tag != "link" or RELATIONS & set(given.get("rel", "").split())
        if loads and (target := given.get(LOADED.get(tag, ""))):
            self.loaded.append(target)
        if tag == "img" and len(given.get("alt", "").split()) < 3 and "logo" not in given.get("class", ""):
            self.silent.append(given.get("src", ""))


def faults(folder: Path) -> list[str]:
    """Return what is wrong with the site in a folder."""
    pages = {path.resolve(): Page(path.read_text(encoding="utf-8")) for path in pages_of(folder)}
    found = []
    for path, page in pages.items():
        where = path.relative_to(folder.resolve())
        found += [f"{where}: comes from elsewhere: {target}" for target in page.loaded if _is_far(target)]
        found += [f"{where}: no words for the picture {target[:80]}" for target in page.silent]
        for link in dict.fromkeys([*page.links, *page.loaded]):
            if not _is_far(link) and not link.startswith(("data:", "mailto:", "javascript:")):
                found += [f"{where}: {fault}" for fault in _fault(path, link, pages)]
    return found


def pages_of(folder: Path) -> list[Path]:
    """Return the pages of a site; what the theme keeps for itself is none."""
    return [path for path in sorted(folder.rglob("*.html")) if "_static" not in path.parts]


def _is_far(link: str) -> bool:
    return bool(urlsplit(link).netloc)


def _fault(path: Path, link: str, pages: dict[Path, Page]) -> list[str]:
    """Return what is wrong with a link of a page, in a list of one or none."""
    parts = urlsplit(link)
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if not target.exists():
        return [f"leads nowhere: {link}"]
    anchor = unquote(parts.fragment)
    if anchor and target in pages and anchor not in pages[target].anchors:
        return [f"no such place: {link}"]
    return []


def main() -> int:
    """Look at the folder that is named."""
    folder = Path(sys.argv[1])
    found = faults(folder)
    print("\n".join(found) or f"{len(pages_of(folder))} pages, every link and picture in its place.")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
