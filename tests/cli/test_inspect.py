"""`floatlab inspect` answers in a table, in JSON and in CSV, and fails where it is asked to."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from typer.testing import CliRunner

import floatlab as fl
from floatlab import cli
from floatlab.errors import FloatlabError


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    np.savez("g.npz", weight=rng.normal(size=(20, 30)) * 1e-6, bias=rng.normal(size=20), ids=np.arange(3))
    return "g.npz"


def run(*arguments):
    return CliRunner().invoke(cli.app, ["inspect", *arguments])


def test_the_table_is_that_of_the_report(file):
    result = run(file)
    assert result.exit_code == 0 and result.output == f"{fl.inspect(file).text()}\n"
    assert run(file, "--rows", "1").output == f"{fl.inspect(file).text(rows=1)}\n"


def test_json_and_csv_are_those_of_the_report(file):
    options = [
        "--formats",
        "e4m3, fp16",
        "--scaling",
        "tensor",
        "--sort",
        "name",
        "--filter",
        "*i*s",
        "--sample",
        "10",
    ]
    report = fl.inspect(file, ("e4m3", "fp16"), "tensor", sort="name", filter="*i*s", sample=10)
    assert json.loads(run(file, *options, "--json").output) == report.to_dict()
    assert run(file, *options, "--csv").output == report.to_csv()
    assert [row["name"] for row in csv.DictReader(io.StringIO(report.to_csv()))] == ["bias", "bias", "ids"]


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--fail-if", "lost>1%"], 1),
        (["--fail-if", "lost>1%", "--formats", "bf16"], 0),
        (["--fail-if", "lost>1%", "--formats", "e4m3", "--scaling", "tensor"], 0),
        (["--formats", "bf16", "--fail-if", "lost>1%", "--fail-if", "sqnr<60dB"], 1),
        (["--fail-if", "overflow>0", "--json"], 0),
    ],
)
def test_the_exit_status_is_one_where_a_condition_holds(file, options, status):
    result = run(file, *options)
    assert result.exit_code == status, result.output
    if status:
        assert "weight in" in result.stderr and "weight in" not in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("no.npy",), (".",), ("g.npz", "--fail-if", "lost"), ("g.npz", "--json", "--csv"), ("g.npz", "-f", "fp17"),
        ("g.npz", "-f", ","), ("g.npz", "--scaling", "row"), ("g.npz", "--sort", "x"), ("g.npz", "--filter", "x"),
        ("g.npz", "--filter", "ids", "-o", "x.png"), ("g.npz", "-o", "x.doc"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused(file, arguments):
    result = run(*arguments)
    assert isinstance(result.exception, FloatlabError)


def test_a_condition_is_read_before_the_file():
    assert "A condition" in str(run("no.npy", "--fail-if", "lost>>1").exception)


def test_a_histogram_of_the_first_tensor_is_drawn(file, tmp_path):
    result = run(file, "-f", "fp16", "-o", "x.svg")
    assert result.exit_code == 0 and result.output.endswith("x.svg\n")
    assert "weight" in (tmp_path / "x.svg").read_text()


def test_the_help_has_examples():
    assert "floatlab inspect" in run("--help").output and "--fail-if" in run("-h").output
