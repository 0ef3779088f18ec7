"""PyTorch's tensors go in and come out as what they were, with the bits that NumPy's arrays give."""

import warnings

import ml_dtypes
import numpy as np
import pytest
from test_public_functions import CALLS

import floatlab as fl
from floatlab.errors import AutogradError, DtypeError, FloatlabError, FormatError, OptionError

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

FORMATS = [fmt.spec for fmt in fl.formats()]
NARROW = ("bfloat16", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu")
TYPES = ("float16", "float32", "float64", *NARROW)


def numbers(dtype: str) -> np.ndarray:
    """Return numbers of a type: of a short one all codes, of others many, and the special ones."""
    if dtype in NARROW or dtype == "float16":
        kind = np.dtype(np.float16) if dtype == "float16" else np.dtype(getattr(ml_dtypes, dtype))
        codes = np.arange(1 << 8 * kind.itemsize, dtype=f"u{kind.itemsize}")
        return codes[:: 1 if kind.itemsize == 1 else 37].view(kind)
    rng = np.random.default_rng(1)
    sizes = np.ldexp(rng.uniform(-2, 2, 2000), rng.integers(-40, 20, 2000))
    return np.array([*sizes, 0.0, -0.0, np.inf, -np.inf, np.nan, 448.0, 464.0, 1e-45, 6e-8], dtype)


def tensor(x: np.ndarray):
    """Return an array as a tensor, without floatlab."""
    if x.dtype.name in NARROW:
        word = {1: np.uint8, 2: np.int16}[x.dtype.itemsize]
        return torch.from_numpy(x.view(word).copy()).view(getattr(torch, x.dtype.name))
    return torch.from_numpy(x.copy())


def bits(x) -> bytes:
    """Return the bytes of a tensor or an array, as they are."""
    if isinstance(x, torch.Tensor):
        x = x.reshape(-1).contiguous()
        x = x.view(torch.uint8).numpy() if x.numel() else np.zeros(0)
    return np.ascontiguousarray(x).tobytes()


def wide(x) -> np.ndarray:
    """Return values as float64, by PyTorch's own conversion."""
    with np.errstate(invalid="ignore"):  # signaling NaNs
        return x.double().numpy() if isinstance(x, torch.Tensor) else np.asarray(x, np.float64)


def outcome(function):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return function()
        except FloatlabError as error:
            return type(error)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("fmt", FORMATS)
def test_a_tensor_has_the_bits_of_the_array(dtype, fmt):
    x = numbers(dtype)
    expected = outcome(lambda: fl.quantize(x, fmt))
    got = outcome(lambda: fl.quantize(tensor(x), fmt))
    if isinstance(expected, type):  # a NaN, and a format without one
        assert got is expected
        with np.errstate(invalid="ignore"):
            x = x[x == x]
        expected, got = fl.quantize(x, fmt), fl.quantize(tensor(x), fmt)
    assert isinstance(got, torch.Tensor) and not got.requires_grad
    np.testing.assert_array_equal(wide(got), wide(expected), strict=True)
    assert np.array_equal(np.signbit(wide(got)), np.signbit(wide(expected)))
    codes = fl.encode(tensor(x), fmt)
    assert isinstance(codes, torch.Tensor)
    assert bits(codes) == bits(fl.encode(x, fmt))
    back = fl.decode(codes, fmt)
    assert isinstance(back, torch.Tensor) and bits(back) == bits(fl.decode(fl.encode(x, fmt), fmt))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("fmt", FORMATS)
def test_the_type_stays_where_it_holds_every_value_of_the_format(dtype, fmt):
    """Held or not is decided here by trying: all values of a short format, through ml_dtypes' conversions."""
    got = fl.quantize(tensor(np.ones(3, numbers(dtype).dtype)), fmt).dtype
    known = fl.get_format(fmt)
    if dtype not in NARROW:
        array = fl.quantize(np.ones(3, dtype), fmt)
        assert str(got) == f"torch.{array.dtype}"
        return
    if known.bits > 16:
        assert got == (torch.float32 if known.value_dtype == np.float32 else torch.float64)
        return
    values = fl.decode(np.arange(1 << known.bits), fmt)
    own = values.astype(getattr(ml_dtypes, dtype)).astype(np.float64)
    same = ((own == values) & (np.signbit(own) == np.signbit(values))) | (np.isnan(own) & np.isnan(values))
    assert got == (getattr(torch, dtype) if same.all() else torch.float32)


LAYOUTS = {
    "transposed": lambda x: x.reshape(8, -1).T,
    "every other": lambda x: x[::2],
    "expanded": lambda x: x[:8].reshape(8, 1).expand(8, 3),
    "an inner part": lambda x: x.reshape(8, -1)[2:5, 1:4],
    "no elements": lambda x: x[:0].reshape(0, 3),
    "no dimensions": lambda x: x[3],
    "channels last": lambda x: x[:64].reshape(1, 4, 4, 4).to(memory_format=torch.channels_last),
}


@pytest.mark.parametrize("dtype", ("float32", "float64", "bfloat16", "float8_e5m2"))
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_tensor_may_lie_in_memory_as_it_likes(dtype, layout):
    x = LAYOUTS[layout](tensor(numbers(dtype)[:64]))
    plain = fl.quantize(x.contiguous().clone(), "e4m3")
    got = fl.quantize(x, "e4m3")
    assert got.shape == x.shape and bits(got) == bits(plain)
    assert bits(fl.encode(x, "e5m2")) == bits(fl.encode(x.contiguous().clone(), "e5m2"))


@pytest.mark.parametrize(
    "dtype", ("int8", "uint8", "int16", "int32", "int64", "bool", "uint16", "uint32", "uint64")
)
def test_whole_numbers_may_be_of_any_type(dtype):
    x = np.array([0, 1, 100], dtype)
    assert bits(fl.quantize(torch.from_numpy(x), "e4m3")) == bits(fl.quantize(x, "e4m3"))


def test_long_integers_are_rounded_once():
    x = torch.tensor([2**53 + 1, 2**60 + 2**8 + 1])
    assert bits(fl.quantize(x, "fp64", rounding="toward_positive")) == bits(
        fl.quantize(x.tolist(), "fp64", rounding="toward_positive")
    )
    assert fl.sum(torch.tensor([2**53 + 1, 1]), "fp64", accumulator="exact").item() == 2**53 + 2


# -- other functions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ("add", "subtract", "multiply", "divide", "hypot", "power", "fmod", "floor_divide")
)
def test_operations_hand_tensors_back(name):
    a, b = np.float32([0.1, 2.0, 300.0]), np.float32([3.0, 0.7, 2.0])
    got = getattr(fl, name)(torch.from_numpy(a), torch.from_numpy(b), "e4m3")
    assert isinstance(got, torch.Tensor) and bits(got) == bits(getattr(fl, name)(a, b, "e4m3"))


@pytest.mark.parametrize(
    "name", ("exp", "log", "sqrt", "tanh", "gelu", "next_up", "ulp", "sum", "mean", "prod", "cumsum")
)
def test_functions_and_sums_hand_tensors_back(name):
    x = np.float32([0.1, 2.0, 3.0])
    got = getattr(fl, name)(torch.from_numpy(x), "fp16")
    assert isinstance(got, torch.Tensor) and bits(got) == bits(getattr(fl, name)(x, "fp16"))


def test_a_product_of_bfloat16_tensors_is_that_of_their_values():
    a = torch.tensor([[1.5, 2.0]], dtype=torch.bfloat16)
    assert fl.matmul(a, a.T, "fp16").tolist() == [[6.25]]
    assert fl.matmul(a, a.T, "fp16", bias=torch.tensor([0.25])).tolist() == [[6.5]]


def test_flags_are_arrays_that_index_tensors():
    x = torch.tensor([1.0, 1000.0])
    values, flags = fl.quantize(x, "e4m3", return_flags=True)
    assert isinstance(values, torch.Tensor) and x[flags.overflow].tolist() == [1000.0]


def test_what_is_tracked_is_seen():
    with fl.track_flags() as record:
        fl.quantize(torch.tensor([1.0, 1000.0]), "e4m3")
        fl.encode(torch.tensor([1000.0]), "e4m3")
    assert record.counts["overflow"] == 2


def test_random_integers_may_be_a_tensor():
    x, r = torch.linspace(0, 1, 8), torch.arange(8) * 8000
    options = {"rounding": "stochastic", "random_bits": 16}
    got = fl.quantize(x, "e2m1", random_integers=r, **options)
    assert bits(got) == bits(fl.quantize(x.numpy(), "e2m1", random_integers=r.numpy(), **options))
    assert bits(fl.quantize(x, "e2m1", rounding="stochastic", rng=3)) == bits(
        fl.quantize(x.numpy(), "e2m1", rounding="stochastic", rng=3)
    )


def test_arguments_may_be_given_by_name():
    got = fl.quantize(fmt="e4m3", x=torch.tensor([0.1], dtype=torch.bfloat16))
    assert got.dtype == torch.bfloat16 and got.tolist() == [0.1015625]


@pytest.mark.parametrize("name", sorted(set(CALLS) - {"classify"}))
def test_every_public_function_takes_tensors_and_hands_tensors_back(name):
    """`classify` returns words, which PyTorch has not."""
    arrays = [np.float32([[1.0, 2.0], [0.5, 4.0]]), np.float32([0.25, 3.0]), np.float32(2.0)]
    for x in arrays:
        expected, got = outcome(lambda x=x: CALLS[name](x)), outcome(lambda x=x: CALLS[name](torch.tensor(x)))
        if isinstance(expected, type | fl.FloatArray):
            assert got == expected if isinstance(expected, type) else isinstance(got, fl.FloatArray)
            continue
        assert isinstance(got, torch.Tensor), name
        assert got.shape == expected.shape and bits(got) == bits(expected)


def test_tensors_of_floatlabs_own_are_made_of_pytorchs():
    assert fl.tensor(torch.tensor([1, 2])).tolist() == [1, 2]
    assert fl.tensor(torch.tensor([0.1], dtype=torch.bfloat16), dtype="e4m3").tolist() == [0.1015625]
    for make in (fl.tensor, fl.Tensor, fl.as_tensor):
        with pytest.raises(AutogradError, match="detach"):
            make(torch.ones(2, requires_grad=True))


def test_torch_compile_leaves_floatlab_out_and_the_bits_as_they_are():
    x = torch.linspace(-3, 3, 9, dtype=torch.bfloat16)

    def function(x):
        return fl.add(fl.quantize(x * 2, "e2m3"), x, "fp16") + 1

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert torch.equal(torch.compile(function, backend="eager")(x), function(x))


# -- memory -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ("float16", "float32", "float64", "bfloat16", "float8_e4m3fn"))
def test_out_is_written_in_its_own_memory(dtype):
    out = torch.zeros(2, 3, dtype=getattr(torch, dtype))
    place, version = out.data_ptr(), out._version
    got = fl.quantize(np.float32([[0.1, 0.2, 0.3]] * 2), "e4m3", out=out)
    assert got is out and out.data_ptr() == place
    assert out.float().tolist() == fl.quantize(np.float32([[0.1, 0.2, 0.3]] * 2), "e4m3").tolist()
    assert out._version > version  # so that PyTorch's autograd sees it


@pytest.mark.parametrize("dtype", ("float32", "bfloat16"))
def test_out_may_be_the_source_or_a_part_of_it(dtype):
    x = torch.linspace(0, 3, 12).to(getattr(torch, dtype))
    expected = fl.quantize(x, "e2m3")
    assert fl.quantize(x, "e2m3", out=x) is x and torch.equal(x, expected)
    y = torch.linspace(0, 3, 12).to(getattr(torch, dtype))
    expected = fl.quantize(y[:-1].clone(), "e2m1")
    fl.quantize(y[:-1], "e2m1", out=y[1:])
    assert torch.equal(y[1:], expected)


def test_a_strided_out_is_written_where_its_elements_are():
    x = torch.zeros(4, 4)
    fl.quantize(torch.full((4,), 0.1), "e4m3", out=x.T[1])
    assert x[:, 1].tolist() == [0.1015625] * 4 and x.count_nonzero() == 4


def test_a_saved_tensor_that_out_changes_is_noticed_by_the_backward_pass():
    w, x = torch.ones(3, requires_grad=True), torch.full((3,), 0.1)
    y = (w * x).sum()
    fl.quantize(x, "e4m3", out=x)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.backward()


def test_out_with_flags():
    out = torch.zeros(2)
    values, flags = fl.quantize(torch.tensor([0.1, 1e4]), "e4m3", out=out, return_flags=True)
    assert values is out and flags.overflow.tolist() == [False, True]


@pytest.mark.parametrize(
    ("out", "error", "says"),
    [
        (lambda: torch.zeros(3, 1).expand(3, 3), OptionError, "place of its own"),
        (lambda: torch.zeros(3, 3, dtype=torch.int32), DtypeError, "out is an array"),
        (lambda: torch.zeros(2), FloatlabError, "shape"),
        (lambda: torch.zeros(3, 3, dtype=torch.float8_e5m2), DtypeError, "every value"),
        (lambda: torch.zeros(3, 3, requires_grad=True), AutogradError, "gradient"),
    ],
)
def test_an_out_that_cannot_hold_the_result_is_refused(out, error, says):
    with pytest.raises(error, match=says):
        fl.quantize(torch.ones(3, 3), "e4m3", out=out())


def test_a_result_shares_no_memory_with_its_source():
    x = torch.ones(4)
    fl.quantize(x, "fp32")[0] = 5
    fl.encode(x, "fp32")[0] = 5
    assert x.tolist() == [1.0] * 4


# -- FloatArrays ------------------------------------------------------------------------------------------------


def test_a_float_array_of_a_tensor():
    a = fl.array(torch.tensor([0.1, 1.0]), "e4m3")
    assert isinstance(a, fl.FloatArray) and a.tolist() == [0.1015625, 1.0]
    assert fl.array(torch.tensor([0.1], dtype=torch.bfloat16)).format.name == "bfloat16"
    assert fl.from_codes(torch.tensor([126], dtype=torch.uint8), "e4m3").tolist() == [448.0]


def test_asarray_and_to_torch_look_at_the_same_memory():
    x = torch.tensor([0.1, 1.0, 2.0], dtype=torch.float8_e4m3fn)
    a = fl.asarray(x)
    a[0] = 448.0
    assert x.tolist() == [448.0, 1.0, 2.0]
    back = a.to_torch()
    assert back.dtype == torch.float8_e4m3fn and back.data_ptr() == x.data_ptr()
    codes = torch.tensor([1, 2], dtype=torch.uint8)
    fl.from_codes(codes, "e4m3")[1] = 448.0
    assert codes.tolist() == [1, 126]


@pytest.mark.parametrize("fmt", ("fp16", "fp32", "fp64", *NARROW))
def test_to_torch_has_the_codes(fmt):
    codes = np.arange(1, 120, dtype=fl.get_format(fmt).code_dtype)
    tensors = fl.from_codes(codes, fmt).to_torch(), fl.array(fl.from_codes(codes, fmt).values, fmt).to_torch()
    for made in tensors:
        assert bits(made) == codes.tobytes()


def test_a_format_without_a_type_in_pytorch_says_so():
    for fmt in ("e2m3", "e3m4", "p3109_p3"):
        if fmt in FORMATS or fmt == "e2m3":
            with pytest.raises(FormatError, match=r"\.codes|codes"):
                fl.array([1.0], fmt).to_torch()


def test_a_float_array_beside_a_tensor_makes_a_float_array():
    a = fl.array([1.0, 2.0], "e4m3")
    got = fl.add(a, torch.tensor([0.5, 0.5]), "fp16")
    assert isinstance(got, fl.FloatArray) and got.tolist() == [1.5, 2.5]


def test_operators_ask_for_a_conversion():
    a, t = fl.array([1.0], "e4m3"), torch.ones(1)
    for function in (lambda: a + t, lambda: t + a, lambda: t * a):
        with pytest.raises(DtypeError, match=r"fl\.array"):
            function()
    assert (a == torch.ones(1, dtype=torch.bfloat16)).tolist() == [True]


# -- mixtures ---------------------------------------------------------------------------------------------------


def test_numpys_arrays_and_numbers_follow_the_tensor():
    t = torch.tensor([0.1, 0.2])
    for got in (
        fl.add(np.ones(2), t, "fp16"),
        fl.add(t, [1.0, 1.0], "fp16"),
        fl.fma(1.0, t, np.ones(2), "fp16"),
    ):
        assert (
            isinstance(got, torch.Tensor) and got.tolist() == fl.add([1.0, 1.0], t.numpy(), "fp16").tolist()
        )


def test_a_list_of_tensors_is_a_list_of_numbers():
    got = fl.quantize([torch.tensor(0.1, dtype=torch.bfloat16), 1.0], "e4m3")
    assert isinstance(got, np.ndarray) and got.tolist() == [0.1015625, 1.0]
    with pytest.raises(AutogradError):
        fl.quantize([[torch.tensor(0.1, requires_grad=True)]], "e4m3")


def test_floatlabs_own_tensors_keep_the_graph():
    own = fl.Tensor([1.0, 2.0], format="fp16", requires_grad=True)
    got = fl.sum(fl.exp(own))
    assert isinstance(got, fl.Tensor) and got.requires_grad
    assert fl.Tensor(torch.tensor([0.1]), format="e4m3").tolist() == [0.1015625]


# -- what is refused --------------------------------------------------------------------------------------------


def nested():
    return torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])


def quantized():
    return torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)


def packed():
    return torch.zeros(2, dtype=torch.uint8).view(torch.float4_e2m1fn_x2)


REFUSED = {
    "sparse": (lambda: torch.ones(3).to_sparse(), DtypeError, "to_dense"),
    "sparse rows": (lambda: torch.ones(2, 2).to_sparse_csr(), DtypeError, "to_dense"),
    "quantized": (quantized, DtypeError, "dequantize"),
    "meta": (lambda: torch.ones(2, device="meta"), DtypeError, "meta"),
    "complex": (lambda: torch.ones(2, dtype=torch.complex64), DtypeError, r"x\.real"),
    "conjugate": (lambda: torch.ones(2, dtype=torch.complex64).conj(), DtypeError, r"x\.real"),
    "negative": (lambda: torch.ones(2, dtype=torch.complex64).conj().imag, DtypeError, "resolve_neg"),
    "nested": (nested, DtypeError, "unbind"),
    "two to a byte": (packed, DtypeError, "float4_e2m1fn_x2"),
    "a gradient": (lambda: torch.ones(2, requires_grad=True), AutogradError, r"autograd\.Function"),
    "an inner gradient": (lambda: torch.ones(2, requires_grad=True) * 2, AutogradError, r"x\.detach"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("name", ("quantize", "encode", "array", "exp", "sum", "asarray"))
@pytest.mark.filterwarnings("ignore")
def test_what_has_no_plain_numbers_is_refused_in_words(case, name):
    make, error, says = REFUSED[case]
    with pytest.raises(error, match=says) as caught:
        getattr(fl, name)(make(), "e4m3")
    assert str(caught.value).count(". ") >= 2


def test_a_tensor_of_another_device_says_where_it_is(monkeypatch):
    class OnDevice(torch.Tensor):
        @property
        def device(self):
            return torch.device("cuda", 0)

    with pytest.raises(DtypeError, match=r"cuda:0.*x\.cpu\(\)"):
        fl.quantize(torch.ones(2).as_subclass(OnDevice), "e4m3")


def test_an_array_that_says_it_lies_on_a_device_is_refused():
    class Elsewhere:
        def __dlpack_device__(self):
            return 2, 1

        def __dlpack__(self, **options):
            raise AssertionError("never asked")

        def __array__(self, dtype=None, copy=None):
            raise AssertionError("never copied")

    for function in (fl.quantize, fl.array, fl.exp, fl.sum):
        with pytest.raises(DtypeError, match="device 1"):
            function(Elsewhere(), "e4m3")


def test_where_no_gradient_is_wanted_a_parameter_is_taken():
    w = torch.nn.Parameter(torch.tensor([0.1]))
    with torch.no_grad():
        assert fl.quantize(w, "e4m3").tolist() == [0.1015625]
        fl.quantize(w, "e4m3", out=w)
    assert w.tolist() == [0.1015625] and w.requires_grad


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of PyTorch's forward mode
@pytest.mark.parametrize("transform", ("grad", "jvp", "vmap"))
def test_inside_a_transformation_nothing_is_lost_in_silence(transform):
    def function(x):
        return fl.quantize(x, "e4m3").sum() * 1.0

    x = torch.ones(3)
    with pytest.raises(FloatlabError):
        if transform == "jvp":
            torch.func.jvp(function, (x,), (x,))
        elif transform == "grad":
            torch.func.grad(function)(x)
        else:
            torch.func.vmap(function)(torch.ones(2, 3))


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_a_tangent_of_forward_mode_is_not_lost_in_silence():
    import torch.autograd.forward_ad as forward_ad

    with forward_ad.dual_level(), pytest.raises(AutogradError, match="tangent"):
        fl.quantize(forward_ad.make_dual(torch.ones(2), torch.ones(2)), "e4m3")


# -- looking ----------------------------------------------------------------------------------------------------


def test_figures_and_inspect_look_at_tensors_and_at_parameters():
    w = torch.nn.Parameter(torch.linspace(-1, 1, 64).to(torch.bfloat16))
    report = fl.inspect({"w": w}, formats="e4m3", scaling="none")
    assert report.tensors[0].dtype == "bfloat16"
    pytest.importorskip("matplotlib")
    x, figure = w.detach().float().numpy(), fl.plots.plot_histogram
    assert _data(figure(w, "e4m3")) == _data(figure(x, "e4m3"))


def _data(figure) -> str:
    return repr([part.get_path().vertices.tolist() for axes in figure.axes for part in axes.patches])


# -- the straight-through recipe, as docs/other-arrays.md has it -------------------------------------------------


class FakeQuantize(torch.autograd.Function):
    """Round in the forward pass; hand the gradient through."""

    @staticmethod
    def forward(ctx, x, fmt):
        return fl.quantize(x.detach(), fmt, overflow="saturate")

    @staticmethod
    def backward(ctx, gradient):
        return gradient, None


@pytest.mark.parametrize("dtype", ("float16", "bfloat16", "float8_e5m2", "float8_e4m3fn"))
def test_the_recipe_rounds_as_pytorch_casts(dtype):
    """PyTorch's casts round to nearest even too; from float32, on numbers within the range of the format."""
    fmt = fl.get_format(dtype)
    rng = np.random.default_rng(5)
    x = np.ldexp(rng.uniform(1, 2, 20000), rng.integers(fmt.etiny - 1, fmt.emax, 20000)).astype(np.float32)
    x = torch.from_numpy(x * rng.choice([-1, 1], x.size).astype(np.float32)).requires_grad_()
    y = FakeQuantize.apply(x, dtype)
    assert torch.equal(y, x.detach().to(getattr(torch, dtype)).float())
    (y * torch.arange(20000.0)).sum().backward()
    assert torch.equal(x.grad, torch.arange(20000.0))
