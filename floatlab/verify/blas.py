"""Does the BLAS of this machine do what the certificate of `floatlab.sums.certified` asks of it?

A float64 product of matrices is trusted as far as this: each element is the sum of its K products, formed and added in
any order, with or without fused operations. Two consequences can be looked at without the BLAS, in integers:

- **Whole numbers**: where the operands are whole numbers, and the magnitudes of the products of an element add up to
  less than 2^53, nothing is rounded in any order. Then the product is exact, to its last bit. The numbers of a row
  have from 1 to all bits, so that what cuts them to fewer than float64 has, as emulations with slices do, is seen.
- **Any numbers**: the error of an element is at most K u / (1 - K u) times the sum of the magnitudes of its products,
  with u = 2^-53. Rows and columns differ in size by powers of two, so that what mixes them, as the algorithm of
  Strassen does, is seen.

To compute the products again would take long. Freivalds multiplies both sides by a random vector instead: (A B) r is
A (B r), two products with vectors. For whole numbers this is done modulo 2^64, where NumPy's integers are exact: a
wrong element escapes one vector with probability 2^-10 at most, and 2^-64 where its last bit is wrong. For any numbers
it is done with Python's integers, and some columns are computed again, each against its own bound.

References
----------
R. Freivalds, "Fast probabilistic algorithms", Mathematical Foundations of Computer Science (1979), 57-69.
N. J. Higham, "Accuracy and Stability of Numerical Algorithms", 2nd edition (2002), section 3.1 (the bound) and
    chapter 23 (Strassen's algorithm does not obey it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from floatlab.formats import FloatFormat
from floatlab.verify.tasks import Array, Outcome, Tally, Task

__all__ = ["check", "tasks"]

WHOLE, ANY = "whole numbers", "any numbers"
PROBES = 3
#: Rows, terms and columns: square, long, products with vectors, single terms.
SHAPES = ((64, 64, 64), (128, 257, 96), (1, 300, 200), (200, 300, 1), (33, 1, 65), (7, 2, 5), (48, 1000, 3))
LONG_SHAPES = ((512, 512, 512), (1024, 64, 1024), (96, 4096, 80), (2048, 3, 700), (5, 20_000, 5))
LAYOUTS: tuple[Callable[[Array], Array], ...] = (np.ascontiguousarray, np.asfortranarray)


def tasks(full: bool, kinds: Sequence[FloatFormat]) -> list[Task]:
    """Return the tasks: one for each of float64 and float32, and each kind of numbers."""
    shapes = len(SHAPES) + full * len(LONG_SHAPES)
    return [
        Task("blas", part, fmt.name, (), (0.4 if full else 0.05) * shapes, full=full)
        for fmt in kinds
        if fmt.name in ("float64", "float32")
        for part in (WHOLE, ANY)
    ]


def check(task: Task) -> Outcome:
    """Run one task."""
    dtype, tally = np.dtype(task.subject), Tally()
    rng = np.random.Generator(np.random.PCG64(1979))
    look = _check_whole if task.part == WHOLE else _check_any
    for shape in SHAPES + (LONG_SHAPES if task.full else ()):
        for a_lies in LAYOUTS:
            for b_lies in LAYOUTS:
                look(shape, dtype, _matmul(a_lies, b_lies), rng, tally)
    return tally.outcome()


def _matmul(
    a_lies: Callable[[Array], Array], b_lies: Callable[[Array], Array]
) -> Callable[[Array, Array], Array]:
    """Return the product that is looked at, of operands in a layout each."""
    return lambda a, b: np.matmul(a_lies(a), b_lies(b))


def _bits(dtype: np.dtype[np.generic]) -> int:
    """Return the precision of a type."""
    return 53 if dtype.itemsize == 8 else 24


# -- whole numbers -------------------------------------------------------------------------------------------


def _check_whole(
    shape: tuple[int, int, int],
    dtype: np.dtype[np.generic],
    matmul: Callable[[Array, Array], Array],
    rng: np.random.Generator,
    tally: Tally,
) -> None:
    """Compare products of whole numbers, which no order of adding rounds, with those of the integers."""
    m, k, n = shape
    room = _bits(dtype) - (k - 1).bit_length()
    for width in sorted({room // 2, room - 1, 1}):  # of the numbers of a; those of b have the rest
        what = f"{dtype} matmul {m} x {k} x {n} of {width} bits times a vector modulo 2^64, row"
        a, b = _whole(rng, (m, k), width), _whole(rng, (k, n), room - width)
        got = _as_integers(matmul(a.astype(dtype), b.astype(dtype)))
        for _ in range(PROBES):
            r = rng.integers(-(2**63), 2**63 - 1, n, endpoint=True)
            # modulo 2^64, as NumPy's integers are, which no BLAS multiplies
            tally.compare(got @ r, a @ (b @ r), lambda i, what=what: f"{what} {i}")


def _whole(rng: np.random.Generator, shape: tuple[int, int], width: int) -> Array:
    """Return whole numbers of up to so many bits, long ones beside short ones: their magnitudes are below 2^width."""
    numbers = rng.integers(0, 1 << width, shape) >> rng.integers(0, width, shape)
    return numbers * rng.choice([-1, 1], shape)


def _as_integers(product: Array) -> Array:
    """Return a product of whole numbers as integers; what is none becomes one that no product is."""
    wide = product.astype(np.float64)
    is_whole = np.isfinite(wide) & (np.abs(wide) < 2.0**53) & (wide == np.rint(wide))
    return np.where(is_whole, np.where(is_whole, wide, 0.0).astype(np.int64), 2**62 + 1)


# -- any numbers ---------------------------------------------------------------------------------------------


def _check_any(
    shape: tuple[int, int, int],
    dtype: np.dtype[np.generic],
    matmul: Callable[[Array, Array], Array],
    rng: np.random.Generator,
    tally: Tally,
) -> None:
    """Compare products with the exact ones, within the bound that holds for any order of adding."""
    m, k, n = shape
    bits = _bits(dtype)
    a, b = (rng.integers(-(1 << bits) + 1, 1 << bits, sides) for sides in ((m, k), (k, n)))
    reach = 200 if bits == 53 else 12
    rows, columns = rng.integers(-reach, reach, (m, 1)), rng.integers(-reach, reach, (1, n))
    product = matmul(
        np.ldexp(a.astype(dtype), rows).astype(dtype), np.ldexp(b.astype(dtype), columns).astype(dtype)
    )
    got = np.ldexp(
        np.ldexp(product.astype(np.float64), -rows), -columns
    )  # the sizes of rows and columns taken off
    finite = np.isfinite(got)
    if not finite.all():
        tally.note(
            False, f"{dtype} matmul {m} x {k} x {n} of finite numbers: {(~finite).sum()} are not finite"
        )
        return
    exact = _Exact(a, b, got)
    for name, probe in _probes(n, rng):
        error, magnitude = exact.against(probe)
        # |error| <= K u / (1 - K u) * magnitude, times (2^bits - K)
        for i in range(m):
            within = abs(int(error[i])) * ((1 << bits) - k) <= k * int(magnitude[i])
            tally.note(
                within, f"{dtype} matmul {m} x {k} x {n}, row {i} times {name}: off by {int(error[i])} units"
            )


class _Exact:
    """Three matrices of Python integers: a, b, and what should be their product."""

    def __init__(self, a: Array, b: Array, product: Array) -> None:
        self.a, self.b = a.astype(object), b.astype(object)
        self.product = np.array([[int(x) for x in row] for row in product.tolist()], dtype=object)

    def against(self, probe: Array) -> tuple[Array, Array]:
        """Return the product times a vector, less the exact one, and the magnitudes that its bound is made of."""
        used = np.flatnonzero(probe)
        b, weights = self.b[:, used], probe[used].astype(object)
        error = self.product[:, used].dot(weights) - self.a.dot(b.dot(weights))
        return error, abs(self.a).dot(abs(b).dot(abs(weights)))


def _probes(n: int, rng: np.random.Generator) -> Iterator[tuple[str, Array]]:
    """Yield vectors: of signs, which see every element, and of one column, which see an error just above its bound."""
    for _ in range(PROBES):
        yield "a vector of signs", rng.choice([-1, 1], n)
    for j in rng.choice(n, min(n, PROBES), replace=False).tolist():
        yield f"column {j} alone", np.eye(1, n, j, dtype=int)[0]
