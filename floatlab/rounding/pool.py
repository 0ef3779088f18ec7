"""How do several threads convert one array? Each takes pieces of it, and all have the bits of one thread alone.

NumPy lets other threads run while it works on a block, so that a conversion, which is little else, takes as many cores
as it is given. Nothing depends on which thread takes which piece: an element is rounded by itself, and its random
integer is found by its number.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import numpy as np

from floatlab.backend import blocks
from floatlab.errors import OptionError
from floatlab.rounding.random_integers import RandomIntegers
from floatlab.system.environment import check_environment

__all__ = ["LEAST", "check_threads", "in_pieces", "threads", "threads_for"]

#: Arrays with fewer elements stay in one thread, which is done before another one has begun.
LEAST = 1 << 19
_PIECE = 1 << 16  # pieces are so many elements, or a multiple: whole blocks of every kernel

Work = Callable[[slice, RandomIntegers | None], None]

_threads: ContextVar[int] = ContextVar("floatlab_threads", default=1)


def check_threads(count: object) -> int:
    """Return a number of threads.

    Raises
    ------
    OptionError
        If it is none.

    Examples
    --------
    >>> check_threads(2)
    2
    """
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1:
        raise OptionError(
            f"threads is a number of threads, from 1 on. Got {count!r}. Use os.cpu_count() for one on each core."
        )
    return int(count)


@contextmanager
def threads(count: int) -> Iterator[int]:
    """Convert large arrays in so many threads inside a ``with`` block: what `quantize`, `encode` and `decode` do.

    FloatArrays and Tensors convert with these functions, too. The results have the same bits; arrays below 2^19
    elements stay in one thread. The option of the same name comes before the block.

    Parameters
    ----------
    count : int
        How many threads.

    Raises
    ------
    OptionError
        If it is no number from 1 on.

    Notes
    -----
    A block is in force for its own thread, or asynchronous task, alone.

    Examples
    --------
    >>> import floatlab as fl
    >>> x = np.linspace(-1, 1, 1_000_000)
    >>> with fl.threads(2):
    ...     y = fl.quantize(x, "bf16")
    >>> bool((y == fl.quantize(x, "bf16")).all())
    True
    """
    token = _threads.set(check_threads(count))
    try:
        yield count
    finally:
        _threads.reset(token)


def threads_for(size: int, asked: int | None) -> int:
    """Return how many threads convert so many elements; `asked` is what a caller wants, None for the context's.

    >>> threads_for(100, 8), threads_for(LEAST, 8), threads_for(LEAST, None)
    (1, 8, 1)
    """
    if asked is None:
        asked = 1 if size < LEAST else _threads.get()
    count = check_threads(asked)
    return 1 if size < LEAST else min(count, size // _PIECE)


def in_pieces(work: Work, size: int, draw: RandomIntegers | None, count: int, row: int = 1) -> None:
    """Do some work on all pieces of an array, in so many threads, of which the caller's is one.

    Parameters
    ----------
    work : callable
        Takes which rows a piece has, and the random integers of its elements. NumPy is silent around it.
    size : int
        How many rows there are.
    draw : RandomIntegers or None
        The random integers of all elements. Their generator moves on as if one thread had drawn them.
    count : int
        How many threads.
    row : int
        How many elements a row has.

    Raises
    ------
    Exception
        What the work on the first of the pieces raised, once no thread works any more.
    """
    if draw is not None and not draw.can_jump:
        draw.hold(size * row)
    # Some pieces for each thread, as not all are equally fast; whoever is free takes the next one.
    length = -(-size * row // (4 * count * _PIECE)) * _PIECE
    left = deque(enumerate(blocks(size, max(1, length // row))))
    failed: dict[int, BaseException] = {}

    def take() -> None:
        while True:
            try:
                place, piece = left.popleft()
            except IndexError:
                return
            try:
                _do(work, piece, draw, row)
            except BaseException as error:
                failed[place] = error
                left.clear()

    pool = _pool(count - 1, os.getpid())
    others = [pool.submit(take) for _ in range(count - 1)]
    take()
    wait(others)  # or they would write to arrays that the caller has back
    if failed:
        raise failed[min(failed)]
    if draw is not None:
        draw.skip(size * row)


def _do(work: Work, piece: slice, draw: RandomIntegers | None, row: int) -> None:
    check_environment()  # which is a thread's own
    with np.errstate(all="ignore"):
        work(piece, None if draw is None else draw.apart(piece.start * row))


@lru_cache(maxsize=4)
def _pool(count: int, process: int) -> Any:
    """Return threads that wait for work. A process that was forked has none of its parent's, so they go by process."""
    return ThreadPoolExecutor(count, thread_name_prefix="floatlab")
