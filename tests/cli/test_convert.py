"""`floatlab quantize` and `floatlab encode` write files, say what they wrote, and go on after Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest
from typer.testing import CliRunner

import floatlab as fl
from floatlab import cli, conversion
from floatlab.errors import FloatlabError

X = np.random.default_rng(0).normal(size=(50, 40)).astype(np.float32)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", X)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(cli.app, arguments)


def test_every_option_of_quantize_arrives():
    options = [
        "--rounding",
        "stochastic_b",
        "--overflow",
        "saturate",
        "--subnormals",
        "flush",
        "--flush-inputs",
    ]
    options += ["--random-bits", "9", "--seed", "5"]
    keywords = dict(rounding="stochastic_b", overflow="saturate", subnormals="flush", flush_inputs=True)
    for name in ("quantize", "encode"):
        result = run(name, "x.npy", "-f", "e4m3", "-o", "y.npy", *options)
        assert result.exit_code == 0, result.output
        expected = getattr(fl, name)(X, "e4m3", **keywords, random_bits=9, rng=5)
        assert np.load("y.npy").tobytes() == expected.tobytes()


def test_it_says_what_it_wrote():
    assert run("quantize", "x.npy", "-o", "y.npy").output == (
        "y.npy: 2,000 values of fp16, as float32, of shape (50, 40)\n"
    )
    assert "codes of e5m2, as uint8" in run("encode", "x.npy", "-f", "e5m2", "-o", "y.npy").output


def test_a_change_of_options_is_said(monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(conversion.NumpyFile, "refuse_changes", stop)
        run("quantize", "x.npy", "-o", "y.npy")
    result = run("quantize", "x.npy", "-f", "bf16", "-o", "y.npy")
    assert "begun anew" in result.output and "2,000 values of bf16" in result.output


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("nowhere.npy", "-o", "y.npy"), "not there"),
        (("x.npy", "-o", "x.npy"), "written over"),
        (("x.npy", "-o", "nowhere/y.npy"), "folder that exists"),
        (("x.npy", "-o", "."), "place of a folder"),
        (("x.npy", "-o", ""), "path names"),
        (("x.npy", "-o", "y.npy", "-f", "fp17"), "fp16"),
        (("x.npy", "-o", "y.npy", "--rounding", "stochastic"), "--seed 0"),
    ],
)
def test_what_is_wrong_is_said_with_the_way_out(arguments, what, folder):
    result = run("quantize", *arguments)
    assert isinstance(result.exception, FloatlabError) and what in str(result.exception)
    assert [*folder.iterdir()] == [folder / "x.npy"]


@pytest.mark.skipif(os.name == "nt", reason="signals are those of POSIX")
def test_after_ctrl_c_the_same_command_goes_on(folder):
    x = np.lib.format.open_memmap("big.npy", "w+", np.float64, (8_000_000,))
    x[::1000] = 0.1
    del x
    # a format without a kernel: a second or two, however fast the others are
    options = ["--rounding", "stochastic", "--seed", "3", "-f", "e3m0finite", "-o", "y.npy"]
    command = [sys.executable, "-m", "floatlab", "encode", "big.npy", *options]
    # A shell starts what runs in its background deaf to Ctrl-C, the tests among it, and their children.
    hearing = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=hearing)
    part = folder / ".y.npy.floatlab-part"
    while not (part.exists() and part.stat().st_size > 1000) and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    told = process.communicate(timeout=60)[1]
    assert process.returncode == 130 and "the same command goes on" in told, told
    assert not (folder / "y.npy").exists()
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "numbers were converted before" in result.stderr
    expected = fl.encode(np.load("big.npy"), "e3m0finite", rounding="stochastic", rng=3)
    assert np.load("y.npy").tobytes() == expected.tobytes()
