"""The fuzz finds what is wrong, says it in one line that reproduces it, and goes on where it stopped."""

import itertools
import json
import math
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np
import pytest

import floatlab as fl
from floatlab import reference
from floatlab.errors import DataError, OptionError
from floatlab.formats import FloatFormat, get_format
from floatlab.formats.notation import SPECIALS
from floatlab.verify.fuzz import campaign
from floatlab.verify.fuzz.campaign import Batch, fuzz, run_batch
from floatlab.verify.fuzz.case import PRELUDE, Case, array_text, difference, format_text
from floatlab.verify.fuzz.checks import CHECKS
from floatlab.verify.fuzz.draw import ALL_MODES, any_format, any_number, any_options
from floatlab.verify.fuzz.shrink import shrink

E4M3 = get_format("e4m3")


# -- what it draws ---------------------------------------------------------------------------------------


def test_formats_of_every_kind_and_corner_are_drawn():
    draw = Random(0)
    drawn = [any_format(draw) for _ in range(4000)]
    assert {fmt.specials for fmt in drawn} == set(SPECIALS)
    corners = {
        "a maximum below 1": lambda f: f.max < 1 and f.specials == "ieee",
        "subnormals above 1": lambda f: f.smallest_subnormal > 1,
        "beyond float32 above": lambda f: f.emax > 127,
        "beyond float32 below": lambda f: f.emin - f.mantissa_bits < -149,
        "the largest float32 binade": lambda f: f.emax == 127 and f.bias != 127,
        "the smallest float64": lambda f: f.emin - f.mantissa_bits == -1074,
        "unsigned": lambda f: not f.signed,
        "precision 1": lambda f: f.mantissa_bits == 0,
        "the precision of float64": lambda f: f.precision == 53,
        "in the catalogue": lambda f: f in fl.formats(),
    }
    for corner, holds in corners.items():
        assert sum(map(holds, drawn)) >= 20, corner


def test_every_mode_and_policy_is_drawn():
    draw = Random(1)
    options = [any_options(draw, get_format("fp16")) for _ in range(2000)]
    assert {o["rounding"] for o in options if "rounding" in o} == set(ALL_MODES)
    assert {o.get("overflow") for o in options} >= {None, "infinity", "nan", "saturate"}
    assert {o.get("subnormals") for o in options} == {None, "flush"}


def test_numbers_lie_on_values_and_ties_and_beside_them():
    draw, fmt = Random(2), get_format("fp4")
    numbers = [abs(any_number(draw, fmt)) for _ in range(3000)]
    for number in (2.5, math.nextafter(2.5, 3), math.nextafter(2.5, 2), 2.0, 6.0, 0.25):
        assert numbers.count(number) >= 3, number


def test_a_batch_is_the_same_wherever_it_runs():
    once, again = run_batch(3, 5), run_batch(3, 5)
    assert replace(once, seconds=0) == replace(again, seconds=0)
    assert once.cases != run_batch(3, 6).cases


# -- its oracles -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fmt",
    [
        *("e4m3", "e5m2", "fp4", "e4m3fnuz", "e8m0", "binary8p4se", "binary6p3ue", "binary5p1sf"),
        FloatFormat("e3m2b20", 3, 2, 20),
        FloatFormat("e3m2u", 3, 2, None, "fn", False),
    ],
    ids=str,
)
def test_neighbours_of_the_oracle_are_those_of_the_sorted_values(fmt):
    fmt = get_format(fmt) if isinstance(fmt, str) else fmt
    values = [reference.to_float(reference.decode(code, fmt)) for code in range(1 << fmt.bits)]
    # sorted with -0 below +0
    finite = sorted((x for x in values if math.isfinite(x)), key=lambda x: (x, math.copysign(1, x)))
    for low, high in itertools.pairwise(finite):
        if low == high == 0:
            continue
        up = CHECKS["neighbour"].expect(Case("neighbour", fmt, ((low,),), (1,), what="next_up"))
        down = CHECKS["neighbour"].expect(Case("neighbour", fmt, ((high,),), (1,), what="next_down"))
        assert up["values"] == [high.hex()] or high == 0 == float.fromhex(up["values"][0])
        assert down["values"] == [low.hex()] or low == 0 == float.fromhex(down["values"][0])


@pytest.mark.parametrize(
    ("kinds", "result"),
    [
        (("Sequential", E4M3), 16.0),
        (("Pairwise", E4M3), 64.0),
        (("Chunked", E4M3, E4M3, 8), 64.0),
        (("Kahan", E4M3), 64.0),
        (("Exact",), 64.0),
    ],
    ids=lambda x: x[0] if isinstance(x, tuple) else "",
)
def test_sixty_four_ones_add_up_as_each_accumulator_has_it(kinds, result):
    case = Case("sum", E4M3, ((1.0,) * 64,), (64,), what="sum", kinds=kinds)
    assert CHECKS["sum"].expect(case) == {"values": [result.hex()]}


def test_the_mean_of_the_oracle_is_rounded_once():
    case = Case(
        "sum", get_format("bf16"), ((2.0**100, 1.0, -(2.0**100)),), (3,), what="mean", kinds=("Exact",)
    )
    assert CHECKS["sum"].expect(case) == {"values": [(0.333984375).hex()]}


# -- what it finds ---------------------------------------------------------------------------------------


def wrong_tie(monkeypatch):
    """Let quantize round one tie of e4m3 the wrong way, whatever lies beside it."""
    right = fl.quantize

    def quantize(x, fmt, **options):
        result = right(x, fmt, **options)
        if fmt == "float8_e4m3fn" and options == {}:
            result = np.where(np.asarray(x) == 2.125, 2.25, result)
        return result

    monkeypatch.setattr(fl, "quantize", quantize)


def test_one_wrong_tie_is_found_and_made_small(monkeypatch):
    wrong_tie(monkeypatch)
    numbers = (1.0, 3.0, 2.125, math.inf, 0.3)
    case = Case("quantize", E4M3, (numbers,), (5,), layout="reversed")
    assert difference(case, CHECKS["quantize"]) is not None
    small, line = shrink(case, CHECKS["quantize"])
    assert (small.numbers, small.layout) == (((2.125,),), "plain")
    assert line.startswith("fl.quantize(np.array([2.125], 'f8'), 'float8_e4m3fn')  # values: 0x1.2")
    assert line.endswith("should be 0x1.0000000000000p+1")


def test_the_line_of_a_failure_is_the_call(monkeypatch):
    wrong_tie(monkeypatch)
    case = Case("quantize", E4M3, ((2.125,),), (1,))
    line = shrink(case, CHECKS["quantize"])[1]
    names = {}
    exec(PRELUDE, names)
    assert eval(line, names).tolist() == [2.25]


def test_a_batch_counts_its_failures_and_shows_a_few(monkeypatch):
    monkeypatch.setattr(fl, "decode", lambda codes, fmt: np.full(np.shape(codes), 7.0, np.float32))
    batch = run_batch(25, 0)
    assert batch.failures["decode"] > 3
    assert 0 < sum("fl.decode" in line for line in batch.lines) <= campaign.SHOWN


def test_an_error_from_inside_is_a_failure(monkeypatch):
    def decode(codes, fmt):
        raise IndexError("out of bounds")

    monkeypatch.setattr(fl, "decode", decode)
    case = Case("decode", E4M3, ((1,),), (1,), "u1")
    found = difference(case, CHECKS["decode"])
    assert "IndexError: out of bounds" in found.line


def test_a_warning_from_inside_is_a_failure(monkeypatch):
    monkeypatch.setattr(fl, "decode", lambda codes, fmt: np.float32([1e38]) * np.float32(10))
    found = difference(Case("decode", E4M3, ((1,),), (1,), "u1"), CHECKS["decode"])
    assert "RuntimeWarning" in found.line


def test_what_the_reference_refuses_must_be_refused(monkeypatch):
    case = Case("quantize", get_format("fp4"), ((math.nan,),), (1,))
    assert difference(case, CHECKS["quantize"]) is None
    monkeypatch.setattr(fl, "quantize", lambda x, fmt: np.zeros(1))
    assert difference(case, CHECKS["quantize"]) is not None


def test_flags_are_compared(monkeypatch):
    case = Case("quantize", E4M3, ((0.1,),), (1,), what="flags")
    assert difference(case, CHECKS["quantize"]) is None
    right = fl.quantize

    def quantize(x, fmt, **options):
        values, flags = right(x, fmt, **options)
        flags.inexact[...] = False
        return values, flags

    monkeypatch.setattr(fl, "quantize", quantize)
    assert difference(case, CHECKS["quantize"]).part == "flags"


@pytest.mark.parametrize(
    "layout", ["plain", "strided", "reversed", "transposed", "byteswapped", "readonly", "list"]
)
def test_a_layout_changes_no_element(layout):
    numbers = (1.0, -0.0, 0.5, 3.0, 7.0, -math.nan)
    array = np.asarray(eval(array_text(numbers, (3, 2), "f4", layout), {"np": np, "nan": math.nan}))
    assert array.shape == (3, 2)
    assert array.astype("f4").tobytes() == np.array(numbers, "f4").tobytes()


# -- the campaign ----------------------------------------------------------------------------------------


def test_a_run_says_its_seed_and_counts(capsys):
    found = fuzz(0.01, seed=7, jobs=1, out=None)
    assert found.seed == 7
    assert found.disagreements == 0, "\n".join(found.lines)
    assert sum(found.cases.values()) == campaign.CASES * len(found.batches)
    assert "seed 7" in capsys.readouterr().out


def test_an_interrupted_run_goes_on_with_its_seed(tmp_path, monkeypatch):
    batches = iter([run_batch(99, 0), run_batch(99, 1)])

    def interrupted(seed, number):
        try:
            return next(batches)
        except StopIteration:
            raise KeyboardInterrupt from None

    monkeypatch.setattr(campaign, "run_batch", interrupted)
    first = fuzz(5, seed=99, jobs=1, out=tmp_path, quiet=True)
    assert (first.interrupted, len(first.batches)) == (True, 2)
    asked = []

    def go_on(seed, number):
        asked.append((seed, number))
        return Batch(number, {"sum": 100}, 100, {}, [], 1e6)

    monkeypatch.setattr(campaign, "run_batch", go_on)
    second = fuzz(5, jobs=1, out=tmp_path, quiet=True)  # without a seed: the interrupted one's
    assert asked == [(99, 2)]
    assert (second.seed, len(second.batches)) == (99, 3)
    third = fuzz(5, jobs=1, out=tmp_path, quiet=True)  # that was finished: a fresh one
    assert asked[-1] == (third.seed, 0)
    assert third.seed != 99


def test_a_journal_of_other_source_is_not_gone_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(campaign, "run_batch", lambda seed, n: Batch(n, {"sum": 1}, 1, {}, [], 40.0))
    fuzz(1, seed=4, jobs=1, out=tmp_path, quiet=True)
    journal = tmp_path / "fuzz.jsonl"
    lines = journal.read_text().splitlines()
    head = json.loads(lines[0])
    head["fingerprint"]["source"] = "0" * 64
    journal.write_text("\n".join([json.dumps(head), *lines[1:2]]) + "\n")
    assert [batch.number for batch in fuzz(1, seed=4, jobs=1, out=tmp_path, quiet=True).batches] == [0, 1]


def test_two_processes_draw_what_one_draws(tmp_path):
    found = fuzz(0.02, seed=21, jobs=2, out=tmp_path, quiet=True)
    alone = Counter(run_batch(21, 0).cases)
    assert Counter(next(b for b in found.batches if b.number == 0).cases) == alone


def test_minutes_must_be_positive():
    with pytest.raises(OptionError, match="takes some minutes"):
        fuzz(0, out=None)


def test_a_folder_that_cannot_be_made_is_an_error_of_ours(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="journal of a fuzz"):
        fuzz(0.01, jobs=1, out=tmp_path / "file", quiet=True)


def test_the_command_prints_the_seed_and_ends_well(tmp_path):
    command = [sys.executable, "-c", "from floatlab.cli import main; main()", "verify", "--fuzz", "0.005"]
    command += ["--seed", "8", "--jobs", "1", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "seed 8" in done.stdout
    assert "0 disagreements" in done.stdout, done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize("name", ["float16", "e5m6", "binary", "binary8p4se", "mine"])
def test_a_line_of_python_makes_a_format_again_whatever_its_name_is(name):
    fmt = FloatFormat(name, 4, 2)
    assert fl.get_format(eval(format_text(fmt))) == fmt
