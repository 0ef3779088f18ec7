"""The proof proves something: it finds what is wrong, says what it left out, and goes on where it stopped."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from floatlab import reference
from floatlab import verify as proof
from floatlab.codes import encode as codec
from floatlab.errors import DataError, FormatError, OptionError
from floatlab.formats import get_format
from floatlab.operations import operate as operations
from floatlab.rounding import quantize as rounding
from floatlab.rounding.kernels.counting import Kernel
from floatlab.rounding.plan import plan
from floatlab.verify import arithmetic, conversions, critical, functions, oracle, report, softfloat, sums
from floatlab.verify.journal import Journal, fingerprint
from floatlab.verify.oracle import Steps, critical_points, find_steps
from floatlab.verify.tasks import Outcome, Tally, Task, missing_peer

ROOT = Path(__file__).parents[2]


def first(section, fmt, **wanted):
    """Return the first task of a section for a format whose attributes are as wanted."""
    for task in proof.plan(sections=[section], kinds=[fmt]):
        if all(value in getattr(task, name) for name, value in wanted.items()):
            return task
    raise AssertionError("no such task")


# -- what is right is found to be right --------------------------------------------------------------


def test_the_shortest_proof_agrees_and_is_complete():
    found = proof.run(kinds=["fp4"], jobs=1, out=None, quiet=True)
    assert found.disagreements == 0
    assert found.complete
    assert found.comparisons > 100_000
    assert {line.section for line in found.lines} == {
        "conversions",
        "rounding",
        "arithmetic",
        "functions",
        "sums",
        "units",
    }


def test_two_runs_have_the_same_digests():
    once, again = (
        proof.run(sections=["sums"], kinds=["fp4"], jobs=1, out=None, quiet=True) for _ in range(2)
    )
    assert [line.digest for line in once.lines] == [line.digest for line in again.lines]
    assert all(len(line.digest) == 64 for line in once.lines)


# -- what is wrong is found to be wrong ----------------------------------------------------------------


def wrong_at(function, at, becomes):
    """Return a function that is wrong for one input: the first element that equals `at`."""

    def wrong(x, *args, **options):
        result = function(x, *args, **options)
        values, rest = (result[0], result[1:]) if isinstance(result, tuple) else (result, None)
        values = np.array(values)
        values[np.asarray(x) == at] = becomes
        return values if rest is None else (values, *rest)

    return wrong


def test_one_wrong_code_among_sixteen_million_is_found(monkeypatch):
    pattern = np.array([12345 * conversions.MIX % 2**32], np.uint32)
    x = pattern.view(np.float32)[0]
    monkeypatch.setattr(conversions, "encode", wrong_at(codec.encode, x, 3))
    outcome = conversions.check(first("conversions", "bf16", part="casts"))
    assert outcome.disagreements == 1
    assert outcome.examples[0].startswith(f"encode({float(x).hex()}, bfloat16)")


def test_a_jump_one_float32_too_late_is_found(monkeypatch):
    jump = int(find_steps(get_format("fp4"), "nearest_away", False).starts[2])
    x = np.array(jump, np.uint32).view(np.float32)[()]
    before = rounding.quantize(np.nextafter(x, np.float32(0)), "fp4").item()
    monkeypatch.setattr(conversions, "quantize", wrong_at(rounding.quantize, x, before))
    stride = jump // (jump & -jump)  # odd, and the jump is among its multiples
    assert stride > 100
    monkeypatch.setattr(conversions, "_stride", lambda *_: stride)
    monkeypatch.setattr(conversions, "INFINITY_PATTERN", jump + 5 * stride)
    monkeypatch.setattr(conversions, "BLOCK", 1 << 22)
    task = first("conversions", "fp4", detail="nearest_away")
    assert conversions.check(task).disagreements == 1


@pytest.mark.parametrize(
    ("x", "becomes"), [(464.0, 480.0), (2.0**-10, 2.0**-9), (-0.0, 0.0), (np.inf, 448.0), (1.0625, 1.125)]
)
def test_one_wrong_rounding_is_found(monkeypatch, x, becomes):
    def quantize(numbers, fmt, **options):
        result = rounding.quantize(numbers, fmt, **options)
        values = np.array(result[0] if isinstance(result, tuple) else result)
        same = (
            (numbers == x) & (np.signbit(numbers) == np.signbit(x)) & (options["rounding"] == "nearest_even")
        )
        values[same] = becomes
        return (values, result[1]) if isinstance(result, tuple) else values

    monkeypatch.setattr(critical, "quantize", quantize)
    outcome = critical.check(first("rounding", "e4m3"))
    assert outcome.disagreements > 0
    assert "nearest_even" in outcome.examples[0]


def test_a_scale_beyond_the_carrier_is_found_among_random_formats(monkeypatch):
    def scales(kernel):
        if kernel.fmt.specials != "ieee":
            return None
        with np.errstate(over="ignore"):
            to_end = kernel.dtype.type(2.0) ** (kernel.bias - kernel.fmt.emax)
            return to_end, 1 / to_end

    monkeypatch.setattr(Kernel, "scales", property(scales))
    tasks = [task for task in proof.plan(sections=["rounding"]) if task.subject == "any"]
    plan.cache_clear()  # which knows the right scales
    try:
        assert any(proof.run_task(task).disagreements for task in tasks)
    finally:
        plan.cache_clear()


def test_who_asks_for_a_format_gets_no_others():
    assert {task.subject for task in proof.plan(sections=["rounding"], kinds=["fp16"])} == {"float16"}


def test_a_wrong_flag_is_found(monkeypatch):
    def operate(name, x, fmt, **options):
        values = operations.operate(name, x, fmt, **options)
        if isinstance(values, tuple):
            values[1].underflow[7] ^= True
        return values

    monkeypatch.setattr(arithmetic, "operate", operate)
    outcome = arithmetic.check(first("arithmetic", "fp4"))
    assert outcome.disagreements == 5 * 2  # operations and modes
    assert outcome.examples[0].startswith("flag underflow of add")


def test_an_exception_is_a_disagreement(monkeypatch):
    monkeypatch.setattr(sums, "matmul", None)
    found = proof.run(sections=["sums"], kinds=["fp4"], jobs=1, out=None, quiet=True)
    assert found.disagreements == sum(line.planned for line in found.lines)
    assert "raised TypeError" in found.lines[0].examples[0]


def test_softfloat_finds_a_wrong_fma(monkeypatch):
    pytest.importorskip("softfloatpy")

    def operate(name, x, fmt, **options):
        a, b, c = (operand.astype(np.float64) for operand in x)
        with np.errstate(all="ignore"):
            rounded_twice = rounding.quantize(rounding.quantize(a * b, fmt) + c, fmt)
        return (
            (rounded_twice, operations.operate(name, x, fmt, **options)[1])
            if "return_flags" in options
            else rounded_twice
        )

    task = first("softfloat", "fp16", detail="fma nearest_even")
    assert softfloat.check(task).disagreements == 0
    monkeypatch.setattr(softfloat, "operate", operate)
    assert softfloat.check(task).disagreements > 100


def test_mpfr_finds_a_function_that_is_rounded_twice(monkeypatch):
    pytest.importorskip("gmpy2")

    def evaluate(name, x, fmt, **options):
        with np.errstate(all="ignore"):
            return rounding.quantize(np.exp(x.astype(np.float64)).astype(np.float16).astype(np.float64), fmt)

    task = first("functions", "e5m2", detail="exp")
    assert functions.check(task).disagreements == 0
    monkeypatch.setattr(functions, "evaluate", evaluate)
    assert functions.check(task).disagreements > 0


@pytest.mark.parametrize(("kind", "part"), [("fp6_e3m2", "all pairs"), ("fp16", "random pairs")])
def test_mpfr_finds_a_function_of_two_that_is_rounded_twice(monkeypatch, kind, part):
    pytest.importorskip("gmpy2")

    def evaluate_pair(name, a, b, fmt, rounding):
        with np.errstate(all="ignore"):
            y = np.hypot(a.astype(np.float64), b.astype(np.float64)).astype(np.float16).astype(np.float64)
            return rounding_of(y, fmt, rounding=rounding)

    rounding_of = rounding.quantize
    task = first("functions", kind, part=f"{part}, MPFR", detail="hypot")
    assert functions.check(task).disagreements == 0
    monkeypatch.setattr(functions, "evaluate_pair", evaluate_pair)
    assert functions.check(task).disagreements > 0


def test_mpfr_finds_a_float64_function_that_is_worse_than_it_promises(monkeypatch):
    """A tail that loses its last bits where the exponential in it is subnormal: 38 ulp instead of 4."""
    pytest.importorskip("gmpy2")
    from floatlab.functions import float64 as wide

    gelu64 = wide.gelu64

    def coarse(x):
        y = gelu64(x)
        tail = np.where(x < -37.6, y, 0.0)
        return np.where(x < -37.6, np.ldexp(np.round(np.ldexp(tail, 1069)), -1069), y)

    task = first("functions", "fp64", detail="gelu")
    assert functions.check(task).disagreements == 0
    monkeypatch.setattr(wide, "gelu64", coarse)
    assert functions.check(task).disagreements > 0


def test_a_sum_in_float64_is_found_to_depend_on_the_order(monkeypatch):
    def sum_(x, fmt, axis, **options):
        return rounding.quantize(
            np.add.reduce(x, axis=axis), fmt, rounding=options.get("rounding", "nearest_even")
        )

    task = first("sums", "fp32", detail="cancelling")
    assert sums.check(task).disagreements == 0
    monkeypatch.setattr(sums, "sum_", sum_)
    assert sums.check(task).disagreements > 0


# -- the oracle of steps -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", oracle.DETERMINISTIC)
@pytest.mark.parametrize("name", ["e4m3", "e8m0", "e5m2fnuz", "fp4"])
def test_steps_are_the_reference_on_random_float32(name, mode):
    fmt = get_format(name)
    words = np.random.default_rng(0).integers(0, 0x7F800001, 300)
    for minus in (False, True):
        steps = find_steps(fmt, mode, minus)
        for word in words.tolist():
            x = float(np.array(word | minus << 31, np.uint32).view(np.float32))
            assert steps.expected(word, 1, 1)[0] == reference.round(x, fmt, mode).code


def test_expected_codes_repeat_over_a_stride():
    steps = Steps([0, 5, 6, 20], [7, 8, 9, 10])
    by_hand = [7] * 5 + [8] + [9] * 14 + [10] * 5
    for begin in range(8):
        for stride in (1, 2, 3):
            got = steps.expected(begin, stride, (25 - begin + stride - 1) // stride)
            assert got.tolist() == by_hand[begin::stride]


def test_the_inputs_of_the_casts_are_a_permutation():
    assert conversions.MIX % 2 == 1
    assert (np.arange(1 << 16, dtype=np.uint16) * np.uint16(conversions.MIX & 0xFFFF)).max() == 0xFFFF


def test_critical_points_hold_midpoints_their_neighbours_and_what_is_far_away():
    points = set(critical_points(get_format("e4m3"))[:-2].tolist())
    for x in (
        464.0,
        np.nextafter(464.0, 0),
        np.nextafter(464.0, 500),
        2.0**-10,
        2.0**30,
        1e300,
        np.inf,
        -1.0625,
    ):
        assert x in points
    assert any(x.hex() == "-0x0.0p+0" for x in points) or 0.0 in points


# -- skipping, interrupting, going on ------------------------------------------------------------------------


def test_a_missing_package_is_said_to_be_missing(monkeypatch):
    monkeypatch.setattr(proof, "missing_peer", lambda peers: "gmpy2" if "gmpy2" in peers else "")
    found = proof.run(sections=["functions"], kinds=["binary4p2sf"], jobs=1, out=None, quiet=True)
    assert found.comparisons == 0
    assert found.lines[0].verdict == "skipped: gmpy2 is not installed"
    assert "gmpy2 is not installed" in found.summary
    assert "gmpy2 is not installed" in found.to_markdown()


def test_an_installed_package_is_not_missing():
    assert missing_peer(("numpy", "no_such_package")) == "no_such_package"
    assert missing_peer(("numpy",)) == ""


def test_an_interrupted_proof_keeps_what_it_has_and_goes_on(tmp_path, monkeypatch):
    calls = []

    def interrupted(task):
        if len(calls) == 2:
            raise KeyboardInterrupt
        calls.append(task.id)
        return Outcome(comparisons=1, digest=task.id)

    options = {"sections": ["sums"], "kinds": ["fp4"], "jobs": 1, "out": tmp_path, "quiet": True}
    monkeypatch.setattr(proof, "run_task", interrupted)
    found = proof.run(**options)
    assert not found.complete
    assert found.lines[0].verdict == "agree so far, 2 of 5 done"
    assert found.lines[0].digest == ""
    monkeypatch.setattr(
        proof, "run_task", lambda task: calls.append(task.id) or Outcome(comparisons=1, digest=task.id)
    )
    found = proof.run(**options)
    assert found.complete
    planned = sum(line.planned for line in found.lines)
    assert len(calls) == len(set(calls)) == planned > 5
    assert found.comparisons == planned


def test_a_journal_of_other_code_is_begun_anew(tmp_path):
    path = tmp_path / "journal.jsonl"
    task = Task("sums", "part", "fp4")
    Journal(path).add(task, Outcome(comparisons=3))
    assert task.id in Journal(path).finished
    lines = path.read_text().splitlines()
    head = json.loads(lines[0]) | {"source": "of another version"}
    old = "\n".join([json.dumps(head), *lines[1:]]) + "\n"
    path.write_text(old)
    begun = Journal(path)
    assert not begun.finished
    assert begun.aside == tmp_path / "journal-1.jsonl" and begun.aside.read_text() == old
    assert Journal(path).aside is None  # an empty one is worth nothing
    path.write_text(old)
    assert Journal(path).aside == tmp_path / "journal-2.jsonl"


def test_a_proof_says_what_it_sets_aside(tmp_path, capsys):
    options = {"sections": ["sums"], "kinds": ["fp4"], "jobs": 1, "out": tmp_path}
    proof.run(**options, quiet=True)
    path = tmp_path / "journal-short.jsonl"
    path.write_text(path.read_text().replace('"source": "', '"source": "0', 1))
    proof.run(**options)
    assert "set aside" in capsys.readouterr().out.replace("\n", " ")
    assert (tmp_path / "journal-short-1.jsonl").exists()


def test_a_full_disk_is_an_error_of_ours(tmp_path, monkeypatch):
    journal = Journal(tmp_path / "journal.jsonl")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(DataError, match="Name another folder"):
        journal.add(Task("sums", "part", "fp4"), Outcome())


def test_a_line_cut_off_by_a_crash_is_dropped(tmp_path):
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.add(Task("sums", "part", "fp4"), Outcome(comparisons=3))
    with path.open("a") as file:
        file.write('{"task": "half a li')
    assert len(Journal(path).finished) == 1
    assert len(Journal(path).finished) == 1  # and the file is whole again


def test_fresh_forgets(tmp_path):
    path = tmp_path / "journal.jsonl"
    Journal(path).add(Task("sums", "part", "fp4"), Outcome())
    assert not Journal(path, fresh=True).finished


def test_a_folder_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match="Name another folder"):
        proof.run(sections=["sums"], kinds=["fp4"], out=tmp_path / "file", jobs=1, quiet=True)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sections": ["roundng"]}, OptionError, "rounding"),
        ({"kinds": ["fp17"]}, FormatError, "fp17"),
        ({"jobs": -1}, OptionError, "0 for one per core"),
    ],
)
def test_a_wrong_option_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        proof.run(**options, out=None, quiet=True)


def test_the_fingerprint_is_that_of_the_sources():
    assert fingerprint() == fingerprint()
    assert fingerprint().packages["numpy"] == np.__version__


# -- the report ----------------------------------------------------------------------------------------------


def test_the_report_counts_and_names_what_differs(tmp_path):
    task = Task("sums", "part", "fp4")
    outcome = Outcome(10, {"NaN": 2}, 3, ["sum of x: got 1, not 2"], "ab")
    made = report.make_report("short", [task], {task.id: outcome}, fingerprint(), {})
    assert (made.comparisons, made.disagreements) == (10, 3)
    made.save(tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "3 DISAGREE" in text and "sum of x: got 1, not 2" in text and "2 NaN" in text
    assert json.loads((tmp_path / "report.json").read_text())["lines"][0]["disagreements"] == 3


def test_the_command_returns_1_where_something_differs(monkeypatch):
    monkeypatch.setattr(proof, "run_task", lambda task: Outcome(1, {}, 1, ["wrong"], "x"))
    assert proof.command(section=["sums"], format=["fp4"], jobs=1, out=None) == 1
    monkeypatch.setattr(proof, "run_task", lambda task: Outcome(1, {}, 0, [], "x"))
    assert proof.command(section=["sums"], format=["fp4"], jobs=1, out=None) == 0


def test_a_tally_compares_bits_and_keeps_few_examples():
    tally = Tally()
    tally.compare(np.float32([0.0] * 9), np.float32([-0.0] * 9), str)
    assert (tally.comparisons, tally.disagreements, len(tally.examples)) == (9, 9, 5)
    with pytest.raises(AssertionError):
        tally.compare(np.zeros(2), np.zeros(3), str)


def test_importing_the_proof_imports_no_peer():
    program = "import sys, floatlab.verify; print(*sys.modules)"
    asked = [sys.executable, "-c", program]
    loaded = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert not {"gmpy2", "softfloatpy", "joblib", "rich", "gfloat"} & set(loaded)
