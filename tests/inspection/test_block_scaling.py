"""Scalings of blocks: what is counted piece by piece is what `encode` makes of the whole tensor."""

from __future__ import annotations

import math

import numpy as np
import pytest

import floatlab as fl
from floatlab.inspection.source import BLOCK, of_array

KINDS = {
    "mx32": ("e8m0", 32, "rceil", None),
    "nv16": ("e4m3", 16, "nvfp4", "amax"),
    "tile128": ("fp32", 128, "absmax", None),
}
SHAPES = [(70,), (200_000,), (37, 45), (3, 5, 33), (2, 700, 130), (2, 100_000), (1, 3, 70_000)]


def direct(x, fmt, kind):
    """Return the shares and errors by a direct count."""
    scale, length, rule, tensor = KINDS[kind]
    blocks = fl.BlockFormat("direct", fmt, length, scale, rule=rule, tensor_scale=tensor)
    coded = fl.encode(x, blocks)
    values, wide = coded.decode(np.float64), x.astype(np.float64)
    scales = np.repeat(coded.scale_values.astype(np.float64), length, axis=-1)[..., : x.shape[-1]]
    scales *= 1.0 if coded.tensor_scale is None else float(coded.tensor_scale)
    smallest = fl.get_format(fmt).smallest_normal
    there = wide != 0
    quotients = np.divide(wide, scales, out=np.zeros_like(wide), where=scales != 0)
    flags = fl.quantize(quotients, fmt, return_flags=True)[1]
    return {
        "overflow": np.count_nonzero(flags.overflow),
        "underflow": np.count_nonzero(there & (values == 0)),
        "subnormal": np.count_nonzero((values != 0) & (np.abs(values) < smallest * scales)),
        "sqnr": 10 * math.log10(np.sum(wide**2) / np.sum((values - wide) ** 2)),
        "cosine": np.sum(values * wide) / math.sqrt(np.sum(values**2) * np.sum(wide**2)),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_counted_in_pieces_is_what_becomes_of_the_whole(shape, kind):
    rng = np.random.default_rng(math.prod(shape))
    x = (rng.standard_normal(shape) * np.exp2(rng.integers(-12, 3, shape))).astype(np.float32)
    x[..., ::9] = 0
    report = fl.inspect(x, formats=("e4m3", "e2m1"), scaling=kind)
    for outcome, fmt in zip(report.outcomes, ("e4m3", "e2m1"), strict=True):
        expected = direct(x, fmt, kind)
        for count in ("underflow", "subnormal", "overflow"):
            assert getattr(outcome, count) == expected[count]
        assert outcome.sqnr == pytest.approx(expected["sqnr"], rel=1e-9)
        assert outcome.cosine == pytest.approx(expected["cosine"], rel=1e-9)
        assert outcome.scale is None


def test_pieces_of_long_rows_are_whole_lines_or_begin_at_a_multiple():
    for shape in SHAPES:
        source, end = of_array("x", np.zeros(shape, np.float32)), 0
        for start, block in source.blocks():
            assert start == end
            end = start + block.size
            line = shape[-1]
            if line <= BLOCK and len(shape) > 1:
                assert start % line == end % line == 0
            else:
                assert start % line % BLOCK == 0
            if len(shape) > 1 and source.row > BLOCK:  # a part of one row
                assert start // source.row == (end - 1) // source.row
        assert end == source.size


def test_a_block_takes_its_share_of_the_scale_and_long_formats_need_none():
    report = fl.inspect(
        np.ones((2, 64), np.float32), formats=("e2m1", "bf16"), scaling=("none", "mx32", "nv16")
    )
    assert [(o.format, o.scaling, o.bits) for o in report.outcomes] == [
        ("float4_e2m1fn", "none", 4), ("float4_e2m1fn", "mx32", 4.25), ("float4_e2m1fn", "nv16", 4.5),
        ("bfloat16", "none", 16),
    ]  # fmt: skip


def test_blocks_are_recommended_where_one_factor_does_not_do():
    rng = np.random.default_rng(0)
    w = (
        rng.choice([-1, 1], (64, 256))
        * rng.uniform(1, 4, (64, 256))
        * np.exp2(rng.integers(-20, 20, (64, 8)).repeat(32, axis=1))
    )
    report = fl.inspect(
        w.astype(np.float32), formats=("e4m3", "e2m3"), scaling=("none", "tensor", "channel", "mx32")
    )
    chosen = report.recommend()
    assert (chosen.format, chosen.scaling) == ("float6_e2m3fn", "mx32")
    assert "MX per 32" in report.text()
    assert "for each 32 numbers (MX)" in report.text()
    assert report.to_dict()["recommended"] == {"format": "float6_e2m3fn", "scaling": "mx32"}


def test_zeros_nan_and_infinities_change_no_scale():
    x = np.ones((4, 64), np.float32)
    x[0, 5], x[1, 6], x[2] = np.nan, np.inf, 0
    for kind in KINDS:
        outcome = fl.inspect(x, formats="e2m1", scaling=kind).outcomes[0]
        assert (outcome.nonzero, outcome.underflow, outcome.overflow) == (190, 0, 0)
