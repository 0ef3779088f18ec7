"""What does the command draw? A chart of `floatlab.plots` by its name, and the outcome of an experiment."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from floatlab import plots
from floatlab.errors import DataError, OptionError, check_option
from floatlab.experiments.harness.common import Experiment
from floatlab.experiments.harness.criterion import CRITERION
from floatlab.rounding.quantize import quantize

__all__ = ["CHARTS", "chart_command", "draw_run"]

CHARTS: dict[str, Callable[..., Any]] = {
    "ranges": plots.plot_ranges,
    "precision": plots.plot_precision,
    "values": plots.plot_values,
    "codes": plots.plot_codes,
    "compare": plots.plot_compare,
    "bits": plots.plot_bits,
    "rounding": plots.plot_rounding,
    "operation": plots.plot_operation,
    "agreement": plots.plot_agreement,
    "accumulation": plots.plot_accumulation,
    "histogram": plots.plot_histogram,
    "quantization": plots.plot_quantization,
    "rules": plots.plot_rules,
}


def chart_command(
    name: str, inputs: Sequence[str], formats: Sequence[str], *, out: Path | None, **look: Any
) -> Path:
    """Draw a chart and return the file.

    Parameters
    ----------
    name : str
        As in `CHARTS`.
    inputs : sequence of str
        What the chart is about, where it is about more than formats: numbers or an .npy file, an operation ("add"), a
        function ("exp").
    formats : sequence of str
        As many as the chart takes; none for its own choice.
    out : Path or None
        The file, whose ending says its type; ``NAME.png`` if it is None.
    **look
        size, dark, title.

    Raises
    ------
    OptionError, DataError
        For an unknown chart, formats or inputs that the chart doesn't take, and a file that is no array of numbers.
    """
    check_option("chart", name, CHARTS)
    parameters = inspect.signature(CHARTS[name]).parameters
    arguments = _input_of(name, parameters, inputs) | _formats_of(name, parameters, formats)
    figure = CHARTS[name](**arguments, **{key: value for key, value in look.items() if value is not None})
    return Path(plots.save(figure, out or Path(f"{name}.png")))


def _input_of(name: str, parameters: Any, inputs: Sequence[str]) -> dict[str, Any]:
    taken = next((key for key in ("x", "op", "f") if key in parameters), None)
    if not inputs:
        if taken is None or parameters[taken].default is not inspect.Parameter.empty:
            return {}
        raise OptionError(
            f"The chart {name} draws numbers. Got none. Name an .npy file, or write the numbers."
        )
    if taken is None:
        raise OptionError(
            f"The chart {name} is about formats alone. Got {inputs[0]!r}. Use --format for a format."
        )
    if taken != "x":
        if len(inputs) > 1:
            raise OptionError(f"The chart {name} draws one at a time. Got {', '.join(inputs)}. Choose one.")
        return {taken: inputs[0]}
    if len(inputs) == 1 and inputs[0].endswith(".npy"):
        return {"x": _loaded(Path(inputs[0]))}
    return {"x": quantize([text.replace("−", "-") for text in inputs], "float64")}


def _formats_of(name: str, parameters: Any, formats: Sequence[str]) -> dict[str, Any]:
    if not formats:
        return {}
    if "formats" in parameters:
        return {"formats": list(formats)}
    names = [key for key in ("fmt", "a", "b") if key in parameters]
    if len(names) != len(formats):
        count = {0: "no format", 1: "one format", 2: "two formats"}[len(names)]
        raise OptionError(f"The chart {name} takes {count}. Got {', '.join(formats)}. Use as many.")
    return dict(zip(names, formats, strict=True))


def _loaded(path: Path) -> Any:
    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise DataError(
            f"An .npy file holds an array of numbers. Got {path}: {error}. Use another."
        ) from None


def draw_run(experiment: Experiment, records: Sequence[dict[str, Any]], folder: Path) -> list[str]:
    """Draw the outcome of an experiment into its folder, and return the names of the files."""
    figure = plots.plot_experiment(
        records,
        title=experiment.title,
        outcome=experiment.outcome,
        expected=experiment.expected,
        logarithmic=experiment.logarithmic,
        criterion=CRITERION,
    )
    files = [plots.save(figure, folder / "outcome.png").name]
    sweep = experiment.sweep
    if sweep is not None and (rows := sweep.rows(list(records))):
        figure = plots.plot_sweep(
            rows, sweep.x, y=sweep.y, by=sweep.by, base=sweep.base, predicted=sweep.predicted(list(records)),
            criterion=CRITERION,
        )  # fmt: skip
        files.append(plots.save(figure, folder / "sweep.png").name)
    return files
