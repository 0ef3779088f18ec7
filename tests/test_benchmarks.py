"""The benchmarks run, compare before they time, and the page says what they found and nothing else."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import floatlab as fl

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"
PAGE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
RECORD = json.loads((BENCHMARKS / "results" / "numeric.json").read_text(encoding="utf-8"))


FILES = ("agreement", "blocks", "cases", "machine", "numeric", "page", "peers", "training", "units")


@pytest.fixture
def script(monkeypatch):
    """Import a file of benchmarks/, as one beside it would, and leave no trace of it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")  # training.py sets them
    for name in FILES:
        sys.modules.pop(name, None)
    yield importlib.import_module
    for name in FILES:
        sys.modules.pop(name, None)


def contenders(script, **results):
    peers = script("peers")
    return {who: peers.Contender(lambda made=made: made) for who, made in results.items()}


def test_the_page_is_what_the_script_makes_of_its_results(script):
    assert script("page").put_into(PAGE, RECORD) == PAGE


def test_the_page_of_blocks_is_what_the_script_makes_of_its_results(script):
    page = (ROOT / "docs" / "block-formats.md").read_text(encoding="utf-8")
    record = json.loads((BENCHMARKS / "results" / "blocks.json").read_text(encoding="utf-8"))
    assert script("blocks").put_into(page, record) == page
    assert (
        record["oracle"]["differing"] == record["torchao"]["differing"] == record["gfloat"]["differing"] == 0
    )


def test_a_figure_that_is_typed_into_the_page_is_found(script):
    first = RECORD["timings"][0]["name"]
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {first} |"))
    forged = PAGE.replace(row, row.replace(row.split("|")[2], " 0.01 ", 1))
    assert forged != PAGE and script("page").put_into(forged, RECORD) == PAGE


def test_every_case_has_its_row_and_every_table_its_rows(script):
    for timing in RECORD["timings"]:
        assert f"\n| {timing['name']} | " in PAGE
    page, cases = script("page"), script("cases")
    assert page.TITLES.keys() == cases.GROUPS.keys() == {timing["group"] for timing in RECORD["timings"]}


def test_what_others_do_faster_stands_before_everything_else(script):
    page = script("page")
    timings = [page.Timing(**fields) for fields in RECORD["timings"]]
    lines = page.faster(timings, equal=True)
    assert any("PyTorch" in line and "fp16" in line and "bf16" in line for line in lines)
    assert all(PAGE.index(line) < PAGE.index("## How to read") for line in lines)


def test_the_prose_of_the_page_has_no_measured_figure():
    prose = PAGE.split("<!-- faster: end -->")[1].split("<!-- tables: start -->")[0]
    assert not [word for word in prose.split() if word.rstrip("×.,").count(".") == 1 and word[0].isdigit()
                and word.rstrip(".,") not in ("0.9", "1.1")]  # fmt: skip


@pytest.mark.parametrize(
    "record, who",
    [
        ({"seconds": {"floatlab": 2.0, "peer": 1.0}}, ["- **peer** in rounding: fp16 2.00×"]),
        ({"seconds": {"floatlab": 1.0, "peer": 1.0}}, []),
        ({"seconds": {"floatlab": 2.0, "numpy.sum": 1.0, "floatlab, nearest even": 1.0, "numpy.copyto": 0.1}}, []),
        ({"seconds": {"floatlab": 2.0, "peer": 1.0}, "differs": {"peer": {}}}, []),
        ({"seconds": {"floatlab": 2.0}, "failed": {"peer": "ValueError"}}, []),
    ],
)  # fmt: skip
def test_only_a_peer_with_the_same_results_is_said_to_be_faster(script, record, who):
    page = script("page")
    timing = page.Timing("rounding", "fp16, normal", 1, "numpy.copyto", **record)
    assert page.faster([timing], equal=True) == who


def test_a_contender_whose_results_differ_is_named_with_one_of_them(script):
    numeric, cases, page = script("numeric"), script("cases"), script("page")
    fmt, x = fl.get_format("fp16"), np.float32([1, 1e-6, 1e6, -0.0])
    right = fl.quantize(x, fmt)
    wrong = np.where(x > 1e5, np.float32(65504), right)
    found = contenders(script, floatlab=right, same=right.copy(), saturates=wrong, unsigned=np.abs(right))
    case = cases.Case("rounding", "fp16, four", 4, found, "same", x=x, fmt=fmt)
    timing = numeric.measure(case, 1)
    assert timing.differs.keys() == {"saturates", "unsigned"}
    assert timing.differs["saturates"] == {
        "count": 1, "total": 4, "kinds": ["beyond the maximum"], "example": "of 1e+06 inf, not 65504"
    }  # fmt: skip
    timing = page.Timing("rounding", "fp16, four", 4, "same", timing.seconds, timing.differs)
    text = page.tables({"about": {}, "timings": [vars(timing)]})
    assert "| saturates | rounding: fp16 | 25 % | beyond the maximum | fp16, four: of 1e+06 inf" in text
    assert " ≠" in text


def test_any_nan_is_as_good_as_another_and_a_zero_has_a_sign(script):
    difference = script("agreement").difference
    assert difference([np.float32([np.nan, 0.0])], np.float64([-np.nan, 0.0])) is None
    assert difference([np.float32([np.nan, 0.0])], np.float32([np.nan, -0.0])).count == 1
    assert difference([np.float32([np.nan])], np.float32([1])).count == 1


def test_a_stochastic_result_has_to_be_one_of_the_two_neighbours(script):
    difference = script("agreement").difference
    below, above = np.float32([1, 1]), np.float32([2, 2])
    assert difference([below, above], np.float32([1, 2])) is None
    assert difference([below, above], np.float32([1, 1.5])).count == 1


def test_the_part_of_the_work_that_a_slow_peer_does_counts_for_the_whole(script, monkeypatch):
    numeric, cases, peers = script("numeric"), script("cases"), script("peers")
    monkeypatch.setattr(numeric, "take_turns", lambda calls, rounds: dict.fromkeys(calls, 0.5))
    x = np.ones(64, np.float32)
    found = {"floatlab": peers.Contender(lambda: x), "slow": peers.Contender(lambda: x[:1], part=64)}
    timing = numeric.measure(cases.Case("sums", "x", 64, found, "floatlab"), 3)
    assert timing.seconds == {"floatlab": 0.5, "slow": 32.0} and not timing.differs


def test_wrong_results_of_floatlab_itself_stop_the_run(script):
    numeric, cases = script("numeric"), script("cases")
    found = contenders(script, floatlab=np.float32([3]))
    case = cases.Case("stochastic", "x", 1, found, "floatlab", accepted=lambda: [np.float32([1])])
    with pytest.raises(AssertionError, match="floatlab's own results are wrong"):
        numeric.check(case)


def test_the_quick_run_goes_through_every_table(tmp_path):
    command = [sys.executable, str(BENCHMARKS / "numeric.py"), "--quick", "--to", str(tmp_path)]
    command += ["--without", "jax", "--without", "qtorch"]  # which compile
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "numeric.json").read_text(encoding="utf-8"))
    assert [t["name"] for t in found["timings"] if t["group"] != "products"] == [
        t["name"] for t in RECORD["timings"] if t["group"] != "products" and "1000 elements" not in t["name"]
    ]
    assert found["about"]["JAX"] == "not installed"
    assert "Where another library is faster" in done.stdout


def test_the_page_of_training_is_what_its_script_makes_of_its_results(script):
    training = script("training")
    record = json.loads((BENCHMARKS / "results" / "training.json").read_text(encoding="utf-8"))
    timings = [training.Timing(**fields) for fields in record["timings"]]
    page = (ROOT / "docs" / "training-performance.md").read_text(encoding="utf-8")
    assert training.to_markdown(timings, record["about"]) == page
    lines = training.faster(timings)
    assert any(line.startswith("- **PyTorch fp32**") for line in lines)
    assert all(page.index(line) < page.index("**How to read it.**") for line in lines)


def test_one_case_of_training_runs():
    command = [sys.executable, str(BENCHMARKS / "training.py"), "--quick", "--only", "SGD"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "floatlab pure bf16" in done.stdout, done.stderr


def test_units_are_compared_with_the_readable_version_before_they_are_timed(script, monkeypatch):
    units = script("units")
    monkeypatch.setattr(units, "SIZE", 48)
    monkeypatch.setattr(units, "operands", lambda fmt, made=units.operands: made(fmt, 48))
    for unit, fmt, _ in units.PRODUCTS:
        units.compare(unit, fmt)
    matmul = fl.matmul
    monkeypatch.setattr(fl, "matmul", lambda *args, **options: matmul(*args, **options) * 1.25)
    with pytest.raises(AssertionError, match="v100, fp16"):
        units.compare("v100", "fp16")


def test_a_unit_is_as_many_times_slower_as_its_fastest_rounds_say(script):
    units = script("units")
    case = f"{units.SIZE} x {units.SIZE} x {units.SIZE}"
    names = ["NumPy float64", *(f"{unit}, {fmt}" for unit, fmt, _ in units.PRODUCTS)]
    steps = {name: {"wide": 1.0, "h100": 2.0, "v100": 3.0} for name, *_ in units.STEPS}
    runs = [{case: dict.fromkeys(names, 4.0) | {names[0]: slow}} | steps for slow in (2.0, 1.0)]
    one = units.fastest(runs)
    default = {name: {who: 2 * seconds for who, seconds in times.items()} for name, times in one.items()}
    rows = units.report(one, default)
    assert [row["ratio"] for row in rows] == [4.0] * 4 + [2.0, 3.0] * 2  # mmasim is not there
    assert all(row["ratio, BLAS alone"] == row["ratio"] for row in rows)
    assert all(row["time, BLAS alone over one thread"] == 2.0 for row in rows)


def test_the_step_that_is_timed_is_computed_on_the_unit(script, monkeypatch):
    seen, arithmetic = [], fl.arithmetic
    monkeypatch.setattr(fl, "arithmetic", lambda unit: (seen.append(unit), arithmetic(unit=unit))[1])
    steps = script("units").steps((16, 8, 4), 8)
    losses = {name: [step() for _ in range(3)][-1] for name, step in steps.items()}
    assert seen == [None] * 3 + ["h100"] * 3 + ["v100"] * 3
    assert all(loss == pytest.approx(losses["wide"], rel=0.02) for loss in losses.values())
