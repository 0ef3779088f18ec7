"""The preset "torch" is PyTorch, bit for bit: its observers' scales and zero points, its codes, its numbers."""

import numpy as np
import pytest
from torch_answers import answers

import floatlab as fl
from floatlab.errors import DtypeError, OptionError

SCHEMES = ("symmetric", "affine")


def data(seed=4):
    """Return rows of ordinary, one-sided, tiny and huge numbers, and of zeros."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(8, 64)).astype(np.float32)
    x[1] = np.abs(x[1])
    x[2] = -np.abs(x[2])
    x[3] *= np.float32(1e-30)
    x[4] *= np.float32(1e30)
    x[5] = 0
    x[6] += np.float32(3)
    return x


def observed(torch, x, fmt, scheme):
    from torch.ao.quantization import MinMaxObserver

    dtype = {"int8": torch.qint8, "uint8": torch.quint8}[fmt]
    observer = MinMaxObserver(dtype=dtype, qscheme=getattr(torch, f"per_tensor_{scheme}"))
    tensor = torch.from_numpy(x)
    observer(tensor)
    scale, zero = observer.calculate_qparams()
    q = torch.quantize_per_tensor(tensor, float(scale), int(zero), dtype)
    return [scale, zero.to(torch.int64), q.int_repr(), q.dequantize()]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("fmt", ["int8", "uint8"])
def test_the_preset_is_what_pytorch_computes(fmt, scheme):
    for i, row in enumerate(data()):
        name = f"quantize_per_tensor {fmt} {scheme} {i}"
        scale, zero, codes, numbers = answers(
            name, lambda torch, row=row: observed(torch, row, fmt, scheme), row
        )
        got = fl.quantize_int(row, fmt, scheme=scheme, preset="torch")
        assert got.scale == scale and got.scale.dtype == np.float32 and got.zero_point == zero
        np.testing.assert_array_equal(got.codes, codes)
        np.testing.assert_array_equal(got.decode(), numbers)


def by_channel(torch, x, scheme):
    from torch.ao.quantization import PerChannelMinMaxObserver

    observer = PerChannelMinMaxObserver(
        ch_axis=0, dtype=torch.qint8, qscheme=getattr(torch, f"per_channel_{scheme}")
    )
    tensor = torch.from_numpy(x)
    observer(tensor)
    scale, zero = observer.calculate_qparams()
    q = torch.quantize_per_channel(tensor, scale, zero, 0, torch.qint8)
    return [scale, zero.to(torch.int64), q.int_repr(), q.dequantize()]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_preset_is_pytorch_by_channel_too(scheme):
    x = data(5)
    scale, zero, codes, numbers = answers(
        f"quantize_per_channel {scheme}", lambda torch: by_channel(torch, x, scheme), x
    )
    got = fl.quantize_int(x, scheme=scheme, granularity="channel", preset="torch")
    np.testing.assert_array_equal(got.scale[:, 0], scale)
    np.testing.assert_array_equal(got.zero_point[:, 0], zero)
    np.testing.assert_array_equal(got.codes, codes)
    np.testing.assert_array_equal(got.decode(), numbers)


def near_ties(scales):
    """Return, a row for each scale, the float32 numbers nearest to the middles between its codes."""
    return ((np.arange(-127, 127) + 0.5) * scales[:, np.newaxis].astype(np.float64)).astype(np.float32)


@pytest.mark.filterwarnings("ignore")
def test_at_ties_the_product_with_a_reciprocal_is_another_number_in_a_third_of_cases():
    """Not in a few: a quotient next to a middle is where a rounding of 1 / scale shows."""
    scales = np.random.default_rng(9).lognormal(size=40).astype(np.float32)
    x = near_ties(scales)

    def ask(torch):
        rows = [
            torch.quantize_per_tensor(torch.from_numpy(row), float(s), 0, torch.qint8)
            for row, s in zip(x, scales, strict=True)
        ]
        return torch.stack([q.int_repr() for q in rows])

    theirs = answers("quantize_per_tensor at ties", ask, x, scales)
    exact = np.stack([fl.quantize_int(row, scale=s).codes for row, s in zip(x, scales, strict=True)])
    share = np.mean(exact != theirs)
    assert 0.30 < share < 0.40
    assert np.abs(exact.astype(int) - theirs).max() == 1
    # A correctly rounded division in float32, which has a tie of its own making, is no better.
    single = np.stack([np.rint(row / s) for row, s in zip(x, scales, strict=True)])
    assert np.mean(exact != single) > 0.3
    ours = [
        fl.quantize_int(row, scale=float(s), preset="torch").codes for row, s in zip(x, scales, strict=True)
    ]
    np.testing.assert_array_equal(ours, theirs)
    # Elsewhere the two agree.
    far = np.random.default_rng(1).normal(size=100_000).astype(np.float32)
    scale = fl.quantize_int(far, preset="torch").scale
    differ = fl.quantize_int(far, scale=scale).codes != fl.quantize_int(far, preset="torch").codes
    assert differ.mean() < 1e-4


def test_the_preset_takes_what_pytorch_takes():
    with pytest.raises(DtypeError, match="float32"):
        fl.quantize_int([0.1, 0.2], preset="torch")
    x = np.ones(4, np.float32)
    for options in (
        {"fmt": "int16"},
        {"fmt": "q4.4"},
        {"rounding": "toward_zero"},
        {"scale": 0.5, "scheme": "affine"},
    ):
        with pytest.raises(OptionError, match="Got"):
            fl.quantize_int(x, preset="torch", **options)
    with pytest.raises(OptionError, match="power of two"):
        fl.quantize_int(np.float32([3e38, -3e38]), scheme="affine", preset="torch")
