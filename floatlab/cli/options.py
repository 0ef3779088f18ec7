"""Which options does more than one command take, and how does a shell complete their names?"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from floatlab.errors import OptionError, check_option

__all__ = [
    "PATH",
    "EngineOption",
    "FlushInputsOption",
    "FormatOption",
    "FreshOption",
    "FullOption",
    "JobsOption",
    "JsonOption",
    "NumbersCommand",
    "OutOption",
    "OverflowOption",
    "RandomBitsOption",
    "RoundingOption",
    "SchedulerOption",
    "SeedsOption",
    "SubnormalsOption",
    "chart_names",
    "experiment_names",
    "format_names",
    "mode_names",
    "path_of",
    "print_version",
    "scheduler_of",
    "unit_names",
]


def format_names(incomplete: str) -> list[str]:
    """Return the formats, by any of their names, that begin so."""
    from floatlab.formats import aliases, formats

    names = [name for fmt in formats() for name in (fmt.name, *aliases(fmt))]
    return [name for name in names if name.startswith(incomplete)]


def mode_names(incomplete: str) -> list[str]:
    """Return the rounding modes that begin so."""
    from floatlab.rounding.modes import MODES

    return [name for name in MODES if name.startswith(incomplete)]


def experiment_names(incomplete: str) -> list[str]:
    """Return the experiments that begin so."""
    from floatlab.experiments.registry import EXPERIMENTS

    return [name for name in EXPERIMENTS if name.startswith(incomplete)]


def unit_names(incomplete: str) -> list[str]:
    """Return the matrix units that begin so."""
    from floatlab.matrix_units import units

    return [name for name in units() if name.startswith(incomplete)]


def chart_names(incomplete: str) -> list[str]:
    """Return the charts that begin so."""
    from floatlab.cli.chart import CHARTS

    return [name for name in CHARTS if name.startswith(incomplete)]


def path_of(text: str | None) -> Path | None:
    """Return the path that an option names; an empty one would be the folder that one happens to be in.

    >>> str(path_of("runs"))
    'runs'
    """
    if text is not None and not text.strip():
        raise OptionError(f"A path names a file or a folder. Got {text!r}. Name one, as --out results.")
    return None if text is None else Path(text)


# The text itself comes to `path_of`: as a Path, an empty one could not be told from the folder one is in.
PATH: dict[str, Any] = {"parser": str, "metavar": "PATH", "callback": path_of}


FormatOption = Annotated[
    str,
    typer.Option("--format", "-f", help="A format; see `floatlab formats`.", autocompletion=format_names),
]
RoundingOption = Annotated[
    str, typer.Option("--rounding", help="A rounding mode.", autocompletion=mode_names)
]
OverflowOption = Annotated[
    str | None,
    typer.Option("--overflow", help="infinity, nan, saturate or propagate; else the format's own."),
]
SubnormalsOption = Annotated[str, typer.Option("--subnormals", help="gradual, or flush: to zero.")]
FlushInputsOption = Annotated[bool, typer.Option("--flush-inputs", help="Take subnormal numbers as 0.")]
RandomBitsOption = Annotated[
    int | None, typer.Option("--random-bits", help="Of stochastic rounding: how many bits are drawn.")
]
FullOption = Annotated[bool, typer.Option("--full", help="Every step: binade, unit, count, flags.")]
JsonOption = Annotated[bool, typer.Option("--json", help="The same as data.")]

OutOption = Annotated[Path, typer.Option("--out", help="Folder for the results.", **PATH)]
JobsOption = Annotated[
    int, typer.Option("--jobs", min=0, help="Processes side by side; 0: one for each core.")
]
SeedsOption = Annotated[
    str, typer.Option("--seeds", help="How many seeds, from 0 on; or which: 3,4,5, or 7, for one alone.")
]
EngineOption = Annotated[
    str, typer.Option("--engine", help="processes, of this machine; or dask: workers of a cluster.")
]
SchedulerOption = Annotated[
    str | None, typer.Option("--scheduler", help="Of --engine dask: its address, as tcp://10.0.0.1:8786.")
]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Start anew, and forget the runs in the folder.")]


def plain_minus(arguments: Iterable[str]) -> list[str]:
    """Return arguments in which a negative number begins with a printed minus, so that it is no option.

    >>> plain_minus(["-3e5", "--full", "-f", "-0x1.fp3", "-inf"])
    ['−3e5', '--full', '-f', '−0x1.fp3', '−inf']
    """
    number = re.compile(r"-(?=[0-9.]|inf|nan)", re.IGNORECASE)
    return [
        number.sub("−", argument, count=1) if number.match(argument) else argument for argument in arguments
    ]


class NumbersCommand(TyperCommand):
    """A command whose arguments may be negative numbers, which begin like options."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Hide the minus of numbers from the parser of options."""
        return super().parse_args(ctx, plain_minus(args))


def print_version(wanted: bool) -> None:
    """Print the version and end, where that is asked for."""
    if wanted:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"floatlab {version('floatlab')}")
        except PackageNotFoundError:
            print("floatlab, from a folder of its source; it is not installed")
        raise typer.Exit


def scheduler_of(engine: str, scheduler: str | None) -> str | None:
    """Return the address of the cluster that an engine is; None for the processes of this machine.

    Raises
    ------
    OptionError
        If there is no such engine, or an address is missing, or says nothing.

    Examples
    --------
    >>> scheduler_of("processes", None), scheduler_of("dask", "tcp://10.0.0.1:8786")
    (None, 'tcp://10.0.0.1:8786')
    """
    check_option("engine", engine, ("processes", "dask"))
    if (engine == "dask") != bool(scheduler):
        raise OptionError(
            "The engine dask is a cluster, at the address of its scheduler. "
            f"Got --engine {engine} {f'with --scheduler {scheduler}' if scheduler else 'without --scheduler'}. "
            "Use --engine dask --scheduler tcp://10.0.0.1:8786, or neither."
        )
    return scheduler
