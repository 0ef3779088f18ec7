"""Long sums in fp8: the distribution says what is measured, on one side of the truth and on the other."""

from __future__ import annotations

import numpy as np
import pytest

from floatlab.errors import OptionError
from floatlab.experiments import long_sums
from floatlab.experiments.long_sums import measured, operand_error, predicted

SEED = 31  # on which no prediction was looked at


@pytest.mark.parametrize("length", [128, 1024, 4096, 16384])
def test_a_sum_of_one_sign_loses_what_the_distribution_says(length):
    tolerance = (
        0.08 if length == 128 else 0.01
    )  # of short sums the errors themselves vary, and their mean is predicted
    assert measured("h100", "uniform", length, SEED, size=32) == pytest.approx(
        predicted("h100", "uniform", length), rel=tolerance
    )


@pytest.mark.parametrize("length", [512, 4096])
def test_a_random_walk_loses_what_the_distribution_says(length):
    assert measured("h100", "gaussian", length, SEED, size=32) == pytest.approx(
        predicted("h100", "gaussian", length), rel=0.1
    )


def test_the_errors_are_the_published_ones():
    expected = {1024: 1.35, 4096: 6.6, 16384: 25, 65536: 55}
    for length, share in expected.items():
        assert 100 * predicted("h100", "uniform", length) == pytest.approx(share, rel=0.02)
    assert 100 * predicted("h100", "gaussian", 4096) == pytest.approx(0.14, rel=0.08)


def test_promotion_keeps_the_error_where_it_is_after_128_products():
    unit = "h100:promote=128"
    for length in (128, 4096, 16384):
        assert predicted(unit, "uniform", length) == predicted("h100", "uniform", 128)
        assert 100 * measured(unit, "uniform", length, SEED, size=32) == pytest.approx(0.050, rel=0.08)


def test_numbers_around_zero_lose_far_less_than_rounding_their_operands_has_cost():
    ratio = operand_error("gaussian", 4096, SEED) / measured("h100", "gaussian", 4096, SEED)
    assert 20 < ratio < 40
    assert operand_error("uniform", 4096, SEED) < measured("h100", "uniform", 4096, SEED) / 20


def test_a_blackwell_loses_nothing_to_speak_of_and_has_no_prediction():
    assert predicted("b200", "uniform", 4096) is None
    assert measured("b200", "uniform", 4096, SEED) < 1e-6


def test_a_prediction_knows_nothing_of_the_code_that_it_predicts(monkeypatch):
    before = predicted("h100", "uniform", 1024)
    monkeypatch.setattr(long_sums, "quantize", lambda x, fmt: np.ones_like(x))
    long_sums._products.cache_clear()
    assert predicted("h100", "uniform", 1024) == before


def test_unknown_data_is_refused():
    for function in (predicted, lambda unit, data, length: measured(unit, data, length, 0)):
        with pytest.raises(OptionError, match="gaussian"):
            function("h100", "gausian", 128)
