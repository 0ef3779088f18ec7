"""Which commands write a file of numbers in another format? quantize and encode, of files of any size."""

from __future__ import annotations

from collections.abc import Callable
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


def _converts_to(to: str) -> Callable[..., None]:
    """Return the command that writes values, or codes: the two differ in nothing else."""

    def convert(
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
        from floatlab.cli.convert import convert_command

        convert_command(
            file,
            fmt,
            out,
            to=to,
            fresh=fresh,
            rounding=rounding,
            overflow=overflow,
            subnormals=subnormals,
            flush_inputs=flush_inputs,
            random_bits=random_bits,
            rng=seed,
        )

    return convert


app.command(
    "quantize",
    help="Round the numbers of an .npy file, of any size, to a format; interrupted, the same command goes on.",
    epilog="Examples: floatlab quantize x.npy -f e4m3 -o y.npy --overflow saturate; "
    "floatlab quantize x.npy -f bf16 -o y.npy --rounding stochastic --seed 7",
)(_converts_to("values"))
app.command(
    "encode",
    help="Write the codes of the numbers of an .npy file, of any size; interrupted, the same command goes on.",
    epilog="Example: floatlab encode x.npy -f e4m3 -o codes.npy --overflow saturate",
)(_converts_to("codes"))
