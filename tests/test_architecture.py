"""The code is held to the table in docs/architecture.toml: who may import whom."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import floatlab

ROOT = Path(__file__).parent.parent
ROWS = tomllib.loads((ROOT / "docs" / "architecture.toml").read_text())["row"]
FILES = sorted((ROOT / "floatlab").rglob("*.py"))
HEAVY = {"matplotlib", "jupyter", "IPython", "rich", "typer", "joblib", "cupy", "safetensors", "torch"}
HEAVY |= {"gfloat", "gmpy2", "softfloatpy", "scipy", "pandas"}


def room(path: str) -> str:
    """Return the short name of a row: "formats" of "floatlab/formats.py", "nn" of "floatlab/nn/"."""
    return Path(path).stem


ORDER = [room(row["path"]) for row in ROWS]
LIBRARIES = {room(row["path"]): {"numpy", *row.get("libraries", [])} for row in ROWS}


def reachable() -> dict[str, set[str]]:
    """Return for each room the rooms that it may import, with what those may import in turn."""
    found: dict[str, set[str]] = {}
    for row in ROWS:
        direct = set(row["may_import"]) | {"errors"}
        found[room(row["path"])] = direct.union(*(found.get(name, set()) for name in direct))
    return found


REACHABLE = reachable()


def room_of(path: Path) -> str | None:
    """Return the room that a file belongs to: the first name below floatlab/, if the table has it."""
    name = Path(path.relative_to(ROOT / "floatlab").parts[0]).stem
    return name if name in ORDER else None


def imports_of(source: str) -> list[str]:
    """Return the dotted names of every module that a source text imports, wherever the statement stands."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            if node.module == "floatlab":
                names += [f"floatlab.{alias.name}" for alias in node.names]
            else:
                names.append(node.module or "")
    return names


def violations(source: str, here: str) -> list[str]:
    """Return the imports that the table forbids to a file of the room `here`."""
    found = []
    for name in imports_of(source):
        top, _, rest = name.partition(".")
        if top == "floatlab":
            there = rest.partition(".")[0] or "__init__"
            # `from floatlab import x` may name a room or something that the public face offers
            there = there if there in ORDER else "__init__"
            if there != here and there not in REACHABLE[here]:
                found.append(f"{here} imports {there}")
        elif top not in sys.stdlib_module_names and top not in LIBRARIES[here]:
            found.append(f"{here} imports {top}")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_imports_only_what_its_row_allows(path):
    here = room_of(path)
    assert here is not None, "docs/architecture.toml has no row for this file"
    assert violations(path.read_text(), here) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["path"])
def test_every_row_is_there_and_imports_only_from_above(row):
    assert (ROOT / row["path"]).exists() or (ROOT / row["path"]).with_suffix("").is_dir()
    assert ORDER.count(room(row["path"])) == 1
    above = ORDER[: ORDER.index(room(row["path"]))]
    assert set(row["may_import"]) <= set(above)
    assert row["question"].strip()


@pytest.mark.parametrize(
    ("source", "here"),
    [
        ("from floatlab.rounding.quantize import quantize", "formats"),
        ("from floatlab.formats import FloatFormat", "errors"),
        ("from floatlab.rounding.kernels.magic import Kernel", "reference"),
        ("def f():\n    from floatlab.codes.encode import encode", "rounding"),
        ("from floatlab import codec", "rounding"),
        ("import floatlab", "rounding"),
        ("import floatlab.nn.module", "autograd"),
        ("import matplotlib.pyplot", "rounding"),
        ("import cupy", "rounding"),
        ("from floatlab.autograd import Tensor", "plots"),
    ],
)
def test_a_forbidden_import_is_found(source, here):
    assert len(violations(source, here)) == 1


def test_the_oracle_shares_no_code_with_what_it_checks():
    assert REACHABLE["reference"] == {"errors", "formats", "environment"}  # which computes nothing
    assert not any(
        "reference" in REACHABLE[name] for name in ORDER if name not in ("verify", "cli", "__init__")
    )


def test_importing_floatlab_needs_numpy_and_ml_dtypes_and_nothing_else():
    program = "import sys, floatlab; print(*{name.partition('.')[0] for name in sys.modules})"
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(result.stdout.split())
    assert "floatlab" in loaded
    assert not loaded & HEAVY
    # What a bare interpreter loads besides (site customisations) is not ours.
    bare = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, numpy, ml_dtypes; print(*{n.partition('.')[0] for n in sys.modules})",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert loaded - set(bare.stdout.split()) - set(sys.stdlib_module_names) == {"floatlab"}


def test_three_modules_stand_behind_a_function_of_their_name_and_no_more():
    """What `import floatlab.formats as m` gives is the function; everything in a module can be imported *from* it."""
    behind = set()
    for info in pkgutil.walk_packages(floatlab.__path__, "floatlab."):
        module = importlib.import_module(info.name)
        parent, _, name = info.name.rpartition(".")
        if getattr(sys.modules[parent], name) is not module:
            behind.add(info.name)
    assert behind == {"floatlab.array", "floatlab.explain", "floatlab.formats"}
    for name in behind:
        assert callable(getattr(floatlab, name.partition(".")[2]))
    from floatlab.formats.format import FloatFormat  # the way that always works

    assert FloatFormat is floatlab.FloatFormat


def test_the_three_modules_behind_functions_are_named_where_a_newcomer_looks():
    page = (ROOT / "docs" / "architecture.md").read_text()
    for text in (floatlab.__doc__, page):
        assert "from floatlab.formats import FloatFormat" in text
        for name in ("array", "explain", "formats"):
            assert f"`{name}`" in text


BY_NAME = re.compile(
    r"(fmt|format)\.name (==|!=|in |not in )|(==|!=) [\w.]*(fmt|format)\.name|(get\(|\[)[\w.]*(fmt|format)\.name[\])]"
)


def test_no_code_recognises_a_format_by_its_name():
    """Anybody may call a format "float16"; what it does is compared with `FloatFormat.same_as`."""
    found = {
        (path.relative_to(ROOT).as_posix(), line.strip())
        for path in FILES
        if "verify" not in path.parts  # whose plan has names for its own formats
        for line in path.read_text(encoding="utf-8").splitlines()
        if BY_NAME.search(line)
    }
    assert found == {("floatlab/plots/telemetry.py", "return name == fmt.name")}  # a file that holds no more
    for line in ('if fmt.name == "float16":', "_NATIVE.get(self.format.name)", 'r["format"] == fmt.name'):
        assert BY_NAME.search(line)
