"""The same bits whatever the BLAS: other orders of addition, other roundings, and errors near the bound of theory.

`HostileNumpy` stands in for NumPy where floatlab multiplies matrices. Where there is a C compiler, and NumPy's
BLAS is a library of its own as in the wheels, `hostile_blas.c` takes its place, in a process of its own.
"""

import hashlib
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from test_matmul import ENVIRONMENTS, run_here

import floatlab as fl
from floatlab import amp, nn, optim
from floatlab.sums import certified, evaluate, exact
from floatlab.sums import matmul as accumulate

HERE = Path(__file__).parent
MODES = ("in order", "backwards", "shuffled", "fused", "extended", "even first", "wrong", "too low")


# -- what must not change ----------------------------------------------------------------------------------


def hard_products(rng):
    """Yield operands, an addend and a format: ties, sums that cancel, sparse rows, and many ordinary numbers."""
    a, b = rng.standard_normal((2, 24, 24))
    yield a.astype(np.float32), b.astype(np.float32), b[0].astype(np.float32), "fp32"
    large = rng.integers(1, 2**20, (8, 1)) * 2.0**-8
    a = np.concatenate([large, -large, rng.integers(-4, 5, (8, 22)) * 2.0**-20], axis=1)
    b = np.concatenate([np.ones((2, 6)), rng.integers(-4, 5, (22, 6)) * 2.0**-6])
    yield a, b, None, "fp16"
    eps = fl.finfo("fp32").eps
    ties = np.concatenate(
        [np.ones((6, 1)), np.full((6, 1), eps / 2), rng.choice([0.0, 2.0**-70], (6, 40))], axis=1
    )
    yield ties, np.concatenate([np.ones((2, 3)), rng.standard_normal((40, 3))]), None, "fp32"
    sparse = np.where(rng.random((12, 300)) < 0.1, rng.standard_normal((12, 300)), 0.0).astype(np.float32)
    yield sparse, sparse.T, None, "fp32"
    yield (
        fl.quantize(rng.standard_normal((9, 130)), "e4m3"),
        fl.quantize(rng.standard_normal((130, 7)), "e5m2"),
        None,
        "bf16",
    )


def digest():
    """Hash sums, products and the weights of a small network that has been trained."""
    found = hashlib.sha256()
    for a, b, bias, fmt in hard_products(np.random.Generator(np.random.PCG64(9))):
        for options in (
            {},
            {"rounding": "toward_positive"},
            {"accumulator": "exact"},
            {"accumulator": "fp16"},
        ):
            options = {"overflow": "saturate", "bias": bias} | options
            found.update(accumulate.matmul(a, b, fmt, **options).tobytes())
        found.update(accumulate.matmul(a, b, "fp64").tobytes())
        found.update(accumulate.matmul(a, b, "fp64", accumulator="exact").tobytes())
        found.update(accumulate.sum(a, fmt).tobytes())
        found.update(accumulate.mean(a, fmt, axis=1).tobytes())
        found.update(fl.quantize(accumulate.dot(a[0], b[:, 0], "fp64"), fmt).tobytes())
    found.update(weights().encode())
    return found.hexdigest()


def weights():
    """Train for a few steps, in float32 and under autocast, and return the weights' hash."""
    data, found = fl.data.digits(), hashlib.sha256()
    for fmt in ("fp32", "fp16"):
        rng = np.random.default_rng(0)
        model = nn.Sequential(
            nn.Linear(64, 16, rng=rng), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 10, rng=rng)
        )
        optimizer, scaler = optim.Adam(model.parameters(), lr=1e-2), amp.GradScaler()
        for start in range(0, 96, 32):
            optimizer.zero_grad()
            images, labels = data.train_images[start : start + 32], data.train_labels[start : start + 32]
            with amp.autocast(fmt, enabled=fmt != "fp32"):
                loss = nn.functional.cross_entropy(model(fl.Tensor(images)), labels)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            optim.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            scaler.update()
        for parameter in model.parameters():
            found.update(parameter.data.tobytes())
    return found.hexdigest()


# -- in Python -----------------------------------------------------------------------------------------------


class HostileNumpy(types.SimpleNamespace):
    """NumPy with a matmul and an einsum that add in another way."""

    def __init__(self, mode):
        super().__init__(**{name: getattr(np, name) for name in dir(np) if not name.startswith("__")})
        self.mode, self.rng, self.calls = mode, np.random.default_rng(0), 0
        self.matmul, self.einsum = self._matmul, self._einsum

    def _matmul(self, a, b):
        self.calls += 1
        if a.dtype != np.float64:
            return np.matmul(a, b)
        left, right = np.moveaxis(a, -1, 0)[..., :, None], np.moveaxis(b, -2, 0)[..., None, :]
        return self._add(left, right, a.shape[-1])

    def _einsum(self, text, a, b):
        assert text in ("...ij,...ij->...i", "...ij,...ij->...j")  # the squares of rows, or of columns
        axis = -1 if text.endswith("i") else -2
        return self._add(np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0), a.shape[axis])

    def _add(self, left, right, terms):
        order = {
            "backwards": range(terms - 1, -1, -1),
            "shuffled": self.rng.permutation(terms),
            "even first": [*range(0, terms, 2), *range(1, terms, 2)],
        }.get(self.mode, range(terms))
        kind = np.longdouble if self.mode in ("fused", "extended") else np.float64
        shape = np.broadcast_shapes(left.shape[1:], right.shape[1:])
        total, sizes = np.zeros(shape, kind), np.zeros(shape)
        for k in order:
            term = left[k].astype(kind) * right[k]
            total, sizes = total + term, sizes + abs(term.astype(np.float64))
            if self.mode == "fused":  # products are not rounded, sums are
                total = total.astype(np.float64).astype(kind)
        total = total.astype(np.float64)
        if self.mode in ("wrong", "too low"):
            # No sum is wrong that cannot be: whose terms are multiples of a unit of which no 2^53 are ever reached.
            unit = self._unit(left) * self._unit(right)
            share = np.where(sizes > 2.0**53 * unit, 0.97 * terms * 2.0**-53 * sizes, 0.0)
            sides = self.rng.choice([-1.0, 1.0], shape) if self.mode == "wrong" else -1.0
            total = np.where(share > 0, self._exactly(left, right, total) + sides * share, total)
        return total

    @staticmethod
    def _unit(x):
        return certified._lowest_bits(np.ascontiguousarray(x, np.float64)).min(axis=0)

    @staticmethod
    def _exactly(left, right, total):
        """Return the sums with an error that is nothing beside the share that is added: those of long doubles."""
        wide = np.zeros(total.shape, np.longdouble)
        for x, y in zip(left, right, strict=True):
            wide += x.astype(np.longdouble) * y
        return wide.astype(np.float64)


@pytest.fixture
def hostile(request, monkeypatch):
    numpy = HostileNumpy(request.param)
    for room in (certified, exact, evaluate):
        monkeypatch.setattr(room, "array_module", lambda x: numpy)
    return numpy


@pytest.fixture(scope="module")
def plain():
    return digest()


@pytest.mark.parametrize("hostile", MODES, indirect=True)
def test_no_order_and_no_error_within_the_bound_changes_a_bit(plain, hostile):
    assert digest() == plain
    assert hostile.calls > 50


@pytest.mark.parametrize("hostile", MODES[1:], indirect=True)
def test_hostile_sums_are_other_sums(hostile):
    a, b = np.random.default_rng(0).standard_normal((2, 40, 40))
    assert (hostile.matmul(a, b) != HostileNumpy("in order").matmul(a, b)).any()
    integers = np.arange(-32.0, 32.0).reshape(8, 8)
    np.testing.assert_array_equal(hostile.matmul(integers, integers), integers @ integers)


# -- with a BLAS of one's own --------------------------------------------------------------------------------

PROGRAM = """
import ctypes, sys
import numpy as np
import test_hostile_blas
mode = ctypes.CDLL(None).hostile_blas_mode
x = np.random.default_rng(0).standard_normal((64, 64))
for number in range(len(test_hostile_blas.MODES)):
    mode(number)
    print(test_hostile_blas.digest(), (x @ x.T[:, ::-1]).tobytes().hex()[:4096].__hash__(), flush=True)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Compile the hostile BLAS, or say why that cannot be done."""
    if not sys.platform.startswith("linux"):
        pytest.skip("a library is put in front of another one by LD_PRELOAD, which is Linux's")
    built = tmp_path_factory.mktemp("blas") / "hostile_blas.so"
    source = str(HERE / "hostile_blas.c")
    flags = ["-O1", "-ffp-contract=off", "-shared", "-fPIC", "-o", str(built), source, "-lm"]
    try:
        subprocess.run(["cc", *flags], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no C compiler that makes a shared library: {error}")
    return built


def test_a_hostile_blas_in_the_place_of_numpys_changes_no_bit(plain, library):
    out = run_here(PROGRAM, {"LD_PRELOAD": str(library), "PYTHONHASHSEED": "0"}).split("\n")
    digests, products = zip(*(line.split() for line in out if line), strict=True)
    if len(set(products)) == 1:
        pytest.skip("this NumPy's BLAS cannot be replaced: its products are the same in every mode")
    assert len(set(products)) >= 6  # it was asked, and it answered in other ways
    assert set(digests) == {plain}


@pytest.mark.parametrize("environment", ["one thread", "Nehalem", "no wide vectors"])
def test_trained_weights_are_the_same_on_other_processors(environment):
    program = "import test_hostile_blas; print(test_hostile_blas.weights())"
    assert run_here(program, ENVIRONMENTS[environment]) == weights()
