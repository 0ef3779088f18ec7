"""A function that is computed again in backward: the same bits, less memory, the same draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import floatlab as fl
from floatlab import amp, nn
from floatlab.autograd import Tensor, checkpoint, no_grad
from floatlab.errors import AutogradError


class Block(nn.Module):
    """A layer whose inside is kept, or computed again."""

    def __init__(self, width: int, again: bool, p: float = 0.0, rng: int = 0) -> None:
        super().__init__()
        self.again = again
        self.first, self.second = nn.Linear(width, width, rng=rng), nn.Linear(width, width, rng=rng + 1)
        self.dropout = nn.Dropout(p, rng=rng + 2)

    def inside(self, x: Tensor) -> Tensor:
        return self.dropout(self.second(self.first(x).tanh()).relu()).tanh()

    def forward(self, x: Tensor) -> Tensor:
        return checkpoint(self.inside, x) if self.again else self.inside(x)


def weights_after(
    again: bool, fmt: str = "fp32", around: Callable[[], Any] | None = None, p: float = 0.5
) -> bytes:
    """Return the weights of a small network after some steps."""
    model = nn.Sequential(*(Block(6, again, p, 10 * i) for i in range(3))).to(fmt)
    sgd = fl.optim.SGD(model.parameters(), lr=0.125)
    rng = np.random.default_rng(0)
    for _ in range(4):
        x = Tensor(rng.normal(size=(5, 6)), format=fmt)
        sgd.zero_grad()
        if around is None:
            loss = (model(x) * 3).square().mean()
        else:
            with around():
                loss = (model(x) * 3).square().mean()
        loss.backward()
        sgd.step()
    return b"".join(w.data.tobytes() for w in model.parameters())


@pytest.mark.parametrize("fmt", ["fp32", "fp16", "bf16"])
def test_dropout_draws_the_same_masks_and_training_gives_the_same_bits(fmt: str) -> None:
    assert weights_after(True, fmt) == weights_after(False, fmt)
    assert weights_after(True, fmt, p=0.0) != weights_after(True, fmt)


def test_the_second_time_runs_in_the_context_of_the_first() -> None:
    for around in (
        lambda: fl.arithmetic(rounding="toward_zero", accumulator="fp16"),
        lambda: amp.autocast("bf16"),
        lambda: fl.arithmetic(overflow="saturate"),
    ):
        assert weights_after(True, around=around) == weights_after(False, around=around)
    assert weights_after(True, around=lambda: amp.autocast("bf16")) != weights_after(True)


def test_stochastic_rounding_draws_the_same_bits_again() -> None:
    x = Tensor(np.linspace(-2, 2, 50), format="bf16", requires_grad=True)
    found = []
    for run in (lambda f: checkpoint(f, x), lambda f: f(x)):
        x.grad = None
        rng = np.random.default_rng(5)
        with fl.arithmetic(rounding="stochastic", rng=rng):
            y = run(lambda t: (t * 1.1).exp())
            after = float(rng.random())
        found.append((y.tolist(), after))
        y.sum().backward()
    assert found[0] == found[1]


def test_a_generator_is_found_in_closures_methods_lists_and_globals() -> None:
    rng = np.random.default_rng(1)
    layers = [nn.Dropout(0.5, rng=rng)]
    x = Tensor(np.ones(200), requires_grad=True)

    def by_closure(t: Tensor) -> Tensor:
        return layers[0](t) * 2

    for function in (by_closure, lambda t: DROPOUT(t) * 2, layers[0], layers[0].forward):
        state = rng.bit_generator.state, GENERATOR.bit_generator.state
        y = checkpoint(function, x)
        drawn = rng.bit_generator.state, GENERATOR.bit_generator.state
        assert drawn != state
        x.grad = None
        y.sum().backward()
        assert ((x.grad.data != 0) == (y.data != 0)).all() and (y.data == 0).any()
        assert (rng.bit_generator.state, GENERATOR.bit_generator.state) == drawn  # the future is not touched


GENERATOR = np.random.default_rng(8)
DROPOUT = nn.Dropout(0.5, rng=GENERATOR)


def test_the_default_generator_is_rewound_as_well() -> None:
    x = Tensor(np.ones(100), requires_grad=True)
    fl.manual_seed(4)
    y = checkpoint(lambda t: t * fl.rand(100), x)
    y.sum().backward()
    assert x.grad.tolist() == y.tolist()


def test_another_result_the_second_time_is_an_error_and_a_named_generator_the_way_out() -> None:
    hidden = {"rng": np.random.default_rng(0)}

    class Source:
        def draw(self) -> Any:
            return hidden["rng"].random(3)

    source = Source()
    x = Tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = checkpoint(lambda t: t * Tensor(source.draw()), x)
    with pytest.raises(AutogradError, match=r"computes the same a second time.*as rng"):
        y.sum().backward()
    y = checkpoint(lambda t: t * Tensor(source.draw()), x, rng=hidden["rng"])
    y.sum().backward()
    assert x.grad.tolist() == (y / x).tolist()


def test_less_is_kept_and_the_report_shows_it() -> None:
    x = Tensor(np.ones((32, 64)))
    plain, again = (nn.Sequential(*(Block(64, kept, rng=10 * i) for i in range(4))) for kept in (False, True))
    reports = [fl.memory.measure(model, x) for model in (plain, again)]
    activations = [report.bytes_of("activations") for report in reports]
    assert activations[1] < activations[0] / 3  # one input for each block, instead of all that is inside
    assert activations[1] >= 4 * 32 * 64 * 4
    assert reports[0].bytes_of("weights") == reports[1].bytes_of("weights")


def test_inputs_and_weights_get_their_gradients_and_numbers_pass() -> None:
    w, x, b = (Tensor(v, requires_grad=True) for v in ([2.0, 3.0], [5.0, 7.0], [1.0, 1.0]))
    y = checkpoint(lambda x, b, factor: x * w * factor + b, x * 1, b, 10)
    y.sum().backward()
    assert (x.grad.tolist(), w.grad.tolist(), b.grad.tolist()) == ([20, 30], [50, 70], [1, 1])
    only = checkpoint(lambda x: x * w, Tensor([1.0, 1.0]))  # nothing but a weight asks
    only.sum().backward()
    assert w.grad.tolist() == [51, 71]
    with no_grad():
        assert not checkpoint(lambda x: x * w, x).requires_grad


def test_a_graph_that_is_kept_is_walked_twice() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True)
    loss = checkpoint(lambda x: x * x, x).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    assert x.grad.tolist() == [4, 8]


def test_what_cannot_be_checkpointed_is_told() -> None:
    x = Tensor([1.0, 2.0], requires_grad=True, name="x")
    with pytest.raises(AutogradError, match="returns one tensor"):
        checkpoint(lambda x: (x, x), x)
    y = checkpoint(lambda x: x * x, x)
    with no_grad():
        x += 1
    with pytest.raises(AutogradError, match="changed in place"):
        y.sum().backward()
    with pytest.raises(AutogradError, match="Got none inside"):
        checkpoint(lambda x: x * 2, Tensor([1.0])).sum().backward()
