"""Numbers on the command line are taken exactly, and nothing of a name is ever cut."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from fractions import Fraction

import pytest
from typer.testing import CliRunner

import floatlab as fl
from floatlab import cli, reference
from floatlab.cli.console import fit_columns
from floatlab.cli.expression import evaluate
from floatlab.errors import OptionError
from floatlab.explain.codes import explain_code


def run(*arguments: str, **options):
    return CliRunner().invoke(cli.app, list(arguments), **options)


def told(*arguments: str):
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def test_a_typed_decimal_is_not_made_a_float64_first():
    assert (
        told("show", "65519.999999999999999")[0]["value"] == 65504
    )  # the float64 next to it is the tie at 65520
    assert told("show", "65520")[0]["value"] == "infinity"
    assert told("show", "1e400")[0]["flags"] == ["overflow", "inexact"]
    assert told("show", "1/3", "-f", "fp32")[0]["source"] == "1/3"
    assert told("show", "2**-24")[0]["code"] == 1 == told("show", "2^-24")[0]["code"]


def test_negative_numbers_are_no_options():
    numbers = ("-3e5", "-0x1.fp3", "-.5", "-inf", "-0", "-1/3", "-nan")
    stories = told("show", *numbers, "-f", "fp32")
    assert [s["source"] for s in stories] == ["-300000", "-31/2", "-1/2", "-infinity", -0.0, "-1/3", "NaN"]
    assert told("compute", "-1 + 0.5")[-1]["value"] == -0.5
    assert run("show", "-x").exit_code == 2


def test_every_option_of_explain_is_there():
    assert told("show", "465", "-f", "e4m3", "--overflow", "saturate")[0]["value"] == 448
    assert told("show", "2^-15", "--subnormals", "flush")[0]["value"] == 0
    assert told("show", "2^-15", "--flush-inputs")[0]["value"] == 0
    assert told("show", "0.3", "--rounding", "toward_positive")[0]["value"] > 0.3
    drawn = ("--rounding", "stochastic", "--random-bits", "4", "--random-integer")
    assert told("show", "0.3", "-f", "e4m3", *drawn, "0")[0]["value"] < 0.3
    assert told("show", "0.3", "-f", "e4m3", *drawn, "15")[0]["value"] > 0.3


def test_standard_input_is_read_where_a_dash_stands():
    result = run("show", "1", "-", "4", "--json", input="2\n3\n")
    assert [story["value"] for story in json.loads(result.output)] == [1, 2, 3, 4]


def test_full_prints_the_steps():
    assert "binade" not in run("show", "0.1").output and "binade" in run("show", "0.1", "--full").output


@pytest.mark.parametrize("name", ["e4m3", "e5m2fnuz", "fp4", "e8m0", "binary6p1uf", "binary8p3se", "fp16"])
def test_every_code_is_told_as_the_reference_decodes_it(name):
    fmt = fl.get_format(name)
    for code in range(1 << min(fmt.bits, 12)):
        story, wanted = explain_code(code, fmt), reference.to_float(reference.decode(code, fmt))
        assert story.value == wanted or (story.value != story.value and wanted != wanted)
        parts = re.search(r"^(-?[\d.e+-]+) \* 2\^(-?\d+) = ", dict(story.rows)["value"])
        if parts:  # the fields make the value
            assert Fraction(parts[1]) * Fraction(2) ** int(parts[2]) == Fraction(wanted)
            bits = dict(story.rows).get("mantissa", "")
            digits = re.match(r"([01])\.([01]+) = ", bits)
            if digits:
                assert Fraction(int(digits[1] + digits[2], 2), 2 ** len(digits[2])) == abs(Fraction(parts[1]))


def test_a_code_is_decoded_and_a_wrong_one_refused():
    assert told("show", "--code", "0x7E", "--code", "0b1", "-f", "e4m3")[0]["value"] == 448
    for wrong in ("0x1FF", "-1", "1.5", "x"):
        result = subprocess.run(
            [*MODULE, "show", "--code", wrong, "-f", "e4m3"], capture_output=True, text=True, check=False
        )
        assert result.returncode == 2 and "Use one" in result.stderr, result.stderr
    assert isinstance(run("show", "1", "--code", "1").exception, OptionError)


def test_one_number_in_every_format():
    output = run("show", "1/3", "--all").output
    for fmt in fl.formats():
        assert fmt.name in output and f"{fl.quantize('1/3', fmt):.9g}" in output
    assert len(told("show", "1/3", "--all")) == len(fl.formats())
    assert "none" in run("show", "nan", "--all").output  # fp4 has no NaN
    for wrong in (("zero",), ("1", "--rounding", "nearest_evn"), ("1", "--overflow", "wrap")):
        assert run("show", *wrong, "--all").exception is not None  # and no table of "none"


# -- expressions ---------------------------------------------------------------------------------------------


def test_an_expression_rounds_its_numbers_and_every_operation():
    fmt = fl.get_format("fp16")
    steps = evaluate("(0.1 + 0.2) * 3 - sqrt(2)", fmt)
    a, b, c, d = (fl.array(x, "fp16") for x in ("0.1", "0.2", 3, 2))
    assert steps[-1].value == ((a + b) * c - fl.sqrt(d)).item()
    assert len(steps) == 4 + 4  # numbers and operations
    assert (
        evaluate("fma(3, 1/3, -1)", fmt)[-1].value
        == fl.fma(c, fl.array(1, "fp16") / c, fl.array(-1, "fp16")).item()
    )
    assert evaluate("-(1 + 2)", fmt)[-1].value == -3
    assert evaluate("2**-24 / 2", fmt)[-1].value == 0
    assert evaluate("'0x1.8p-3' + inf", fmt)[-1].value == float("inf")
    assert evaluate("0.1000000000000000000000000000001 + 0", fmt)[0].source == Fraction(
        "0.1000000000000000000000000000001"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1 +",
        "a + b",
        "1 if 2 else 3",
        "__import__('os')",
        "x.y",
        "[1]",
        "1 // 2",
        "exp(x=1)",
        "1j",
        "True",
        "1 < 2",
        "(" * 500,
    ],
)
def test_what_is_no_expression_is_refused(text):
    from floatlab.errors import FloatlabError

    with pytest.raises(FloatlabError):
        evaluate(text, fl.get_format("fp16"))


# -- tables --------------------------------------------------------------------------------------------------


MODULE = [sys.executable, "-m", "floatlab"]


def on_terminal(columns: int, *arguments: str) -> str:
    """Return what a command prints on a terminal of so many columns."""
    controller, terminal = pty.openpty()
    environment = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    with subprocess.Popen(
        [*MODULE, *arguments], stdout=terminal, stderr=terminal, env=environment
    ) as process:
        os.close(terminal)
        parts = []
        while True:
            try:
                part = os.read(controller, 65536)
            except OSError:  # Linux says so at the end
                break
            if not part:
                break
            parts.append(part)
        process.wait()
    os.close(controller)
    return re.sub(r"\x1b\[[0-9;]*m", "", b"".join(parts).decode())


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
def test_every_name_is_whole_however_narrow_the_terminal_is(columns):
    output = on_terminal(columns, "formats")
    for fmt in fl.formats():
        assert re.search(rf"(?m)^\s*{fmt.name}\s", output), (fmt.name, output)
    assert "…" not in output and all(len(line.rstrip()) <= columns for line in output.splitlines())


def test_a_pipe_gets_every_column():
    output = subprocess.run([*MODULE, "formats"], capture_output=True, text=True, check=True).stdout
    assert "special" in output and "fp8_e4m3_ieee" in output and "…" not in output
    data = told("formats")
    assert [entry["name"] for entry in data] == [fmt.name for fmt in fl.formats()]
    assert all(entry["max"] == fl.get_format(entry["name"]).max for entry in data)


def test_columns_go_in_the_order_of_their_priority():
    columns, rows = ("name", "a", "b"), [("x" * 10, "y" * 10, "z" * 10)]
    assert fit_columns(columns, rows, ("b", "a"), None, 1) == [0, 1, 2]
    assert fit_columns(columns, rows, ("b", "a"), 36, 1) == [0, 1, 2]
    assert fit_columns(columns, rows, ("b", "a"), 35, 1) == [0, 1]
    assert fit_columns(columns, rows, ("b", "a"), 1, 1) == [0]  # the name stays, whatever happens


# -- the command itself --------------------------------------------------------------------------------------


def test_the_version_and_the_short_help():
    assert run("--version").output == f"floatlab {fl.__version__}\n"
    assert run("-h").exit_code == 0 and "show" in run("-h").output
    for command in ("show", "compute", "formats"):
        assert "xample" in run(command, "--help").output


def test_a_reader_that_has_read_enough_is_no_error():
    script = f"{sys.executable} -m floatlab formats | head -n 1; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False)
    assert result.stderr == "" and result.returncode in (0, 141), result
