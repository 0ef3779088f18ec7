"""Experiments say first what they expect, keep what they finish, and give the same records everywhere."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest

from floatlab.autograd import observers
from floatlab.errors import ExperimentError, OptionError
from floatlab.experiments import registry
from floatlab.experiments.harness.common import Claim, Experiment, Run, accuracy, lost

ROOT = Path(__file__).parents[2]
NAMES = registry.names()


@dataclass(frozen=True)
class Coin(Run):
    """A run that takes no time."""

    value: float = 1.0


def guess(config):
    return {"expected": 0.5, "predicted_failure": config.value > 1}


def toss(config):
    return {
        "run": config.run,
        "seed": config.seed,
        "found": 0.5,
        "outcome": config.value,
        "failed": config.value > 1,
    }


def coins(**changes):
    runs = (Coin("low", value=0.5), Coin("high", value=2.0))
    return Experiment("coins", "Coins", "Which side?", runs, guess, toss, "share", "value", **changes)


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_asks_a_question_and_names_its_runs_apart(name):
    experiment = registry.get(name)
    assert experiment.name == name
    assert experiment.question.endswith("?")
    runs = [run.run for run in experiment.runs]
    assert len(set(runs)) == len(runs)
    assert all(run.seed == 0 for run in experiment.runs)


FOLLOWING = (  # whose predictions follow the fp32 run
    "underflow",
    "loss-scale-ladder",
    "through-time",
    "cnn",
    "precision-schedule",
)


@pytest.mark.parametrize("name", NAMES)
def test_every_experiment_has_runs_that_learn_and_runs_that_do_not(name):
    experiment = registry.get(name)
    small = {"epochs": 1} if name in FOLLOWING else {"blank_steps": 40} if name == "lstm" else {}
    expected = {experiment.predict(replace(run, **small))["predicted_failure"] for run in experiment.runs}
    assert expected == {False, True}


@pytest.mark.parametrize("name", NAMES)
def test_a_prediction_computes_in_fp32_alone(name):
    experiment = registry.get(name)
    small = {"blank_steps": 4} if name in ("through-time", "lstm") else {}
    small |= {"epochs": 1} if name in FOLLOWING else {}
    seen = set()
    token = observers.set((lambda event: seen.add(event.format.name),))
    try:
        for run in experiment.runs:
            experiment.predict(replace(run, seed=77, **small))  # a seed that nothing is remembered of
    finally:
        observers.reset(token)
    assert seen == {"float32"}


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(OptionError, match='Use "stagnation"'):
        registry.run("stagnatoin")


@pytest.mark.parametrize("seeds", [[], [-1]])
def test_seeds_that_are_none_are_refused(seeds):
    with pytest.raises(OptionError, match="seeds"):
        registry.run(coins(), seeds)


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExperimentError, match="--out"):
        registry.run(coins(), [0], out=tmp_path / "file")


def test_every_prediction_is_there_before_the_first_run():
    stages = []
    registry.run(coins(), [0, 1], progress=lambda stage, config, record: stages.append(stage))
    assert stages == ["predicted"] * 4 + ["finished"] * 4


def test_records_come_seed_by_seed_with_their_predictions():
    records = registry.run(coins(), [3, 1, 3])
    assert [(r["seed"], r["run"]) for r in records] == [(3, "low"), (3, "high"), (1, "low"), (1, "high")]
    assert [r["predicted_failure"] for r in records] == [False, True] * 2


def test_an_interrupted_experiment_goes_on_where_it_stopped(tmp_path):
    whole = registry.run(coins(), [0, 1], out=tmp_path)
    journal = tmp_path / "records.jsonl"
    lines = journal.read_text().splitlines()
    journal.write_text("\n".join(lines[:-2]) + "\n" + lines[-2][:20])  # one run cut off, one missing
    stages = []
    again = registry.run(
        coins(),
        [0, 1],
        out=tmp_path,
        progress=lambda stage, config, record: stages.append((stage, config.run)),
    )
    assert [s for s in stages if s[0] == "finished"] == [("finished", "low"), ("finished", "high")]
    assert len([s for s in stages if s[0] == "predicted"]) == 4  # told again, though not computed again
    assert again == whole


def test_what_was_found_in_the_folder_is_said_before_anything_is_done(tmp_path):
    told = []
    options = {"out": tmp_path, "found": told.append, "progress": lambda stage, *_: told.append(stage)}
    registry.run(coins(), [0], **options)
    assert told == ["predicted"] * 2 + ["finished"] * 2
    told.clear()
    registry.run(coins(), [0, 1], **options)
    assert "2 finished runs were found" in told[0]
    told.clear()
    lines = [json.loads(line) for line in (tmp_path / "records.jsonl").read_text().splitlines()]
    text = "".join(json.dumps({**line, "source": "of another day"}) + "\n" for line in lines)
    (tmp_path / "records.jsonl").write_text(text)
    registry.run(coins(), [0], **options)
    assert "8 records" in told[0] and "set aside" in told[0] and "taken over" not in told[0]
    assert (tmp_path / "records.jsonl").read_text().startswith(text)


def test_the_summary_holds_records_and_claims(tmp_path):
    records = registry.run(coins(), [0], out=tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["records"] == records
    assert [claim["holds"] for claim in summary["claims"]] == [[True], [True]]


def test_a_wrong_prediction_is_a_claim_that_does_not_hold():
    records = registry.run(coins(), [0, 1])
    records[2]["failed"] = True
    claims = registry.verdict(coins(), records)
    assert claims[0].holds == (True, False)
    assert claims[1].holds == (True, True)


def test_claims_of_an_experiment_come_after_those_of_its_runs():
    extra = Claim("more", "1", "2", (False,))
    claims = registry.verdict(coins(claims=lambda records: [extra]), registry.run(coins(), [0]))
    assert claims[-1] is extra and len(claims) == 3


def test_the_twin_of_a_run_is_fp32_and_keeps_the_rest():
    run = Coin("x", "fp16", "", "static", 8.0, 3, 7, value=5.0)
    assert run.gradient_format == "float16"
    twin = run.twin()
    assert (twin.format, twin.gradient_format, twin.loss_scaling, twin.initial_scale) == (
        "float32", "float32", "none", 1.0,
    )  # fmt: skip
    assert (twin.seed, twin.value) == (7, 5.0)


def test_the_threshold_of_a_run_counts_its_scale_and_its_gradient_format():
    assert Run("x", "fp16").threshold == 2.0**-25
    assert Run("x", "e4m3", "e5m2", "static", 4.0).threshold == 2.0**-19


def test_zeros_do_not_count_as_lost_and_ties_do():
    assert lost(1.0, np.array([0.0, -1.0]), np.array([[2.0]])) == 0.5
    assert lost(1.0, np.zeros(3)) == 0.0


def test_a_row_of_nan_is_a_wrong_answer():
    assert accuracy(np.full((2, 3), np.nan), np.zeros(2, int)) == 0.0


# -- the same records everywhere -----------------------------------------------------------------

# Of each experiment the run that is last to fail and one beside it, as short as they can be.
SHORT = """
import hashlib, json, sys
from dataclasses import fields, replace
from floatlab.experiments import registry
for name in sys.argv[1:] or registry.names():
    experiment = registry.get(name)
    runs = [experiment.runs[k] for k in (1, -1)]
    short = []
    for run in runs:
        has = {f.name for f in fields(run)}
        changes = {"epochs": 1, "blank_steps": 6, "batch_size": 240}
        if name == "accumulation-width":
            changes = {"epochs": 1}
        if "batches" in has:  # of sequences, of which 240 are a long batch
            changes = {"epochs": 1, "batches": 2}
        short.append(replace(run, **{k: v for k, v in changes.items() if k in has}))
    experiment = replace(experiment, runs=tuple(short), claims=lambda records: [])
    records = registry.run(experiment, seeds=[0])
    print(name, hashlib.sha256(json.dumps(records, sort_keys=True).encode()).hexdigest())
"""


def features():
    """Return the CPU features that this NumPy has code for, beyond its baseline, and that this CPU has."""
    from numpy._core import _multiarray_umath as core

    return [name for name in core.__cpu_dispatch__ if core.__cpu_features__.get(name)]


def fingerprints(*names, **settings):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **settings}
    result = subprocess.run(
        [sys.executable, "-c", SHORT, *names],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
        cwd=ROOT,
    )
    return dict(line.split() for line in result.stdout.splitlines())


@pytest.fixture(scope="module")
def here():
    return fingerprints(OPENBLAS_NUM_THREADS="1")


@pytest.mark.parametrize(
    "settings",
    [
        {"OPENBLAS_NUM_THREADS": "1", "OPENBLAS_CORETYPE": "Nehalem"},
        {"OPENBLAS_NUM_THREADS": "1", "NPY_DISABLE_CPU_FEATURES": " ".join(features())},
    ],
    ids=["old BLAS kernels", "no vector instructions beyond the baseline"],
)
def test_records_are_the_same_bits_with_other_settings(here, settings):
    assert list(here) == NAMES
    assert fingerprints(**settings) == here


def test_records_are_the_same_bits_with_more_threads(here):
    # Two experiments only: threads that wait for each other are slow on a busy machine.
    some = ("small-units", "accumulation-width")
    assert fingerprints(*some, OPENBLAS_NUM_THREADS="4") == {name: here[name] for name in some}


def test_every_field_of_a_configuration_is_part_of_a_records_identity():
    from floatlab.experiments.harness.runner import Journal

    run = Coin("x")
    keys = {Journal.key(toss, run), Journal.key(guess, run)}
    changed = {"run": "y", "format": "fp16", "gradient_format": "bf16", "loss_scaling": "static"}
    for field in fields(run):
        value = changed.get(field.name, 2)
        keys.add(Journal.key(toss, replace(run, **{field.name: value})))
    assert len(keys) == 2 + len(fields(run))
