"""What a function is said to return is what it returns: flags come with the result where they are asked for."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import floatlab as fl
from floatlab.functions.evaluate import evaluate, evaluate_pair
from floatlab.operations.operate import operate
from floatlab.rounding.flags import Flags
from floatlab.sums import matmul as accumulate

CALLS = [
    'fl.quantize(x, "fp16", {})',
    'fl.encode(x, "fp16", {})',
    'operate("add", (x, x), "fp16", {})',
    'evaluate("exp", x, "fp16", {})',
    'evaluate_pair("hypot", x, x, "fp16", {})',
    'accumulate.sum(x, "fp16", {})',
    'accumulate.mean(x, "fp16", {})',
    'accumulate.dot(x, x, "fp16", {})',
    'accumulate.matmul(x, x, "fp16", {})',
    *(f'fl.{name}(x, x, "fp16", {{}})' for name in (
        "add", "subtract", "multiply", "divide", "hypot", "arctan2", "power", "fmod", "remainder", "floor_divide",
        "ldexp", "matmul", "dot",
    )),
    *(f'fl.{name}(x, "fp16", {{}})' for name in (
        "sqrt", "square", "reciprocal", "exp", "log", "tanh", "erf", "rsqrt", "sum", "mean", "nansum", "nanmean",
        "var", "std", "median",
    )),
]  # fmt: skip
PREFIX = """
from typing import Any
import floatlab as fl
from floatlab.sums import matmul as accumulate
from floatlab.functions.evaluate import evaluate, evaluate_pair
from floatlab.operations.operate import operate

x: Any = [1.0, 2.0]
"""


def revealed(lines, tmp_path):
    """Return what mypy says of each line."""
    source = tmp_path / "calls.py"
    source.write_text(PREFIX + "\n".join(lines) + "\n")
    # mypy finds what is installed by itself, and takes a source tree from MYPYPATH.
    root = Path(fl.__file__).parents[1]
    path = {} if root.name == "site-packages" else {"MYPYPATH": str(root)}
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--no-pretty",
        str(source),
    ]
    ran = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, **path}, capture_output=True, text=True, timeout=600
    )
    first = PREFIX.count("\n") + 1
    said = {int(line.split(":")[-3 if ": note:" not in line else 1]): line for line in ran.stdout.splitlines()
            if ": note: Revealed" in line or ": error:" in line}  # fmt: skip
    assert len(said) == len(lines), ran.stdout + ran.stderr
    return [said[first + i] for i in range(len(lines))]


def test_a_type_checker_sees_flags_where_they_are_asked_for_and_nowhere_else(tmp_path):
    pytest.importorskip("mypy")
    options = ("", "return_flags=False", "return_flags=True", 'rounding="to_odd", return_flags=True')
    lines = [f"reveal_type({call.format(option)})" for call in CALLS for option in options]
    found = iter(revealed(lines, tmp_path))
    for call in CALLS:
        for option in options:
            said = next(found).split("Revealed type is ")[-1].strip('"')
            flags = "return_flags=True" in option
            assert (said.startswith("tuple[") and said.endswith("floatlab.rounding.flags.Flags]")) == flags, (
                call,
                said,
            )
            assert ("Flags" in said) == flags, (call, said)


def test_a_type_checker_names_a_misspelt_option(tmp_path):
    pytest.importorskip("mypy")
    lines = [call.format('roundng="to_odd"') for call in CALLS]
    for line in revealed(lines, tmp_path):
        assert "roundng" in line or "No overload variant" in line


@pytest.mark.parametrize("call", [call for call in CALLS if "ldexp" not in call])
def test_what_is_returned_is_what_the_type_says(call):
    names = {
        "fl": fl,
        "accumulate": accumulate,
        "evaluate": evaluate,
        "evaluate_pair": evaluate_pair,
        "operate": operate,
        "x": np.array([1.0, 2.0]),
    }
    assert isinstance(eval(call.format(""), names), np.ndarray | np.generic)
    values, flags = eval(call.format("return_flags=True"), names)
    assert isinstance(values, np.ndarray | np.generic)
    assert isinstance(flags, Flags)
