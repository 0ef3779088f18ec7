# %% [markdown]
# # 01 What a float is
#
# **Aim.** You can read the bits of any float as a number, and say of any format where its values begin, where they end,
# and how far apart they lie. You know why 0.1 is not 0.1. **Time:** 40 minutes, and 30 for the exercises.
#
# ## What you need to know
#
# Powers of two, numbers written in binary, and a little Python. Nothing about floats.
#
# ## New words
#
# [format](../docs/glossary.md#format) · [code](../docs/glossary.md#code) ·
# [exponent field](../docs/glossary.md#exponent-field) · [bias](../docs/glossary.md#bias) ·
# [mantissa](../docs/glossary.md#mantissa) · [hidden bit](../docs/glossary.md#hidden-bit) ·
# [normal](../docs/glossary.md#normal) · [subnormal](../docs/glossary.md#subnormal) ·
# [infinity](../docs/glossary.md#infinity) · [NaN](../docs/glossary.md#nan) ·
# [negative zero](../docs/glossary.md#negative-zero) · [range](../docs/glossary.md#range) ·
# [binade](../docs/glossary.md#binade) · [precision](../docs/glossary.md#precision)

# %%
from decimal import Decimal
from fractions import Fraction

import numpy as np

import floatlab as fl
from floatlab.explain.codes import explain_code

# %% [markdown]
# ## Predict
#
# Write your guesses in the place of the three dots before you go on. A wrong one costs nothing, and you will remember
# the answer better. Nothing stops if you leave them.

# %%
between = fl.course.predict(
    "fp16 keeps a number in 16 bits. It has 1024 numbers from 1 up to 2. How many has it from 2 up to 4?", ...
)
below_one = fl.course.predict("What percentage of the positive numbers of fp16 is smaller than 1?", ...)
tenth = fl.course.predict('Is the 0.1 of Python "smaller" than one tenth, "equal" to it, or "larger"?', ...)

# %% [markdown]
# ## Run
#
# ### A code and its fields
#
# A *format* of n bits has 2^n *codes*, the bit patterns, and a rule that says which number each of them stands for. The
# rule is the scientific notation, in base two: 6 is 1.5 times 2^2, and in binary 1.5 is 1.1. So three things are kept:
# the sign, the exponent and what comes after the point. Here is 6 in E4M3, a format of 8 bits. Its code is given as a
# binary number, 0b0_1001_100:

# %%
print(explain_code(0b0_1001_100, "e4m3"))

# %% [markdown]
# - One bit is the *sign*: 0 for positive, 1 for negative.
# - Four bits are the *exponent field*. The field is never negative, and some exponents are, so it holds the exponent
#   plus a constant, the *bias*. In E4M3 that is 7: the field 9 means 2^2.
# - Three bits are the *mantissa field*, the digits after the point. The digit before the point is not kept: in binary
#   it can only be 1. It is called the *hidden bit*, and 1.100 is the *mantissa*. (IEEE 754 calls it the significand;
#   the charts call the field the fraction.)
#
# What "normal" means comes below, and float8_e4m3fn is the full name of E4M3.
#
# A name such as E4M3 or E5M2 says how many bits the two fields have. Here is 6 in six formats. fp32 is the binary32 of
# IEEE 754 and fp16 its binary16; bf16 divides 16 bits in another way. The border between exponent and mantissa is drawn
# at the same place in all of them.

# %%
fl.plots.plot_bits(6.0, size="half")

# %% [markdown]
# ### All the values of a small format
#
# E2M1 has four bits: one sign, two for the exponent with the bias 1, one for the mantissa. That makes 16 codes. These
# are the eight without a sign:

# %%
for code in range(8):
    print(explain_code(code, "e2m1").bits, " ", fl.decode(code, "e2m1"))

# %% [markdown]
# Read the last one: the exponent field is 3, so the exponent is 3 - 1 = 2, and the mantissa is 1.1. That is 1.5 times
# 2^2, or 6. From the third on the values double every two codes: 1 and 1.5, 2 and 3, 4 and 6. The steps become longer,
# but only at a power of two.
#
# The first two codes do not follow this rule. With a hidden 1 and the exponent 0 - 1 they would be 0.5 and 0.75, and
# there would be no zero.
#
# ### Below the smallest normal value: subnormals
#
# So the exponent field 0 has a rule of its own: there is *no* hidden 1, and the exponent is that of the field 1. Values
# with a hidden 1 are called *normal*; those without, except zero, *subnormal*. In E4M3 there are seven positive ones:

# %%
print(explain_code(0b0_0000_011, "e4m3"))

# %%
for code in range(12):
    value = fl.decode(code, "e4m3")
    print(explain_code(code, "e4m3").bits, f"{value:<12} = {value * 2**9:2.0f} times 2^-9")

# %% [markdown]
# From the code 8 on the values are normal. The step stays the same across this border: the subnormals fill the space
# from the smallest normal value, 2^-6, down to zero. Without them there would be a hole, eight times as wide as the
# first step beyond it.
#
# What is that good for? For one thing, with subnormals the difference of two different values never becomes zero
# ([Goldberg](#Sources), section "Denormalized Numbers"). Here are all pairs of positive normal values of E4M3, and how
# often their difference becomes 0: first with subnormals, and then flushed, with zero in the place of each subnormal.

# %%
values = fl.decode(np.arange(8, 127), "e4m3").astype(float)
differences = values[:, None] - values
different = differences != 0
for subnormals in ("gradual", "flush"):
    lost = (fl.quantize(differences, "e4m3", subnormals=subnormals) == 0) & different
    print(f"{subnormals:8} {lost.sum():4} of {different.sum()} differences become 0")

# %% [markdown]
# ### Every code of E4M3
#
# All 256 codes on one page. (A code is written here with two hexadecimal digits, of four bits each: 4C is 0100 1100,
# the 6 from above.) Read it line by line: the values grow with the code, from 0 to 448, and each half line is one
# exponent field. The lower half is the upper one with a minus sign.

# %%
fl.plots.plot_codes("e4m3")

# %% [markdown]
# So the next larger value after a positive one is that of the next code. It is the same in fp16, which has too many
# codes to be drawn:

# %%
positive = fl.decode(np.arange(1, 0x7C00), "fp16").astype(float)
print(len(positive), "positive numbers, from", positive[0], "to", positive[-1])
print("each larger than the one before:", bool((np.diff(positive) > 0).all()))
print("subnormal:", int((positive < 2.0**-14).sum()))

# %%
below_one.compare(round(100 * float((positive < 1).mean()), 1))

# %% [markdown]
# ### Infinity, NaN and minus zero
#
# Not every code is a number. Formats that follow IEEE 754 keep the largest exponent field, all ones, for two other
# things. With a mantissa field of 0 it is *infinity*, what a result becomes that is too large. With any other one it is
# *NaN*, "not a number", what comes of a question without an answer, like 0 divided by 0.

# %%
for code in (0b0_11110_1111111111, 0b0_11111_0000000000, 0b1_11111_0000000000, 0b0_11111_1000000000):
    print(explain_code(code, "fp16").bits, " ", fl.decode(code, "fp16"))
print("0 / 0 =", fl.divide(0.0, 0.0, "fp16"), "  and 1 / 0 =", fl.divide(1.0, 0.0, "fp16"))

# %% [markdown]
# A NaN is not equal to anything, not even to itself. And since the sign has a bit of its own, there are two zeros. They
# are equal; one divided by them tells them apart.

# %%
nan, minus_zero = float("nan"), fl.decode(0b1_00000_0000000000, "fp16")
print("NaN == NaN:", nan == nan)
print("minus zero:", minus_zero, "  equal to 0:", bool(minus_zero == 0.0))
print("1 / minus zero =", fl.divide(1.0, minus_zero, "fp16"))

# %% [markdown]
# Small formats cannot afford to give away all the codes with the largest exponent field. In E5M2 it is 8 codes of 256,
# as in IEEE 754. E4M3 has no infinities and only two NaNs, 0 1111 111 and 1 1111 111, and keeps the other codes with
# that field for the numbers from 256 to 448 and their negatives ([OFP8](#Sources)). E2M1 has neither infinity nor NaN
# ([MX](#Sources)).

# %%
for name in ("e5m2", "e4m3", "e2m1"):
    kinds = fl.plots.code_data(name)["kind"]
    print(name, {kind: int((kinds == kind).sum()) for kind in ("normal", "subnormal", "zero", "infinity", "nan")})

# %% [markdown]
# ### Where the values begin and end
#
# The *range* of a format is decided by its exponent field. The largest exponent, with the largest mantissa there is,
# gives the largest number; the smallest exponent, with the mantissa 1, gives the smallest normal value. A single 1 in
# the last place of the mantissa field, and no hidden one, is the smallest subnormal.

# %%
fp16 = fl.get_format("fp16")
print("exponents from", 1 - fp16.bias, "to", 30 - fp16.bias, "  (the field 31 is infinity and NaN)")
print("largest            ", (2 - 2**-10) * 2**15, "=", fp16.max)
print("smallest normal    ", 2**-14, "=", fp16.smallest_normal)
print("smallest subnormal ", 2**-10 * 2**-14, "=", fp16.smallest_subnormal)

# %%
fl.plots.plot_ranges(["fp32", "bf16", "fp16", "e5m2", "e4m3", "e2m1"], size="half")

# %% [markdown]
# To the right of a bar stands the largest number, and what becomes of a larger one; where there is neither infinity
# nor NaN it "saturates": the largest number stands for it. (The bits on the left are the subject of the next section.)
# bf16 has the exponent field of fp32 and so nearly its range, with a mantissa that is 16 bits shorter. fp16 has three
# exponent bits fewer than bf16, and three mantissa bits more.
#
# ### How far apart the values lie
#
# The numbers from one power of two up to the next, from 2^e up to 2^(e+1), make a *binade*. Normal values in one binade
# have the same exponent and differ in the mantissa field. So there are equally many in each binade, at equal distances:

# %%
for e in (-14, 0, 1, 10, 15):
    inside = positive[(positive >= 2.0**e) & (positive < 2.0 ** (e + 1))]
    steps = [f"2^{np.log2(step):.0f}" for step in np.unique(np.diff(inside))]
    print(f"from 2^{e:<3} up to 2^{e + 1:<3} {len(inside)} values, at a distance of", *steps)

# %%
between.compare(int(((positive >= 2) & (positive < 4)).sum()))

# %% [markdown]
# So the distance doubles from binade to binade, and is about the same *share* of the number everywhere. From 1024 up to
# 2048 fp16 has the integers and nothing between them; from 32768 on it has only every 32nd integer. Below the smallest
# normal value the distance stays what it is there, and its share of the number grows.
#
# How many bits the mantissa has, with the hidden one, is called the *precision*: 11 for fp16, 8 for bf16, 4 for E4M3.
#
# A number that is no value of the format becomes the nearest one that is. That is *rounding*, which
# [notebook 02](02_rounding.ipynb) is about. Up to the largest value the error is at most half the distance: the right
# half of the picture draws that as a share of the number.

# %%
fl.plots.plot_precision(size="half")

# %% [markdown]
# Range and precision are two uses of the same bits. Where fp16 is normal it is eight times as fine as bf16: its line
# lies three powers of two lower. In the right half of the picture it bends up where fp16 becomes subnormal, and crosses
# that of bf16, which is still normal there.
#
# ### Why 0.1 is not 0.1
#
# In base ten, 1/3 never ends: 0.333... In base two, 1/10 never ends. To write a number in binary, double it again and
# again; the digit is 1 whenever the result reaches 1, which is then taken off. What is left of one tenth comes
# back after four doublings, so the digits 0011 repeat for ever:

# %%
left = Fraction(1, 10)
for _ in range(10):
    doubled = 2 * left
    digit, left = int(doubled >= 1), doubled % 1
    print(f"digit {digit}, {left} is left")

# %% [markdown]
# A fraction ends in binary only if its denominator is a power of two. That of 1/10 has a factor 5, so no binary format,
# however wide, has the value 1/10. Each has a neighbour of it:

# %%
fl.plots.plot_bits(0.1, size="half")

# %% [markdown]
# The 0.1 of Python is a float of 64 bits, 53 of them precision (IEEE 754's binary64). `Decimal` and `Fraction` show
# which number it is exactly:

# %%
print(Decimal(0.1))
print(Fraction(0.1), "  and the denominator is 2 to the power", Fraction(0.1).denominator.bit_length() - 1)

# %%
tenth.compare("larger" if Fraction(0.1) > Fraction(1, 10) else "smaller")

# %% [markdown]
# Python still prints 0.1, because it prints the shortest decimal number that leads back to the same float ([Python's
# tutorial](#Sources), chapter 15). Once a sum is computed, the differences show. 0.1, 0.2 and 0.3 are each off by a
# little, and in some formats the sum of the first two meets the third, and in others it does not:

# %%
print("0.1 + 0.2 =", 0.1 + 0.2, "  equal to 0.3:", 0.1 + 0.2 == 0.3)
for name in ("fp32", "bf16", "fp16", "e5m2"):
    a, b, c = (fl.quantize(x, name).item() for x in (0.1, 0.2, 0.3))
    total = fl.add(a, b, name).item()
    print(f"{name}: {a} + {b} = {total}, 0.3 is {c}: {'equal' if total == c else 'not equal'}")

# %% [markdown]
# ## Explain
#
# - A float is sign, exponent and mantissa: an integer times a power of two. 1/10 is not of this kind.
# - The exponent field gives the range; the mantissa field gives the precision. Every format divides its bits between
#   the two.
# - In each binade there are equally many values. Below 1 fp16 has 14 binades, and the subnormals, only one fewer than a
#   binade has; from 1 on it has 16. So nearly half of its positive numbers are smaller than 1.
# - Where the exponent can fall no further, the hidden bit is given up instead: the subnormals. They reach lower, and
#   lose one bit of precision with each halving, until nothing is left:

# %%
for e in range(-12, -26, -2):
    third = 2.0**e / 3
    share = fl.quantize(third, "fp16").item() / 2.0**e
    print(f"1/3 of 2^{e} in fp16 is {share:.6f} of 2^{e}: {fl.classify(third, 'fp16')}")

# %% [markdown]
# ## Exercises
#
# Write each function in the place of its three dots. The check tries it on every input there is, and shows the first
# one on which it is wrong.
#
# **01.1** Take a code of fp16 apart: return the sign bit, the exponent field and the mantissa field, as integers. There
# are 1, 5 and 10 bits. (`code >> n` drops the last n bits; `code & 0b111` keeps the last three.)


# %% tags=["gap"]
def fields(code):
    ...


# %% tags=["solution"]
def fields(code):
    return code >> 15, code >> 10 & 0b11111, code & 0b1111111111


# %%
fl.course.check("01.1", fields)

# %% [markdown]
# **01.2** Return the value of a code of E4M3, for every one of the 256 codes: four exponent bits with a bias of 7,
# three mantissa bits, and NaN where the last seven bits are all ones.

# %% tags=["gap"]
import math


def value_of(code):
    ...


# %% tags=["solution"]
import math


def value_of(code):
    sign, field, mantissa = -1.0 if code >> 7 else 1.0, code >> 3 & 15, code & 7
    if field == 15 and mantissa == 7:
        return math.nan
    if field == 0:
        return sign * (mantissa / 8) * 2.0**-6
    return sign * (1 + mantissa / 8) * 2.0 ** (field - 7)


# %%
fl.course.check("01.2", value_of)

# %% [markdown]
# **01.3** Return the distance from a positive value of fp16 to the next larger one. (`math.frexp(x)` returns m and e
# with x = m 2^e and m from 0.5 up to 1.)


# %% tags=["gap"]
def distance(x):
    ...


# %% tags=["solution"]
def distance(x):
    exponent = max(math.frexp(x)[1] - 1, -14)
    return 2.0 ** (exponent - 10)


# %%
fl.course.check("01.3", distance)

# %% [markdown]
# ## What next
#
# In [notebook 02](02_rounding.ipynb) numbers become values: which one, when there are two neighbours?
#
# ## Sources
#
# - IEEE 754-2019, *IEEE Standard for Floating-Point Arithmetic*: 3.4 (fields, bias, subnormals, infinities and NaNs),
#   5.11 (how NaNs and zeros compare).
# - D. Goldberg, "What every computer scientist should know about floating-point arithmetic", *ACM Computing Surveys* 23
#   (1991), 5-48.
# - P. Micikevicius et al., *OCP 8-bit Floating Point Specification (OFP8)*, revision 1.0, Open Compute Project, 2023.
# - B. D. Rouhani et al., *OCP Microscaling Formats (MX) Specification*, version 1.0, Open Compute Project, 2023.
# - The Python Tutorial, chapter 15,
#   [Floating-Point Arithmetic: Issues and Limitations](https://docs.python.org/3/tutorial/floatingpoint.html).
