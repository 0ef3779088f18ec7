"""JAX's arrays go in and come out as what they were, with the bits that NumPy's arrays give."""

from concurrent.futures import ThreadPoolExecutor

import ml_dtypes
import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import AutogradError, DtypeError, FloatlabError, FormatError

jax = pytest.importorskip("jax", reason="JAX is not installed")
jnp = jax.numpy

FORMATS = [fmt.spec for fmt in fl.formats()]
NARROW = (
    "bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu",
    "float8_e4m3", "float8_e3m4", "float8_e4m3b11fnuz", "float4_e2m1fn",
)  # fmt: skip
TYPES = ("float16", "float32", *NARROW)


def numbers(dtype: str) -> np.ndarray:
    """Return numbers of a type: of a short one all codes, of others many, and the special ones."""
    if dtype in NARROW:
        kind = np.dtype(getattr(ml_dtypes, dtype))
        bits = 4 if dtype.startswith("float4") else 8 * kind.itemsize
        return np.arange(1 << bits, dtype=f"u{kind.itemsize}")[:: 1 if bits <= 8 else 37].view(kind)
    rng = np.random.default_rng(1)
    sizes = np.ldexp(rng.uniform(-2, 2, 2000), rng.integers(-14, 12, 2000))
    return np.array([*sizes, 0.0, -0.0, np.inf, -np.inf, np.nan, 448.0, 464.0, 6e-8], dtype)


def same(got, expected) -> bool:
    """Whether an array of JAX's has the bits of one of NumPy's, NaNs' signs among them."""
    assert isinstance(got, jax.Array)
    assert got.dtype == expected.dtype and got.shape == expected.shape
    return np.asarray(got).tobytes() == np.ascontiguousarray(expected).tobytes()


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("fmt", [fmt for fmt in FORMATS if fl.get_format(fmt).value_dtype == np.float32])
def test_an_array_of_jaxs_has_the_bits_of_numpys(dtype, fmt):
    x = numbers(dtype)
    with np.errstate(invalid="ignore"):
        x = x if fl.get_format(fmt).has_nan else x[x == x]
    y = jnp.asarray(x)
    expected, got = fl.quantize(x, fmt), fl.quantize(y, fmt)
    if got.dtype == expected.dtype:
        assert same(got, expected)
    else:  # the type stays, where it holds every value of the format
        assert got.dtype == y.dtype
        with np.errstate(invalid="ignore"):
            back = np.asarray(got).astype(np.float32)
        np.testing.assert_array_equal(back, expected)
        numbers_ = ~np.isnan(expected)  # of a NaN the short type may have one alone
        assert np.array_equal(np.signbit(back[numbers_]), np.signbit(expected[numbers_]))
    codes = fl.encode(y, fmt)
    assert same(codes, fl.encode(x, fmt))
    assert same(fl.decode(codes, fmt), fl.decode(fl.encode(x, fmt), fmt))


@pytest.mark.parametrize(
    "change",
    (lambda x: x.reshape(4, 5).T, lambda x: x[::2], lambda x: x[::-1], lambda x: x[3], lambda x: x[:0]),
)
def test_an_array_may_have_any_shape(change):
    x = np.linspace(-3, 3, 20, dtype=np.float32)
    assert same(fl.quantize(change(jnp.asarray(x)), "e2m3"), fl.quantize(change(x), "e2m3"))


def test_the_memory_of_an_array_is_not_copied_and_not_written_to():
    x = jnp.linspace(0, 1, 100).astype(jnp.bfloat16)
    a = fl.asarray(x)
    assert a.codes.__array_interface__["data"][0] == x.unsafe_buffer_pointer()
    with pytest.raises(ValueError, match="read-only"):
        a[0] = 5.0
    assert x[0] == 0


def test_out_is_nothing_that_jaxs_arrays_can_be():
    x = jnp.ones(3)
    with pytest.raises(DtypeError, match="JAX"):
        fl.quantize(x, "e4m3", out=x)
    out = np.zeros(3, np.float32)
    assert fl.quantize(x, "e4m3", out=out) is out and out.tolist() == [1.0] * 3


def test_operations_functions_and_sums_hand_arrays_of_jaxs_back():
    x, y = np.float32([0.1, 2.0, 3.0]), np.float32([3.0, 0.7, 2.0])
    a, b = jnp.asarray(x), jnp.asarray(y)
    for name in ("add", "divide", "hypot"):
        assert same(getattr(fl, name)(a, b, "e4m3"), getattr(fl, name)(x, y, "e4m3"))
        assert same(getattr(fl, name)(a, y, "e4m3"), getattr(fl, name)(x, y, "e4m3"))
    for name in ("exp", "sqrt", "sum", "mean", "next_up"):
        assert same(getattr(fl, name)(a, "fp16"), getattr(fl, name)(x, "fp16"))
    assert same(fl.matmul(a, b, "fp16"), fl.matmul(x, y, "fp16"))


def test_64_bits_are_kept_or_refused():
    x = jnp.asarray([1.0, 3.0])
    with pytest.raises(FormatError, match="jax_enable_x64"):
        fl.divide(1.0, x, "fp64")
    with pytest.raises(FormatError, match="jax_enable_x64"):
        fl.encode(x, "fp64")
    with jax.enable_x64(True):
        assert same(fl.divide(1.0, jnp.asarray([1.0, 3.0]), "fp64"), np.array([1.0, 1 / 3]))
        assert same(fl.encode(jnp.asarray([0.1], jnp.float64), "fp64"), fl.encode([0.1], "fp64"))


def test_a_float_array_of_jaxs_array_and_back():
    x = jnp.asarray([0.1, 448.0]).astype(jnp.float8_e4m3fn)
    a = fl.array(x)
    assert a.format.name == "float8_e4m3fn"
    back = a.to_jax()
    assert back.dtype == x.dtype and same(back, np.asarray(x))
    a[0] = 2.0
    assert float(back[0]) == 0.1015625  # a copy: JAX's arrays do not change
    with pytest.raises(FormatError, match="jax_enable_x64"):
        fl.array([0.1], "fp64").to_jax()


def test_integers_of_four_bits_are_numbers():
    x = jnp.asarray([1, -8, 7], jnp.int4)
    assert same(fl.quantize(x, "e4m3"), np.float32([1.0, -8.0, 7.0]))


@pytest.mark.parametrize("name", ("quantize", "encode", "exp", "sum", "array"))
def test_a_tracer_is_refused_and_the_way_out_named(name):
    def function(x):
        return getattr(fl, name)(x, "e4m3")

    for transform in (jax.jit, jax.vmap, jax.grad):
        x = jnp.ones(()) if transform is jax.grad else jnp.ones(3)
        with pytest.raises(AutogradError, match="pure_callback"):
            transform(function)(x)


def test_the_way_out_works():
    """XLA computes with subnormal numbers flushed to zero, so that a thread of its own thread has to round."""
    thread = ThreadPoolExecutor(1)
    thread.submit(int).result()  # starts it here

    def on_host(x):
        return thread.submit(fl.quantize, np.asarray(x), "e4m3").result()

    @jax.jit
    def rounded(x):
        return jax.pure_callback(on_host, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    assert rounded(jnp.asarray([0.1, 300.0])).tolist() == [0.1015625, 288.0]
    with pytest.raises(Exception, match="FloatEnvironmentError"):  # in XLA's own thread
        jax.jit(
            lambda x: jax.pure_callback(
                lambda x: fl.quantize(np.asarray(x), "e4m3"), jax.ShapeDtypeStruct(x.shape, x.dtype), x
            )
        )(jnp.ones(2)).block_until_ready()
    thread.shutdown()


def test_what_has_no_real_numbers_is_refused_in_words():
    gone = jnp.ones(3)
    gone.delete()
    for x in (gone, jax.random.key(0), jnp.ones(2, jnp.complex64)):
        for name in ("quantize", "array", "sum"):
            with pytest.raises(FloatlabError) as caught:
                getattr(fl, name)(x, "e4m3")
            assert str(caught.value).count(". ") >= 2


def test_figures_and_inspect_look_at_arrays_of_jaxs():
    x = jnp.linspace(-1, 1, 64).astype(jnp.bfloat16)
    assert fl.inspect({"w": x}, formats="e4m3", scaling="none").tensors[0].dtype == "bfloat16"
    pytest.importorskip("matplotlib")
    assert fl.plots.plot_histogram(x, "e4m3") is not None


def test_two_libraries_in_one_call_are_refused():
    pandas = pytest.importorskip("pandas")
    with pytest.raises(DtypeError, match="JAX and pandas"):
        fl.add(jnp.ones(2), pandas.Series([1.0, 2.0]), "fp16")
