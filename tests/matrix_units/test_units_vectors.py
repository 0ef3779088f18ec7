"""Units against what chips and models of them computed, row by row (floatlab.verify.vectors reads the files)."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from matrix_unit_vectors import DATA, VARIABLE, configurations, gpu_folder

from floatlab.formats import get_format
from floatlab.matrix_units.catalogue import _COMPARED
from floatlab.verify.vectors import unit_results

CONFIGURATIONS = list(configurations(DATA))


@pytest.mark.parametrize("rows", CONFIGURATIONS, ids=lambda rows: rows.name)
def test_every_recorded_row_is_computed_to_the_bit(rows):
    assert rows.differing(unit_results(rows)) == []


def test_there_are_rows_of_every_generation():
    assert {rows.unit for rows in CONFIGURATIONS} >= {
        "v100",
        "t4",
        "a100",
        "ada",
        "h100",
        "h200",
        "mi100",
        "mi250",
        "mi300",
    }
    assert len(CONFIGURATIONS) > 40


@pytest.mark.skipif(
    gpu_folder() is None, reason=f"the results of GPUs are not here: {VARIABLE} names their folder"
)
def test_every_result_of_a_gpu_is_computed_to_the_bit():
    folder = gpu_folder()
    assert folder is not None
    count = 0
    for rows in configurations(folder, "tensorcore_*.npz"):
        assert rows.differing(unit_results(rows)) == [], rows.name
        count += len(rows.d)
    assert count == 240_000


@pytest.mark.parametrize("rows", CONFIGURATIONS[:3], ids=lambda rows: rows.name)
def test_a_row_that_is_wrong_would_be_seen(rows):
    results = unit_results(rows)
    results[7] = np.nextafter(np.float32(results[7]), np.float32(np.inf)) if np.isfinite(results[7]) else 1.0
    assert rows.differing(results) == [7]
    assert get_format(rows.result)


@pytest.mark.skipif(gpu_folder() is None, reason=f"the files are not here: {VARIABLE} names their folder")
def test_as_many_rows_were_compared_as_the_catalogue_says():
    counts = Counter()
    for rows in [*configurations(gpu_folder()), *configurations(DATA, "matrix_units_*.npz")]:
        counts[rows.unit, rows.source.startswith("model")] += len(rows.d)
    for unit, (silicon, models) in _COMPARED.items():
        if unit not in ("avx512_vnni", "maddubs"):  # tests/block_formats
            assert (counts[unit, False], counts[unit, True]) == (silicon, models), unit
