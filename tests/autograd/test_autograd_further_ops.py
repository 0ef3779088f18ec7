"""Whole numbers, products, directions, and values put to places: slopes, PyTorch's answers, one rounding."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from test_autograd_ops import Case, case
from torch_answers import answers

import floatlab as fl
from floatlab import nn
from floatlab.autograd import Tensor, apply, gradcheck
from floatlab.errors import FloatlabError, OptionError, ShapeError
from floatlab.rounding.quantize import quantize

F = nn.functional
PLACES = np.array([[0, 2, 2], [1, 0, 1]])


def _kept(name: str) -> Any:
    def ask(t: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Any:
        dim = tuple(range(a.ndim)) if axis is None else axis
        return getattr(t, name)(a, dim, keepdim=keepdims)

    return ask


def _prod(t: Any, a: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return a.prod() if axis is None else a.prod(axis, keepdim=keepdims)


def _add(t: Any, a: Any, b: Any, *, indices: Any, axis: int, alpha: float = 1.0) -> Any:
    return a.scatter_add(axis, t.tensor(indices), alpha * b)


CASES: list[Case] = [
    *(
        case(name, (3, 4), torch=lambda t, a, name=name: getattr(t, name)(a))
        for name in ("floor", "ceil", "round", "trunc", "sign")
    ),
    case("logsumexp", (3, 4), torch=_kept("logsumexp")),
    case("logsumexp", (2, 3, 4), axis=(0, 2), keepdims=True, torch=_kept("logsumexp")),
    case("logsumexp", (3, 4), axis=-1, low=-90.0, high=90.0, torch=_kept("logsumexp")),
    case("prod", (3, 4), torch=_prod),
    case("prod", (2, 3, 4), axis=1, torch=_prod),
    case("prod", (2, 3), axis=-1, keepdims=True, torch=_prod),
    *(
        case(
            "normalize",
            (3, 4),
            p=p,
            axis=axis,
            torch=lambda t, a, p, axis: t.nn.functional.normalize(a, p, axis),
        )
        for p, axis in ((2.0, 1), (2.0, 0), (1.0, -1))
    ),
    case("normalize", (3, 4), eps=9.0, torch=lambda t, a, eps: t.nn.functional.normalize(a, eps=eps)),
    *(
        case(
            "cosine_similarity",
            (3, 4),
            second,
            axis=axis,
            eps=eps,
            torch=lambda t, a, b, axis, eps: t.nn.functional.cosine_similarity(a, b, axis, eps),
        )
        for second, axis, eps in (((3, 4), 1, 1e-8), ((1, 4), 1, 1e-8), ((3, 4), 0, 1e-8), ((3, 4), 1, 9.0))
    ),
    case("scatter_add", (3, 4), (2, 3), indices=PLACES, axis=0, torch=_add),
    case("scatter_add", (3, 4), (2, 3), indices=PLACES, axis=1, alpha=-0.5, torch=_add),
]
ids = [f"{k} {c.op}" for k, c in enumerate(CASES)]
FLAT = ("floor", "ceil", "round", "trunc", "sign")


@pytest.mark.parametrize("c", CASES, ids=ids)
def test_derivatives_agree_with_central_differences(c: Case) -> None:
    tensors = [Tensor(x, requires_grad=True, format="fp64") for x in c.draw()]
    assert gradcheck(c.run, tensors, tolerance=5e-7) is not None


@pytest.mark.parametrize(("c", "name"), list(zip(CASES, ids, strict=True)), ids=ids)
def test_values_and_gradients_are_pytorchs(c: Case, name: str) -> None:
    arrays = [x.astype(np.float32) for x in c.draw()]
    ours = [Tensor(x, requires_grad=True) for x in arrays]
    out = c.run(*ours)
    weight = np.random.default_rng(0).uniform(0.5, 1.5, out.shape).astype(np.float32)

    def ask(torch: Any) -> Any:
        theirs = [torch.tensor(x, requires_grad=True) for x in arrays]
        reference = c.torch(torch, *theirs, **c.params)
        reference.backward(torch.tensor(weight))
        return [reference, *(b.grad for b in theirs)]

    expected = answers(f"further op {name}", ask, *arrays, weight)
    out.backward(weight)
    if c.op == "cosine_similarity" and c.params["eps"] == 9.0:
        # PyTorch's gradient follows a length even where eps has taken its place; central differences say what is right
        expected = [expected[0], *(x.grad.data for x in ours)]
    for found, wanted in zip([out, *(x.grad for x in ours)], expected, strict=True):
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found.data, wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("fmt", ["fp32", "fp16", "bf16", "e5m2"])
@pytest.mark.parametrize("c", CASES, ids=ids)
def test_every_output_and_gradient_is_the_wide_one_rounded_once(c: Case, fmt: str) -> None:
    narrow = [Tensor(x, requires_grad=True, format=fmt) for x in c.draw()]
    exact = [Tensor(x.data, requires_grad=True, format="fp64") for x in narrow]
    out, wide = c.run(*narrow), c.run(*exact)
    assert np.array_equal(out.data, quantize(wide.data, fmt), equal_nan=True)
    weight = Tensor(np.random.default_rng(0).uniform(0.5, 1.5, out.shape), format=fmt)
    out.backward(weight)
    wide.backward(Tensor(weight.data, format="fp64"))
    for a, b in zip(narrow, exact, strict=True):
        assert np.array_equal(a.grad.data, quantize(b.grad.data, fmt), equal_nan=True)


@pytest.mark.parametrize("name", FLAT)
def test_whole_numbers_of_special_values_are_pytorchs_and_their_slope_is_0(name: str) -> None:
    values = np.array([-0.0, 0.0, np.nan, -2.5, 2.5, -0.4, 0.5, 1.5, np.inf, -np.inf, 3.5e4], np.float32)

    def ask(torch: Any) -> Any:
        x = torch.tensor(values, requires_grad=True)
        y = getattr(x, name)()
        y.sum().backward()
        return [y, x.grad]

    expected, slopes = answers(f"special {name}", ask, values)
    x = Tensor(values, requires_grad=True)
    y = getattr(x, name)()
    y.backward(np.ones(len(values)))
    assert np.array_equal(y.data, expected, equal_nan=True) and np.array_equal(x.grad.data, slopes)
    if name != "sign":  # of which nothing says that -0 stays one
        assert np.array_equal(np.signbit(y.data), np.signbit(expected))


def test_a_product_keeps_its_slopes_where_factors_are_zero_and_is_rounded_once() -> None:
    x = Tensor([[2.0, 0.0, 3.0], [0.0, 0.0, 5.0]], requires_grad=True)
    x.prod(1).backward(np.ones(2))
    assert x.grad.tolist() == [[0.0, 6.0, 0.0], [0.0, 0.0, 0.0]]
    factors = [1.0 + 2.0**-10, 1.0 + 2.0**-9, 3.0, 1.0 - 2.0**-11]
    exact = Fraction(1)
    for factor in factors:
        exact *= Fraction(factor)
    assert Tensor(factors, format="fp16").prod().item() == quantize(float(exact), "fp16")


def test_logsumexp_neither_overflows_nor_loses_its_limits() -> None:
    x = Tensor([[1000.0, 1000.0], [-np.inf, -np.inf], [np.inf, 1.0], [np.nan, 1.0], [-np.inf, 2.0]])
    found = x.logsumexp(1).tolist()
    assert found[0] == pytest.approx(1000.0 + np.log(2.0)) and found[1] == -np.inf and found[2] == np.inf
    assert np.isnan(found[3]) and found[4] == 2.0


def test_a_vector_of_length_0_is_divided_by_eps_and_has_no_direction() -> None:
    x = Tensor(np.zeros((1, 3)), requires_grad=True)
    y = F.normalize(x, eps=0.5)
    y.backward(np.ones((1, 3)))
    assert y.tolist() == [[0.0] * 3] and x.grad.tolist() == [[2.0] * 3]
    assert F.cosine_similarity(x, Tensor(np.ones((1, 3)))).tolist() == [0.0]
    with pytest.raises(OptionError, match="order 1 or 2"):
        F.normalize(x, p=3)
    with pytest.raises(ShapeError, match="dim"):
        F.normalize(x, dim=2)


# -- places ------------------------------------------------------------------------------------------

PROGRAMS = {
    "scatter": "y = x.scatter(1, i, s[:, :3])",
    "scatter in place": "y = x.clone(); y.scatter_(1, i, s[:, :3])",
    "scatter a number": "y = x.clone(); y.scatter_(0, i, 7.0)",
    "scatter add": "y = x.scatter_add(0, i, s[:, :3])",
    "scatter add in place": "y = x * 2; y.scatter_add_(1, i, s[:, :3])",
    "index add": "y = x.index_add(0, j, s, alpha=-0.5)",
    "index add in place": "y = x * 2; y.index_add_(0, j, s)",
    "one hot": "y = x * (x * 0).detach().clone().scatter_(1, i[:, :1], 1.0)",
    "median": "y = x.median(1).values",
    "median of all": "y = x.median()",
    "median kept": "y = x.median(0, keepdim=True)[0]",
    "logsumexp": "y = x.logsumexp(1, True)",
}
X = np.array([[1.0, -2.0, 3.0, 0.5], [0.25, 4.0, -1.0, 2.0]], np.float32)
S = np.array([[5.0, 6.0, 7.0, 8.0], [-1.0, -2.0, -3.0, -4.0]], np.float32)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_with_places_gives_pytorchs_values_and_gradients(name: str) -> None:
    places = np.array([[0, 1, 0], [1, 0, 1]])
    if "add" not in name:
        places[0, 2] = 2 if name in ("scatter", "scatter in place") else 0
        places[1, 2] = 3 if name in ("scatter", "scatter in place") else 1

    def run(library: Any) -> list[Any]:
        x, s = (library.tensor(a.tolist(), requires_grad=True) for a in (X, S))
        names = {"x": x, "s": s, "i": library.tensor(places.tolist()), "j": library.tensor([1, 1])}
        exec(PROGRAMS[name], names)
        y: Any = names["y"]
        (y * y).sum().backward()
        zeros = np.zeros(S.shape, np.float32)
        return [np.asarray(t.detach()) for t in (y, x.grad)] + [
            zeros if s.grad is None else np.asarray(s.grad.detach())
        ]

    expected = answers(f"places: {name}", run, X, S, places)
    for found, wanted in zip(run(fl), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_a_sum_at_a_place_is_rounded_once() -> None:
    x = Tensor([1.0], format="e4m3")
    third = Tensor([0.0625, 0.0625], format="e4m3")  # each half a step of 1.0: one by one both would be lost
    assert x.scatter_add(0, np.array([0, 0]), third).tolist() == [1.125]
    assert x.index_add(0, np.array([0, 0]), third, alpha=2).tolist() == [1.25]


def test_a_median_with_a_nan_is_nan_and_says_where() -> None:
    x = Tensor([[1.0, np.nan, 0.0], [3.0, 1.0, 2.0]])
    values, places = x.median(1)
    assert np.isnan(values.data[0]) and values.data[1] == 2.0 and places.tolist() == [1, 2]
    assert np.isnan(x.median().item())


@pytest.mark.parametrize(
    "run",
    [
        lambda x: x.scatter_(0, np.array([[2, 0]]), 1.0),
        lambda x: x.scatter_(0, np.array([0, 1]), 1.0),
        lambda x: x.scatter_(3, np.array([[0, 1]]), 1.0),
        lambda x: x.scatter_(0, np.array([[0.5, 1.0]]), 1.0),
        lambda x: x.scatter_(1, np.array([[0, 1]]), fl.ones(1, 1)),
        lambda x: x.scatter_add(1, np.array([[0, 1]]), fl.ones(1, 1)),
        lambda x: x.scatter_add(0, np.array([[5, 1]]), fl.ones(1, 2)),
        lambda x: x.index_add(0, np.array([0, 1]), fl.ones(1, 2)),
        lambda x: x.index_add(0, np.array([[0]]), fl.ones(1, 2)),
        lambda x: x.index_add(2, np.array([0]), fl.ones(1, 2)),
        lambda x: x.index_add(0, np.array([7]), fl.ones(1, 2)),
        lambda x: fl.zeros(0, 2).median(0),
    ],
)
def test_places_that_are_none_are_refused_in_words(run: Any) -> None:
    with pytest.raises(FloatlabError, match=r"Got .*\."):
        run(Tensor(np.ones((2, 2))))


def test_the_operations_are_in_the_table() -> None:
    assert apply("sign", Tensor([-2.0])).tolist() == [-1.0]
