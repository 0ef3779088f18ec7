"""Series, DataFrames and DataArrays: values as NumPy's, labels where the elements are the same."""

from contextlib import suppress

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import DtypeError, ShapeError

pd = pytest.importorskip("pandas", reason="pandas is not installed")


def series(**more):
    return pd.Series([0.1, 300.0, -1.0], index=["a", "b", "c"], name="w", **more)


def test_a_series_keeps_its_labels():
    x = series()
    for name in ("quantize", "encode", "exp", "next_up"):
        got = getattr(fl, name)(x, "e4m3")
        expected = getattr(fl, name)(x.to_numpy(), "e4m3")
        pd.testing.assert_series_equal(got, pd.Series(expected, index=x.index, name="w"))
    pd.testing.assert_series_equal(
        fl.decode(fl.encode(x, "e4m3"), "e4m3"), fl.quantize(x.astype(np.float32), "e4m3")
    )
    assert x.tolist() == [0.1, 300.0, -1.0]


def test_a_data_frame_keeps_its_labels():
    x = pd.DataFrame({"u": np.float32([0.1, 2.0]), "v": np.float32([3.3, 4.0])}, index=[5, 7])
    got = fl.quantize(x, "e4m3")
    assert got.columns.equals(x.columns) and got.index.equals(x.index)
    assert np.array_equal(got.to_numpy(), fl.quantize(x.to_numpy(), "e4m3"))


def test_columns_of_several_types_are_taken_exactly():
    """pandas' own to_numpy makes float64 of integers and floats, and rounds 2**53 + 1 on the way."""
    x = pd.DataFrame({"i": [2**53 + 1, 1], "f": [0.5, 0.25], "b": [True, False]})
    got = fl.quantize(x, "fp64", rounding="toward_positive")
    assert got["i"].tolist() == [2.0**53 + 2, 1.0]
    small = pd.DataFrame({"i": np.int8([1, 2]), "f": np.float32([0.1, 0.3])})
    assert fl.quantize(small, "e4m3")["f"].tolist() == fl.quantize(np.float32([0.1, 0.3]), "e4m3").tolist()


def test_a_frame_without_columns_and_one_without_rows():
    assert fl.quantize(pd.DataFrame(index=[1, 2]), "fp16").shape == (2, 0)
    assert fl.quantize(pd.DataFrame({"a": np.zeros(0)}), "fp16").shape == (0, 1)


@pytest.mark.parametrize("dtype", ("Float64", "Float32", "Int64"))
def test_pandas_own_types_are_numbers_unless_one_is_missing(dtype):
    x = pd.Series([1, 2], dtype=dtype)
    assert fl.quantize(x, "e4m3").tolist() == [1.0, 2.0]
    with pytest.raises(DtypeError, match="missing"):
        fl.quantize(pd.Series([1, None], dtype=dtype), "e4m3")
    with pytest.raises(DtypeError, match="missing"):
        fl.quantize(pd.DataFrame({"a": pd.Series([1, None], dtype=dtype), "b": [1.0, 2.0]}), "e4m3")


def test_dates_and_words_are_refused():
    for x in (
        pd.Series(pd.to_datetime(["2020-01-01"])),
        pd.Series(["one"]),
        pd.DataFrame({"a": [1.0], "b": ["x"]}),
    ):
        with pytest.raises(DtypeError):
            fl.quantize(x, "e4m3")
    dates = pd.DataFrame({"a": [1.0], "b": pd.to_datetime(["2020-01-01"])})
    with pytest.raises(DtypeError):
        fl.quantize(dates, "e4m3")


def test_sums_and_products_are_numpys():
    x = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], columns=["a", "b"])
    assert type(fl.sum(x, "fp16", axis=0)) is np.ndarray
    assert type(fl.matmul(x, x, "fp16")) is np.ndarray  # of the same shape, but of other labels


def test_arrays_and_numbers_beside_a_series_follow_it():
    x = series()
    got = fl.add(np.ones(3), x, "fp16")
    assert got.index.equals(x.index)
    assert type(fl.add(x, np.ones((2, 3)), "fp16")) is np.ndarray  # its elements are others
    assert isinstance(fl.add(x, fl.array(np.ones(3), "e4m3"), "fp16"), fl.FloatArray)


def test_nothing_is_aligned_in_silence():
    x = series()
    with pytest.raises(ShapeError, match="align"):
        fl.add(x, x[::-1], "fp16")
    assert fl.add(x, x, "fp16").tolist() == fl.add(x.to_numpy(), x.to_numpy(), "fp16").tolist()


def test_out_is_no_series():
    with pytest.raises(DtypeError, match="pandas"):
        fl.quantize(series(), "e4m3", out=series())
    out = np.zeros(3)
    assert fl.quantize(series(), "e4m3", out=out) is out and out[1] == 288.0


def test_flags_stand_beside_the_labels():
    values, flags = fl.quantize(series(), "e2m1", return_flags=True)
    assert values.index.tolist() == ["a", "b", "c"] and flags.overflow.tolist() == [False, True, False]


def test_a_float_array_of_a_series_and_a_series_of_a_float_array():
    a = fl.array(series(), "e4m3")
    assert a.tolist() == fl.quantize(series().to_numpy(), "e4m3").tolist()
    assert pd.Series(a).tolist() == a.tolist()  # pandas holds the values, and computes with these in float32


def test_figures_and_inspect_look_at_series():
    assert fl.inspect(series(), formats="e4m3", scaling="none").tensors[0].elements == 3
    pytest.importorskip("matplotlib")
    assert fl.plots.plot_histogram(series(), "e4m3") is not None


# -- xarray -----------------------------------------------------------------------------------------------------


@pytest.fixture
def xr():
    return pytest.importorskip("xarray", reason="xarray is not installed")


def data_array(xr, values=((0.1, 300.0), (2.0, -1.0))):
    return xr.DataArray(
        np.float32(values), dims=("x", "y"), coords={"x": [3, 5]}, name="w", attrs={"unit": "m"}
    )


def test_a_data_array_keeps_its_labels(xr):
    x = data_array(xr)
    for name in ("quantize", "encode", "exp"):
        got = getattr(fl, name)(x, "e4m3")
        assert got.dims == x.dims and got.coords.equals(x.coords) and got.attrs == x.attrs and got.name == "w"
        assert np.array_equal(got.to_numpy(), getattr(fl, name)(x.to_numpy(), "e4m3"), equal_nan=True)
    assert fl.add(x, 1, "fp16").dims == ("x", "y")
    assert type(fl.sum(x, "fp16")) is np.ndarray
    assert fl.quantize(x.variable, "e4m3").dims == ("x", "y")


def test_dimensions_are_not_reordered_in_silence(xr):
    x = data_array(xr)
    for other in (x.T, x.assign_coords(x=[5, 3]), x.rename(x="z")):
        with pytest.raises(ShapeError, match="align"):
            fl.add(x, other, "fp16")


def test_a_dataset_is_refused_and_mapped(xr):
    data = data_array(xr).to_dataset()
    with pytest.raises(DtypeError, match=r"dataset\.map"):
        fl.quantize(data, "e4m3")
    assert data.map(lambda x: fl.quantize(x, "e4m3")).w.values[0, 0] == np.float32(0.1015625)


def test_a_data_array_may_hold_a_float_array(xr):
    x = xr.DataArray(fl.array([[0.1, 1.0]], "e4m3"), dims=("x", "y"))
    got = fl.add(x, 1, "e4m3")
    assert isinstance(got.data, fl.FloatArray) and got.data.tolist() == [[1.125, 2.0]]
    assert isinstance(fl.quantize(x, "e2m1").data, np.ndarray)


@pytest.mark.parametrize("fmt", ("fp16", "fp32", "e4m3", "bf16", fl.FloatFormat("own", 3, 9)))
def test_what_xarray_computes_with_a_float_array_is_one_or_is_refused(xr, fmt):
    """float32 in silence is what must never come out: nobody would see that nothing was rounded any more."""
    x = xr.DataArray(fl.array([[0.1, 1.0], [2.0, 7.0]], fmt), dims=("x", "y"), coords={"x": [1, 2]})
    rounded = {
        "add": x + 1, "radd": 1 + x, "multiply": x * x, "power": x**2, "negative": -x, "abs": abs(x),
        "exp": np.exp(x), "round": x.round(), "clip": x.clip(0, 1), "dot": x.dot(x), "diff": x.diff("x"),
        "quantile": x.quantile(0.5), "broadcast": x + x.sel(x=1), "T": x.T, "ufunc": xr.apply_ufunc(np.sqrt, x),
        "sums": x.reduce(fl.sum, "x"), "means": x.reduce(np.mean), "stack": x.stack(z=("x", "y")),
    }  # fmt: skip
    for name, got in rounded.items():
        assert isinstance(got.data, fl.FloatArray) and got.data.format.same_as(fl.get_format(fmt)), name
    assert (x + 1).data.tolist() == (x.data + 1).tolist()
    assert x.reduce(fl.sum, "x").data.tolist() == fl.sum(x.data, axis=0).tolist()
    sums = ("sum", "mean", "std", "var", "median", "prod", "cumsum", "cumprod", "max", "min")
    for method in [getattr(x, name) for name in sums]:
        for options in ({}, {"dim": "x"}, {"skipna": False}):
            with suppress(TypeError, fl.FloatlabError):  # xarray's own, of types that NumPy has not, or ours
                assert isinstance(method(**options).data, fl.FloatArray), method
    plain = xr.DataArray(np.ones((2, 2)), dims=("x", "y"))
    for strange in (lambda: x + np.ones((2, 2)), lambda: np.ones((2, 2)) * x, lambda: x + plain):
        with pytest.raises(DtypeError, match=r"fl\.array"):
            strange()


def test_scales_without_a_zero_are_refused_by_name(xr):
    x = xr.DataArray(fl.array([1.0, 2.0], "e8m0"))
    with pytest.raises((TypeError, fl.FloatlabError)):
        x.max()
