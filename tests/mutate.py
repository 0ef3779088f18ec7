"""Do the tests notice a mistake? Make small ones, one at a time, and see which survive.

    python tests/mutate.py --room optim --count 20 --seed 3 --jobs 2

A mutant is the package with one realistic slip: ``<`` for ``<=``, a constant off by one, two arguments exchanged,
a forgotten ``not``, ``copy()`` or statement, ``min`` for ``max``, float32 for float64. Each is made in a
temporary copy of the package, never in the source itself. The tests that mirror the changed file run first,
those that import its room next; the first failure kills the mutant, and so does running beyond the time limit.

What is printed: a line for each mutant, the diff of each survivor, and the share that was killed. For a survivor
write the assertion that kills it. A mutant that changes nothing anybody can see goes into
`tests/equivalent_mutants.toml` with the reason, and is not made again.

A room is a folder of floatlab (optim, rounding, ...), a file beside them (context, ...), or "all". The same
seed makes the same mutants of the same source. What is finished is kept in build/mutants.jsonl: an interrupted
run goes on where it stopped, and a survivor is tried again when the tests have changed.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PACKAGE, TESTS = ROOT / "floatlab", ROOT / "tests"
EQUIVALENT = TESTS / "equivalent_mutants.toml"
JOURNAL = ROOT / "build" / "mutants.jsonl"
NO_BEHAVIOUR = ("test_architecture.py", "test_docs_tables.py", "test_mutate.py", "test_torch_answers.py")
CARRIED = (
    "floatlab",
    "tests",
    "docs",
    "benchmarks",
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "CITATION.cff",
    "CONTRIBUTING.md",
)

COMPARISONS = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
OPERATORS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_PAIRS = [
    ("min", "max"),
    ("minimum", "maximum"),
    ("floor", "ceil"),
    ("any", "all"),
    ("float32", "float64"),
    ("int32", "int64"),
    ("uint32", "uint64"),
    ("FLOAT32", "FLOAT64"),
    ("signbit", "isnan"),
    ("rint", "floor"),
    ("emin", "emax"),
    ("add", "subtract"),
    ("left_shift", "right_shift"),
    ("logical_and", "logical_or"),
]
NAMES = {a: b for a, b in _PAIRS} | {b: a for a, b in reversed(_PAIRS)}


@dataclass(frozen=True)
class Mutant:
    """One mistake: which bytes of which file are replaced by what."""

    path: str  # below the root
    line: int
    kind: str
    start: int
    stop: int
    old: str
    new: str

    def apply(self, source: bytes) -> bytes:
        """Return the source with the mistake in it."""
        return source[: self.start] + self.new.encode() + source[self.stop :]

    def key(self, source: bytes) -> str:
        """Return what tells this mutant of this source from every other."""
        text = f"{self.path} {self.start} {self.stop} {self.new} {hashlib.sha256(source).hexdigest()}"
        return hashlib.sha256(text.encode()).hexdigest()[:24]


# -- making them -----------------------------------------------------------------------------------


def mutants(path: Path) -> list[Mutant]:
    """Return every mutant of one file; a few may not compile."""
    source = path.read_bytes()
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    found = []
    for node, kind, new in _changes(ast.parse(source), None):
        start = starts[node.lineno - 1] + node.col_offset
        stop = starts[node.end_lineno - 1] + node.end_col_offset
        old = source[start:stop].decode()
        mutant = Mutant(path.relative_to(ROOT).as_posix(), node.lineno, kind, start, stop, old, new)
        if new != old:
            found.append(mutant)
    return found


def compiles(mutant: Mutant) -> bool:
    """Whether a mutant is still a program."""
    try:
        compile(mutant.apply((ROOT / mutant.path).read_bytes()), mutant.path, "exec")
    except SyntaxError:
        return False
    return True


def _changes(node: ast.AST, parent: ast.AST | None) -> Iterator[tuple[Any, str, str]]:
    """Yield (node, kind, replacement) for a node and all below it, types and messages left out."""
    if isinstance(node, ast.Raise | ast.Import | ast.ImportFrom | ast.Assert):
        return
    if isinstance(node, ast.expr):
        for kind, new in _expression(node):
            yield node, kind, f"({new})" if not isinstance(parent, ast.Expr | ast.keyword) else new
    elif isinstance(node, ast.stmt):
        if _can_go(node):
            yield node, "statement removed", "pass"
        if isinstance(node, ast.If) and not isinstance(node.test, ast.UnaryOp):
            yield node.test, "condition negated", f"not ({ast.unparse(node.test)})"
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params"):
            continue
        if isinstance(node, ast.Assign) and field == "value" and "__all__" in ast.unparse(node.targets[0]):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_text(child):
                yield from _changes(child, node)


def _is_text(node: ast.AST) -> bool:
    """Whether a node is a docstring or an f-string, whose slips are none of numbers."""
    text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return text or isinstance(node, ast.JoinedStr)


def _is_row(node: ast.expr) -> bool:
    """Whether a list, tuple or string is added or repeated: any other operator on it is a mere TypeError."""
    return isinstance(node, ast.List | ast.Tuple | ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _can_go(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call)
    if isinstance(node, ast.Assign):  # a plain name that is gone would only be a NameError
        targets = [t for target in node.targets for t in getattr(target, "elts", [target])]
        return all(isinstance(target, ast.Subscript | ast.Attribute) for target in targets)
    return isinstance(node, ast.AugAssign)


def _expression(node: ast.expr) -> Iterator[tuple[str, str]]:
    match node:
        case ast.Compare():
            for i, op in enumerate(node.ops):
                ops: list[ast.cmpop] = [*node.ops]
                ops[i] = COMPARISONS[type(op)]()
                yield "comparison", ast.unparse(ast.Compare(node.left, ops, node.comparators))
        case ast.BoolOp():
            other = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield "and/or", ast.unparse(ast.BoolOp(other, node.values))
        case ast.UnaryOp(op=ast.Not() | ast.USub()):
            yield "not or minus dropped", ast.unparse(node.operand)
        case ast.BinOp() if type(node.op) in OPERATORS and not any(map(_is_row, (node.left, node.right))):
            yield "operator", ast.unparse(ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right))
        case ast.Constant(value=bool()):
            yield "constant", str(not node.value)
        case ast.Constant(value=int()):
            yield "constant", str(node.value + 1)
            yield "constant", str(node.value - 1)
        case ast.Constant(value=float()):
            yield "constant", repr(node.value * 2 if node.value else 1.0)
        case ast.Name() | ast.Attribute():
            name = node.id if isinstance(node, ast.Name) else node.attr
            if name in NAMES and isinstance(node.ctx, ast.Load):
                new = ast.unparse(node)
                yield "name", new[: len(new) - len(name)] + NAMES[name]
        case ast.Call():
            if len(node.args) >= 2 and not any(isinstance(a, ast.Starred) for a in node.args[:2]):
                swapped = [node.args[1], node.args[0], *node.args[2:]]
                yield "arguments exchanged", ast.unparse(ast.Call(node.func, swapped, node.keywords))
            if isinstance(node.func, ast.Attribute) and node.func.attr == "copy" and not node.args:
                yield "copy dropped", ast.unparse(node.func.value)
            if ast.unparse(node.func) in ("abs", "np.abs", "np.array", "_float32") and len(node.args) == 1:
                yield "call dropped", ast.unparse(node.args[0])


def files_of(room: str) -> list[Path]:
    """Return the files of a room, of a file's name, or of "all"."""
    every = sorted(p for p in PACKAGE.rglob("*.py") if p.name not in ("__init__.py", "__main__.py"))
    if room == "all":
        return every
    found = [p for p in every if PACKAGE / room in p.parents or p == PACKAGE / f"{room}.py"]
    if not found:
        rooms = sorted({Path(p.relative_to(PACKAGE).parts[0]).stem for p in every})
        raise SystemExit(f"A room is one of: all, {', '.join(rooms)}. Got {room!r}. Use one of these.")
    return found


def choose(room: str, count: int, seed: int) -> list[Mutant]:
    """Draw mutants: a kind first, so that the many constants do not crowd out the rest, then one of it."""
    listed = {(e["file"], e["old"], e["new"]) for e in equivalents()}
    pools: dict[str, list[Mutant]] = {}
    for path in files_of(room):
        for mutant in mutants(path):
            if (mutant.path, mutant.old, mutant.new) not in listed:
                pools.setdefault(mutant.kind, []).append(mutant)
    rng, drawn = random.Random(seed), []
    while pools and len(drawn) < count:
        kind = rng.choice(sorted(pools))
        mutant = pools[kind].pop(rng.randrange(len(pools[kind])))
        if compiles(mutant):
            drawn.append(mutant)
        if not pools[kind]:
            del pools[kind]
    return drawn


def equivalents() -> list[dict[str, str]]:
    """Return the mutants that change nothing that can be seen, each with the reason."""
    return list(tomllib.loads(EQUIVALENT.read_text(encoding="utf-8"))["mutant"])


# -- running the tests -------------------------------------------------------------------------------


def mirrors(path: str) -> tuple[list[str], list[str]]:
    """Return the tests that mirror a file of the package, and the others that import its room.

    The tests of a room lie in a folder of its name; of these, what has the file's name comes first.
    """
    parts = Path(path).with_suffix("").parts[1:]
    room, stem = parts[0], parts[-1]
    tests = {
        test.relative_to(TESTS).as_posix(): test.read_text(encoding="utf-8")
        for test in sorted(TESTS.rglob("test_*.py"))
    }
    near = [n for n in tests if n.startswith(f"{room}/")] or [n for n in tests if n == f"test_{room}.py"]
    near.sort(key=lambda n: stem not in Path(n).stem)
    marks = (f"floatlab.{room}", f"import {room}", f", {room}", f"fl.{room}", f"fl.{stem}")
    beyond = [n for n in tests if n not in (*near, *NO_BEHAVIOUR) and any(mark in tests[n] for mark in marks)]
    return (near, beyond) if near else (beyond, [])


class Workplace:
    """A temporary copy of the package, in which one mutant after the other is made."""

    def __init__(self, limit: float, mirror_only: bool) -> None:
        self.limit, self.mirror_only = limit, mirror_only
        self.folder = Path(tempfile.mkdtemp(prefix="floatlab-mutant-"))
        for name in CARRIED:
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            elif (ROOT / name).exists():
                shutil.copy(ROOT / name, self.folder / name)

    def fails(self, tests: list[str], limit: float | None) -> str:
        """Run tests; return which one failed first, "timeout" after `limit` seconds, or "" if all passed."""
        if not tests:
            return ""
        command = [sys.executable, "-m", "pytest", "-o", "addopts=", "-q", "-x", "-p", "no:cacheprovider"]
        environment = os.environ | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}
        try:
            done = subprocess.run(
                [*command, *(f"tests/{test}" for test in tests)],
                cwd=self.folder,
                env=environment,
                capture_output=True,
                text=True,
                timeout=limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return "timeout"
        if done.returncode == 0:
            return ""
        lines = done.stdout.splitlines()
        return next(
            (line for line in lines if line.startswith(("FAILED", "ERROR"))), f"exit {done.returncode}"
        )

    def judge(self, mutant: Mutant) -> str:
        """Return what killed a mutant, or "" if it survived."""
        place = self.folder / mutant.path
        source = place.read_bytes()
        place.write_bytes(mutant.apply(source))
        try:
            # Those that mirror the file, then those that import its room.
            near, beyond = mirrors(mutant.path)
            return self.fails(near, self.limit) or (
                "" if self.mirror_only else self.fails(beyond, self.limit)
            )
        finally:
            place.write_bytes(source)

    def fails_without(self, paths: set[str]) -> str:
        """Run, once and without a mistake, all the tests that mutants of some files may meet."""
        needed = {
            test
            for path in paths
            for tests in mirrors(path)[: 1 if self.mirror_only else 2]
            for test in tests
        }
        return self.fails(sorted(needed), None)

    def close(self) -> None:
        """Take the copy away."""
        shutil.rmtree(self.folder, ignore_errors=True)


def digest_of_tests() -> str:
    """Return what changes when a test does."""
    total = hashlib.sha256()
    for path in sorted(TESTS.rglob("*.py")):
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def show(mutant: Mutant) -> str:
    """Return the diff of a mutant."""
    source = (ROOT / mutant.path).read_bytes()
    before, after = (text.decode().splitlines(keepends=True) for text in (source, mutant.apply(source)))
    lines = list(difflib.unified_diff(before, after, mutant.path, f"{mutant.path} ({mutant.kind})", n=1))
    return "".join(lines)


def run(chosen: list[Mutant], jobs: int, limit: float, journal: Path, mirror_only: bool) -> list[Mutant]:
    """Judge the mutants that the journal does not know, print as they come, and return the survivors."""
    tests, known = digest_of_tests() + (" mirror" if mirror_only else ""), {}
    if journal.exists():
        for line in journal.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            if entry["killed_by"] or entry["tests"] == tests:
                known[entry["key"]] = entry["killed_by"]
    journal.parent.mkdir(parents=True, exist_ok=True)
    free: SimpleQueue[Workplace] = SimpleQueue()
    workplaces = [Workplace(limit, mirror_only) for _ in range(jobs)]
    for workplace in workplaces:
        free.put(workplace)

    def one(mutant: Mutant) -> str:
        key = mutant.key((ROOT / mutant.path).read_bytes())
        if key in known:
            return known[key]
        workplace = free.get()
        try:
            killed_by = workplace.judge(mutant)
        finally:
            free.put(workplace)
        with journal.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "killed_by": killed_by, "tests": tests}) + "\n")
        return killed_by

    survivors = []
    try:
        new = {m.path for m in chosen if m.key((ROOT / m.path).read_bytes()) not in known}
        begun = time.monotonic()
        if broken := workplaces[0].fails_without(new):
            raise SystemExit(f"The tests must pass before mistakes are made. Got {broken}. Mend it.")
        for workplace in workplaces:  # what is merely slow is not killed
            workplace.limit = max(limit, 3.0 * jobs * (time.monotonic() - begun))
        with ThreadPoolExecutor(jobs) as pool:
            for mutant, killed_by in zip(chosen, pool.map(one, chosen), strict=True):
                print(f"{mutant.path}:{mutant.line} {mutant.kind}: {killed_by or 'SURVIVED'}", flush=True)
                if not killed_by:
                    survivors.append(mutant)
                    print(show(mutant), flush=True)
    finally:
        for workplace in workplaces:
            workplace.close()
    return survivors


def main() -> int:
    """Read the options, run, and print the share that was killed."""
    parser = argparse.ArgumentParser(description="Make small mistakes, and see whether the tests notice.")
    parser.add_argument("--room", default="all", help="a folder or file of floatlab, or all")
    parser.add_argument("--count", type=int, default=20, help="how many mutants")
    parser.add_argument("--seed", type=int, default=0, help="which ones")
    parser.add_argument("--jobs", type=int, default=1, help="how many at a time")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds for the tests of one mutant")
    parser.add_argument("--journal", type=Path, default=JOURNAL, help="where finished ones are kept")
    parser.add_argument(
        "--mirror-only", action="store_true", help="run no more than the tests that mirror a file"
    )
    parser.add_argument("--list", action="store_true", help="show the mutants, and run nothing")
    given = parser.parse_args()
    chosen = choose(given.room, given.count, given.seed)
    if given.list:
        print("\n".join(show(mutant) for mutant in chosen))
        return 0
    survivors = run(chosen, given.jobs, given.limit, given.journal, given.mirror_only)
    killed = len(chosen) - len(survivors)
    print(f"{killed} of {len(chosen)} killed ({killed / max(len(chosen), 1):.0%}), seed {given.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
