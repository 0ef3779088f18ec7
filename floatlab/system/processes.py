"""How does a long job use all cores? One call for each item, side by side, in processes that leave Ctrl-C to the first.

joblib starts the processes, on this machine; or it hands the calls to a cluster's, which others have started.

A terminal sends Ctrl-C to every process of a job. The first one shall stop and keep what is finished; a worker that
died of it, in the middle of a run or before its first, would leave the others waiting. So workers are started while
the signal is blocked, which they inherit, and ignore it from their first call on.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from floatlab.system.cluster import Cluster, become_worker
from floatlab.system.environment import check_environment

__all__ = ["side_by_side"]

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(
    function: Callable[[T], R], items: Sequence[T], jobs: int, cluster: Cluster | None = None
) -> Iterator[tuple[int, R]]:
    """Yield the index of each item and what the function returns for it, as they finish.

    Parameters
    ----------
    function : callable
        A function of a module, so that other processes can find it.
    items : sequence
        Its arguments, one for each call.
    jobs : int
        How many processes to use; with 1, or for one item, everything stays in this one, and in order.

    cluster : Cluster, optional
        Whose workers do the calls instead, all of them; `jobs` says nothing then.

    Raises
    ------
    OptionError, DataError
        If the cluster is not there, or one of its workers has another source.

    Examples
    --------
    >>> list(side_by_side(abs, [-1, 2], jobs=1))
    [(0, 1), (1, 2)]
    """
    if not items or (cluster is None and (jobs <= 1 or len(items) == 1)):
        yield from ((i, function(item)) for i, item in enumerate(items))
        return
    import joblib

    if cluster is None:
        engine, call = _processes(min(jobs, len(items))), _call
    else:
        engine, call = cluster.connected(), partial(_call_there, cluster, cluster.marks())
    with engine as options:
        parallel = joblib.Parallel(**options, return_as="generator_unordered", batch_size=1)
        with _interrupts_held():
            results = parallel(joblib.delayed(call)(function, i, item) for i, item in enumerate(items))
        yield from results


@contextmanager
def _processes(jobs: int) -> Iterator[dict[str, Any]]:
    """Yield the options with which joblib starts processes here.

    One BLAS thread in each: the products are small, and the processes already fill the cores.
    """
    import joblib

    with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
        yield {"n_jobs": jobs}


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


def _call_there(
    cluster: Cluster, marks: dict[str, str], function: Callable[[Any], Any], index: int, item: Any
) -> tuple[int, Any]:
    become_worker(cluster, marks)
    return _call(function, index, item)
