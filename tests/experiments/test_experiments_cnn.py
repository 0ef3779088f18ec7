"""A small convolutional network: what its formats lose, and what a scale brings back."""

from dataclasses import replace

from floatlab.experiments.cnn import EXPERIMENT, predict, train

RUNS = {run.run: replace(run, epochs=1) for run in EXPERIMENT.runs}


def test_formats_with_a_large_smallest_number_are_predicted_to_fail():
    fails = {name for name, run in RUNS.items() if predict(run)["predicted_failure"]}
    assert fails == {"E4M3", "E3M4", "fp6 E3M2", "fp4 E2M1"}


def test_a_smaller_threshold_loses_less():
    shares = [
        predict(RUNS[n])["expected"] for n in ("bf16", "fp16", "E5M2", "E4M3, scale 64", "E4M3", "E3M4")
    ]
    assert shares == sorted(shares) and shares[0] == 0.0


def test_the_measured_share_is_near_the_predicted_one():
    for name in ("fp16", "E5M2"):
        assert abs(train(RUNS[name])["found"] - predict(RUNS[name])["expected"]) < 0.05
