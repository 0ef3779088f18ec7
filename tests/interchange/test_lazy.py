"""dask's arrays stay lazy: a function of single elements is applied to the blocks, when somebody asks for them."""

import pickle

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import DtypeError, FloatlabError, OptionError, ShapeError

da = pytest.importorskip("dask.array", reason="dask is not installed")
dask = pytest.importorskip("dask")

X = np.linspace(-500, 500, 35, dtype=np.float32).reshape(5, 7)


class Counted:
    """What counts how many blocks were computed."""

    def __init__(self):
        self.blocks = 0

    def __call__(self, block):
        self.blocks += 1
        return block


def same(got, expected) -> bool:
    """Whether arrays are equal, NaN to NaN."""
    return got.dtype == expected.dtype and np.array_equal(got, expected, equal_nan=True)


def lazy(counted=lambda block: block, x=X):
    return da.from_array(x, chunks=(2, 3)).map_blocks(counted, dtype=x.dtype, meta=np.empty((0, 0), x.dtype))


@pytest.mark.parametrize("name", ("quantize", "encode", "exp", "sqrt", "next_up"))
def test_nothing_is_computed_until_it_is_asked_for(name):
    counted = Counted()
    got = getattr(fl, name)(lazy(counted), "e4m3")
    assert isinstance(got, da.Array) and counted.blocks == 0
    expected = getattr(fl, name)(X, "e4m3")
    assert got.dtype == expected.dtype and got.shape == expected.shape and got.chunks == lazy().chunks
    found = got.compute(scheduler="synchronous")
    assert counted.blocks == 9
    assert found.tobytes() == expected.tobytes()


def test_codes_and_values_go_round():
    codes = fl.encode(lazy(), "e4m3")
    assert same(fl.decode(codes, "e4m3").compute(), fl.quantize(X, "e4m3"))


def test_two_dask_arrays_and_numpys_beside_them():
    row = np.arange(7.0)
    got = fl.add(lazy(), row, "fp16")
    assert isinstance(got, da.Array)
    assert same(got.compute(), fl.add(X, row, "fp16"))
    other = da.from_array(X * 3, chunks=(5, 2))
    assert same(fl.fma(lazy(), other, 1.0, "fp16").compute(), fl.fma(X, X * 3, 1.0, "fp16"))
    assert same(fl.add([[1.0]] * 5, lazy(), "fp16").compute(), fl.add([[1.0]] * 5, X, "fp16"))


def test_arrays_without_dimensions_and_without_elements():
    for x in (np.float32(0.1), np.zeros((0, 3), np.float32)):
        got = fl.quantize(da.from_array(np.asarray(x)), "e4m3").compute()
        assert same(got, fl.quantize(np.asarray(x), "e4m3"))


def test_the_context_is_that_of_the_call_and_not_of_the_computation():
    with fl.arithmetic(rounding="toward_zero", overflow="saturate"):
        got = fl.multiply(lazy(), 1.37, "e4m3")
        expected = fl.multiply(X, 1.37, "e4m3")
    assert same(got.compute(), expected)
    assert not np.array_equal(fl.multiply(X, 1.37, "e4m3"), expected, equal_nan=True)


def test_stochastic_rounding_is_that_of_the_array_with_integers_for_each_element():
    options = {"rounding": "stochastic", "random_bits": 16}
    integers = np.random.default_rng(3).integers(0, 2**16, X.shape)
    expected = fl.quantize(X, "e2m3", random_integers=integers, **options)
    for given in (integers, da.from_array(integers, chunks=(1, 7))):
        got = fl.quantize(lazy(), "e2m3", random_integers=given, **options)
        assert isinstance(got, da.Array) and same(got.compute(), expected)
    with pytest.raises(ShapeError):
        fl.quantize(lazy(), "e2m3", random_integers=integers[0], **options)


def test_a_seed_would_draw_the_same_integers_for_every_block_and_is_refused():
    for rng in (7, np.random.default_rng(7)):
        with pytest.raises(OptionError, match="random_integers"):
            fl.quantize(lazy(), "e2m3", rounding="stochastic", rng=rng)
        with (
            fl.arithmetic(rounding="stochastic", rng=rng),
            pytest.raises(OptionError, match="random_integers"),
        ):
            fl.add(lazy(), 1, "e2m3")
    with fl.arithmetic(rng=7):  # nothing is drawn to nearest
        assert same(fl.add(lazy(), 1, "fp16").compute(), fl.add(X, 1, "fp16"))
    with pytest.raises(OptionError):
        fl.quantize(lazy(), "e2m3", rounding="stochastic")


def test_shapes_that_do_not_broadcast_are_refused_at_once():
    for call in (
        lambda: fl.add(lazy(), np.ones(5), "fp16"),
        lambda: fl.quantize(lazy(), "fp16", rounding="stochastic", random_integers=np.ones(5, int)),
        lambda: fl.add(
            lazy(), lazy(), "fp16", rounding="stochastic", random_integers=np.ones((2, 5, 7), int)
        ),
    ):
        with pytest.raises(ShapeError, match="shape"):
            call()


def test_an_array_of_unknown_length_is_rounded_and_not_put_together_with_another():
    x = lazy()
    x = x[x[:, 0] > -300]
    assert same(fl.quantize(x, "e4m3").compute(), fl.quantize(X[X[:, 0] > -300], "e4m3"))
    with pytest.raises(ShapeError, match="compute_chunk_sizes"):
        fl.add(x, x, "fp16")


def test_a_wrong_option_is_refused_at_once():
    counted = Counted()
    for options in (
        {"rounding": "nearest_evn"},
        {"overflov": "nan"},
        {"return_flags": True},
        {"out": X.copy()},
    ):
        with pytest.raises(FloatlabError):
            fl.quantize(lazy(counted), "e4m3", **options)
    with fl.track_flags(), pytest.raises(OptionError, match="track_flags"):
        fl.quantize(lazy(counted), "e4m3")
    assert counted.blocks == 0


def test_what_needs_all_elements_asks_to_compute_them():
    counted = Counted()
    for function in (fl.array, fl.asarray, fl.sum, fl.mean, fl.classify):
        with pytest.raises(DtypeError, match=r"x\.compute\(\)"):
            function(lazy(counted), "fp16")
    for function in (lambda x: fl.matmul(x, X.T, "fp16"), lambda x: fl.inspect(x)):
        with pytest.raises(DtypeError, match="compute"):
            function(lazy(counted))
    with pytest.raises(DtypeError, match="FloatArray"):
        fl.add(lazy(counted), fl.array(X, "fp16"), "fp16")
    assert counted.blocks == 0


def test_the_graph_can_be_sent_to_another_process():
    got = fl.tanh(da.from_array(X, chunks=(2, 3)), "fp16")
    again = pickle.loads(pickle.dumps(dict(got.__dask_graph__())))
    rebuilt = da.Array(again, got.name, got.chunks, got.dtype)
    assert same(rebuilt.compute(scheduler="synchronous"), fl.tanh(X, "fp16"))


def test_a_data_array_around_a_dask_array_stays_lazy():
    xr = pytest.importorskip("xarray")
    counted = Counted()
    x = xr.DataArray(lazy(counted), dims=("x", "y"), coords={"y": np.arange(7)})
    got = fl.quantize(x, "e4m3")
    assert isinstance(got.data, da.Array) and counted.blocks == 0 and got.coords.equals(x.coords)
    assert same(got.compute(scheduler="synchronous").values, fl.quantize(X, "e4m3"))


def test_blocks_may_hold_float_arrays():
    a = fl.array([0.1, 1.0, 2.0, 3.0], "e4m3")
    got = (da.from_array(a, chunks=2) + 1).compute()
    assert isinstance(got, fl.FloatArray) and got.tolist() == (a + 1).tolist()
