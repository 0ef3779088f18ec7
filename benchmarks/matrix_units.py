"""What does a matrix unit of a Hopper GPU compute? Dot products of its own instructions, kept as vectors.

    python benchmarks/matrix_units.py --out vectors

It needs a GPU of compute capability 9.0, CuPy and nvcc. `matrix_units.cu` has one kernel for each kind of instruction.
Each is tried on small integers first, whose sums are exact; only then three questions are asked, and rows of random
numbers kept: ``vectors/hopper_KIND.npz`` with the codes `a` and `b` of K numbers a row, the addend `c` and the
result `d` as bits, and `meta`, which says what they are.

1. Does a product that is zero take part in the largest exponent, to which all products are aligned?
2. Which sign has a sum of zeros?
3. What does the unit make of fp8 operands and an fp16 result?
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import floatlab as fl

ROWS, COLUMNS = 64, 8
KINDS = tuple(
    f"{given}_{result}"
    for given, result in (
        ("e4m3", "fp32"),
        ("e5m2", "fp32"),
        ("e4m3", "fp16"),
        ("e5m2", "fp16"),
        ("fp16", "fp32"),
        ("fp16", "fp16"),
        ("bf16", "fp32"),
    )
)


@dataclass
class Unit:
    """One kind of instruction: D = A B + C on blocks of (64, K), (8, K), (64, 8) numbers."""

    name: str
    kernel: Any

    @property
    def given(self) -> fl.FloatFormat:
        """The format of the operands."""
        return fl.get_format(self.name.split("_")[0])

    @property
    def result(self) -> fl.FloatFormat:
        """The format of the addend and the result."""
        return fl.get_format(self.name.split("_")[1])

    @property
    def terms(self) -> int:
        """How many products are added: K."""
        return 32 * 8 // self.given.bits

    def __call__(self, a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        """Return D as values; `a` is (n, 64, K), `b` (n, 8, K), `c` (n, 64, 8)."""
        import cupy

        codes = [cupy.asarray(np.ascontiguousarray(fl.encode(x, self.given)).view(np.uint8)) for x in (a, b)]
        addend = cupy.asarray(fl.encode(c, self.result))
        d = cupy.zeros_like(addend)
        self.kernel((len(a),), (128,), (*codes, addend, d))
        return fl.decode(cupy.asnumpy(d), self.result)

    def one(self, a: list[float], b: list[float], c: float) -> float:
        """Return a single dot product; what is not given is 0."""
        x, y = np.zeros((1, ROWS, self.terms)), np.zeros((1, COLUMNS, self.terms))
        x[0, :, : len(a)], y[0, :, : len(b)] = a, b
        return float(self(x, y, np.full((1, ROWS, COLUMNS), c))[0, 0, 0])


def units() -> list[Unit]:
    """Compile the kernels."""
    import cupy

    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "units.cubin"
        source = Path(__file__).with_suffix(".cu")
        subprocess.run(["nvcc", "-std=c++17", "-arch=sm_90a", "-cubin", "-o", made, source], check=True)
        module = cupy.RawModule(path=str(made))
        return [Unit(name, module.get_function(name)) for name in KINDS]


def wrong_integers(unit: Unit, rng: np.random.Generator) -> int:
    """Return how many sums of small integers, which every unit can form exactly, are wrong."""
    a = rng.integers(-2, 3, (64, ROWS, unit.terms)).astype(float)
    b = rng.integers(-2, 3, (64, COLUMNS, unit.terms)).astype(float)
    c = rng.integers(-8, 9, (64, ROWS, COLUMNS)).astype(float)
    return int((unit(a, b, c) != np.einsum("nik,njk->nij", a, b) + c).sum())


def answers(unit: Unit) -> dict[str, Any]:
    """Return what the unit says to the three questions."""
    # Its square is a number of the result, and far below the exponent that a zero times the largest value might have.
    small = 2.0 ** max(unit.given.etiny, -(-unit.result.etiny // 2), -60)
    alone = unit.one([0.0, small], [0.0, small], 0.0)
    beside = unit.one([0.0, small], [unit.given.max, small], 0.0)
    signs = {}
    for product in (0.0, -0.0):
        for c in (0.0, -0.0):
            total = unit.one([product] * unit.terms, [1.0] * unit.terms, c)
            signs[f"{product} products, c = {c}"] = _sign(total)
    signs["1 - 1, c = -0.0"] = _sign(unit.one([1.0, -1.0], [1.0, 1.0], -0.0))
    return {"zero_product_takes_part": alone != beside, "alone": alone, "beside": beside, "signs": signs}


def _sign(x: float) -> str:
    return "-" if np.signbit(x) else "+"


def vectors(unit: Unit, rng: np.random.Generator, blocks: int = 12) -> dict[str, np.ndarray]:
    """Return rows of codes, addends and results: numbers of wide and of narrow range, with and without an addend."""
    shape = (blocks, ROWS, unit.terms)
    spread = np.exp2(rng.integers(-6, 7, shape)) ** rng.integers(0, 2, (blocks, 1, 1))
    a = fl.quantize(rng.standard_normal(shape) * spread, unit.given, overflow="saturate")
    b = fl.quantize(rng.standard_normal((blocks, COLUMNS, unit.terms)), unit.given, overflow="saturate")
    c = rng.standard_normal((blocks, ROWS, COLUMNS)) * np.exp2(rng.integers(-8, 9, (blocks, ROWS, COLUMNS)))
    c = fl.quantize(c * (np.arange(blocks) % 3 > 0)[:, None, None], unit.result)
    d = unit(a, b, c)
    rows = np.repeat(fl.encode(a, unit.given)[:, :, None], COLUMNS, axis=2).reshape(-1, unit.terms)
    columns = np.repeat(fl.encode(b, unit.given)[:, None], ROWS, axis=1).reshape(-1, unit.terms)
    return {
        "a": rows,
        "b": columns,
        "c": fl.encode(c, unit.result).ravel(),
        "d": fl.encode(d, unit.result).ravel(),
    }


def main() -> None:
    """Ask every unit, and keep its vectors."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", default="vectors", help="where the vectors go")
    folder = Path(parser.parse_args().out)
    folder.mkdir(parents=True, exist_ok=True)
    import cupy

    chip = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    for unit in units():
        rng = np.random.default_rng(5)
        wrong = wrong_integers(unit, rng)
        found: dict[str, Any] = {
            "unit": unit.name,
            "device": chip,
            "terms": unit.terms,
            "wrong_integers": wrong,
        }
        if not wrong:
            found |= answers(unit)
            kept = vectors(unit, rng)
            what = f"operands {unit.given.name}, addend and result {unit.result.name}"
            meta = f"{chip}, wgmma m64n8, {what}: codes of d = a . b + c"
            np.savez_compressed(folder / f"hopper_{unit.name}.npz", **kept, meta=np.array(meta))
            found["rows"] = len(kept["d"])
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
