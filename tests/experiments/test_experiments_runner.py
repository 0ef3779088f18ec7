"""Finished runs are kept whatever happens, and a second start does only what is missing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from floatlab.errors import ExperimentError
from floatlab.experiments import registry
from floatlab.experiments.harness import runner
from floatlab.experiments.harness.runner import Journal, clean, open_folder, run_all, write_json
from floatlab.experiments.underflow import RUNS, Underflow, run_underflow
from floatlab.system import provenance


@dataclass(frozen=True)
class Square:
    number: int
    log: str = ""
    fail_at: int = -1


def square(config: Square) -> dict:
    if config.number == config.fail_at:
        raise KeyboardInterrupt
    if config.log:
        with open(config.log, "a") as file:
            file.write(f"{config.number}\n")
    return {"square": config.number**2}


def squares(log: Path, fail_at: int = -1, count: int = 5) -> list[Square]:
    return [Square(k, str(log), fail_at) for k in range(count)]


def test_records_come_in_the_order_of_the_configurations(tmp_path):
    records = run_all(square, squares(tmp_path / "log"), Journal(tmp_path / "journal"))
    assert [r["square"] for r in records] == [0, 1, 4, 9, 16]


def test_processes_give_the_same_records_as_one_process(tmp_path):
    from floatlab.experiments.harness.training import TrainingConfig, train

    configs = [TrainingConfig(epochs=1, seed=seed) for seed in range(3)]
    alone = run_all(train, configs, Journal(tmp_path / "one"))
    assert run_all(train, configs, Journal(tmp_path / "two"), jobs=2) == alone


def test_an_interruption_keeps_what_is_finished_and_the_next_start_does_the_rest(tmp_path):
    journal = tmp_path / "journal"
    log = tmp_path / "log"
    configs = squares(log)
    interrupted = [*configs[:3], Square(3, str(log), fail_at=3), *configs[4:]]
    with pytest.raises(KeyboardInterrupt):
        run_all(square, interrupted, Journal(journal))
    assert log.read_text() == "0\n1\n2\n"
    seen = []
    records = run_all(square, configs, Journal(journal), on_record=lambda c, r: seen.append(c.number))
    assert log.read_text() == "0\n1\n2\n3\n4\n"
    assert seen == [3, 4]
    assert [r["square"] for r in records] == [0, 1, 4, 9, 16]


def test_a_line_that_a_crash_cut_off_is_done_again(tmp_path):
    path, log = tmp_path / "journal", tmp_path / "log"
    run_all(square, squares(log, count=3), Journal(path))
    path.write_bytes(path.read_bytes()[:-20])
    log.unlink()
    records = run_all(square, squares(log, count=3), Journal(path))
    assert log.read_text() == "2\n"
    assert [r["square"] for r in records] == [0, 1, 4]
    log.unlink()
    run_all(square, squares(log, count=3), Journal(path))  # and the journal is whole again
    assert not log.exists()


def test_fresh_forgets_the_journal(tmp_path):
    log = tmp_path / "log"
    for fresh in (False, False, True):
        run_all(square, squares(log, count=1), Journal(tmp_path / "journal", fresh=fresh))
    assert log.read_text() == "0\n0\n"


def test_another_configuration_is_another_run():
    keys = {Journal.key(square, Square(k, log)) for k in (1, 2) for log in ("a", "b")}
    assert len(keys) == 4
    assert Journal.key(clean, Square(1)) != Journal.key(square, Square(1))


def test_json_has_null_where_a_number_is_not_finite(tmp_path):
    write_json(tmp_path / "x.json", {"a": [1.5, float("nan")], "b": (float("inf"),)})
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [1.5, None], "b": [None]}
    assert [p.name for p in tmp_path.iterdir()] == ["x.json"]


def test_a_folder_that_cannot_be_written_to_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ExperimentError, match="--out"):
            open_folder(path)
    if os.getuid() != 0:  # root may write anywhere
        (tmp_path / "locked").mkdir(mode=0o500)
        with pytest.raises(ExperimentError):
            open_folder(tmp_path / "locked")


def test_a_new_folder_is_made(tmp_path):
    assert open_folder(tmp_path / "a" / "b").is_dir()


def test_the_summary_grows_with_every_run_and_keeps_the_order(tmp_path):
    from dataclasses import replace

    setup = Underflow(seeds=(0,), loss_weights=(1.0,), runs=tuple(replace(run, epochs=1) for run in RUNS[:3]))
    sizes = []

    def look(config, record):
        sizes.append(len(json.loads((tmp_path / "summary.json").read_text())["runs"]))

    records = run_underflow(setup, tmp_path, on_record=look)
    assert sizes == [1, 2, 3]
    runs = json.loads((tmp_path / "summary.json").read_text())["runs"]
    assert runs == records and [r["run"] for r in runs] == ["fp32", "bf16", "fp16"]
    told = []
    assert run_underflow(setup, tmp_path, on_resume=told.append) == records
    assert told == [3]


# -- which source made a record ------------------------------------------------------------------------


def of_another_source(monkeypatch):
    monkeypatch.setattr(provenance, "fingerprint", lambda rooms: "another source")


def test_records_of_another_source_are_set_aside_and_done_again(tmp_path, monkeypatch):
    path, log = tmp_path / "journal", tmp_path / "log"
    with monkeypatch.context() as patch:
        of_another_source(patch)
        run_all(square, squares(log, count=3), Journal(path))
    old = path.read_text()
    log.unlink()
    journal = Journal(path)
    assert (journal.records, journal.aside) == ({}, 3)
    run_all(square, squares(log, count=2), journal)
    assert log.read_text() == "0\n1\n"
    assert path.read_text().startswith(old)  # nothing that was finished is deleted
    with monkeypatch.context() as patch:  # and that source finds its own again
        of_another_source(patch)
        assert len(Journal(path).records) == 3 and Journal(path).aside == 2


def test_a_record_without_a_source_is_of_another_one(tmp_path):
    path = tmp_path / "journal"
    path.write_text(json.dumps({"key": Journal.key(square, Square(1)), "record": {"square": -1}}) + "\n")
    assert run_all(square, [Square(1)], Journal(path)) == [{"square": 1}]
    assert Journal(path).aside == 1


def test_the_key_of_a_run_holds_the_source_and_the_version_of_the_records(monkeypatch):
    keys = {Journal.key(square, Square(1))}
    with monkeypatch.context() as patch:
        patch.setattr(runner, "VERSION", runner.VERSION + 1)
        keys.add(Journal.key(square, Square(1)))
    with monkeypatch.context() as patch:
        of_another_source(patch)
        keys.add(Journal.key(square, Square(1)))
    assert len(keys) == 3
    assert Journal.key(square, Square(1)) in keys


def test_every_finished_run_is_forced_to_the_disk_before_the_next_begins(tmp_path, monkeypatch):
    synced = []
    fsync = os.fsync

    def note(descriptor):
        fsync(descriptor)
        synced.append(len((tmp_path / "journal").read_text().splitlines()))

    monkeypatch.setattr(runner.os, "fsync", note)
    run_all(square, squares(tmp_path / "log", count=3), Journal(tmp_path / "journal"))
    assert synced == [1, 2, 3]


def test_what_is_found_is_said_in_words(tmp_path, monkeypatch):
    path, configs = tmp_path / "journal", squares(tmp_path / "log", count=3)
    keys = [Journal.key(square, config) for config in configs]
    assert Journal(path).findings(keys) == ""
    run_all(square, configs[:2], Journal(path))
    assert Journal(path).findings(keys) == f"2 finished runs were found in {path}, and are taken over."
    with monkeypatch.context() as patch:
        of_another_source(patch)
        assert "2 records" in Journal(path).findings(keys) and "set aside" in Journal(path).findings(keys)
        assert "taken over" not in Journal(path).findings(keys)


def test_a_journal_that_cannot_be_read_or_written_is_an_error_of_ours(tmp_path, monkeypatch):
    (tmp_path / "folder").mkdir()
    for fresh in (False, True):
        with pytest.raises(ExperimentError):
            Journal(tmp_path / "folder", fresh=fresh)
    journal = Journal(tmp_path / "journal")
    journal.add("a", {"x": 1})

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(runner.os, "fsync", full)
    with pytest.raises(ExperimentError, match="Make room"):
        journal.add("b", {"x": 2})
    assert "b" not in journal.records


@pytest.mark.parametrize(
    "line", ["[]", "7", "null", '"x"', "{}", '{"key": 1}', '{"record": {}}', "\ufffd", ""]
)
def test_a_line_that_is_no_record_is_left_out(line, tmp_path):
    (tmp_path / "journal").write_text(line + "\n")
    assert Journal(tmp_path / "journal").records == {}


def test_a_demo_says_what_it_found(tmp_path):
    from dataclasses import replace

    setup = Underflow(seeds=(0,), loss_weights=(1.0,), runs=tuple(replace(run, epochs=1) for run in RUNS[:2]))
    told = []
    run_underflow(setup, tmp_path, on_found=told.append)
    assert told == []
    run_underflow(setup, tmp_path, on_found=told.append)
    assert told == [f"2 finished runs were found in {tmp_path / 'records.jsonl'}, and are taken over."]


KEYS = """
from floatlab.experiments import registry
from floatlab.experiments.harness.runner import Journal
for experiment in registry.EXPERIMENTS.values():
    print(*(Journal.key(function, experiment.runs[1]) for function in (experiment.train, experiment.predict)))
"""


def test_a_changed_kernel_gives_every_run_another_key_and_a_changed_figure_gives_none(tmp_path):
    root = Path(__file__).parents[2]
    copied = shutil.copytree(
        root / "floatlab", tmp_path / "floatlab", ignore=shutil.ignore_patterns("__pycache__")
    )

    def keys() -> list[str]:
        process = subprocess.run(
            [sys.executable, "-c", KEYS],
            capture_output=True,
            text=True,
            check=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )
        return process.stdout.split()

    before = keys()
    assert len(set(before)) == len(before) == 2 * len(registry.EXPERIMENTS)
    for name, other in (
        ("plots/style.py", False),
        ("rounding/kernels/counting.py", True),
        ("telemetry/log.py", True),
    ):
        with (copied / name).open("a") as file:
            file.write("# another line\n")
        after = keys()
        assert set(before).isdisjoint(after) if other else before == after, name
        before = after
