"""How does a long job use all cores? One call for each item, side by side, in processes that leave Ctrl-C to the first.

A terminal sends Ctrl-C to every process of a job. The first one shall stop and keep what is finished; a worker that
died of it, in the middle of a run or before its first, would leave the others waiting. So workers are started while
the signal is blocked, which they inherit, and ignore it from their first call on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from floatlab.system.environment import check_environment

__all__ = ["side_by_side"]

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(function: Callable[[T], R], items: Sequence[T], jobs: int) -> Iterator[tuple[int, R]]:
    """Yield the index of each item and what the function returns for it, as they finish.

    Parameters
    ----------
    function : callable
        A function of a module, so that other processes can find it.
    items : sequence
        Its arguments, one for each call.
    jobs : int
        How many processes to use; with 1, or for one item, everything stays in this one, and in order.

    Examples
    --------
    >>> list(side_by_side(abs, [-1, 2], jobs=1))
    [(0, 1), (1, 2)]
    """
    if jobs <= 1 or len(items) <= 1:
        yield from ((i, function(item)) for i, item in enumerate(items))
        return
    import joblib

    # One BLAS thread in each process: the products are small, and the processes already fill the cores.
    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        parallel = joblib.Parallel(
            n_jobs=min(jobs, len(items)), return_as="generator_unordered", batch_size=1
        )
        with _interrupts_held():
            results = parallel(joblib.delayed(_call)(function, i, item) for i, item in enumerate(items))
        yield from results


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """Block Ctrl-C, here and in all processes that are started meanwhile; here it arrives at the end."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _call(function: Callable[[Any], Any], index: int, item: Any) -> tuple[int, Any]:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    check_environment()
    return index, function(item)
