"""How does a run get into TensorBoard? Numbers by step, in an event file that the package tensorboard writes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import numpy as np

from floatlab.autograd import Tensor
from floatlab.errors import DataError, DtypeError, OptionError
from floatlab.telemetry.counts import Counts
from floatlab.telemetry.log import Log

__all__ = ["EventWriter"]


class EventWriter:
    """A callback that writes numbers to a TensorBoard event file.

    Parameters
    ----------
    folder : path
        Where the file is made; ``tensorboard --logdir FOLDER`` shows it.

    Raises
    ------
    DataError
        If the package tensorboard is not installed, or the folder cannot be made.
    DtypeError
        If something else than a number is to be written.

    Notes
    -----
    The package is no dependency of floatlab, and needs neither PyTorch nor TensorFlow: ``pip install
    'floatlab[tensorboard]'``.

    Examples
    --------
    >>> import tempfile
    >>> with EventWriter(tempfile.mkdtemp()) as write:  # doctest: +SKIP
    ...     for step, loss in enumerate([0.9, 0.5]):
    ...         write(step, loss=loss, accuracy=1.0 - loss)
    """

    def __init__(self, folder: str | Path) -> None:
        if not isinstance(folder, str | Path):
            raise OptionError(f'A folder is a path. Got {folder!r:.80}. Use a name such as "runs/first".')
        try:
            from tensorboard.summary import Writer
        except ImportError as problem:
            raise DataError(
                f"Event files are written by the package tensorboard. Got none: {problem}. "
                "Use pip install 'floatlab[tensorboard]'."
            ) from None
        try:
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._writer = Writer(str(folder))
        except OSError as problem:
            raise DataError(f"A folder can be written to. Got {problem}. Use another one.") from None

    def __call__(self, step: int, /, **numbers: Any) -> None:
        """Write named numbers of one step; a name with two underscores, as in val__loss, is shown as val/loss."""
        self.write(step, {name.replace("__", "/"): value for name, value in numbers.items()})

    def write(self, step: int, numbers: dict[str, Any]) -> None:
        """Write numbers of one step, by any names; all are looked at before the first is written."""
        if isinstance(step, bool) or not isinstance(step, int | np.integer):
            raise OptionError(f"A step is a whole number. Got {step!r:.80}. Count from 0.")
        found = {str(name): _number(name, value) for name, value in numbers.items()}
        for name, value in found.items():
            self._writer.add_scalar(name, value, int(step))

    def log(self, log: Log, step: int | None = None) -> None:
        """Write what a `watch` has counted: for each layer the shares of underflows and overflows, for one step or all.

        Names are those of the layers, as in "underflows/forward/0 linear".
        """
        records = [record for record in log.operations if step is None or record.step == step]
        by_name: dict[tuple[int, str], list[Counts]] = {}
        for record in records:
            name = f"{record.phase}/{record.layer or '(none)'} {record.op}"
            by_name.setdefault((record.step, name), []).append(record)
        for (at, name), several in by_name.items():
            total = Counts.total(several)
            for fate in ("underflows", "overflows", "saturations", "nans"):
                self.write(at, {f"{fate}/{name}": getattr(total, fate) / max(total.values, 1)})
        for done in _of_step(log.steps, step):
            if done.scale is not None:
                self.write(done.step, {"loss scale": done.scale})

    def close(self) -> None:
        """Write what is waiting, and end the file."""
        self._writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def _of_step(records: Iterable[Any], step: int | None) -> list[Any]:
    return [record for record in records if step is None or record.step == step]


def _number(name: str, value: Any) -> float:
    if isinstance(value, Tensor | np.ndarray) and value.size == 1:
        value = value.item()
    if not isinstance(value, int | float | np.number | np.bool_) or isinstance(value, np.complexfloating):
        raise DtypeError(f"What is written is a number. Got {value!r:.80} for {name!r}. Reduce it to one.")
    return float(value)
