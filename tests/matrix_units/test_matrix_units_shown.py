"""A unit shows what it multiplies and how it adds: each number of the table is one of its instructions."""

from __future__ import annotations

import pytest

import floatlab as fl
from floatlab.matrix_units.amd import ExactBlock
from floatlab.matrix_units.instruction import Instruction
from floatlab.matrix_units.shown import families, lines_of, short_name, unit_in_html, unit_in_text


def rows(name: str) -> list[tuple[str, ...]]:
    return [line.cells() for line in lines_of(fl.get_unit(name).instructions)]


def test_the_tables_are_the_published_ones():
    assert rows("v100") == [("fp16", "4", "23", "toward zero", "fp32")]
    assert rows("a100") == [
        ("fp16 bf16", "8", "24", "toward zero", "fp32"),
        ("tf32", "4", "24", "toward zero", "fp32"),
    ]
    assert rows("h100") == [
        ("fp16 bf16", "16", "25", "toward zero", "fp32"),
        ("tf32", "8", "25", "toward zero", "fp32"),
        ("e4m3 e5m2", "32", "13", "toward zero, 14 bits", "fp32"),
    ]
    assert rows("h100:fp16")[0] == ("fp16", "16", "25", "nearest even", "fp16")
    assert rows("h100:mma.sync")[0] == ("e4m3 e5m2", "32", "25", "in two steps, then nearest even", "fp32")


def test_chips_of_one_generation_add_alike():
    for one, other in (("a100", "a2"), ("ada", "l40s"), ("h100", "h200"), ("b200", "rtx_blackwell")):
        assert rows(one) == rows(other)


@pytest.mark.parametrize("name", fl.units())
def test_every_unit_shows_all_its_formats_its_name_and_its_sources(name):
    unit = fl.get_unit(name)
    text, page = unit_in_text(unit), unit_in_html(unit)
    for shown in (text, page):
        assert name in shown and unit.about in shown
        assert all(short_name(fmt) in shown for fmt in unit.multiplied())
        assert all(source in shown for source in unit.sources)
    assert "own" not in {line.fraction_bits for line in lines_of(unit.instructions)}  # all kinds have words


def test_what_was_checked_and_what_is_set_stands_below_the_table():
    from dataclasses import replace

    unit = replace(fl.get_unit("h100:promote=128:bias_first"), proven=("30,000 results of an H100",))
    text = unit_in_text(unit)
    assert "After each 128 products" in text and "begins with" in text
    assert text.endswith("Checked: 30,000 results of an H100")
    assert "30,000 results" in unit_in_html(unit)


def test_html_escapes_a_name_and_closes_what_it_opens():
    page = unit_in_html(fl.MatrixUnit("<b>", fraction_bits=4, block=2))
    assert "&lt;b&gt;" in page and "<b>" not in page
    assert page.count("<table") == page.count("</table>") == 1
    assert ">any<" in page


def test_an_instruction_of_somebodys_own_is_shown_by_its_class_or_by_what_it_derives_from():
    class Mine(Instruction):
        pass

    class Other(ExactBlock):
        pass

    assert lines_of([Mine(("fp16",), 4)])[0].cells() == ("fp16", "4", "own", "Mine", "fp32")
    assert lines_of([Other(("fp16",), 4)])[0].cells()[2:4] == ("exact", "nearest even")


def test_families_keep_the_formats_of_16_bits_and_more_apart():
    formats = [fl.get_format(name) for name in ("fp16", "bf16", "tf32", "e4m3fnuz", "e3m2", "e2m3")]
    assert families(formats) == "fp16 bf16 tf32 fp8fnuz fp6"


def test_blocks_show_their_scales_and_integers_what_becomes_of_too_large_sums():
    assert rows("b200")[-2:] == [
        ("e2m1, e8m0/e4m3 per 32/16", "64", "35", "16 exactly, then toward zero", "fp32"),
        ("e4m3 e5m2 e3m2 e2m3 e2m1, e8m0 per 32", "32", "25", "toward zero", "fp32"),
    ]
    assert lines_of(fl.get_unit("b200").instructions)[-1].family == "fp8 fp6 fp4, scaled"
    assert lines_of(fl.get_unit("b200").instructions)[-1].data()["scales"] == "e8m0 per 32"
    assert rows("avx512_vnni") == [("u8 s8", "4", "exact", "wraps", "int32")]
    assert rows("avx512_vnni:saturate")[0][3] == "saturates"
    assert rows("maddubs")[0][3] == "pairs saturate at int16"


def test_data_names_formats_in_full():
    assert lines_of(fl.get_unit("h100").instructions)[2].data() == {
        "operands": ["float8_e4m3fn", "float8_e5m2"],
        "L": 32,
        "F": "13",
        "rounding": "toward zero, 14 bits",
        "result": "fp32",
    }
