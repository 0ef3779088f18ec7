"""Draw what ``floatlab show 0.1 --format e4m3`` prints, as the README shows it on its first screen.

python docs/make_show.py          a second; writes docs/figures/show.svg

It is the command's own output, in the colours that a terminal shows. The picture asks for no font from elsewhere.
"""

import os
import re
import subprocess
import sys
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

PICTURE = Path(__file__).parent / "figures" / "show.svg"
COMMAND = "floatlab show 0.1 --format e4m3"
WIDTH = 74


def said() -> str:
    """Return what the command prints on a terminal, with the marks that colour it."""
    environment = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(WIDTH)}
    command = [sys.executable, "-m", *COMMAND.split()]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True).stdout


def svg() -> str:
    """Return the picture of a terminal with the command and what it says."""
    console = Console(
        record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor"
    )
    console.print(Text(f"$ {COMMAND}", style="bold"))
    console.print(Text.from_ansi(said().rstrip()))
    form = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    form = form.replace("Fira Code, monospace", "DejaVu Sans Mono, Menlo, Consolas, monospace")
    return console.export_svg(title=" ", code_format=form, unique_id="show", font_aspect_ratio=0.61)


if __name__ == "__main__":
    PICTURE.write_text(svg(), encoding="utf-8")
