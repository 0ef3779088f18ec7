"""How do other machines take part? Workers of Dask do the calls, if they have the source that we have.

The workers are started by whoever owns the machines (``dask worker ADDRESS``), with the same floatlab installed. joblib
hands them the calls as it hands them to processes of this machine. What a call returns comes back here, where the
journal is; a worker that dies leaves nothing behind, and its calls are done again by others.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

from floatlab.errors import DataError, OptionError
from floatlab.system import provenance

__all__ = ["Cluster", "become_worker"]

_SECONDS = 10  # to answer


@dataclass(frozen=True)
class Cluster:
    """The workers of a scheduler of Dask's.

    Attributes
    ----------
    scheduler : str
        Its address: "tcp://10.0.0.1:8786".
    rooms : tuple of str
        Whose source a worker has to share, as `floatlab.system.provenance.fingerprint` takes them.
    packages : tuple of str
        Whose versions it has to share.
    """

    scheduler: str
    rooms: tuple[str, ...]
    packages: tuple[str, ...] = ()

    def marks(self) -> dict[str, str]:
        """Return what a worker has to share: the fingerprint of the source, and versions of packages."""
        return dict(_marks(self.rooms, self.packages))

    @contextmanager
    def connected(self) -> Iterator[dict[str, Any]]:
        """Connect to the scheduler; what is yielded are the options with which joblib sends calls there.

        Raises
        ------
        OptionError
            If nobody answers at the address, no worker is there, or Dask is not installed here.
        DataError
            If a worker has no floatlab, or a call ends its workers.
        """
        import joblib

        try:
            from distributed import Client
            from distributed.scheduler import KilledWorker
        except ImportError:
            raise OptionError(
                "The engine dask needs the packages of Dask. Got a Python without distributed. "
                'Install them: pip install "floatlab[dask]".'
            ) from None
        try:
            client = Client(self.scheduler, timeout=_SECONDS, set_as_default=False)
        except (OSError, ValueError, TypeError) as problem:
            raise OptionError(
                f"A scheduler of Dask answers at its address. Got {self.scheduler!r} ({problem}). "
                "Start one with `dask scheduler`, and use the address that it prints: tcp://10.0.0.1:8786."
            ) from None
        with client:
            # A worker that cannot load a call ends, and says nothing.
            found = client.run(import_module, "floatlab", on_error="return")
            if not found:
                raise OptionError(
                    f"A cluster has workers. Got none at {self.scheduler}. Start one: dask worker {self.scheduler}."
                )
            for worker, answer in found.items():
                if isinstance(answer, BaseException):
                    raise DataError(
                        f"A worker has the source of whom it works for. Got {worker}, which has none ({answer}). "
                        'Install floatlab there: pip install "floatlab[dask]".'
                    )
            try:
                with joblib.parallel_config(backend=_backend(client)):
                    # All at once, so that workers that come later find something to do.
                    yield {"n_jobs": -1, "pre_dispatch": "all"}
            except KilledWorker as problem:
                raise DataError(
                    f"A call leaves its worker alive. Got one that ends them, at last {problem.last_worker}. "
                    "Give the workers more memory; the same command goes on."
                ) from None


def _backend(client: Any) -> Any:
    """Return joblib's backend for Dask, with two corrections.

    joblib makes the calls itself where there is room for one at a time, and waits for ever for a call that ended its
    worker.
    """
    from joblib._dask import DaskDistributedBackend

    class Backend(DaskDistributedBackend):  # type: ignore[misc]
        def effective_n_jobs(self, n_jobs: int) -> int:
            return max(2, super().effective_n_jobs(n_jobs))

        def submit(self, func: Any, callback: Any = None) -> Any:
            future = super().submit(func, callback)
            future.add_done_callback(lambda done: done.exception() and callback(done.exception()))
            return future

        def retrieve_result_callback(self, out: Any) -> Any:
            if isinstance(out, BaseException):
                raise out
            return super().retrieve_result_callback(out)

    return Backend(client=client)


@lru_cache
def _marks(rooms: tuple[str, ...], packages: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    versions = ((name, provenance.version(name)) for name in packages)
    return (("source", provenance.fingerprint(rooms)), *versions)


def become_worker(cluster: Cluster, marks: dict[str, str]) -> None:
    """Check that this process shares what `Cluster.marks` said elsewhere, and let its BLAS use one thread.

    Raises
    ------
    DataError
        If the source, or the version of a package, is another one.
    """
    for name, ours in cluster.marks().items():
        if ours != marks[name]:
            what = "another source" if name == "source" else f"{name} {ours}, for {marks[name]}"
            raise DataError(
                f"A worker has the source of whom it works for, and the same packages. Got {_own_name()}, which is of "
                f"{what}. Install there what is here; what is finished is kept."
            )
    _use_one_thread()


def _own_name() -> str:
    """Return what this worker is called: its address in the cluster, and its machine."""
    from distributed import get_worker

    try:
        address = f"the worker {get_worker().address}"
    except ValueError:
        address = "a process"
    return f"{address} on {socket.gethostname()}"


@lru_cache
def _use_one_thread() -> None:
    """Have the BLAS of this process use one thread, once for all: the calls already fill the cores."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
