"""What do all optimizers share? Parameter groups, formats, the step, and a state that can be saved.

An optimizer holds groups of parameters, a dictionary of state for each parameter, and three choices of
format:

    weights fp32                                  ordinary training; with autocast: mixed precision
    weights fp16, bf16 or fp8                     pure low precision: state and update in the weights' format
    weights low, master_weights=True              an fp32 copy is updated, and rounded into the weights

`state_format` puts the state alone into another format; `rounding="stochastic"` rounds the new weights at
random, so that an update too small for the format still counts on average. These choices are its own: a step is no
operation of a graph, and what `floatlab.arithmetic` says about those does not change it.

The names, defaults and order of the operations are PyTorch's (torch.optim, the single-tensor forms).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from floatlab.autograd import Tensor
from floatlab.autograd.rounding import is_subset
from floatlab.errors import OptionError, StateError, check_option, check_switch
from floatlab.formats import FloatFormat, get_format
from floatlab.optim.master import follow_weight
from floatlab.optim.parameters import (
    Params,
    check_gradient,
    groups_of,
    is_number,
    make_generator,
    tensors_of,
)
from floatlab.optim.saved_state import check_saved, label_of
from floatlab.optim.workbench import Rounding, Workbench
from floatlab.rounding.inputs import plain_option
from floatlab.rounding.modes import MODES, draws
from floatlab.system.environment import check_environment

__all__ = ["Arithmetic", "Array", "Optimizer", "Params", "require_all"]

Array = NDArray[Any]
_FP32 = get_format("float32")
_OF_SCHEDULES = (
    "initial_lr",
    "max_lr",
    "min_lr",
    "max_momentum",
    "base_momentum",
)  # kept in a group, as in PyTorch
_SWITCHES = ("nesterov", "centered", "decoupled_weight_decay", "maximize", "amsgrad")


class Arithmetic(TypedDict, total=False):
    """How an optimizer computes: the keyword arguments that every optimizer takes beside its own."""

    state_format: str | FloatFormat | None  # of the state; None: the format that the update computes in
    master_weights: bool  # keep and update an fp32 copy of every weight
    rounding: str  # of the new weights: any mode of `quantize`
    state_rounding: str  # of the new state
    rng: np.random.Generator | int | None  # for the stochastic modes


class Optimizer:
    """The base of the optimizers: subclasses say what a step does to one weight.

    Parameters
    ----------
    params : iterable
        Tensors, ``(name, Tensor)`` pairs, or dictionaries with the key "params" and options of their own.
    defaults : dict
        The options of a group that does not set them itself.
    maximize : bool
        An option of every optimizer, by name: go up instead of down. The gradient counts with the other sign.
    state_format : str or FloatFormat, optional
        The format of the state. Default: the one the update computes in.
    master_weights : bool
        Keep an fp32 copy of each weight, update that, and round it into the weight. A weight that something else has
        changed since (a loaded state, a clamp) is taken over into its copy, element by element.
    rounding, state_rounding : str
        Rounding mode of the new weights and of the new state; in float64 nearest_even alone.
    rng : numpy.random.Generator or int, optional
        Needed by the stochastic modes.

    Raises
    ------
    OptionError
        If there is nothing to optimize, a parameter comes twice or is no leaf, or an option has a value that it
        cannot take. A frozen parameter (one that requires no gradient) is taken, and left alone while it has none.
    """

    #: Options that must not be negative; `_check_group` adds what else a rule demands.
    _non_negative: tuple[str, ...] = ("lr", "weight_decay", "eps")

    def __init__(
        self,
        params: Params,
        defaults: dict[str, Any],
        *,
        state_format: str | FloatFormat | None = None,
        master_weights: bool = False,
        rounding: str = "nearest_even",
        state_rounding: str = "nearest_even",
        rng: np.random.Generator | int | None = None,
        **unknown: Any,
    ) -> None:
        for option in unknown:
            check_option("An option", option, (*defaults, *Arithmetic.__annotations__))
        for option, mode in (("rounding", rounding), ("state_rounding", state_rounding)):
            check_option(option, mode, MODES)
            if draws(mode) and rng is None:
                raise OptionError(
                    f"Stochastic rounding takes its bits from a generator. Got {option}={mode!r} and rng=None. "
                    "Give rng=numpy.random.default_rng(0)."
                )
        self.defaults = defaults
        self.state_format = None if state_format is None else get_format(state_format)
        self.master_weights = check_switch("master_weights", master_weights)
        self.rounding, self.state_rounding = rounding, state_rounding
        self.rng = make_generator(rng)
        self.param_groups: list[dict[str, Any]] = []
        self.state: dict[Tensor, dict[str, Any]] = {}
        self._benches: dict[Tensor, Workbench] = {}  # not by id: a copy's tensors have others
        self._written: dict[Tensor, Array] = {}  # what was last rounded from a master copy
        self._formats: dict[Tensor, FloatFormat] = {}  # of the weights that the state was made for
        self._pool: dict[tuple[str, str], Array] = {}
        for group in groups_of(params):
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Add parameters with options of their own; what `group` leaves out takes its default."""
        tensors = tensors_of(group)
        for tensor in tensors:
            self._check_modes(tensor.format)
        seen = {id(p) for g in self.param_groups for p in g["params"]}
        for position, tensor in enumerate(tensors):
            if not tensor.is_leaf:
                raise OptionError(
                    "A parameter is a leaf: a tensor that no operation has made. Got "
                    f"{label_of(tensor, position)} of shape {tensor.shape}, which is none. Pass the "
                    "tensors that you created with requires_grad=True."
                )
            if self.master_weights and not is_subset(tensor.format, _FP32):
                raise OptionError(
                    f"A master copy is fp32, so the weights are narrower. Got {label_of(tensor, position)} in "
                    f"{tensor.format}. Leave master_weights out."
                )
            if id(tensor) in seen:
                raise OptionError(
                    f"Each parameter is updated once. Got {label_of(tensor, position)} a second time. "
                    "Take it out of one of the groups."
                )
            seen.add(id(tensor))
        for key in group:
            known = ("params", *self.defaults, *_OF_SCHEDULES)
            check_option(f"An option of a group of {type(self).__name__}", key, known)
        complete = {"params": tensors, **self.defaults, **{k: v for k, v in group.items() if k != "params"}}
        self._check_group(complete)
        self.param_groups.append({option: plain_option(value) for option, value in complete.items()})

    def _check_modes(self, fmt: FloatFormat) -> None:
        """Raise OptionError if a rounding mode could not act on weights of `fmt`, or on their state."""
        weight = _FP32 if self.master_weights else fmt
        modes = (
            ("rounding", self.rounding, fmt),
            ("state_rounding", self.state_rounding, self.state_format or weight),
        )
        for option, mode, into in modes:
            if mode != "nearest_even" and into.precision > 52:
                raise OptionError(
                    "A rounding mode acts on what was computed in a wider format, and nothing is wider than float64. "
                    f"Got {option}={mode!r} for {into}. Leave it out."
                )

    def _check_group(self, group: dict[str, Any]) -> None:
        """Raise OptionError if an option of `group` is out of its range."""
        for option in self.defaults:
            value = group[option]
            if option in _SWITCHES:
                if not isinstance(value, bool | np.bool_):
                    raise OptionError(f"{option} is True or False. Got {value!r}. Leave it out for False.")
            elif option != "betas" and (not is_number(value) or value != value):
                raise OptionError(f"{option} is a number. Got {value!r}. Write it as in {option}=0.1.")
        for option in self._non_negative:
            value = group.get(option, 0.0)
            if not value >= 0.0:
                raise OptionError(f"{option} must be at least 0. Got {value!r}. Use 0 to switch it off.")
        betas = group.get("betas", (0.9, 0.999))
        if not (isinstance(betas, tuple | list) and len(betas) == 2 and all(map(is_number, betas))):
            raise OptionError(f"betas are two numbers. Got {betas!r}. The usual ones are (0.9, 0.999).")
        for position, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise OptionError(
                    f"betas lie in [0, 1). Got {beta!r} at position {position}. The usual ones are (0.9, 0.999)."
                )

    def parameters(self) -> list[Tensor]:
        """Return all parameters, group by group."""
        return [p for group in self.param_groups for p in group["params"]]

    # -- the step --------------------------------------------------------------------------------

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, in place.

        `closure`, where given, is called first and its result is returned. Overflow inside an update
        gives the infinity or NaN of the format without a warning: it is what the hardware would do.
        """
        check_environment()
        if closure is not None and not callable(closure):
            raise OptionError(
                f"A closure computes the loss anew when it is called. Got {closure!r:.80}. "
                "Leave it out, or give a function."
            )
        result = closure() if closure is not None else None
        with np.errstate(all="ignore"):
            for p, options in self._due():
                self._step_one(p, options)
        return result

    def _due(self) -> list[tuple[Tensor, dict[str, Any]]]:
        """Return the parameters with a gradient and their options; all is checked before any weight moves."""
        due, position = [], 0
        for group in self.param_groups:
            options = {option: plain_option(value) for option, value in group.items()}
            lr = options["lr"]  # what a loop changes between two steps
            if not (type(lr) is float and lr >= 0.0):
                self._check_group(options)
            for p in group["params"]:
                if p.grad is not None:
                    check_gradient(p, position)
                    self._check_format(p, position)
                    due.append((p, options))
                position += 1
        return due

    def _check_format(self, p: Tensor, position: int) -> None:
        """Raise OptionError if a weight was converted since its state was made."""
        fmt = self._formats.get(p, p.format)
        if fmt is not p.format and not fmt.same_as(p.format):
            raise OptionError(
                "A weight keeps its format while an optimizer has it, whose state is made for it. Got "
                f"{label_of(p, position)} in {p.format.spec}, first stepped in {fmt.spec}. Create the "
                "optimizer after the model is converted."
            )

    def _step_one(self, p: Tensor, group: dict[str, Any]) -> None:
        bench = self._bench(p)
        state = self.state.get(p)
        if state is None:
            state = self.state[p] = {"step": 0}
            self._formats[p] = p.format
            if self.master_weights:
                state["master"] = p.array.astype(np.float32)
        state["step"] += 1
        assert p.grad is not None
        grad = -p.grad.array if group.get("maximize") else p.grad.array
        if not self.master_weights:
            self._update(bench, p.array, grad, state, group)
        else:
            master = state["master"]
            follow_weight(master, p.array, self._written.get(p), p.format, self.rounding)
            self._update(bench, master, grad, state, group)
            Rounding(p.format, self.rounding, self.rng)(master.astype(np.float32), p.array)
            self._written[p] = p.array.copy()
        p.mark_changed()

    def _update(
        self, bench: Workbench, weight: Array, grad: Array, state: dict[str, Any], group: dict[str, Any]
    ) -> None:
        """Update `weight` and `state` in place: the rule itself, which each subclass writes down."""
        raise TypeError(f"{type(self).__name__} has no update rule. Define _update in the subclass.")

    def _bench(self, p: Tensor) -> Workbench:
        bench = self._benches.get(p)
        if bench is None:
            weight = Rounding(_FP32) if self.master_weights else Rounding(p.format, self.rounding, self.rng)
            compute = Rounding(weight.format)
            state = Rounding(self.state_format or compute.format, self.state_rounding, self.rng)
            bench = Workbench(p.shape, compute, state, weight, self._pool)
            self._benches[p] = bench
        return bench

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or fill them with zeros."""
        for p in self.parameters():
            if set_to_none:
                p.grad = None
            elif p.grad is not None:
                p.grad.zero_()

    # -- saving and loading ----------------------------------------------------------------------

    def _settings(self) -> dict[str, Any]:
        """Return what a saved state must agree on before it can be loaded."""
        return {
            "optimizer": type(self).__name__,
            "state_format": None if self.state_format is None else self.state_format.spec,
            "master_weights": self.master_weights,
        }

    def state_dict(self) -> dict[str, Any]:
        """Return a copy of everything that the next steps depend on, apart from the weights themselves.

        Keys: "settings", "param_groups" (options, and of each parameter its name, shape and format, which is its
        `FloatFormat.spec`: a name alone could be that of two formats),
        "state" (one dictionary a parameter, in order) and "rng" (the state of the generator, or None).

        Raises
        ------
        OptionError
            If a weight was converted to another format since its state was made.
        """
        for position, p in enumerate(self.parameters()):
            self._check_format(p, position)
        groups = []
        for group in self.param_groups:
            options = {key: value for key, value in group.items() if key != "params"}
            options["params"] = [
                {"name": p.name, "shape": list(p.shape), "format": p.format.spec} for p in group["params"]
            ]
            groups.append(options)
        state = [
            {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in s.items()}
            for s in (self.state.get(p, {}) for p in self.parameters())
        ]
        rng = None if self.rng is None else self.rng.bit_generator.state
        return {"settings": self._settings(), "param_groups": groups, "state": state, "rng": rng}

    def check_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Raise StateError if `state_dict` does not fit this optimizer; change nothing."""
        check_saved(state_dict, self._settings(), self.param_groups, self.state_format)
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            try:
                self._check_group({**group, **_options(saved)})
            except OptionError as problem:
                raise StateError(f"A saved group has options that it can have. {problem}") from None

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load what `state_dict` returned; the whole of it is checked before anything changes."""
        self.check_state_dict(state_dict)
        for group, saved in zip(self.param_groups, state_dict["param_groups"], strict=True):
            group.update(_options(saved))
        self.state, self._written, self._benches = {}, {}, {}
        self._formats = {p: p.format for p in self.parameters()}  # check_saved has held the state to them
        for p, saved in zip(self.parameters(), state_dict["state"], strict=True):
            if saved:
                self.state[p] = {
                    key: value.copy() if isinstance(value, np.ndarray) else value
                    for key, value in saved.items()
                }
        if state_dict.get("rng") is not None and self.rng is not None:
            self.rng.bit_generator.state = state_dict["rng"]

    def __repr__(self) -> str:
        lines = [type(self).__name__]
        for position, group in enumerate(self.param_groups):
            options = ", ".join(f"{key}={value}" for key, value in group.items() if key != "params")
            lines.append(f"  group {position}: {len(group['params'])} parameters, {options}")
        return "\n".join(lines)


def _options(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a saved group; JSON has lists in place of tuples."""
    return {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in saved.items()
        if key != "params"
    }


def require_all(named_parameters: Iterable[tuple[str, Tensor]], *optimizers: Optimizer) -> None:
    """Raise OptionError if one of the parameters that require a gradient is in none of the optimizers.

    Examples
    --------
    >>> import floatlab as fl
    >>> model = fl.nn.Linear(2, 2, rng=0)
    >>> require_all(model.named_parameters(), fl.optim.SGD([model.weight, model.bias]))
    """
    held = {id(p) for optimizer in optimizers for p in optimizer.parameters()}
    forgotten = [name for name, p in named_parameters if p.requires_grad and id(p) not in held]
    if forgotten:
        raise OptionError(
            f"Each parameter that requires a gradient is in an optimizer. Got none for {', '.join(forgotten)}. "
            "Add them, or set requires_grad to False."
        )
