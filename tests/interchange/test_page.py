"""The examples of docs/other-arrays.md give what they say, where their libraries are installed."""

import doctest
import re
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "other-arrays.md"
BLOCKS = re.findall(r"^```pycon\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def libraries(block: str) -> list[str]:
    """Return what the first line of a block imports."""
    names = re.split(r",\s*", block.partition("\n")[0].removeprefix(">>> import "))
    return [name.partition(" ")[0].partition(".")[0] for name in names]


def test_there_are_examples_of_every_library():
    assert {name for block in BLOCKS for name in libraries(block)} >= {
        "torch",
        "jax",
        "dask",
        "pandas",
        "xarray",
    }


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: libraries(block)[0])
def test_an_example_gives_what_it_says(block):
    for name in libraries(block):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    said: list[str] = []
    test = doctest.DocTestParser().get_doctest(block, {}, PAGE.name, str(PAGE), 0)
    with warnings.catch_warnings():
        doctest.DocTestRunner(verbose=False).run(test, out=said.append)
    assert "".join(said) == ""
