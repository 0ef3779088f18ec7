"""Workers of Dask do what processes of this machine do: the same results, from the same source, each call once."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import floatlab as fl
from floatlab.errors import DataError, OptionError
from floatlab.experiments import registry
from floatlab.system import provenance
from floatlab.system.cluster import Cluster, become_worker
from floatlab.system.processes import side_by_side

distributed = pytest.importorskip("distributed")
pytest.importorskip("threadpoolctl")
pytestmark = pytest.mark.filterwarnings("default")  # what Dask's own threads and sockets warn of is not ours

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def scheduler():
    """The address of a cluster of two worker processes on this machine."""
    with (
        distributed.LocalCluster(
            2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=None,
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        client.wait_for_workers(2, timeout=60)
        yield cluster.scheduler_address


def there(scheduler, function, items):
    return list(side_by_side(function, items, 1, Cluster(scheduler, provenance.PROOF, ("numpy",))))


def square(x):
    return x * x


def test_every_item_is_done_once(scheduler):
    assert sorted(there(scheduler, square, [3, 1, 2])) == [(0, 9), (1, 1), (2, 4)]
    assert there(scheduler, square, [5]) == [(0, 25)]
    assert there(scheduler, square, []) == []


def process_and_threads(_):
    import numpy as np
    import threadpoolctl

    np.ones((2, 2)) @ np.ones((2, 2))
    time.sleep(0.2)
    return os.getpid(), max(pool["num_threads"] for pool in threadpoolctl.threadpool_info())


def test_two_processes_share_the_items_and_each_has_one_blas_thread(scheduler):
    found = [result for _, result in there(scheduler, process_and_threads, range(6))]
    assert len({process for process, _ in found}) == 2 and os.getpid() not in dict(found)
    assert {count for _, count in found} == {1}


def proof(**options):
    report = fl.verify.run(sections=["conversions", "sums"], kinds=["fp4"], quiet=True, **options)
    return [replace(line, seconds=0.0) for line in report.lines]


def test_a_proof_there_is_the_proof_here(scheduler, tmp_path):
    lines = proof(jobs=1, out=tmp_path / "here")
    assert proof(scheduler=scheduler, out=tmp_path / "there") == lines
    assert any(line.digest for line in lines)
    journal = (tmp_path / "there" / "journal-short.jsonl").read_text().splitlines()
    assert len(journal) == len((tmp_path / "here" / "journal-short.jsonl").read_text().splitlines())
    assert (
        proof(scheduler="tcp://127.0.0.1:1", out=tmp_path / "there") == lines
    )  # there is nothing left to do


def test_an_experiment_there_has_the_records_of_one_here(scheduler, tmp_path):
    experiment = registry.get("small-units")
    experiment = replace(experiment, runs=experiment.runs[:1])
    here = registry.run(experiment, [0], out=tmp_path / "here")
    there = registry.run(experiment, [0], out=tmp_path / "there", scheduler=scheduler)

    def timeless(records):
        return [{name: value for name, value in one.items() if "second" not in name} for one in records]

    assert timeless(there) == timeless(here)
    assert (tmp_path / "there" / "records.jsonl").exists()


def die_once(path):
    """Take the process along, if nobody has before."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return path
    os.kill(os.getpid(), signal.SIGKILL)
    return None


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
def test_the_calls_of_a_worker_that_was_killed_are_done_again(scheduler, tmp_path):
    path = str(tmp_path / "died")
    assert there(scheduler, die_once, [path]) == [(0, path)]
    assert sorted(there(scheduler, square, range(5))) == [(k, k * k) for k in range(5)]


def own_process(_):
    return os.getpid()


def test_a_single_worker_makes_the_calls_too(monkeypatch):
    with distributed.LocalCluster(
        1, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
    ) as cluster:
        assert os.getpid() not in dict(there(cluster.scheduler_address, own_process, range(2))).values()


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
def test_a_call_that_ends_every_worker_is_said():
    dask = pytest.importorskip("dask")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),  # else it is tried three times more
        distributed.LocalCluster(
            1, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        ) as cluster,
        pytest.raises(DataError, match="leaves its worker alive"),
    ):
        there(cluster.scheduler_address, die, [1])


# -- who is refused ----------------------------------------------------------------------------------------


def test_a_process_with_another_source_or_package_is_refused():
    cluster = Cluster("", provenance.PROOF, ("numpy",))
    become_worker(cluster, cluster.marks())
    with pytest.raises(DataError, match="another source"):
        become_worker(cluster, cluster.marks() | {"source": "0" * 64})
    with pytest.raises(DataError, match=r"numpy [0-9.]+, for 1\.0"):
        become_worker(cluster, cluster.marks() | {"numpy": "1.0"})


@pytest.fixture
def lone_worker(tmp_path):
    """What starts a worker with packages from this folder, and says where the scheduler and the worker are."""
    options = {"host": "127.0.0.1", "dashboard_address": None}
    with distributed.SpecCluster({}, {"cls": distributed.Scheduler, "options": options}) as cluster:
        address, started = cluster.scheduler_address, []

        def start():
            command = [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "distributed.cli.dask_worker",
                address,
                "--no-nanny",
            ]
            environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
            started.append(
                subprocess.Popen(
                    [*command, "--no-dashboard"], env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL
                )
            )
            with distributed.Client(address, set_as_default=False) as client:
                client.wait_for_workers(1, timeout=60)
                return next(iter(client.scheduler_info()["workers"]))

        yield address, start
        for worker in started:
            worker.terminate()
            worker.wait(30)


def test_a_worker_with_another_source_is_refused_by_name(lone_worker, tmp_path):
    shutil.copytree(ROOT / "floatlab", tmp_path / "floatlab", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "floatlab" / "errors.py").open("a") as file:
        file.write("\n# another source\n")
    address, start = lone_worker
    with pytest.raises(OptionError, match=f"has workers. Got none at {address}"):
        there(address, square, [1])
    name = re.escape(start())
    with pytest.raises(DataError, match=f"Got the worker {name} .*another source"):
        proof(scheduler=address, out=None)


def test_a_worker_without_floatlab_is_refused_by_name(lone_worker, tmp_path):
    (tmp_path / "floatlab.py").write_text("raise ImportError('there is none')")
    address, start = lone_worker
    name = re.escape(start())
    with pytest.raises(DataError, match=f"Got {name}, which has none .*there is none"):
        proof(scheduler=address, out=None)


@pytest.mark.parametrize("address", ["nowhere", "tcp://127.0.0.1:1", "http://x", ""])
def test_a_scheduler_that_does_not_answer_is_said(address, monkeypatch):
    monkeypatch.setattr("floatlab.system.cluster._SECONDS", 0.5)
    with pytest.raises(OptionError, match="answers at its address"):
        there(address, square, [1])


def test_the_command_runs_on_a_cluster(scheduler, tmp_path):
    command = [sys.executable, "-m", "floatlab", "verify", "--section", "conversions", "--format", "fp4"]
    command += ["--engine", "dask", "--scheduler", scheduler, "--out", str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "workers of a cluster" in " ".join(result.stdout.split())
    lines = json.loads((tmp_path / "report.json").read_text())["lines"]
    expected = fl.verify.run(sections=["conversions"], kinds=["fp4"], jobs=1, out=None, quiet=True).lines
    assert [line["digest"] for line in lines] == [line.digest for line in expected]
