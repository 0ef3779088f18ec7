"""A processor that was told to flush to zero, or to round in another direction, is noticed before a number is wrong."""

import contextlib
import ctypes
import math
import platform
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
from test_inputs import EVERYWHERE, PLAIN, X

import floatlab as fl
from floatlab import optim, verify
from floatlab.errors import FloatEnvironmentError, FloatlabError
from floatlab.formats import FloatFormat
from floatlab.functions import tables
from floatlab.rounding import pool
from floatlab.system import processes
from floatlab.system.environment import check_environment

GLIBC_ON_X86 = platform.machine() == "x86_64" and platform.libc_ver()[0] == "glibc"
pytestmark = pytest.mark.skipif(not GLIBC_ON_X86, reason="the layout of fenv_t is that of glibc on x86-64")

MXCSR = 28  # its offset in glibc's fenv_t (bits/fenv.h)
FLUSH_TO_ZERO, DENORMALS_ARE_ZERO = 1 << 15, 1 << 6
DIRECTIONS = {"downward": 0x400, "upward": 0x800, "toward zero": 0xC00}  # FE_DOWNWARD ... (bits/fenv.h)


@contextlib.contextmanager
def flushing(bits):
    """Set bits of the register MXCSR of this thread inside the block."""
    libm, saved = ctypes.CDLL("libm.so.6"), (ctypes.c_char * 32)()
    libm.fegetenv(saved)
    changed = (ctypes.c_char * 32).from_buffer_copy(saved)
    word = ctypes.c_uint32.from_buffer(changed, MXCSR)
    word.value |= bits
    libm.fesetenv(changed)
    try:
        yield
    finally:
        libm.fesetenv(saved)


@contextlib.contextmanager
def rounding(direction):
    """Round in another direction inside the block."""
    libm = ctypes.CDLL("libm.so.6")
    saved = libm.fegetround()
    libm.fesetround(direction)
    try:
        yield
    finally:
        libm.fesetround(saved)


WRONG = {
    "flush to zero": lambda: flushing(FLUSH_TO_ZERO),
    "denormals are zero": lambda: flushing(DENORMALS_ARE_ZERO),
    "both": lambda: flushing(FLUSH_TO_ZERO | DENORMALS_ARE_ZERO),
    **{name: lambda d=direction: rounding(d) for name, direction in DIRECTIONS.items()},
}


@pytest.fixture(params=WRONG)
def wrong(request):
    """Each wrong environment, as a context manager."""
    return WRONG[request.param]


def test_the_contexts_of_this_test_do_what_they_say():
    tiny, one, little = 2.0**-1022, 1.0, 2.0**-60
    with flushing(FLUSH_TO_ZERO):
        flushed = tiny / 2
    with flushing(DENORMALS_ARE_ZERO):
        taken_for_zero = 0.0 * one == 5e-324
        taken_for_zero |= np.array([5e-324]) * 2 == 0
    with rounding(DIRECTIONS["upward"]):
        up = one + little
    assert flushed == 0 and taken_for_zero.all() and up > 1
    assert (tiny / 2, one + little) == (2.0**-1023, 1.0)


def test_a_good_environment_passes():
    assert check_environment() is None


def test_every_wrong_one_is_refused_and_named(wrong, request):
    with wrong(), pytest.raises(FloatEnvironmentError) as caught:
        check_environment()
    flushed = request.node.callspec.params["wrong"] in ("flush to zero", "denormals are zero", "both")
    said = r"flushes .*torch\.set_flush_denormal\(False\)" if flushed else r"another direction.*fesetround"
    assert caught.match(said)
    assert isinstance(caught.value, FloatlabError)
    check_environment()


@pytest.mark.parametrize("name", EVERYWHERE | PLAIN)
def test_every_public_function_refuses_to_compute_in_it(name, wrong):
    function = (EVERYWHERE | PLAIN)[name]
    wanted = function(X, "e5m2")
    with wrong(), pytest.raises(FloatEnvironmentError):
        function(X, "e5m2")
    assert np.array_equal(np.asarray(function(X, "e5m2")), np.asarray(wanted))


@pytest.mark.parametrize(
    "compute",
    [
        lambda a, t: a + a,
        lambda a, t: a * 2.0,
        lambda a, t: np.sqrt(a),
        lambda a, t: a == a,
        lambda a, t: a < 1.0,
        lambda a, t: np.maximum(a, 0.0),
        lambda a, t: np.max(a),
        lambda a, t: a @ a,
        lambda a, t: a.mean(),
        lambda a, t: a.astype("fp16"),
        lambda a, t: np.concatenate([a, a]),
        lambda a, t: t + t,
        lambda a, t: t * 3.0,
        lambda a, t: t.exp(),
        lambda a, t: t.sum(),
        lambda a, t: t.sum().backward(),
        lambda a, t: t.detach().add_(1.0),
        lambda a, t: fl.Tensor([1.0]),
        lambda a, t: optim.SGD([t], lr=0.1).step(),
        lambda a, t: fl.explain(0.1, "fp16"),
        lambda a, t: fl.encode(np.ones(10_000, np.float32), "e4m3"),
    ],
)
def test_arrays_tensors_and_optimizers_refuse_it(compute, wrong):
    a, t = fl.array(X, "e4m3"), fl.Tensor(X, requires_grad=True)
    with wrong(), pytest.raises(FloatEnvironmentError):
        compute(a, t)
    compute(a, t)


def test_a_backward_pass_refuses_it(wrong):
    t = fl.Tensor(X, requires_grad=True)
    loss = (t * t).sum()
    with wrong(), pytest.raises(FloatEnvironmentError):
        loss.backward()
    assert t.grad is None
    loss.backward()
    assert t.grad.data.tolist() == (2 * X).tolist()


# -- nothing that was made in it stays -----------------------------------------------------------------


@pytest.mark.parametrize("constant", ["max", "lowest", "smallest_normal", "smallest_subnormal", "eps"])
def test_a_constant_of_a_format_is_not_made_in_it(constant, wrong):
    probe, wanted = FloatFormat("probe", 11, 4), getattr(fl.get_format("e11m4"), constant)
    with wrong():
        try:
            got = getattr(probe, constant)
        except FloatEnvironmentError:
            got = None
    assert got in (None, wanted)
    assert getattr(probe, constant) == wanted
    assert probe.smallest_subnormal == math.ldexp(1.0, -1026)


@pytest.mark.parametrize("n", [3, 10_000])
def test_no_table_or_kernel_is_made_in_it(wrong, n, request):
    probe = FloatFormat(request.node.name, 8, 2, specials="fn")
    x = np.full(n, 1e-38, np.float32)
    for compute in (
        lambda: fl.quantize(x, probe),
        lambda: fl.encode(x, probe),
        lambda: fl.decode([1, 2], probe),
        lambda: fl.exp(x, probe),
        lambda: fl.sum(x, probe),
    ):
        with wrong(), pytest.raises(FloatEnvironmentError):
            compute()
    assert fl.decode([1, 2], probe).tolist() == [2.0**-128, 2.0**-127]
    want = fl.quantize(x[:1].astype(np.float64), probe)
    assert set(fl.quantize(x, probe).tolist()) == set(want.tolist())
    assert set(fl.decode(fl.encode(x, probe), probe).tolist()) == set(want.tolist())


@pytest.mark.parametrize("name", [name for name in dir(tables) if name.endswith("_table") and name[0] != "_"])
def test_no_table_of_functions_is_made_in_it(name, wrong):
    make = getattr(tables, name)
    wanted = make()
    make.cache_clear()
    with wrong(), pytest.raises(FloatEnvironmentError):
        make()
    again = make()
    assert repr(again) == repr(wanted)


@pytest.mark.parametrize("fmt", ["fp64", "fp32", "tf32"])
def test_a_long_code_is_not_decoded_in_it(fmt, wrong):
    with wrong(), pytest.raises(FloatEnvironmentError):
        fl.decode([1], fmt)
    assert fl.decode([1], fmt).item() == fl.get_format(fmt).smallest_subnormal


# -- where it is looked for -----------------------------------------------------------------------------


def test_workers_look_before_they_start(wrong):
    with wrong(), pytest.raises(FloatEnvironmentError):
        processes._call(lambda config: config, 0, None)


def test_a_proof_refuses_it_and_writes_no_disagreement_down(wrong, tmp_path):
    task = verify.plan(sections=["arithmetic"], kinds=["fp4"])[0]
    with wrong():
        with pytest.raises(FloatEnvironmentError):
            verify.run(sections=["arithmetic"], kinds=["fp4"], jobs=1, out=tmp_path, quiet=True)
        with pytest.raises(FloatEnvironmentError):
            verify.run_task(task)
    assert not [*tmp_path.iterdir()]
    assert verify.run_task(task).disagreements == 0


def test_pytorchs_switch_is_noticed_and_what_it_would_have_spoilt_is_not_kept():
    torch = pytest.importorskip("torch")
    probe = FloatFormat("told by torch", 8, 2, specials="fn")
    x = np.full(600_000, 1e-38, np.float32)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot be told to")
    try:
        for compute in (
            lambda: fl.quantize(x, probe),
            lambda: fl.encode(x, probe, threads=2),
            lambda: fl.decode([1, 2], probe),
        ):
            with pytest.raises(FloatEnvironmentError, match="torch"):
                compute()
    finally:
        torch.set_flush_denormal(False)
    assert fl.decode([1, 2], probe).tolist() == [2.0**-128, 2.0**-127]
    assert set(fl.quantize(x, probe, threads=2).tolist()) == set(
        fl.quantize(x[:1].astype(float), probe).tolist()
    )


def test_a_thread_of_a_pool_that_was_told_otherwise_is_noticed(wrong):
    x, do = np.linspace(0, 1, 2 * pool.LEAST), pool._do

    def told_otherwise(*arguments):
        with wrong():
            do(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pool, "_do", told_otherwise)
        with pytest.raises(FloatEnvironmentError):
            fl.quantize(x, "fp16", threads=3)
    assert fl.quantize(x, "fp16", threads=3).tobytes() == fl.quantize(x, "fp16").tobytes()


def test_the_setting_of_another_thread_is_its_own():
    found = []

    def other():
        with flushing(FLUSH_TO_ZERO):
            try:
                fl.quantize(0.1, "fp16")
            except FloatEnvironmentError:
                found.append("refused")

    thread = threading.Thread(target=other)
    thread.start()
    thread.join()
    assert found == ["refused"]
    assert fl.quantize(0.1, "fp16") == np.float16(0.1)


def test_the_import_is_refused_and_succeeds_when_the_setting_is_off():
    code = """
        import ctypes, numpy
        libm, saved = ctypes.CDLL("libm.so.6"), (ctypes.c_char * 32)()
        libm.fegetenv(saved)
        changed = (ctypes.c_char * 32).from_buffer_copy(saved)
        ctypes.c_uint32.from_buffer(changed, 28).value |= 1 << 15
        libm.fesetenv(changed)
        try:
            import floatlab
        except Exception as error:
            print(type(error).__name__)
        libm.fesetenv(saved)
        import floatlab
        print(floatlab.get_format("fp64").smallest_subnormal, floatlab.decode([1], "e5m2").item())
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ["FloatEnvironmentError", "5e-324", str(2.0**-16)]
