"""Which gradients will a format lose? Predicted from the gradients of one fp32 step, before anything else runs.

A magnitude rounds to zero if it is at most half of a format's smallest value above zero: 2^-25 in fp16, 2^-17 in
fp8 E5M2. With the loss scaled by S this threshold is S times lower as seen from the unscaled gradient. So
everything follows from the magnitudes that the fp32 run has, without emulating a narrow format:

* An entry of the gradient of a layer's output (one row for each image) is lost where its fp32 magnitude is below
  the threshold, and where its whole row was lost in the layer above: nothing comes down any more.
* A weight's gradient is a sum over the images. It is lost where the fp32 sum of the terms that are left, output
  gradient times layer input, is below the threshold.

The histogram of the weights' gradients alone would not do. Their sums over a batch are larger than what they are
made of: with a loss weight of 1e-6 one in eight is above fp16's threshold, and yet all are lost, because the
output gradient that they come from is.

What this leaves out: a gradient just above the threshold survives, but rounded to one unit, up to twice what
it was, and the layers below inherit that. On a cliff (not on its two sides) predictions are up to 16 points
too high. In fp8 the forward pass differs as well, so that other ReLUs are closed than in fp32: 1 to 3 points.

Whether a run fails is predicted from its source, the gradient of the last layer's output, (p - y) w / N. For
an untrained network p is near 1/10, so most entries are alike, and they are lost together: the entries of the
nine wrong classes first. If more than half are lost, nothing pushes wrong classes down, and the run fails: what
is left pushes every class up, and soon the weights are ruined. A dynamic scale that would grow into the right
range comes too late for that, so its first value decides. The loss weight at which half of the entries are
lost is the format's cliff.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from floatlab.formats import FloatFormat, get_format
from floatlab.rounding.quantize import quantize

__all__ = [
    "LayerGradients",
    "Prediction",
    "breaks",
    "lost_share",
    "predict",
    "predicted_cliff",
    "zero_threshold",
]


@dataclass(frozen=True, eq=False)
class LayerGradients:
    """What one backward pass leaves at a layer ``y = x @ weight.T + bias``.

    Attributes
    ----------
    input : (images, in_features)
        x of the forward pass.
    output_gradient : (images, out_features)
        The gradient of the loss with respect to y.
    weight_gradient : (out_features, in_features)
        The gradient of the loss with respect to the weight.
    """

    input: NDArray[Any]
    output_gradient: NDArray[Any]
    weight_gradient: NDArray[Any]


@dataclass(frozen=True)
class Prediction:
    """What is expected of one run.

    Attributes
    ----------
    weight_gradients, output_gradients : dict
        For each layer the share of the gradients that are not zero in fp32 and will be zero in the format.
    fails : bool
        Whether the run is expected to learn nothing.
    """

    weight_gradients: dict[str, float]
    output_gradients: dict[str, float]
    fails: bool


def zero_threshold(fmt: FloatFormat | str, scale: float = 1.0) -> float:
    """Return the largest magnitude that rounds to zero in a format, for a gradient scaled by `scale`.

    It lies half way between zero and the smallest subnormal value; the tie goes to zero, which is even.

    >>> import math
    >>> math.log2(zero_threshold("fp16")), math.log2(zero_threshold("fp16", scale=1024))
    (-25.0, -35.0)
    """
    return get_format(fmt).smallest_subnormal / 2 / scale


def lost_share(exact: NDArray[Any], result: NDArray[Any]) -> float:
    """Return the share of the entries that are not zero in `exact` and are zero in `result`.

    Entries that are zero in fp32 already (a pixel that is always blank, a ReLU that is closed) do not count.

    >>> lost_share(np.array([0.0, 1e-9, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 2.0]))
    0.3333333333333333
    """
    alive = exact != 0
    return float((result[alive] == 0).mean()) if alive.any() else 0.0


def breaks(
    forward: ArrayLike,
    backward: ArrayLike,
    fmt: FloatFormat | str,
    gradient_format: FloatFormat | str,
    scaling: str,
) -> bool:
    """Return whether overflows ruin a run whose steps have these largest magnitudes, the loss scale on the gradients.

    An infinity reaches the weights, and stays there, unless a loss scaler skips the step. With one, a run is ruined if
    more than half of its steps are skipped: less than half of fp32's speed is left. A dynamic scale comes down until
    the gradients fit, so that only the forward pass counts, which no scale can help.

    >>> breaks([1.0, 1.0, 20.0], [0.1, 0.1, 0.1], "e3m4", "e3m4", "none")
    True
    >>> breaks([1.0, 1.0, 20.0], [0.1, 0.1, 0.1], "e3m4", "e3m4", "static")
    False
    >>> [breaks([1.0, 1.0], [9e4, 9e4], "fp16", "fp16", scaling) for scaling in ("static", "dynamic")]
    [True, False]
    """
    ahead = ~np.isfinite(quantize(np.asarray(forward, np.float64), fmt))
    back = ~np.isfinite(quantize(np.asarray(backward, np.float64), gradient_format))
    if scaling == "none":
        return bool((ahead | back).any())
    return bool((ahead if scaling == "dynamic" else ahead | back).mean() > 0.5)


def predict(
    layers: Mapping[str, LayerGradients],
    fmt: FloatFormat | str,
    *,
    scale: float = 1.0,
) -> Prediction:
    """Predict what a format loses of the gradients of an fp32 step.

    Parameters
    ----------
    layers : mapping of name to LayerGradients
        The layers of a feed-forward network, first to last.
    fmt : FloatFormat or str
        The format of the gradients.
    scale : float
        What the loss is multiplied by at the first step.

    Returns
    -------
    Prediction
    """
    threshold = zero_threshold(fmt, scale)
    weight_shares: dict[str, float] = {}
    output_shares: dict[str, float] = {}
    rows_left: NDArray[Any] | None = None  # images of which anything is left, seen from the layer above
    for name, layer in reversed(list(layers.items())):
        left = np.abs(layer.output_gradient) > threshold
        if rows_left is not None:
            left &= rows_left[:, None]
        rows_left = left.any(axis=1)
        surviving = np.where(left, layer.output_gradient, 0.0).astype(np.float64)
        # einsum without BLAS: the same sums on every machine
        weight_gradient = np.einsum("no,ni->oi", surviving, layer.input.astype(np.float64))
        weight_gradient[np.abs(weight_gradient) <= threshold] = 0.0
        weight_shares[name] = lost_share(layer.weight_gradient, weight_gradient)
        output_shares[name] = lost_share(layer.output_gradient, surviving)
    source = list(layers.values())[-1].output_gradient
    alive = np.abs(source[source != 0])
    return Prediction(
        dict(reversed(weight_shares.items())),
        dict(reversed(output_shares.items())),
        bool(alive.size == 0 or (alive <= threshold).mean() > 0.5),
    )


def predicted_cliff(
    layers: Mapping[str, LayerGradients], loss_weight: float, fmt: FloatFormat | str, *, scale: float = 1.0
) -> float:
    """Return the loss weight at which half of the last layer's output gradient is lost.

    The gradient is proportional to the loss weight, so one fp32 step at any weight tells it for all.
    """
    source = np.abs(list(layers.values())[-1].output_gradient.astype(np.float64))
    middle = float(np.median(source[source != 0]))
    return zero_threshold(fmt, scale) / (middle / loss_weight)
