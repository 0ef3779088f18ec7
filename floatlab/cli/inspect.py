"""What does `floatlab inspect` print? A report of a file's tensors: as a table, as JSON, or as CSV."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from floatlab.errors import OptionError
from floatlab.inspection import Report, inspect
from floatlab.inspection.source import sampled
from floatlab.inspection.sources import sources_of
from floatlab.system.terminal import make_console

__all__ = ["inspect_command"]

_DRAWN = 1 << 20  # numbers of a tensor that a histogram is drawn of
_NAMED = 5


def inspect_command(
    file: Path,
    *,
    formats: str,
    scaling: str,
    rows: int,
    as_json: bool,
    as_csv: bool,
    fail_if: Sequence[str],
    out: Path | None,
    **options: Any,
) -> int:
    """Print a report, and return the exit status: 1 where a condition of `fail_if` holds.

    Parameters
    ----------
    file : Path
        The file.
    formats, scaling : str
        Names with commas between.
    rows : int
        How many tensors the table shows.
    as_json, as_csv : bool
        Instead of the table.
    fail_if : sequence of str
        Conditions, as `Report.matching` takes them.
    out : Path or None
        Where a histogram of the first tensor is drawn.
    **options
        sample, filter and sort of `floatlab.inspect`.

    Raises
    ------
    OptionError, FormatError, DataError
        For what `floatlab.inspect` refuses, and a condition that is none; before anything is read.
    """
    if as_json and as_csv:
        raise OptionError("A report is printed as JSON or as CSV. Got both --json and --csv. Leave one out.")
    for condition in fail_if:
        Report(tensors=(), formats=()).matching(condition)
    report = inspect(
        file,
        _names(formats),
        _names(scaling),
        progress=sys.stderr.isatty() and sys.stdout.isatty(),
        **options,
    )
    if as_json:
        print(json.dumps(report.to_dict(), indent=2, allow_nan=False))
    elif as_csv:
        print(report.to_csv(), end="")
    else:
        console = make_console(width_elsewhere=110)
        print(report.text(width=console.width, rows=rows))
    if out is not None:
        print(_drawn(report, file, out), file=sys.stderr if as_json or as_csv else sys.stdout)
    return max([_complaints(report, condition) for condition in fail_if], default=0)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _complaints(report: Report, condition: str) -> int:
    found = report.matching(condition)
    for outcome in found[:_NAMED]:
        where = f"{outcome.tensor or 'the array'} in {outcome.format}, scaling {outcome.scaling}"
        print(f"{condition}: {where}", file=sys.stderr)
    if len(found) > _NAMED:
        print(f"{condition}: and {len(found) - _NAMED} more", file=sys.stderr)
    return int(bool(found))


def _drawn(report: Report, file: Path, out: Path) -> Path:
    from floatlab import plots

    floats = [tensor for tensor in report.tensors if tensor.outcomes]
    if not floats:
        raise OptionError(f"A histogram is drawn of floats. Got none in {file}. Leave out --out.")
    source = next(source for source in sources_of(file) if source.name == floats[0].name)
    part = sampled(source, _DRAWN)
    assert part.read is not None
    numbers = part.read(0, part.size)
    figure = plots.plot_histogram(numbers, list(report.formats), title=source.name or file.name)
    return Path(plots.save(figure, out))
