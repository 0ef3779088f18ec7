"""Which random words does a device draw? Those of NumPy's generator, bit for bit, without a transfer.

Word number k of a PCG64 is k steps from its state, and so many steps are as quick as one (Brown 1994). So each thread
jumps to its first word, and goes on from there in strides.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from floatlab.backend import Array, Elementwise
from floatlab.rounding.device.files import source

__all__ = ["random_words"]

_MULTIPLIER = (2549297995355413924 << 64) + 4865540595714422341
_WORD, _STATE = (1 << 64) - 1, (1 << 128) - 1
_THREADS = 1 << 16  # enough to fill a device; each makes every 65,536th word

_HALVES = ("state", "step", "long_mul", "long_add")
_INPUTS = "int64 k, int64 size, " + ", ".join(f"uint64 {name}_high, uint64 {name}_low" for name in _HALVES)


@lru_cache(maxsize=1)
def _kernel() -> Elementwise:
    multiplier = f"{{{_MULTIPLIER >> 64}ull, {_MULTIPLIER & _WORD}ull}}"
    operation = f"""
        uint128 now = jump({{state_high, state_low}}, {multiplier}, {{step_high, step_low}}, k + 1);
        for (long long place = k; place < size; place += {_THREADS}) {{
            words[place] = output(now);
            now = plus(times(now, {{long_mul_high, long_mul_low}}), {{long_add_high, long_add_low}});
        }}"""
    preamble = source("words.cuh") + source("pcg64.cuh")
    return Elementwise(_INPUTS, "raw uint64 words", operation, "floatlab_pcg64", preamble)


def random_words(rng: np.random.Generator, size: int, xp: Any) -> Array:
    """Return the next 64-bit words of a generator as an array of a device; the generator moves on as if it drew them.

    A generator of another kind than NumPy's default, PCG64, draws them here, and they are sent.

    Parameters
    ----------
    rng : numpy.random.Generator
        What draws.
    size : int
        How many.
    xp : module
        That of the device's arrays.

    Returns
    -------
    array of uint64
        On the device.
    """
    source_of_bits = rng.bit_generator
    if type(source_of_bits) is not np.random.PCG64:
        return xp.asarray(rng.integers(0, _WORD, size, np.uint64, endpoint=True))
    words: Array = xp.empty(size, np.uint64)
    with source_of_bits.lock:
        state: Any = source_of_bits.state
        now, increment = state["state"]["state"], state["state"]["inc"]
        stride = _steps(increment, _THREADS)
        parts = [half for number in (now, increment, *stride) for half in (number >> 64, number & _WORD)]
        threads = xp.arange(min(size, _THREADS))
        if size:
            _kernel()(threads, size, *map(np.uint64, parts), words)
        multiplier, added = _steps(increment, size)
        state["state"]["state"] = now * multiplier + added & _STATE
        source_of_bits.state = state
    return words


def _steps(increment: int, n: int) -> tuple[int, int]:
    """Return the factor and the summand that n steps of the generator are.

    >>> _steps(7, 1) == (_MULTIPLIER, 7)
    True
    """
    factor, summand, power = 1, 0, (_MULTIPLIER, increment)
    while n:
        if n & 1:
            factor, summand = factor * power[0] & _STATE, summand * power[0] + power[1] & _STATE
        power = power[0] * power[0] & _STATE, (power[0] + 1) * power[1] & _STATE
        n >>= 1
    return factor, summand
