"""Neighbours of the listed settings: drawn by a seed alone, within the stated reach, and judged as the others are."""

from __future__ import annotations

import math
import re
from dataclasses import fields

import pytest

from floatlab.errors import OptionError
from floatlab.experiments import registry
from floatlab.experiments.harness.neighbours import changes, neighbourhood, neighbours
from floatlab.formats import get_format


def origin(run, experiment):
    return next(one for one in experiment.runs if run.run.startswith(f"{one.run}, neighbour"))


@pytest.mark.parametrize("name", registry.names())
def test_a_neighbour_lies_within_the_reach_that_its_experiment_states(name):
    experiment = registry.get(name)
    assert experiment.vary
    drawn = neighbours(experiment.runs, experiment.vary, 30, seed=11)
    for run in drawn:
        listed = origin(run, experiment)
        for field in fields(run):
            old, new = getattr(listed, field.name), getattr(run, field.name)
            if field.name not in experiment.vary:
                assert old == new or field.name == "run"
            elif isinstance(old, str):
                pairs = zip(re.split(":", old), re.split(":", new), strict=True)
                for before, after in pairs:
                    if before != after:
                        a, b = get_format(before), get_format(after)
                        assert (
                            abs(a.exponent_bits - b.exponent_bits) <= 1
                            and abs(a.mantissa_bits - b.mantissa_bits) <= 1
                        )
                        assert a.specials == b.specials
            else:
                room = (
                    0.5 if isinstance(old, int) else 0.01 * old
                )  # rounded to whole numbers, or to three digits
                assert (
                    old / experiment.vary[field.name] - room
                    <= new
                    <= old * experiment.vary[field.name] + room
                )
                assert type(new) is type(old)
        assert math.log2(run.initial_scale) % 1 == 0 and (run.initial_scale == 1.0) == (
            listed.initial_scale == 1.0
        )
    assert len({origin(run, experiment).run for run in drawn}) > 2
    assert all(changes(run, experiment.runs) for run in drawn) or name == "accumulation-width"


def test_the_draw_depends_on_its_seed_alone():
    experiment = registry.get("cnn")
    first = neighbours(experiment.runs, experiment.vary, 6, seed=1)
    assert first == neighbours(experiment.runs, experiment.vary, 6, seed=1)
    assert first != neighbours(experiment.runs, experiment.vary, 6, seed=2)
    assert first[:3] == neighbours(experiment.runs, experiment.vary, 3, seed=1)


def test_fp32_has_no_neighbours_for_it_is_what_others_are_judged_by():
    experiment = registry.get("through-time")
    drawn = neighbours(experiment.runs, experiment.vary, 40, seed=3)
    assert {origin(run, experiment).run for run in drawn} == {run.run for run in experiment.runs} - {"fp32"}


@pytest.mark.parametrize(("count", "vary"), [(0, {"epsilon": 2.0}), (3, {})])
def test_neighbours_that_are_none_are_refused(count, vary):
    with pytest.raises(OptionError, match="at least 1"):
        neighbours(registry.get("cnn").runs, vary, count)


def test_a_neighbourhood_claims_nothing_beside_its_verdicts():
    experiment = neighbourhood(registry.get("optimizer-state"), 4, 5)
    assert len(experiment.runs) == 4 and experiment.claims([]) == [] and "4 neighbours" in experiment.title


def test_the_command_prints_how_many_verdicts_of_neighbours_were_right(tmp_path, monkeypatch):
    from dataclasses import replace

    from test_experiments_criterion import WALKS, walks
    from typer.testing import CliRunner

    from floatlab import cli

    monkeypatch.setitem(registry.EXPERIMENTS, "walks", replace(walks(WALKS), vary={"slope": 3.0}))
    arguments = [
        "run",
        "walks",
        "--neighbours",
        "5",
        "--neighbour-seed",
        "2",
        "--seeds",
        "7,8",
        "--jobs",
        "1",
    ]
    result = CliRunner().invoke(cli.app, [*arguments, "--out", str(tmp_path)])
    found = re.search(r"neighbouring settings that were right: (\d+) of 10", result.output)
    assert found and result.output.count(": slope 0.") == 5, result.output
