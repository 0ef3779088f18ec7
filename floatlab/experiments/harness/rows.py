"""What have the runs in a folder found? Their records as rows, ready for a table of pandas or polars."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from floatlab.errors import DataError
from floatlab.experiments.harness.runner import Journal
from floatlab.system.html import Raw, table

__all__ = ["Rows", "load"]

_SHOWN = ("run", "seed", "expected", "found", "predicted_failure", "failed", "outcome")


class Rows(list[dict[str, Any]]):
    """Records of runs, one dict each: a list that shows itself as a table."""

    def __repr__(self) -> str:
        runs = len({row["run"] for row in self})
        return f"<{len(self)} records of {runs} run{'s' if runs != 1 else ''}>"

    def _repr_html_(self) -> Raw:
        """Show a table in a notebook: what was predicted, and what came out."""
        columns = [name for name in _SHOWN if any(name in row for row in self)]
        rows = [[_cell(row.get(name)) for name in columns] for row in self]
        return table(repr(self)[1:-1], rows, head=columns)


def load(folder: str | Path) -> Rows:
    """Return the finished runs in a folder of `floatlab run` or `floatlab demo`, one row each.

    Parameters
    ----------
    folder : path
        With a ``records.jsonl``.

    Returns
    -------
    list of dict
        The settings, the prediction and the outcome of each run; NaN, which JSON does not have, is None. Rows of
        another source of floatlab are left out, as by the command. ``pandas.DataFrame(load(folder))`` is a table.

    Raises
    ------
    DataError
        If there is no such file.
    ExperimentError
        If it cannot be read.

    Examples
    --------
    >>> load("nowhere")
    Traceback (most recent call last):
    ...
    floatlab.errors.DataError: Records lie in a folder that `floatlab run NAME --out FOLDER` has written. Got nowhere, \
without records.jsonl. Name such a folder.
    """
    path = Path(folder) / "records.jsonl"
    if not path.is_file():
        raise DataError(
            f"Records lie in a folder that `floatlab run NAME --out FOLDER` has written. Got {folder}, "
            "without records.jsonl. Name such a folder."
        )
    return Rows(record for record in Journal(path).records.values() if "run" in record)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    return "NaN" if value is None else str(value)
