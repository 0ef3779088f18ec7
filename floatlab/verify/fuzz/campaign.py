"""How does a fuzz go on for an hour? In batches, side by side, each a line of a journal as soon as it is finished.

A batch is drawn from the seed and its own number alone, so it is the same on every machine and with any number of
processes. The journal remembers the seed, the batches and the failures: an interrupted run goes on with the next batch
until its minutes are over, and a run of other source code begins anew.
"""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from random import Random

from floatlab.errors import DataError, OptionError
from floatlab.system.journal import append, begin, entries
from floatlab.system.processes import side_by_side
from floatlab.system.terminal import make_console
from floatlab.verify.fuzz.case import PRELUDE, difference
from floatlab.verify.fuzz.checks import CHECKS
from floatlab.verify.fuzz.shrink import shrink
from floatlab.verify.journal import fingerprint
from floatlab.verify.tasks import missing_peer

__all__ = ["Batch", "Findings", "fuzz", "run_batch"]

CASES = 100  # in a batch: about a second
SHOWN = 3  # failures of one check that a batch makes smaller; it counts all of them


@dataclass(frozen=True)
class Batch:
    """What one batch found: how many cases of each check it ran, how many differed, and the lines that show it."""

    number: int
    cases: dict[str, int]
    results: int
    failures: dict[str, int]
    lines: list[str]
    seconds: float


def run_batch(seed: int, number: int) -> Batch:
    """Draw, run and judge the cases of one batch.

    >>> batch = run_batch(7, 0)
    >>> sum(batch.cases.values())
    100
    """
    draw, start = Random(f"{seed}/{number}"), time.perf_counter()
    checks = {name: check for name, check in CHECKS.items() if not missing_peer(check.peers)}
    weights = [check.weight for check in checks.values()]
    cases, failures = Counter[str](), Counter[str]()
    results, lines = 0, []
    for _ in range(CASES):
        name = draw.choices(list(checks), weights)[0]
        case = checks[name].draw(draw)
        cases[name] += 1
        results += case.length or case.size
        if difference(case, checks[name]) is not None:
            failures[name] += 1
            if failures[name] <= SHOWN:
                lines.append(shrink(case, checks[name])[1])
    return Batch(number, dict(cases), results, dict(failures), lines, round(time.perf_counter() - start, 3))


@dataclass
class Findings:
    """What all batches of a seed have found.

    Attributes
    ----------
    seed : int
        The seed of the batches.
    batches : list of Batch
        Those that are finished.
    missing : tuple of str
        The checks that could not run, because a package is not installed.
    interrupted : bool
        Whether it was stopped before its time.
    """

    seed: int
    batches: list[Batch] = field(default_factory=list)
    missing: tuple[str, ...] = ()
    interrupted: bool = False

    @property
    def seconds(self) -> float:
        """How long the batches took, each on one core."""
        return sum(batch.seconds for batch in self.batches)

    @property
    def results(self) -> int:
        """How many results were compared."""
        return sum(batch.results for batch in self.batches)

    @property
    def disagreements(self) -> int:
        """How many cases differed."""
        return sum(sum(batch.failures.values()) for batch in self.batches)

    @property
    def cases(self) -> dict[str, int]:
        """How many cases of each check were run."""
        total = Counter[str]()
        for batch in self.batches:
            total.update(batch.cases)
        return dict(sorted(total.items()))

    @property
    def lines(self) -> list[str]:
        """The failures, made small, each once."""
        return list(dict.fromkeys(line for batch in self.batches for line in batch.lines))

    def summary(self) -> str:
        """Say in one paragraph what was found."""
        kinds = ", ".join(f"{n:,} {name}" for name, n in self.cases.items())
        text = (
            f"Fuzz with seed {self.seed}: {sum(self.cases.values()):,} calls ({kinds}), {self.results:,} results, "
            f"{self.disagreements:,} disagreements, {self.seconds / 60:.1f} minutes of one core."
        )
        return text + (
            f" Left out, for want of a package: {', '.join(self.missing)}." if self.missing else ""
        )


def fuzz(
    minutes: float,
    *,
    seed: int | None = None,
    jobs: int = 0,
    out: str | Path | None = "floatlab-verify",
    fresh: bool = False,
    quiet: bool = False,
) -> Findings:
    """Try random calls for some minutes, and return what was found.

    Parameters
    ----------
    minutes : float
        How long, by the clock, with all processes side by side. Minutes of an interrupted run count.
    seed : int, optional
        What to draw. By default that of the interrupted run in the folder, if there is one, else a fresh one.
    jobs : int
        How many processes to use; 0 for one per core.
    out : path or None
        The folder of the journal. With None nothing is written.
    fresh : bool
        Whether to begin anew where an interrupted run would be gone on with.
    quiet : bool
        Whether to print nothing; otherwise the seed, a progress bar, and failures as they are found.

    Returns
    -------
    Findings

    Raises
    ------
    OptionError
        If `minutes` or `jobs` is no positive number.
    DataError
        If the folder cannot be written to.

    Examples
    --------
    >>> fuzz(0.005, seed=1, jobs=1, out=None, quiet=True).disagreements
    0
    """
    if not minutes > 0:
        raise OptionError(f"A fuzz takes some minutes. Got {minutes!r}. Use 1, or 0.1.")
    if not isinstance(jobs, int) or jobs < 0:
        raise OptionError(f"jobs is a number of processes. Got {jobs!r}. Use 0 for one per core.")
    jobs = jobs or os.cpu_count() or 1
    journal = None if out is None else Path(out) / "fuzz.jsonl"
    found = _taken_up(journal, seed, minutes * 60 * jobs, fresh)
    found.missing = tuple(name for name, check in CHECKS.items() if missing_peer(check.peers))
    _begin(journal, found)
    try:
        _run(found, minutes * 60 * jobs, jobs, journal, quiet)
    except KeyboardInterrupt:  # the journal has every finished batch
        found.interrupted = True
    if not quiet:
        _print(found)
    return found


def _run(found: Findings, budget: float, jobs: int, journal: Path | None, quiet: bool) -> None:
    """Run batches until they have taken `budget` seconds together."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    console = make_console()
    if not quiet:
        went_on = f", after {len(found.batches):,} batches of an earlier run" if found.batches else ""
        console.print(
            f"floatlab verify --fuzz, seed {found.seed}, {jobs} processes{went_on}.", highlight=False
        )
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    with Progress(*columns, TimeElapsedColumn(), console=console, disable=quiet) as progress:
        bar = progress.add_task("drawing", total=budget)
        progress.update(bar, completed=min(found.seconds, budget))
        for batch in _batches(found, budget, jobs):
            found.batches.append(batch)
            if journal is not None:
                append(journal, asdict(batch))
            text = f"{found.results:,} results, {found.disagreements:,} disagreements"
            progress.update(bar, completed=min(found.seconds, budget), description=text)


def _batches(found: Findings, budget: float, jobs: int) -> Iterator[Batch]:
    """Yield batches as they finish, while those that `found` has by then leave time for another."""
    number = max((batch.number for batch in found.batches), default=-1) + 1
    while found.seconds < budget:  # some for each process, again and again
        together = range(number, number + (2 * jobs if jobs > 1 else 1))
        yield from (batch for _, batch in side_by_side(partial(run_batch, found.seed), together, jobs))
        number += len(together)


def _print(found: Findings) -> None:
    console = make_console()
    for line in found.lines:
        console.print(line, markup=False, highlight=False, style="red", soft_wrap=True)
    if found.lines:
        console.print(f"Each line is Python, after:\n{PRELUDE}", markup=False, highlight=False)
    console.print(found.summary(), style="bold red" if found.disagreements else "bold", highlight=False)


# -- the journal -------------------------------------------------------------------------------------------


def _taken_up(journal: Path | None, seed: int | None, budget: float, fresh: bool) -> Findings:
    """Return the findings of an interrupted run of this source, or none with the seed, or with a fresh one."""
    if journal is not None and not fresh:
        head, *lines = entries(journal) or [{}]
        if head.get("fingerprint") == asdict(fingerprint()) and seed in (None, head.get("seed")):
            earlier = Findings(head["seed"], [Batch(**line) for line in lines])
            if earlier.seconds < budget:
                return earlier
    return Findings(secrets.randbelow(10**9) if seed is None else seed)


def _begin(journal: Path | None, found: Findings) -> None:
    """Write what is known to a new file, in the place of the old one."""
    if journal is None:
        return
    head = {"fingerprint": asdict(fingerprint()), "seed": found.seed}
    try:
        begin(journal, [head, *map(asdict, found.batches)])
    except OSError as error:
        raise DataError(
            f"The journal of a fuzz is a file that can be written. Got {journal} ({error.strerror}). "
            "Name another folder with --out."
        ) from None
