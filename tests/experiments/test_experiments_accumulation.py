"""Accumulation width: what a narrow sum swallows, and what becomes of a run."""

from dataclasses import replace

import numpy as np
import pytest

from floatlab.experiments.accumulation import EXPERIMENT, predict, swallowed, train
from floatlab.experiments.harness.criterion import fails
from floatlab.sums import matmul as accumulate
from floatlab.sums.accumulators import Chunked, Sequential, Wide

RUNS = {run.run: replace(run, epochs=12) for run in EXPERIMENT.runs}


@pytest.mark.parametrize("fmt", ["e5m2", "e4m3", "bf16"])
def test_a_sum_of_ones_swallows_all_that_come_after_it_has_stopped(fmt):
    ones = np.ones((600, 1))
    stops = float(accumulate.sum(np.ones(600, np.float32), "fp32", accumulator=fmt))
    # The rule takes the exact partial sums, which are one ahead: the tie at the stop goes to even, and stays.
    assert float(swallowed(ones, Sequential(fmt))[0]) == pytest.approx(600 - stops, abs=1)


def test_nothing_is_swallowed_by_a_wide_sum_and_little_by_short_chunks():
    terms = np.ones((256, 1))
    assert swallowed(terms, Wide())[0] == 0
    assert swallowed(terms, Chunked("e4m3", "fp32", 16))[0] == 0
    assert swallowed(terms, Sequential("e4m3"))[0] > 200


def test_fp8_sums_are_predicted_to_ruin_a_run_and_16_bits_are_not():
    fails = {name.split(",")[0] for name, run in RUNS.items() if predict(run)["predicted_failure"]}
    assert fails == {"E4M3", "E5M2"}


def test_they_do_and_chunks_recover():
    losses = {name: train(RUNS[f"{name}, by class"]) for name in ("wide", "bf16", "E5M2", "E5M2 in chunks")}
    failed = {name for name, found in losses.items() if fails(found, losses["wide"])}
    assert failed == {"E5M2"}


def test_the_figure_draws_accuracy_against_the_precision_of_partial_sums():
    rows = EXPERIMENT.sweep.rows(
        [{"run": run.run, "seed": 0, "adds_in": run.adds_in, "order": run.order, "test_accuracy": 0.5, "failed": False,
          "predicted_failure": False} for run in EXPERIMENT.runs]
    )  # fmt: skip
    assert len(rows) == len(EXPERIMENT.runs) - 2  # a wide sum has no width
    widths = {(r["run"].split(",")[0], r[EXPERIMENT.sweep.x]) for r in rows}
    assert widths == {
        ("fp16", 11),
        ("bf16", 8),
        ("E4M3", 4),
        ("E4M3 in chunks", 4),
        ("E5M2", 3),
        ("E5M2 in chunks", 3),
    }
    assert {r[EXPERIMENT.sweep.by] for r in rows} == {
        "shuffled", "by class", "shuffled, in chunks of 16", "by class, in chunks of 16",
    }  # fmt: skip
