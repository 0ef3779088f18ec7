"""Blocks that are rounded side by side draw the integers that one after the other would have drawn."""

from __future__ import annotations

import numpy as np
import pytest

from floatlab.rounding.random_integers import RandomIntegers

JUMPING = [np.random.PCG64, np.random.PCG64DXSM]


def begun(kind):
    """Return a generator that keeps half of a word, as one does that has drawn short integers."""
    rng = np.random.Generator(kind(5))
    rng.integers(0, 10, 3, dtype=np.uint32)
    return rng


@pytest.mark.parametrize("bits", [1, 16, 17, 32, 33, 48])
@pytest.mark.parametrize("kind", JUMPING)
def test_a_part_has_the_integers_of_its_place(kind, bits):
    for start in (0, 1, 2, 3, 4, 5, 8, 13):
        draw = RandomIntegers(begun(kind), bits, None)
        part = draw.apart(start)
        whole = draw.block(0, 40)
        assert (part.block(start, 9) == whole[start : start + 9]).all()
        assert (part.block(start + 9, 15) == whole[start + 9 : start + 24]).all()


@pytest.mark.parametrize("bits", [1, 16, 17, 33])
@pytest.mark.parametrize("kind", JUMPING)
def test_after_a_skip_a_generator_stands_where_drawing_leaves_it(kind, bits):
    for n in (0, 1, 2, 40, 41, 43):
        drawn, skipped = begun(kind), begun(kind)
        RandomIntegers(drawn, bits, None).block(0, n)
        RandomIntegers(skipped, bits, None).skip(n)
        assert drawn.bit_generator.state == skipped.bit_generator.state
        assert (
            drawn.integers(0, 10, 5, dtype=np.uint32).tolist()
            == skipped.integers(0, 10, 5, dtype=np.uint32).tolist()
        )


def test_a_part_leaves_the_generator_where_it_is():
    rng = begun(np.random.PCG64)
    before = rng.bit_generator.state
    RandomIntegers(rng, 16, None).apart(1000).block(1000, 10)
    assert rng.bit_generator.state == before


def test_which_integers_can_be_had_from_anywhere():
    def can(rng, supplied=None):
        return RandomIntegers(rng, 16, supplied).can_jump

    assert all(can(np.random.Generator(kind(0))) for kind in JUMPING) and can(7) and can(None, [1, 2])
    others = (np.random.MT19937, np.random.SFC64, np.random.Philox)
    assert not any(can(np.random.Generator(kind(0))) for kind in others)
