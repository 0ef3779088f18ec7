"""How is a tensor made without a constructor? ``zeros ones full rand randn arange``, by PyTorch's names.

All take ``dtype`` (a format; "long", int or bool give a `DiscreteArray`), ``requires_grad``, and ``device``, which
means nothing here. Shapes are given one by one or as a tuple. What is drawn comes from `rng` (PyTorch's
``generator``), or from the generator of `manual_seed`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from floatlab.autograd.discrete import discrete, kind_of, refuse_gradient
from floatlab.autograd.operation import Array
from floatlab.autograd.ops.movement import several
from floatlab.autograd.randomness import Rng, source, standard_normal
from floatlab.autograd.tensor import Tensor
from floatlab.autograd.value import Value
from floatlab.errors import DtypeError, OptionError, ShapeError
from floatlab.interchange.guests import taken

__all__ = [
    "arange",
    "as_tensor",
    "empty",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "multinomial",
    "ones",
    "ones_like",
    "rand",
    "rand_like",
    "randint",
    "randn",
    "randn_like",
    "randperm",
    "tensor",
    "zeros",
    "zeros_like",
]


def tensor(
    data: Any, *, dtype: Any = None, format: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """Return a tensor of some numbers, in fp32 if no format is named; whole numbers and truth values in an array.

    Parameters
    ----------
    data : array_like, Tensor or number
        Rounded once to the format. Integers and truth values are, as in PyTorch, kept as what they are unless a format
        is named: as labels, places and masks, in a `DiscreteArray`. Write ``1.0`` for a float.
    dtype, format, device, requires_grad
        See the top of this file.

    Raises
    ------
    DtypeError
        If `data` is not made of real numbers, or a gradient is wanted of whole numbers.

    Examples
    --------
    >>> tensor([1.0, 0.1], dtype="fp16", requires_grad=True)
    Tensor([1.      , 0.099976], format=float16, requires_grad=True)
    >>> tensor([1, 0, 2]), tensor([1, 0, 2], dtype="float32")
    (DiscreteArray([1, 0, 2]), Tensor([1., 0., 2.], format=float32))
    """
    fmt = _chosen(dtype, format)
    whole = kind_of(fmt)
    if whole is None and fmt is None:
        if isinstance(data, Value):
            fmt = data.format
        else:
            data = taken(data, "made a tensor")
            try:
                array = np.asarray(data)
            except (ValueError, TypeError) as error:
                raise DtypeError(
                    f"A tensor is made of numbers, in rows of one length. Got {type(data).__name__}. Check its parts. "
                    f"(NumPy: {error})"
                ) from None
            whole = array.dtype if array.dtype.kind in "iub" else None
    if whole is None:
        return Tensor(data, requires_grad=requires_grad, format="float32" if fmt is None else fmt)
    refuse_gradient(requires_grad)
    return discrete(np.array(data._data if isinstance(data, Value) else data).astype(whole))


def as_tensor(
    data: Any, *, dtype: Any = None, format: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """Return a tensor as it is, and anything else as `tensor` does."""
    same = dtype is None and format is None and not requires_grad
    return (
        data
        if isinstance(data, Value) and same
        else tensor(data, dtype=dtype, format=format, requires_grad=requires_grad)
    )


def zeros(
    *shape: Any, dtype: Any = None, format: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """Return a tensor of zeros.

    >>> zeros(2, 2, dtype="e4m3")
    Tensor([[0., 0.],
            [0., 0.]], format=float8_e4m3fn)
    """
    return _made(np.zeros(several(shape)), _chosen(dtype, format), requires_grad)


def ones(
    *shape: Any, dtype: Any = None, format: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """Return a tensor of ones."""
    return _made(np.ones(several(shape)), _chosen(dtype, format), requires_grad)


def empty(
    *shape: Any, dtype: Any = None, format: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """Return a tensor of zeros: what happens to lie in memory would differ from run to run."""
    return _made(np.zeros(several(shape)), _chosen(dtype, format), requires_grad)


def full(
    shape: Any,
    fill_value: float,
    *,
    dtype: Any = None,
    format: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Return a tensor of a shape with one number everywhere."""
    return _made(
        np.full(several((shape,)), fill_value), _chosen(dtype, format), requires_grad, keeps_whole=True
    )


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    format: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Return a matrix with ones on its diagonal, and zeros elsewhere."""
    rows, columns = several((n, n if m is None else m))
    return _made(np.eye(rows, columns), _chosen(dtype, format), requires_grad)


def zeros_like(
    x: Any, *, dtype: Any = None, format: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """Return zeros in the shape and the format of a tensor."""
    return _made(np.zeros(_shape(x)), _like(x, dtype, format), requires_grad)


def ones_like(
    x: Any, *, dtype: Any = None, format: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """Return ones in the shape and the format of a tensor."""
    return _made(np.ones(_shape(x)), _like(x, dtype, format), requires_grad)


def full_like(
    x: Any,
    fill_value: float,
    *,
    dtype: Any = None,
    format: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Return one number in the shape and the format of a tensor."""
    return _made(np.full(_shape(x), fill_value), _like(x, dtype, format), requires_grad)


def rand(
    *shape: Any,
    rng: Rng = None,
    generator: Rng = None,
    dtype: Any = None,
    format: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Return numbers spread evenly over [0, 1), rounded to the format.

    >>> rand(2, rng=0)
    Tensor([0.636962, 0.269787], format=float32)
    """
    return _made(source(_given(rng, generator)).random(several(shape)), _chosen(dtype, format), requires_grad)


def randn(
    *shape: Any,
    rng: Rng = None,
    generator: Rng = None,
    dtype: Any = None,
    format: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Return standard normal numbers, rounded to the format.

    >>> randn(2, rng=0)
    Tensor([0.182007, 0.578163], format=float32)
    """
    return _made(
        standard_normal(several(shape), _given(rng, generator)), _chosen(dtype, format), requires_grad
    )


def rand_like(
    x: Any,
    *,
    rng: Rng = None,
    dtype: Any = None,
    format: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Return numbers spread evenly over [0, 1) in the shape and the format of a tensor."""
    return rand(_shape(x), rng=rng, dtype=_like(x, dtype, format), requires_grad=requires_grad)


def randn_like(
    x: Any,
    *,
    rng: Rng = None,
    dtype: Any = None,
    format: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Return standard normal numbers in the shape and the format of a tensor."""
    return randn(_shape(x), rng=rng, dtype=_like(x, dtype, format), requires_grad=requires_grad)


def randint(
    *args: Any,
    rng: Rng = None,
    generator: Rng = None,
    dtype: Any = None,
    format: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Return whole numbers from `low` (or 0) to below `high`: ``randint(high, shape)``, ``randint(low, high, shape)``.

    >>> randint(0, 10, (3,), rng=0)
    DiscreteArray([8, 6, 5])
    """
    if len(args) not in (2, 3):
        raise OptionError(
            f"randint takes low, high and a shape; low may be left out. Got {len(args)} arguments. "
            "Use randint(0, 10, (3,))."
        )
    low, high, shape = (0, *args) if len(args) == 2 else args
    if not all(isinstance(n, int | np.integer) for n in (low, high)) or not low < high:
        raise OptionError(
            f"randint draws from low to below high, two integers. Got {low!r} and {high!r}. Use a larger high."
        )
    drawn = source(_given(rng, generator)).integers(low, high, several((shape,)))
    return _made(drawn, _chosen(dtype, format), requires_grad, keeps_whole=True)


def randperm(n: int, *, rng: Rng = None, generator: Rng = None) -> Any:
    """Return the numbers from 0 to n - 1 in a random order."""
    (length,) = several((n,))
    return discrete(source(_given(rng, generator)).permutation(length))


def multinomial(
    weights: Any, num_samples: int, replacement: bool = False, *, rng: Rng = None, generator: Rng = None
) -> Any:
    """Return places drawn with probabilities in proportion to weights: a row of them for each row of weights.

    Without `replacement` no place comes twice, so that there are at least `num_samples` weights other than 0.

    >>> multinomial([[0.0, 3.0], [1.0, 0.0]], 1)
    DiscreteArray([[1],
                   [0]])
    """
    table = np.asarray(weights, np.float64)
    rows = np.atleast_2d(table)
    sums = rows.sum(-1, keepdims=True)
    if table.ndim not in (1, 2) or not ((rows >= 0).all() and np.isfinite(sums).all() and (sums > 0).all()):
        raise OptionError(
            f"multinomial draws by rows of weights from 0 on, of which one is positive. Got shape {table.shape} with "
            f"a least weight of {table.min(initial=np.inf)}. Use softmax(scores, -1)."
        )
    enough = int((rows > 0).sum(1).min())
    most = np.inf if replacement else enough
    if not isinstance(num_samples, int | np.integer) or not 1 <= num_samples <= most:
        raise OptionError(
            f"As many places are drawn as have a weight, at most. Got num_samples={num_samples!r} of {enough}. "
            "Use replacement=True for more."
        )
    draw = source(_given(rng, generator)).choice
    drawn = [draw(rows.shape[1], num_samples, replace=bool(replacement), p=row) for row in rows / sums]
    return discrete(np.array(drawn).reshape(*table.shape[:-1], num_samples))


def from_numpy(array: Any) -> Any:
    """Return an array of float32, float64 or whole numbers as a tensor of the same memory, in the format of its type.

    >>> values = np.ones(2)
    >>> x = from_numpy(values).zero_()
    >>> values.tolist(), x.format.name
    ([0.0, 0.0], 'float64')
    """
    if not isinstance(array, np.ndarray):
        raise DtypeError(f"from_numpy takes a NumPy array. Got {type(array).__name__}. Use tensor(...).")
    if array.dtype.kind in "iub":
        return discrete(array)
    made = tensor(array, dtype=str(array.dtype))
    if array.dtype == made.format.value_dtype and array.flags.writeable:
        return Tensor._wrap(np.asarray(array), made.format, made.format)
    return made


def arange(
    *args: Any, dtype: Any = None, format: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """Return evenly spaced numbers, ``arange(end)``, ``arange(start, end)`` or ``arange(start, end, step)``.

    Whole numbers in, whole numbers out, as in PyTorch; name a format for a tensor.

    >>> arange(3), arange(0.0, 1.0, 0.25)
    (DiscreteArray([0, 1, 2]), Tensor([0.  , 0.25, 0.5 , 0.75], format=float32))
    """
    if (
        not 1 <= len(args) <= 3
        or not all(isinstance(x, int | float | np.number) for x in args)
        or args[2:] == (0,)
    ):
        raise OptionError(
            f"arange takes an end, or a start, an end and a step that is not 0. Got {args!r}. Use arange(0, 10, 2)."
        )
    return _made(np.arange(*args), _chosen(dtype, format), requires_grad, keeps_whole=True)


def _made(values: Array, fmt: Any, requires_grad: bool, keeps_whole: bool = False) -> Any:
    if fmt is None and not (keeps_whole and values.dtype.kind in "iub"):
        fmt = "float32"
    return tensor(values, dtype=fmt, requires_grad=requires_grad)


def _chosen(dtype: Any, format: Any) -> Any:
    """Return the format or type that was asked for, by either name; None for none."""
    fmt = dtype if format is None else format
    return "float64" if fmt is float else fmt


def _like(x: Any, dtype: Any, format: Any) -> Any:
    """Return the format that was asked for, or that of a tensor."""
    fmt = _chosen(dtype, format)
    return x.dtype if fmt is None else fmt


def _shape(x: Any) -> tuple[int, ...]:
    if not isinstance(x, Value | np.ndarray):
        raise ShapeError(
            f"The shape is that of a tensor. Got {type(x).__name__}. Use zeros(shape), or a tensor."
        )
    return x.shape


def _given(rng: Rng, generator: Rng) -> Rng:
    return generator if rng is None else rng
