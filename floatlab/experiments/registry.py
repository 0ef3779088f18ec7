"""Which experiments are there, and how is one done? First all predictions, then the runs, then the verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

from floatlab.errors import OptionError, check_option
from floatlab.experiments import (
    accumulation,
    block_training,
    cnn,
    fp8_recipes,
    int8_training,
    loss_scaling,
    lstm,
    optimizer_state,
    precision_schedule,
    rare_class,
    rare_class_fp8,
    small_units,
    stagnation,
    through_time,
    transformer,
)
from floatlab.experiments.harness.common import Claim, Experiment, Record
from floatlab.experiments.harness.criterion import CRITERION, judged, references_of
from floatlab.experiments.harness.runner import Journal, available_jobs, open_folder, run_all, write_json

__all__ = ["EXPERIMENTS", "get", "names", "run", "verdict"]

Progress = Callable[[str, Any, Record], None]

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        loss_scaling.UNDERFLOW,
        small_units.EXPERIMENT,
        through_time.EXPERIMENT,
        stagnation.EXPERIMENT,
        loss_scaling.LADDER,
        fp8_recipes.EXPERIMENT,
        accumulation.EXPERIMENT,
        optimizer_state.EXPERIMENT,
        cnn.EXPERIMENT,
        lstm.EXPERIMENT,
        transformer.EXPERIMENT,
        precision_schedule.EXPERIMENT,
        rare_class.EXPERIMENT,
        rare_class_fp8.EXPERIMENT,
        block_training.EXPERIMENT,
        int8_training.EXPERIMENT,
    )
}


def names() -> list[str]:
    """Return the names of all experiments.

    >>> names()[:2]
    ['underflow', 'small-units']
    """
    return list(EXPERIMENTS)


def get(name: str) -> Experiment:
    """Return an experiment by name; raise `OptionError`, and suggest the nearest, if there is none."""
    check_option("name", name, EXPERIMENTS)
    return EXPERIMENTS[name]


def run(
    name: str | Experiment,
    seeds: Sequence[int] = (0, 1, 2),
    *,
    jobs: int = 1,
    out: str | Path | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
    found: Callable[[str], None] | None = None,
    scheduler: str | None = None,
) -> list[Record]:
    """Do an experiment, and return the records of its runs: for each seed all runs, in the order of the registry.

    Parameters
    ----------
    name : str or Experiment
        One of `names`, or an experiment of your own.
    seeds : sequence of int
        Each run is done with each of them.
    jobs : int
        Processes side by side; 0: one for each core.
    out : path, optional
        A folder for ``records.jsonl`` (an interrupted experiment goes on from there) and ``summary.json``. Without
        it nothing is kept.
    fresh : bool
        Forget what the folder has.
    progress : callable, optional
        Called as ``progress(stage, configuration, record)`` with the stages "predicted" (of every run, before the first
        one starts), "finished", and "reference" (an fp32 run that is not listed, and by which others are judged).
    found : callable, optional
        Called with a sentence, if there are finished runs in the folder: how many are taken over, and how many another
        source of floatlab has made, which are set aside.
    scheduler : str, optional
        The address of a scheduler of Dask's, whose workers do the runs instead of processes of this machine. They have
        the same source, or are refused; predictions and records stay here.

    Raises
    ------
    OptionError
        If there is no such experiment, no seed, or no scheduler that answers.
    DataError
        If a worker has another source.
    ExperimentError
        If `out` cannot be written to.

    Examples
    --------
    >>> from floatlab.experiments import registry
    >>> records = registry.run("small-units", seeds=[0])  # doctest: +SKIP
    >>> [r["run"] for r in records if r["failed"]]  # doctest: +SKIP
    ['fp16']
    """
    experiment = name if isinstance(name, Experiment) else get(name)
    chosen = list(dict.fromkeys(int(seed) for seed in seeds))
    if not chosen or min(chosen) < 0:
        raise OptionError(
            f"An experiment needs seeds, integers of at least 0. Got {list(seeds)!r}. Use [0, 1, 2]."
        )
    if out is None:
        with tempfile.TemporaryDirectory() as folder:
            return run(experiment, chosen, jobs=jobs, out=folder, progress=progress, scheduler=scheduler)
    place = open_folder(out)
    configs = [replace(one, seed=seed) for seed in chosen for one in experiment.runs]
    others, twins = references_of(configs)
    journal = Journal(place / "records.jsonl", fresh=fresh)
    findings = journal.findings(Journal.key(experiment.train, config) for config in configs)
    if findings and found is not None:
        found(findings)
    known = [Journal.key(experiment.predict, config) in journal.records for config in configs]

    def tell(stage: str) -> Callable[[Any, Record], None]:
        return lambda config, record: progress(stage, config, record) if progress is not None else None

    # In this process, and before any run: a prediction takes a step of fp32.
    predictions = run_all(experiment.predict, configs, journal, on_record=tell("predicted"))
    for config, prediction, was_known in zip(configs, predictions, known, strict=True):
        if was_known:
            tell("predicted")(config, prediction)
    train = partial(
        run_all, experiment.train, journal=journal, jobs=jobs or available_jobs(), scheduler=scheduler
    )
    results = train(configs, on_record=tell("finished"))
    # These come last: they are extra runs only where no listed one is the fp32 run of another.
    extra = train(others, on_record=tell("reference"))
    trained = [*results, *extra]
    records = [
        judged({**record, **prediction}, trained[twin])
        for prediction, record, twin in zip(predictions, results, twins, strict=True)
    ]
    claims = [vars(claim) for claim in verdict(experiment, records)]
    summary = {"experiment": experiment.name, "criterion": CRITERION, "claims": claims, "records": records}
    write_json(place / "summary.json", summary)
    return records


def verdict(experiment: Experiment, records: Sequence[Record]) -> list[Claim]:
    """Return what was claimed, what came of it, and for each seed whether it came true.

    The first claims are that each run learns or fails as predicted; an experiment may add others. Seeds whose fp32 run
    has got nowhere are no part of them.
    """
    claims = []
    for name in dict.fromkeys(r["run"] for r in records):
        mine = [r for r in records if r["run"] == name]
        expected = [r["predicted_failure"] for r in mine]
        answered = [r for r in mine if r["failed"] is not None]
        failed = [r["failed"] for r in answered]
        numbers = [r["outcome"] for r in mine if r["outcome"] is not None]
        mean = f"{fmean(numbers):.3g}" if numbers else "not a number"
        claims.append(
            Claim(
                f"{name}: {_word(expected)}",
                f"{_word(expected)}, {fmean(r['expected'] for r in mine):.0%}",
                f"{_word(failed)}, {fmean(r['found'] for r in mine):.0%}; {experiment.outcome} {mean}",
                tuple(r["predicted_failure"] == r["failed"] for r in answered),
            )
        )
    return claims + experiment.claims(list(records))


def _word(failures: Sequence[bool]) -> str:
    if not failures:
        return "no answer, for fp32 itself gets nowhere"
    if not any(failures):
        return "learns"
    return "fails" if all(failures) else f"fails in {sum(failures)} of {len(failures)}"
