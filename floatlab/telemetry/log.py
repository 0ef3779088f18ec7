"""Where and when did it happen? `watch` plugs into the operations and the optimizer, and keeps a log.

    with watch(model, optimizer) as log:            # or watch(model, optimizer, scaler)
        for images, labels in batches:
            ...                                     # forward, backward, optimizer.step(), as without
    print(log)

The operations report to `observers` of floatlab.autograd while the block lasts, and to nobody before and
after it: a run that is not watched pays nothing. The optimizer knows nothing of this either. Its `step` is
replaced on that one object by one that compares the weights before and after.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from floatlab.autograd import Event, observers
from floatlab.errors import OptionError, check_option
from floatlab.formats import FloatFormat
from floatlab.nn import Module
from floatlab.optim import Optimizer
from floatlab.system.files import write_whole
from floatlab.telemetry.counts import Counts, count
from floatlab.telemetry.records import FATES, First, OperationRecord, Records, StepRecord, UpdateRecord
from floatlab.telemetry.table import as_html, as_text, make_table, show
from floatlab.telemetry.updates import Updates

__all__ = ["Log", "watch"]


class Scaler(Protocol):
    """What is asked of a loss scaler, such as `floatlab.amp.GradScaler`."""

    def update(self) -> None:
        """End an iteration."""

    def get_scale(self) -> float:
        """Return the loss scale."""

    @property
    def last_step_was_skipped(self) -> bool:
        """Whether the optimizer did not step."""


#: What the inputs of layers are called; all other operations' are "input", "input 1" and so on.
_PARTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("linear", "conv2d", "conv_transpose2d"), ("input", "weight", "bias")),
    **dict.fromkeys(("layer_norm", "group_norm", "batch_norm"), ("input", "weight", "bias")),
    **dict.fromkeys(("rms_norm", "prelu"), ("input", "weight")),
    "embedding": ("weight",),
}
_Key = tuple[str, str, str, str, FloatFormat, str]  # phase, layer, operation, of, format, block format


class Log:
    """What `watch` returns: it listens, and keeps what it heard as records."""

    def __init__(
        self,
        model: Module | None,
        optimizers: Sequence[Optimizer],
        scaler: Scaler | None,
        every: int,
        histograms: bool,
        live: bool,
    ) -> None:
        self._optimizers, self._scaler = optimizers, scaler
        self._every, self._histograms = every, histograms
        self._step = 0
        self._scale: float | None = None  # in force during this step
        self._done: list[OperationRecord] = []
        self._now: dict[_Key, tuple[int, Counts]] = {}
        self._updates = Updates(model, optimizers)
        self._steps: list[StepRecord] = []
        self._first: dict[str, First] = {}
        self._undo = contextlib.ExitStack()
        self._open = self._paused = False
        self._live = live
        self._display: Any = None

    # -- reading

    @property
    def steps(self) -> tuple[StepRecord, ...]:
        """The finished steps."""
        return tuple(self._steps)

    @property
    def operations(self) -> tuple[OperationRecord, ...]:
        """One record for each step, phase, layer, operation and input, in the order of their first calls."""
        return (*self._done, *self._collect())

    @property
    def updates(self) -> tuple[UpdateRecord, ...]:
        """One record for each step and parameter of the optimizers."""
        return tuple(self._updates.records)

    @property
    def first(self) -> dict[str, First]:
        """Where each fate was met first, in order: "underflow", "overflow", "saturation", "infinity", "NaN",
        "lost update". What never happened is not in it.
        """  # noqa: D205
        return dict(self._first)

    def total(self, **where: Any) -> Counts:
        """Return the sum of the operations' records with the given attributes.

        >>> import floatlab as fl
        >>> x = fl.Tensor([1e-3, 1e-5], format="fp16")
        >>> with watch() as log:
        ...     y = x * x
        >>> log.total(op="mul", phase="forward").underflows
        1
        """
        fields = OperationRecord.__dataclass_fields__
        for name in where:
            check_option("An attribute of a record", name, fields)
        if "phase" in where:
            check_option("phase", where["phase"], ("forward", "backward"))
        return Counts.total(
            r for r in self.operations if all(getattr(r, name) == value for name, value in where.items())
        )

    def stagnated(self) -> dict[str, float]:
        """Return for each parameter the share of its weights that never moved, though they should have.

        The share is of the weights that had a gradient in a step that was recorded.
        """
        return self._updates.stagnated()

    def rows(self) -> list[dict[str, Any]]:
        """Return all records as plain dictionaries, each with its "kind": operation, update or step."""
        groups = (("operation", self.operations), ("update", self._updates.records), ("step", self._steps))
        rows = [{"kind": kind, **asdict(record)} for kind, records in groups for record in records]
        return sorted(rows, key=lambda row: row["step"])

    def save(self, path: str | Path) -> None:
        """Write `rows` to a file of JSON lines, whole or not at all; raise DataError if it cannot be written."""
        lines = [json.dumps(row, allow_nan=False) + "\n" for row in self.rows()]
        write_whole(path, "".join(lines).encode())

    def table(self, step: int | None = None) -> Any:
        """Return a rich table of layers and parameters, of one step or of all together."""
        return make_table(self._records(), step)

    def __str__(self) -> str:
        return as_text(self._records())

    def __repr__(self) -> str:
        counts = f"{len(self.operations)} records of operations, {len(self.updates)} of updates"
        return f"<Log of {len(self.steps)} steps: {counts}>"

    def _repr_html_(self) -> str:
        return as_html(self._records())

    def _records(self) -> Records:
        return Records(self.operations, self.updates, self.steps, self.first, self.stagnated())

    # -- listening

    def step(self) -> None:
        """End a step. Where an optimizer or a scaler is watched, it does this itself."""
        skipped = scale = None
        if self._scaler is not None:
            scale, self._scale = self._scale, float(self._scaler.get_scale())
            skipped = bool(self._scaler.last_step_was_skipped)
        was_recorded = self._recording
        self._done += self._collect()
        self._now = {}
        self._steps.append(StepRecord(self._step, scale, skipped))
        self._step += 1
        self._listen()
        if self._display is not None and was_recorded:
            self._display.update(self.table(self._step - 1))

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Record nothing inside the block, as during an evaluation between two steps."""
        before, self._paused = self._paused, True
        self._listen()
        try:
            yield
        finally:
            self._paused = before
            self._listen()

    @property
    def _recording(self) -> bool:
        return self._open and not self._paused and self._step % self._every == 0

    def _listen(self) -> None:
        """Be among the observers exactly while there is something to record."""
        others = tuple(watcher for watcher in observers.get() if watcher != self._hear)
        observers.set((*others, self._hear) if self._recording else others)

    def _hear(self, event: Event) -> None:
        cast = event.block_cast
        found = count(
            event.before, event.after, event.format, histogram=self._histograms,
            scales=None if cast is None else cast.scales,
        )  # fmt: skip
        of = "" if cast is None else cast.operand
        if event.phase == "backward" and cast is None:
            of = "input" if event.position == 0 else f"input {event.position}"
            if event.op in _PARTS:
                of = _PARTS[event.op][event.position]
        key = (event.phase, event.scope, event.op, of, event.format, "" if cast is None else cast.format)
        calls, sofar = self._now.get(key, (0, None))
        self._now[key] = (calls + 1, found if sofar is None else sofar + found)
        for name, fate in FATES.items():
            if getattr(found, name) and fate not in self._first:
                self._first[fate] = First(self._step, event.phase, event.scope, event.op, of)

    def _collect(self) -> list[OperationRecord]:
        return [
            OperationRecord(
                step=self._step,
                phase=phase,
                layer=layer,
                op=op,
                of=of,
                format=fmt.spec,
                calls=calls,
                block_format=blocks,
                **vars(counts),
            )
            for (phase, layer, op, of, fmt, blocks), (calls, counts) in self._now.items()
        ]

    # -- the optimizer

    def _watched_step(self, optimizer: Optimizer, original: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            if not self._recording:
                result = original(*args, **kwargs)
            else:
                before = self._updates.snapshot(optimizer)
                result = original(*args, **kwargs)
                for update in self._updates.compare(self._step, optimizer, before):
                    if update.lost:
                        layer = update.parameter.rpartition(".")[0]
                        place = First(self._step, "update", layer, update.parameter)
                        self._first.setdefault("lost update", place)
            if self._scaler is None and optimizer is self._optimizers[-1]:
                self.step()
            return result

        return step

    # -- entering and leaving

    def __enter__(self) -> Self:
        if self._open:
            raise OptionError("A log is entered once at a time. Got a second time. Call watch() again.")
        self._open = True
        try:
            for optimizer in self._optimizers:
                self._replace(optimizer, "step", self._watched_step(optimizer, optimizer.step))
            if self._scaler is not None:
                self._scale = float(self._scaler.get_scale())
                self._replace(self._scaler, "update", self._watched_update(self._scaler.update))
            if self._live:
                self._display = self._undo.enter_context(show())
        except BaseException:
            self.__exit__(None, None, None)
            raise
        self._listen()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open = False
        self._listen()
        self._display = None
        self._undo.close()

    def _watched_update(self, original: Callable[..., None]) -> Callable[..., None]:
        def update(*args: Any, **kwargs: Any) -> None:
            original(*args, **kwargs)
            self.step()

        return update

    def _replace(self, owner: Any, method: str, replacement: Callable[..., Any]) -> None:
        """Put a function in the place of a method of one object, until the end of the block."""
        outer = vars(owner).get(method)  # that of a watch around this one
        setattr(owner, method, replacement)
        self._undo.callback(
            lambda: vars(owner).pop(method, None) if outer is None else setattr(owner, method, outer)
        )


def watch(
    model: Module | None = None,
    optimizer: Optimizer | Sequence[Optimizer] | None = None,
    scaler: Scaler | None = None,
    *,
    every: int = 1,
    histograms: bool = True,
    live: bool = False,
) -> Log:
    """Return a context manager that logs what rounding does to every operation inside its block.

    Parameters
    ----------
    model : Module, optional
        Gives the parameters their dotted names. Layers have theirs without it.
    optimizer : Optimizer or sequence of them, optional
        Whose updates to watch. A step of the log ends with a step of the (last) optimizer.
    scaler : GradScaler, optional
        If given, a step ends with ``scaler.update()``, so that skipped steps count; the loss scale is logged.
    every : int
        Record only the steps 0, `every`, 2 `every` ...; the others cost nothing.
    histograms : bool
        Whether to count magnitudes too.
    live : bool
        Whether to show a table of the last step that was recorded in the terminal. Needs rich.

    Returns
    -------
    Log

    Raises
    ------
    OptionError
        If `every` is below 1.

    Notes
    -----
    Watching changes no number. It costs time: matrix products and functions in narrow formats are computed a
    second time, in fp32, to know their results before rounding. That is also why these counts know nothing
    of what fp32 itself rounds to zero or to an infinity: such a result shows as a zero or an infinity, and
    as no underflow or overflow.

    Examples
    --------
    >>> import floatlab as fl
    >>> w = fl.Tensor([1.0, 1.0, 1.0, 1.0], requires_grad=True, format="bf16")
    >>> sgd = fl.optim.SGD([("w", w)], lr=1.0)
    >>> with watch(optimizer=sgd) as log:
    ...     (w * fl.Tensor([1e-3, 1e-3, 1.0, 0.0], format="bf16")).sum().backward()
    ...     sgd.step()
    >>> log.updates[0].driven, log.updates[0].lost
    (3, 2)
    >>> print(log.first["lost update"])
    step 0, update of w
    """
    if every < 1:
        raise OptionError(f"every is at least 1. Got {every!r}. Use 1 to record all steps.")
    optimizers = (
        [] if optimizer is None else [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer)
    )
    return Log(model, optimizers, scaler, every, histograms, live)
