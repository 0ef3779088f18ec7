"""Where are the recorded dot products of matrix units for the tests? In tests/data, and where a variable says.

    python tests/matrix_unit_vectors.py DIR        every row of the files in DIR through the oracle

`floatlab.verify.vectors` reads the files and says what they are; `floatlab.verify.chips` has the parameters of every
unit and its oracle. Results of GPUs are not in the repository: the environment variable FLOATLAB_VECTORS names their
folder.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from floatlab.verify import vectors
from floatlab.verify.vectors import Integers, Rows

DATA = Path(__file__).parent / "data"
VARIABLE = "FLOATLAB_VECTORS"


def configurations(folder: Path | str = DATA, files: str = "*.npz") -> Iterator[Rows]:
    """Yield what the vector files of a folder hold, file by file."""
    return vectors.configurations(folder, files)


def integer_configurations(folder: Path | str = DATA) -> Iterator[Integers]:
    """Yield the instructions on integers of a folder."""
    return vectors.integer_configurations(folder)


def gpu_folder() -> Path | None:
    """Return the folder of the GPUs' results, or None where the environment names none."""
    folder = Path(os.environ.get(VARIABLE, ""))
    return folder if os.environ.get(VARIABLE) and any(folder.glob("tensorcore_*.npz")) else None


def main(folder: str) -> int:
    """Put every row of the files in a folder through the oracle; print counts. Return how many differ."""
    total: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    for rows in configurations(folder):
        count = len(rows.mismatches())
        total[rows.source] += len(rows.d)
        wrong[rows.source] += count
        print(f"{rows.name}: {len(rows.d)} rows, {count} differ", flush=True)
    for numbers_of in integer_configurations(folder):
        count = len(numbers_of.mismatches())
        total["cpu_vnni.npz"] += len(numbers_of.d)
        wrong["cpu_vnni.npz"] += count
        print(f"{numbers_of.name}: {len(numbers_of.d)} rows, {count} differ", flush=True)
    print()
    for source, count in total.items():
        print(f"{source:40}{count:>9} rows{wrong[source]:>8} differ")
    print(f"{'all':40}{total.total():>9} rows{wrong.total():>8} differ")
    return wrong.total()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Usage: python tests/matrix_unit_vectors.py DIR")
    sys.exit(main(sys.argv[1]) > 0)
