"""A file is there whole or not at all, and what stands in its way is said in one of floatlab's errors."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from floatlab.errors import DataError, ExperimentError
from floatlab.system import files
from floatlab.system.files import as_path, read_all, write_whole

ROOT = Path(__file__).parents[2]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", [b"", b"x", b"y" * 100_000])
def test_what_is_written_is_read(content, tmp_path):
    assert write_whole(tmp_path / "a", content) == tmp_path / "a"
    assert read_all(tmp_path / "a") == content
    assert names(tmp_path) == ["a"]


@pytest.mark.parametrize("step", ["open", "write", "flush", "fsync", "replace"])
@pytest.mark.parametrize("problem", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_at_any_step_leaves_the_old_file_alone(step, problem, tmp_path, monkeypatch):
    write_whole(tmp_path / "a", b"the old content")
    opened = Path.open

    class Failing:
        """A file that writes half of what it is given, and then the disk is full."""

        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def __getattr__(self, name):
            return getattr(self.file, name)

        def write(self, content):
            self.file.write(content[: len(content) // 2])
            if step == "write":
                raise problem

        def flush(self):
            self.file.flush()
            if step == "flush":
                raise problem

    def fail(*_):
        raise problem

    if step in ("fsync", "replace"):
        monkeypatch.setattr(files.os, step, fail)
    else:
        monkeypatch.setattr(
            Path, "open", lambda self, mode: fail() if step == "open" else Failing(opened(self, mode))
        )
    with pytest.raises(KeyboardInterrupt if isinstance(problem, KeyboardInterrupt) else DataError):
        write_whole(tmp_path / "a", b"new content, all of it")
    monkeypatch.undo()
    assert read_all(tmp_path / "a") == b"the old content"
    assert names(tmp_path) == ["a"]


def test_the_content_is_on_the_disk_before_it_takes_its_place(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(files.os, "fsync", lambda n: (calls.append("fsync"), fsync(n))[1])
    monkeypatch.setattr(files.os, "replace", lambda a, b: (calls.append("replace"), replace(a, b))[1])
    write_whole(tmp_path / "a", b"x")
    assert calls == ["fsync", "replace", "fsync"]  # the last one is the folder's


def test_a_file_that_grows_beyond_what_the_disk_takes_is_an_error_of_ours(tmp_path):
    resource = pytest.importorskip("resource")
    program = (
        "import sys, resource, signal\n"
        "from pathlib import Path\n"
        "from floatlab import errors\n"
        "from floatlab.system import files\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: files.write_whole(sys.argv[1], b'x' * 2000)\n"
        "except errors.DataError as error: print(error)\n"
    )
    assert resource.RLIMIT_FSIZE >= 0
    (tmp_path / "a").write_bytes(b"old")
    ran = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "a")],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "needs room on its disk" in ran.stdout
    assert (tmp_path / "a").read_bytes() == b"old" and names(tmp_path) == ["a"]


def test_what_stands_in_the_way_is_named(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    for path, words in (
        (tmp_path / "none" / "a", "Make its folder first"),
        (tmp_path / "folder", "cannot take the place of a folder"),
        (tmp_path / "file" / "a", "Use another name or folder"),
        (tmp_path / ("n" * 300), "Use another name or folder"),
    ):
        with pytest.raises(DataError, match=words) as caught:
            write_whole(path, b"x")
        assert str(path) in str(caught.value)
    with pytest.raises(ExperimentError):
        write_whole(tmp_path / "none" / "a", b"x", ExperimentError)
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS])
def test_a_folder_that_may_not_be_written_is_said_to_be_one(number, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "open", refuse)  # root may write anywhere, so that no real folder will do
    with pytest.raises(DataError, match="where writing is allowed"):
        write_whole(tmp_path / "a", b"x")


def test_what_cannot_be_read_is_named(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="not there"):
        read_all(tmp_path / "none")
    with pytest.raises(DataError, match="not a folder"):
        read_all(tmp_path)

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(DataError, match="must be readable"):
        read_all(tmp_path / "a")


@pytest.mark.parametrize("path", [None, 3, 1.5, ["a"], "a\0b", object()])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(DataError):
        as_path(path)


@pytest.mark.parametrize("path", ["a", b"a", Path("a")])
def test_a_path_may_be_text_bytes_or_a_path(path):
    assert as_path(path) == Path("a")


def test_a_link_stays_a_link(tmp_path):
    write_whole(tmp_path / "real", b"old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_whole(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_a_new_file_has_the_rights_of_any_other(tmp_path):
    write_whole(tmp_path / "a", b"")
    (tmp_path / "b").write_bytes(b"")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_log_of_telemetry_that_cannot_be_written_is_an_error_of_ours(tmp_path):
    import floatlab as fl

    with fl.telemetry.watch(fl.nn.Linear(1, 1, rng=0)) as log:
        pass
    for path in (tmp_path, tmp_path / "none" / "log.jsonl"):
        with pytest.raises(DataError):
            log.save(path)
    log.save(tmp_path / "log.jsonl")
    assert names(tmp_path) == ["log.jsonl"]


def test_nothing_in_floatlab_is_ever_unpickled():
    # joblib hands functions to the processes that it starts; that is no file.
    forbidden = re.compile(
        r"allow_pickle\s*=\s*True|^\s*(import|from)\s+(pickle|shelve|marshal|dill|cloudpickle)|joblib\.load",
        re.MULTILINE,
    )
    for path in (ROOT / "floatlab").rglob("*.py"):
        text = path.read_text()
        assert not forbidden.search(text), path
        for call in re.findall(r"np\.(?:load|savez?|lib\.format\.\w+_array)\(.*", text):
            assert "allow_pickle=False" in text[text.index(call) :][:200], (path, call)
        for call in re.findall(
            r"torch\.load\(.*", text
        ):  # whose file is a pickle, of which only numbers are read
            assert "weights_only=True" in call, (path, call)
