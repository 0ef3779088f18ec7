"""Does all of this hold? The proof that anyone can run.

    floatlab verify            about a minute
    floatlab verify --full     all 2^32 float32 inputs of every format, and everything else in its long form

Every section compares floatlab's fast rooms with an oracle that shares no code with them: `floatlab.reference`
(integers and fractions), the casts of NumPy and ml_dtypes, MPFR through gmpy2, Berkeley SoftFloat through
softfloatpy. Where a package is not installed, the report says that its comparisons were skipped. What the proof of sums
takes for granted is looked at, too: the floating-point environment before every task, and the BLAS in a section.

`floatlab verify --fuzz MINUTES` tries random calls beside these; see `floatlab.verify.fuzz`. With ``--vectors DIR`` it
computes what chips have computed, as far as it is recorded in a folder; see `floatlab.verify.vectors`.

A run may be interrupted; the same command goes on where it stopped. The results are written to a folder: the journal
of finished tasks, `report.md` and `report.json`. Each line of a report has a digest of floatlab's results, which is
the same on every machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from floatlab.errors import OptionError, check_option
from floatlab.formats import FloatFormat
from floatlab.system import provenance
from floatlab.system.cluster import Cluster
from floatlab.system.environment import check_environment
from floatlab.system.processes import side_by_side
from floatlab.system.terminal import make_console
from floatlab.verify import arithmetic, blas, conversions, critical, functions, softfloat, sums, units
from floatlab.verify.journal import PEERS, Fingerprint, Journal, surroundings
from floatlab.verify.oracle import all_formats, find
from floatlab.verify.report import Report, make_report
from floatlab.verify.tasks import Outcome, Task, missing_peer

__all__ = ["SECTIONS", "Report", "command", "fuzz_command", "plan", "run", "vectors_command"]

_ROOMS = {
    "conversions": conversions,
    "rounding": critical,
    "arithmetic": arithmetic,
    "softfloat": softfloat,
    "functions": functions,
    "sums": sums,
    "units": units,
    "blas": blas,
}
SECTIONS = tuple(_ROOMS)


def plan(
    *, full: bool = False, sections: Iterable[str] = (), kinds: Iterable[str | FloatFormat] = ()
) -> list[Task]:
    """Return the tasks of a proof.

    Parameters
    ----------
    full : bool
        Whether to plan the long form.
    sections : iterable of str
        Some of `SECTIONS`; all of them if empty.
    kinds : iterable of str or FloatFormat
        The formats; all that a section knows if empty.

    Returns
    -------
    list of Task

    Raises
    ------
    OptionError
        If there is no such section.

    Examples
    --------
    >>> len(plan(full=True, sections=["conversions"], kinds=["bf16"]))  # 256 pieces of 2^24, and 7 modes for each sign
    270
    """
    chosen = tuple(sections) or SECTIONS
    for section in chosen:
        check_option("section", section, SECTIONS)
    formats = [kind if isinstance(kind, FloatFormat) else find(kind) for kind in kinds]
    formats = formats or all_formats(full)
    return [task for name in SECTIONS if name in chosen for task in _ROOMS[name].tasks(full, formats)]


def run_task(task: Task) -> Outcome:
    """Run one task, or say why it cannot be run."""
    missing = missing_peer(task.peers)
    if missing:
        return Outcome(skipped=f"{missing} is not installed")
    check_environment()  # an error here is none of floatlab's
    start = time.perf_counter()
    try:
        outcome: Outcome = _ROOMS[task.section].check(task)
    except Exception as error:  # what raises an error has no result to compare: that is a disagreement too
        outcome = Outcome(disagreements=1, examples=[f"{task.id} raised {type(error).__name__}: {error}"])
    return replace(outcome, seconds=round(time.perf_counter() - start, 3))


def run(
    *,
    full: bool = False,
    sections: Iterable[str] = (),
    kinds: Iterable[str | FloatFormat] = (),
    jobs: int = 0,
    out: str | Path | None = "floatlab-verify",
    fresh: bool = False,
    quiet: bool = False,
    scheduler: str | None = None,
) -> Report:
    """Compare floatlab with the oracles, and return what was found.

    Parameters
    ----------
    full : bool
        Whether to run the long form: hours of one core instead of minutes.
    sections, kinds : iterable of str
        Which `SECTIONS` and which formats; all of them if empty.
    jobs : int
        How many processes to use; 0 for one per core.
    out : path or None
        The folder of the journal and of the reports. With None nothing is written, and an interrupted run is lost.
    fresh : bool
        Whether to begin anew where a journal of an earlier run would be gone on with.
    quiet : bool
        Whether to print nothing; otherwise the estimate, a progress bar and the report are printed.
    scheduler : str, optional
        The address of a scheduler of Dask's, whose workers run the tasks instead of processes of this machine. They
        have the same source and packages, or are refused; the journal stays here.

    Returns
    -------
    Report
        It counts the `disagreements`, and says whether it is `complete`: it is not where the run was interrupted.

    Raises
    ------
    OptionError, FormatError
        If there is no such section or format, the number of jobs is negative, or no scheduler answers.
    FloatEnvironmentError
        If the processor flushes to zero in this thread or a worker, or rounds in another direction.
    DataError
        If the folder cannot be written to, or a worker has another source.

    Examples
    --------
    >>> report = run(sections=["arithmetic"], kinds=["fp4"], jobs=1, out=None, quiet=True)
    >>> report.disagreements, report.complete
    (0, True)
    """
    if not isinstance(jobs, int) or jobs < 0:
        raise OptionError(f"jobs is a number of processes. Got {jobs!r}. Use 0 for one per core.")
    check_environment()
    jobs = jobs or os.cpu_count() or 1
    tasks = plan(full=full, sections=sections, kinds=kinds)
    journal = Journal(
        None if out is None else Path(out) / f"journal-{'full' if full else 'short'}.jsonl", fresh
    )
    left = [task for task in tasks if task.id not in journal.finished]
    form = "full" if full else "short"
    if not quiet:
        _announce(form, tasks, left, 0 if scheduler else jobs, out, journal.aside)
    with suppress(KeyboardInterrupt):  # the journal has everything that was finished
        _work(left, jobs, journal, quiet, scheduler)
    report = make_report(form, tasks, journal.finished, Fingerprint(**journal.head), surroundings())
    if out is not None:
        report.save(Path(out))
    if not quiet:
        report.print(make_console())
    return report


def _announce(
    form: str,
    tasks: Sequence[Task],
    left: Sequence[Task],
    jobs: int,
    out: str | Path | None,
    aside: Path | None,
) -> None:
    minutes = sum(task.seconds for task in left) / 60 / (jobs or 1)
    done = len(tasks) - len(left)
    minutes = max(1, round(minutes))
    text = f"floatlab verify, {form} form: {len(left):,} tasks, about {minutes:,} min on "
    text += f"{jobs} processes." if jobs else "one core; the workers of a cluster share them."
    if done:
        text += f" {done:,} tasks were finished before."
    if aside is not None:
        text += f" What another source or other packages had proven is set aside in {aside}."
    if out is not None:
        text += f" Results go to {out}; Ctrl-C stops, and the same command goes on."
    make_console().print(text, highlight=False)


def _work(left: Sequence[Task], jobs: int, journal: Journal, quiet: bool, scheduler: str | None) -> None:
    """Run the tasks and write each to the journal as it finishes."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
    clocks = (TimeElapsedColumn(), TextColumn("left:"), TimeRemainingColumn(compact=True))
    with Progress(*columns, *clocks, disable=quiet, console=make_console()) as progress:
        bar = progress.add_task("starting", total=sum(task.seconds for task in left) or 1)
        disagreements = 0
        cluster = None if scheduler is None else Cluster(scheduler, provenance.PROOF, PEERS)
        for i, outcome in side_by_side(run_task, left, jobs, cluster):
            task = left[i]
            journal.add(task, outcome)
            disagreements += outcome.disagreements
            text = f"{task.section}, {task.subject}" + (
                f" [red]{disagreements:,} differ" if disagreements else ""
            )
            progress.update(bar, advance=task.seconds, description=text)


def command(
    full: bool = False,
    section: Sequence[str] = (),
    format: Sequence[str] = (),
    jobs: int = 0,
    out: str | Path = "floatlab-verify",
    fresh: bool = False,
    scheduler: str | None = None,
) -> int:
    """Run the proof for the command line, and return the exit status.

    Parameters
    ----------
    full, section, format, jobs, out, fresh, scheduler
        As in `run`, where `section` and `format` are called sections and kinds.

    Returns
    -------
    int
        0 if everything agrees, 1 if something does not, 130 if the run was interrupted.
    """
    report = run(
        full=full, sections=section, kinds=format, jobs=jobs, out=out, fresh=fresh, scheduler=scheduler
    )
    if report.disagreements:
        return 1
    if report.complete and not report.comparisons:
        why = "; ".join(report.skipped) or "no task"
        raise OptionError(
            f"A proof compares results with an oracle. Got nothing to compare: {why}. "
            "Install the package, or choose another section or format."
        )
    return 0 if report.complete else 130


def fuzz_command(
    minutes: float,
    seed: int | None = None,
    jobs: int = 0,
    out: str | Path = "floatlab-verify",
    fresh: bool = False,
) -> int:
    """Try random calls for the command line, and return the exit status: 0, 1 if one differs, 130 if interrupted.

    Parameters
    ----------
    minutes, seed, jobs, out, fresh
        As in `floatlab.verify.fuzz.campaign.fuzz`.
    """
    from floatlab.verify.fuzz.campaign import fuzz

    found = fuzz(minutes, seed=seed, jobs=jobs, out=out, fresh=fresh)
    if found.disagreements:
        return 1
    return 130 if found.interrupted else 0


def vectors_command(folder: str | Path, out: str | Path = "floatlab-verify") -> int:
    """Compare recorded results of chips for the command line, and return the exit status: 0, or 1 if one differs.

    Parameters
    ----------
    folder
        As in `floatlab.verify.vectors.compare`.
    out : path
        The report goes to its folder ``vectors``.
    """
    from floatlab.verify.vectors import compare

    check_environment()
    report = compare(folder)
    report.save(Path(out) / "vectors")
    report.print(make_console())
    return 1 if report.disagreements else 0
