"""The same bits on every machine: whatever the processor's features, the BLAS's kernels and its threads."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_autograd_ops import CASES

from floatlab.autograd import Tensor, apply

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "one thread": {"OPENBLAS_NUM_THREADS": "1"},
    "four threads": {"OPENBLAS_NUM_THREADS": "4"},
    "an old processor's BLAS": {"OPENBLAS_CORETYPE": "Nehalem"},
    "no wide vectors": {"NPY_DISABLE_CPU_FEATURES": "X86_V4 X86_V3 AVX512_ICL AVX512_SPR"},
}


def digest() -> str:
    """Return a hash of the value and all gradients of every case of the table, in three formats, enlarged."""
    total = hashlib.sha256()
    for c in CASES:
        for name in ("fp32", "fp16", "bf16"):
            tensors = [Tensor(x, requires_grad=True, format=name) for x in c.draw()]
            out = c.run(*tensors)
            out.backward(np.random.default_rng(1).normal(size=out.shape))
            for x in (out, *(t.grad for t in tensors)):
                total.update(np.ascontiguousarray(x.data).tobytes())
    for steep in (0.01, 1.0):  # the steeper one overflows, and has infinities and NaNs in its gradients
        for x in gradients(steep):
            total.update(x.data.tobytes())
    return total.hexdigest()


def gradients(steep: float) -> tuple[Tensor, Tensor]:
    """Return two gradients; the matrices are large enough for threads, and for NumPy's vector code."""
    rng = np.random.default_rng(2)
    a, b = (Tensor(rng.normal(size=(200, 200)), requires_grad=True) for _ in range(2))
    shares = (a @ b).tanh().softmax() * (a / b)
    out = apply("gelu", ((shares * steep).exp() * a.relu()).sum(0)) + (a * 0).amax(1)  # zeros of both signs
    out.backward(rng.normal(size=200))
    assert isinstance(a.grad, Tensor) and isinstance(b.grad, Tensor)
    return a.grad, b.grad


def test_one_of_the_networks_overflows_and_the_other_does_not():
    assert all(np.isfinite(x.data).all() for x in gradients(0.01))
    assert any(np.isnan(x.data).any() for x in gradients(1.0))


@pytest.fixture(scope="module")
def here() -> str:
    return digest()


@pytest.mark.parametrize("setting", SETTINGS)
def test_every_operation_gives_the_same_bits(here, setting):
    program = "import sys; sys.path[:0] = ['tests', 'tests/autograd']\n"
    program += "import test_autograd_bits as t; print(t.digest())"
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=ROOT,
        env={**os.environ, **SETTINGS[setting]},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() == here
