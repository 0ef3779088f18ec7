"""The ladder of loss scales: too small, right, too large."""

from dataclasses import replace

from floatlab.experiments.loss_scaling import LADDER, UNDERFLOW, predict, train

RUNS = {run.run: replace(run, epochs=3) for run in LADDER.runs}


def test_a_window_of_scales_is_predicted_to_learn():
    fails = [predict(RUNS[f"scale 2^{k}"])["predicted_failure"] for k in (0, 6, 12, 18, 24, 30, 36, 42, 48)]
    assert fails == [True, False, False, False, False, False, False, True, True]


def test_too_large_a_scale_skips_every_step_and_leaves_the_weights_as_they_were():
    large, larger = train(RUNS["scale 2^42"]), train(RUNS["scale 2^48"])
    assert large["skipped_steps"] == large["steps"] and min(large["epoch_losses"]) > 2.2
    assert large["weights_sha256"] == larger["weights_sha256"]


def test_a_dynamic_scale_comes_down_by_halves_until_nothing_overflows():
    run = train(RUNS["dynamic from 2^60"])
    first = run["overflow_steps"]
    assert first[:15] == list(range(15)) and run["skipped_steps"] < run["steps"] / 2


def test_the_demonstration_is_in_the_registry_with_both_loss_weights():
    assert {run.loss_weight for run in UNDERFLOW.runs} == {1.0, 1e-6}
    fails = {run.run for run in UNDERFLOW.runs if predict(replace(run, epochs=1))["predicted_failure"]}
    assert {"fp16, w = 1e-06", "fp8, w = 1e-06"} <= fails
    assert not any(name.endswith("w = 1") for name in fails)


def test_the_end_of_the_range_is_looked_for_in_the_whole_run_and_not_in_its_first_step():
    # An activation format that ends at 15.5: the first pass fits, and the scores of a trained network do not.
    run = replace(RUNS["scale 2^12"], format="e3m4", gradient_format="e8m10", epochs=6)
    found = predict(run)
    assert not found["predicted_overflow"] and found["predicted_failure"]
    assert not predict(replace(run, format="e4m4"))["predicted_failure"]
    assert not predict(replace(run, format="float6_e3m2fn"))["predicted_failure"]  # which saturates


def test_an_overflow_of_the_first_step_is_seen_in_its_gradients_with_a_scaler_and_without():
    for scaling, scale, fmt in (("static", 2.0**48, "fp16"), ("none", 1.0, "float8_e3m4")):
        run = replace(
            RUNS["scale 2^0"],
            epochs=1,
            format=fmt,
            gradient_format=fmt,
            loss_scaling=scaling,
            initial_scale=scale,
        )
        if scaling == "none":
            run = replace(run, loss_weight=1e4)
        assert predict(run)["predicted_overflow"] and predict(run)["expected"] == train(run)["found"] == 1.0
