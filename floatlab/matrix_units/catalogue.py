"""Which matrix units are there? Each chip's instructions, as data, with where they are known from.

A row of a tensor core is what `floatlab.matrix_units.aligned` needs: formats of the operands, products in a block L,
fraction bits F, and the exponents of a zero for results in fp32 and in fp16. To fp32 a sum is cut toward zero, but
where only 13 fraction bits are left; to fp16 it is rounded to nearest even, and the accumulator is fp16 too.

Sources: F. A. Khattak and M. Mikaitis, "Accurate models of NVIDIA tensor cores", arXiv:2512.07004 (V100 to B200, from
measurements); P. Xie and others, "MMA-Sim", arXiv:2511.10909 (all of NVIDIA's and AMD's here). Those of processors are
in `floatlab.matrix_units.processors`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from floatlab.formats import get_format
from floatlab.matrix_units.aligned import Aligned
from floatlab.matrix_units.amd import ExactBlock, FlushedPairs, TwoStages
from floatlab.matrix_units.instruction import Instruction
from floatlab.matrix_units.processors import FusedPairs, OddPairs, OncePairs, TwoChains
from floatlab.matrix_units.scaled import BlockScaled, GroupScaled
from floatlab.matrix_units.steps import InTwoSteps
from floatlab.matrix_units.whole_numbers import IntegerBlock

__all__ = ["CHIPS", "Chip", "proofs"]


@dataclass(frozen=True)
class Chip:
    """A chip: its usual instructions, others by the suffix that names them, and where they are known from."""

    about: str
    instructions: tuple[Instruction, ...]
    variants: dict[str, tuple[Instruction, ...]]  # more of them
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Core:
    """One kind of operands of a generation of tensor cores."""

    operands: str
    block: int
    fraction_bits: int
    kept: str = "float32"

    def aligned(self, zeros: tuple[int, int], register: str) -> Aligned:
        """Return the instruction with results in fp32 or fp16; `zeros` are the exponents of a zero."""
        formats, carrier = (
            tuple(self.operands.split()),
            get_format("float32") if self.operands == "tf32" else None,
        )
        if register == "float16":
            return Aligned(
                formats,
                self.block,
                get_format("float16"),
                carrier,
                fraction_bits=self.fraction_bits,
                rounding="nearest_even",
                zero_exponent=zeros[1],
            )
        return Aligned(
            formats,
            self.block,
            carrier=carrier,
            fraction_bits=self.fraction_bits,
            kept=get_format(self.kept),
            zero_exponent=zeros[0],
        )


_FP8, _SHORT = (
    "float8_e4m3fn float8_e5m2",
    "float8_e4m3fn float8_e5m2 float6_e3m2fn float6_e2m3fn float4_e2m1fn",
)
_LIKE_13_BITS = "e8m13"  # what a Hopper's fp8 unit leaves: 13 fraction bits in a float32

_VOLTA = [_Core("float16", 4, 23)]
_TURING = [_Core("float16", 8, 24)]
_AMPERE = [_Core("float16", 8, 24), _Core("bfloat16", 8, 24), _Core("tf32", 4, 24)]
_ADA = [*_AMPERE, _Core(_FP8, 16, 13, _LIKE_13_BITS)]
_WIDE = [_Core("float16", 16, 25), _Core("bfloat16", 16, 25), _Core("tf32", 8, 25)]
_HOPPER = [*_WIDE, _Core(_FP8, 32, 13, _LIKE_13_BITS)]
_BLACKWELL = [*_WIDE, _Core(_SHORT, 32, 25)]

#: Results in fp16 are those of instructions for fp16 and fp8 operands.
_TO_FP16 = ("float16", _FP8, _SHORT)
_PAPER = "F. A. Khattak, M. Mikaitis, arXiv:2512.07004"
_SIMULATOR = "MMA-Sim, arXiv:2511.10909"
_MANUAL = "Intel SDM, volume 2"


def _nvidia(about: str, cores: list[_Core], zeros: tuple[int, int], two_steps: bool = False) -> Chip:
    usual: tuple[Instruction, ...] = tuple(core.aligned(zeros, "float32") for core in cores)
    half: tuple[Instruction, ...] = tuple(
        core.aligned(zeros, "float16") for core in cores if core.operands in _TO_FP16
    )
    variants = {"fp16": half}
    if two_steps:
        for suffix, all_of_them in (("mma.sync", usual), ("mma.sync:fp16", half)):
            through = next(one for one in all_of_them if one.operands == (get_format("float16"),))
            assert isinstance(through, Aligned)
            steps = InTwoSteps(tuple(_FP8.split()), 2 * through.block, through.register, through=through)
            others = tuple(one for one in all_of_them if get_format("float8_e5m2") not in one.operands)
            variants[suffix] = (steps, *others)
    return Chip(about, usual, variants, (_PAPER, _SIMULATOR))


def _blackwell(about: str, **options: bool) -> Chip:
    """Return a Blackwell: four bits with scales go through the wider instruction, as libraries have it."""
    chip = _nvidia(about, _BLACKWELL, (-133, -21), **options)
    scaled = BlockScaled(tuple(_SHORT.split()), 32, fraction_bits=25, zero_exponent=-133)
    groups = GroupScaled(
        ("float4_e2m1fn",),
        64,
        fraction_bits=35,
        zero_exponent=-139,
        scale_formats=("e8m0", "float8_e4m3fn"),
        scale_blocks=(32, 16),
    )
    variants = chip.variants | {"mxf8f6f4": (*chip.instructions, scaled)}
    return Chip(about, (*chip.instructions, groups, scaled), variants, chip.sources)


def _turing() -> Chip:
    chip = _nvidia("NVIDIA T4, Turing, 2018", _TURING, (-132, -20))
    as_volta = _nvidia("", _VOLTA, (-131, -19))
    chip.variants["m8n8k4"] = as_volta.instructions
    chip.variants["m8n8k4:fp16"] = as_volta.variants["fp16"]
    return chip


def _other(
    about: str, *instructions: Instruction, sources: tuple[str, ...] = (_SIMULATOR,), **variants: Instruction
) -> Chip:
    return Chip(about, instructions, {name: (one,) for name, one in variants.items()}, sources)


#: With how many recorded dot products each was compared, of the chip and of a model of it; none differs. Where they
#: come from: docs/units.md. A test counts them where they are.
_COMPARED = {
    "v100": (10_000, 600),
    "t4": (0, 600),
    "a100": (20_000, 1_200),
    "a2": (20_000, 0),
    "ada": (40_000, 3_000),
    "l40s": (30_000, 0),
    "h100": (40_000, 3_000),
    "h200": (43_500, 0),
    "b200": (40_000, 4_900),
    "rtx_blackwell": (0, 1_200),
    "mi100": (0, 600),
    "mi250": (0, 900),
    "mi300": (0, 1_796),
    "avx512_bf16": (40_000, 0),
    "avx512_vnni": (16_000, 0),
    "maddubs": (8_000, 0),
}


def proofs(name: str) -> tuple[str, ...]:
    """Return in words with what a chip's unit was compared.

    >>> proofs("v100")
    ('10,000 results of the chip: 0 differ', '600 results of a model of it: 0 differ')
    """
    counts = zip(_COMPARED.get(name, ()), ("the chip", "a model of it"), strict=False)
    found = tuple(f"{count:,} results of {what}: 0 differ" for count, what in counts if count)
    return found or ("no results are known: written from the manual",)


_FNUZ = ("float8_e4m3fnuz", "float8_e5m2fnuz")

#: Each is made where it is first asked for.
CHIPS: dict[str, Callable[[], Chip]] = {
    "v100": lambda: _nvidia("NVIDIA V100, Volta, 2017", _VOLTA, (-131, -19)),
    "t4": _turing,
    "a100": lambda: _nvidia("NVIDIA A100, Ampere, 2020", _AMPERE, (-132, -20)),
    "a2": lambda: _nvidia("NVIDIA A2, Ampere, 2021", _AMPERE, (-132, -20)),
    "ada": lambda: _nvidia("NVIDIA RTX 40, Ada Lovelace, 2022", _ADA, (-132, -20)),
    "l40s": lambda: _nvidia("NVIDIA L40S, Ada Lovelace, 2023", _ADA, (-132, -20)),
    "h100": lambda: _nvidia("NVIDIA H100, Hopper, 2022", _HOPPER, (-133, -21), two_steps=True),
    "h200": lambda: _nvidia("NVIDIA H200, Hopper, 2023", _HOPPER, (-133, -21), two_steps=True),
    "b200": lambda: _blackwell("NVIDIA B200, Blackwell, 2024", two_steps=True),
    "rtx_blackwell": lambda: _blackwell("NVIDIA RTX 50, Blackwell, 2025"),
    "mi100": lambda: _other(
        "AMD MI100, CDNA 1, 2020", ExactBlock(("float16",), 4), ExactBlock(("bfloat16",), 2)
    ),
    "mi250": lambda: _other(
        "AMD MI250, CDNA 2, 2021",
        FlushedPairs(("float16",), 4),
        FlushedPairs(("bfloat16",), 4),
        bf16=FlushedPairs(("bfloat16",), 2),
    ),
    "mi300": lambda: _other(
        "AMD MI300, CDNA 3, 2023",
        TwoStages(("float16",), 8),
        TwoStages(("bfloat16",), 8),
        TwoStages(("tf32",), 4),
        TwoStages(_FNUZ, 16, parts=2),
    ),
    "avx512_bf16": lambda: _other(
        "Intel and AMD processors: VDPBF16PS, 2020", FusedPairs(("bfloat16",), 2), sources=(_MANUAL,)
    ),
    "amx_bf16": lambda: _other(
        "Intel processors: TDPBF16PS, 2023", TwoChains(("bfloat16",), 32), sources=(_MANUAL,)
    ),
    "arm_bf16": lambda: _other(
        "Arm processors: BFDOT, BFMMLA, 2019", OddPairs(("bfloat16",), 2), sources=("Arm ARM, BFDOT",)
    ),
    "arm_ebf16": lambda: _other(
        "Arm processors with FPCR.EBF, 2022", OncePairs(("bfloat16",), 2), sources=("Arm ARM, BFDOT",)
    ),
    "avx512_vnni": lambda: _other(
        "Intel and AMD processors: VPDPBUSD, 2019",
        IntegerBlock((), 4, sums="int32"),
        sources=(_MANUAL,),
        saturate=IntegerBlock((), 4, sums="int32_saturate"),
    ),
    "maddubs": lambda: _other(
        "Intel and AMD processors: VPMADDUBSW, 2006", IntegerBlock((), 2, sums="maddubs"), sources=(_MANUAL,)
    ),
}
