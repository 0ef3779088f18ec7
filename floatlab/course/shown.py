"""How do a verdict and a prediction look in a notebook? Sentences beside what they are, at any width of the page."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from floatlab.system.html import Raw, table

__all__ = ["badge", "panel"]

_GREEN, _AMBER = "#1a7f37", "#9a6700"  # white letters on them have a contrast of 5.1 and 4.9, on any page

_NAME = '<span style="white-space:nowrap">{}</span>'
_SENTENCE = '<div style="text-align:left;overflow-wrap:anywhere">{}</div>'
_STORY = '<pre style="margin:6px 10px;overflow-x:auto;white-space:pre">{}</pre>'


def badge(name: str, passed: bool) -> Raw:
    """Return a name with a mark: whether it is right.

    >>> "not yet" in badge("02.1", False)
    True
    """
    mark, colour = ("✓ right", _GREEN) if passed else ("✗ not yet", _AMBER)
    style = f"background:{colour};color:#fff;border-radius:4px;padding:1px 7px;white-space:nowrap"
    return Raw(f'{html.escape(name)} <span style="{style}">{mark}</span>')


def panel(title: str, rows: Iterable[tuple[str, str]], *, note: str = "", story: str = "") -> Raw:
    """Return named sentences under a title, and a story with fixed columns below them.

    >>> panel("02.1", [("hint", "Use `round`.")]).count("<code>round</code>")
    1
    """
    cells = [
        (Raw(_NAME.format(html.escape(name))), Raw(_SENTENCE.format(_words(text)))) for name, text in rows
    ]
    shown = str(table(title, cells, note=note))
    return Raw(shown + (_STORY.format(html.escape(story)) if story else ""))


def _words(text: str) -> str:
    """Return a sentence with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(text, quote=False))
