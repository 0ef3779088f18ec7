"""Where do random numbers come from if nobody passes a generator? From one that `manual_seed` has set.

Passing ``rng=`` is the better way: nothing far away can change what it draws. Without it, and without `manual_seed`,
numbers differ from run to run.

Everything is made of `Generator.random` of NumPy's PCG64 (an integer times 2^-53, hence exact) and of operations that
IEEE 754 fixes, so that a seed gives the same bits on every machine. `Generator.uniform` and
`Generator.standard_normal` would not do: the first multiplies and adds in C, which some compilers fuse into one
rounding, the second takes logarithms from the C library.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from floatlab.errors import OptionError
from floatlab.functions.float64 import log64
from floatlab.rounding.random_integers import generator as checked

__all__ = ["Rng", "manual_seed", "source", "standard_normal"]

Rng = np.random.Generator | int | None

_seeded: list[np.random.Generator] = []  # empty, or the one of manual_seed


def manual_seed(seed: int) -> np.random.Generator:
    """Let everything that is given no generator draw from one with this seed, from now on; return that one.

    Layers that are made from now on, their dropout and `floatlab.randn` draw from it, in the order in which they do. A
    second seed holds for all of them too; a layer that was made before the first keeps its own.

    Raises
    ------
    OptionError
        If the seed is no integer from 0.

    Examples
    --------
    >>> import floatlab as fl
    >>> _ = manual_seed(0)
    >>> first = fl.randn(2)
    >>> _ = manual_seed(0)
    >>> (fl.randn(2) == first).tolist()
    [True, True]
    """
    if isinstance(seed, np.random.Generator) or seed is None:
        raise OptionError(
            f"A seed is an integer from 0. Got {seed!r}. Use manual_seed(0), or pass rng= itself."
        )
    made = checked(seed)
    assert made is not None
    if _seeded:
        _seeded[0].bit_generator.state = made.bit_generator.state  # layers hold it
    else:
        _seeded.append(made)
    return _seeded[0]


def source(rng: Rng = None) -> np.random.Generator:
    """Return the generator to draw from: the one given, that of a seed, or without either the default one."""
    if rng is None and _seeded:
        return _seeded[0]
    return np.random.default_rng(rng)


def standard_normal(shape: tuple[int, ...], rng: Rng = None) -> NDArray[np.float64]:
    """Return standard normal numbers by the polar method (Marsaglia and Bray 1964).

    A point (u, v) is drawn from the square until it lies in the unit circle; then u and v times ``sqrt(-2
    log(s) / s)``, with s = u² + v², are two independent normal numbers.

    >>> standard_normal((3,), rng=0).round(4)
    array([0.4861, 1.1209, 0.8105])
    """
    generator = source(rng)
    wanted = int(np.prod(shape, dtype=np.int64))
    parts: list[NDArray[np.float64]] = []
    have = 0
    while have < wanted:
        # pi / 4 of the points lie in the circle; each gives two numbers.
        u, v = 2.0 * generator.random((2, (wanted - have) * 2 // 3 + 8)) - 1.0
        s = np.asarray(u * u) + np.asarray(v * v)
        inside = (s > 0.0) & (s < 1.0)
        u, v, s = u[inside], v[inside], s[inside]
        stretch = np.sqrt(-2.0 * log64(s) / s)
        parts.append(np.stack((u * stretch, v * stretch), axis=1).ravel())
        have += parts[-1].size
    return np.concatenate(parts)[:wanted].reshape(shape) if parts else np.zeros(shape)
