"""What is added needs a case: every list that CONTRIBUTING.md names is held to the tests that know its entries.

An entry without a case fails here, and the message says where the case belongs.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import floatlab as fl
from floatlab import block_formats, nn, optim, plots
from floatlab.amp import PRESETS, Recipe
from floatlab.autograd.ops.table import TABLE as OPERATIONS
from floatlab.experiments import registry
from floatlab.formats import formats
from floatlab.functions.evaluate import FUNCTIONS
from floatlab.functions.pairs import PAIRS
from floatlab.matrix_units import units
from floatlab.reference.rounding import MODES as ORACLE
from floatlab.rounding.modes import MODES
from floatlab.rounding.options import OVERFLOW_POLICIES
from floatlab.sums import accumulators
from floatlab.verify.oracle import DETERMINISTIC, STOCHASTIC

TESTS = Path(__file__).parent
GUIDE = (TESTS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")


def kinds(module: Any, base: type) -> list[str]:
    """Return the public classes of a module that are of a kind, but for the kind itself."""
    found = [name for name in module.__all__ if isinstance(getattr(module, name), type)]
    return [n for n in found if issubclass(getattr(module, n), base) and getattr(module, n) is not base]


EXPERIMENTS = [
    f"floatlab.experiments.{name}"  # which its tests import from
    for name, module in vars(registry).items()
    if getattr(module, "__name__", "") == f"floatlab.experiments.{name}"
]

# How a case of it is written, where the name alone could stand in any sentence.
WRITTEN = {
    "a layer": r"\bnn\.{}\(",
    "an accumulator": r"\b{}\(",
    "an optimizer": r'\("{}", \{{',
    "a schedule": r"\boptim\.{}\(",
    "a recipe": r"\b{}\(",
    "a chart": r"\b{}\(",
}

# What is added: its names, and the tests that must know each of them. It is a wide net under the tests of the rooms.
LISTS: dict[str, tuple[Iterable[str], str]] = {
    "a format": ([fmt.name for fmt in formats() if not fmt.is_p3109], "formats/test_formats.py"),
    "a rounding mode": (MODES, "rounding/test_rounding.py support.py"),
    "an overflow policy": (OVERFLOW_POLICIES, "rounding/test_policies.py support.py"),
    "a function": (FUNCTIONS, "functions/test_functions.py"),
    "a function of two numbers": (PAIRS, "functions/test_pairs.py"),
    "a block format": ([fmt.name for fmt in block_formats.formats()], "block_formats/test_block_array.py"),
    "a rule for scales": (block_formats.RULES, "block_formats"),
    "an accumulator": (kinds(accumulators, accumulators.Accumulator), "sums/test_accumulators.py"),
    "a matrix unit": (units(), "matrix_units reference"),
    "an operation of autograd": (OPERATIONS, "autograd/test_autograd_ops.py"),
    "a layer": (kinds(nn, nn.Module), "nn"),
    "an optimizer": (kinds(optim, optim.Optimizer), "optim/test_optim_torch.py"),
    "a schedule": (kinds(optim, optim.LRScheduler), "optim/test_optim.py"),
    "a recipe": ([kind.__name__ for kind in Recipe.__subclasses__()], "amp/test_amp_fp8.py"),
    "a preset of loss scaling": (PRESETS, "amp/test_amp_grad_scaler.py"),
    "an experiment": (EXPERIMENTS, "experiments"),
    "a chart": ([name for name in plots.__all__ if name.startswith("plot_")], "plots"),
}


def text_of(places: str) -> str:
    """Return the texts of test files and of all in test folders."""
    paths = [TESTS / place for place in places.split()]
    files = [file for path in paths for file in (sorted(path.glob("*.py")) if path.is_dir() else [path])]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("what", LISTS)
def test_every_entry_has_a_case(what: str) -> None:
    names, places = LISTS[what]
    text = text_of(places)
    pattern = WRITTEN.get(what, r"\b{}\b")
    missing = [name for name in names if not re.search(pattern.format(re.escape(name)), text)]
    assert missing == [], f"{what} without a case in tests/{places}"


@pytest.mark.parametrize("what", LISTS)
def test_the_guide_says_where_it_is_added_and_what_then_fails(what: str) -> None:
    row = next((line for line in GUIDE.splitlines() if line.startswith(f"| {what} |")), "")
    assert row, f"CONTRIBUTING.md has no row for {what}"
    _, _, where, fails, _ = (cell.strip() for cell in row.split("|"))
    for path in re.findall(r"`((?:floatlab|tests)/[\w/.]+)`", where + fails):
        assert (TESTS.parent / path).exists(), path
    assert "`floatlab/" in where and "`tests/" in fails


def test_a_name_that_has_no_case_is_found() -> None:
    assert "from_zero" not in text_of("rounding/test_rounding.py support.py")
    assert re.search(r"\bAdam\b", text_of("optim/test_optim_torch.py"))


def test_the_oracles_know_every_mode() -> None:
    assert set(MODES) == set(ORACLE) == {*DETERMINISTIC, *STOCHASTIC}


def test_every_function_is_public() -> None:
    assert {*FUNCTIONS, *PAIRS} <= set(fl.__all__)
