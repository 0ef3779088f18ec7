"""How is it started? The floatlab command: demo, run, show, formats, verify.

Errors that floatlab raises on purpose are printed in one line, and the exit status is 2. Ctrl-C keeps what has been
finished, and the exit status is 130.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from floatlab.cli.console import power, seeds_of, table_console, table_of
from floatlab.errors import DataError, FloatlabError, OptionError
from floatlab.system.terminal import abandon_output, make_console, prepare_streams

if TYPE_CHECKING:
    from floatlab.experiments.harness.common import Experiment

__all__ = ["app", "main"]

app = typer.Typer(
    add_completion=False, no_args_is_help=True, rich_markup_mode="rich", pretty_exceptions_enable=False
)

OutOption = Annotated[Path, typer.Option("--out", help="Folder for the results.")]
JobsOption = Annotated[
    int, typer.Option("--jobs", min=0, help="Processes side by side; 0: one for each core.")
]
SeedsOption = Annotated[
    str, typer.Option("--seeds", help="How many seeds, from 0 on; or which: 3,4,5, or 7, for one alone.")
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
        f"{type(error).__name__}: {error}", style="bold red", markup=False, highlight=False, soft_wrap=True
    )


@app.callback()
def _floatlab() -> None:
    """A laboratory for float formats: bit-exact rounding, and training in low precision."""


# -- formats and numbers ---------------------------------------------------------------------------


@app.command("formats")
def list_formats() -> None:
    """List the formats: their fields, range and special values."""
    from floatlab.formats import aliases, formats

    columns = ["name", "also", "bits>", "e/m>", "max>", "min normal>", "min>", "special"]
    table = table_of("Formats", columns, gap=1)
    for fmt in formats():
        special = [word for word, has in (("inf", fmt.has_infinity), ("NaN", fmt.has_nan)) if has]
        special += [] if fmt.has_negative_zero else ["no -0"] if fmt.has_zero else ["no zero"]
        table.add_row(
            fmt.name,
            ", ".join(sorted(aliases(fmt), key=len)[:2]),
            str(fmt.bits),
            f"{fmt.exponent_bits}/{fmt.mantissa_bits}",
            f"{fmt.max:.5g}",
            power(fmt.smallest_normal),
            power(fmt.smallest_subnormal),
            ", ".join(special) or "none",
        )
    console = table_console()
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
    seeds: SeedsOption = "3",
    jobs: JobsOption = 0,
    fresh: FreshOption = False,
) -> None:
    """Train the digits in seven ways, and watch gradients underflow and recover."""
    from floatlab.cli.demo import demo_command

    demo_command(out=out, cliff=cliff, seeds=seeds_of(seeds), jobs=jobs, fresh=fresh)


# -- other experiments -----------------------------------------------------------------------------


@app.command()
def run(
    name: Annotated[str, typer.Argument(help="An experiment; see --list.")] = "",
    show_list: Annotated[bool, typer.Option("--list", help="List the experiments.")] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the results.", show_default="floatlab-runs/NAME")
    ] = None,
    seeds: SeedsOption = "3",
    jobs: JobsOption = 0,
    fresh: FreshOption = False,
    neighbours: Annotated[
        int,
        typer.Option("--neighbours", min=0, help="Instead: so many neighbouring settings, drawn at random."),
    ] = 0,
    neighbour_seed: Annotated[
        int, typer.Option("--neighbour-seed", min=0, help="The seed of that draw.")
    ] = 0,
) -> None:
    """Do an experiment: its predictions first, then the runs, then both side by side."""
    from floatlab.cli.run import run_command

    folder = out or Path("floatlab-runs") / (f"{name}-neighbours" if neighbours else name)
    raise typer.Exit(
        run_command(
            name,
            seeds=seeds_of(seeds),
            jobs=jobs,
            out=folder,
            fresh=fresh,
            listing=show_list,
            neighbours=neighbours,
            neighbour_seed=neighbour_seed,
            draw=_draw_run,
        )
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
