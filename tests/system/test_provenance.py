"""A result is bound to the source that made it, and to no repository that only happens to be around it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from test_architecture import ROOT, imports_of

from floatlab.system import provenance

PACKAGE = ROOT / "floatlab"
LISTS = {"conversion": provenance.CONVERSION, "verify": provenance.PROOF, "experiments": provenance.TRAINING}


def files_of(room: str) -> list[Path]:
    folder = PACKAGE / room
    return list(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]


def needed(room: str) -> set[str]:
    """Return all rooms that a room imports, and that these import in turn, wherever the statement stands."""
    found: set[str] = set()
    left = {room}
    while left:
        room = left.pop()
        found.add(room)
        names = {name for path in files_of(room) for name in imports_of(path.read_text())}
        left |= {name.split(".")[1] for name in names if name.startswith("floatlab.")} - found
    return found


@pytest.mark.parametrize("room", LISTS)
def test_a_list_names_all_that_a_room_imports_and_nothing_else(room):
    listed, imported = set(LISTS[room]), needed(room)
    assert sorted(imported - listed) == [], f"floatlab/system/provenance.py lacks what {room} imports"
    assert sorted(listed - imported) == [], f"floatlab/system/provenance.py lists what {room} does not import"


@pytest.mark.parametrize("rooms", [provenance.COMMON, *LISTS.values()])
def test_a_list_names_rooms_that_exist_and_each_once(rooms):
    assert len(set(rooms)) == len(rooms)
    assert all(path.is_file() for room in rooms for path in files_of(room))


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "floatlab"
    (folder / "verify").mkdir(parents=True)
    for name in ("kernel.py", "cli.py", "verify/tasks.py"):
        (folder / name).write_text("x = 1\n")
    return folder


ROOMS = ("kernel", "verify")


@pytest.mark.parametrize("name", ["kernel.py", "verify/tasks.py"])
def test_one_changed_letter_of_a_room_changes_the_fingerprint(name, package):
    before = provenance.fingerprint(ROOMS, package)
    (package / name).write_text("x = 2\n")
    provenance.fingerprint.cache_clear()
    assert provenance.fingerprint(ROOMS, package) != before


def test_a_new_file_in_a_room_and_a_renamed_one_change_the_fingerprint(package):
    seen = {provenance.fingerprint(ROOMS, package)}
    (package / "verify" / "new.py").write_text("")
    provenance.fingerprint.cache_clear()
    seen.add(provenance.fingerprint(ROOMS, package))
    (package / "verify" / "new.py").rename(package / "verify" / "newer.py")
    provenance.fingerprint.cache_clear()
    seen.add(provenance.fingerprint(ROOMS, package))
    assert len(seen) == 3


def test_other_rooms_change_nothing(package):
    before = provenance.fingerprint(ROOMS, package)
    (package / "cli.py").write_text("x = 3\n")
    (package / "plots.py").write_text("")
    provenance.fingerprint.cache_clear()
    assert provenance.fingerprint(ROOMS, package) == before


# -- the commit -----------------------------------------------------------------------------------------

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    asked = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(asked, capture_output=True, text=True, check=True, env=clean).stdout.strip()


@pytest.fixture
def repository(tmp_path):
    """A repository with a commit, and a copy of its room where an installed floatlab would lie."""
    git(tmp_path, "init", "-q")
    (tmp_path / "README").write_text("somebody else's\n")
    git(tmp_path, "add", "README")
    git(tmp_path, "commit", "-qm", "theirs")
    place = tmp_path / ".venv" / "lib" / "site-packages" / "floatlab"
    shutil.copytree(PACKAGE / "system", place / "system", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path, place


@needs_git
def test_the_commit_of_a_repository_around_an_environment_is_not_floatlabs(repository):
    _, place = repository
    assert provenance.commit(place) is None


@needs_git
def test_an_ignored_environment_has_no_commit_either(repository):
    folder, place = repository
    (folder / ".gitignore").write_text(".venv\n")
    git(folder, "add", ".gitignore")
    git(folder, "commit", "-qm", "ignored")
    assert provenance.commit(place) is None


@needs_git
def test_a_repository_that_keeps_the_source_gives_its_commit(repository):
    folder, place = repository
    git(folder, "add", "-f", str(place))
    git(folder, "commit", "-qm", "the source")
    assert provenance.commit(place) == git(folder, "rev-parse", "--short=12", "HEAD")
    (place / "system" / "provenance.py").write_text("changed\n")
    assert provenance.commit(place) == git(folder, "rev-parse", "--short=12", "HEAD") + "-dirty"


@needs_git
def test_a_repository_named_by_the_environment_is_not_asked(repository, monkeypatch):
    folder, _ = repository
    outside = folder / "outside"
    shutil.copytree(PACKAGE / "system", outside / "system", ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "add", "outside")
    git(folder, "commit", "-qm", "theirs too")
    monkeypatch.setenv("GIT_DIR", str(folder / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(folder))
    git(outside, "init", "-q")
    assert provenance.commit(outside) is None


@pytest.mark.parametrize("error", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 10)])
def test_no_git_and_one_that_does_not_answer_give_no_commit(error, monkeypatch):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(subprocess, "run", fail)
    assert provenance.commit() is None
