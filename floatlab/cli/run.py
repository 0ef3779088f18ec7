"""What does `floatlab run` print? The predictions, then the runs as they finish, then both side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from floatlab.cli.console import table_console, table_of, verdict
from floatlab.experiments import registry
from floatlab.experiments.harness.common import Claim, Experiment, Record
from floatlab.experiments.harness.criterion import CRITERION
from floatlab.experiments.harness.neighbours import changes, neighbourhood
from floatlab.experiments.harness.runner import open_folder

__all__ = ["list_experiments", "run_command"]

Draw = Callable[[Experiment, Sequence[Record], Path], list[str]]


def run_command(
    name: str = "",
    *,
    seeds: Sequence[int] = (0, 1, 2),
    jobs: int = 0,
    out: Path | None = None,
    fresh: bool = False,
    listing: bool = False,
    neighbours: int = 0,
    neighbour_seed: int = 0,
    draw: Draw | None = None,
    scheduler: str | None = None,
) -> int:
    """Do an experiment and print prediction beside result; return 0, or 1 if a claim did not come true.

    Parameters
    ----------
    name : str
        The experiment. Without one, all are listed.
    seeds, jobs, out, fresh
        The seeds, how many processes side by side (0: one for each core), the folder of the results (by default
        ``floatlab-runs/NAME``), and whether to start anew.
    listing : bool
        List the experiments, and do nothing else.
    neighbours, neighbour_seed : int
        With a number above 0, do so many neighbours of the listed runs instead, drawn at random with this seed.
    draw : callable, optional
        Draws figures into the folder and returns their names.
    scheduler : str, optional
        The address of a scheduler of Dask's, whose workers do the runs.
    """
    console = table_console()
    if listing or not name:
        list_experiments(console)
        return 0
    listed = registry.get(name)
    experiment = neighbourhood(listed, neighbours, neighbour_seed) if neighbours else listed
    folder = open_folder(out if out is not None else Path("floatlab-runs") / name)
    console.print(f"[bold]{experiment.title}.[/bold] {experiment.question}", highlight=False)
    records = _run(console, experiment, seeds, jobs, folder, fresh, scheduler)
    right = _print_results(console, experiment, records)
    if neighbours:
        _print_neighbours(console, listed, experiment, records)
    elif experiment.notes:
        console.print(experiment.notes, highlight=False)
    files = ["records.jsonl", "summary.json", *(draw(experiment, records, folder) if draw else [])]
    console.print(f"Written to {folder}: {', '.join(files)}", highlight=False, soft_wrap=True)
    return 0 if right else 1


def list_experiments(console: Console) -> None:
    """Print the table of experiments."""
    table = table_of("", ["name", "question", "runs>", "minutes>"])
    for experiment in registry.EXPERIMENTS.values():
        runs = str(3 * len(experiment.runs))
        table.add_row(experiment.name, experiment.question, runs, f"{experiment.minutes:g}")
    console.print(table)
    console.print(
        "Minutes: about, for three seeds on two cores. `floatlab run NAME` does one.", highlight=False
    )


def _run(
    console: Console,
    experiment: Experiment,
    seeds: Sequence[int],
    jobs: int,
    folder: Path,
    fresh: bool,
    scheduler: str | None,
) -> list[Record]:
    total = len(seeds) * len(experiment.runs)
    predictions: list[tuple[Any, Record]] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("predicting", total=total)

        def tell(stage: str, config: Any, record: Record) -> None:
            if stage == "predicted":
                predictions.append((config, record))
                if len(predictions) == total:
                    _print_predictions(console, experiment, predictions)
                    progress.update(bar, description="running", completed=0)
                else:
                    progress.update(bar, advance=1)
            else:  # finished, or an fp32 run that is not listed
                text = f"{config.run}, seed {config.seed}: {_number(record['outcome'])}"
                progress.update(bar, advance=stage == "finished", description=f"{text:<45}")

        def say(text: str) -> None:
            console.print(text, highlight=False, soft_wrap=True)

        try:
            records = registry.run(
                experiment,
                seeds,
                jobs=jobs,
                out=folder,
                fresh=fresh,
                progress=tell,
                found=say,
                scheduler=scheduler,
            )
        except KeyboardInterrupt:
            progress.stop()
            text = f"Interrupted. What is finished is in {folder}; the same command goes on from there."
            console.print(text, style="yellow", highlight=False, soft_wrap=True)
            raise
        progress.update(bar, completed=total, description="done")
        return records


def _print_predictions(console: Console, experiment: Experiment, found: Sequence[tuple[Any, Record]]) -> None:
    table = table_of(f"Predicted, from fp32 alone: {experiment.expected}", ["run", "expected>", "it"])
    for name in dict.fromkeys(config.run for config, _ in found):
        mine = [record for config, record in found if config.run == name]
        expected = fmean(r["expected"] for r in mine)
        table.add_row(name, f"{expected:.0%}", verdict(sum(r["predicted_failure"] for r in mine), len(mine)))
    console.print(table)


def _print_results(console: Console, experiment: Experiment, records: Sequence[Record]) -> bool:
    console.print(CRITERION, highlight=False)
    title = f"Share: {experiment.expected}, predicted / measured. Mean: {experiment.outcome}"
    table = table_of(title, ["run", "share>", "predicted", "came out", "mean>", "seeds>", "skips>"])
    for name in dict.fromkeys(r["run"] for r in records):
        mine = [r for r in records if r["run"] == name]
        predicted = [r["predicted_failure"] for r in mine]
        failed = [r["failed"] for r in mine if r["failed"] is not None]
        right = all(r["predicted_failure"] == r["failed"] for r in mine if r["failed"] is not None)
        numbers = [r["outcome"] for r in mine if r["outcome"] is not None]
        table.add_row(
            name,
            f"{fmean(r['expected'] for r in mine):.0%} / {fmean(r['found'] for r in mine):.0%}",
            verdict(sum(predicted), len(predicted)),
            (verdict(sum(failed), len(failed)) if failed else "[yellow]no answer[/yellow]")
            + ("" if right else " [bold](wrong)"),
            _number(fmean(numbers) if numbers else None),
            f"{_number(min(numbers))} to {_number(max(numbers))}" if numbers else "",
            str(sum(r.get("skipped_steps", 0) for r in mine)),
        )
    console.print(table)
    claims = registry.verdict(experiment, records)
    for claim in claims[len({r["run"] for r in records}) :]:
        mark = "[green]holds[/green]" if _holds(claim) else "[red]does not hold[/red]"
        console.print(
            f"{claim.text}. Predicted: {claim.predicted}. Measured: {claim.measured}. {mark} in "
            f"{sum(claim.holds)} of {len(claim.holds)} seeds.",
            highlight=False,
        )
    if silent := sorted({r["seed"] for r in records if r["failed"] is None}):
        console.print(
            f"No answer from {'seeds' if len(silent) > 1 else 'seed'} {', '.join(map(str, silent))} in some runs: "
            "their fp32 run gets nowhere itself.",
            style="yellow",
            highlight=False,
        )
    true = sum(map(_holds, claims))
    console.print(f"Claims that came true in every seed: {true} of {len(claims)}.", highlight=False)
    return true == len(claims)


def _print_neighbours(
    console: Console, listed: Experiment, drawn: Experiment, records: Sequence[Record]
) -> None:
    """Print in which numbers each neighbour differs, and the share of verdicts that were right."""
    for run in drawn.runs:
        console.print(f"{run.run}: {changes(run, listed.runs)}", highlight=False)
    answered = [r for r in records if r["failed"] is not None]
    right = sum(r["predicted_failure"] == r["failed"] for r in answered)
    share = f"{right} of {len(answered)}" + (f" ({right / len(answered):.0%})" if answered else "")
    if len(answered) < len(records):
        share += f"; {len(records) - len(answered)} without an answer, where fp32 itself gets nowhere"
    console.print(f"Verdicts of neighbouring settings that were right: {share}.", highlight=False)


def _holds(claim: Claim) -> bool:
    """Whether a claim came true in every seed that says anything, and one did."""
    return bool(claim.holds) and all(claim.holds)


def _number(value: float | None) -> str:
    return "NaN" if value is None else f"{value:.3g}"
