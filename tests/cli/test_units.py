"""`floatlab units` lists every unit whole, shows one with all its instructions, and computes one dot product on all."""

from __future__ import annotations

import json
import re

import pytest
from test_numbers import on_terminal, run, told

import floatlab as fl
from floatlab.cli import units as command
from floatlab.experiments import one_dot_product


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_every_name_is_whole_however_narrow_the_terminal_is(columns):
    output = on_terminal(columns, "units")
    for name in fl.units():
        assert re.search(rf"(?m)^\s*{name}\s", output), (name, output)
    assert re.search(r"(?m)\bfp8 fp6 fp4\b", output)
    assert "…" not in output and all(len(line.rstrip()) <= columns for line in output.splitlines())


@pytest.mark.parametrize("columns", [40, 200])
def test_one_unit_is_shown_with_its_instructions_and_sources_at_any_width(columns):
    output = on_terminal(columns, "units", "b200")
    for name in ("b200", "b200:fp16", "b200:mma.sync"):
        assert re.search(rf"(?m)^{name}\s", output), output
    assert "e4m3 e5m2 e3m2 e2m3 e2m1" in output and "arXiv:2512.07004" in output
    assert "…" not in output and all(len(line.rstrip()) <= columns for line in output.splitlines())


def test_a_pipe_gets_every_column():
    output = run("units").output
    for text in ("chip", "rounding", "result", "toward zero, 14 bits", "NVIDIA H100, Hopper, 2022"):
        assert text in output


def test_json_has_every_unit_and_its_instructions():
    data = told("units")
    assert [entry["unit"] for entry in data] == list(fl.units())
    one = told("units", "h100")
    assert one == next(entry for entry in data if entry["unit"] == "h100")
    assert one["instructions"]["h100"][2]["operands"] == ["float8_e4m3fn", "float8_e5m2"]
    assert set(one["instructions"]) == {"h100", "h100:fp16", "h100:mma.sync", "h100:mma.sync:fp16"}
    assert told("units", "h100:mma.sync")["unit"] == "h100:mma.sync"


def test_the_dot_product_is_computed_on_all_of_them():
    output = run("units", "--dot").output
    assert re.search(r"h100 +fp16 +-0\.75 +-0\.75 +F = 25", output)
    assert re.search(r"mi300 +fp8fnuz +-1 +-1 ", output)
    data = told("units", "--dot")
    assert all(entry["result"] == entry["predicted"] for entry in data)
    assert {entry["unit"] for entry in data} == set(fl.units()) - {"avx512_vnni", "maddubs"}


def test_a_result_that_was_not_predicted_is_no_success(monkeypatch):
    monkeypatch.setattr(one_dot_product, "measured", lambda case: 1.0)
    assert command.units_command(dot=True, as_json=True) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("h10",), "Did you mean"), (("h100", "--dot"), "Leave one out"), (("h100:mma",), "mma.sync")],
)
def test_what_is_no_unit_is_refused(arguments, words):
    result = run("units", *arguments)
    assert result.exit_code != 0 and words in str(result.exception)


def test_names_are_completed():
    from floatlab.cli.options import unit_names

    assert unit_names("a1") == ["a100"] and set(unit_names("")) == set(fl.units())
    assert json.dumps(unit_names("zz")) == "[]"
