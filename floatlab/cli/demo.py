"""What does `floatlab demo` print? What will be lost in each format, then the runs, then both side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from floatlab.cli.console import power, table_console, table_of, verdict
from floatlab.experiments import underflow
from floatlab.experiments.harness.criterion import CRITERION
from floatlab.experiments.harness.runner import available_jobs, open_folder

__all__ = ["demo_command"]


def demo_command(*, out: Path, cliff: bool, seeds: Sequence[int], jobs: int, fresh: bool) -> None:
    """Train the digits in seven ways, and print prediction beside result.

    Parameters
    ----------
    out : Path
        The folder of the results.
    cliff : bool
        Whether to take every loss weight from 1 to 1e-9, and to draw cliff.png.
    seeds, jobs, fresh
        The seeds, how many processes side by side (0: one for each core), and whether to start anew.
    """
    folder = open_folder(out)
    setup = underflow.Underflow(tuple(seeds), underflow.CLIFF_WEIGHTS if cliff else underflow.DEMO_WEIGHTS)
    console = table_console()
    console.print(
        f"A network of {len(setup.runs[0].widths) - 1} layers learns handwritten digits, "
        f"in {len(setup.runs)} ways, with {len(setup.loss_weights)} loss weights and "
        f"the seeds {', '.join(map(str, seeds))}.\n"
        "The loss is multiplied by a loss weight and the learning rate divided by it: in exact arithmetic "
        "that changes nothing.",
        highlight=False,
    )
    _print_predictions(console, setup)
    with _Telling(console, len(setup.configs()), folder / "summary.json") as telling:
        records = underflow.run_underflow(
            setup, folder, jobs=jobs or available_jobs(), fresh=fresh,
            on_record=telling.record, on_resume=telling.resumed, on_found=telling.found,
        )  # fmt: skip
    _print_results(console, setup, records)
    files = ["summary.json", *_draw(setup, records, folder, cliff)]
    console.print("Written to " + str(folder) + ": " + ", ".join(files), highlight=False, soft_wrap=True)


def _print_predictions(console: Console, setup: underflow.Underflow) -> None:
    predictions = underflow.predict_runs(setup)
    layers = list(next(iter(predictions.values()))[0].weight_gradients)
    title = "Predicted from the first fp32 step: weight gradients that a format will lose (zero there, not in fp32)"
    names = [layer.replace("layer", "layer ") for layer in layers]
    table = table_of(title, ["weight>", "run", *(f"{name}>" for name in names), "expect"], gap=2)
    for weight in setup.loss_weights:
        for run in setup.runs:
            found = predictions[run.run, weight]
            shares = [fmean(p.weight_gradients[layer] for p in found) for layer in layers]
            fails = sum(p.fails for p in found)
            table.add_row(
                f"{weight:g}", run.run, *(f"{s:.0%}" for s in shares), verdict(fails, len(found)),
                end_section=run is setup.runs[-1],
            )  # fmt: skip
    console.print(table)


def _print_results(console: Console, setup: underflow.Underflow, records: Sequence[dict[str, Any]]) -> None:
    rows = underflow.summarise(records)
    for weight in setup.loss_weights:
        layers = [layer.replace("layer", "layer ") for layer in rows[0].predicted]
        columns = ["run", *(f"{layer}>" for layer in layers), "expect", "test>", "skips>", "scale>"]
        table = table_of(f"Loss weight {weight:g}", columns, gap=1)
        for row in rows:
            if row.loss_weight != weight:
                continue
            right = row.failed == row.expected_to_fail
            accuracy = fmean(row.accuracies)
            table.add_row(
                row.run,
                *(f"{100 * row.predicted[k]:.0f}/{100 * row.measured[k]:.0f}" for k in row.predicted),
                verdict(row.expected_to_fail, len(row.accuracies)) + ("" if right else " [bold](wrong)"),
                f"[{'green' if accuracy > 0.9 else 'red'}]{accuracy:.1%}",
                str(row.skipped_steps),
                power(row.final_scale) if row.final_scale else "0",
            )
        console.print(table)
    console.print(
        "Layers: weight gradients lost at the first step in percent, predicted/measured. Test: accuracy on images "
        f"not trained on, mean of {len(setup.seeds)} seeds. Skips: steps left out for overflow, in all seeds. "
        "Scale: the last loss scale.",
        highlight=False,
    )
    console.print(CRITERION, highlight=False)
    gap = max(rows, key=lambda row: row.largest_gap)
    wrong = sum(row.failed != row.expected_to_fail for row in rows)
    console.print(
        f"Largest gap between a predicted and a measured share: {100 * gap.largest_gap:.1f} points "
        f"({gap.run}, loss weight {gap.loss_weight:g}). "
        f"Verdicts that came true: {len(rows) - wrong} of {len(rows)}.",
        highlight=False,
    )
    if gap.largest_gap > 0.05:
        console.print(
            "More than 5 points occur on a cliff: a gradient just above the threshold survives, but rounded up to "
            "twice its size, and the layers below inherit that."
        )


def _draw(
    setup: underflow.Underflow, records: Sequence[dict[str, Any]], folder: Path, cliff: bool
) -> list[str]:
    from floatlab import plots  # which needs a second to be imported

    panels, notes = underflow.gradient_panels(setup.seeds[0])
    figures = {
        "gradients.png": plots.plot_gradients(
            panels,
            notes=notes,
            title="Where the gradients of the first step lie, and what a format does there",
        ),
        "training.png": plots.plot_training(
            [r for r in records if r["loss_weight"] in underflow.DEMO_WEIGHTS]
        ),
    }
    if cliff:
        figures["cliff.png"] = plots.plot_cliff(
            records,
            predicted=underflow.predicted_cliffs(setup),
            criterion=CRITERION,
        )
    for name, figure in figures.items():
        plots.save(figure, folder / name)
    return list(figures)


class _Telling:
    """A progress bar that shows the last run, and says where its results are if it is interrupted."""

    def __init__(self, console: Console, total: int, results: Path) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self.console, self.results = console, results
        self.progress = Progress(*columns, console=console)
        self.bar = self.progress.add_task(f"{'training':<45}", total=total)

    def __enter__(self) -> _Telling:
        self.progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.progress.stop()
        if kind is KeyboardInterrupt:
            text = (
                f"Interrupted. The finished runs are in {self.results}; the same command goes on from there."
            )
            self.console.print(text, style="yellow", highlight=False, soft_wrap=True)
            raise typer.Exit(130) from None

    def found(self, text: str) -> None:
        """Say what was in the folder already."""
        self.console.print(text, highlight=False, soft_wrap=True)

    def resumed(self, count: int) -> None:
        """Note that so many runs were there already."""
        self.progress.update(self.bar, completed=count)

    def record(self, config: Any, record: dict[str, Any]) -> None:
        """Note that a run has finished."""
        weight = f", loss weight {config.loss_weight:g}" if hasattr(config, "loss_weight") else ""
        result = f": {record['test_accuracy']:.1%}" if "test_accuracy" in record else ""
        text = f"{config.run}{weight}, seed {config.seed}{result}"
        self.progress.update(self.bar, advance=1, description=f"{text:<45}")
