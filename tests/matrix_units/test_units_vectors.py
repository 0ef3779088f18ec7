"""Units against what chips and models of them computed, row by row (tests/matrix_unit_vectors.py reads the files)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matrix_unit_vectors import DATA, VARIABLE, Rows, configurations, gpu_folder

import floatlab as fl
from floatlab.formats import get_format
from floatlab.matrix_units.scaled import Scales

ALL = list(configurations(DATA))
CONFIGURATIONS = [rows for rows in ALL if rows.scales is None]
SCALED = [rows for rows in ALL if rows.scales is not None]


def name_of(rows: Rows) -> str:
    """Return the name of the unit with the instruction that the rows are of."""
    parts = [rows.unit, rows.instruction or "", "fp16" if rows.result == "fp16" else ""]
    return ":".join(part for part in parts if part)


def values(codes: np.ndarray, name: str) -> np.ndarray:
    if name == "tf32":  # codes of 19 bits, as the upper ones of a float32
        return (codes.astype(np.uint32) << 13).view(np.float32).astype(np.float64)
    return fl.decode(codes, name).astype(np.float64)


def dots(rows: Rows) -> np.ndarray:
    """Return the unit's results: each row is a product of 1 x K and K x 1, with c as the bias that comes first."""
    with np.errstate(invalid="ignore"):
        a, b = values(rows.a, rows.operands[0]), values(rows.b, rows.operands[1])
        c = values(rows.c, rows.result)
    unit = fl.get_unit(name_of(rows))
    options = {"unit": unit, "bias_first": True, "formats": rows.operands}
    return fl.matmul(a[:, None, :], b[:, :, None], rows.result, bias=c[:, None, None], **options)[:, 0, 0]


@pytest.mark.parametrize("rows", CONFIGURATIONS, ids=lambda rows: rows.name)
def test_every_recorded_row_is_computed_to_the_bit(rows):
    assert rows.differing(dots(rows)) == []


def scaled_dots(rows: Rows) -> list[float]:
    """Return the unit's results on elements and scales, one row after the other."""
    assert rows.scales is not None
    # The fp4 instructions are the ones that fp4 takes; the wider one has to be asked for.
    unit = fl.get_unit(f"{rows.unit}:mxf8f6f4" if rows.instruction == "mxf8f6f4" else rows.unit)
    formats = get_format(rows.operands[0]), get_format(rows.operands[1])
    fmt, size = get_format(rows.scales.fmt), rows.scales.block
    with np.errstate(invalid="ignore"):
        a, b, c = (
            values(codes, fmt)
            for codes, fmt in zip((rows.a, rows.b, rows.c), (*formats, "fp32"), strict=True)
        )
        of_a, of_b = (np.repeat(values(codes, fmt), size, axis=1) for codes in rows.scales[:2])
    found = []
    for i in range(len(c)):
        scales = Scales(of_a[i : i + 1], of_b[i][:, None], fmt, size)
        made = replace(unit, bias_first=True).multiply_scaled(
            a[i : i + 1], b[i][:, None], c[i : i + 1], formats, scales
        )
        found.append(float(made[0, 0]))
    return found


@pytest.mark.parametrize("rows", SCALED, ids=lambda rows: rows.name)
def test_every_recorded_row_of_scaled_blocks_is_computed_to_the_bit(rows):
    assert rows.differing(scaled_dots(rows)) == []


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
        assert rows.differing(dots(rows)) == [], rows.name
        count += len(rows.d)
    assert count == 240_000 or count > 100_000


@pytest.mark.parametrize("rows", CONFIGURATIONS[:3], ids=lambda rows: rows.name)
def test_a_row_that_is_wrong_would_be_seen(rows):
    results = dots(rows)
    results[7] = np.nextafter(np.float32(results[7]), np.float32(np.inf)) if np.isfinite(results[7]) else 1.0
    assert rows.differing(results) == [7]
    assert get_format(rows.result)
