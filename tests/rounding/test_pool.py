"""Several threads convert an array to the bits of one, take what one takes from a generator, and fail as one does."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import FloatEnvironmentError, OptionError, OverflowPolicyError
from floatlab.rounding import pool

SIZE = 3 * pool.LEAST + 12_345
X = (np.random.default_rng(0).normal(size=SIZE) * np.exp2(np.arange(SIZE) % 60 - 40)).astype(np.float32)
STOCHASTIC = ["stochastic", "stochastic_b", "stochastic_c"]
KINDS = [np.random.PCG64, np.random.PCG64DXSM, np.random.MT19937, np.random.Philox, np.random.SFC64]


@pytest.fixture
def used(monkeypatch):
    """The threads in which pieces are converted."""
    found = set()
    do = pool._do

    def noted(*arguments):
        found.add(threading.get_ident())
        time.sleep(1e-3)  # so that one thread does not take them all
        do(*arguments)

    monkeypatch.setattr(pool, "_do", noted)
    return found


@pytest.mark.parametrize("fmt", ["e4m3", "fp16", "bf16", "fp32", "fp64", "e5m2"])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i8"])
def test_two_threads_have_the_bits_of_one(fmt, dtype, used):
    with np.errstate(all="ignore"):
        x = X.astype(dtype) if dtype != "i8" else (X.astype("f8") * 2**40).astype("i8")
    for options in ({}, {"rounding": "to_odd", "subnormals": "flush"}, {"rounding": "toward_positive"}):
        for function in (fl.quantize, fl.encode):
            alone, beside = function(x, fmt, **options), function(x, fmt, **options, threads=2)
            assert alone.tobytes() == beside.tobytes() and alone.dtype == beside.dtype
    codes = fl.encode(x, fmt)
    assert fl.decode(codes, fmt, threads=3).tobytes() == fl.decode(codes, fmt).tobytes()
    assert 2 <= len(used) <= 4 and threading.get_ident() in used  # the caller takes pieces, too


@pytest.mark.parametrize("rounding", STOCHASTIC)
@pytest.mark.parametrize("bits", [1, 16, 20, 40])
def test_each_piece_knows_the_numbers_of_its_elements(rounding, bits):
    for function in (fl.quantize, fl.encode):
        options = {"rounding": rounding, "random_bits": bits, "rng": 3}
        assert function(X, "fp16", **options).tobytes() == function(X, "fp16", **options, threads=2).tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_generator_is_left_where_one_thread_leaves_it(kind):
    for function in (fl.quantize, fl.encode):
        alone, beside = (np.random.Generator(kind(5)) for _ in range(2))
        for rng in (alone, beside):
            rng.integers(0, 10, 3, dtype=np.uint32)  # half a word is left over
        one = function(X, "e5m2", rounding="stochastic", rng=alone)
        two = function(X, "e5m2", rounding="stochastic", rng=beside, threads=2)
        assert one.tobytes() == two.tobytes()
        draws = [
            (rng.integers(0, 99, 5, dtype=np.uint32).tolist(), rng.random(5).tolist())
            for rng in (alone, beside)
        ]
        assert draws[0] == draws[1]


def test_supplied_integers_stay_with_their_elements():
    R = np.random.default_rng(1).integers(0, 2**16, SIZE)
    options = {"rounding": "stochastic", "random_integers": R}
    assert (fl.quantize(X, "fp16", **options) == fl.quantize(X, "fp16", **options, threads=2)).all()


@pytest.mark.parametrize("options", [{}, {"rounding": "stochastic", "rng": 2}], ids=str)
def test_arrays_that_lie_in_memory_as_they_like(options):
    x = X[: SIZE - SIZE % 1155].reshape(-1, 3, 5, 7, 11)
    views = (x.T, x[::-1], x[:, :, ::2], np.asfortranarray(x), x[:, ::-1, :, 1:], x[None], x.astype(">f4"))
    for view in views:
        assert view.size >= pool.LEAST
        expected = fl.quantize(view, "e4m3", **options)
        assert expected.tobytes() == fl.quantize(view, "e4m3", **options, threads=2).tobytes()
        assert (fl.encode(view, "e4m3", **options) == fl.encode(view, "e4m3", **options, threads=2)).all()


@pytest.mark.parametrize("rounding", ["nearest_even", "to_odd", "stochastic"])
def test_an_array_may_be_its_own_result(rounding):
    options = {"rounding": rounding, "rng": 1, "flush_inputs": True}
    expected = fl.quantize(X, "fp16", **options)
    for make in (np.copy, lambda x: np.repeat(x, 2)[::2]):
        x = make(X)
        assert fl.quantize(x, "fp16", out=x, **options, threads=2) is x
        assert x.tobytes() == expected.tobytes()
    memory = np.concatenate([X, np.zeros(7, np.float32)])
    fl.quantize(memory[:-7], "fp16", out=memory[7:], **options, threads=2)  # they overlap
    assert memory[7:].tobytes() == expected.tobytes()


def test_the_context_holds_for_arrays_and_ends(used):
    codes = fl.encode(X, "fp16")
    expected = fl.array(X, "fp16")
    assert not used
    with fl.threads(2):
        assert (fl.array(X, "fp16").values == expected.values).all() and len(used) == 2
        used.clear()
        fl.quantize(X, "fp16"), fl.encode(X, "bf16"), fl.decode(codes, "fp16")
        assert len(used) == 2
        used.clear()
        fl.quantize(X, "fp16", threads=1)  # the option comes first
        with fl.threads(1):
            fl.quantize(X, "fp16")
        fl.quantize(X[: pool.LEAST - 1], "fp16")  # too short
        assert not used
    fl.quantize(X, "fp16")
    assert not used


@pytest.mark.parametrize("count", [0, -1, True, False, "2", 1.0, 2.5, [2]])
def test_what_is_no_number_of_threads_is_refused_for_arrays_of_any_size(count):
    codes = np.zeros(3, np.uint8)
    for call in (
        lambda: fl.threads(count).__enter__(),
        *(
            lambda f=f, n=n: f(np.ones(n), "fp16", threads=count)
            for f in (fl.quantize, fl.encode)
            for n in (0, 1)
        ),
        lambda: fl.quantize(X, "fp16", threads=count),
        lambda: fl.quantize(1.0, "fp16", threads=count, return_flags=True),
        lambda: fl.decode(codes, "e4m3", threads=count),
    ):
        with pytest.raises(OptionError, match=r"threads is a number of threads.*os\.cpu_count"):
            call()
    assert fl.quantize(X, "e4m3", threads=np.int64(2)).size == SIZE


def test_an_error_is_that_of_one_thread_and_nobody_writes_any_more():
    for place in (0, SIZE // 2, SIZE - 1):
        x = X.copy()
        x[place] = np.nan
        for function in (fl.quantize, fl.encode):
            messages = []
            for threads in (1, 2):
                with pytest.raises(OverflowPolicyError) as caught:
                    function(x, "fp4", threads=threads)
                messages.append(str(caught.value))
            assert messages[0] == messages[1]
    out = np.empty_like(x)
    x[:] = np.nan
    with pytest.raises(OverflowPolicyError):
        fl.quantize(x, "fp4", out=out, threads=2)
    out[:] = 7
    time.sleep(0.05)
    assert (out == 7).all()


def test_the_first_piece_that_fails_is_the_one_that_is_heard():
    def work(piece, draw):
        if piece.start:
            raise ValueError(piece.start)
        time.sleep(0.05)
        raise ValueError("the first")

    with pytest.raises(ValueError, match="the first"):
        pool.in_pieces(work, SIZE, None, 2)


def test_a_worker_whose_processor_flushes_to_zero_is_an_error(monkeypatch):
    def flushed():
        raise FloatEnvironmentError("Numbers below the normal range are numbers. Got a thread. Turn it off.")

    monkeypatch.setattr(pool, "check_environment", flushed)
    with pytest.raises(FloatEnvironmentError):
        fl.quantize(X, "fp16", threads=2)


def test_flags_are_taken_as_ever():
    values, flags = fl.quantize(X, "fp16", threads=2, return_flags=True)
    assert flags.counts == fl.quantize(X, "fp16", return_flags=True)[1].counts
    with fl.threads(2), fl.track_flags() as record:
        assert fl.quantize(X, "fp16").tobytes() == values.tobytes()
    assert record.counts == flags.counts


def test_numpy_warns_of_nothing_in_a_worker():
    x = np.full(SIZE, np.inf, np.float32)
    with np.errstate(all="raise"):
        fl.quantize(x, "fp16", threads=2)
        fl.encode(np.full(SIZE, 1e300), "fp16", threads=2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_process_that_was_forked_has_threads_of_its_own():
    program = (
        "import os, warnings; import numpy as np; import floatlab as fl\n"
        "warnings.simplefilter('ignore')\n"
        "x = np.linspace(0, 1, 1 << 20); y = fl.quantize(x, 'fp16', threads=2)\n"
        "child = os.fork()\n"
        "if not child: os._exit(int((fl.quantize(x, 'fp16', threads=2) == y).all()))\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "1\n"
