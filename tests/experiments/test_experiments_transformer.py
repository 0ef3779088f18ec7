"""A small GPT: the model is short, its rule tells formats apart, and masks of -inf and -1e9 are one."""

import inspect
from dataclasses import replace

import numpy as np
import pytest

from floatlab.autograd import Tensor
from floatlab.experiments import transformer
from floatlab.experiments.harness.criterion import fails
from floatlab.experiments.transformer import (
    EXPERIMENT,
    GPT,
    SHADES,
    Language,
    first_gradients,
    predict,
    texts,
    train,
)

RUNS = {run.run: replace(run, epochs=1, batches=2) for run in EXPERIMENT.runs}


def test_the_model_is_at_most_sixty_lines() -> None:
    parts = (transformer.Attention, transformer.Block, transformer.GPT)
    assert sum(len(inspect.getsource(part).splitlines()) for part in parts) <= 60


def test_no_place_sees_what_comes_after_it() -> None:
    words, following = next(iter(texts(Language())()))
    assert np.array_equal(words[:, 1:], following[:, :-1]) and words.max() < SHADES
    network = GPT(Language())
    scores = network(Tensor(words)).data
    changed = words.copy()
    changed[:, 20:] = 0
    assert np.array_equal(network(Tensor(changed)).data[:, :, :20], scores[:, :, :20])
    assert not np.array_equal(network(Tensor(changed)).data[:, :, 20:], scores[:, :, 20:])


def test_formats_with_a_large_smallest_number_are_predicted_to_fail() -> None:
    assert {name for name, run in RUNS.items() if predict(run)["predicted_failure"]} == {
        "E4M3",
        "fp16, w = 1e-5",
    }


def test_the_gradients_of_scores_are_smaller_than_those_of_linear_layers() -> None:
    for seed in range(3):
        linear, scores = (np.median(np.abs(x[x != 0])) for x in first_gradients(Language(seed=seed)))
        assert linear / 16 < scores < linear / 4


@pytest.mark.parametrize("name", ["fp16", "E5M2", "E4M3, scale 256", "fp16, w = 1e-3"])
def test_what_the_run_loses_is_what_was_predicted(name: str) -> None:
    expected, found = predict(RUNS[name]), train(RUNS[name])
    assert found["found"] == pytest.approx(expected["expected"], abs=0.02)
    assert found["found_in_scores"] == pytest.approx(expected["expected_in_scores"], abs=0.02)


def test_masks_of_minus_infinity_and_a_large_number_give_the_same_weights() -> None:
    digests = {train(RUNS[name])["weights_sha256"] for name in ("fp16", "fp16, mask -1e9")}
    assert len(digests) == 1
    assert (
        train(replace(RUNS["fp16"], mask=-2.0))["weights_sha256"] not in digests
    )  # one that lets something through


def test_a_run_that_is_predicted_to_fail_does() -> None:
    fp32, lost, saved = (
        train(replace(RUNS[name], epochs=2, batches=15))
        for name in ("fp32", "fp16, w = 1e-5", "fp16 static, w = 1e-5")
    )
    assert fails(lost, fp32) and not fails(saved, fp32)
