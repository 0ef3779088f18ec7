"""Errors of block formats: a distribution says what is measured, and the transform helps one and harms another."""

import numpy as np
import pytest

from floatlab.errors import OptionError
from floatlab.experiments.block_format_errors import DATA, measured, predicted, sample

SMALL = (256, 1024)


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize(
    "case", ["MXFP8 e4m3, rceil", "MXFP4, floor", "MXFP4, even", "NVFP4", "int4 in groups of 32"]
)
def test_the_error_is_what_the_distribution_says(case: str, data: str) -> None:
    """Without a number drawn, and with the definition written out once more."""
    tolerance = 0.05 if data == "student" else 0.02  # whose large numbers are few, and heavy
    assert measured(case, data, 21, SMALL) == pytest.approx(predicted(case, data), rel=tolerance)


def test_the_transform_lowers_the_error_of_mxfp4_under_outliers_and_raises_that_of_nvfp4() -> None:
    for found in (
        lambda case: predicted(case, "outliers"),
        lambda case: measured(case, "outliers", 21, SMALL),
    ):
        assert found("MXFP4, rceil, transform") < 0.75 * found("MXFP4, rceil")
        assert found("NVFP4, transform") > 1.3 * found("NVFP4")


def test_the_transform_changes_nothing_of_gaussian_numbers() -> None:
    for name in ("MXFP4, rceil", "NVFP4"):
        assert predicted(f"{name}, transform", "gaussian") == predicted(name, "gaussian")
        plain, turned = (measured(case, "gaussian", 21, SMALL) for case in (name, f"{name}, transform"))
        assert turned == pytest.approx(plain, rel=0.01)


def test_four_over_six_is_better_than_nvfp4_and_square_tiles_are_worse() -> None:
    for data in DATA:
        plain, chosen, tiles = (
            measured(case, data, 21, SMALL) for case in ("NVFP4", "NVFP4, four over six", "NVFP4, 16 x 16")
        )
        assert chosen < plain < tiles


def test_a_prediction_knows_nothing_of_the_code_that_it_predicts(monkeypatch: pytest.MonkeyPatch) -> None:
    from floatlab.experiments import block_format_errors

    before = predicted("MXFP4, floor", "gaussian")
    monkeypatch.setattr(block_format_errors, "quantize_blocks", lambda x, *_, **__: x * 0.5)
    predicted.cache_clear()
    assert predicted("MXFP4, floor", "gaussian") == before
    assert measured("MXFP4, floor", "gaussian", 21, SMALL) == pytest.approx(0.5, rel=1e-6)


def test_samples_are_of_a_seed_and_their_outliers_in_one_channel_of_128() -> None:
    x = sample("outliers", 3, SMALL)
    assert np.array_equal(x, sample("outliers", 3, SMALL))
    assert not np.array_equal(x, sample("outliers", 4, SMALL))
    sizes = np.abs(x).mean(axis=0)
    assert np.flatnonzero(sizes > 10).tolist() == list(range(0, 1024, 128))


def test_unknown_names_are_refused() -> None:
    with pytest.raises(OptionError, match="NVFP4"):
        measured("NVFP5", "gaussian", 0)
    with pytest.raises(OptionError, match="gaussian"):
        predicted("NVFP4", "gausian")
