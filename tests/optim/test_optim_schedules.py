"""Schedules beside PyTorch's, step by step: alone, two at once, with a hand in between, with groups added later."""

import math
from typing import Any

import numpy as np
import pytest
from torch_answers import answers

from floatlab import optim
from floatlab.autograd import Tensor
from floatlab.errors import OptionError, StateError
from floatlab.optim import lr_scheduler

STEPS = 50


def decay(n: int) -> float:
    return 0.97**n


def wave(n: int) -> float:
    return 1.0 + 0.5 * (-1) ** n


# One line a schedule: what PyTorch and floatlab are both told.
CASES: list[tuple[str, dict[str, Any]]] = [
    ("StepLR", {"step_size": 7}),
    ("StepLR", {"step_size": 1, "gamma": 0.9}),
    ("MultiStepLR", {"milestones": [3, 20, 20, 31], "gamma": 0.5}),
    ("MultiStepLR", {"milestones": [30, 10]}),
    ("ExponentialLR", {"gamma": 0.93}),
    ("ConstantLR", {}),
    ("ConstantLR", {"factor": 0.1, "total_iters": 13}),
    ("LinearLR", {}),
    ("LinearLR", {"start_factor": 0.2, "end_factor": 0.7, "total_iters": 20}),
    ("LinearLR", {"start_factor": 1.0, "end_factor": 0.0, "total_iters": 30}),
    ("PolynomialLR", {}),
    ("PolynomialLR", {"total_iters": 40, "power": 1.7}),
    ("CosineAnnealingLR", {"T_max": 10}),
    ("CosineAnnealingLR", {"T_max": 13, "eta_min": 0.01}),
    ("CosineAnnealingWarmRestarts", {"T_0": 5}),
    ("CosineAnnealingWarmRestarts", {"T_0": 4, "T_mult": 2, "eta_min": 0.003}),
    ("LambdaLR", {"lr_lambda": decay}),
    ("MultiplicativeLR", {"lr_lambda": wave}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 60}),
    ("OneCycleLR", {"max_lr": 0.5, "epochs": 6, "steps_per_epoch": 9, "three_phase": True}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 51, "anneal_strategy": "linear", "pct_start": 0.4}),
    ("OneCycleLR", {"max_lr": 0.5, "total_steps": 51, "cycle_momentum": False, "div_factor": 5.0}),
]
IDS = [f"{name}-{', '.join(options)}" for name, options in CASES]
NAMES = [f"{name} {index}" for index, (name, _) in enumerate(CASES)]
NAMED = list(zip(CASES, NAMES, strict=True))


class Ours:
    """What a scenario needs, in floatlab; `theirs` is the same in PyTorch."""

    schedules = lr_scheduler

    @staticmethod
    def optimizer(lr: float = 0.3, kind: str = "SGD", groups: int = 2, **options: Any) -> Any:
        weights = [Tensor([1.0], requires_grad=True) for _ in range(groups)]
        return getattr(optim, kind)(
            [{"params": [w], "lr": lr * (i + 1)} for i, w in enumerate(weights)], **options
        )

    @staticmethod
    def parameter() -> Any:
        return Tensor([1.0], requires_grad=True)


def theirs(torch: Any) -> Any:
    class Theirs:
        schedules = torch.optim.lr_scheduler

        @staticmethod
        def optimizer(lr: float = 0.3, kind: str = "SGD", groups: int = 2, **options: Any) -> Any:
            weights = [torch.ones(1, requires_grad=True) for _ in range(groups)]
            return getattr(torch.optim, kind)(
                [{"params": [w], "lr": lr * (i + 1)} for i, w in enumerate(weights)], **options
            )

        @staticmethod
        def parameter() -> Any:
            return torch.ones(1, requires_grad=True)

    return Theirs


def rates(optimizer: Any) -> list[float]:
    row = []
    for group in optimizer.param_groups:
        row += [float(group["lr"]), float(group.get("momentum", group.get("betas", (0.0,))[0]))]
    return row


def compare(name: str, scenario: Any, rtol: float = 1e-9) -> None:
    expected = answers(f"schedules: {name}", lambda torch: np.array(scenario(theirs(torch))))
    np.testing.assert_allclose(np.array(scenario(Ours)), expected, rtol=rtol, atol=1e-15)


def follow(optimizer: Any, *schedules: Any, steps: int = STEPS, between: Any = None) -> list[float]:
    seen = rates(optimizer)
    for n in range(steps):
        if between is not None:
            between(n, optimizer)
        optimizer.step()
        for schedule in schedules:
            schedule.step()
        seen += rates(optimizer)
    return seen


@pytest.mark.parametrize(("case", "name"), NAMED, ids=IDS)
def test_fifty_steps_follow_torch(case: Any, name: str) -> None:
    def scenario(its: Any) -> Any:
        optimizer = its.optimizer(momentum=0.5)
        return follow(optimizer, getattr(its.schedules, case[0])(optimizer, **case[1]))

    compare(name, scenario)


@pytest.mark.parametrize(("case", "name"), NAMED, ids=IDS)
def test_a_rate_changed_by_hand_survives_where_it_does_in_torch(case: Any, name: str) -> None:
    def by_hand(n: int, optimizer: Any) -> None:
        if n in (6, 25):
            optimizer.param_groups[0]["lr"] *= 0.1
        if n == 33:
            optimizer.param_groups[1]["lr"] = 0.05

    def scenario(its: Any) -> Any:
        optimizer = its.optimizer(momentum=0.5)
        schedule = getattr(its.schedules, case[0])(optimizer, **case[1])
        return follow(optimizer, schedule, between=by_hand)

    compare(f"by hand, {name}", scenario)


PAIRS = [
    (a, b)
    for a in ("StepLR 0", "ExponentialLR 4", "LinearLR 8", "CosineAnnealingLR 13", "LambdaLR 16")
    for b in ("MultiStepLR 2", "ConstantLR 6", "LinearLR 7", "CosineAnnealingLR 12", "MultiplicativeLR 17")
]


@pytest.mark.parametrize("second", ["ExponentialLR", "ReduceLROnPlateau", "ChainedScheduler", "SequentialLR"])
def test_the_last_rate_of_a_schedule_is_the_one_that_it_left_whatever_came_after(second: str) -> None:
    def scenario(library: Any) -> list[float]:
        module, optimizer = library.schedules, library.optimizer(lr=0.8)
        first = module.StepLR(optimizer, step_size=2, gamma=0.5)
        step = {}
        if second == "ReduceLROnPlateau":
            other = module.ReduceLROnPlateau(optimizer, patience=0, factor=0.5)
            step = {"metrics": 1.0}
        elif second == "ExponentialLR":
            other = module.ExponentialLR(optimizer, gamma=0.5)
        else:
            parts = [module.ExponentialLR(optimizer, gamma=0.5), module.StepLR(optimizer, step_size=1)]
            if second == "ChainedScheduler":
                other = module.ChainedScheduler(parts)
            else:
                other = module.SequentialLR(optimizer, parts, milestones=[2])
        seen = []
        for n in range(6):
            optimizer.step()
            first.step()
            other.step(**step)
            if n == 3:
                optimizer.param_groups[0]["lr"] *= 0.1
            seen += [*first.get_last_lr(), *other.get_last_lr()]
        return seen

    compare(f"last rate beside {second}", scenario)


def test_a_loaded_schedule_has_the_rates_in_force_as_its_last() -> None:
    optimizer = Ours.optimizer(lr=0.8)
    schedule = lr_scheduler.StepLR(optimizer, step_size=1, gamma=0.5)
    state = schedule.state_dict()
    schedule.step()
    schedule.get_last_lr().append(3.0)  # a list of its own
    assert schedule.get_last_lr() == [0.4, 0.8]
    schedule.load_state_dict(state)
    assert schedule.get_last_lr() == [0.8, 1.6]


@pytest.mark.parametrize("pair", PAIRS, ids=" and ".join)
def test_two_schedules_on_one_optimizer_multiply_as_in_torch(pair: tuple[str, str]) -> None:
    def scenario(its: Any) -> Any:
        optimizer = its.optimizer()
        made = []
        for name in pair:
            kind, options = CASES[NAMES.index(name)]
            made.append(getattr(its.schedules, kind)(optimizer, **options))
        return follow(optimizer, *made)

    compare(f"{pair[0]} and {pair[1]}", scenario)


@pytest.mark.parametrize(
    "name", ["StepLR 0", "ExponentialLR 4", "LinearLR 8", "CosineAnnealingLR 13", "PolynomialLR 11"]
)
def test_a_group_that_is_added_later_joins_at_its_own_rate(name: str) -> None:
    kind, options = CASES[NAMES.index(name)]

    def scenario(its: Any) -> Any:
        optimizer = its.optimizer()
        schedule = getattr(its.schedules, kind)(optimizer, **options)
        seen = follow(optimizer, schedule, steps=9)
        optimizer.add_param_group({"params": [its.parameter()], "lr": 0.7})
        return [*seen, *follow(optimizer, schedule, steps=30)]

    if kind == "CosineAnnealingLR":  # PyTorch has no base rate for it; ours is the rate that it came with
        optimizer = Ours.optimizer()
        schedule = lr_scheduler.CosineAnnealingLR(optimizer, **options)
        follow(optimizer, schedule, steps=9)
        optimizer.add_param_group({"params": [Ours.parameter()], "lr": 0.7})
        schedule.step()
        assert len(schedule.get_last_lr()) == 3
        assert schedule.base_lrs == [0.3, 0.6, 0.7]
        return
    compare(f"a group added later, {name}", scenario)


def test_a_second_schedule_starts_from_the_initial_rate() -> None:
    def scenario(its: Any) -> Any:
        optimizer = its.optimizer()
        first = its.schedules.ExponentialLR(optimizer, gamma=0.5)
        seen = follow(optimizer, first, steps=5)
        second = its.schedules.CosineAnnealingLR(optimizer, T_max=8)
        third = its.schedules.LambdaLR(optimizer, decay)
        return [*seen, *second.base_lrs, *third.base_lrs, *follow(optimizer, second, steps=10)]

    compare("a second schedule", scenario)


def test_plans_follow_torch() -> None:
    def one_after_the_other(its: Any) -> Any:
        s, optimizer = its.schedules, its.optimizer()
        plan = [
            s.LinearLR(optimizer, start_factor=0.1, total_iters=5),
            s.CosineAnnealingLR(optimizer, T_max=20),
            s.ExponentialLR(optimizer, gamma=0.9),
            s.LambdaLR(optimizer, decay),
        ]
        return follow(optimizer, s.SequentialLR(optimizer, plan, milestones=[5, 25, 40]))

    def by_hand(its: Any) -> Any:
        s, optimizer = its.schedules, its.optimizer()
        plan = [s.ConstantLR(optimizer, factor=0.1, total_iters=5), s.StepLR(optimizer, 3, gamma=0.5)]
        schedule = s.SequentialLR(optimizer, plan, milestones=[10])

        def change(n: int, optimizer: Any) -> None:
            if n in (7, 22):
                optimizer.param_groups[0]["lr"] *= 0.3

        return follow(optimizer, schedule, between=change)

    def together(its: Any) -> Any:
        s, optimizer = its.schedules, its.optimizer()
        plan = [s.ConstantLR(optimizer, factor=0.1, total_iters=15), s.ExponentialLR(optimizer, gamma=0.9)]
        return follow(optimizer, s.ChainedScheduler(plan))

    compare("one after the other", one_after_the_other)
    compare("one after the other, by hand", by_hand)
    compare("together", together)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"patience": 2, "factor": 0.5, "cooldown": 3},
        {"mode": "max", "patience": 1, "threshold": 0.1},
        {"threshold_mode": "abs", "threshold": 0.05, "patience": 0, "min_lr": 0.01},
        {"mode": "max", "threshold_mode": "abs", "patience": 3, "min_lr": [0.2, 0.001], "eps": 0.05},
    ],
    ids=str,
)
def test_a_plateau_follows_torch(options: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    losses = [float(x) for x in np.exp(-np.arange(STEPS) / 10) + rng.normal(0, 0.1, STEPS)]
    losses[17] = math.nan

    def scenario(its: Any) -> Any:
        optimizer = its.optimizer()
        schedule = its.schedules.ReduceLROnPlateau(optimizer, **options)
        seen = rates(optimizer)
        for loss in losses:
            schedule.step(loss)
            seen += [*rates(optimizer), schedule.best, schedule.num_bad_epochs, schedule.cooldown_counter]
        return seen

    compare(f"plateau {options}", scenario)


def test_warm_restarts_take_fractions_of_an_epoch_as_torch_does() -> None:
    def scenario(its: Any) -> Any:
        optimizer = its.optimizer()
        schedule = its.schedules.CosineAnnealingWarmRestarts(optimizer, T_0=3, T_mult=2)
        seen = []
        for n in range(40):
            schedule.step(n / 4)
            seen += rates(optimizer)
        return seen

    compare("fractions", scenario)


# -- saving and loading --------------------------------------------------------------------------------


@pytest.mark.parametrize(("case", "name"), NAMED, ids=IDS)
@pytest.mark.parametrize("optimizer_first", [False, True])
def test_a_saved_schedule_goes_on_as_if_nothing_had_been(case: Any, name: str, optimizer_first: bool) -> None:
    kind, options = case

    def start() -> Any:
        optimizer = Ours.optimizer(momentum=0.5)
        return optimizer, getattr(lr_scheduler, kind)(optimizer, **options)

    optimizer, schedule = start()
    follow(optimizer, schedule, steps=17)
    optimizer.param_groups[0]["lr"] *= 0.9  # a change that only the optimizer knows of
    other, resumed = start()
    parts = [(other, optimizer.state_dict()), (resumed, schedule.state_dict())]
    for part, state in parts if optimizer_first else reversed(parts):
        part.load_state_dict(state)
    assert follow(optimizer, schedule, steps=25) == follow(other, resumed, steps=25)


def test_a_state_restores_the_settings_that_it_holds() -> None:
    optimizer = Ours.optimizer()
    saved = lr_scheduler.StepLR(optimizer, 2, gamma=0.5).state_dict()
    other = Ours.optimizer()
    schedule = lr_scheduler.StepLR(other, 5, gamma=0.1)
    schedule.load_state_dict(saved)
    for _ in range(2):
        schedule.step()
    assert (schedule.step_size, schedule.gamma, schedule.get_last_lr()) == (2, 0.5, [0.15, 0.3])


def test_a_state_of_an_older_file_is_still_loaded() -> None:
    sgd = Ours.optimizer()
    schedule = lr_scheduler.StepLR(sgd, 2, gamma=0.5)
    schedule.load_state_dict({"schedule": "StepLR", "last_epoch": 5, "base_lrs": [0.4, 0.8]})
    assert schedule.get_last_lr() == [0.1, 0.2]
    schedule.step()
    assert schedule.get_last_lr() == [0.05, 0.1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda s: 5,
        lambda s: {},
        lambda s: {**s, "schedule": "ExponentialLR"},
        lambda s: {**s, "base_lrs": [0.1]},
        lambda s: {**s, "base_lrs": 0.1},
        lambda s: {**s, "last_epoch": "3"},
        lambda s: {**s, "lrs": [0.1, math.nan]},
        lambda s: {**s, "lrs": [0.1, -0.1]},
        lambda s: {**s, "settings": {"step_size": 0, "gamma": 0.1}},
        lambda s: {**s, "settings": {"step_size": 1, "gamma": math.nan}},
        lambda s: {**s, "settings": {"step_size": 1, "gamma": "a"}},
    ],
)
def test_a_damaged_state_is_refused_and_changes_nothing(damage: Any) -> None:
    sgd = Ours.optimizer()
    schedule = lr_scheduler.StepLR(sgd, 2)
    before = schedule.state_dict()
    with pytest.raises(StateError):
        schedule.load_state_dict(damage(schedule.state_dict()))
    assert schedule.state_dict() == before


def test_the_states_of_plans_are_held_to_their_schedules() -> None:
    def start() -> Any:
        sgd = Ours.optimizer()
        first, second = lr_scheduler.LinearLR(sgd), lr_scheduler.ExponentialLR(sgd, 0.5)
        return sgd, lr_scheduler.SequentialLR(sgd, [first, second], milestones=[4])

    sgd, plan = start()
    follow(sgd, plan, steps=6)
    other, resumed = start()
    resumed.load_state_dict(plan.state_dict())
    assert follow(sgd, plan, steps=5) == follow(other, resumed, steps=5)
    saved = plan.state_dict()
    for broken in (
        {**saved, "schedules": saved["schedules"][:1]},
        {**saved, "schedules": saved["schedules"][::-1]},
    ):
        with pytest.raises(StateError):
            resumed.load_state_dict(broken)


# -- bad input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda s, o: s.StepLR(o, 2, -0.1), "gamma is at least 0"),
        (lambda s, o: s.StepLR(o, 2, math.nan), "gamma is a finite number"),
        (lambda s, o: s.StepLR(o, 2, last_epoch=4), "load_state_dict"),
        (lambda s, o: s.MultiStepLR(o, 5), "milestones are several steps"),
        (lambda s, o: s.MultiStepLR(o, [2.5]), "A milestone"),
        (lambda s, o: s.ExponentialLR(o, "a"), "gamma"),
        (lambda s, o: s.ExponentialLR(o, -0.5), "gamma"),
        (lambda s, o: s.ConstantLR(o, 1.5), r"factor lies in \[0, 1\]"),
        (lambda s, o: s.ConstantLR(o, total_iters=2.5), "total_iters"),
        (lambda s, o: s.LinearLR(o, start_factor=-0.1), "start_factor"),
        (lambda s, o: s.LinearLR(o, end_factor=math.nan), "end_factor"),
        (lambda s, o: s.PolynomialLR(o, power=-1.0), "power"),
        (lambda s, o: s.CosineAnnealingLR(o, 5, eta_min=-0.1), "eta_min"),
        (lambda s, o: s.CosineAnnealingWarmRestarts(o, 0), "T_0"),
        (lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, 1.5), "T_mult"),
        (lambda s, o: s.CosineAnnealingWarmRestarts(o, 2).step(-1), "position"),
        (lambda s, o: s.OneCycleLR(o, 0.1), "total_steps"),
        (lambda s, o: s.OneCycleLR(o, 0.1, 10, pct_start=2), "pct_start"),
        (lambda s, o: s.OneCycleLR(o, 0.1, 10, anneal_strategy="cosine"), 'Use "cos"'),
        (lambda s, o: s.OneCycleLR(o, [0.1], 10), "one a group"),
        (lambda s, o: s.OneCycleLR(o, "a", 10), "max_lr"),
        (lambda s, o: s.OneCycleLR(o, 0.1, 10, div_factor=0), "div_factor"),
        (lambda s, o: s.OneCycleLR(Ours.optimizer(kind="Adagrad"), 0.1, 10), "cycle_momentum=False"),
        (lambda s, o: s.SequentialLR(o, [], []), "at least one"),
        (lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [3]), "one fewer"),
        (lambda s, o: s.SequentialLR(o, [o], []), "Got SGD"),
        (lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o)], []), "Got ReduceLROnPlateau"),
        (lambda s, o: s.ChainedScheduler([s.StepLR(o, 1), s.StepLR(Ours.optimizer(), 1)]), "one optimizer"),
        (lambda s, o: s.ReduceLROnPlateau(o, mode="lower"), "mode"),
        (lambda s, o: s.ReduceLROnPlateau(o, factor=1.0), "below 1"),
        (lambda s, o: s.ReduceLROnPlateau(o, patience=-1), "patience"),
        (lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]), "min_lr"),
        (lambda s, o: s.ReduceLROnPlateau(o).step(), "step.loss."),
        (lambda s, o: s.ReduceLROnPlateau(o).step("low"), "Got 'low'"),
        (lambda s, o: s.LambdaLR(o, lambda n: math.nan), "at least 0. Got nan"),
        (lambda s, o: s.LambdaLR(o, lambda n: -1.0), "Got -0.3 from LambdaLR at step 0"),
        (lambda s, o: s.LambdaLR(o, lambda n: "a"), "returns a number"),
        (lambda s, o: s.MultiplicativeLR(o, lambda n: -0.5).step(), "MultiplicativeLR at step 1"),
        (lambda s, o: s.StepLR(o, 2).step(5), "counts its steps itself"),
        (lambda s, o: s.LinearWarmup(o, 2, after=s.ReduceLROnPlateau(o)), "SequentialLR"),
        (lambda s, o: s.StepLR("sgd", 2), "Got str"),
        (lambda s, o: s.OneCycleLR("sgd", 0.1, 10), "Got str"),
        (lambda s, o: s.SequentialLR("sgd", [s.StepLR(o, 1)], []), "one optimizer"),
    ],
)
def test_what_leads_to_no_rate_is_refused(make: Any, words: str) -> None:
    sgd = Ours.optimizer()
    with pytest.raises(OptionError, match=words):
        make(lr_scheduler, sgd)


def test_a_step_that_fails_changes_no_rate_and_no_count() -> None:
    sgd = Ours.optimizer()
    schedule = lr_scheduler.LambdaLR(sgd, [lambda n: 0.5**n, lambda n: math.nan if n == 2 else 1.0])
    schedule.step()
    before = schedule.get_last_lr()
    for _ in range(2):
        with pytest.raises(OptionError, match="Got nan from LambdaLR at step 2 for group 1"):
            schedule.step()
        assert (schedule.get_last_lr(), schedule.last_epoch) == (before, 1)


def test_a_cycle_has_as_many_steps_as_it_was_made_for() -> None:
    sgd = Ours.optimizer()
    schedule = lr_scheduler.OneCycleLR(sgd, 0.1, total_steps=3, cycle_momentum=False)
    for _ in range(3):
        schedule.step()
    with pytest.raises(StateError, match="step 4 of 3"):
        schedule.step()


def test_one_function_serves_a_group_that_is_added_later_and_a_list_of_them_does_not() -> None:
    for functions in (decay, [decay, decay]):
        sgd = Ours.optimizer()
        schedule = lr_scheduler.LambdaLR(sgd, functions)
        sgd.add_param_group({"params": [Ours.parameter()], "lr": 2.0})
        if functions is decay:
            schedule.step()
            assert schedule.get_last_lr()[2] == 2.0 * 0.97
        else:
            with pytest.raises(OptionError, match="group 2, which was added later"):
                schedule.step()


@pytest.mark.parametrize("lr", ["a", None, math.nan, -1.0])
def test_a_rate_that_is_none_is_refused_by_the_step(lr: Any) -> None:
    sgd = Ours.optimizer()
    for p in sgd.parameters():
        p.grad = Tensor([1.0])
    sgd.param_groups[1]["lr"] = lr
    with pytest.raises(OptionError, match="lr"):
        sgd.step()
    assert [p.item() for p in sgd.parameters()] == [1.0, 1.0]
