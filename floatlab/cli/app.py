"""How is it started? The floatlab command: demo, run, show, formats, verify.

Errors that floatlab raises on purpose are printed in one line, and the exit status is 2. Ctrl-C keeps what has been
finished, and the exit status is 130.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from floatlab.errors import DataError, FloatlabError, OptionError
from floatlab.system.terminal import abandon_output, make_console, prepare_streams

if TYPE_CHECKING:
    from floatlab.experiments.harness.common import Experiment
    from floatlab.experiments.underflow import Underflow

__all__ = ["app", "main"]

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False
)

OutOption = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
JobsOption = Annotated[
    int, typer.Option("--jobs", min=0, help="Processes side by side; 0: one for each core.")
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Start anew, and forget the runs in the folder.")]


def main() -> None:
    """Run the command, and turn errors into one line and an exit status."""
    prepare_streams()  # also for what typer prints
    try:
        app(standalone_mode=True)
    except FloatlabError as error:
        _complain(error)
        sys.exit(2)
    except OSError as error:  # no room for what is printed, or for a figure
        abandon_output()
        _complain(
            DataError(
                f"What a command reads is there, and what it writes has room. Got {error}. Use another place."
            )
        )
        sys.exit(2)
    except KeyboardInterrupt:
        make_console(stderr=True).print("Interrupted.", style="yellow")
        sys.exit(130)


def _complain(error: FloatlabError) -> None:
    # Written as plain text: a message may hold brackets, which rich would take for markup.
    make_console(stderr=True).print(
        f"{type(error).__name__}: {error}",
        style="bold red",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )


@app.callback()
def _floatlab() -> None:
    """A laboratory for float formats: bit-exact rounding, and training in low precision."""


# -- formats and numbers ---------------------------------------------------------------------------


@app.command("formats")
def list_formats() -> None:
    """List the formats: their fields, range and special values."""
    from floatlab.formats import aliases, formats

    columns = ["name<", "also<", "bits", "exp/man", "largest", "least normal", "least", "special<"]
    table = _table("Formats", columns, gap=1)
    for fmt in formats():
        special = [word for word, has in (("inf", fmt.has_infinity), ("NaN", fmt.has_nan)) if has]
        special += [] if fmt.has_negative_zero else ["no -0"] if fmt.has_zero else ["no zero"]
        table.add_row(
            fmt.name,
            ", ".join(sorted(aliases(fmt), key=len)[:2]),
            str(fmt.bits),
            f"{fmt.exponent_bits}/{fmt.mantissa_bits}",
            f"{fmt.max:.5g}",
            _power(fmt.smallest_normal),
            _power(fmt.smallest_subnormal),
            ", ".join(special) or "none",
        )
    console = _console()
    console.print(table)
    console.print(
        "Also binary8p3se and so on (IEEE P3109), and fields such as e6m9, e4m3fn, e3m2finite, e5m2b20."
    )


@app.command(context_settings={"ignore_unknown_options": True})
def show(
    numbers: Annotated[list[str], typer.Argument(help="Numbers: 0.1, -3e5, 0x1.8p-3, inf, nan.")],
    fmt: Annotated[str, typer.Option("--format", "-f", help="A format; see `floatlab formats`.")] = "fp16",
    rounding: Annotated[str, typer.Option("--rounding", help="A rounding mode.")] = "nearest_even",
) -> None:
    """Show how a number is rounded and stored in a format, step by step."""
    from floatlab.explain import explain

    console = make_console()
    for k, number in enumerate(numbers):
        if k:
            console.print()
        console.print(str(explain(_number(number), fmt, rounding=rounding)), markup=False, highlight=False)


def _number(text: str) -> float:
    try:
        return float.fromhex(text) if "0x" in text.lower() else float(text)
    except (ValueError, OverflowError):
        raise OptionError(
            f"A number is written as 0.1, -3e5, 0x1.8p-3, inf or nan. Got {text!r}. Use one."
        ) from None


@app.command()
def verify(
    full: Annotated[
        bool, typer.Option("--full", help="All 2^32 float32 inputs of every format; hours.")
    ] = False,
    section: Annotated[
        list[str] | None, typer.Option("--section", help="Only this section; repeatable.")
    ] = None,
    fmt: Annotated[list[str] | None, typer.Option("--format", help="Only this format; repeatable.")] = None,
    jobs: JobsOption = 0,
    out: OutOption = Path("floatlab-verify"),
    fresh: FreshOption = False,
    fuzz: Annotated[
        float | None, typer.Option("--fuzz", help="Instead: try random calls for so many minutes.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="The seed of --fuzz; a fresh one by default.")
    ] = None,
) -> None:
    """Prove the numbers: compare floatlab with oracles that share no code with it."""
    from floatlab.verify import command, fuzz_command

    if fuzz is not None:
        raise typer.Exit(fuzz_command(fuzz, seed=seed, jobs=jobs, out=out, fresh=fresh))
    raise typer.Exit(
        command(full=full, section=section or (), format=fmt or (), jobs=jobs, out=out, fresh=fresh)
    )


# -- the demonstration -----------------------------------------------------------------------------


@app.command()
def demo(
    out: OutOption = Path("floatlab-demo"),
    cliff: Annotated[
        bool,
        typer.Option("--cliff", help="Also every loss weight from 1 to 1e-9, and cliff.png; some minutes."),
    ] = False,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=100, help="How many seeds.")] = 3,
    jobs: JobsOption = 0,
    fresh: FreshOption = False,
) -> None:
    """Train the digits in seven ways, and watch gradients underflow and recover."""
    from floatlab.experiments.harness.runner import available_jobs, open_folder
    from floatlab.experiments.underflow import CLIFF_WEIGHTS, DEMO_WEIGHTS, Underflow, run_underflow

    folder = open_folder(out)
    setup = Underflow(tuple(range(seeds)), CLIFF_WEIGHTS if cliff else DEMO_WEIGHTS)
    console = _console()
    console.print(
        f"A network of {len(setup.runs[0].widths) - 1} layers learns handwritten digits, "
        f"in {len(setup.runs)} ways, with {len(setup.loss_weights)} loss weights and {seeds} seeds.\n"
        "The loss is multiplied by a loss weight and the learning rate divided by it: in exact arithmetic "
        "that changes nothing.",
        highlight=False,
    )
    _print_predictions(console, setup)
    with _Telling(console, len(setup.configs()), folder / "summary.json") as telling:
        records = run_underflow(
            setup, folder, jobs=jobs or available_jobs(), fresh=fresh,
            on_record=telling.record, on_resume=telling.resumed, on_found=telling.found,
        )  # fmt: skip
    _print_results(console, setup, records)
    files = ["summary.json", *_draw(setup, records, folder, cliff)]
    console.print("Written to " + str(folder) + ": " + ", ".join(files), highlight=False, soft_wrap=True)


def _print_predictions(console: Console, setup: Underflow) -> None:
    from floatlab.experiments.underflow import predict_runs

    predictions = predict_runs(setup)
    layers = list(next(iter(predictions.values()))[0].weight_gradients)
    title = "Predicted from the first fp32 step: weight gradients that a format will lose (zero there, not in fp32)"
    names = [layer.replace("layer", "layer ") for layer in layers]
    table = _table(title, ["weight", "run<", *names, "expect<"])
    for weight in setup.loss_weights:
        for run in setup.runs:
            found = predictions[run.run, weight]
            shares = [fmean(p.weight_gradients[layer] for p in found) for layer in layers]
            fails = sum(p.fails for p in found)
            table.add_row(
                f"{weight:g}", run.run, *(f"{s:.0%}" for s in shares), _verdict(fails, len(found)),
                end_section=run is setup.runs[-1],
            )  # fmt: skip
    console.print(table)


def _print_results(console: Console, setup: Underflow, records: Sequence[dict[str, Any]]) -> None:
    from floatlab.experiments.underflow import summarise

    rows = summarise(records)
    for weight in setup.loss_weights:
        layers = [layer.replace("layer", "layer ") for layer in rows[0].predicted]
        table = _table(
            f"Loss weight {weight:g}", ["run<", *layers, "expect<", "test", "skips", "scale"], gap=1
        )
        for row in rows:
            if row.loss_weight != weight:
                continue
            right = row.failed == row.expected_to_fail
            accuracy = fmean(row.accuracies)
            table.add_row(
                row.run,
                *(f"{100 * row.predicted[k]:.0f}/{100 * row.measured[k]:.0f}" for k in row.predicted),
                _verdict(row.expected_to_fail, len(row.accuracies)) + ("" if right else " [bold](wrong)"),
                f"[{'green' if accuracy > 0.9 else 'red'}]{accuracy:.1%}",
                str(row.skipped_steps),
                _power(row.final_scale) if row.final_scale else "0",
            )
        console.print(table)
    console.print(
        "Layers: weight gradients lost at the first step in percent, predicted/measured. Test: accuracy on images "
        f"not trained on, mean of {len(setup.seeds)} seeds. Skips: steps left out for overflow, in all seeds. "
        "Scale: the last loss scale.",
        highlight=False,
    )
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


def _draw(setup: Underflow, records: Sequence[dict[str, Any]], folder: Path, cliff: bool) -> list[str]:
    from floatlab import plots
    from floatlab.experiments.underflow import DEMO_WEIGHTS, gradient_panels, predicted_cliffs

    panels, notes = gradient_panels(setup.seeds[0])
    figures = {
        "gradients.png": plots.plot_gradients(
            panels,
            notes=notes,
            title="Where the gradients of the first step lie, and what a format does there",
        ),
        "training.png": plots.plot_training(
            [r for r in records if r["loss_weight"] in DEMO_WEIGHTS],
            title="A loss weight of 1 needs no help; one of $10^{-6}$ needs bf16, or loss scaling",
        ),
    }
    if cliff:
        figures["cliff.png"] = plots.plot_cliff(
            records,
            predicted=predicted_cliffs(setup),
            title="A format stops learning where its gradients vanish, and loss scaling moves the cliff",
        )
    for name, figure in figures.items():
        plots.save(figure, folder / name)
    return list(figures)


def _console() -> Console:
    """Return a console; in a file or a pipe, one that is wide enough for the tables."""
    return make_console(width_elsewhere=110)


def _table(title: str, columns: Sequence[str], gap: int = 2) -> Table:
    """Return an empty table; a column whose name ends in "<" is aligned to the left."""
    table = Table(
        title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, gap, 0, 0)
    )
    for name in columns:
        left = name.endswith("<")
        table.add_column(name.rstrip("<"), justify="left" if left else "right", no_wrap=True)
    return table


# -- other experiments -----------------------------------------------------------------------------


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="An experiment; see --list.")] = "",
    show_list: Annotated[bool, typer.Option("--list", help="List the experiments.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the results.", show_default="floatlab-runs/NAME")
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=100, help="How many seeds.")] = 3,
    jobs: JobsOption = 0,
    fresh: FreshOption = False,
) -> None:
    """Do an experiment: its predictions first, then the runs, then both side by side."""
    from floatlab.cli.run import run_command

    folder = out or Path("floatlab-runs") / name
    raise typer.Exit(
        run_command(name, seeds=seeds, jobs=jobs, out=folder, fresh=fresh, listing=show_list, draw=_draw_run)
    )


def _draw_run(experiment: Experiment, records: Sequence[dict[str, Any]], folder: Path) -> str:
    from floatlab import plots

    figure = plots.plot_experiment(
        records,
        title=experiment.title,
        outcome=experiment.outcome,
        expected=experiment.expected,
        logarithmic=experiment.logarithmic,
    )
    return plots.save(figure, folder / "outcome.png").name


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


# -- words -----------------------------------------------------------------------------------------


def _verdict(fails: int, total: int) -> str:
    if fails == 0:
        return "[green]learns"
    return "[red]fails" if fails == total else f"[yellow]fails in {fails} of {total}"


def _power(value: float) -> str:
    """Write a power of two as such."""
    mantissa, exponent = math.frexp(value)
    return f"2^{exponent - 1}" if mantissa == 0.5 else f"{value:.6g}"
