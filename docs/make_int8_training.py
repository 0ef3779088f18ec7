"""Write the table and the figure of the experiment int8-training into docs/int8.md, for seeds of its own.

Run ``python docs/make_int8_training.py``; it takes about a minute.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from shutil import copyfile
from statistics import fmean

from floatlab.cli.chart import draw_run
from floatlab.experiments import registry

DOCS = Path(__file__).parent
PAGE, FIGURE = DOCS / "int8.md", DOCS / "figures" / "int8-training.png"
SEEDS = (3, 4, 5)
BEGIN, END = "<!-- written by make_int8_training.py -->\n", "\n<!-- until here -->"

Record = dict[str, object]


def table_of(records: list[Record]) -> str:
    """Return the table: for each recipe and rate what is believed, predicted and measured, in percent."""
    rates = list(dict.fromkeys(r["rate"] for r in records))
    lines = [
        f"| scale, rounding | {' | '.join(f'true: {100 * float(str(rate)):g}%' for rate in rates)} |",
        "|---|" + "---|" * len(rates),
    ]
    for recipe in dict.fromkeys(r["recipe"] for r in records):
        cells = []
        for rate in rates:
            mine = [r for r in records if r["recipe"] == recipe and r["rate"] == rate]
            expected, found = (100 * fmean(float(str(r[key])) for r in mine) for key in ("expected", "found"))
            cells.append(f"{expected:.2f} / {found:.2f}")
        name = "fp32" if recipe == "none" else recipe
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Do the runs, write the table between its two marks, and draw the figure."""
    records = registry.run("int8-training", SEEDS, jobs=0)
    wrong = [
        claim.text
        for claim in registry.verdict(registry.get("int8-training"), records)
        if not all(claim.holds)
    ]
    print(f"claims that did not come true: {wrong or 'none'}")
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(BEGIN)[1].split(END, 1)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{table_of(records)}\n{END}{after}", encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        draw_run(registry.get("int8-training"), records, Path(folder))
        copyfile(Path(folder) / "sweep.png", FIGURE)


if __name__ == "__main__":
    main()
