"""Every command prints on every terminal, whatever letters it knows, and into a pipe that somebody closes."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from floatlab.system import terminal
from floatlab.system.terminal import make_console, plainer, prepare_streams

ROOT = Path(__file__).parents[2]
ENCODINGS = {"ascii": 110, "latin-1": 40, "cp437": 80, "utf-8": 110}  # and how wide the terminal is

# All commands in one process, the long ones with runs that take no time.
EVERYTHING = """
import sys, traceback
from dataclasses import dataclass, replace
from floatlab import cli
from floatlab.cli import commands, demo
from floatlab.experiments import registry, underflow
from floatlab.experiments.harness.common import Experiment, Run

runs = tuple(replace(run, epochs=1, widths=(64, 8, 10)) for run in underflow.RUNS[:2])
original = underflow.Underflow
underflow.Underflow = lambda seeds, weights: original(seeds, weights, runs)

@dataclass(frozen=True)
class Coin(Run):
    value: float = 1.0

def guess(config):
    return {"expected": 0.5, "predicted_failure": config.value > 1}

def toss(config):
    return {"run": config.run, "seed": config.seed, "found": 0.5, "outcome": config.value, "failed": config.value > 1}

coins = (Coin("low", value=0.5), Coin("high \\u2192 10\\u207b\\u2079 \\u2603", value=2.0))
registry.EXPERIMENTS["coins"] = Experiment(
    "coins", "Coins \\u2026", "Which side \\u2265 0?", coins, guess, toss, "share", "value"
)
demo._draw, commands._draw_run = (lambda *_: ["outcome.png"]), (lambda *_: "outcome.png")  # drawing takes its time
out = sys.argv[1]
for command in (
    ["--help"], ["formats"], ["formats", "--help"], ["show", "0.1", "-3e-9", "inf", "--format", "e4m3"],
    ["run", "--list"],
    ["show", "\\u2603"], ["show", "1", "--format", "\\udcff\\u03c0"], ["run", "coins", "--out", out + "/coins"],
    ["run", "coins", "--out", out + "/coins"], ["run", "caf\\u00e9"], ["demo", "--help"], ["no-such-command"],
    ["demo", "--seeds", "1", "--jobs", "1", "--out", out + "/demo \\u2603"],
    ["verify", "--section", "sums", "--format", "fp4", "--jobs", "1", "--out", out + "/verify"],
):
    sys.argv = ["floatlab", *command]
    status = 0
    try:
        cli.main()
    except SystemExit as end:
        status = end.code
    print("STATUS", *(ascii(word) for word in command[:2]), status or 0, flush=True)
"""


@pytest.mark.parametrize(("encoding", "columns"), ENCODINGS.items())
def test_every_command_prints_in_every_encoding(encoding, columns, tmp_path):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PYTHONIOENCODING": encoding,
        "COLUMNS": str(columns),
    }
    for name in ("PYTHONUTF8", "FORCE_COLOR", "TERM"):
        environment.pop(name, None)
    ran = subprocess.run(
        [sys.executable, "-c", EVERYTHING, str(tmp_path)], capture_output=True, env=environment, check=False
    )
    output, errors = ran.stdout.decode(encoding), ran.stderr.decode(encoding)
    assert ran.returncode == 0, errors
    assert "Traceback" not in errors and "Unicode" not in errors
    statuses = [line.split()[-1] for line in output.splitlines() if line.startswith("STATUS")]
    assert statuses == ["0"] * 5 + ["2", "2", "0", "0", "2", "0", "2", "0", "0"]
    assert "6 finished runs were found" in output.replace("\n", " ") or columns == 40


@pytest.mark.parametrize(
    "command", ["formats", "show 0.1", "run --list", "--help", "demo --help", "verify --help", "show x"]
)
def test_a_closed_pipe_ends_a_command_quietly(command):
    reading, writing = os.pipe()
    os.close(reading)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-m", "floatlab.cli", *command.split()],
        stdout=writing, stderr=subprocess.PIPE, text=True, check=False, env=environment,
    )  # fmt: skip
    os.close(writing)
    assert "Traceback" not in ran.stderr and "BrokenPipe" not in ran.stderr
    assert ran.returncode in (0, 1, 2)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_behind_the_output_is_said_in_one_line():
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with open("/dev/full", "w") as full:
        ran = subprocess.run(
            [sys.executable, "-m", "floatlab.cli", "formats"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=environment,
        )  # fmt: skip
    assert ran.returncode != 0 and "Traceback" not in ran.stderr
    assert "No space left" in ran.stderr


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("10⁻⁹", "10^-9"),
        ("2⁻²⁵ x⁰", "2^-25 x^0"),
        ("a → b ← c", "a -> b <- c"),
        ("1…", "1..."),
        ("≤ ≥ ≠ ± × · ∞", "<= >= != +- x . inf"),
        ("┏━┳━┓┃│─┴╮", "+-+-+||-++"),
        ("½ é ﬁ Å", "1/2 e fi A"),
        ("☃\udcff", "\\u2603\\udcff"),
        ("", ""),
    ],
)
def test_letters_become_plainer_ones(text, expected):
    assert plainer(text) == expected


def test_a_stream_writes_what_it_can_and_the_rest_plainer(monkeypatch):
    file = io.BytesIO()
    stream = io.TextIOWrapper(file, encoding="latin-1")
    monkeypatch.setattr(sys, "stdout", stream)
    prepare_streams()
    print("é ² ⁻⁹ …", end="", flush=True)
    assert file.getvalue() == "é ² ^-9 ...".encode("latin-1")


def test_a_stream_with_a_handler_of_its_own_keeps_it(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    monkeypatch.setattr(sys, "stdout", stream)
    prepare_streams()
    assert stream.errors == "replace"


@pytest.mark.parametrize("stream", [None, io.StringIO(), object()])
def test_a_stream_that_is_none_or_something_else_is_left_alone(stream, monkeypatch):
    monkeypatch.setattr(sys, "stdout", stream)
    prepare_streams()


def test_a_console_in_a_pipe_is_wide_enough(monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert make_console().width == 50
    assert make_console(width_elsewhere=110).width == 110
    monkeypatch.setenv("COLUMNS", "200")
    assert make_console(width_elsewhere=110).width == 200


def test_what_is_not_an_encoding_error_is_raised():
    with pytest.raises(UnicodeDecodeError):
        terminal._handle(UnicodeDecodeError("ascii", b"\xff", 0, 1, "no"))
