"""Which commands are there? Those of numbers, formats and units, of files (see `files.py`), of proofs and experiments.

The exit status is 1 where a proof finds a disagreement, or a claim of an experiment does not come true.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from floatlab.cli.console import seeds_of
from floatlab.cli.entry import app
from floatlab.cli.options import (
    PATH,
    EngineOption,
    FlushInputsOption,
    FormatOption,
    FreshOption,
    FullOption,
    JobsOption,
    JsonOption,
    NumbersCommand,
    OutOption,
    OverflowOption,
    RandomBitsOption,
    RoundingOption,
    SchedulerOption,
    SeedsOption,
    SubnormalsOption,
    chart_names,
    experiment_names,
    format_names,
    scheduler_of,
    unit_names,
)
from floatlab.errors import OptionError

# -- numbers -------------------------------------------------------------------------------------------


@app.command("formats", epilog="Example: floatlab formats --json | jq '.[].name'")
def list_formats(as_json: JsonOption = False) -> None:
    """List the formats: their fields, range and special values."""
    from floatlab.cli.catalogue import formats_command

    formats_command(as_json=as_json)


@app.command("units", epilog="Examples: floatlab units; floatlab units h100; floatlab units --dot")
def list_units(
    name: Annotated[
        str, typer.Argument(help="One unit, in full: h100, h100:mma.sync.", autocompletion=unit_names)
    ] = "",
    dot: Annotated[bool, typer.Option("--dot", help="What each makes of the same dot product.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List matrix units: what they multiply, how many products they add at a time, which bits they keep."""
    from floatlab.cli.units import units_command

    raise typer.Exit(units_command(name, dot=dot, as_json=as_json))


@app.command(
    cls=NumbersCommand,
    epilog="Examples: floatlab show 0.1 -f e4m3; floatlab show 65519.9 1/3 2**-24 -f fp16 --full; "
    "floatlab show --code 0x7E -f e4m3; floatlab show 0.1 --all",
)
def show(
    numbers: Annotated[
        list[str] | None,
        typer.Argument(
            help="Numbers, taken exactly: 0.1, -3e5, 1/3, 2**-24, 0x1.8p-3, inf, nan; - reads them."
        ),
    ] = None,
    fmt: FormatOption = "fp16",
    rounding: RoundingOption = "nearest_even",
    overflow: OverflowOption = None,
    subnormals: SubnormalsOption = "gradual",
    flush_inputs: FlushInputsOption = False,
    random_bits: RandomBitsOption = None,
    random_integer: Annotated[
        int | None, typer.Option("--random-integer", help="Of stochastic rounding: what was drawn.")
    ] = None,
    codes: Annotated[
        list[str] | None, typer.Option("--code", help="Instead of numbers: a code, as 0x7E; repeatable.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="In every format of the catalogue.")] = False,
    full: FullOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show how a number is rounded and stored in a format."""
    from floatlab.cli import numbers as command

    options = {
        "rounding": rounding,
        "overflow": overflow,
        "subnormals": subnormals,
        "flush_inputs": flush_inputs,
        "random_bits": random_bits,
        "random_integers": random_integer,
    }
    if codes:
        if numbers:
            raise OptionError(f"show takes numbers or --code. Got both: {', '.join(numbers)}. Leave one out.")
        command.show_codes(codes, fmt, as_json=as_json)
    elif every:
        command.show_all(numbers or [], as_json=as_json, **options)
    else:
        command.show_numbers(numbers or [], fmt, full=full, as_json=as_json, **options)


@app.command(
    cls=NumbersCommand,
    epilog="Examples: floatlab compute '0.1 + 0.2' -f fp16; floatlab compute 'fma(3, 1/3, -1)' -f bf16",
)
def compute(
    expression: Annotated[str, typer.Argument(help="For example '0.1 + 0.2', 'sqrt(2) * 3', '2**-14 / 3'.")],
    fmt: FormatOption = "fp16",
    rounding: RoundingOption = "nearest_even",
    overflow: OverflowOption = None,
    subnormals: SubnormalsOption = "gradual",
    full: FullOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compute in a format: every number is rounded to it, and then the result of every operation."""
    from floatlab.cli.numbers import compute_command

    options = {"rounding": rounding, "overflow": overflow, "subnormals": subnormals}
    compute_command(expression, fmt, full=full, as_json=as_json, **options)


@app.command(
    cls=NumbersCommand,
    epilog="Examples: floatlab chart ranges; floatlab chart codes -f e4m3 -o codes.svg; floatlab chart bits 0.1 1/3; "
    "floatlab chart histogram gradients.npy -f fp16 -f e5m2 --size half --dark",
)
def chart(
    name: Annotated[
        str,
        typer.Argument(
            help="ranges, precision, values, codes, compare, bits, rounding, operation, agreement, accumulation, "
            "histogram, quantization or rules.",
            autocompletion=chart_names,
        ),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            help="Numbers or an .npy file, an operation (add), a function (exp): what it is about."
        ),
    ] = None,
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", "-f", help="A format; repeatable.", autocompletion=format_names),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The file: .png, .svg, .pdf.", show_default="NAME.png", **PATH),
    ] = None,
    size: Annotated[str, typer.Option("--size", help="full or half: of a slide, 16:9.")] = "full",
    dark: Annotated[bool, typer.Option("--dark", help="Light on dark.")] = False,
    title: Annotated[str | None, typer.Option("--title", help="Instead of the chart's own.")] = None,
) -> None:
    """Draw a chart of formats or numbers into a file; docs/gallery.md shows them all."""
    from floatlab.cli.chart import chart_command

    print(chart_command(name, inputs or [], formats or [], out=out, size=size, dark=dark, title=title))


@app.command(
    epilog="Examples: floatlab inspect model.safetensors; floatlab inspect gradients.npz -f fp16,e5m2 --sort name; "
    "floatlab inspect model.safetensors --formats e4m3 --scaling tensor --fail-if 'lost>1%'"
)
def inspect(
    file: Annotated[
        Path,
        typer.Argument(
            help=".npy, .npz, .safetensors, .safetensors.index.json, .pt or .pth.", show_default=False
        ),
    ],
    formats: Annotated[
        str,
        typer.Option("--formats", "-f", help="Which, with commas between.", autocompletion=format_names),
    ] = "bf16,fp16,e4m3,e5m2",
    scaling: Annotated[
        str,
        typer.Option(
            "--scaling",
            help="none, tensor, tensor_real (any factor), channel, tile128, mx32, nv16 (blocks); with commas between.",
        ),
    ] = "none,tensor,channel",
    sample: Annotated[
        int | None, typer.Option("--sample", min=1, help="Look at about so many numbers of each tensor.")
    ] = None,
    pattern: Annotated[
        str | None, typer.Option("--filter", help="Only tensors of such names: '*.weight'.")
    ] = None,
    sort: Annotated[
        str,
        typer.Option("--sort", help="lost, underflow, subnormal, overflow, sqnr, size, name or file."),
    ] = "lost",
    rows: Annotated[int, typer.Option("--rows", min=1, help="How many tensors are shown.")] = 5,
    as_json: JsonOption = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="A line for each tensor, format and scaling.")
    ] = False,
    fail_if: Annotated[
        list[str] | None,
        typer.Option("--fail-if", help="Exit status 1 where this holds: 'lost>1%', 'sqnr<20dB'; repeatable."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Also draw the first tensor's histogram: .png, .svg, .pdf.", **PATH),
    ] = None,
) -> None:
    """Say what would happen to the tensors of a file in other formats."""
    from floatlab.cli.inspect import inspect_command

    raise typer.Exit(
        inspect_command(
            file,
            formats=formats,
            scaling=scaling,
            sample=sample,
            filter=pattern,
            sort=sort,
            rows=rows,
            as_json=as_json,
            as_csv=as_csv,
            fail_if=fail_if or [],
            out=out,
        )
    )


@app.command(
    epilog="Examples: floatlab bench; floatlab bench -f bf16,e4m3; floatlab bench --size 10000000 --json"
)
def bench(
    formats: Annotated[
        str,
        typer.Option(
            "--formats", "--format", "-f", help="Which, with commas between.", autocompletion=format_names
        ),
    ] = "fp16,bf16,e4m3,e5m2",
    size: Annotated[int, typer.Option("--size", min=1, help="How many numbers are converted.")] = 1 << 20,
    as_json: JsonOption = False,
) -> None:
    """Measure how fast this machine rounds, encodes, decodes and multiplies, beside a copy and other libraries."""
    from floatlab.cli.bench import bench_command

    bench_command([name for name in formats.split(",") if name.strip()], size=size, as_json=as_json)


# -- the proof -----------------------------------------------------------------------------------------


@app.command()
def verify(
    full: Annotated[
        bool, typer.Option("--full", help="All 2^32 float32 inputs of every format; hours.")
    ] = False,
    section: Annotated[
        list[str] | None, typer.Option("--section", help="Only this section; repeatable.")
    ] = None,
    fmt: Annotated[list[str] | None, typer.Option("--format", help="Only this format; repeatable.")] = None,
    jobs: JobsOption = 0,
    out: OutOption = Path("floatlab-verify"),
    fresh: FreshOption = False,
    engine: EngineOption = "processes",
    scheduler: SchedulerOption = None,
    fuzz: Annotated[
        float | None, typer.Option("--fuzz", help="Instead: try random calls for so many minutes.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option("--seed", help="The seed of --fuzz; a fresh one by default.")
    ] = None,
    vectors: Annotated[
        Path | None,
        typer.Option("--vectors", help="Instead: recorded results of chips, from the files of a folder."),
    ] = None,
) -> None:
    """Prove the numbers: compare floatlab with oracles that share no code with it."""
    from floatlab.verify import command, fuzz_command, vectors_command

    address = scheduler_of(engine, scheduler)
    if vectors is not None and (fuzz is not None or address or full or section or fmt):
        raise OptionError(
            "Recorded results are compared by themselves. Got --vectors with another option of the proof. "
            "Leave one out."
        )
    if vectors is not None:
        raise typer.Exit(vectors_command(vectors, out=out))
    if fuzz is not None and address:
        raise OptionError(
            "Random calls run in processes of this machine. Got --fuzz with --engine dask. Leave one out."
        )
    if fuzz is not None:
        raise typer.Exit(fuzz_command(fuzz, seed=seed, jobs=jobs, out=out, fresh=fresh))
    raise typer.Exit(
        command(
            full=full,
            section=section or (),
            format=fmt or (),
            jobs=jobs,
            out=out,
            fresh=fresh,
            scheduler=address,
        )
    )


# -- the demonstration -----------------------------------------------------------------------------


@app.command()
def demo(
    out: OutOption = Path("floatlab-demo"),
    cliff: Annotated[
        bool,
        typer.Option("--cliff", help="Also every loss weight from 1 to 1e-9, and cliff.png; some minutes."),
    ] = False,
    seeds: SeedsOption = "3",
    jobs: JobsOption = 0,
    fresh: FreshOption = False,
) -> None:
    """Train the digits in seven ways, and watch gradients underflow and recover."""
    from floatlab.cli.demo import demo_command

    demo_command(out=out, cliff=cliff, seeds=seeds_of(seeds), jobs=jobs, fresh=fresh)


# -- other experiments -----------------------------------------------------------------------------


@app.command()
def run(
    name: Annotated[
        str, typer.Argument(help="An experiment; see --list.", autocompletion=experiment_names)
    ] = "",
    show_list: Annotated[bool, typer.Option("--list", help="List the experiments.")] = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the results.", show_default="floatlab-runs/NAME", **PATH),
    ] = None,
    seeds: SeedsOption = "3",
    jobs: JobsOption = 0,
    fresh: FreshOption = False,
    engine: EngineOption = "processes",
    scheduler: SchedulerOption = None,
    neighbours: Annotated[
        int,
        typer.Option("--neighbours", min=0, help="Instead: so many neighbouring settings, drawn at random."),
    ] = 0,
    neighbour_seed: Annotated[
        int, typer.Option("--neighbour-seed", min=0, help="The seed of that draw.")
    ] = 0,
) -> None:
    """Do an experiment: its predictions first, then the runs, then both side by side."""
    from floatlab.cli.chart import draw_run
    from floatlab.cli.run import run_command

    folder = out or Path("floatlab-runs") / (f"{name}-neighbours" if neighbours else name)
    raise typer.Exit(
        run_command(
            name,
            seeds=seeds_of(seeds),
            jobs=jobs,
            out=folder,
            fresh=fresh,
            listing=show_list,
            neighbours=neighbours,
            neighbour_seed=neighbour_seed,
            draw=draw_run,
            scheduler=scheduler_of(engine, scheduler),
        )
    )
