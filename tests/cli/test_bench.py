"""floatlab bench: every contender is measured, and what is printed is what was measured."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from floatlab.cli.bench import bench_command, measure
from floatlab.errors import FormatError, OptionError
from floatlab.formats import get_format


def test_four_things_are_measured_beside_a_copy_and_a_peer():
    rows = measure(get_format("e4m3"), 500, rounds=1)
    assert [row["what"] for row in rows] == ["quantize", "decode", "encode", "matmul"]
    for row in rows:
        assert all(seconds > 0 for seconds in row["seconds"].values())
        assert row["times"] == {
            who: row["seconds"]["floatlab"] / seconds for who, seconds in row["seconds"].items() if who != "floatlab"
        }  # fmt: skip
    assert (
        "ml_dtypes" in rows[1]["times"]
        and "a copy" in rows[0]["times"]
        and "NumPy float64" in rows[3]["times"]
    )


@pytest.mark.parametrize("name", ["e5m6", "fp64", "fp32", "e8m0", "binary8p3ue", "fp4", "tf32"])
def test_any_format_is_measured_peer_or_not(name):
    rows = measure(get_format(name), 64, rounds=1)
    assert all(row["times"] for row in rows)


def test_the_data_are_json(capsys):
    bench_command(["fp16", "half"], size=64, as_json=True)
    found = json.loads(capsys.readouterr().out)
    assert found["numbers"] == 64 and [row["format"] for row in found["rows"]] == ["float16"] * 4


def test_the_table_has_a_line_for_each_contender(capsys):
    bench_command(["bf16"], size=64, as_json=False)
    lines = capsys.readouterr().out
    assert "ml_dtypes, there and back" in lines and "NumPy float64" in lines and "64 numbers" in lines


def test_an_unknown_format_and_none_are_refused():
    with pytest.raises(FormatError, match="fp17"):
        bench_command(["fp17"], size=64, as_json=False)
    with pytest.raises(OptionError, match="Got none"):
        bench_command([], size=64, as_json=False)


def test_the_command_takes_formats_with_commas():
    run = subprocess.run([sys.executable, "-m", "floatlab", "bench", "-f", "fp4,e8m0", "--size", "64"],
                         capture_output=True, text=True, check=False)  # fmt: skip
    assert run.returncode == 0 and "float4_e2m1fn" in run.stdout and not run.stderr
