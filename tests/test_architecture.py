"""The code is held to the table in docs/architecture.toml: who may import whom."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

import floatlab

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "floatlab"
ROOMS = tomllib.loads((ROOT / "docs" / "architecture.toml").read_text(encoding="utf-8"))["room"]
TABLE = {row["name"]: row for row in ROOMS}
NAMES = list(TABLE)
FILES = sorted(PACKAGE.rglob("*.py"))
HEAVY = {"matplotlib", "jupyter", "IPython", "rich", "typer", "joblib", "cupy", "safetensors", "torch"}
HEAVY |= {"gfloat", "gmpy2", "softfloatpy", "scipy", "pandas", "psutil"}


def room_of(path: Path) -> str:
    """Return the room that a file belongs to: the first name below floatlab/."""
    return Path(path.relative_to(PACKAGE).parts[0]).stem


def module_of(path: Path) -> str:
    """Return the dotted name of a file of the package."""
    return ".".join(("floatlab", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def imports_of(source: str) -> list[str]:
    """Return the dotted names of all that a source text imports, wherever the statement stands.

    ``from floatlab.codes import encode`` gives "floatlab.codes.encode", which may be a file or a name in one.
    """
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def imported_files(source: str) -> set[str]:
    """Return the modules of floatlab that a source text imports."""
    found = set()
    for name in imports_of(source):
        if name.partition(".")[0] == "floatlab":
            while name not in MODULES:
                name = name.rpartition(".")[0]
            found.add(name)
    return found


def imported_libraries(source: str) -> set[str]:
    """Return what else it imports, but for the standard library and NumPy."""
    tops = {name.partition(".")[0] for name in imports_of(source)}
    return tops - set(sys.stdlib_module_names) - {"numpy", "floatlab"}


def rooms_beside(source: str, here: str) -> set[str]:
    """Return the other rooms that a source text imports from; a bare ``import floatlab`` is the public face."""
    return {room_of(MODULES[name]) for name in imported_files(source)} - {here}


def violations(source: str, here: str) -> list[str]:
    """Return the imports that the table forbids to a file of the room `here`."""
    row = TABLE[here]
    rooms = rooms_beside(source, here) - {"errors", *row["may_import"]}
    libraries = imported_libraries(source) - set(row.get("libraries", []))
    return [f"{here} imports {name}" for name in sorted(rooms) + sorted(libraries)]


# -- between rooms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_imports_only_what_its_row_allows(path):
    assert room_of(path) in TABLE, "docs/architecture.toml has no row for this file"
    assert violations(path.read_text(encoding="utf-8"), room_of(path)) == []


@pytest.mark.parametrize("row", ROOMS, ids=lambda row: row["name"])
def test_every_row_is_a_room_that_imports_only_from_above_and_uses_what_it_may(row):
    files = [path for path in FILES if room_of(path) == row["name"]]
    assert files and NAMES.count(row["name"]) == 1 and row["question"].endswith((".", "?"))
    assert set(row["may_import"]) <= set(NAMES[: NAMES.index(row["name"])])
    sources = [path.read_text(encoding="utf-8") for path in files]
    used = set().union(*(rooms_beside(source, row["name"]) for source in sources))
    assert set(row["may_import"]) - used == set(), "a permission that nobody uses"
    libraries = set().union(*map(imported_libraries, sources))
    assert set(row.get("libraries", [])) - libraries == set(), "a library that nobody uses"


@pytest.mark.parametrize(
    ("source", "here"),
    [
        ("from floatlab.rounding.quantize import quantize", "formats"),
        ("from floatlab.formats import FloatFormat", "errors"),
        ("from floatlab.rounding.kernels import counting", "reference"),
        ("def f():\n    from floatlab.codes.encode import encode", "rounding"),
        ("if TYPE_CHECKING:\n    from floatlab.codes.encode import encode", "rounding"),
        ("from floatlab import codes", "rounding"),
        ("import floatlab", "rounding"),
        ("import floatlab.nn.module", "autograd"),
        ("import matplotlib.pyplot", "rounding"),
        ("import cupy", "rounding"),
        ("from floatlab.autograd import Tensor", "plots"),
        (
            "from floatlab.backend import array_module",
            "context",
        ),  # what may be reached is not what may be imported
    ],
)
def test_a_forbidden_import_is_found(source, here):
    assert len(violations(source, here)) == 1


def test_the_oracle_shares_no_code_with_what_it_checks():
    assert TABLE["reference"]["may_import"] == ["formats"]
    assert TABLE["formats"]["may_import"] == ["system"]  # which computes nothing
    assert {name for name in NAMES if "reference" in TABLE[name]["may_import"]} <= {"verify"}


def test_no_file_takes_a_private_name_from_another():
    found = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).startswith("floatlab"):
                found += [
                    f"{module_of(path)}: {alias.name}" for alias in node.names if alias.name.startswith("_")
                ]
    assert found == []


# -- inside a room -----------------------------------------------------------------------------------


FOLDERS = [row for row in ROOMS if (PACKAGE / row["name"]).is_dir()]


@pytest.mark.parametrize("row", FOLDERS, ids=lambda row: row["name"])
def test_a_file_of_a_folder_imports_only_from_those_before_it(row):
    folder = PACKAGE / row["name"]
    listed = [folder / f"{name}.py" for name in row["order"]]
    listed = [path if path.exists() else path.with_suffix("") / "__init__.py" for path in listed]
    assert sorted(listed) == sorted(folder.rglob("*.py")), (
        "docs/architecture.toml lists each file once, in order"
    )
    for place, path in enumerate(listed):
        beside = {MODULES[name] for name in imported_files(path.read_text(encoding="utf-8"))}
        late = {p for p in beside if room_of(p) == row["name"]} - set(listed[:place])
        assert late - {path} == set(), f"{path.name} imports what stands after it"


@pytest.mark.parametrize("row", FOLDERS, ids=lambda row: row["name"])
def test_the_docstring_of_a_folder_names_its_files(row):
    """For the folders of the numbers, whose files a newcomer opens by name."""
    if row["name"] not in (
        "system",
        "formats",
        "reference",
        "rounding",
        "codes",
        "operations",
        "functions",
        "sums",
    ):
        pytest.skip("its files are named by what they hold")
    text = (PACKAGE / row["name"] / "__init__.py").read_text(encoding="utf-8")
    for path in (PACKAGE / row["name"]).iterdir():
        if path.name.startswith("__") or path.suffix not in ("", ".py"):
            continue
        assert f"`{path.name}{'/' if path.is_dir() else ''}`" in text


# -- what is loaded ----------------------------------------------------------------------------------


def test_importing_floatlab_needs_numpy_and_ml_dtypes_and_nothing_else():
    program = "import sys, floatlab; floatlab.quantize; print(*{n.partition('.')[0] for n in sys.modules})"
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


# -- the page ----------------------------------------------------------------------------------------


def test_the_ways_through_the_house_name_files_and_functions_that_are_there():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    assert len(blocks) == 3
    seen, file = 0, ""
    for line in "\n".join(blocks).splitlines():
        found = re.match(r" *([\w/]+(?:\.py|/))?\s{2,}([A-Za-z_]\w+(?:\.\w+)?) {2,}", line)
        path = re.match(r" *([\w/]+(?:\.py|/))", line)
        if path:
            file = path[1]
            assert (PACKAGE / file).exists(), file
        if found and file.endswith(".py"):
            name = found[2].rpartition(".")[2]
            assert re.search(rf"(def|class) {name}\b", (PACKAGE / file).read_text(encoding="utf-8")), line
            seen += 1
    assert seen >= 15


def calls_of(function):
    """Count the Python calls inside floatlab that a call makes."""
    counted, home = 0, str(Path(floatlab.__file__).parent)

    def count(frame, event, _):
        nonlocal counted
        counted += event == "call" and frame.f_code.co_filename.startswith(home)

    function()
    function()  # what is computed once is there
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return counted


@pytest.mark.parametrize(("fmt", "most"), [("fp16", 29), ("bf16", 29), ("e4m3", 33)])
def test_a_small_quantize_makes_no_more_calls_than_it_did(fmt, most):
    x = np.array([0.1, -2.5, 1e-8, 3e4], np.float32)
    assert calls_of(lambda: floatlab.quantize(x, fmt)) <= most


@pytest.mark.parametrize(("name", "most"), [("sum", 60), ("mean", 60), ("dot", 90)])
def test_a_small_sum_makes_half_the_calls_that_it_made(name, most):
    x = floatlab.array([0.1, -2.5, 1e-8, 3e4], "bf16")
    operands = (x, x) if name == "dot" else (x,)
    assert (
        calls_of(lambda: getattr(floatlab, name)(*operands)) <= most
    )  # 107, 170 and 121 as products of matrices


def test_no_file_of_the_package_is_longer_than_400_lines():
    long = {
        name: n for name in FILES if (n := len((ROOT / name).read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long, "Split it where it answers two questions."
