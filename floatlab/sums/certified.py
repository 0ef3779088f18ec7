"""Is a float64 product near enough to the exact one? The proof that a matrix product rounds as it should.

A BLAS adds in an order that depends on the processor, the number of threads and the version, so the last bits
of a float64 product are nobody's. But they are never far off, and Ziv's rounding test tells where that is
enough. With u = 2^-53 and K terms, for any order and with or without fused operations (Higham),

    |computed - exact|  <=  K u / (1 - K u) * sum |a_k b_k|  <=  K u / (1 - K u) * ||a|| * ||b||

Rounding to a format changes only at certain numbers: its values, the midpoints between them, its thresholds.
All of them have at most one bit more than the format, so they lie on the grid of float64 numbers of
`grid_bits` = precision + 1 bits. If both ends of the interval lie in the same cell of the grid, all numbers
between them round alike, the exact one included::

    |               |               |        computed ± bound in one cell: settled
      (-x-)       (-x-)                      computed ± bound across a mark: open

    0 10000000 101101|0011...                two float64 of one cell have the same sign, exponent and leading
    0 10000000 101101|1100...                mantissa bits: one exclusive or tells

Rounding to float32 to nearest, which is what networks are trained with, the marks are the midpoints of float32 alone:
half as many. There both ends are rounded themselves, and compared: rounding is monotonic, so what lies between two
numbers that round alike rounds as they do.

The few elements that are open are looked at again: by asking whether float64 was exact there, as it is if
all terms are multiples of a quantum and no partial sum reaches 2^53 quanta; and then by computing them
exactly. So the product rounds as the exact one does, on every machine whose matmul forms the K products of
an element and adds them, in whatever order. (Strassen's algorithm does not, and no BLAS that NumPy or CuPy
comes with uses it for float64 by default.)

See Also
--------
floatlab.sums.exact : what open elements are computed with
floatlab.functions : the same test of functions

References
----------
N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition (2002), section 3.1 (the error of a
    product in any order).
A. Ziv, "Fast evaluation of elementary mathematical functions with correctly rounded last bit", ACM TOMS 17 (1991),
    410-423 (the test: both ends of an interval round alike).
"""

from __future__ import annotations

import math

import numpy as np

from floatlab.backend import Array, array_module, block_length, blocks, is_gpu_array
from floatlab.formats import FloatFormat
from floatlab.sums.exact import dots_to_odd, matmul_to_odd
from floatlab.sums.words import words_of

__all__ = [
    "NEAREST_FLOAT32",
    "certified_matmul",
    "coarse_quantum",
    "error_factor",
    "exact_product",
    "highest",
    "norms",
    "product_and_roundings",
    "quantum",
    "settle",
    "with_addend",
]

_UNIT = 2.0**-53
# Covers 1 / (1 - K u), the rounding of norms and bounds, and makes the bound strict, for K up to 2^40.
_SAFETY = 1.01
NEAREST_FLOAT32 = 0  # in the place of the bits of a grid: the midpoints of float32

_CHUNK = 128  # so many terms are left to the BLAS at a time,
_LONG = 2048  # from so many on: below, the few more elements that stay open cost less than the cuts
_FEW_TERMS = 1 << 9  # so many terms are added one by one in the time of any other test
_MANY = 40  # if more than one element in so many is open, a product of slices is faster than dot products
_TINY = 2.0**-100  # quanta of formats with a wide exponent, as float32's, are of no use
_BLOCK_TERMS = 1 << 20  # terms of open elements that are held at a time

_HIDDEN, _EXPONENT, _MAGNITUDE = 1 << 52, 0x7FF << 52, (1 << 63) - 1


def norms(a: Array, b: Array) -> tuple[Array, Array]:
    """Return the 2-norms of the rows of `a` (..., M) and of the columns of `b` (..., N).

    >>> norms(np.array([[3.0, 4.0]]), np.eye(2))
    (array([5.]), array([1., 1.]))
    """
    xp = array_module(a)
    return xp.sqrt(xp.einsum("...ij,...ij->...i", a, a)), xp.sqrt(xp.einsum("...ij,...ij->...j", b, b))


def highest(addend: Array) -> float:
    """Return the largest magnitude of an addend; of a bias, which is broadcast, each value is looked at once.

    >>> highest(np.broadcast_to([1.0, -2.0], (1000, 2)))
    2.0
    """
    if addend.strides[-2] == 0:
        addend = addend[..., :1, :]
    return float(abs(addend).max())


def coarse_quantum(x: Array, fmt: FloatFormat) -> float:
    """Return a power of two of which all of these values of `fmt` are multiples: three passes, no more.

    The value nearest to zero is a multiple of its last place, and so are all larger ones.

    >>> from floatlab.formats import get_format
    >>> coarse_quantum(np.array([0.0, 6.0, -0.5]), get_format("fp16")) == 2.0**-1 * 2.0**-10
    True
    """
    words = x.view(np.int64) & _MAGNITUDE
    words -= 1  # a zero becomes the largest of all
    low = int(words.view(np.uint64).min()) + 1
    if low > _MAGNITUDE:
        return math.inf
    return max(math.ldexp(1.0, (low >> 52) - 1023 - fmt.mantissa_bits), fmt.smallest_subnormal)


def certified_matmul(
    a: Array, b: Array, addend: Array | None, grid_bits: int, sizes: tuple[Array, Array], quanta: float = 0.0
) -> Array:
    """Return float64 numbers that round as the exact ``a @ b + addend`` does.

    Parameters
    ----------
    a, b : array of float64, shapes (..., M, K) and (..., K, N)
        Finite; 0 or between `exact.SMALLEST` and `exact.LARGEST` in magnitude. M, K and N are at least 1.
    addend : array of float64, shape (..., M, N), or None
    grid_bits : int
        The result is good for rounding at marks of at most so many bits: precision + 1 for a format. Or
        `NEAREST_FLOAT32`: for rounding to float32 to nearest, with gradual underflow, and infinity beyond its range.
    sizes : tuple of arrays
        What `norms` gives for `a` and `b`.
    quanta : float
        A power of two of which all products and addends are known to be multiples; 0 if none is known.

    Returns
    -------
    array of float64, shape (..., M, N)
        Not the exact sums, but numbers on the same side of every mark of the grid. A zero is +0 or -0.

    Examples
    --------
    >>> a, b = np.array([[2.0**30, 1.0, -(2.0**30)]]), np.array([[2.0**30], [1.0], [2.0**30]])
    >>> certified_matmul(a, b, None, 25, norms(a, b))
    array([[1.]])
    """
    rows, columns = sizes
    product, terms = product_and_roundings(a, b)
    more = 0.0
    if addend is not None:
        product += addend
        more = highest(addend)
        terms += 1
    if quanta > _TINY and _SAFETY * _UNIT * (float(rows.max()) * float(columns.max()) + more) < quanta:
        return product  # exact: no partial sum reaches 2^53 quanta
    factor = error_factor(a, terms)
    left, right = (rows * factor)[..., :, None], columns[..., None, :]
    places = _open(product, left, right, more * factor, grid_bits)
    if places is not None:
        settle(product, places, grid_bits, a, b, addend, sizes, quanta)
    return product


def error_factor(a: Array, terms: int) -> float:
    """Return the bound of a sum's error in units of the norms' product; `terms` roundings are in the sum itself.

    Two roundings more, for those of computed - bound and computed + bound. On a GPU twice as much: see
    `floatlab.sums.device`.
    """
    return (2.0 if is_gpu_array(a) else 1.0) * _SAFETY * (terms + 2) * _UNIT


def product_and_roundings(a: Array, b: Array) -> tuple[Array, int]:
    """Return the float64 product, and how many roundings a term goes through at most.

    A long row is cut into chunks, so that a term meets the additions of its chunk and those of the chunks.
    """
    xp = array_module(a)
    terms = a.shape[-1]
    if terms < _LONG:
        return xp.matmul(a, b), terms
    chunk = max(_CHUNK, math.isqrt(terms))
    starts = range(0, terms, chunk)
    product = xp.matmul(a[..., :chunk], b[..., :chunk, :])
    for start in starts[1:]:
        product += xp.matmul(a[..., start : start + chunk], b[..., start : start + chunk, :])
    return product, chunk + len(starts)


def _open(product: Array, left: Array, right: Array, more: float, bits: int) -> Array | None:
    """Return the flat indices where ``product ± (left * right + more)`` lie in two cells; None if nowhere.

    A block at a time, so that what lies between product and answer stays in the cache.
    """
    xp = array_module(product)
    length = block_length(4 * product.itemsize)  # with the bound, the ends and what these round to
    if product.size <= length:
        crossing = _crossing(product, left * right, more, bits)
        return None if crossing is None else xp.flatnonzero(crossing)
    left = xp.broadcast_to(left, (*product.shape[:-1], 1))
    right = xp.broadcast_to(right, (*product.shape[:-2], 1, product.shape[-1]))
    inner = product.size // len(product)
    step = max(1, length // inner)
    scratch = xp.empty((step, *product.shape[1:]))
    found = []
    for part in blocks(len(product), step):
        x = product[part]
        bound = xp.multiply(left[part], right if product.ndim == 2 else right[part], out=scratch[: len(x)])
        crossing = _crossing(x, bound, more, bits)
        if crossing is not None:
            found.append(xp.flatnonzero(crossing) + part.start * inner)
    return xp.concatenate(found) if found else None


def _crossing(x: Array, bound: Array, more: float, bits: int) -> Array | None:
    """Return where x ± (bound + more) lie in different cells; None if nowhere. `bound` is overwritten."""
    if more:
        bound += more
    low = x - bound
    bound += x
    if bits == NEAREST_FLOAT32:  # as words, for which -0 and 0 are two
        crossing = low.astype(np.float32).view(np.int32) != bound.astype(np.float32).view(np.int32)
        return crossing if crossing.any() else None
    different = low.view(np.uint64)
    different ^= bound.view(np.uint64)
    cell = 1 << 53 - bits  # so many float64 numbers
    return None if different.max() < cell else different >= cell


def settle(
    product: Array,
    places: Array,
    grid_bits: int,
    a: Array,
    b: Array,
    addend: Array | None,
    sizes: tuple[Array, Array],
    quanta: float,
) -> None:
    """Replace those elements of `product`, of the flat indices `places`, that are open after all; in place."""
    xp = array_module(a)
    terms, (*batch, _, width) = a.shape[-1], product.shape
    where = xp.unravel_index(places, product.shape)
    few = max(_FEW_TERMS, (a.size + b.size) // 2)
    if len(places) * terms > few:
        opened = _is_inexact(product, where, a, b, addend, sizes, quanta, few)
        where = tuple(indices[opened] for indices in where)
    count = len(where[0])
    if count * terms > few and count * _MANY > product.size:
        product[where] = exact_product(a, b, addend)[where]
        return
    left = _stretched(a, (*product.shape[:-1], terms))
    right = _stretched(xp.swapaxes(b, -1, -2), (*batch, width, terms))
    step = max(1, _BLOCK_TERMS // terms)
    for block in blocks(count, step):
        some = tuple(indices[block] for indices in where)
        extra = None if addend is None else addend[some]
        product[some] = _again(left[some[:-1]], right[(*some[:-2], some[-1])], extra, grid_bits)


def _again(x: Array, y: Array, extra: Array | None, bits: int) -> Array:
    """Return the sums of a few elements, given their rows and columns: added by halves, or exactly.

    By halves a term goes through log2 K additions, and the bound is that much smaller.
    """
    xp = array_module(x)
    terms = x * y
    if extra is not None:
        terms = xp.concatenate([terms, extra[:, None]], axis=1)
    bound, depth = abs(terms).sum(axis=1), 1  # the product's own rounding is the first
    while terms.shape[1] > 1:
        half = terms.shape[1] // 2
        pairs = terms[:, :half] + terms[:, half : 2 * half]
        if terms.shape[1] % 2:
            pairs[:, 0] += terms[:, -1]
            depth += 1
        terms, depth = pairs, depth + 1
    sums = terms[:, 0].copy()
    crossing = _crossing(sums, bound * (_SAFETY * _UNIT * (depth + 2)), 0.0, bits)
    if crossing is not None:
        chosen = xp.nonzero(crossing)[0]
        extra = None if extra is None else extra[chosen]
        sums[chosen] = xp.asarray(dots_to_odd(x[chosen], y[chosen], extra))
    return sums


def _is_inexact(
    product: Array,
    where: tuple[Array, ...],
    a: Array,
    b: Array,
    addend: Array | None,
    sizes: tuple[Array, Array],
    quanta: float,
    few: int,
) -> Array:
    """Return which of the elements `where` are still open when their own terms are looked at."""
    xp, terms = array_module(a), a.shape[-1]
    row, column = where[:-1], (*where[:-2], where[-1])
    lead, foot = product.shape[:-1], (*product.shape[:-2], product.shape[-1])
    largest = _stretched(sizes[0], lead)[row] * _stretched(sizes[1], foot)[column]
    own = None if addend is None else addend[where]
    if own is not None:
        largest += abs(own)
    largest *= _SAFETY * _UNIT
    # A row of zeros has no error; nor has a sum none of whose partial sums reaches 2^53 quanta.
    opened = largest >= quanta if quanta else largest > 0
    if int(opened.sum()) * terms > few:  # a zero whose terms are all zero
        idle = xp.nonzero(opened & (product[where] == 0) & (own is None or own == 0))[0]
        opened[idle] = _overlap(a, b, product, tuple(indices[idle] for indices in where))
    if int(opened.sum()) * terms > few:
        found = _stretched(quantum(a, -1), lead)[row] * _stretched(quantum(b, -2), foot)[column]
        opened &= largest >= (found if own is None else xp.minimum(found, _lowest_bits(own)))
    return opened


def _overlap(a: Array, b: Array, product: Array, where: tuple[Array, ...]) -> Array:
    """Return for which elements row and column have a place in common where neither is zero."""
    xp = array_module(a)
    found = xp.zeros(len(where[0]), bool)
    for left, right in words_of(a != 0, xp.swapaxes(b, -1, -2) != 0, product.shape, where):
        found |= (left & right) != 0
    return found


def _stretched(x: Array, shape: tuple[int, ...]) -> Array:
    return x if x.shape == shape else array_module(x).broadcast_to(x, shape)


def exact_product(a: Array, b: Array, addend: Array | None) -> Array:
    """Return ``a @ b + addend`` rounded to odd, the addend as further columns of `a` and rows of `b`.

    >>> exact_product(np.array([[1e8]]), np.array([[1e8]]), np.array([[-1e16]]))
    array([[0.]])
    """
    return matmul_to_odd(a, b) if addend is None else matmul_to_odd(*with_addend(a, b, addend))


def with_addend(a: Array, b: Array, addend: Array) -> tuple[Array, Array]:
    """Return matrices whose product is ``a @ b + addend``: [a I] and [b; addend].

    >>> with_addend(np.ones((1, 2)), np.ones((2, 1)), np.array([[5.0]]))
    (array([[1., 1., 1.]]), array([[1.],
           [1.],
           [5.]]))
    """
    xp = array_module(a)
    if (addend == addend[..., :1, :]).all():  # the same for every row, as a layer's bias: one column of ones
        addend = addend[..., :1, :]
        ones = xp.ones((*a.shape[:-1], 1))
    else:
        ones = xp.broadcast_to(xp.eye(a.shape[-2]), (*a.shape[:-1], a.shape[-2]))
    b = xp.broadcast_to(b, (*addend.shape[:-2], *b.shape[-2:]))
    return xp.concatenate([a, ones], axis=-1), xp.concatenate([b, addend], axis=-2)


def quantum(x: Array, axis: int | None) -> Array:
    """Return the largest power of two of which all elements along `axis` are multiples; infinity for zeros.

    >>> quantum(np.array([[6.0, 0.5, 0.0], [0.0, 0.0, 0.0]]), -1)
    array([0.5, inf])
    """
    return _lowest_bits(x).min(axis=axis)


def _lowest_bits(x: Array) -> Array:
    """Return the value of the lowest set bit of each element; infinity for zeros, 0 below float64's normal range."""
    xp = array_module(x)
    words = xp.ascontiguousarray(x).view(np.int64)
    digits = words | _HIDDEN
    digits &= -digits  # the lowest set bit of the mantissa and its hidden bit
    unit = (words & _EXPONENT).view(np.float64)  # 2^exponent
    unit *= digits
    unit *= 2.0**-52
    return xp.where(x == 0, np.inf, unit)
