"""The story of a dot product on a matrix unit: its result is that of the unit, and its lines say what its data say."""

import itertools
import json
import math
import re
from fractions import Fraction

import numpy as np
import pytest

import floatlab as fl
from floatlab.errors import DtypeError, FormatError, OptionError, ShapeError
from floatlab.explain import DotExplanation
from floatlab.explain.text import BIT_COLOURS
from floatlab.matrix_units.aligned import Aligned
from floatlab.verify import units

PUBLISHED = [-(2.0**13), -0.5, -0.25, -0.125], [2.0**10, 1.0, 1.0, 1.0], 2.0**23
INSTRUCTIONS = list(units.instructions())


def same(x, y):
    """Say whether two floats are one number: NaN as NaN, whatever the sign of a zero."""
    return x == y or (x != x and y != y)


def number(text):
    """Read a number of a line; None where its digits go on."""
    if text in ("NaN", "infinity", "-infinity"):
        return float(text)
    return None if "..." in text else Fraction(text)


def agrees(text, value):
    """Say whether a number that is written down is this one, as far as it is written."""
    read = number(text)
    if read is not None:
        return same(read, value)
    shown = Fraction(text.replace("...", ""))
    return abs(shown - value) <= abs(value) / 1000


# -- the result ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", units.KINDS)
def test_the_told_result_is_the_units_for_every_instruction(kind):
    rng = np.random.default_rng(units.KINDS.index(kind))
    for name, how, fmt in INSTRUCTIONS:
        for _ in range(2):
            length = int(rng.integers(1, how.block + 3))
            a, b, c = units.operands(how, (fmt, fmt), (1, length, 1), kind, rng)
            call = {"unit": name, "formats": (fmt, fmt)}
            told = fl.explain_dot(a[0], b[:, 0], c[0, 0], **call)
            wanted = fl.matmul(a, b, how.register, bias=c, bias_first=True, **call)[0, 0]
            assert same(told.value, wanted), told
            assert same(float(told.blocks[-1].value), wanted), told


def test_every_block_hands_on_what_the_unit_leaves_after_so_many_products():
    rng = np.random.default_rng(7)
    for name, how, fmt in INSTRUCTIONS:
        a, b, c = units.operands(how, (fmt, fmt), (1, 3 * how.block, 1), "cancelling", rng)
        call = {"unit": name, "formats": (fmt, fmt)}
        told = fl.explain_dot(a[0], b[:, 0], c[0, 0], **call)
        assert len(told.blocks) == 3
        for block, following in itertools.pairwise(told.blocks):
            stop = block.last + 1
            left = fl.matmul(a[:, :stop], b[:stop], how.register, bias=c, bias_first=True, **call)[0, 0]
            assert same(float(block.value), left) and block.value is following.before


def test_promotion_is_told():
    rng = np.random.default_rng(3)
    a, b = (fl.array(rng.standard_normal(300), "e4m3") for _ in range(2))
    told = fl.explain_dot(a, b, unit="h100:promote=128")
    assert told.value == float(fl.matmul(a, b, "fp32", unit="h100:promote=128"))
    promoted = [block for block in told.blocks if block.steps[0].name == "promoted"]
    assert [(block.first, block.last) for block in promoted] == [(128, 255), (256, 299)]
    assert told.blocks[4].before == 0 and promoted[0].before == told.blocks[3].value
    assert "\n  promoted" in str(told)


def test_tf32_numbers_are_told_without_the_bits_that_nobody_reads():
    told = fl.explain_dot([1 + 2.0**-11], [1.0], unit="a100", formats=("tf32", "tf32"))
    assert told.value == 1.0 and told.blocks[0].steps[0].parts[0].value == 1


# -- what is kept and lost -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "fmt", "bits", "value"),
    [
        ("v100", "fp16", 23, 0.0),
        ("a100", "fp16", 24, -0.5),
        ("h100", "fp16", 25, -0.75),
        ("h100", "e5m2", 13, 0.0),
    ],
)
def test_the_published_product_loses_what_lies_below_the_cut(unit, fmt, bits, value):
    told = fl.explain_dot(*PUBLISHED, unit=unit, formats=(fmt, fmt))
    assert told.value == value
    (step,) = told.blocks[0].steps
    assert step.exponent == 23 and {part.place for part in step.parts} == {23 - bits}
    exact = dict(zip("0123c", map(Fraction, (-(2**23), -0.5, -0.25, -0.125, 2**23)), strict=True))
    assert {part.name: part.value for part in step.parts} == exact
    for part in step.parts:
        assert part.kept + part.lost == part.value and abs(part.kept) <= abs(part.value)
        assert abs(part.lost) < Fraction(2) ** part.place
    assert told.exact == Fraction(-7, 8) and told.error == Fraction(value) + Fraction(7, 8)


def exponent(x, fmt):
    """Return the exponent that a value's code has."""
    return max(math.frexp(x)[1] - 1, fmt.emin)


def test_every_term_is_the_product_of_its_operands_and_keeps_whole_units():
    rng = np.random.default_rng(11)
    for name, how, fmt in INSTRUCTIONS:
        a, b, c = units.operands(how, (fmt, fmt), (1, 2 * how.block, 1), "cancelling", rng)
        told = fl.explain_dot(a[0], b[:, 0], c[0, 0], unit=name, formats=(fmt, fmt))
        seen = fl.get_format("fp16") if "mma.sync" in name and fmt.bits == 8 else fmt
        products = [Fraction(x) * Fraction(y) for x, y in zip(a[0].tolist(), b[:, 0].tolist(), strict=True)]
        for block in told.blocks:
            for step in block.steps:
                for part in (part for part in step.parts if part.name.isdecimal()):
                    k = block.first + int(part.name)
                    assert part.value == products[k]
                    assert part.exponent == exponent(a[0, k], seen) + exponent(b[k, 0], seen)
                if step.parts:
                    assert step.exact == sum(part.kept for part in step.parts)
                    assert step.exponent >= max(part.exponent for part in step.parts)


# -- the lines -------------------------------------------------------------------------------------------

_TERM = re.compile(r"^(\S+) +(-?\d+)  +(-?)([01]+)\|([01]*)(\.\.\.)?$")


def read_back(told):
    """Hold the lines of an explanation to its data, number by number; return how many numbers were read."""
    rows, read = list(told.rows), 0
    for block in told.blocks if told.full else told.blocks[:1]:
        label, text = rows.pop(0)
        if label == "block":
            assert re.match(r"products? (\d+)", text)[1] == str(block.first)
        else:
            rows.insert(0, (label, text))
        for step in block.steps:
            if step.parts:
                label, text = rows.pop(0)
                assert label == "largest" and int(re.match(r"exponent (-?\d+)", text)[1]) == step.exponent
                while rows[0][0] == "cut":
                    place = int(re.search(r"at 2\^(-?\d+) = ", rows.pop(0)[1])[1])
                    assert place in {part.place for part in step.parts}
            for part in step.parts:
                label, text = rows.pop(0)
                assert label == (str(int(part.name) + block.first) if part.name.isdecimal() else part.name)
                term = _TERM.match(text)
                if term:
                    value, exponent, minus, kept, lost, more = term.groups()
                    assert agrees(value, part.value) and int(exponent) == part.exponent
                    units_kept = int(kept, 2) * (-1 if minus else 1)
                    assert units_kept * Fraction(2) ** place == part.kept
                    shown = Fraction(int(lost or "0", 2), 2 ** len(lost)) * Fraction(2) ** place
                    assert more or shown == abs(part.lost)
                    assert shown <= abs(part.lost) < shown + Fraction(2) ** (place - len(lost))
                else:
                    kept, lost = re.search(r"kept (\S+?)(?:, lost (\S+))?$", text).groups()
                    assert agrees(kept, part.kept) and agrees(lost or "0", part.lost)
                read += 3
            label, text = rows.pop(0)
            numbered = re.findall(r"p(\d+)", step.name), re.findall(r"p(\d+)", label)
            assert [int(n) + block.first for n in numbered[0]] == [int(n) for n in numbered[1]]
            assert numbered[0] or label == step.name
            if step.parts:
                count, total = re.match(r"(-?\d+) units? = (\S+)$", text).groups()
                assert int(count) * Fraction(2) ** min(part.place for part in step.parts) == step.exact
                assert agrees(total, step.exact)
            elif " becomes " in text:
                exact, value = re.match(r"(\S+) becomes (\S+): ", text).groups()
                assert agrees(exact, step.exact) and agrees(value, step.value)
            if step.exponent is not None and step.how:
                label, text = rows.pop(0)
                assert label == "rounding" and agrees(text.rpartition(": ")[2], step.value)
            read += 2
    found = dict(told.rows)
    assert agrees(found["result"].split()[0], told.value)
    assert int(found["result"].split("0x")[1], 16) == told.code
    if told.exact is not None:
        assert agrees(found["exactly"], told.exact)
    return read


def test_every_number_of_the_lines_is_that_of_the_data():
    rng = np.random.default_rng(5)
    read = 0
    for name, how, fmt in INSTRUCTIONS:
        for kind in ("of one size", "cancelling", "near underflow"):
            a, b, c = units.operands(how, (fmt, fmt), (1, int(rng.integers(1, 2 * how.block)), 1), kind, rng)
            told = fl.explain_dot(a[0], b[:, 0], c[0, 0], unit=name, formats=(fmt, fmt), full=True)
            read += read_back(told)
            read_back(fl.explain_dot(a[0], b[:, 0], c[0, 0], unit=name, formats=(fmt, fmt)))
    assert read > 10_000


def test_lines_stay_within_eighty_columns():
    rng = np.random.default_rng(6)
    for name, how, fmt in INSTRUCTIONS:
        for kind in ("all codes", "near underflow"):
            a, b, c = units.operands(how, (fmt, fmt), (1, how.block + 1, 1), kind, rng)
            text = str(fl.explain_dot(a[0], b[:, 0], c[0, 0], unit=name, formats=(fmt, fmt), full=True))
            assert max(map(len, text.split("\n"))) <= 80, text


def test_a_long_product_is_told_in_few_lines_unless_all_is_wanted():
    ones = fl.array(np.ones(4096), "fp16")
    short, full = fl.explain_dot(ones, ones), fl.explain_dot(ones, ones, full=True)
    assert len(str(short).split("\n")) < 60 < 4096 < len(str(full).split("\n"))
    assert "more blocks" in str(short) and short.to_dict() == full.to_dict()


def test_a_special_term_is_told():
    call = {"unit": "h100", "formats": ("fp16", "fp16")}
    assert "special" in dict(fl.explain_dot([math.inf, 1.0], [0.0, 1.0], **call).rows)
    told = fl.explain_dot([math.inf, 1.0], [2.0, 1.0], -math.inf, **call)
    assert math.isnan(told.value) and told.exact is None and "NaN" in dict(told.rows)["special"]
    assert fl.explain_dot([math.inf, 1.0], [2.0, 1.0], **call).value == math.inf


def test_no_products_leave_the_accumulator():
    told = fl.explain_dot([], [], 3.0, formats=("fp16", "fp16"))
    assert told.value == 3.0 and told.blocks == () and "\n  result    3 " in str(told)


# -- data and HTML ---------------------------------------------------------------------------------------


def test_data_are_plain_and_tell_the_same():
    told = fl.explain_dot(*PUBLISHED, unit="h100", formats=("fp16", "fp16"))
    data = json.loads(json.dumps(told.to_dict()))
    assert (data["value"], data["exact"], data["error"]) == (-0.75, "-7/8", "1/8")
    (block,) = data["blocks"]
    terms = {term["name"]: term for term in block["steps"][0]["terms"]}
    assert (terms["3"]["kept"], terms["3"]["lost"], terms["3"]["exponent"]) == ("0", "-1/8", -3)
    assert json.dumps(fl.explain_dot([math.inf], [0.0], formats=("fp16", "fp16")).to_dict(), allow_nan=False)


def test_the_table_marks_what_is_kept_and_what_is_lost():
    html = fl.explain_dot(*PUBLISHED, unit="h100", formats=("fp16", "fp16"))._repr_html_()
    _, (lost, _), (kept, _) = BIT_COLOURS
    assert f'<span style="background:{kept};color:#000000">-10</span>' in html
    assert f'<span style="background:{lost};color:#000000">1</span>' in html
    assert "overflow-wrap:anywhere" in html and "|" not in html


# -- bad input -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "options", "error", "message"),
    [
        ([1.0], [1.0], {}, FormatError, "Say formats="),
        ([1.1], [1.0], {"formats": ("fp16", "fp16")}, DtypeError, "Got 1 of 1 numbers"),
        ([1.0], [1.0], {"formats": ("fp16", "fp16"), "c": 1 + 2.0**-30}, DtypeError, "The bias"),
        ([1.0], [1.0], {"formats": ("fp16", "fp16"), "unit": "h10"}, OptionError, 'Did you mean "h100"'),
        (
            [1.0],
            [1.0],
            {"formats": ("bf16", "bf16"), "unit": "v100"},
            FormatError,
            "v100 multiplies two operands",
        ),
        ([1.0, 2.0], [1.0], {"formats": ("fp16", "fp16")}, ShapeError, "two rows of as many numbers"),
        ([[1.0]], [[1.0]], {"formats": ("fp16", "fp16")}, ShapeError, "Choose a row"),
        ("x", [1.0], {"formats": ("fp16", "fp16")}, ShapeError, "rows of numbers"),
        ([1.0], [1.0], {"formats": ("fp16", "fp16"), "c": [1.0, 2.0]}, ShapeError, "one accumulator"),
        ([1.0], [1.0], {"formats": ("fp16", "fp16"), "c": 2**60 + 1}, DtypeError, "beyond 2"),
        ([1.0], [1.0], {"formats": ("fp16", "fp16"), "c": None}, ShapeError, "c=None"),
        ([1.0], [1.0], {"formats": 3}, OptionError, "one entry for each"),
        ([1.0], [1.0], {"formats": ("fp16", "fp16"), "full": "yes"}, OptionError, "full"),
    ],
)
def test_bad_input_is_refused_as_by_matmul(a, b, options, error, message):
    with pytest.raises(error, match=message):
        fl.explain_dot(a, b, **options)


def test_blocks_with_scales_are_refused():
    block = fl.encode(np.ones(64), "mxfp8_e4m3")
    with pytest.raises(FormatError, match="without scales"):
        fl.explain_dot(block, block, unit="b200")


def test_float_arrays_tell_their_formats():
    a, b = (fl.array(x, "e5m2") for x in PUBLISHED[:2])
    told = fl.explain_dot(a, b, PUBLISHED[2])
    assert isinstance(told, DotExplanation) and told.value == 0.0
    assert told.title.startswith("dot product of 4 terms on h100: float8_e5m2 * float8_e5m2")


def test_the_arithmetic_around_it_does_not_change_what_is_told():
    a, b = [60000.0, 1.0], [60000.0, 1.0]
    for unit in ("h100", "h100:fp16"):
        wanted = fl.explain_dot(a, b, 1.0, unit=unit, formats=("fp16", "fp16"))
        with fl.arithmetic(
            rounding="toward_positive", overflow="saturate", subnormals="flush", accumulator="fp16"
        ):
            assert fl.explain_dot(a, b, 1.0, unit=unit, formats=("fp16", "fp16")).value == wanted.value
    assert wanted.value == float("inf") == wanted.blocks[-1].value


def test_an_instruction_of_ones_own_has_no_story():
    class Own(Aligned):
        pass

    with pytest.raises(OptionError, match="Own"):
        fl.explain_dot([1.0], [1.0], unit=fl.MatrixUnit("own", [Own("fp16", 4)]), formats=("fp16", "fp16"))
