"""The proof of matrix units: a wrong parameter is found by name, recorded rows are compared or said to be missing."""

import json
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from matrix_unit_vectors import DATA

import floatlab as fl
from floatlab import verify as proof
from floatlab.errors import DataError
from floatlab.formats import get_format
from floatlab.matrix_units.aligned import Aligned
from floatlab.matrix_units.catalogue import CHIPS
from floatlab.matrix_units.instruction import Instruction
from floatlab.matrix_units.scaled import BlockScaled
from floatlab.verify import chips, units, vectors
from floatlab.verify.fuzz.case import difference
from floatlab.verify.fuzz.checks import CHECKS
from floatlab.verify.fuzz.shrink import shrink


def task(unit, operand, part="integers"):
    """Return the task of a unit and a format of operands."""
    fmt = get_format(operand)
    return next(t for t in units.tasks(False, [fmt]) if t.detail == unit and t.part.endswith(part))


def with_other_bits(how, more):
    return replace(how, fraction_bits=how.fraction_bits + more)


# -- the section -----------------------------------------------------------------------------------------


def test_every_instruction_of_the_catalogue_has_its_task():
    planned = {(t.detail, t.subject) for t in proof.plan(sections=["units"]) if "scales" not in t.part}
    for chip in CHIPS:
        for suffix in ("", *CHIPS[chip]().variants):
            unit = fl.get_unit(f"{chip}:{suffix}".rstrip(":"))
            for how in (one for one in unit.instructions if not isinstance(one, BlockScaled)):
                for fmt in how.operands:
                    names = [name for name, subject in planned if subject == fmt.name]
                    assert any(how in fl.get_unit(name).instructions for name in names), (unit, fmt)


def test_every_instruction_with_scales_has_its_task_and_a_task_one_name():
    planned = proof.plan(sections=["units"])
    assert len({t.id for t in planned}) == len(planned)
    with_scales = {(t.part, t.detail, t.subject) for t in planned if ", scales, " in t.part}
    assert len(with_scales) == 2 * (3 + 5)  # two chips; four bits in three ways, and five formats in one
    assert {detail for _, detail, _ in with_scales} >= {"mxf4nvf4 float8_e4m3fn", "mxf8f6f4 float8_e8m0fnu"}


@pytest.mark.parametrize(
    ("called", "operand", "more"),
    [("mxf4nvf4 float8_e4m3fn", "e2m1", -2), ("mxf8f6f4", "e4m3", -2), ("mxf8f6f4", "e4m3", 2)],
)
def test_another_cut_of_scaled_blocks_is_found_by_name(monkeypatch, called, operand, more):
    fmt = get_format(operand)
    asked = next(t for t in units.tasks(False, [fmt]) if t.detail.startswith(called) and "b200" in t.part)
    assert units.check(asked).disagreements == 0
    each = list(units._each())
    wrong = [
        (name, with_other_bits(how, more) if isinstance(how, BlockScaled) else how) for name, how in each
    ]
    monkeypatch.setattr(units, "_each", lambda: iter(wrong))
    outcome = units.check(asked)
    assert outcome.disagreements > 0
    assert outcome.examples[0].startswith(f"b200:{called.partition(' ')[0]}, {fmt} by ")


@pytest.mark.parametrize("unit", ["v100", "h100:mma.sync", "mi300", "avx512_bf16"])
def test_units_agree_with_integers(unit):
    operand = {"v100": "fp16", "h100:mma.sync": "e5m2", "mi300": "tf32", "avx512_bf16": "bf16"}[unit]
    outcome = units.check(task(unit, operand))
    assert (outcome.disagreements, outcome.comparisons) == (0, 960)


def test_the_fast_way_agrees_with_the_readable_one_on_numbers_that_both_take():
    outcome = units.check(task("h100", "bf16", "readable version"))
    assert (outcome.disagreements, outcome.comparisons, outcome.excluded) == (0, 24_000, {})


@pytest.mark.parametrize(("unit", "operand"), [("h100", "fp16"), ("ada", "e4m3"), ("b200:fp16", "fp16")])
@pytest.mark.parametrize("more", [-1, 1])
def test_one_fraction_bit_more_or_less_is_found_by_name(monkeypatch, unit, operand, more):
    right, asked = fl.get_unit(unit), task(unit, operand)
    wrong = replace(right, instructions=tuple(with_other_bits(how, more) for how in right.instructions))
    monkeypatch.setattr(units, "get_unit", lambda name: wrong)
    outcome = units.check(asked)
    assert outcome.disagreements > 10
    assert f"{unit}, {get_format(operand)} * " in outcome.examples[0]


@pytest.mark.parametrize("more", [-1, 1])
def test_a_fast_way_with_another_cut_is_found_by_name(monkeypatch, more):
    right = units.chain_in_tiles
    monkeypatch.setattr(units, "chain_in_tiles", lambda how, *rest: right(with_other_bits(how, more), *rest))
    outcome = units.check(task("a100", "bf16", "readable version"))
    assert outcome.disagreements > 100
    assert outcome.examples[0].startswith("a100, bfloat16 * bfloat16, ")


@pytest.mark.parametrize(("unit", "operand"), [("v100:fp16", "fp16"), ("h100", "bf16"), ("a100", "tf32")])
@pytest.mark.parametrize("more", [-1, 1])
def test_an_exponent_of_zeros_one_more_or_less_is_found(monkeypatch, unit, operand, more):
    right, asked = fl.get_unit(unit), task(unit, operand)
    moved = tuple(replace(how, zero_exponent=how.zero_exponent + more) for how in right.instructions)
    wrong = replace(right, instructions=moved)
    monkeypatch.setattr(units, "get_unit", lambda name: wrong)
    outcome = units.check(asked)
    assert outcome.disagreements > 0
    assert "near underflow" in outcome.examples[0]


def test_parameters_are_typed_apart_from_the_catalogue():
    source = (DATA.parent.parent / "floatlab" / "verify" / "chips.py").read_text()
    assert "import" in source and "floatlab.matrix_units import" not in source
    assert "from floatlab.matrix_units" not in source
    for (unit, suffix, operand), core in chips.TENSOR_CORES.items():
        fmt = get_format(operand)
        how = fl.get_unit(f"{unit}:{suffix}" if suffix else unit).instruction(fmt, fmt)
        assert isinstance(how, Aligned)
        assert (how.fraction_bits, how.block) == (core.fraction_bits, core.block)


# -- random calls ----------------------------------------------------------------------------------------


def test_random_calls_of_units_agree_and_have_all_that_can_be_said():
    draw, check = Random(20), CHECKS["unit"]
    cases = [check.draw(draw) for _ in range(40)]
    assert not [found for case in cases if (found := difference(case, check))]
    assert {case.what for case in cases} == {"plain", "no bias", "arrays", "context"}
    assert {case.kinds[3] for case in cases} == {0, 64, 128} and {case.kinds[4] for case in cases} == {
        True,
        False,
    }
    assert any(case.kinds[1] != case.kinds[2] for case in cases)
    assert len({case.kinds[0] for case in cases}) > 15


def test_a_unit_with_another_cut_is_found_by_random_calls_and_made_small(monkeypatch):
    right, matmul = fl.get_unit("h100"), fl.matmul
    wrong = replace(right, instructions=tuple(with_other_bits(how, -1) for how in right.instructions))

    def with_fault(a, b, fmt, **options):
        if options.get("unit") == "h100":
            options["unit"] = wrong
        return matmul(a, b, fmt, **options)

    monkeypatch.setattr(fl, "matmul", with_fault)
    draw, check = Random(1), CHECKS["unit"]
    cases = (check.draw(draw) for _ in range(4000))
    case = next(
        c
        for c in cases
        if c.kinds[0] == "h100" and c.shape[1] < 40 and c.what == "plain" and difference(c, check)
    )
    small, line = shrink(case, check)
    assert small.shape[0] == small.shape[2] == 1 and small.shape[1] <= case.shape[1]
    assert "unit='h100" in line and "should be" in line
    monkeypatch.undo()
    assert difference(small, check) is None


# -- recorded rows ---------------------------------------------------------------------------------------


def some_rows(folder, every=40):
    """Copy a file of a model's results, a few rows of each instruction, into a folder."""
    with np.load(DATA / "model_nvidia.npz") as z:
        arrays = {key: z[key] if key == "meta" else z[key][::every] for key in z.files}
    np.savez(folder / "model_nvidia.npz", **arrays)
    return sum(len(x) for key, x in arrays.items() if key.endswith("|d"))


def test_recorded_rows_are_computed_and_counted(tmp_path):
    count = some_rows(tmp_path)
    report = vectors.compare(tmp_path)
    assert (report.disagreements, report.comparisons) == (0, count)
    assert {line.part for line in report.lines} == {"model_nvidia.npz", "tensorcore_*.npz"}
    assert any("v100" in line.subject for line in report.lines)


def test_a_report_says_that_no_results_of_gpus_were_there(tmp_path):
    some_rows(tmp_path)
    report = vectors.compare(tmp_path)
    assert f"none lies in {tmp_path}" in report.summary
    assert "tensorcore_*.npz" in report.summary


def test_rows_of_integers_and_of_scales_are_compared_with_the_reference_and_said_so(tmp_path):
    with np.load(DATA / "cpu_vnni.npz") as z:
        np.savez(tmp_path / "cpu_vnni.npz", **{key: z[key][:5] if z[key].ndim else z[key] for key in z.files})
    report = vectors.compare(tmp_path)
    assert report.disagreements == 0 and report.comparisons >= 15
    assert all("floatlab.reference" in why for line in report.lines for why in line.excluded)


def test_a_recorded_row_that_is_not_computed_is_found_by_name(tmp_path, monkeypatch):
    some_rows(tmp_path)
    right = vectors.get_unit

    def wrong(name):
        unit = right(name)
        if name != "h100:bias_first":
            return unit
        return replace(unit, instructions=tuple(with_other_bits(how, -1) for how in unit.instructions))

    monkeypatch.setattr(vectors, "get_unit", wrong)
    report = vectors.compare(tmp_path)
    assert report.disagreements > 0
    assert all("h100" in line.subject for line in report.lines if line.disagreements)
    assert "model_nvidia.npz h100" in next(x for line in report.lines for x in line.examples)
    assert proof.vectors_command(tmp_path, out=tmp_path) == 1


def test_nothing_compared_is_no_success(tmp_path):
    with pytest.raises(DataError, match="has none of them"):
        proof.vectors_command(tmp_path, out=tmp_path)
    with pytest.raises(DataError, match="has none of them"):
        vectors.compare(tmp_path / "nowhere")


def test_a_broken_file_of_rows_is_an_error_of_ours(tmp_path):
    (tmp_path / "model_x.npz").write_bytes(b"PK broken")
    with pytest.raises(DataError, match="Fetch it again"):
        vectors.compare(tmp_path)


@pytest.mark.parametrize("lost", ["meta", "v100 fp16 fp32|a"])
def test_a_file_without_some_of_its_arrays_is_an_error_of_ours(tmp_path, lost):
    with np.load(DATA / "model_nvidia.npz") as z:
        np.savez(tmp_path / "model_nvidia.npz", **{key: z[key] for key in z.files if key != lost})
    with pytest.raises(DataError, match=f"{lost.split('|')[0]}.*Fetch it again"):
        vectors.compare(tmp_path)


def test_the_command_of_vectors_writes_its_report_and_ends_well(tmp_path, capsys, monkeypatch):
    count = some_rows(tmp_path)
    from floatlab.cli import main

    monkeypatch.setattr(
        "sys.argv", ["floatlab", "verify", "--vectors", str(tmp_path), "--out", str(tmp_path)]
    )
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "0 disagreements" in capsys.readouterr().out.replace("\n", " ")
    assert json.loads((tmp_path / "vectors" / "report.json").read_text())["form"] == "vectors"
    assert f"{count:,} results compared" in (tmp_path / "vectors" / "report.md").read_text()


def test_vectors_are_compared_by_themselves(capsys, monkeypatch):
    from floatlab.cli import main

    monkeypatch.setattr("sys.argv", ["floatlab", "verify", "--vectors", "x", "--full"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code
    assert "compared by themselves" in capsys.readouterr().err.replace("\n", " ")


def test_the_readable_version_is_what_a_stack_of_products_takes():
    """The proof compares it with integers so; if stacks became fast, it would no longer be looked at."""
    seen = []
    how = fl.get_unit("h100").instruction(get_format("fp16"), get_format("fp16"))

    class Watched(type(how)):
        def chain(self, *args):
            seen.append(1)
            return Instruction.chain(self, *args)

    watched = Watched(**{name: getattr(how, name) for name in how.__dataclass_fields__})
    unit = replace(fl.get_unit("h100"), instructions=(watched,))
    fl.matmul(np.ones((1, 4, 40)), np.ones((1, 40, 4)), "fp32", unit=unit, formats=("fp16", "fp16"))
    assert seen


def test_a_negative_zero_that_comes_first_stays_one_as_on_silicon():
    """VDPBF16PS of products -0 and c = -0 is -0 on a Zen 5: the accumulator begins with the bias as it is."""
    a, b, c = np.array([[-0.0, 0.0]]), np.array([[1.0], [-1.0]]), np.array([[-0.0]])
    options = {"formats": ("bf16", "bf16"), "bias": c, "bias_first": True}
    assert np.signbit(fl.matmul(a, b, "fp32", unit="avx512_bf16", **options))[0, 0]
    assert not np.signbit(fl.matmul(a, b, "fp32", unit="h100", **options))[0, 0]
