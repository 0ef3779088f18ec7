"""How does the command begin and end? Its name, and what an error, a signal or a closed pipe does to it.

Errors that floatlab raises on purpose are printed in one line, and the exit status is 2. Ctrl-C and SIGTERM keep what
has been finished, and the exit status is 130. Whatever reads the output may stop reading.
"""

from __future__ import annotations

import signal
import sys
from typing import Annotated

import typer

from floatlab.cli.options import print_version
from floatlab.errors import DataError, FloatlabError
from floatlab.system.terminal import abandon_output, make_console, prepare_streams

__all__ = ["app", "main"]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command, and turn errors into one line and an exit status."""
    signal.signal(signal.SIGTERM, _stop)
    try:
        prepare_streams()  # also for what typer prints
        app(standalone_mode=True)
        sys.stdout.flush()
    except FloatlabError as error:
        _complain(error)
        sys.exit(2)
    except BrokenPipeError:  # `| head` has read enough
        abandon_output()
        sys.exit(0)
    except OSError as error:  # no room for what is printed, or for a figure
        abandon_output()
        _complain(
            DataError(
                f"What a command reads is there, and what it writes has room. Got {error}. Use another place."
            )
        )
        sys.exit(2)
    except KeyboardInterrupt:
        make_console(stderr=True).print("Interrupted.", style="yellow")
        sys.exit(130)


def _stop(signum: int, frame: object) -> None:
    """End as after Ctrl-C, so that what has been finished is kept and no worker is left behind."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def _complain(error: FloatlabError) -> None:
    # Written as plain text: a message may hold brackets, which rich would take for markup.
    make_console(stderr=True).print(
        f"{type(error).__name__}: {error}", style="bold red", markup=False, highlight=False, soft_wrap=True
    )


@app.callback(epilog="Begin with: floatlab show 0.1 --format e4m3, or floatlab demo.")
def _floatlab(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=print_version, is_eager=True),
    ] = False,
) -> None:
    """A laboratory for float formats: bit-exact rounding, and training in low precision."""
