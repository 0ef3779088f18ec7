"""Precision schedules: when they switch, that they never go back, what they save, and what they refuse."""

import math
from typing import Any

import numpy as np
import pytest

import floatlab as fl
from floatlab.amp import PrecisionSchedule
from floatlab.errors import FormatError, OptionError, StateError


def course(schedule: PrecisionSchedule, losses: list[Any]) -> list[str]:
    """Return the format before each step."""
    found = []
    for loss in losses:
        found.append(schedule.format.name)
        schedule.step(loss)
    return found


def test_a_schedule_by_steps_switches_after_so_many_of_them_and_needs_no_loss() -> None:
    schedule = PrecisionSchedule(["e4m3", "e5m2", "fp16"], milestones=[2, 3])
    e4m3 = fl.get_format("e4m3").name
    assert course(schedule, [None, math.nan, "of no interest", 1.0]) == [
        e4m3,
        e4m3,
        fl.get_format("e5m2").name,
        "float16",
    ]
    assert (schedule.steps, schedule.stage) == (4, 2)


def test_a_schedule_by_the_loss_switches_below_the_limit_not_at_it_and_never_goes_back() -> None:
    schedule = PrecisionSchedule(["bf16", "fp16", "fp32"], below=[1.0, 0.5])
    losses = [2.0, 1.0, math.nan, 0.99, 3.0, 0.5, 0.4, 9.0]
    assert course(schedule, losses) == ["bfloat16"] * 4 + ["float16"] * 3 + ["float32"]


def test_a_loss_that_falls_far_skips_a_format() -> None:
    schedule = PrecisionSchedule(["bf16", "fp16", "fp32"], below=[1.0, 0.5])
    assert schedule.step(0.1) and schedule.format.name == "float32"
    assert not schedule.step(0.1)


@pytest.mark.parametrize("loss", [fl.Tensor(0.25), fl.Tensor([0.25]), np.float32(0.25), 0, -(10**400)])
def test_a_loss_is_a_number_or_a_tensor_of_one(loss: Any) -> None:
    schedule = PrecisionSchedule(["bf16", "fp32"], below=0.5)
    assert schedule.step(loss) and schedule.format.name == "float32"


def test_nothing_is_below_a_loss_that_is_infinite_or_nan() -> None:
    schedule = PrecisionSchedule(["bf16", "fp32"], below=0.5)
    assert not any(schedule.step(loss) for loss in (math.inf, math.nan, 10**400))


def test_a_single_format_needs_no_limit_and_stays() -> None:
    assert course(PrecisionSchedule(["e5m2"]), [None, 0.0]) == [fl.get_format("e5m2").name] * 2


def test_autocast_follows_the_schedule() -> None:
    schedule = PrecisionSchedule(["e4m3", "fp16"], milestones=1)
    x, found = fl.Tensor([[1.1]]), []
    for _ in range(2):
        with fl.amp.autocast(schedule.format):
            found.append((x @ x).format)
        schedule.step()
    assert found == list(schedule.formats)


def test_a_resumed_schedule_goes_on_as_if_nothing_had_happened() -> None:
    losses = [2.0, 0.9, 3.0, 0.1, 5.0]
    for limits in ({"milestones": [2, 4]}, {"below": [1.0, 0.5]}):
        whole = course(PrecisionSchedule(["bf16", "fp16", "fp32"], **limits), losses)
        for cut in range(5):
            first, second = (PrecisionSchedule(["bf16", "fp16", "fp32"], **limits) for _ in range(2))
            head = course(first, losses[:cut])
            second.load_state_dict(first.state_dict())
            assert head + course(second, losses[cut:]) == whole


@pytest.mark.parametrize(
    "state",
    [
        None,
        {},
        {"steps": 1},
        {"steps": 1, "stage": 0, "more": 1},
        {"steps": -1, "stage": 0},
        {"steps": 1.0, "stage": 0},
        {"steps": True, "stage": 0},
        {"steps": 5, "stage": 2},
        {"steps": 5, "stage": "1"},
    ],
)
@pytest.mark.parametrize("limits", [{"milestones": 3}, {"below": 3.0}])
def test_a_state_of_another_schedule_is_refused_and_changes_nothing(state: Any, limits: Any) -> None:
    schedule = PrecisionSchedule(["bf16", "fp32"], **limits)
    schedule.step(4.0)
    with pytest.raises(StateError, match="precision schedule"):
        schedule.load_state_dict(state)
    assert schedule.state_dict() == {"steps": 1, "stage": 0}


def test_a_stage_that_does_not_belong_to_the_steps_is_refused() -> None:
    by_steps = PrecisionSchedule(["bf16", "fp32"], milestones=3)
    for state in ({"steps": 2, "stage": 1}, {"steps": 3, "stage": 0}):
        with pytest.raises(StateError):
            by_steps.load_state_dict(state)
    with pytest.raises(StateError):
        PrecisionSchedule(["bf16", "fp32"], below=1.0).load_state_dict({"steps": 0, "stage": 1})


@pytest.mark.parametrize(
    ("formats", "limits", "words"),
    [
        ("fp16", {}, "list of at least one format"),
        (fl.get_format("fp16"), {}, "list of at least one format"),
        ([], {}, "list of at least one format"),
        (None, {}, "list of at least one format"),
        (["bf16", "fp16"], {}, "one limit between"),
        (["bf16", "fp16"], {"milestones": [1, 2]}, "one limit between"),
        (["bf16"], {"below": 1.0}, "one limit between"),
        (["bf16", "fp16"], {"milestones": 1, "below": 1.0}, "by steps or by the loss"),
        (["bf16", "fp16"], {"milestones": 0}, "whole numbers above 0"),
        (["bf16", "fp16"], {"milestones": 1.5}, "whole numbers above 0"),
        (["bf16", "fp16"], {"milestones": True}, "whole numbers above 0"),
        (["bf16", "fp16"], {"milestones": "10"}, "whole numbers above 0"),
        (["bf16", "fp16", "fp32"], {"milestones": [3, 3]}, "rise"),
        (["bf16", "fp16", "fp32"], {"below": [1.0, 2.0]}, "fall"),
        (["bf16", "fp16"], {"below": math.nan}, "finite"),
        (["bf16", "fp16"], {"below": [math.inf]}, "finite"),
        (["bf16", "fp16"], {"below": 10**400}, "finite"),
        (["bf16", "fp16"], {"below": None, "milestones": [None]}, "whole numbers"),
    ],
)
def test_limits_that_do_not_fit_are_refused(formats: Any, limits: Any, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        PrecisionSchedule(formats, **limits)


def test_an_unknown_format_is_refused_by_its_name() -> None:
    with pytest.raises(FormatError, match="fp17"):
        PrecisionSchedule(["fp17", "fp32"], milestones=1)


@pytest.mark.parametrize("loss", [None, "low", np.ones(3), fl.Tensor([1.0, 2.0]), True, 1j])
def test_what_is_no_loss_is_refused_and_is_no_step(loss: Any) -> None:
    schedule = PrecisionSchedule(["bf16", "fp32"], below=1.0)
    with pytest.raises(OptionError, match="told the loss"):
        schedule.step(loss)
    assert schedule.steps == 0


def test_it_shows_itself_as_it_is_made() -> None:
    assert repr(PrecisionSchedule(["bf16", "fp16"], below=0.5)) == (
        "PrecisionSchedule(['bfloat16', 'float16'], below=[0.5])"
    )
