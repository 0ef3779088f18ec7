"""How does text get onto a terminal, whatever letters it knows? Rich consoles, and plainer letters for missing ones.

A terminal in ASCII, latin-1 or cp437 has no arrows, no superscripts and no ellipsis; nor has a file or a pipe under
such a locale. Rich draws its tables and bars in ASCII there, and every other letter that cannot be written becomes one
or more that can.
"""

from __future__ import annotations

import codecs
import os
import sys
import unicodedata
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.theme import Theme

__all__ = ["abandon_output", "make_console", "prepare_streams"]

_HANDLER = "floatlab.plainer"

_PLAINER = {
    "…": "...", "→": "->", "←": "<-", "↑": "^", "↓": "v", "×": "x", "·": ".", "•": "*", "−": "-", "–": "-",
    "—": "-", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "±": "+-", "∞": "inf", "√": "sqrt", "‘": "'", "’": "'",
    "“": '"', "”": '"', "µ": "u", "░": ".", "▒": ":", "▓": "#", "█": "#",
}  # fmt: skip


def plainer(text: str) -> str:
    r"""Return `text` in ASCII, as like it as may be.

    >>> plainer("10⁻⁹ → ½…"), plainer("─│┌"), plainer("é☃")
    ('10^-9 -> 1/2...', '-|+', 'e\\u2603')
    """
    parts, raised = [], False
    for letter in text:
        is_raised = unicodedata.decomposition(letter).startswith("<super>")
        if is_raised and not raised:
            parts.append("^")
        raised = is_raised
        parts.append(letter if letter.isascii() else _plainer(letter))
    return "".join(parts)


def _plainer(letter: str) -> str:
    if letter in _PLAINER:
        return _PLAINER[letter]
    if "─" <= letter <= "╿":  # the lines that tables are drawn with
        name = unicodedata.name(letter).split()
        return "+" if "AND" in name else {"HORIZONTAL": "-", "VERTICAL": "|"}.get(name[-1], "+")
    # The parts of a letter: "½" is "1⁄2", "é" is "e" and an accent, "⁻" is a raised "−".
    parts = unicodedata.normalize("NFKD", letter).replace("⁄", "/").replace("−", "-")
    plain = "".join(part for part in parts if part.isascii())
    return plain or letter.encode("ascii", "backslashreplace").decode()


def _handle(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plainer(error.object[error.start : error.end]), error.end


def prepare_streams() -> None:
    """Let standard output and standard error write what they can, instead of raising UnicodeEncodeError.

    Only a stream that would raise is changed: one with another handler of errors, of the environment variable
    PYTHONIOENCODING for example, keeps it.
    """
    codecs.register_error(_HANDLER, _handle)
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) in ("strict", "surrogateescape") and hasattr(
            stream, "reconfigure"
        ):
            stream.reconfigure(errors=_HANDLER)


def abandon_output() -> None:
    """Let what is still to be written to standard output vanish: there is no room for it."""
    with suppress(OSError, ValueError, AttributeError):  # it may be no file at all
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def make_console(*, stderr: bool = False, width_elsewhere: int = 0, theme: Theme | None = None) -> Console:
    """Return a rich console that writes to whatever terminal or file there is.

    Parameters
    ----------
    stderr : bool
        Whether it writes to standard error.
    width_elsewhere : int
        How wide it is at least where the output is no terminal: in a file or a pipe.
    theme : rich.theme.Theme, optional
        Colours of its own.
    """
    from rich.console import Console

    prepare_streams()
    options: dict[str, Any] = {"stderr": stderr, "theme": theme}
    console = Console(**options)
    if not console.is_terminal and console.width < width_elsewhere:
        console = Console(width=width_elsewhere, **options)
    console.on_broken_pipe = _read_enough  # type: ignore[method-assign]
    return console


def _read_enough() -> None:
    """End quietly: whatever reads the output, `head` for example, has read what it wanted."""
    abandon_output()
    raise SystemExit(0)
