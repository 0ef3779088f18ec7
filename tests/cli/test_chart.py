"""Every chart of the field is drawn by its name, into the file that is asked for, or refused in words."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

from floatlab import cli, plots
from floatlab.cli.chart import CHARTS, chart_command
from floatlab.errors import FloatlabError


def test_every_chart_with_data_of_its_own_has_a_name_here():
    drawn = {name.removesuffix("_data") for name in plots.__all__ if name.endswith("_data")}
    twins = {"range": "ranges", "value": "values", "code": "codes", "bit": "bits", "rule": "rules"}
    assert set(CHARTS) == {twins.get(name, name) for name in drawn}


@pytest.mark.parametrize("name", sorted(set(CHARTS) - {"histogram", "quantization", "rules"}))
def test_a_chart_is_drawn_without_more_than_its_name(name, tmp_path):
    path = chart_command(name, [], [], out=tmp_path / "chart.png", size="half")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_what_a_chart_is_about_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.random.default_rng(0).normal(size=1000) * 1e-6)
    for arguments in (
        ["histogram", "x.npy", "-f", "fp16", "-f", "e5m2"],
        ["quantization", "0.1", "-0.2", "1/3", "-f", "e4m3"],
        ["bits", "-0.1", "-f", "fp16"],
        ["operation", "multiply", "-f", "fp4"],
        ["agreement", "exp", "-f", "e4m3"],
        ["compare", "-f", "e5m2", "-f", "e4m3", "--dark"],
    ):
        result = CliRunner().invoke(cli.app, ["chart", *arguments, "-o", "folder/chart.svg"])
        assert result.exit_code == 0 and result.output == "folder/chart.svg\n", (arguments, result.output)
        assert "<svg" in (tmp_path / "folder" / "chart.svg").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rangs",), '"ranges"'),
        (("ranges", "0.1"), "formats alone"),
        (("values", "-f", "fp4", "-f", "e4m3"), "one format"),
        (("compare", "-f", "fp4"), "two formats"),
        (("accumulation", "-f", "fp16"), "no format"),
        (("histogram",), "draws numbers"),
        (("histogram", "no.npy"), "An .npy file"),
        (("histogram", "text.npy"), "An .npy file"),
        (("operation", "add", "multiply"), "one at a time"),
        (("bits", "abc"), "number in words"),
        (("ranges", "-f", "fp17"), "fp16"),
        (("ranges", "-o", "x.doc"), "doc"),
        (("ranges", "--size", "huge"), "huge"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_written(
    arguments, message, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.npy").write_text("no array")
    result = CliRunner().invoke(cli.app, ["chart", *arguments])
    assert isinstance(result.exception, FloatlabError) and message in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["text.npy"]
