"""Underflow and recovery: from which loss weight down do gradients vanish, and what brings them back?

The loss weight w multiplies the loss, as a weight of one term among several does, and the learning rate is divided by
w. In exact arithmetic w changes nothing. In fp16 the output gradient (p - y) w / N is zero wherever it is at most
2^-25, and with w = 1e-6 that is everywhere. With w = 1, fp16 needs no help at all; both are shown.

fp8 is the usual hybrid: E4M3 for activations and weights, E5M2 for gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from floatlab.experiments.harness.criterion import CRITERION, judged, references_of
from floatlab.experiments.harness.prediction import LayerGradients, Prediction, predict, predicted_cliff
from floatlab.experiments.harness.runner import Journal, Record, run_all, write_json
from floatlab.experiments.harness.training import TrainingConfig, first_step, fp32_twin, train

__all__ = [
    "CLIFF_WEIGHTS",
    "DEMO_WEIGHTS",
    "RUNS",
    "Underflow",
    "gradient_histograms",
    "gradient_panels",
    "predict_runs",
    "predicted_cliffs",
    "run_underflow",
    "summarise",
]

_E5M2, _E4M3 = "float8_e5m2", "float8_e4m3fn"

RUNS: tuple[TrainingConfig, ...] = (
    TrainingConfig("fp32"),
    TrainingConfig("bf16", "bf16", "bf16"),
    TrainingConfig("fp16", "fp16", "fp16"),
    TrainingConfig("fp16 static", "fp16", "fp16", "static", 2.0**10),
    TrainingConfig("fp16 dynamic", "fp16", "fp16", "dynamic", 2.0**16),
    TrainingConfig("fp8", _E4M3, _E5M2),
    TrainingConfig("fp8 dynamic", _E4M3, _E5M2, "dynamic", 2.0**16),
)
DEMO_WEIGHTS = (1.0, 1e-6)
CLIFF_WEIGHTS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)


@dataclass(frozen=True)
class Underflow:
    """Which runs to do: every one of `runs`, with every loss weight and seed."""

    seeds: tuple[int, ...] = (0, 1, 2)
    loss_weights: tuple[float, ...] = DEMO_WEIGHTS
    runs: tuple[TrainingConfig, ...] = RUNS

    def configs(self) -> list[TrainingConfig]:
        """Return the configurations: for each seed all weights, for each weight all runs."""
        return [
            replace(run, loss_weight=weight, seed=seed)
            for seed in self.seeds
            for weight in self.loss_weights
            for run in self.runs
        ]


def run_underflow(
    setup: Underflow,
    folder: Path,
    *,
    jobs: int = 1,
    fresh: bool = False,
    on_record: Callable[[TrainingConfig, Record], None] | None = None,
    on_resume: Callable[[int], None] | None = None,
    on_found: Callable[[str], None] | None = None,
) -> list[Record]:
    """Do the runs that `folder` does not have yet; ``summary.json`` there always holds all that are finished.

    Returns the records in the order of ``setup.configs()``. `on_resume` is told how many runs were there already,
    `on_found` in words, with what another source of floatlab left there; `on_record` is told of each one that finishes.
    """
    configs = setup.configs()
    others, twins = references_of(configs)
    every = [*configs, *others]
    journal = Journal(folder / "records.jsonl", fresh=fresh)
    keys = [Journal.key(train, config) for config in every]

    def finished() -> list[Record]:
        found = [journal.records.get(key) for key in keys]
        runs = zip(found[: len(configs)], twins, strict=True)
        return [judged(record, found[twin]) for record, twin in runs if record is not None]

    def keep(config: TrainingConfig | None = None, record: Record | None = None) -> None:
        write_json(folder / "summary.json", {"criterion": CRITERION, "runs": finished()})
        if config is not None and record is not None and on_record is not None:
            on_record(config, record)

    keep()
    if on_found is not None and journal.findings(keys):
        on_found(journal.findings(keys))
    if on_resume is not None:
        on_resume(sum(key in journal.records for key in keys))
    run_all(train, every, journal, jobs=jobs, on_record=keep)
    return finished()


# -- before the runs: predictions ------------------------------------------------------------------


def predict_runs(setup: Underflow) -> dict[tuple[str, float], list[Prediction]]:
    """Predict every run from the first fp32 step with its seed and loss weight, and from nothing else.

    Returns a list with one prediction a seed, for each name of a run and loss weight.
    """
    found: dict[tuple[str, float], list[Prediction]] = {}
    for seed in setup.seeds:
        for weight in setup.loss_weights:
            exact = first_step(replace(fp32_twin(setup.runs[0]), seed=seed, loss_weight=weight))
            for run in setup.runs:
                expected = predict(exact, run.gradient_format, scale=run.initial_scale)
                found.setdefault((run.run, weight), []).append(expected)
    return found


def predicted_cliffs(setup: Underflow) -> dict[str, float]:
    """Return for each run the loss weight below which it is predicted to fail; the geometric mean over seeds."""
    logs: dict[str, list[float]] = {run.run: [] for run in setup.runs}
    for seed in setup.seeds:
        exact = first_step(replace(fp32_twin(setup.runs[0]), seed=seed, loss_weight=1.0))
        for run in setup.runs:
            cliff = predicted_cliff(exact, 1.0, run.gradient_format, scale=run.initial_scale)
            logs[run.run].append(float(np.log(cliff)))
    return {name: float(np.exp(fmean(values))) for name, values in logs.items()}


Histogram = tuple[list[int], list[int]]


def gradient_histograms(layers: Mapping[str, LayerGradients], factor: float = 1.0) -> dict[str, Histogram]:
    """Count gradient magnitudes by powers of two, all layers together, each times `factor`.

    Returns exponents and counts, of the gradients of the layers' outputs and of their weights. Zeros are left out.
    """
    kinds = {
        "gradients of layer outputs": [layer.output_gradient for layer in layers.values()],
        "gradients of weights": [layer.weight_gradient for layer in layers.values()],
    }
    return {
        kind: _histogram(np.concatenate([a.ravel() for a in arrays]), factor)
        for kind, arrays in kinds.items()
    }


def _histogram(gradients: np.ndarray[Any, Any], factor: float) -> Histogram:
    magnitudes = np.abs(gradients[gradients != 0].astype(np.float64)) * factor
    exponents = np.frexp(magnitudes)[1] - 1  # 2**e <= magnitude < 2**(e + 1)
    if not exponents.size:
        return [], []
    values = np.arange(exponents.min(), exponents.max() + 1)
    counts = np.bincount(exponents - exponents.min(), minlength=len(values))
    return values.tolist(), counts.tolist()


Panels = dict[str, dict[str, Histogram]]


def gradient_panels(seed: int = 0, scale: float = 2.0**16) -> tuple[Panels, dict[str, str]]:
    """Return histograms of the first fp32 step with both loss weights, and with the loss scaled; and what is lost.

    The second part says for each histogram which share of the weight gradients fp16 and fp8 E5M2 will lose.
    """
    panels: Panels = {}
    notes: dict[str, str] = {}
    large, small = DEMO_WEIGHTS
    for title, weight, factor in (
        ("Loss weight 1", large, 1.0),
        ("Loss weight $10^{-6}$", small, 1.0),
        (f"Loss weight $10^{{-6}}$, loss scaled by $2^{{{round(np.log2(scale))}}}$", small, scale),
    ):
        exact = first_step(TrainingConfig(loss_weight=weight, seed=seed))
        panels[title] = gradient_histograms(exact, factor)
        shares = []
        for name, fmt in (("fp16", "float16"), ("fp8 E5M2", _E5M2)):
            lost = predict(exact, fmt, scale=factor).weight_gradients
            sizes = {k: np.count_nonzero(layer.weight_gradient) for k, layer in exact.items()}
            shares.append(f"{name} {sum(lost[k] * sizes[k] for k in lost) / sum(sizes.values()):.0%}")
        notes[title] = "weight gradients lost:\n" + ", ".join(shares)
    return panels, notes


# -- after the runs: what came of it ---------------------------------------------------------------


@dataclass(frozen=True)
class Summary:
    """What the seeds of one run and loss weight came to.

    Attributes
    ----------
    predicted, measured : dict
        For each layer the share of weight gradients lost at the first step, mean over the seeds.
    largest_gap : float
        The largest difference between the two, over layers and seeds.
    expected_to_fail, failed : int
        In how many seeds.
    accuracies : tuple of float
        The test accuracy of each seed, 0 to 1.
    """

    run: str
    loss_weight: float
    predicted: dict[str, float]
    measured: dict[str, float]
    largest_gap: float
    expected_to_fail: int
    failed: int
    accuracies: tuple[float, ...]
    skipped_steps: int
    final_scale: float | None


def summarise(records: Sequence[Record]) -> list[Summary]:
    """Put the seeds of each run and loss weight together, in the order in which they first appear."""
    groups: dict[tuple[float, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record["loss_weight"], record["run"]), []).append(record)
    found = []
    for (weight, run), mine in groups.items():
        layers = list(mine[0]["predicted_zero_share"])
        found.append(
            Summary(
                run,
                weight,
                {k: fmean(r["predicted_zero_share"][k] for r in mine) for k in layers},
                {k: fmean(r["zero_gradient_share"][k] for r in mine) for k in layers},
                max(
                    abs(r["predicted_zero_share"][k] - r["zero_gradient_share"][k])
                    for r in mine
                    for k in layers
                ),
                sum(r["predicted_failure"] for r in mine if r["failed"] is not None),
                sum(bool(r["failed"]) for r in mine),
                tuple(r["test_accuracy"] for r in mine),
                sum(r["skipped_steps"] for r in mine),
                mine[0]["final_scale"],
            )
        )
    return found
