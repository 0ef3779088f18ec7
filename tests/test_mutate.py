"""The tool that makes mistakes: which ones, always the same, and none that could not be seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mutate
import pytest

SOURCE = '''"""A docstring with 1 < 2."""

from __future__ import annotations

LIMITS: dict[int, tuple[int, int]] = {1: (2, 3)}


def first(a, b: int = 5, strict=True) -> float:
    """Return a < b."""
    if not strict and a < b:
        raise ValueError(f"{a} < {b} or {1 + 1}")
    a.data[0] = min(a, b)
    a.clear()
    return -a.copy() * 2.0
'''


@pytest.fixture
def found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[mutate.Mutant]:
    monkeypatch.setattr(mutate, "ROOT", tmp_path)
    path = tmp_path / "floatlab.py"
    path.write_text(SOURCE)
    return mutate.mutants(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("a < b", "(a <= b)"),
        ("not strict and a < b", "(not strict or a < b)"),
        ("not strict", "(strict)"),
        ("not strict and a < b", "not (not strict and a < b)"),
        ("5", "(6)"),
        ("5", "(4)"),
        ("True", "(False)"),
        ("min", "(max)"),
        ("min(a, b)", "(min(b, a))"),
        ("a.data[0] = min(a, b)", "pass"),
        ("a.clear()", "pass"),
        ("a.copy()", "(a)"),
        ("-a.copy()", "(a.copy())"),
        ("-a.copy() * 2.0", "(-a.copy() / 2.0)"),
        ("2.0", "(4.0)"),
    ],
)
def test_a_small_mistake_of_each_kind_is_made(found: list[mutate.Mutant], old: str, new: str) -> None:
    assert (old, new) in {(m.old, m.new) for m in found}


def test_types_docstrings_and_messages_are_left_alone(found: list[mutate.Mutant]) -> None:
    for mutant in found:
        after = mutant.apply(SOURCE.encode()).decode()
        for kept in (
            '"""A docstring with 1 < 2."""',
            "dict[int, tuple[int, int]]",
            "-> float",
            "{a} < {b} or {1 + 1}",
        ):
            assert kept in after


@pytest.mark.parametrize("room", ["optim", "amp", "nn", "rounding", "codes"])
def test_every_mutant_compiles_and_differs_in_one_place(room: str) -> None:
    chosen = mutate.choose(room, 30, 0)
    assert len(chosen) == len(set(chosen)) == 30
    for mutant in chosen:
        source = (mutate.ROOT / mutant.path).read_bytes()
        assert source[mutant.start : mutant.stop].decode() == mutant.old
        changed = mutant.apply(source)
        assert changed != source
        compile(changed, mutant.path, "exec")
        assert mutate.show(mutant).count("@@ ") == 1


def test_a_seed_gives_the_same_mutants_and_another_seed_others() -> None:
    assert mutate.choose("optim", 10, 3) == mutate.choose("optim", 10, 3)
    assert mutate.choose("optim", 10, 3) != mutate.choose("optim", 10, 4)
    assert mutate.choose("optim", 10, 3) == mutate.choose("optim", 20, 3)[:10]


def test_every_room_has_mutants_and_tests_that_mirror_it() -> None:
    for path in mutate.files_of("all"):
        near, beyond = mutate.mirrors(path.relative_to(mutate.ROOT).as_posix())
        assert near or beyond, path


def test_an_unknown_room_is_refused() -> None:
    with pytest.raises(SystemExit, match=r"A room is one of: all, amp.*optim"):
        mutate.files_of("optimm")


def test_what_is_listed_as_equivalent_is_in_the_source_and_never_made() -> None:
    for entry in mutate.equivalents():
        assert set(entry) == {"file", "old", "new", "reason"}
        assert entry["old"] in (mutate.ROOT / entry["file"]).read_text(), entry
        assert len(entry["reason"]) > 30
    listed = {(e["file"], e["old"], e["new"]) for e in mutate.equivalents()}
    for file, old, new in listed:
        possible = mutate.mutants(mutate.ROOT / file)
        assert (file, old, new) in {(m.path, m.old, m.new) for m in possible}  # or it need not be listed
    made = {(m.path, m.old, m.new) for m in mutate.choose("autograd", 200, 0)}
    assert made and not listed & made


class Judge:
    """A workplace that runs nothing: mutants in every second line survive."""

    def __init__(self, limit: float, mirror_only: bool) -> None:
        self.limit = limit

    def fails_without(self, paths: set[str]) -> str:
        return ""

    def judge(self, mutant: mutate.Mutant) -> str:
        type(self).seen.append(mutant)
        return "" if mutant.line % 2 else "FAILED somewhere"

    def close(self) -> None:
        pass

    seen: list[mutate.Mutant]


def test_a_run_goes_on_where_it_stopped_and_tries_survivors_again_when_tests_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    Judge.seen = []
    monkeypatch.setattr(mutate, "Workplace", Judge)
    chosen, journal = mutate.choose("optim", 12, 1), tmp_path / "build" / "mutants.jsonl"
    survivors = mutate.run(chosen[:8], 2, 1.0, journal, False)
    assert survivors == [m for m in chosen[:8] if m.line % 2] != []
    assert sorted(map(str, Judge.seen)) == sorted(map(str, chosen[:8]))
    mutate.run(chosen, 1, 1.0, journal, False)
    assert sorted(map(str, Judge.seen)) == sorted(map(str, chosen))  # the first eight are known
    monkeypatch.setattr(mutate, "digest_of_tests", lambda: "another")
    mutate.run(chosen, 1, 1.0, journal, False)
    assert Judge.seen[12:] == [m for m in chosen if m.line % 2]
    printed = capsys.readouterr().out
    assert "SURVIVED" in printed and "FAILED somewhere" in printed and "@@" in printed
