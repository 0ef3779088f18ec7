# %% [markdown]
# # 02 Rounding
#
# **Aim.** You can say, for any number and any format, which value it becomes and why: in every rounding mode, in the
# subnormals, and beyond the largest value. **Time:** 40 minutes, and 30 for the exercises.
#
# ## What you need to know
#
# What [notebook 01](01_what_a_float_is.ipynb) showed: a format has finitely many values; from one power of two up to
# the next they lie equally far apart; below the smallest normal value the distance stays what it is there.
#
# ## New words
#
# [unit in the last place](../docs/glossary.md#ulp) · [rounding mode](../docs/glossary.md#rounding-mode) ·
# [tie](../docs/glossary.md#tie) · [double rounding](../docs/glossary.md#double-rounding) ·
# [stochastic rounding](../docs/glossary.md#stochastic-rounding) · [bias](../docs/glossary.md#bias)

# %%
import numpy as np

import floatlab as fl

# %% [markdown]
# ## Predict
#
# Write your guesses in the place of the three dots before you go on. A wrong one costs nothing, and you will remember
# the answer better. Nothing stops if you leave them.

# %%
ties = fl.course.predict(
    "1.0625 lies half way between two values of E4M3, 1 and 1.125. What does it become?", ...
)
mean = fl.course.predict("0.1 is added 1000 times to 0, in bf16, to nearest. What is the sum?", ...)
lucky = fl.course.predict("The same with stochastic rounding. What is the sum, to the nearest ten?", ...)

# %% [markdown]
# ## Run
#
# ### Count units
#
# Rounding is counting. Take 25.6 and E4M3, which keeps 3 bits after the leading one. Between 16 and 32 its values lie 2
# apart: that distance is the *unit in the last place*, or ulp. 25.6 is 12.8 units. The nearest whole number of units is
# 13, so 25.6 becomes 26. (Python's 25.6 is not quite 25.6, as [notebook 01](01_what_a_float_is.ipynb) showed for 0.1:
# hence the long numbers. The flag "inexact" in the last line says that the number was no value of E4M3.)

# %%
print(fl.explain(25.6, "e4m3", full=True))

# %% [markdown]
# The same four steps hold for every number and every format: find the unit, count units, decide what becomes of the
# fraction, look at the ends. The values of a small format and the numbers that round to each of them fit on one line:

# %%
fl.plots.plot_values("e2m1")

# %% [markdown]
# ### Ties
#
# A number half way between two values is a *tie*. IEEE 754 lets the even count win ([IEEE 754-2019](#Sources), section
# 4.3.1): half of the ties go up, and half of them down. A fixed direction would push sums of many numbers that way. To
# be off on average is called a *bias* (the word for the constant in the exponent field, too).

# %%
ties.compare(fl.quantize(1.0625, "e4m3").item())

# %%
halves = np.arange(8.5, 16)  # from 8 to 16 the unit of E4M3 is 1: ties, all of them
print(f"{'the numbers':14}", halves, " mean", halves.mean())
for mode in ("nearest_even", "nearest_away", "nearest_zero"):
    rounded = fl.quantize(halves, "e4m3", rounding=mode)
    print(f"{mode:14}", rounded, " mean", rounded.mean())

# %% [markdown]
# ### The modes
#
# A *rounding mode* is the rule for the fraction. Three round to the nearest value and differ in ties only; three go one
# way: to zero, up, or down. Rounding to odd takes the neighbour with the odd count, unless the number is a value
# itself, so an odd count tells that something was lost. Stochastic rounding draws.

# %%
fl.plots.plot_rounding("e2m1")

# %%
x = np.array([1.3, -1.3])
for mode in ("nearest_even", "toward_zero", "toward_positive", "toward_negative", "to_odd"):
    print(f"{mode:16}", fl.quantize(x, "e4m3", rounding=mode))

# %% [markdown]
# ### Double rounding
#
# Rounding twice is not rounding once. A number just above a tie may be a tie after the first rounding, and then go the
# other way. Here one number goes to E4M3 through fp16, and directly:

# %%
x = 1.0625 + 2.0**-13
once = fl.quantize(x, "e4m3").item()
twice = fl.quantize(fl.quantize(x, "fp16"), "e4m3").item()
print("once ", once)
print("twice", twice)

# %% [markdown]
# ### The ends
#
# Beyond the largest value a format's own rule decides: fp16 has infinities, E4M3 has NaN and no infinity, and FP6 E2M3,
# a format of six bits, has neither and stays at its largest value. What counts is the *rounded* number: 460 lies above
# E4M3's largest value, 448, and is nearer to it than to 480, which would come next.

# %%
for name in ("fp16", "e4m3", "fp6_e2m3"):
    fmt = fl.get_format(name)
    print(f"{fmt.name:16} largest {fmt.max:>7}:", fl.quantize(1e9, fmt).item())
print("460 in E4M3:", fl.quantize(460.0, "e4m3").item(), "  470:", fl.quantize(470.0, "e4m3").item())

# %% [markdown]
# ### Stochastic rounding
#
# To nearest, what is smaller than half a unit is lost, each time. Stochastic rounding goes up with a probability that
# is the fraction itself: 12.8 units become 13 in 8 cases of 10. A single result is worse, but the *mean* is right.

# %%
rng = np.random.default_rng(0)
draws = fl.quantize(np.full(10_000, 25.6), "e4m3", rounding="stochastic", rng=rng)
values, counts = np.unique(draws, return_counts=True)
print(dict(zip(values.tolist(), counts.tolist(), strict=True)), " mean", draws.mean())


# %%
def add_tenths(n, **options):
    """Add 0.1 to a sum n times, rounding to bf16 every time."""
    total = 0.0
    for _ in range(n):
        total = fl.quantize(total + 0.1, "bf16", **options).item()
    return total


nearest = add_tenths(1000)
stochastic = [add_tenths(1000, rounding="stochastic", rng=np.random.default_rng(seed)) for seed in range(10)]
mean.compare(nearest)

# %%
lucky.compare(round(float(np.mean(stochastic)), -1))

# %%
print("ten runs:", [round(total, 1) for total in stochastic])

# %% [markdown]
# ## Explain
#
# - To nearest, the sum stands still once 0.1 is less than half a unit of the sum. In bf16, which keeps 8 bits, the
#   unit of numbers from 16 up to 32 is 1/8, and half of it is 0.0625, so 0.1 still counts, as a whole 1/8; from 32 on
#   the unit is 1/4, half of it is more than 0.1, and nothing happens any more.
# - With stochastic rounding each addition is right on average, so the sum is, up to chance: the ten runs scatter.
# - The even rule, the odd rule and chance are three answers to one question: what becomes of a fraction that cannot be
#   kept?

# %%
for x in (16.0, 32.0):
    print(f"from {x:g} on, the unit of bf16 is", fl.ulp(x, "bf16").item())
print(fl.explain((32.0, "+", 0.1), "bf16"))

# %% [markdown]
# ## Exercises
#
# Write each function in the place of its three dots. The check tries it on every input there is, and shows the first
# one on which it is wrong.
#
# **02.1** Round a number from 1 to 2 to a multiple of 1/8: to the nearest, and a tie to the even multiple.


# %% tags=["gap"]
def to_eighths(x):
    ...


# %% tags=["solution"]
def to_eighths(x):
    return round(x * 8) / 8  # Python's round takes a tie to the even integer


# %%
fl.course.check("02.1", to_eighths)

# %% [markdown]
# **02.2** Round a number that is not negative to E4M3, to nearest even. What rounds to more than 448 becomes NaN.
# (`math.frexp(x)` returns m and e with x = m 2^e and m from 0.5 up to 1.)

# %% tags=["gap"]
import math


def to_e4m3(x):
    ...


# %% tags=["solution"]
import math


def to_e4m3(x):
    exponent = max(math.frexp(x)[1] - 1, -6)
    unit = 2.0 ** (exponent - 3)
    rounded = round(x / unit) * unit
    return rounded if rounded <= 448 else math.nan


# %%
fl.course.check("02.2", to_e4m3)

# %% [markdown]
# **02.3** Round a number from 1 to 2 to a multiple of 1/8 stochastically. You are given a random integer r from 0 to
# 15: go up if the fraction in sixteenths, rounded down, and r make 16 or more.


# %% tags=["gap"]
def draw_eighths(x, r):
    ...


# %% tags=["solution"]
def draw_eighths(x, r):
    count = math.floor(x * 8)
    sixteenths = math.floor((x * 8 - count) * 16)
    return (count + (sixteenths + r >= 16)) / 8


# %%
fl.course.check("02.3", draw_eighths)

# %% [markdown]
# ## What next
#
# In [notebook 03](03_arithmetic.ipynb) every operation rounds, and small errors meet each other.
#
# ## Sources
#
# - IEEE 754-2019, *IEEE Standard for Floating-Point Arithmetic*: 4.3 (rounding), 7.4 (overflow).
# - M. Croci, M. Fasi, N. J. Higham, T. Mary and M. Mikaitis, "Stochastic rounding: implementation, error analysis and
#   applications", *Royal Society Open Science* 9 (2022), 211631.
# - S. Boldo and G. Melquiond, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding to odd",
#   *IEEE Transactions on Computers* 57 (2008), 462-471.
