"""The command says what is wrong in one line, keeps finished runs, and the README's code runs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
MODULE = [sys.executable, "-m", "floatlab.cli"]


def floatlab(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*MODULE, *arguments], capture_output=True, text=True, check=False, **options)


def test_formats_lists_the_catalogue():
    from floatlab.formats import formats

    result = floatlab("formats")
    assert result.returncode == 0
    for fmt in formats():
        assert fmt.name[:16] in result.stdout
    assert "65504" in result.stdout and "448" in result.stdout


def test_show_explains_a_conversion():
    result = floatlab("show", "0.1", "-3", "--format", "e4m3")
    assert result.returncode == 0
    assert "0.1015625" in result.stdout and "0x1D" in result.stdout and "0xC5" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "0.1", "--format", "fp17"), 'FormatError: .*"fp16"'),
        (("show", "zero"), "DtypeError: .*'zero'"),
        (("show", "0.1", "--rounding", "nearest_evn"), 'OptionError: .*"nearest_even"'),
        (("run", "underflw"), 'OptionError: .*"underflow"'),
    ],
)
def test_an_error_is_one_line_without_a_traceback(arguments, message):
    result = floatlab(*arguments)
    assert result.returncode == 2
    assert re.match(message, result.stderr), result.stderr
    assert result.stderr.count("\n") == 1 and not result.stdout


def test_a_folder_that_cannot_be_written_to_is_said_before_training(tmp_path):
    (tmp_path / "file").write_text("")
    result = floatlab("demo", "--out", str(tmp_path / "file" / "demo"))
    assert result.returncode == 2 and "ExperimentError" in result.stderr and "--out" in result.stderr
    assert not result.stdout  # no table of predictions either: nothing has begun


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_keep_finished_runs_even_where_no_other_program_is_installed(tmp_path, stop):
    process = subprocess.Popen(
        [*MODULE, "demo", "--out", str(tmp_path), "--jobs", "2"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PATH": str(tmp_path)},  # as in a small container, which has no pgrep
        start_new_session=True,  # a terminal sends Ctrl-C to the whole group, and so do we
        # A shell's background job, as the tests may be one, ignores Ctrl-C, and its children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    summary = tmp_path / "summary.json"
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if summary.exists() and json.loads(summary.read_text())["runs"]:
            break
        time.sleep(0.05)
    workers = psutil.Process(process.pid).children(recursive=True)
    if stop == signal.SIGINT:
        os.killpg(process.pid, stop)
    else:
        os.kill(process.pid, stop)  # a batch system asks the command alone
    try:
        output, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, output
    assert workers and not psutil.wait_procs(workers, timeout=30)[1]  # none is left behind
    assert "summary.json" in output and "Traceback" not in output
    kept = json.loads(summary.read_text())["runs"]
    assert 1 <= len(kept) < 42
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == len(kept)


def test_the_demo_prints_predictions_beside_results_and_draws_its_figures(tmp_path, monkeypatch):
    from dataclasses import replace

    from typer.testing import CliRunner

    from floatlab import cli
    from floatlab.experiments import underflow

    # The demo itself, with one epoch in the place of twenty.
    short = tuple(replace(run, epochs=1) for run in underflow.RUNS)
    monkeypatch.setattr(underflow.Underflow, "__init__", short_setup(short))
    monkeypatch.setattr(underflow, "CLIFF_WEIGHTS", (1.0, 1e-6))
    result = CliRunner().invoke(
        cli.app, ["demo", "--out", str(tmp_path), "--seeds", "1", "--jobs", "1", "--cliff"]
    )
    assert result.exit_code == 0, result.output
    assert result.output.index("Predicted from the first fp32 step") < result.output.index("training")
    assert re.search(r"fp16 +100/100 +100/100 +100/100 +100/100 +100/100 +fails", result.output)
    runs = json.loads((tmp_path / "summary.json").read_text())["runs"]
    assert len(runs) == 7 * 2
    for name in ("gradients.png", "training.png", "cliff.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def short_setup(runs):
    def setup(self, seeds, loss_weights):
        for name, value in (("seeds", seeds), ("loss_weights", loss_weights), ("runs", runs)):
            object.__setattr__(self, name, value)

    return setup


def test_help_names_every_command():
    result = floatlab("--help")
    assert result.returncode == 0
    for command in ("demo", "run", "show", "formats", "verify"):
        assert command in result.stdout


def test_the_code_of_the_readme_runs():
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    names: dict = {"print": lambda text: None}
    exec(blocks[0], names)
    assert names["loss"].item() < 1.5  # it starts at 2.3
    exec(blocks[1], {"print": lambda text: None})


def test_the_readme_has_its_figure_and_its_commands():
    text = (ROOT / "README.md").read_text()
    for path in re.findall(r"\]\((?!http)([^)]+)\)", text):
        assert (ROOT / path).exists(), path
    for command in (
        "    python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/floatlab demo\n",
        "    python3 -m venv .venv && .venv/bin/pip install '.[test]' && .venv/bin/pytest\n",
    ):
        assert command in text


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("3", (0, 1, 2)),
        ("1", (0,)),
        ("3,4,5", (3, 4, 5)),
        (" 7 , 7,2", (7, 2)),
        ("7,", (7,)),
        ("100", tuple(range(100))),
    ],
)
def test_seeds_are_a_number_of_them_or_a_list(text, seeds):
    from floatlab.cli.console import seeds_of

    assert seeds_of(text) == seeds


@pytest.mark.parametrize("text", ["0", "", ",", "-1", "3,-4", "1.5", "a", "101", "3;4", "\u0663"])
def test_seeds_that_are_none_are_refused_in_one_line(text):
    from floatlab.cli.console import seeds_of
    from floatlab.errors import OptionError

    with pytest.raises(OptionError, match="Seeds are"):
        seeds_of(text)


@pytest.mark.parametrize(
    "arguments", [("demo",), ("run", "small-units"), ("verify",), ("chart", "ranges"), ("inspect", "a.npy")]
)
def test_an_empty_path_is_refused_and_is_not_the_folder_one_is_in(arguments, tmp_path):
    result = floatlab(*arguments, "--out", "", cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert (result.returncode, result.stderr.count("\n"), result.stdout) == (2, 1, ""), result.stderr
    assert "OptionError: A path names a file or a folder" in result.stderr and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "arguments",
    [("formats",), ("show", "0.1"), ("show", "0.1", "--all"), ("compute", "1+2"), ("run", "--list")],
)
def test_a_full_disk_is_one_line_and_no_success(arguments):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [*MODULE, *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert result.returncode == 2, result.stderr
    assert result.stderr.startswith("DataError") and result.stderr.count("\n") == 1, result.stderr


def test_a_proof_that_compares_nothing_is_no_success(monkeypatch, tmp_path, capsys):
    from floatlab import verify
    from floatlab.errors import OptionError

    monkeypatch.setattr(verify, "missing_peer", lambda peers: "softfloatpy")
    with pytest.raises(OptionError, match="softfloatpy is not installed"):
        verify.command(section=["sums"], format=["e2m1"], jobs=1, out=tmp_path)


# How many of floatlab's modules a command may load: one that starts within three times NumPy's own start has few.
@pytest.mark.parametrize(("arguments", "most"), [(("--version",), 15), (("formats",), 25)])
def test_a_short_answer_imports_no_room_that_it_does_not_need(arguments, most):
    code = (
        "import sys; from floatlab.cli import main; sys.argv = ['floatlab', *sys.argv[1:]]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(sorted(m for m in sys.modules if m.startswith('floatlab') or '.' not in m), file=sys.stderr)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False
    )
    loaded = set(eval(run.stderr.splitlines()[-1]))
    never = {"matplotlib", "joblib", "torch", "jax", "pandas", "cupy", "safetensors", "psutil"}
    assert not loaded & never
    own = {name.split(".")[1] for name in loaded if name.startswith("floatlab.")}
    assert not own & {
        "plots",
        "experiments",
        "verify",
        "nn",
        "optim",
        "inspection",
        "memory",
        "array",
        "sums",
    }
    assert sum(name.startswith("floatlab") for name in loaded) <= most
