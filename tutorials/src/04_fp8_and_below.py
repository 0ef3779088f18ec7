# %% [markdown]
# # 04 FP8 and below
#
# **Aim.** You can choose between E4M3 and E5M2, say what becomes of a number that is too large, read the same eight
# bits as three families of formats do, and give a tensor, an array of numbers, the scale that it needs.
# **Time:** 40 minutes, and 40 for the exercises.
#
# ## What you need to know
#
# From [notebook 01](01_what_a_float_is.ipynb): sign, exponent and mantissa fields, the bias, subnormals, NaN and
# infinities. From [notebook 02](02_rounding.ipynb): rounding to nearest. From [notebook 03](03_arithmetic.ipynb): a sum
# may be kept in a wider format than its terms.
#
# ## New words
#
# [saturation](../docs/glossary.md#saturation) · [FN and FNUZ](../docs/glossary.md#fn-and-fnuz) ·
# [scale](../docs/glossary.md#scale) · [SQNR](../docs/glossary.md#sqnr) ·
# [block scaling](../docs/glossary.md#block-scaling)

# %%
import numpy as np

import floatlab as fl

# %% [markdown]
# ## Predict
#
# Write your guesses in the place of the three dots before you go on. Nothing stops if you leave them.

# %%
nans = fl.course.predict("How many of the 256 codes of E4M3 are NaN?", ...)
other = fl.course.predict("0x40 is 2 in E4M3. What is it in E4M3 FNUZ, with the same fields and a bias of 8?", ...)
zeros = fl.course.predict(
    "100,000 numbers from a normal distribution with standard deviation 0.02 are rounded to FP4 (E2M1). "
    "How many percent of them become zero?",
    ...,
)

# %% [markdown]
# ## Run
#
# ### E4M3 and E5M2
#
# Eight bits are a sign and seven bits more. E4M3 spends four of them on the exponent and three on the mantissa, E5M2
# five and two. All values of E4M3 fit into one picture:

# %%
fl.plots.plot_codes("e4m3")

# %%
nans.compare(int(np.isnan(fl.decode(np.arange(256), "e4m3")).sum()))

# %% [markdown]
# E5M2 has the specials of IEEE 754: with the largest exponent field a code is an infinity or a NaN. It is fp16 with the
# last eight bits cut off. E4M3 has so few codes that it does without infinities and keeps a single NaN for each sign:
# its largest value is 448, and would be 240 with the specials of IEEE 754 ([Micikevicius and others
# 2022](#Sources), section 3).

# %%
codes = np.arange(256)
same = np.array_equal(fl.decode(codes, "e5m2"), fl.decode(codes << 8, "fp16"), equal_nan=True)
print("E5M2 is the first half of fp16:", same)
print("largest values: E4M3", fl.get_format("e4m3").max, "  with IEEE's specials", fl.get_format("float8_e4m3").max)

# %% [markdown]
# Each of the two has something that the other lacks. Where both are normal, E4M3 has twice as many values between two
# powers of two; E5M2 has normal values over twice as many powers of two.

# %%
fl.plots.plot_compare("e5m2", "e4m3")

# %% [markdown]
# The paper that proposed them recommends E4M3 for the weights and activations of a network, the numbers that it keeps
# and those that it computes, and E5M2 for gradients, which say how the weights should change ([Micikevicius and others
# 2022](#Sources), section 3). [Notebook 06](06_gradients_that_vanish.ipynb) looks at gradients.
#
# ### Too large: saturate, or NaN?
#
# In a *cast*, the conversion to another format, a number that is too large has to become something. The format's own
# rule gives NaN in E4M3 and infinity in E5M2. *Saturation* gives the largest value instead. The OCP specification of
# fp8 defines both ways, and leaves the choice to whoever casts ([OCP 2023](#Sources)).

# %%
x = np.array([448.0, 464.0, 470.0, 1e9, -np.inf, np.nan])
print("numbers               ", x)
for name in ("e4m3", "e5m2"):
    print(f"{name}, format's own rule", fl.quantize(x, name))
    print(f"{name}, saturated        ", fl.quantize(x, name, overflow="saturate"))

# %% [markdown]
# Both have a price. A NaN spreads: one number that is too large spoils a row and a column of a product, and you notice.
# A saturated number is wrong, and nobody notices.

# %%
matrix = np.array([[500.0, 1.0], [1.0, 1.0]])
for overflow in ("nan", "saturate"):
    a = fl.array(fl.quantize(matrix, "e4m3", overflow=overflow), "e4m3")
    print(f"{overflow:8}", fl.matmul(a, a, "fp32").tolist())
print("exactly ", (matrix @ matrix).tolist())

# %% [markdown]
# The same line of code does one or the other, depending on the library. The fp8 type of NVIDIA's CUDA saturates when it
# is made from a float ([NVIDIA](#Sources)). `ml_dtypes`, the types that JAX uses, gives NaN (version 0.6.0; `floatlab
# verify` compares its codes with floatlab's, bit for bit).
#
# ### The same bits on other hardware
#
# There is more than one fp8. The names say how: F stands for finite, without infinities; N for a rule of its own for
# NaN; UZ for an unsigned zero, without -0 ([StableHLO](#Sources)).
#
# - *FN* is OCP's E4M3, which NVIDIA's hardware computes in.
# - *FNUZ* formats use the code of -0 as their only NaN, and have a bias that is larger by 1. AMD's MI300 computes in
#   them and not in OCP's ([AMD](#Sources)).
# - The draft of [IEEE P3109](#Sources) puts its one NaN in the place of -0 as well, and comes with infinities ("se",
#   signed and extended) or without ("sf", signed and finite).
# - `float8_e4m3` is what IEEE 754's rules would make of the same fields.

# %%
print("format               largest   smallest   NaNs  infinities  -0   code of 1   0x40 is")
for name in ("float8_e4m3fn", "float8_e4m3fnuz", "binary8p4se", "binary8p4sf", "float8_e4m3"):
    fmt = fl.get_format(name)
    v = fl.decode(np.arange(256), fmt)
    minus = "yes" if (np.signbit(v) & (v == 0)).any() else "no"
    one = f"0x{int(fl.encode(1.0, fmt)):02X}"
    print(
        f"{name:17} {fmt.max:10}  {v[v > 0].min():9.6f}  {np.isnan(v).sum():5}  {np.isinf(v).sum():10}  {minus:3}"
        f"  {one:>9}   {v[0x40]:7}"
    )

# %%
other.compare(fl.decode([0x40], "float8_e4m3fnuz")[0].item())

# %% [markdown]
# A file of E4M3 codes that is read as E4M3 FNUZ gives every number half as large, with no error message, and where the
# two differ in their specials, something else:

# %%
fn, fnuz = (fl.decode(np.arange(256), name) for name in ("float8_e4m3fn", "float8_e4m3fnuz"))
unlike = ~((fnuz == fn / 2) & (np.signbit(fnuz) == np.signbit(fn)))
print("half as large:", (~unlike).sum(), "codes")
for code in np.flatnonzero(unlike):
    print(f"0x{code:02X}: {fn[code]} in E4M3, {fnuz[code]} in E4M3 FNUZ")

# %% [markdown]
# ### Six bits and four
#
# Below eight bits there is no code to spare: the OCP formats of six and four bits have neither infinities nor NaN
# ([OCP 2023, microscaling](#Sources)). A number that is too large becomes the largest value. Here are all values of FP4
# that are not negative:

# %%
print("FP4 E2M1:", fl.decode(np.arange(8), "e2m1"))
for name in ("fp6_e2m3", "fp6_e3m2", "e2m1"):
    fmt = fl.get_format(name)
    positive = fl.decode(np.arange(1, 1 << fmt.bits - 1), fmt)
    print(f"{fmt.name:16} {len(positive):3} positive values, from {positive[0]} to {positive[-1]}")

# %% [markdown]
# ### What a scale does
#
# These formats reach over a few powers of two. Here are 100,000 numbers as the weights of a layer might be:

# %%
weights = np.random.default_rng(0).normal(size=100_000) * 0.02
fl.plots.plot_histogram(weights, ["e5m2", "e4m3", "fp6_e2m3", "e2m1"])

# %%
zeros.compare(100 * float(np.mean(fl.quantize(weights, "e2m1") == 0)))

# %% [markdown]
# FP4 is not too small for these numbers: they only lie in the wrong place. So multiply them by a *scale* before the
# cast, keep the scale, and divide by it afterwards. A power of two changes no digit of a number; the largest
# with which nothing is beyond the format's largest value is a good choice.
#
# How good the result is, is measured by the signal-to-quantization-noise ratio, *SQNR*: the mean square of the numbers
# over the mean square of the errors, in decibels. 10 dB more is a tenth of the noise power.


# %%
def cast(x, fmt, scale=1.0):
    """Round x times the scale to a format, and divide by the scale again."""
    return fl.quantize(x * scale, fmt) / scale


def sqnr(x, y):
    """Return the signal-to-quantization-noise ratio in decibels."""
    return 10 * np.log10(np.mean(x**2) / np.mean((y - x) ** 2))


largest = np.abs(weights).max()
print("format       without a scale            with a scale")
for name, s in (("e5m2", 2.0**19), ("e4m3", 2.0**12), ("fp6_e3m2", 2.0**8), ("fp6_e2m3", 2.0**6), ("e2m1", 2.0**5)):
    assert largest * s <= fl.get_format(name).max < 2 * largest * s
    shown = [
        f"{np.mean(y == 0):7.2%} zero, {sqnr(weights, y):5.1f} dB"
        for y in (cast(weights, name), cast(weights, name, s))
    ]
    print(f"{name:9}", "   ".join(shown), f"  (2^{int(np.log2(s))})")

# %% [markdown]
# Without a scale FP4 keeps nothing, and FP6 next to nothing. With one, FP6 E2M3 is as good as E4M3 was without: more
# than half of the numbers were subnormal or zero there. E5M2 does not need one here: its range is wide enough, and its
# two mantissa bits limit it.
#
# ### One large number
#
# A scale is chosen for the largest number, so one large number takes it from all the others. Here a single weight is
# 2, a hundred standard deviations:

# %%
with_outlier = weights.copy()
with_outlier[0] = 2.0
for name, s in (("e4m3", 2.0**7), ("fp6_e2m3", 2.0), ("e2m1", 2.0)):
    y = cast(with_outlier, name, s)
    print(f"{name:9} {np.mean(y == 0):7.2%} zero, {sqnr(with_outlier[1:], y[1:]):5.1f} dB of the others")

# %% [markdown]
# E4M3 reaches far enough for both. FP6 and FP4 do not, and lose nearly all of the others. The cure is *block scaling*:
# one scale for each few numbers. OCP's microscaling formats take blocks of 32, each with a power of two as its scale
# ([OCP 2023, microscaling](#Sources)). The large number spoils the scale of its own block only:

# %%
blocks = with_outlier.reshape(-1, 32)
for name in ("e4m3", "fp6_e2m3", "e2m1"):
    ratio = fl.get_format(name).max / np.abs(blocks).max(axis=1, keepdims=True)
    scales = 2.0 ** np.floor(np.log2(ratio))
    y = cast(blocks, name, scales).ravel()
    print(f"{name:9} {np.mean(y == 0):7.2%} zero, {sqnr(with_outlier[1:], y[1:]):5.1f} dB of the others")

# %% [markdown]
# ## Explain
#
# - With eight bits or fewer, range and precision are paid from one small purse. A format is chosen for a *use*: E4M3
#   where numbers lie close together, E5M2 where they do not.
# - A scale moves the numbers to where the format has its values. It costs no precision if it is a power of two.
# - The largest number sets the scale. The fewer numbers share one, the better it fits, and the more scales there are.
# - Mantissa bits set the ceiling. Each one more is worth about 6 dB, half the size of every error:

# %%
for name, s in (("e5m2", 2.0**19), ("e4m3", 2.0**12), ("e3m4", 2.0**7)):
    fmt = fl.get_format(name)
    print(f"{name}: {fmt.mantissa_bits} mantissa bits, {sqnr(weights, cast(weights, name, s)):.1f} dB")

# %% [markdown]
# ## Exercises
#
# **04.1** Return what each of the 256 codes means in E4M3 FNUZ: bias 8, no infinities, and one NaN, at 0x80. Do it
# without `fl.decode`.

# %% tags=["gap"]
import math


def fnuz_value(code):
    ...


# %% tags=["solution"]
import math


def fnuz_value(code):
    if code == 0x80:
        return math.nan
    exponent, mantissa = code >> 3 & 0b1111, code & 0b111
    if exponent == 0:
        magnitude = mantissa / 8 * 2.0 ** (1 - 8)
    else:
        magnitude = (1 + mantissa / 8) * 2.0 ** (exponent - 8)
    return -magnitude if code >> 7 else magnitude


# %%
fl.course.check("04.1", fnuz_value)

# %% [markdown]
# **04.2** Round a number to E4M3, to nearest even, and saturate: what is too large becomes 448 with its sign, an
# infinity as well; a NaN stays one. Use `fl.quantize` without `overflow`.


# %% tags=["gap"]
def saturating(x):
    ...


# %% tags=["solution"]
def saturating(x):
    inside = np.clip(x, -448.0, 448.0)  # leaves a NaN as it is
    return fl.quantize(inside, "e4m3").item()


# %%
fl.course.check("04.2", saturating)

# %% [markdown]
# **04.3** Return the scale of a tensor (a NumPy array) for E4M3: the largest power of two s at which no element of x *
# s is beyond 448 in magnitude. If all are zero, return 1.


# %% tags=["gap"]
def scale_for_e4m3(x):
    ...


# %% tags=["solution"]
def scale_for_e4m3(x):
    amax = np.abs(x).max()
    if amax == 0:
        return 1.0
    exponent = np.floor(np.log2(448.0 / amax))
    return 2.0**exponent


# %%
fl.course.check("04.3", scale_for_e4m3)

# %% [markdown]
# ## What next
#
# Training needs gradients. [Notebook 05](05_a_derivative_from_nothing.ipynb) builds what computes them, from nothing.
#
# ## Sources
#
# - P. Micikevicius and others, "FP8 formats for deep learning", arXiv:2209.05433, 2022.
# - Open Compute Project, *OCP 8-bit Floating Point Specification (OFP8)*, revision 1.0, 2023 (E4M3, E5M2, both ways of
#   conversion).
# - OpenXLA, *StableHLO RFC: FP8 FNUZ types*, 2023 (what the letters stand for; bias and NaN).
# - Open Compute Project, *OCP Microscaling Formats (MX) Specification*, version 1.0, 2023 (FP6, FP4, blocks of 32).
# - IEEE SA P3109 Working Group, *Interim Report on Binary Floating-point Formats for Machine Learning* (a draft).
# - NVIDIA, *CUDA Math API Reference Manual*, `__nv_fp8_e4m3` (its constructors saturate: `__NV_SATFINITE`).
# - AMD, *HIP 6.2 documentation*, "FP8 numbers" (FNUZ and OCP, by device; gfx942 is MI300).
