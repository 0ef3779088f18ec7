"""One rule says whether a run has failed: less than half of fp32's speed. It knows no task's own scale."""

from __future__ import annotations

import ast
import math
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from floatlab import experiments
from floatlab.experiments import registry
from floatlab.experiments.harness.common import Experiment, Run
from floatlab.experiments.harness.criterion import CRITERION, answers, fails, judged, progress, references_of

FP32 = {"first_loss": 2.0, "epoch_losses": [1.8, 1.0, 0.4, 0.1]}  # half of the epochs: 1.0


@pytest.mark.parametrize(
    ("losses", "failed"),
    [
        ([1.9, 1.5, 1.2, 1.0], False),  # exactly half as fast
        ([1.9, 1.5, 1.2, 1.04], False),
        ([1.9, 1.5, 1.2, 1.06], True),
        ([2.0, 2.0, 2.0, 2.0], True),
        ([2.0, 3.0, 9.0, 30.0], True),
        ([1.8, 1.0, 0.4, None], True),  # null is a NaN of the record
        ([1.8, 1.0, 0.4, float("nan")], True),
        ([1.8, 1.0, 0.4, float("inf")], True),
        ([1.0], False),  # a shorter run is compared with as many epochs of fp32
        ([1.9], True),
    ],
)
def test_a_run_fails_that_is_less_than_half_as_fast(losses, failed):
    assert fails({"epoch_losses": losses}, FP32) is failed


def test_the_rule_has_no_scale_of_its_own():
    for losses in ([1.9, 1.5, 1.2, 1.04], [1.9, 1.5, 1.2, 1.06]):
        for factor in (1e-9, 7.0, 1e12):
            small = {"first_loss": 2.0 * factor, "epoch_losses": [factor * x for x in FP32["epoch_losses"]]}
            mine = {"epoch_losses": [factor * x for x in losses]}
            assert fails(mine, small) == fails({"epoch_losses": losses}, FP32)
            assert progress(mine, small) == pytest.approx(progress({"epoch_losses": losses}, FP32))


FLAT = {"first_loss": 2.0, "epoch_losses": [1.99, 1.98, 1.97, 1.97]}


def test_where_fp32_gets_nowhere_no_run_has_failed_and_none_has_learned():
    for reference in (
        FLAT,
        {"first_loss": 2.0, "epoch_losses": [1.0, None, None, None]},
        {"first_loss": 2.0, "epoch_losses": [1.0, None, 0.5, 0.25]},
        {"first_loss": None, "epoch_losses": [1.0] * 4},
        {"first_loss": 2.0, "epoch_losses": [2.0, 3.0, 9.0, 30.0]},
        {"first_loss": 2.0, "epoch_losses": [1.0, 0.5, 0.5, float("-inf")]},
    ):
        assert not answers(reference)
        for losses in ([1.0] * 4, [2.0] * 4, [None] * 4):
            assert fails({"epoch_losses": losses}, reference) is None
            assert math.isnan(progress({"epoch_losses": losses}, reference))
            assert judged({"epoch_losses": losses}, reference)["failed"] is None
        assert fails(reference, reference) is None
    assert answers(FP32) and fails(FP32, FP32) is False


def test_an_fp32_run_that_learns_late_answers_for_long_runs_alone():
    late = {"first_loss": 2.0, "epoch_losses": [2.0, 2.0, 1.5, 1.0]}
    assert answers(late) and answers(late, 3) and not answers(late, 2)
    assert fails({"epoch_losses": [1.0, 0.5]}, late) is None
    assert fails({"epoch_losses": [2.0, 2.0, 2.0, 2.0]}, late) is True


def test_what_has_fallen_by_noise_has_not_learned_though_fp32_had_done_no_more_by_half_time():
    late = {"first_loss": 2.0, "epoch_losses": [2.0, 1.9999, 1.5, 1.0]}
    assert (
        fails({"epoch_losses": [2.0, 2.0, 2.0, 1.9998]}, late) is True
    )  # "twice as far" as fp32 at half time
    assert fails({"epoch_losses": [2.0, 2.0, 2.0, 1.95]}, late) is False
    assert progress({"epoch_losses": [2.0, 2.0, 2.0, 1.96]}, late) == pytest.approx(1.0)


def test_a_record_is_judged_as_soon_as_its_fp32_run_is_there():
    mine = {"run": "x", "epoch_losses": [None]}
    assert judged(mine, None) == {**mine, "progress": None, "failed": None}
    assert judged(mine, FP32) == {**mine, "progress": None, "failed": True}
    assert judged(mine, FLAT) == {**mine, "progress": None, "failed": None}
    assert judged({"failed": False}, None) == {"failed": False}


@dataclass(frozen=True)
class Walk(Run):
    """A run whose loss falls in a straight line, as fast as its slope says."""

    slope: float = 0.2
    narrow: bool = False
    epochs: int = 4

    def reference(self):
        return self.twin(slope=0.2, narrow=False)


def walk(config):
    losses = [2.0 - config.slope * (k + 1) for k in range(config.epochs)]
    named = {"run": config.run, "seed": config.seed, "first_loss": 2.0, "epoch_losses": losses}
    return {**named, "found": 0.0, "outcome": losses[-1]}


def foretell(config):
    return {"expected": 0.0, "predicted_failure": config.slope < 0.1}


WALKS = (Walk("whole"), Walk("most", slope=0.15), Walk("little", slope=0.05, narrow=True))


def walks(runs):
    return Experiment("walks", "Walks", "How far?", runs, foretell, walk, "share", "loss")


def test_the_registry_judges_every_run_beside_its_own_fp32_run():
    records = registry.run(walks(WALKS), [3, 4])
    assert [r["failed"] for r in records] == [False, False, True] * 2
    assert [r["predicted_failure"] for r in records] == [r["failed"] for r in records]
    assert records[2]["progress"] == pytest.approx(0.5)


def test_a_seed_without_an_answer_is_no_verdict_and_the_claim_says_so():
    flat = replace(WALKS[1], slope=0.001)

    def two_seeds(config):
        found = walk(config)
        if config.seed == 4:
            return {**found, "epoch_losses": FLAT["epoch_losses"]}
        return found

    records = registry.run(replace(walks((WALKS[2],)), train=two_seeds), [3, 4])
    assert [r["failed"] for r in records] == [True, None]
    (claim,) = registry.verdict(walks((WALKS[2],)), records)
    assert claim.holds == (True,)
    (claim,) = registry.verdict(walks((flat,)), records[1:])
    assert claim.holds == () and claim.measured.startswith("no answer, for fp32 itself gets nowhere")


def test_the_command_says_which_seeds_give_no_answer(tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from floatlab import cli

    def nowhere(config):
        return {**walk(config), "epoch_losses": FLAT["epoch_losses"]}

    experiment = replace(walks(WALKS), train=nowhere, vary={"slope": 1.5})
    monkeypatch.setitem(registry.EXPERIMENTS, "walks", experiment)
    line = ["run", "walks", "--seeds", "7,8", "--jobs", "1", "--out", str(tmp_path)]
    result = CliRunner().invoke(cli.app, line)
    text = " ".join(result.output.split())
    assert result.exit_code == 1, text
    assert "No answer from seeds 7, 8 in some runs: their fp32 run gets nowhere itself." in text
    assert "(wrong)" not in text and "Claims that came true in every seed: 0 of 3." in text
    result = CliRunner().invoke(cli.app, [*line, "--neighbours", "2"])
    text = " ".join(result.output.split())
    assert "were right: 0 of 0; 4 without an answer, where fp32 itself gets nowhere." in text


def test_a_listed_run_serves_as_the_fp32_run_of_others_and_a_missing_one_is_trained():
    assert references_of(WALKS) == ([], [0, 0, 0])
    alone = [WALKS[2], replace(WALKS[2], epochs=2)]
    extra, places = references_of(alone)
    assert extra == [Walk("fp32")] and places == [2, 2]  # the longer one begins as the shorter one does
    told = []
    records = registry.run(walks((WALKS[2],)), [0], progress=lambda stage, *_: told.append(stage))
    assert told == ["predicted", "finished", "reference"]
    assert len(records) == 1 and records[0]["failed"]


def test_another_seed_or_setting_has_an_fp32_run_of_its_own():
    runs = [WALKS[2], replace(WALKS[2], seed=1), replace(WALKS[2], growth_interval=7)]
    extra, places = references_of(runs)
    assert [one.seed for one in extra] == [0, 1] and places == [3, 4, 3]


@pytest.mark.parametrize("name", registry.names())
def test_the_fp32_run_of_a_listed_run_is_one_where_nothing_can_fail(name):
    experiment = registry.get(name)
    for run in experiment.runs:
        reference = run.reference()
        assert replace(reference.reference(), run="") == replace(reference, run="")
        assert reference.format == "float32" and reference.seed == run.seed
        if name != "lstm":  # whose prediction takes its time
            short = replace(reference, epochs=1)  # some predictions follow the fp32 run
            assert not experiment.predict(short)["predicted_failure"], run.run


def test_no_experiment_has_a_criterion_of_its_own():
    """A record that brings its own "failed" would be left as it is: an experiment's fp32 run goes into `reference`."""
    folder = Path(experiments.__file__).parent
    own = [
        path.name
        for path in sorted(folder.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.keyword) and node.arg == "failed")
        or (
            isinstance(node, ast.Dict)
            and any(isinstance(k, ast.Constant) and k.value == "failed" for k in node.keys)
        )
    ]
    assert own == []


def test_the_rule_is_printed_with_every_result(tmp_path, monkeypatch):
    import json

    from typer.testing import CliRunner

    from floatlab import cli

    monkeypatch.setitem(registry.EXPERIMENTS, "walks", walks(WALKS))
    result = CliRunner().invoke(
        cli.app, ["run", "walks", "--seeds", "7,", "--jobs", "1", "--out", str(tmp_path)]
    )
    assert result.exit_code == 0, result.output
    assert " ".join(CRITERION.split()) in " ".join(result.output.split())
    assert json.loads((tmp_path / "summary.json").read_text())["criterion"] == CRITERION
    assert {r["seed"] for r in json.loads((tmp_path / "summary.json").read_text())["records"]} == {7}
