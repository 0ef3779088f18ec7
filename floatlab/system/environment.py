"""Does this thread compute as IEEE 754 says? A processor can be told otherwise, and then every number is in doubt.

Two settings of the processor change what ``+`` and ``*`` return, for everything in the thread, NumPy included: numbers
below the normal range may be taken for zero or replaced by it (*flush to zero*, *denormals are zero*), and results may
be rounded in another direction. Other libraries set them and leave them on: ``torch.set_flush_denormal(True)``,
anything that was linked with ``-ffast-math``, a call of C's ``fesetround``. Results would be wrong without a word, and
tables made meanwhile would stay wrong. So every public function looks first, which takes three operations.

Source: IEEE 754-2019, sections 4.3 (rounding direction) and 7.5 (underflow); Intel 64 and IA-32 Architectures
Software Developer's Manual, volume 1, section 10.2.3 (the register MXCSR).
"""

from __future__ import annotations

from floatlab.errors import FloatEnvironmentError

__all__ = ["check_environment"]


def check_environment(
    smallest: float = 2.0**-1022, half: float = 0.5, one: float = 1.0, little: float = 2.0**-55
) -> None:
    """Raise unless float64 arithmetic in this thread is that of IEEE 754; for call without arguments.

    (The numbers are arguments so that they are operands at run time, at the price of a local variable. A result
    below the normal range is flushed to zero, or is taken for zero when it is compared with it. Added to 1, a quarter
    of a unit is lost when rounding to nearest; it shows upwards or downwards in any other direction.)

    Raises
    ------
    FloatEnvironmentError
        If it is not; the message says what is on, and how to turn it off.

    Examples
    --------
    >>> check_environment()
    """
    if smallest * half != 0.0 and one + little == one and one - little == one:
        return
    if smallest * half == 0.0:
        raise FloatEnvironmentError(
            "Numbers below the normal range are numbers. Got a thread in which the processor flushes them to zero, as "
            "torch.set_flush_denormal(True) and libraries built with -ffast-math make it do. "
            "Turn it off with torch.set_flush_denormal(False), or import floatlab and compute in a thread of its own."
        )
    raise FloatEnvironmentError(
        "float64 arithmetic rounds to nearest. Got a thread in which the processor rounds in another direction, which "
        "C's fesetround sets. Set it back with fesetround(FE_TONEAREST), and name the direction in the option rounding."
    )


check_environment()  # so that no constant is made in a wrong one
