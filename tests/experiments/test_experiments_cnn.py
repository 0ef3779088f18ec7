"""A small convolutional network: what its formats lose, and what a scale brings back."""

from dataclasses import replace

from floatlab.experiments.cnn import EXPERIMENT, predict, train
from floatlab.formats import FloatFormat, get_format

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


def test_a_format_that_ends_low_fails_by_overflow_whatever_the_scale():
    # E3M4 ends at 15.5, and the scores outgrow it: no loss scale helps, but a format that ends higher does.
    listed = {run.run: run for run in EXPERIMENT.runs}
    for scale in (64.0, 128.0):
        scaled = replace(listed["E3M4"], loss_scaling="static", initial_scale=scale)
        expected = predict(scaled)
        assert expected["expected"] < 0.5 and expected["predicted_overflow"] and expected["predicted_failure"]
        assert not predict(replace(scaled, format="e4m4"))["predicted_overflow"]


def test_nothing_is_known_of_a_format_but_its_fields():
    for run in EXPERIMENT.runs:
        fmt = get_format(run.format)
        other = FloatFormat("nobody", fmt.exponent_bits, fmt.mantissa_bits, fmt.bias, fmt.specials)
        same = {"format": other.spec, "gradient_format": other.spec}
        if run.format == run.gradient_format != "float32":
            assert predict(replace(run, epochs=1, **same)) == predict(replace(run, epochs=1))
