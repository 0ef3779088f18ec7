"""Write into docs/units.md with how many recorded results the units were compared, and how many differed.

python docs/make_unit_proofs.py [DIR]            some minutes with the GPUs' results

The records are those of tests/data, and where DIR (or FLOATLAB_VECTORS) names a folder with more of them, its own: of
two files with the same name the longer one. floatlab/verify/vectors.py says what they are, and where they come from.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from floatlab.matrix_units import units
from floatlab.verify.vectors import configurations, unit_results

DOCS = Path(__file__).parent
TESTS = DOCS.parent / "tests"
PAGE = DOCS / "units.md"
BEGIN, END = "<!-- written by make_unit_proofs.py -->\n", "\n<!-- until here -->"
KINDS = {"tensorcore_": "chip", "cpu_": "chip", "matrix_units_h200": "chip", "model_": "model"}


def folders(given: str | None) -> Iterator[tuple[Path, str]]:
    """Yield the folder and the name of each file of records, each name once."""
    found: dict[str, Path] = {}
    for folder in filter(None, (TESTS / "data", given and Path(given))):
        for path in sorted(folder.glob("*.npz")):
            if any(path.name.startswith(start) for start in KINDS):
                known = found.get(path.name)
                if known is None or path.stat().st_size > known.stat().st_size:
                    found[path.name] = path
    for path in found.values():
        yield path.parent, path.name


def counted(given: str | None) -> tuple[dict[tuple[str, str], int], Counter[str]]:
    """Return how many results of each unit and kind were compared, and how many of each unit differed."""
    compared: Counter[tuple[str, str]] = Counter()
    wrong: Counter[str] = Counter()
    for folder, name in folders(given):
        kind = next(word for start, word in KINDS.items() if name.startswith(start))
        for rows in configurations(folder, name):
            compared[rows.unit, kind] += len(rows.d)
            wrong[rows.unit] += len(rows.differing(unit_results(rows)))
    return compared, wrong


def table(given: str | None) -> str:
    """Return the table."""
    compared, wrong = counted(given)
    names = [unit for unit in units() if any((unit, kind) in compared for kind in ("chip", "model"))]
    lines = ["| unit | results of the chip | results of a model of it | different |", "|---|---|---|---|"]
    for name in names:
        chip, model = (compared.get((name, kind), 0) for kind in ("chip", "model"))
        lines.append(f"| `{name}` | {_number(chip)} | {_number(model)} | {wrong[name]} |")
    chips, models = (sum(n for (_, k), n in compared.items() if k == kind) for kind in ("chip", "model"))
    lines.append(f"| **all** | **{chips:,}** | **{models:,}** | **{wrong.total()}** |")
    return "\n".join(lines)


def _number(count: int) -> str:
    return f"{count:,}" if count else "-"


def main() -> None:
    """Write the table between its two marks."""
    given = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("FLOATLAB_VECTORS")
    made = table(given)  # some minutes, in which the page may change
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(BEGIN)[1].split(END, 1)[1]
    PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
