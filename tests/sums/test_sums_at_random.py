"""Sums with any accumulator, mode, policy and format, against plain loops of the scalar oracle.

The loops are those of `floatlab verify`, which draws from the same cases; here a few, and that they would find what
sums have been wrong about.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from floatlab.formats import get_format
from floatlab.sums import matmul as accumulate
from floatlab.sums.terms import Terms
from floatlab.verify import sums
from floatlab.verify.loops import Draws
from floatlab.verify.tasks import Task

CASES = 40


def found(seed, fmt=None, cases=CASES):
    rng = np.random.default_rng(seed)
    kind = get_format(fmt) if fmt else None
    return [line for _ in range(cases) for line in sums.differences(sums.random_sum(rng, kind))]


@pytest.mark.parametrize("fmt", ["fp16", "bf16", "e4m3", "e5m2fnuz", "fp32", "e2m1", "binary8p3se"])
def test_sums_in_formats_of_the_catalogue_are_those_of_plain_loops(fmt):
    assert found(1, fmt, 20) == []


@given(st.integers(0, 2**32))
def test_sums_in_any_format_are_those_of_plain_loops(seed):
    assert found(seed, cases=1) == []


def test_many_random_sums_are_those_of_plain_loops():
    assert found(2) == []


def test_a_bound_that_forgets_how_far_partial_sums_reach_would_be_found(monkeypatch):
    monkeypatch.setattr(Terms, "adds_exactly", lambda self, fmt, **_: True)
    assert any(found(seed, cases=10) for seed in range(20))


def test_random_cases_have_everything_that_can_be_asked_for():
    rng = np.random.default_rng(3)
    cases = [sums.random_sum(rng) for _ in range(400)]
    assert {case.accumulator[0] for case in cases} == {
        "exact", "wide", "sequential", "pairwise", "kahan", "chunked",
    }  # fmt: skip
    assert {case.operation for case in cases} == {"sum", "mean", "matmul"}
    assert len({case.options["rounding"] for case in cases}) == 10
    assert {case.options["overflow"] for case in cases} == {
        None, "infinity", "nan", "propagate", "saturate",
    }  # fmt: skip
    assert {case.options["subnormals"] for case in cases} == {"gradual", "flush"}
    assert len({case.fmt.specials for case in cases}) == 7 and any(not case.fmt.signed for case in cases)
    assert min(case.fmt.emax for case in cases) < 0 and max(case.fmt.emax for case in cases) == 1023
    terms = np.concatenate([case.a.ravel() for case in cases])
    assert np.isnan(terms).any() and np.isinf(terms).any() and np.signbit(terms[terms == 0]).any()
    tiny = [
        abs(case.a[case.a != 0]).min() < 2.0**-50 * case.fmt.smallest_subnormal
        for case in cases
        if case.a.any()
    ]
    assert sum(tiny) > 50


def test_the_oracle_cuts_random_words_as_documented():
    rounding = accumulate.sum(
        np.tile([1.0, 0.5 * get_format("bf16").eps], (8, 1)), "bf16", axis=1, rounding="stochastic",
        rng=np.random.default_rng(5), random_bits=16,
    )  # fmt: skip
    integers = Draws(np.random.default_rng(5), 16).take(8)
    assert (rounding > 1).tolist() == [integer >= 1 << 15 for integer in integers]


def test_the_proof_has_a_random_task_for_every_format_and_it_agrees():
    (task,) = [t for t in sums.tasks(False, [get_format("fp16")]) if t.detail == "random"]
    outcome = sums.check(task)
    assert outcome.disagreements == 0 and outcome.comparisons == sums.RANDOM_CASES[0]
    assert isinstance(task, Task) and sums.check(task).digest == outcome.digest
