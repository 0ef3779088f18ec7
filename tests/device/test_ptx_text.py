"""The PTX of every kernel for every architecture: nothing flushed, fused, approximated; integers where it says so.

An ordinary run compiles the first kernel of each row for every architecture, and the others for some; all of them with

    FLOATLAB_PTX=all python -m pytest tests/device/test_ptx_text.py
"""

import ast
import itertools
import os
from pathlib import Path

import pytest

import floatlab
from device.every_kernel import KERNELS
from device.nvrtc import ARCHITECTURES, compiled, faults

PACKAGE = Path(floatlab.__file__).parent


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("maker", KERNELS)
def test_no_kernel_flushes_fuses_or_approximates_and_those_of_integers_have_no_float_instruction(
    maker, architecture
):
    row = KERNELS[maker]
    for number, example in enumerate(row.examples()):
        if (
            number
            and (number + ARCHITECTURES.index(architecture)) % 4
            and os.environ.get("FLOATLAB_PTX") != "all"
        ):
            continue
        text = compiled(example.kernel, example.types, example.scalars, architecture)
        assert f".target sm_{architecture}" in text
        found = faults(text, float64=row.float64, conversions=row.conversions)
        assert found == [], example.kernel.name


def makers(path):
    """Yield the functions of a file that make an `Elementwise`."""
    text = path.read_text(encoding="utf-8")
    for top in ast.parse(text).body if "Elementwise(" in text else []:
        for node in ast.walk(top):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Elementwise"):
                yield top.targets[0].id if isinstance(top, ast.Assign) else top.name


def test_every_function_that_makes_a_kernel_has_a_row():
    names = itertools.chain.from_iterable(
        [".".join([*path.relative_to(PACKAGE).with_suffix("").parts, name]) for name in makers(path)]
        for path in sorted(PACKAGE.rglob("*.py"))
    )
    assert set(names) == set(KERNELS), (
        "tests/device/every_kernel.py has a row for each, and its examples are compiled"
    )


def test_a_kernel_that_nobody_lists_is_found(tmp_path):
    (tmp_path / "planted.py").write_text(
        "def planted():\n    return [backend.Elementwise('T x', 'T y', 'y = x', 'n')]\n"
    )
    assert list(makers(tmp_path / "planted.py")) == ["planted"]
