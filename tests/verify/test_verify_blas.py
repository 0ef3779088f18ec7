"""A BLAS that multiplies and adds passes, in any order; one that does not is found, to the last bit of one element."""

from __future__ import annotations

import numpy as np
import pytest

from floatlab import verify
from floatlab.verify import blas

REAL = np.matmul
TASKS = {(task.subject, task.part): task for task in verify.plan(sections=["blas"])}


def found(monkeypatch, hostile, subject="float64", parts=(blas.WHOLE, blas.ANY)):
    """Return how many disagreements each part finds where a product of floats is what `hostile` makes of it."""

    def matmul(a, b, **options):
        return hostile(a, b) if a.dtype.kind == "f" else REAL(a, b, **options)

    with monkeypatch.context() as patch:
        patch.setattr(np, "matmul", matmul)
        return [verify.run_task(TASKS[subject, part]).disagreements for part in parts]


def test_the_blas_of_this_machine_passes():
    assert sorted(TASKS) == [(t, p) for t in ("float32", "float64") for p in (blas.ANY, blas.WHOLE)]
    for task in TASKS.values():
        outcome = verify.run_task(task)
        assert outcome.disagreements == 0 and outcome.comparisons > 5000, outcome.examples


def one_by_one(order):
    def matmul(a, b):
        total = np.zeros((a.shape[0], b.shape[1]), a.dtype)
        for k in order(a.shape[1]):
            total += a[:, k : k + 1] * b[k : k + 1]
        return total

    return matmul


ALLOWED = {
    "in order": one_by_one(range),
    "backwards": one_by_one(lambda k: range(k)[::-1]),
    "shuffled": one_by_one(lambda k: np.random.default_rng(k).permutation(k)),
    "extended": lambda a, b: REAL(a.astype(np.longdouble), b.astype(np.longdouble)).astype(a.dtype),
}


@pytest.mark.parametrize("order", ALLOWED)
@pytest.mark.parametrize("subject", ["float64", "float32"])
def test_every_order_of_adding_passes(order, subject, monkeypatch):
    monkeypatch.setattr(blas, "SHAPES", ((24, 24, 24), (3, 200, 5), (33, 1, 9)))
    assert found(monkeypatch, ALLOWED[order], subject) == [0, 0]


# -- what is no product ------------------------------------------------------------------------------------


def last_bit(a, b):
    product = REAL(a, b)
    product.flat[product.size // 2] = np.nextafter(product.flat[product.size // 2], np.inf)
    return product


@pytest.mark.parametrize("subject", ["float64", "float32"])
def test_the_last_bit_of_one_element_is_seen_in_whole_numbers(subject, monkeypatch):
    whole, _ = found(monkeypatch, last_bit, subject)
    assert whole >= blas.PROBES * len(blas.SHAPES) * 4  # in each matrix, by each vector


def shortened(bits):
    """Return what an emulation with fewer bits makes: operands are cut to so many below the largest of their row."""

    def cut(x, axis):
        top = np.exp2(np.ceil(np.log2(np.abs(x).max(axis, keepdims=True) + 1e-300)))
        return np.rint(x / top * 2.0**bits) / 2.0**bits * top

    return lambda a, b: REAL(cut(a, 1), cut(b, 0))


@pytest.mark.parametrize("bits", [24, 32, 40, 46, 48])
def test_an_emulation_with_fewer_bits_is_seen(bits, monkeypatch):
    assert min(found(monkeypatch, shortened(bits))) > 0


def strassen(a, b):
    """One step of Strassen's algorithm where the sides are even."""
    if any(n % 2 or n < 32 for n in (*a.shape, *b.shape)):
        return REAL(a, b)
    (a11, a12), (a21, a22) = (np.hsplit(rows, 2) for rows in np.vsplit(a, 2))
    (b11, b12), (b21, b22) = (np.hsplit(rows, 2) for rows in np.vsplit(b, 2))
    m1, m2, m3 = REAL(a11 + a22, b11 + b22), REAL(a21 + a22, b11), REAL(a11, b12 - b22)
    m4, m5 = REAL(a22, b21 - b11), REAL(a11 + a12, b22)
    m6, m7 = REAL(a21 - a11, b11 + b12), REAL(a12 - a22, b21 + b22)
    return np.block([[m1 + m4 - m5 + m7, m3 + m5], [m2 + m4, m1 - m2 + m3 + m6]])


def test_strassens_algorithm_is_seen(monkeypatch):
    assert found(monkeypatch, strassen, parts=[blas.ANY])[0] > 0


def beyond(share):
    """Return what has every element off by so much of its bound."""

    def matmul(a, b):
        k, unit = a.shape[1], np.finfo(a.dtype).eps / 2
        return REAL(a, b) + (share * k * unit * REAL(abs(a), abs(b))).astype(a.dtype)

    return matmul


def test_errors_above_the_bound_are_seen_and_those_below_are_not(monkeypatch):
    monkeypatch.setattr(blas, "SHAPES", ((48, 1000, 30), (20, 300, 20)))
    assert found(monkeypatch, beyond(0.9), parts=[blas.ANY]) == [0]
    assert found(monkeypatch, beyond(1.1), parts=[blas.ANY])[0] > 100


@pytest.mark.parametrize(
    "hostile",
    [
        lambda a, b: REAL(a.astype("f4"), b.astype("f4")).astype(a.dtype),
        lambda a, b: REAL(a, b) * np.nan,
        lambda a, b: REAL(a, b) * 0,
        lambda a, b: REAL(a, b)[::-1],
        lambda a, b: np.where(np.arange(b.shape[1]) == 0, np.inf, REAL(a, b)),
    ],
    ids=["float32", "NaN", "zero", "rows exchanged", "infinite"],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_product_that_is_none_is_seen(hostile, monkeypatch):
    assert min(found(monkeypatch, hostile)) > 0


def test_the_proof_says_what_it_found(monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setattr(np, "matmul", lambda a, b: last_bit(a, b))
        report = verify.run(sections=["blas"], kinds=["fp64"], jobs=1, out=tmp_path, quiet=True)
    assert report.disagreements and "matmul" in report.to_markdown()
    assert (
        verify.run(sections=["blas"], kinds=["fp64", "fp16"], jobs=1, out=None, quiet=True).disagreements == 0
    )
