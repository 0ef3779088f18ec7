"""Which commands write a file of numbers in another format? quantize and encode, of files of any size."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from floatlab.cli.entry import app
from floatlab.cli.options import (
    PATH,
    FlushInputsOption,
    FormatOption,
    OverflowOption,
    RandomBitsOption,
    RoundingOption,
    SubnormalsOption,
)

__all__: list[str] = []

_File = Annotated[Path, typer.Argument(help="An .npy file of numbers.", show_default=False)]
_Out = Annotated[
    Path, typer.Option("--out", "-o", help="The .npy file to write.", show_default=False, **PATH)
]
_Seed = Annotated[int | None, typer.Option("--seed", min=0, help="Of stochastic rounding.")]
_Fresh = Annotated[bool, typer.Option("--fresh", help="Start anew, and forget what was interrupted.")]


@app.command(
    epilog="Examples: floatlab quantize x.npy -f e4m3 -o y.npy --overflow saturate; "
    "floatlab quantize x.npy -f bf16 -o y.npy --rounding stochastic --seed 7"
)
def quantize(
    file: _File,
    out: _Out,
    fmt: FormatOption = "fp16",
    rounding: RoundingOption = "nearest_even",
    overflow: OverflowOption = None,
    subnormals: SubnormalsOption = "gradual",
    flush_inputs: FlushInputsOption = False,
    random_bits: RandomBitsOption = None,
    seed: _Seed = None,
    fresh: _Fresh = False,
) -> None:
    """Round the numbers of an .npy file, of any size, to a format; interrupted, the same command goes on."""
    from floatlab.cli.convert import convert_command

    convert_command(
        file,
        fmt,
        out,
        to="values",
        fresh=fresh,
        rounding=rounding,
        overflow=overflow,
        subnormals=subnormals,
        flush_inputs=flush_inputs,
        random_bits=random_bits,
        rng=seed,
    )


@app.command(epilog="Example: floatlab encode x.npy -f e4m3 -o codes.npy --overflow saturate")
def encode(
    file: _File,
    out: _Out,
    fmt: FormatOption = "fp16",
    rounding: RoundingOption = "nearest_even",
    overflow: OverflowOption = None,
    subnormals: SubnormalsOption = "gradual",
    flush_inputs: FlushInputsOption = False,
    random_bits: RandomBitsOption = None,
    seed: _Seed = None,
    fresh: _Fresh = False,
) -> None:
    """Write the codes of the numbers of an .npy file, of any size; interrupted, the same command goes on."""
    from floatlab.cli.convert import convert_command

    convert_command(
        file,
        fmt,
        out,
        to="codes",
        fresh=fresh,
        rounding=rounding,
        overflow=overflow,
        subnormals=subnormals,
        flush_inputs=flush_inputs,
        random_bits=random_bits,
        rng=seed,
    )
