"""How long is a training step? floatlab beside plain NumPy, QPyTorch and PyTorch, in one run, on one thread.

    python benchmarks/training.py            all of it: about three minutes
    python benchmarks/training.py --quick    fewer rounds, for a first look
    python benchmarks/training.py --only perceptrons
    python benchmarks/training.py --page     the page again, from the results of the last run

The contenders of a case take turns, round after round, so that whatever slows the machine down slows all of them;
what counts is each one's fastest round, which a neighbour on the machine disturbs least (the medians are recorded
too). Figures are ratios of these. Results go to
``benchmarks/results/training.json`` and to ``docs/training-performance.md``, which is written anew.

A step is: forget the gradients, forward, loss, backward, unscale where there is a loss scale, SGD with momentum. All
contenders do it on the same batch, in a network of the same size.
"""

# ruff: noqa: E402 - the number of threads is set before NumPy is imported
from __future__ import annotations

import os

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from machine import machine

import floatlab as fl
from floatlab.rounding.quantize import quantize
from floatlab.sums.matmul import matmul

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "training.json"
RATE, MOMENTUM = 0.01, 0.9
FORMATS = {
    "fp32": None,
    "fp16": None,
    "bf16": None,
    "e4m3": "e5m2",
}  # and their gradients' formats, if others
ROUND = 5e-3  # a round takes at least this long: short steps are repeated

Step = Callable[[], Any]
Contenders = dict[str, Step]


@dataclass
class Timing:
    """What a case took: the fastest round of each contender, and its median one, in seconds per step."""

    group: str
    name: str
    base: str
    seconds: dict[str, float]
    medians: dict[str, float]

    def ratio(self, contender: str, to: str) -> float:
        """Return the time of one contender over that of another; NaN if either did not run."""
        return self.seconds.get(contender, np.nan) / self.seconds.get(to, np.nan)


def measure(group: str, name: str, base: str, contenders: Contenders, rounds: int) -> Timing:
    """Let the contenders take turns, and keep each one's fastest and median round."""
    repeats, taken = {}, {who: list[float]() for who in contenders}
    for who, step in contenders.items():
        for _ in range(3):  # casts, state of the optimizer, pages
            step()
        start = time.perf_counter()
        step()
        repeats[who] = max(1, int(ROUND / (time.perf_counter() - start)))
    for _ in range(rounds):
        for who, step in contenders.items():
            start = time.perf_counter()
            for _ in range(repeats[who]):
                step()
            taken[who].append((time.perf_counter() - start) / repeats[who])
    fastest = {who: min(times) for who, times in taken.items()}
    return Timing(group, name, base, fastest, {who: median(times) for who, times in taken.items()})


def _torch() -> Any:
    if find_spec("torch") is None:
        return None
    import torch

    torch.set_num_threads(1)
    return torch


# -- a step of floatlab, whatever the network -----------------------------------------------------------------


def floatlab_step(fmt: str, network: fl.nn.Module, x: fl.Tensor, labels: Any) -> Step:
    """Return the step under autocast; fp16 and fp8 with a loss scale. The weights are fp32."""
    optimizer = fl.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM)
    scaler = fl.amp.GradScaler(enabled=fmt in ("fp16", "e4m3"))

    def step() -> float:
        optimizer.zero_grad()
        with fl.amp.autocast(fmt, enabled=fmt != "fp32", gradient_format=FORMATS[fmt]):
            loss = fl.nn.functional.cross_entropy(network(x), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return float(loss.item())

    return step


def torch_step(torch: Any, network: Any, x: Any, labels: Any, bf16: bool = False) -> Step:
    """Return the same step in PyTorch, eager, on the CPU."""
    x, labels = torch.from_numpy(x), torch.from_numpy(labels)
    optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM)

    def step() -> float:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = torch.nn.functional.cross_entropy(network(x), labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


# -- the multilayer perceptrons ----------------------------------------------------------------------------


def numpy_step(widths: tuple[int, ...], x: Any, labels: Any, wide: type) -> Step:
    """Return the same arithmetic written directly: float32 values; sums of products in the type `wide`."""
    rng = np.random.default_rng(0)
    layers = fl_layers(widths, rng)
    weights = [layer.weight.data.copy() for layer in layers]
    biases = [layer.bias.data.copy() for layer in layers]
    memory = [np.zeros_like(p) for p in (*weights, *biases)]
    rows = np.arange(len(x))

    def product(a: Any, b: Any, bias: Any = None) -> Any:
        out = a.astype(wide, copy=False) @ b.astype(wide, copy=False)
        if bias is not None:
            out += bias
        return out.astype(np.float32, copy=False)

    def step() -> float:
        values = [x]
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            z = product(values[-1], weight.T, bias)
            values.append(z if i == len(weights) - 1 else np.maximum(z, np.float32(0)))
        shares = np.exp(z.astype(np.float64) - z.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        loss = -np.log(shares[rows, labels]).mean()
        shares[rows, labels] -= 1.0
        g = (shares / len(x)).astype(np.float32)
        gradients: list[Any] = [None] * len(memory)
        for i in reversed(range(len(weights))):
            gradients[i] = product(g.T, values[i])
            gradients[len(weights) + i] = g.sum(axis=0, dtype=wide).astype(np.float32)
            if i:
                g = product(g, weights[i])
                g *= values[i] > 0
        for p, m, d in zip((*weights, *biases), memory, gradients, strict=True):
            m *= np.float32(MOMENTUM)
            m += d
            p -= np.float32(RATE) * m
        return float(loss)

    return step


def fl_layers(widths: tuple[int, ...], rng: np.random.Generator) -> list[fl.nn.Linear]:
    return [fl.nn.Linear(i, o, rng=rng) for i, o in pairwise(widths)]


def fl_mlp(widths: tuple[int, ...]) -> fl.nn.Sequential:
    modules: list[fl.nn.Module] = []
    for layer in fl_layers(widths, np.random.default_rng(0)):
        modules += [layer, fl.nn.ReLU()]
    return fl.nn.Sequential(*modules[:-1])


def torch_mlp(torch: Any, widths: tuple[int, ...]) -> Any:
    """Return PyTorch's network with floatlab's weights."""
    modules = []
    for layer in fl_layers(widths, np.random.default_rng(0)):
        linear = torch.nn.Linear(layer.in_features, layer.out_features)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(layer.weight.data))
            linear.bias.copy_(torch.from_numpy(layer.bias.data))
        modules += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*modules[:-1])


def qtorch_step(torch: Any, widths: tuple[int, ...], x: Any, labels: Any) -> Step | None:
    """Return the step with QPyTorch's fp16: activations, their gradients and the weights' gradients are rounded."""
    if find_spec("qtorch") is None:
        return None
    try:  # it compiles its kernels when it is imported
        from qtorch import FloatingPoint
        from qtorch.optim import OptimLP
        from qtorch.quant import Quantizer, quantizer
    except (ImportError, OSError, RuntimeError):
        return None
    half = FloatingPoint(exp=5, man=10)
    plain, modules = torch_mlp(torch, widths), []
    for module in plain:
        modules += [module, Quantizer(half, half, "nearest", "nearest")]
    network = torch.nn.Sequential(*modules)
    x, labels = torch.from_numpy(x), torch.from_numpy(labels)
    rounds = quantizer(forward_number=half, forward_rounding="nearest")
    optimizer = OptimLP(torch.optim.SGD(network.parameters(), lr=RATE, momentum=MOMENTUM), grad_quant=rounds)

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(network(x), labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def mlp(widths: tuple[int, ...], batch: int) -> Contenders:
    """Return everyone who can train a multilayer perceptron."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 17, (batch, widths[0])).astype(np.float32) / 16
    labels = rng.integers(0, 10, batch)
    steps: Contenders = {
        f"floatlab {fmt}": floatlab_step(fmt, fl_mlp(widths), fl.Tensor(x), labels) for fmt in FORMATS
    }
    steps["NumPy, float64 sums"] = numpy_step(widths, x, labels, np.float64)
    steps["NumPy, float32 sums"] = numpy_step(widths, x, labels, np.float32)
    torch = _torch()
    if torch is not None:
        steps["PyTorch fp32"] = torch_step(torch, torch_mlp(torch, widths), x, labels)
        steps["PyTorch autocast bf16"] = torch_step(torch, torch_mlp(torch, widths), x, labels, bf16=True)
        emulated = qtorch_step(torch, widths, x, labels)
        if emulated is not None:
            steps["QPyTorch fp16"] = emulated
    losses = {who: [step() for _ in range(5)][-1] for who, step in steps.items()}
    for who, loss in losses.items():  # they do the same, or the comparison is worth nothing
        allowed = 1e-5 if "32" in who or "64" in who else 0.03
        assert abs(loss - losses["NumPy, float64 sums"]) <= allowed, (who, losses)
    return steps


# -- other networks ------------------------------------------------------------------------------------------


def cnn(batch: int = 64) -> Contenders:
    """Return the steps of a small convolutional network on images of 8 by 8."""
    rng = np.random.default_rng(1)
    x = rng.integers(0, 17, (batch, 1, 8, 8)).astype(np.float32) / 16
    labels = rng.integers(0, 10, batch)

    def network(nn: Any, **seed: Any) -> Any:
        return nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1, **seed),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, padding=1, **seed),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(512, 128, **seed),
            nn.ReLU(),
            nn.Linear(128, 10, **seed),
        )

    steps = {
        f"floatlab {fmt}": floatlab_step(fmt, network(fl.nn, rng=0), fl.Tensor(x), labels) for fmt in FORMATS
    }
    torch = _torch()
    if torch is not None:
        steps["PyTorch fp32"] = torch_step(torch, network(torch.nn), x, labels)
    return steps


class _LastOfLSTM(fl.nn.Module):
    """An LSTM and a linear layer on its last output."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.head = fl.nn.LSTM(8, 64, rng=0), fl.nn.Linear(64, 10, rng=0)

    def forward(self, x: fl.Tensor) -> fl.Tensor:
        return self.head(self.lstm(x)[0][-1])


def lstm(steps_: int = 20, batch: int = 64) -> Contenders:
    """Return the steps of an LSTM with 64 units over a sequence."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((steps_, batch, 8)).astype(np.float32)
    labels = rng.integers(0, 10, batch)
    steps = {f"floatlab {fmt}": floatlab_step(fmt, _LastOfLSTM(), fl.Tensor(x), labels) for fmt in FORMATS}
    torch = _torch()
    if torch is not None:

        class LastOfLSTM(torch.nn.Module):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.lstm, self.head = torch.nn.LSTM(8, 64), torch.nn.Linear(64, 10)

            def forward(self, x: Any) -> Any:
                return self.head(self.lstm(x)[0][-1])

        steps["PyTorch fp32"] = torch_step(torch, LastOfLSTM(), x, labels)
    return steps


# -- parts of a step -----------------------------------------------------------------------------------------


def optimizer(name: str, size: int = 1 << 18) -> Contenders:
    """Return one step of an optimizer on a quarter of a million weights."""
    rng = np.random.default_rng(0)
    weights, gradient = rng.standard_normal((2, size)).astype(np.float32)

    def ours(fmt: str, **options: Any) -> Step:
        p = fl.Tensor(weights, requires_grad=True, format=fmt)
        p.grad = fl.Tensor(gradient, format=fmt)
        return getattr(fl.optim, name)([p], lr=1e-3, **options).step

    steps = {
        "floatlab fp32": ours("fp32"),
        "floatlab pure bf16": ours("bf16"),
        "floatlab bf16, stochastic": ours("bf16", rounding="stochastic", rng=0),
        "floatlab bf16, fp32 master": ours("bf16", master_weights=True),
    }
    torch = _torch()
    if torch is not None:
        p = torch.tensor(weights, requires_grad=True)
        p.grad = torch.tensor(gradient)
        steps["PyTorch fp32"] = getattr(torch.optim, name)([p], lr=1e-3, foreach=False).step
    return steps


def product(fmt: str, m: int, k: int, n: int) -> Contenders:
    """Return a matrix product that is rounded correctly, and the BLAS calls that know nothing of that."""
    rng = np.random.default_rng(0)
    a = quantize(rng.standard_normal((m, k)).astype(np.float32), fmt)
    b = quantize(rng.standard_normal((k, n)).astype(np.float32), fmt)
    known = fl.get_format(fmt)
    return {
        "floatlab": lambda: matmul(a, b, known, formats=(known, known)),
        "float64 product, cast": lambda: (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32),
        "float32 product": lambda: a @ b,
        "floatlab, accumulator exact": lambda: matmul(a, b, known, accumulator="exact"),
    }


LARGE, SMALL = "784-512-512-10, batch 128", "64-64-64-64-10, batch 64"

# group -> case -> (the contender that is 1, how to make the contenders)
CASES: dict[str, dict[str, tuple[str, Callable[[], Contenders]]]] = {
    "multilayer perceptrons": {
        LARGE: ("floatlab fp32", lambda: mlp((784, 512, 512, 10), 128)),
        SMALL: ("floatlab fp32", lambda: mlp((64, 64, 64, 64, 10), 64)),
    },
    "other networks": {
        "two convolutions, 8 × 8, batch 64": ("floatlab fp32", cnn),
        "LSTM of 64 units, 20 steps, batch 64": ("floatlab fp32", lstm),
    },
    "optimizers, 2^18 weights": {
        name: ("floatlab fp32", lambda name=name: optimizer(name))  # type: ignore[misc]
        for name in ("SGD", "Adam", "AdamW", "NAdam", "RMSprop", "Adagrad", "Adadelta")
    },
    "matrix products": {
        f"{fmt}, {m} × {k} × {n}": (
            "float64 product, cast",
            lambda fmt=fmt, m=m, k=k, n=n: product(fmt, m, k, n),  # type: ignore[misc]
        )
        for m, k, n in ((64, 64, 64), (128, 784, 512), (512, 512, 512))
        for fmt in ("fp32", "fp16", "bf16", "e4m3")
    },
}


# -- targets and tables --------------------------------------------------------------------------------------


@dataclass
class Target:
    """A promise, and whether it was kept in this run."""

    claim: str
    limit: float
    measured: float

    @property
    def met(self) -> bool:
        """Whether the measured ratio is within the limit."""
        return self.measured <= self.limit


def targets(timings: list[Timing]) -> list[Target]:
    """Return the promises about the two perceptrons."""
    found = []
    for timing in timings:
        plain = timing.ratio("floatlab fp32", "NumPy, float64 sums")
        if timing.name == LARGE:
            fp16 = timing.ratio("floatlab fp16", "floatlab fp32")
            found += [
                Target("large perceptron, fp16 step, against the fp32 step", 2.5, fp16),
                Target("large perceptron, fp32 step, against NumPy with float64 sums", 1.6, plain),
            ]
        elif timing.name == SMALL:
            found += [Target("small perceptron, fp32 step, against NumPy with float64 sums", 5, plain)]
    return found


PAGE = """# How long a training step takes

This page is written by `python benchmarks/training.py`: run it to have it for your machine.

**Where another library is faster**, and how many times as long floatlab takes in the same format:

{faster}

**How to read it.** All contenders of a table train the same network on the same batch in turn, on one thread, and
each figure is a ratio of their fastest rounds: 2 means twice as long. A step is forward, loss, backward and SGD with
momentum; fp16 and e4m3 (with gradients in e5m2) run under a dynamic loss scale. The contenders do not promise the
same:

- *NumPy, float64 sums* is floatlab's fp32 step written out by hand: float32 values, matrix products summed in
  float64. What floatlab takes longer is spent on the graph, on bookkeeping, and on the proof that every product is
  the exact one, rounded once.
- *NumPy, float32 sums* lets the BLAS add in float32. That is faster, and its last bits depend on the machine.
- *PyTorch* computes in the processor's own fp32 and, under autocast, in bf16 with sums of the library's choice.
- *QPyTorch* emulates fp16 as floatlab does, by rounding fp32 results: activations and gradients here, with weights in
  fp32. Its sums are the BLAS's fp32 sums.

A narrow format can be as fast as fp32 here, or faster. Products of few bits are often added by float64 without error,
so that nothing is left to prove, and that pays for the rounding.

An optimizer in fp32 or fp64 rounds every assignment of its rule once, as the rule stands on paper, and proves it;
PyTorch rounds after every operation. In a step of a large network that is a small part; in the table of optimizers
alone it is all.
"""


def faster(timings: list[Timing]) -> list[str]:
    """Return a line for everyone who is faster than floatlab in their format, with the tables where they are."""
    people = dict.fromkeys(
        who for timing in timings for who in timing.seconds if not who.startswith("floatlab")
    )
    lines = []
    for who in people:
        won: dict[str, list[float]] = {}
        for timing in timings:
            short = who.split()[-1] if who.endswith(("fp16", "bf16")) else "fp32"
            own = f"floatlab {short}" if f"floatlab {short}" in timing.seconds else "floatlab"
            if (ratio := timing.ratio(own, who)) > 1.1:  # nearer to 1 means nothing
                won.setdefault(timing.group, []).append(ratio)
        if won:
            said = (f"{group} {_span(ratios)}" for group, ratios in won.items())
            lines.append(f"- **{who}**: " + "; ".join(said))
    return lines or ["- nowhere in this run."]


def _span(ratios: list[float]) -> str:
    low, high = _figure(min(ratios)), _figure(max(ratios))
    return f"{low}×" if low == high else f"{low} to {high}×"


def _figure(x: float) -> str:
    return "" if np.isnan(x) else f"{x:.2f}" if x < 10 else f"{x:.1f}" if x < 100 else f"{x:,.0f}"


def to_markdown(timings: list[Timing], about: dict[str, str]) -> str:
    """Return the page."""
    lines = [PAGE.format(faster="\n".join(faster(timings)))]
    lines += [
        "Measured with: " + ", ".join(f"{key} {value}" for key, value in about.items()) + ".",
        "",
        "## Targets",
        "",
    ]
    lines += ["| what | at most | measured | |", "|---|---:|---:|---|"]
    for target in targets(timings):
        verdict = "met" if target.met else "**not met**"
        lines.append(f"| {target.claim} | {target.limit:g} | {_figure(target.measured)} | {verdict} |")
    for group in dict.fromkeys(timing.group for timing in timings):
        chosen = [timing for timing in timings if timing.group == group]
        people = list(dict.fromkeys(who for timing in chosen for who in timing.seconds))
        base = chosen[0].base
        people.remove(base)
        lines += ["", f"## {group.capitalize()}", "", f"Time over that of *{base}*.", ""]
        lines.append("| | " + " | ".join(people) + " |")
        lines.append("|---|" + "---:|" * len(people))
        for timing in chosen:
            cells = " | ".join(_figure(timing.ratio(who, base)) for who in people)
            lines.append(f"| {timing.name} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    from rich.console import Console

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="5 rounds instead of 21")
    parser.add_argument(
        "--only", default="", help="only cases whose group or name has this in it; writes nothing"
    )
    parser.add_argument("--page", action="store_true", help="write the page from the last results")
    chosen = parser.parse_args()
    if chosen.page:
        write_page()
        return
    console, timings = Console(width=200), list[Timing]()
    for group, cases in CASES.items():
        for name, (base, make) in cases.items():
            if chosen.only.lower() not in f"{group} {name}".lower():
                continue
            timing = measure(group, name, base, make(), 5 if chosen.quick else 21)
            timings.append(timing)
            others = ", ".join(
                f"{who} {_figure(timing.ratio(who, base))}" for who in timing.seconds if who != base
            )
            console.print(
                f"{name:38} {base} {timing.seconds[base] * 1e3:.3f} ms = 1; {others}", highlight=False
            )
    for target in targets(timings):
        style = "green" if target.met else "red"
        console.print(
            f"{target.claim}: [{style}]{_figure(target.measured)}[/], at most {target.limit:g}",
            highlight=False,
        )
    about = machine() | {
        name: version(name) if find_spec(name) else "not installed" for name in ("numpy", "torch", "qtorch")
    }
    if not chosen.only:
        RESULTS.parent.mkdir(exist_ok=True)
        record = {"about": about, "timings": [asdict(t) for t in timings]}
        RESULTS.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        write_page()


def write_page() -> None:
    """Write the page from the results of the last run."""
    record = json.loads(RESULTS.read_text(encoding="utf-8"))
    timings = [Timing(**fields) for fields in record["timings"]]
    page = HERE.parent / "docs" / "training-performance.md"
    page.write_text(to_markdown(timings, record["about"]), encoding="utf-8")


if __name__ == "__main__":
    main()
