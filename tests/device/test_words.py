"""The random words of a device: NumPy's own PCG64, word for word, in the machine of `ptx` and on the processor.

In the machine up to 200,000 words, a million with ``FLOATLAB_PTX=all``.
"""

import os
import types

import numpy as np
import pytest

from device.compiler import compiler
from device.nvrtc import ARCHITECTURES, call
from floatlab.backend import Elementwise
from floatlab.rounding.device.random_words import random_words

ALL = os.environ.get("FLOATLAB_PTX") == "all"
SIZES = [0, 1, 2, 1000, 65536, 65537, 200_000]


@pytest.fixture
def machine(monkeypatch):
    """Let kernels that are called run in the machine, for one architecture after the other."""
    turn = iter(range(10**9))

    def run(kernel, *arguments):
        types = [parameter.split()[-2] for parameter in kernel.inputs.split(",")]
        given = [
            x if isinstance(x, np.ndarray) else np.dtype(t).type(x)
            for t, x in zip(types, arguments, strict=False)
        ]
        call(kernel, *given, outputs=arguments[len(given) :], architecture=ARCHITECTURES[next(turn) % 7])

    monkeypatch.setattr(Elementwise, "__call__", run)


def generators(seed):
    """Return two equal generators, far from their beginning, which keep half a word for the next 32 bits."""
    pair = np.random.default_rng(seed), np.random.default_rng(seed)
    for generator in pair:
        generator.bit_generator.advance(2**100 + 12345)
        generator.integers(0, 10, 3, np.uint32)
    return pair


def drawn(generator, size):
    """Return NumPy's words."""
    return generator.integers(0, 2**64 - 1, size, np.uint64, endpoint=True)


def advanced(generator, steps):
    """Return the state of a copy of a generator that `advance` has moved."""
    copy = np.random.PCG64()
    copy.state = generator.bit_generator.state
    return copy.advance(steps).state["state"]


@pytest.mark.parametrize("size", [*SIZES, 1_000_000] if ALL else SIZES)
def test_the_words_in_the_machine_are_numpys_and_the_generator_moves_on_as_numpys(size, machine):
    device, host = generators(size)
    there = advanced(host, size)
    words = random_words(device, size, types.SimpleNamespace(empty=np.empty, arange=np.arange))
    assert np.array_equal(words, drawn(host, size))
    assert device.bit_generator.state == host.bit_generator.state
    assert device.bit_generator.state["state"] == there


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler")
@pytest.mark.parametrize("size", [*SIZES, 1_000_000])
def test_the_words_on_the_processor_are_numpys_and_the_generator_moves_on_as_numpys(size, cupy):
    device, host = generators(size)
    there = advanced(host, size)
    words = random_words(device, size, cupy)
    assert np.array_equal(words.get(), drawn(host, size))
    assert device.bit_generator.state == host.bit_generator.state
    assert device.bit_generator.state["state"] == there


def test_words_drawn_in_parts_are_those_drawn_at_once(machine):
    device, host = generators(9)
    namespace = types.SimpleNamespace(empty=np.empty, arange=np.arange)
    parts = [random_words(device, size, namespace) for size in (1, 63, 64, 65, 0, 7)]
    assert np.array_equal(np.concatenate(parts), drawn(host, 200))
    assert device.random() == host.random()


@pytest.mark.parametrize("kind", [np.random.PCG64DXSM, np.random.Philox, np.random.MT19937, np.random.SFC64])
def test_the_words_of_another_generator_are_drawn_by_itself(kind, machine):
    device, host = np.random.Generator(kind(5)), np.random.Generator(kind(5))
    assert np.array_equal(random_words(device, 1000, np), drawn(host, 1000))
    assert device.random() == host.random()
