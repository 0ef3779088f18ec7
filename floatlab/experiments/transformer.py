"""A small GPT: which formats train it, and what do its masks, its softmax and its norms need?

The digits as a language: the upper half of a picture, row by row, is 32 words of 17 shades, and the network says which
shade comes next (Chen et al. 2020 call it an image GPT). Two blocks of attention and linear layers, each behind a layer
norm. Products are in a narrow format and all else is in fp32, or every operation is in the format ("all narrow"):
softmax and norms, too, each taken in float64 and rounded once.

Prediction, from the first fp32 pass: a run fails if more than half of what the linear layers pass back is at most half
of the format's smallest number. Underflow starts elsewhere, in the gradients of attention's scores: a softmax over up
to 31 places divides what comes back by as much, so that they are some 8 times smaller than those of linear layers.
With a loss weight of 1e-3 fp16 has lost most of them, and learns all the same: little goes through the scores so early.

The masks -inf and -1e9 are the same, bit for bit: e to the power of either is 0, and in fp16 -1e9 becomes -inf. E4M3
has no infinity. There the mask is its most negative value, -448, whose power is 0, too, once it is rounded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from floatlab import nn
from floatlab.amp import Policy
from floatlab.autograd import Tensor
from floatlab.data import digits
from floatlab.experiments.harness.common import Claim, Experiment, Inside, Record, Run, lost, record
from floatlab.experiments.harness.loop import Watcher, fit
from floatlab.experiments.harness.measure import FirstOperations
from floatlab.experiments.harness.prediction import lost_share
from floatlab.optim import Adam

__all__ = ["EXPERIMENT", "GPT", "Language", "predict", "train"]

Array = NDArray[Any]
SHADES = 17  # of a pixel, 0 to 16
PLACES = 31  # of the picture's upper half; its last pixel has no next one


# -- the model, as anybody would write it ------------------------------------------------------------


class Attention(nn.Module):
    """Causal attention in several heads, written out."""

    def __init__(self, width: int, heads: int, mask: float, operand: str, rng: np.random.Generator) -> None:
        super().__init__()
        self.heads, self.mask, self.operand = heads, mask, operand
        self.qkv = nn.Linear(width, 3 * width, rng=rng)
        self.out = nn.Linear(width, width, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        """Return for each place a mean of what stands before it."""
        n, places, width = x.shape
        rows = self.qkv(x).reshape(n, places, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        q, k, v = (self.cast(rows[i]) for i in range(3))
        scores = (q @ k.transpose(-2, -1)) * (1.0 / math.sqrt(width // self.heads))
        scores = scores.masked_fill(~nn.functional.causal_mask(places), self.mask)
        y = self.cast(scores.softmax(-1)) @ v
        return self.out(y.permute(0, 2, 1, 3).reshape(n, places, width))

    def cast(self, x: Tensor) -> Tensor:
        """Round an operand of attention's products to fp8, if asked for."""
        return x.to(self.operand, gradient_format="e5m2") if self.operand else x


class Block(nn.Module):
    """Attention and two linear layers, each behind a norm and beside a short cut."""

    def __init__(self, width: int, attention: Attention, rng: np.random.Generator) -> None:
        super().__init__()
        self.norm1, self.norm2, self.attention = nn.LayerNorm(width), nn.LayerNorm(width), attention
        self.up, self.down = nn.Linear(width, 4 * width, rng=rng), nn.Linear(4 * width, width, rng=rng)

    def forward(self, x: Tensor) -> Tensor:
        """Return x with what attention and the linear layers add."""
        x = x + self.attention(self.norm1(x))
        return x + self.down(nn.functional.gelu(self.up(self.norm2(x))))


class GPT(nn.Module):
    """Words in, for each place the scores of the next word out: (texts, words, places)."""

    def __init__(self, config: Language) -> None:
        super().__init__()
        rng, width = np.random.default_rng(config.seed), config.width
        self.words, self.places = nn.Embedding(SHADES, width, rng=rng), nn.Embedding(PLACES, width, rng=rng)
        attentions = (
            Attention(width, config.heads, config.mask, config.operand, rng) for _ in range(config.blocks)
        )
        self.blocks = nn.Sequential(*(Block(width, attention, rng) for attention in attentions))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, SHADES, bias=False, rng=rng)

    def forward(self, words: Tensor) -> Tensor:
        """Return the scores."""
        x = self.words(words) + self.places(np.arange(words.shape[1]))
        return self.head(self.norm(self.blocks(x))).transpose(1, 2)


# -- the runs ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Language(Run):
    """A run of this experiment.

    `mask` is what the scores of later places are set to, `operand` a format for attention's operands ("": that of the
    products), `narrow` whether every operation is in the format: softmax, norms and short cuts, too.
    """

    mask: float = -math.inf
    operand: str = ""
    narrow: bool = False
    loss_weight: float = 1.0
    width: int = 32
    heads: int = 4
    blocks: int = 2
    batches: int = 20
    epochs: int = 4
    batch_size: int = 4
    learning_rate: float = 3e-3
    epsilon: float = 1e-20

    def reference(self) -> Language:
        """Return the fp32 run that this one is judged by."""
        return self.twin(mask=-math.inf, operand="", narrow=False)


def texts(config: Language) -> Callable[[], Iterable[tuple[Array, Array]]]:
    """Return what gives the batches of an epoch: words, and the words that follow."""
    images = digits(seed=config.seed).train_images
    words = np.rint(images[:, : PLACES + 1] * (SHADES - 1)).astype(np.int64)
    rng = np.random.default_rng(config.seed)

    def batches() -> Iterable[tuple[Array, Array]]:
        for _ in range(config.batches):
            chosen = words[rng.integers(0, len(words), config.batch_size)]
            yield chosen[:, :-1].astype(np.float32), chosen[:, 1:]

    return batches


def _network(config: Language) -> nn.Module:
    network = GPT(config)
    return Inside(network, Policy("float32", config.format, "float32").scope) if config.narrow else network


# -- prediction and measurement ----------------------------------------------------------------------


class _Back(Watcher):
    """Notes what the first step gives back: to the inputs of the linear layers, and to attention's scores."""

    def __init__(self) -> None:
        self.linear, self.scores = FirstOperations("linear"), FirstOperations("masked_fill")

    def before_step(self, step: int) -> None:
        """Begin to listen."""
        self.linear.before_step(step)
        self.scores.before_step(step)

    def after_backward(self, step: int) -> None:
        """Listen no more; the last one to begin is the first to end."""
        self.scores.after_backward(step)
        self.linear.after_backward(step)


def first_gradients(config: Language) -> tuple[Array, Array]:
    """Return the gradients of the linear layers' inputs and of the scores, of the first fp32 step."""
    plain, back = config.reference(), _Back()
    words, following = next(iter(texts(plain)()))
    loss = nn.functional.cross_entropy(_network(plain)(Tensor(words)), following) * config.loss_weight
    back.before_step(0)
    loss.backward()
    back.after_backward(0)
    return _joined(back.linear), _joined(back.scores)


def _joined(operations: FirstOperations) -> Array:
    return np.concatenate([gradient.ravel() for gradient in operations.found])


def predict(config: Language) -> Record:
    """Predict a run from the first fp32 pass."""
    linear, scores = first_gradients(config)
    share = lost(config.threshold, linear)
    return {
        "expected": share,
        "expected_in_scores": lost(config.threshold, scores),
        "predicted_failure": share > 0.5,
    }


def train(config: Language) -> Record:
    """Do one run."""
    network, back = _network(config), _Back()
    exact = first_gradients(config)
    history = fit(
        network,
        texts(config),
        nn.functional.cross_entropy,
        Adam(network.parameters(), lr=config.learning_rate, eps=config.epsilon),
        config.precision(),
        epochs=config.epochs,
        loss_weight=config.loss_weight,
        watcher=back,
    )
    return record(
        config,
        network,
        history,
        found=lost_share(exact[0], _joined(back.linear)),
        found_in_scores=lost_share(exact[1], _joined(back.scores)),
        outcome=history.epoch_losses[-1],
    )


# -- what is claimed ---------------------------------------------------------------------------------


def _claims(records: list[Record]) -> list[Claim]:
    """Return what must come out beside each run failing or not as predicted."""
    named = {
        name: [r for r in records if r["run"] == name] for name in dict.fromkeys(r["run"] for r in records)
    }
    claims = []
    if early := named.get(_EARLY):
        claims.append(
            Claim(
                "underflow starts at attention's scores",
                f"{_EARLY}: {_mean(early, 'expected_in_scores')}, in linear layers {_mean(early, 'expected')}",
                f"{_mean(early, 'found_in_scores')}, in linear layers {_mean(early, 'found')}",
                tuple(r["found_in_scores"] > 0.5 > r["found"] for r in early),
            )
        )
    pairs = zip(named.get("fp16", []), named.get("fp16, mask -1e9", []), strict=False)
    if same := [a["weights_sha256"] == b["weights_sha256"] for a, b in pairs]:
        word = "the same" if all(same) else "different"
        claims.append(Claim("masks of -inf and -1e9", "the same weights, bit for bit", word, tuple(same)))
    for name in ("fp16", "bf16", "E5M2"):
        both = list(zip(named.get(name, []), named.get(f"{name}, all narrow", []), strict=False))
        if both:
            gaps = [_gap(a["outcome"], b["outcome"]) for a, b in both]
            claims.append(
                Claim(
                    f"softmax and norms in {name} cost little",
                    f"the loss is less than {_LITTLE} higher",
                    f"{max(gaps):+.4f} at most",
                    tuple(gap < _LITTLE for gap in gaps),
                )
            )
    return claims


def _mean(records: list[Record], key: str) -> str:
    return f"{np.mean([r[key] for r in records]):.0%}"


def _gap(wide: float | None, narrow: float | None) -> float:
    """Return by how much a narrow run's loss is higher; infinity if one is no number."""
    return math.inf if wide is None or narrow is None else narrow - wide


_LITTLE = 0.05  # of a loss that begins at log(17) = 2.8
_EARLY = "fp16, w = 1e-3"
_E4M3_MASK = -448.0
EXPERIMENT = Experiment(
    name="transformer",
    title="A small GPT",
    question="Which formats train a transformer, and where does underflow start?",
    runs=(
        Language("fp32"),
        Language("fp16", "fp16"),
        Language("fp16, mask -1e9", "fp16", mask=-1e9),
        Language("fp16, all narrow", "fp16", narrow=True),
        Language("bf16", "bf16"),
        Language("bf16, all narrow", "bf16", narrow=True),
        Language("bf16, attention in E4M3", "bf16", operand="float8_e4m3fn"),
        Language("bf16, attention in E2M1", "bf16", operand="float4_e2m1fn"),
        Language("E5M2", "e5m2"),
        Language("E5M2, all narrow", "e5m2", narrow=True),
        Language("E4M3", "e4m3", mask=_E4M3_MASK),
        Language("E4M3, scale 256", "e4m3", loss_scaling="static", initial_scale=256.0, mask=_E4M3_MASK),
        Language(_EARLY, "fp16", loss_weight=1e-3),
        Language("fp16, w = 1e-5", "fp16", loss_weight=1e-5),
        Language(
            "fp16 static, w = 1e-5", "fp16", loss_scaling="static", initial_scale=2.0**16, loss_weight=1e-5
        ),
    ),
    predict=predict,
    train=train,
    expected="gradients lost on the way back to linear layers",
    outcome="training loss after 80 steps (chance: 2.833)",
    minutes=3.0,
    claims=_claims,
    vary={"learning_rate": 2.0, "loss_weight": 3.0, "initial_scale": 64.0, "batch_size": 2.0},
    notes="80 steps teach where a picture is dark more than what follows what: attention learns later than the rest.",
)
