"""Which float64 does a function give, on every CPU the same? ``exp64`` and its relatives.

NumPy's own `exp`, `log`, `tanh` ... run different code on different processors, and their last bits differ. The
functions here are built from additions, subtractions, multiplications, divisions, table look-ups and integer operations
on the bits alone. IEEE 754 fixes the result of each of these, so the result is the same bits everywhere. It is not
always the correctly rounded one: that is what `floatlab.functions.evaluate` is for. The largest errors measured
against MPFR, in units of the last place:

    exp64 0.51 (0.75 where subnormal)   sigmoid64 0.52 (0.75)   tanh64 0.52   log64 0.8
    expm1_64 1.4   log1p64 1.51   erf64 1.5   sin64 and cos64 1.8   softplus64 2.0   gelu64 4

Every function follows one plan: a table holds the function, to twice the precision of float64, at points c that lie
close together; the argument is c + r with r small and exact; a short Taylor polynomial in r does the rest. The last
operation adds the small part to the large one, so that its rounding is almost the only error::

    exp(x)      2^k 2^(j/2048) (1 + q)                       q = expm1(r),     |r| <= ln 2 / 4096
    log(x)      k ln 2 + log c + log1p(r)                    r = (m - c) / c,  |r| <= 2^-12
    tanh(x)     tanh c + t - p (t + tanh c) / (1 + p)        t = tanh(r), p = t tanh c, |r| <= 2^-8
    sigmoid(x)  s + s (1 - s) u / (1 + s u)                  s = sigmoid(c), u = expm1(r), |r| <= 2^-7
    sin(x)      sin c + cos c sin r + sin c (cos r - 1)      |r| <= pi / 2048
    erf(x)      erf c + a polynomial in r                    |r| <= 2^-9

- `blocks.py`: how a kernel is run.
- `exponential.py`: exp64, expm1_64.
- `logarithm.py`: log64, log1p64, softplus64.
- `hyperbolic.py`: tanh64, sigmoid64.
- `circular.py`: sin64, cos64.
- `normal.py`: erf64, gelu64.

See Also
--------
floatlab.functions.tables : the tables
floatlab.functions : correctly rounded functions

References
----------
P.-T. P. Tang, "Table-driven implementation of the exponential function in IEEE floating-point arithmetic", ACM TOMS
    15 (1989), 144-157; of the logarithm, 16 (1990), 378-400; of expm1, 18 (1992), 211-222.
W. J. Cody and W. Waite, "Software Manual for the Elementary Functions" (1980) (the reduction of an argument in
    parts).
"""

from floatlab.functions.float64.circular import cos64, sin64
from floatlab.functions.float64.exponential import exp64, expm1_64
from floatlab.functions.float64.hyperbolic import sigmoid64, tanh64
from floatlab.functions.float64.logarithm import log1p64, log64, softplus64
from floatlab.functions.float64.normal import erf64, gelu64

__all__ = [
    "cos64",
    "erf64",
    "exp64",
    "expm1_64",
    "gelu64",
    "log1p64",
    "log64",
    "sigmoid64",
    "sin64",
    "softplus64",
    "tanh64",
]
