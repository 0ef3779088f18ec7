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


@pytest.mark.parametrize("bits", [None, 3, 20, 40])
def test_a_seed_gives_the_bits_of_the_whole_array_however_it_is_cut(bits):
    options = {"rounding": "stochastic", "random_bits": bits}
    x = np.linspace(-9, 9, 7 * 8 * 9, dtype=np.float32).reshape(7, 8, 9)
    for chunks in ((7, 8, 9), (3, 8, 9), (1, 5, 9), (2, 3, 4), (7, 8, 1), 1):
        counted = Counted()
        for name in ("quantize", "encode"):
            expected = getattr(fl, name)(x, "e2m3", rng=5, **options)
            got = getattr(fl, name)(
                da.from_array(x, chunks).map_blocks(counted, meta=x), "e2m3", rng=5, **options
            )
            assert isinstance(got, da.Array) and counted.blocks == 0
            assert same(got.compute(scheduler="threads"), expected)
            assert same(got[1:6, 3, ::2].compute(), expected[1:6, 3, ::2])  # a part alone
            counted.blocks = 0


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.PCG64DXSM])
def test_a_generator_moves_on_when_it_is_given(kind):
    here, there = np.random.Generator(kind(5)), np.random.Generator(kind(5))
    options = {"rounding": "stochastic_c"}
    expected = [fl.quantize(X, "e2m3", rng=here, **options), fl.add(X, X, "e2m3", rng=here, **options)]
    got = [
        fl.quantize(lazy(), "e2m3", rng=there, **options),
        fl.add(lazy(), lazy(), "e2m3", rng=there, **options),
    ]
    assert here.random() == there.random()
    assert all(same(later.compute(), one) for later, one in zip(got[::-1], expected[::-1], strict=True))


def test_operations_draw_for_the_elements_of_the_result():
    row = np.linspace(-1, 1, 7)
    for rng in (7, np.random.default_rng(7)):
        with fl.arithmetic(rounding="stochastic", rng=rng, overflow="saturate"):
            got = [
                fl.add(lazy(), row, "e2m3"),
                fl.fma(lazy(), 0.3, row, "e4m3"),
                fl.exp(lazy() / 200, "e4m3"),
            ]
        with fl.arithmetic(rounding="stochastic", rng=7, overflow="saturate"):
            expected = [fl.add(X, row, "e2m3"), fl.fma(X, 0.3, row, "e4m3"), fl.exp(X / 200, "e4m3")]
        assert all(same(later.compute(), one) for later, one in zip(got, expected, strict=True))
    with fl.arithmetic(rng=7):  # nothing is drawn to nearest
        assert same(fl.add(lazy(), 1, "fp16").compute(), fl.add(X, 1, "fp16"))
    assert same(fl.quantize(lazy(), "fp16", rng=7).compute(), fl.quantize(X, "fp16"))
    for x in (np.float32(0.1), np.zeros((0, 3), np.float32)):
        got = fl.quantize(da.from_array(np.asarray(x)), "e4m3", rounding="stochastic", rng=1).compute()
        assert same(got, fl.quantize(np.asarray(x), "e4m3", rounding="stochastic", rng=1))


def test_who_cannot_say_where_a_block_begins_is_refused():
    options = {"rounding": "stochastic"}
    with pytest.raises(OptionError, match=r"MT19937.*default_rng"):
        fl.quantize(lazy(), "e2m3", rng=np.random.Generator(np.random.MT19937(1)), **options)
    with pytest.raises(OptionError):
        fl.quantize(lazy(), "e2m3", **options)
    x = lazy()
    with pytest.raises(ShapeError, match="compute_chunk_sizes"):
        fl.quantize(x[x[:, 0] > -300], "e2m3", rng=1, **options)


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


FORMATS = ("fp16", "fp32", "fp64", "bf16", "e5m2", fl.FloatFormat("own", 3, 9))
OF_DASK = {
    "sum": lambda d: d.sum(), "mean": lambda d: d.mean(), "std": lambda d: d.std(), "prod": lambda d: d.prod(),
    "max": lambda d: d.max(), "cumsum": lambda d: d.cumsum(axis=0), "round": lambda d: d.round(),
    "divide": lambda d: d / 3, "number first": lambda d: 1 - d, "matmul": lambda d: d @ d.T, "exp": np.exp,
    "sqrt": lambda d: da.sqrt(d), "where": lambda d: da.where(d > 1, d, 0), "clip": lambda d: d.clip(0, 1),
    "concatenate": lambda d: da.concatenate([d, d]), "stack": lambda d: da.stack([d, d]), "T": lambda d: d.T,
    "reshape": lambda d: d.reshape(12), "rechunk": lambda d: d.rechunk(1), "fancy": lambda d: d[[0, 2]],
    "tensordot": lambda d: da.tensordot(d, d.T, 1), "einsum": lambda d: da.einsum("ij,kj->ik", d, d),
    "nansum": lambda d: da.nansum(d), "average": lambda d: da.average(d), "median": lambda d: da.median(d, axis=0),
    "maximum": lambda d: da.maximum(d, 1), "diff": lambda d: da.diff(d, axis=0), "pad": lambda d: da.pad(d, 1),
    "roll": lambda d: da.roll(d, 1, 0), "norm": lambda d: da.linalg.norm(d),
    "beside NumPy": lambda d: d + np.ones(3), "after NumPy": lambda d: np.ones(3) * d,
    "beside dask": lambda d: da.ones((4, 3)) + d, "after dask": lambda d: d - da.ones((4, 3)),
}  # fmt: skip


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_what_dask_computes_with_float_arrays_is_one_or_is_refused(fmt):
    """A float32 array in silence is what must never come out: nobody would see that nothing was rounded any more."""
    d = da.from_array(fl.array(np.arange(12.0).reshape(4, 3), fmt), chunks=(2, 3))
    worked = set()
    for name, function in OF_DASK.items():
        try:
            got = function(d).compute(scheduler="synchronous")
        except (TypeError, ValueError, AttributeError, IndexError, NotImplementedError, FloatlabError):
            continue  # dask's own, of types that NumPy has not, or ours
        assert isinstance(got, fl.FloatArray) and got.format.same_as(d._meta.format), name
        worked.add(name)
    assert worked >= {"divide", "number first", "exp", "T", "reshape", "maximum", "clip"}
    plain = {"beside NumPy", "after NumPy", "beside dask", "after dask"}
    assert worked & plain == (plain if fmt == "fp64" else set())  # whose values any float64 array has
