"""What did you expect? A prediction is written down before the experiment, and stands beside its result afterwards."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from floatlab.course.shown import panel

__all__ = ["Comparison", "Prediction", "predict"]

_CLOSE = 1.05  # a prediction within this factor is as good as right


def predict(question: str, value: Any = ...) -> Prediction:
    """Write a prediction down, before the experiment.

    Parameters
    ----------
    question : str
        What is asked.
    value : number, str, bool or ...
        What you expect. Three dots are no prediction yet; nothing stops at them.

    Returns
    -------
    Prediction
        Its `compare` sets the result beside it.

    Examples
    --------
    >>> guess = predict("How many values does fp16 have from 1 up to 2?", 1000)
    >>> print(guess.compare(1024))
    How many values does fp16 have from 1 up to 2?
      you said  1000
      it is     1024: close
    >>> print(predict("And from 2 up to 4?").compare(1024))
    And from 2 up to 4?
      you said  nothing yet: put your prediction in the place of the three dots
      it is     1024
    """
    return Prediction(str(question), value)


class Prediction:
    """What somebody expects, before it is known.

    Attributes
    ----------
    question : str
    value : object
        What is expected; three dots where nothing is.
    """

    def __init__(self, question: str, value: Any) -> None:
        self.question, self.value = question, value

    @property
    def is_made(self) -> bool:
        """Whether there is one."""
        return self.value is not ... and self.value is not None

    def compare(self, result: Any) -> Comparison:
        """Set the result beside the prediction: a number, a text or a truth value.

        >>> predict("Is 0.1 + 0.2 equal to 0.3 in fp16?", "no").compare("yes").verdict
        'not so'
        """
        return Comparison(self, result)

    def __repr__(self) -> str:
        said = _text(self.value) if self.is_made else "no prediction yet"
        return f"{self.question} ({said})"


class Comparison:
    """A prediction and the result beside it.

    Attributes
    ----------
    prediction : Prediction
    result : object
    verdict : str
        "right", "close" (within a twentieth), "off by a factor of 3.2", "not so", or "" without a prediction.
    """

    def __init__(self, prediction: Prediction, result: Any) -> None:
        self.prediction, self.result = prediction, result
        self.verdict = _verdict(prediction.value, result) if prediction.is_made else ""

    @property
    def rows(self) -> list[tuple[str, str]]:
        """What is shown: a name and a text, twice."""
        made = self.prediction.is_made
        nothing = "nothing yet: put your prediction in the place of the three dots"
        said = _text(self.prediction.value) if made else nothing
        return [
            ("you said", said),
            ("it is", _text(self.result) + (f": {self.verdict}" if self.verdict else "")),
        ]

    def __str__(self) -> str:
        return "\n".join([self.prediction.question, *(f"  {name:8}  {text}" for name, text in self.rows)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return panel(self.prediction.question, self.rows)


def _text(x: Any) -> str:
    if isinstance(x, str):
        return x
    if isinstance(x, bool | np.bool_):
        return "yes" if x else "no"
    return f"{x:.6g}" if isinstance(x, float | np.floating) else str(x)


def _verdict(said: Any, result: Any) -> str:
    if isinstance(said, str) or isinstance(result, str) or isinstance(said, bool) or isinstance(result, bool):
        return "right" if _text(said).strip().casefold() == _text(result).strip().casefold() else "not so"
    try:
        a, b = float(said), float(result)
    except (TypeError, ValueError, OverflowError):
        return "not so"
    if a == b or (math.isnan(a) and math.isnan(b)):
        return "right"
    if a * b <= 0 or not math.isfinite(a) or not math.isfinite(b):
        return "not so"
    factor = max(a / b, b / a)
    return "close" if factor <= _CLOSE else f"off by a factor of {factor:.3g}"
