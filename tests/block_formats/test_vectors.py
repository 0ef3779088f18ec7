"""What others' code made of blocks: Transformer Engine's Python reference, torchao, DeepGEMM; each file's `meta` says.

The files come from those libraries' sources, run on a CPU, and hold their results: Transformer Engine d0067d0
(Apache-2.0), torchao 36027d8 (BSD-3), DeepGEMM 54e2261 (MIT).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from block_oracle import NAMES, RULES

import floatlab as fl

DATA = Path(__file__).parents[1] / "data"
MX, NVFP4, DEEPSEEK = (np.load(DATA / f"blocks_{name}.npz") for name in ("mx", "nvfp4", "deepseek"))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("element", NAMES)
def test_mx_blocks_have_the_scales_and_the_elements_of_the_vectors(element, rule):
    x = MX[f"mx_{element}_x"].view(np.float32)
    found = fl.encode(x, NAMES[element], rule=rule)
    scales, codes = MX[f"mx_{element}_{rule}_scale"], MX[f"mx_{element}_{rule}_elements"]
    assert found.scales[:, 0].tolist() == scales.tolist()
    kept = scales != 255
    assert kept.sum() > 120
    np.testing.assert_array_equal(found.codes[kept], codes[kept])


CASES = ("gauss", "rows", "wide", "zero_block", "zeros", "tiny")
WAYS = {
    "exact": ("nvfp4", "exact"),
    "te": ("nvfp4", "te"),
    "te4over6": ("nvfp4_4over6", "te"),
    "torchao": ("nvfp4", "torchao"),
}


@pytest.mark.parametrize("tile", ["1x16", "16x16"])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", CASES)
def test_nvfp4_has_the_bits_of_each_library(case, way, tile):
    if way == "torchao" and tile == "16x16":
        pytest.skip("torchao has no tiles of NVFP4")
    key = f"{case}_{way}" + ("" if way == "torchao" else f"_{tile}")
    rule, arithmetic = WAYS[way]
    x = NVFP4[f"{case}_x"].view(np.float32)
    found = fl.encode(x, "nvfp4" if tile == "1x16" else "nvfp4_16x16", rule=rule, arithmetic=arithmetic)
    scales = NVFP4[f"{key}_scales"]  # those of tiles are repeated for every row
    here = found.scales if tile == "1x16" else np.repeat(found.scales, 16, axis=0)
    np.testing.assert_array_equal(here, scales)
    assert found.tensor_scale.view(np.uint32) == NVFP4[f"{key}_tensor"][0]
    if way == "exact":
        np.testing.assert_array_equal(found.codes, NVFP4[f"{key}_codes"])
    elif not (
        way == "torchao" and case == "zeros"
    ):  # whose scales are NaN there, so that elements mean nothing
        np.testing.assert_array_equal(found.packed(), NVFP4[f"{key}_packed"])


def test_an_all_zero_tensor_has_nan_scales_in_torchao_and_zeros_elsewhere():
    x = np.zeros((2, 16), np.float32)
    assert np.isnan(fl.encode(x, "nvfp4", arithmetic="torchao").scale_values).all()
    for arithmetic in ("exact", "te"):
        assert (fl.encode(x, "nvfp4", arithmetic=arithmetic).decode() == 0).all()


@pytest.mark.parametrize(("kind", "suffix"), [("fp32", ""), ("ue8m0", ":pow2")])
@pytest.mark.parametrize(("x", "tile"), [("x", "1x128"), ("w", "128x128")])
def test_tiles_have_the_bits_of_deepgemm(x, tile, kind, suffix):
    found = fl.encode(DEEPSEEK[x].view(np.float32), f"fp8_{tile}{suffix}", arithmetic="deepgemm")
    np.testing.assert_array_equal(found.codes, DEEPSEEK[f"{x}_{tile}_{kind}_codes"])
    np.testing.assert_array_equal(found.scales, DEEPSEEK[f"{x}_{tile}_{kind}_scales"])


@pytest.mark.parametrize("rule", ["nvfp4", "nvfp4_4over6"])
@pytest.mark.parametrize("fmt", ["nvfp4", "nvfp4_16x16"])
def test_a_shorter_block_is_one_behind_which_zeros_stand(fmt, rule):
    x = np.random.default_rng(3).standard_normal((37, 41)).astype(np.float32)
    padded = np.zeros((48, 48), np.float32)
    padded[:37, :41] = x
    for arithmetic in ("exact", "te"):
        short, whole = (fl.encode(a, fmt, rule=rule, arithmetic=arithmetic) for a in (x, padded))
        np.testing.assert_array_equal(short.codes, whole.codes[:37, :41])
        rows = 37 if fmt == "nvfp4" else 3
        np.testing.assert_array_equal(short.scales, whole.scales[:rows])
