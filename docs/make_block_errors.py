"""Write the table of errors of block formats into docs/block-recipes.md: predicted from the distribution, and measured.

Run ``python docs/make_block_errors.py``; it takes about half a minute.
"""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from floatlab.experiments.block_format_errors import CASES, DATA, measured, predicted

PAGE = Path(__file__).parent / "block-recipes.md"
SEEDS = (11, 12, 13)
BEGIN, END = "<!-- written by make_block_errors.py -->\n", "\n<!-- until here -->"


def row(case: str) -> str:
    """Return the row of a format: for each kind of numbers what is predicted, and what is measured."""
    cells = []
    for data in DATA:
        guess = predicted(case, data)
        found = fmean(100 * measured(case, data, seed) for seed in SEEDS)
        cells.append(f"{'-' if guess is None else f'{100 * guess:.1f}'} / {found:.1f}")
    return f"| {case} | {' | '.join(cells)} |"


def main() -> None:
    """Write the table between its two marks."""
    lines = [
        "| format | Gaussian | Student's t, 3 | one channel in 128 thirty times larger |",
        "|---|---|---|---|",
    ]
    table = "\n".join([*lines, *map(row, CASES)])
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(BEGIN)[1].split(END, 1)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
