"""What does a report of tensors hold? A report for each tensor, in an order, and conditions that they may meet."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from floatlab.errors import DataError, OptionError, check_option
from floatlab.inspection.outcomes import LOST, SQNR, Outcome, TensorReport, recommended
from floatlab.inspection.shown import as_html, as_text

__all__ = ["SORTS", "Report"]

SCHEMA = "floatlab.inspect/1"

#: What tensors are sorted by: the worst come first, or the largest.
SORTS: dict[str, Callable[[TensorReport], Any]] = {
    "lost": lambda t: (-t.worst("lost"), -sum(o.share("lost") for o in t.outcomes)),
    "sqnr": lambda t: min((o.sqnr for o in t.outcomes if o.nonzero), default=math.inf),
    "underflow": lambda t: -t.worst("underflow"),
    "subnormal": lambda t: -t.worst("subnormal"),
    "overflow": lambda t: -t.worst("overflow"),
    "size": lambda t: -t.elements,
    "name": lambda t: t.name,
    "file": lambda t: 0,
}

_METRICS = ("lost", "underflow", "subnormal", "overflow", "sqnr", "cosine", "relative_error")
_CONDITION = re.compile(r"\s*(\w+)\s*(<=|>=|<|>)\s*([-+]?[\d.]+(?:[eE][-+]?\d+)?)\s*(%|dB)?\s*", re.ASCII)
_COMPARE = {
    "<": float.__lt__,
    "<=": float.__le__,
    ">": float.__gt__,
    ">=": float.__ge__,
}


def _condition(text: str) -> tuple[str, str, float]:
    """Return what a condition compares, how, and with what.

    >>> _condition("lost>1%"), _condition("sqnr < 20 dB")
    (('lost', '>', 0.01), ('sqnr', '<', 20.0))
    """
    found = _CONDITION.fullmatch(text) if isinstance(text, str) else None
    if not found:
        raise OptionError(
            f'A condition is a measure, a comparison and a number. Got {text!r}. Use "lost>1%".'
        )
    name, compare, digits, unit = found.groups()
    check_option("A condition's measure", name, _METRICS)
    try:
        number = float(digits)
    except ValueError:
        raise OptionError(f'A condition compares with a number. Got {digits!r}. Use "{name}>0.01".') from None
    if (unit == "dB") > (name == "sqnr") or (unit == "%" and name == "sqnr"):
        raise OptionError(f'dB are for sqnr, and % for shares. Got {text!r}. Use "lost>1%" or "sqnr<20dB".')
    return name, compare, number / 100 if unit == "%" else number


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `floatlab.inspect` found. Prints as a table of the worst tensors, in ten lines.

    Attributes
    ----------
    tensors : tuple of TensorReport
        In the order that was asked for.
    formats, scaling : tuple of str
        What was asked about.
    """

    tensors: tuple[TensorReport, ...]
    formats: tuple[str, ...]
    scaling: tuple[str, ...] = field(default=("none",))

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcomes of all tensors, one after the other."""
        return [outcome for tensor in self.tensors for outcome in tensor.outcomes]

    def recommend(self, lost: float = LOST, sqnr: float = SQNR) -> Outcome | None:
        """Return the format and scaling that do for every tensor, or None; as an outcome of the first tensor.

        "channel" does for a tensor of one axis where "tensor" does, or else "none".

        >>> import numpy as np, floatlab as fl
        >>> fl.inspect({"a": np.array([1.0]), "b": np.array([2.0**-20])}).recommend().format
        'float8_e4m3fn'
        """
        groups = []
        for fmt in self.formats:
            for kind in self.scaling:
                group = [_nearest(tensor, fmt, kind) for tensor in self.tensors if tensor.outcomes]
                if all(group):
                    groups.append(sorted((o for o in group if o), key=lambda o: o.scaling != kind))
        return recommended(groups, lost, sqnr)

    def matching(self, condition: str) -> list[Outcome]:
        """Return the outcomes that meet a condition such as "lost>1%", "sqnr<20dB" or "relative_error>=0.5".

        >>> import numpy as np, floatlab as fl
        >>> [o.format for o in fl.inspect(np.array([500.0]), scaling="none").matching("lost>1%")]
        ['float8_e4m3fn']
        """
        name, compare, number = _condition(condition)
        return [o for o in self.outcomes if o.nonzero and _COMPARE[compare](o.metric(name), number)]

    def fail_if(self, condition: str) -> None:
        """Raise DataError if an outcome meets a condition; `matching` says how one is written.

        Every format and scaling of the report counts, so ask `floatlab.inspect` for those that are meant.

        >>> import numpy as np, floatlab as fl
        >>> fl.inspect(np.array([500.0]), formats="fp16").fail_if("lost>1%")
        """
        found = self.matching(condition)
        if found:
            o = found[0]
            raise DataError(
                f"No outcome may have {condition}. Got {len(found)}, the first of {o.tensor or 'the array'} in "
                f"{o.format}, scaling {o.scaling}: {o.metric(_condition(condition)[0]):.4g}. "
                "Use another format or scaling."
            )

    def to_dict(self, lost: float = LOST, sqnr: float = SQNR) -> dict[str, Any]:
        """Return everything as plain data, which JSON can hold.

        The keys, of the schema "floatlab.inspect/1": schema, formats, scaling, limits (lost, sqnr_db), recommended
        (format, scaling; or None), and tensors, each with what `TensorReport` has, recommended (format, scaling, scale;
        or None) and outcomes: format, scaling, scale, nonzero, underflow, subnormal, overflow, and these three and
        lost as shares (lost_share ...), exact, sqnr_db, cosine, relative_error. What is no finite number is None.
        """
        chosen = self.recommend(lost, sqnr)
        return {
            "schema": SCHEMA,
            "formats": list(self.formats),
            "scaling": list(self.scaling),
            "limits": {"lost": lost, "sqnr_db": sqnr},
            "recommended": chosen and {"format": chosen.format, "scaling": chosen.scaling},
            "tensors": [tensor.to_dict(lost, sqnr) for tensor in self.tensors],
        }

    def to_csv(self) -> str:
        """Return a line for each outcome, and a tensor without one as a line too; the first line names the columns."""
        rows = []
        for tensor in self.to_dict()["tensors"]:
            outcomes = tensor.pop("outcomes")
            del tensor["recommended"]
            tensor["shape"] = "x".join(map(str, tensor["shape"]))
            rows += [tensor | outcome for outcome in outcomes or [{}]]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()

    def text(self, *, width: int = 110, rows: int = 5) -> str:
        """Return the table as plain text: the first tensors, all together, and the recommendation."""
        return as_text(self, width, rows)

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        count = len(self.tensors)
        return f"<Report of {count} {'tensor' if count == 1 else 'tensors'} in {', '.join(self.formats)}>"

    def _repr_html_(self) -> str:
        return as_html(self)


def _nearest(tensor: TensorReport, fmt: str, kind: str) -> Outcome | None:
    """Return a tensor's outcome in a format, scaled so, or as simply as it can be where it has no channels."""
    here = {outcome.scaling: outcome for outcome in tensor.outcomes if outcome.format == fmt}
    if kind == "channel" and kind not in here:
        return here.get("tensor") or here.get("none")
    return here.get(kind)
