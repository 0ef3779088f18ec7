"""What are the spread and the middle of a FloatArray? ``var std median quantile average``, and those that skip NaN.

With the accumulators "wide" and "exact" each result is the exact one, rounded once, for every format: the variance of
n numbers is a rational number ::

    sum of (x - mean)^2 / (n - ddof)  =  (n * sum of x^2  -  (sum of x)^2) / (n * (n - ddof))

whose numerator is an integer times a power of two; the standard deviation is the correctly rounded root of that. With
an accumulator that has an order, `var`, `std` and `average` are composed of rounded operations: the mean as
`floatlab.mean` has it, each difference and each square rounded, their sum with the accumulator, and the quotient and
the root rounded. `median` and `quantile` add up nothing, and are always exact and rounded once.

Infinities: the variance of a row with an infinity or a NaN is NaN. Dividing by n - ddof <= 0 gives infinity, or NaN for
a row without spread, as in NumPy; so does no row at all.

- `rows.py`: what all of them have in common.
- `exact_sums.py`: exact sums of rows, as Python integers.
- `estimates.py`: where float64 settles what they round to.
- `spread.py`: var, std, nanvar, nanstd.
- `means.py`: average, nanmean, nansum and their kind.
- `quantiles.py`: median, quantile, and those that skip NaN.
- `numpy_names.py`: NumPy's names.
"""

from floatlab.array.statistics import numpy_names as _numpy_names  # registers them
from floatlab.array.statistics.means import average, nanmean, nansum
from floatlab.array.statistics.quantiles import median, nanmedian, nanquantile, quantile
from floatlab.array.statistics.spread import nanstd, nanvar, std, var

del _numpy_names

__all__ = [
    "average",
    "median",
    "nanmean",
    "nanmedian",
    "nanquantile",
    "nanstd",
    "nansum",
    "nanvar",
    "quantile",
    "std",
    "var",
]
