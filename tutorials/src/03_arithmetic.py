# %% [markdown]
# # 03 Arithmetic
#
# **Aim.** You can say what an addition loses, why long sums stand still, when a difference is worthless, and which
# order or accumulator saves a sum. **Time:** 45 minutes, and 40 for the exercises.
#
# ## What you need to know
#
# From [notebook 01](01_what_a_float_is.ipynb): what the bits of a format mean, and where its values lie. From
# [notebook 02](02_rounding.ipynb): the unit in the last place, rounding to nearest, and the tie, which goes to the even
# neighbour.
#
# ## New words
#
# [absorption](../docs/glossary.md#absorption) · [cancellation](../docs/glossary.md#cancellation) ·
# [accumulator](../docs/glossary.md#accumulator) · [pairwise summation](../docs/glossary.md#pairwise-summation) ·
# [compensated summation](../docs/glossary.md#compensated-summation) ·
# [unit roundoff](../docs/glossary.md#unit-roundoff)

# %%
import numpy as np

import floatlab as fl

# %% [markdown]
# ## Predict
#
# Write your guesses in the place of the three dots before you go on. Nothing stops if you leave them.

# %%
absorbed = fl.course.predict("2048 + 1 + 1 in fp16, from left to right. What is it?", ...)
difference = fl.course.predict(
    "1.01 - 1 in fp16. By how many percent is it off, if 1.01 is rounded to fp16 first?", ...
)
harmonic = fl.course.predict("1 + 1/2 + 1/3 + ... grows beyond every bound. In bf16 it stops. Where?", ...)
total = fl.course.predict("10,000 numbers from 0 to 1, whose sum is 5020, are added up in fp16. What comes?", ...)

# %% [markdown]
# ## Run
#
# ### Every operation rounds
#
# The result of an operation is the exact result, rounded once ([IEEE 754-2019](#Sources), section 5.1). So nothing is
# new, and everything of notebook 02 applies. Here is a product in E4M3, whose values lie 1/8 apart from 1 to 2:

# %%
print(fl.explain((1.125, "*", 1.125), "e4m3"))

# %% [markdown]
# A small format has so few values that one picture shows all its sums: one dot for each pair. White is exact.

# %%
fl.plots.plot_operation("add", "fp6_e2m3")

# %% [markdown]
# ### Absorption
#
# From 2048 on, the unit of fp16 is 2. Adding 1 adds half a unit: a tie, and the even neighbour is 2048 itself. The 1 is
# *absorbed*: it was added, and nothing happened.

# %%
print(fl.explain((2048.0, "+", 1.0), "fp16"))

# %%
big, one = fl.array([2048.0, 1.0], "fp16")
absorbed.compare(((big + one) + one).item())

# %% [markdown]
# If the two small numbers meet first, they are seen. So brackets matter: addition of floats is commutative, but not
# associative.

# %%
print("(2048 + 1) + 1 =", (big + one) + one)
print("2048 + (1 + 1) =", big + (one + one))

# %% [markdown]
# ### Cancellation
#
# Subtracting two numbers that are nearly equal is called *cancellation*. The leading digits go, and what is left are
# the last ones: those that rounding has spoilt.

# %%
a = fl.array(1.01, "fp16")
d = a - 1
difference.compare(100 * abs(d.item() - 0.01) / 0.01)

# %%
print("1.01 in fp16   ", a, f"  off by {abs(a.item() - 1.01) / 1.01:.4%}")
print("1.01 - 1       ", d, f" off by {abs(d.item() - 0.01) / 0.01:.4%}")

# %% [markdown]
# One error became a hundred times as large. But the subtraction did nothing wrong. It was exact, as it always is if two
# positive numbers are subtracted of which neither is more than twice the other (Sterbenz's lemma; see
# [Sources](#Sources)). In the picture of all differences of E4M3 they lie in the white band from below left to above
# right, and they can be counted:

# %%
fl.plots.plot_operation("subtract", "e4m3")

# %%
values = fl.decode(np.arange(0x01, 0x7F), "e4m3")  # all positive ones
a, b = np.meshgrid(values, values)
near = (a <= 2 * b) & (b <= 2 * a)
differences = fl.subtract(a[near], b[near], "e4m3")
print(f"{near.sum()} pairs, exact: {(differences == a[near] - b[near]).sum()}")

# %% [markdown]
# So such a subtraction makes no error: it *shows* the errors that were made before. The cure is to find another
# formula, one without a difference of nearly equal numbers. For small x, (1 - cos x) / x² is close to 1/2. The
# half-angle formula 1 - cos x = 2 sin²(x/2) says the same without cancellation ([Higham 2002](#Sources), section 1.7):

# %%
print("     x   (1 - cos x) / x²   2 (sin(x/2) / x)²   in float64")
for x in (0.5, 0.25, 0.1, 0.05, 0.02):
    h = fl.array(x, "fp16")
    direct = (1 - fl.cos(h)) / (h * h)
    ratio = fl.sin(h / 2) / h
    y = h.item()
    print(f"{x:6}   {direct.item():16.4f}   {(2 * ratio * ratio).item():17.4f}   {2 * (np.sin(y / 2) / y) ** 2:10.4f}")

# %% [markdown]
# ### Sums that stand still
#
# A sum grows, and its unit grows with it. One day the unit is too large for the terms, and each of them is absorbed.

# %%
print(fl.explain(("sum", np.ones(300)), "bf16"))

# %% [markdown]
# ### The harmonic series
#
# 1 + 1/2 + 1/3 + 1/4 + ... grows beyond every bound, but slowly, and its terms become small. In a format it stops. Once
# a term is absorbed, the next ones are as well, because they are smaller.


# %%
def harmonic_sum(fmt):
    """Add 1 + 1/2 + 1/3 + ... in a format until a term changes nothing; return the sum and the number of that term."""
    total, k = 0.0, 1
    while True:
        term = fl.quantize(1 / k, fmt).item()
        new = fl.quantize(total + term, fmt).item()
        if new == total:
            return total, k
        total, k = new, k + 1


harmonic.compare(harmonic_sum("bf16")[0])

# %%
print("format      bits kept   sum       absorbed first: term")
for name in ("tf32", "fp16", "bf16", "e3m4", "e4m3", "fp6_e2m3", "e5m2", "fp6_e3m2", "e2m1"):
    stop, term = harmonic_sum(name)
    print(f"{name:11} {fl.get_format(name).precision:9}   {stop:<9} {term}")

# %% [markdown]
# What counts most is how many bits a format keeps, its [precision](01_what_a_float_is.ipynb), and not how far it
# reaches: tf32, which graphics processors multiply in, has the range of fp32, fp16 a much smaller one, and both stop at
# the same sum. The range counts where the *terms* leave it. E4M3 and FP6 E2M3 both keep 4 bits, but all values of E2M3
# below 1 are [subnormal](01_what_a_float_is.ipynb), multiples of 1/8: its 1/7 is too small. And in E2M1 the fourth term
# is already zero:

# %%
print("1/7 in E4M3:", fl.quantize(1 / 7, "e4m3"), "  in FP6 E2M3:", fl.quantize(1 / 7, "fp6_e2m3"))
print("1/4 in E2M1:", fl.quantize(1 / 4, "e2m1"))

# %% [markdown]
# In fp32 it takes two million terms. NumPy's float32 is the fp32 of your
# processor, and `np.cumsum` adds one term after the other:

# %%
terms = (1 / np.arange(1, 2_100_001)).astype(np.float32)
sums = np.cumsum(terms)
k = int(np.argmax(sums[1:] == sums[:-1])) + 2
print(f"fp32: {sums[k - 1]}, absorbed first: term {k:,}")

# %% [markdown]
# These sums for fp16, bf16 and fp32 are published: see Malone and Higham in the [Sources](#Sources). For float64,
# Malone estimates that the series stops after about 2⁴⁸ terms; nobody waits for that.
#
# ### The order
#
# If small terms meet each other first, they are not absorbed. So a sum of positive terms is mostly better from the
# smallest to the largest ([Higham 2002](#Sources), section 4.2):

# %%
squares = fl.array(1 / np.arange(1.0, 2001) ** 2, "fp16")
print("exact sum          ", np.sum(np.asarray(squares, np.float64)))
print("largest term first ", fl.sum(squares, accumulator="fp16"))
print("smallest term first", fl.sum(squares[::-1], accumulator="fp16"))

# %% [markdown]
# That alone does not save a long sum. Here are the 10,000 numbers, in three orders:

# %%
x = fl.array(np.random.default_rng(1).random(10_000), "fp16")
ascending = x[np.argsort(np.asarray(x, np.float64))]
print("exact sum     ", np.sum(np.asarray(x, np.float64)))
for order, terms in (("as they come", x), ("smallest first", ascending), ("largest first", ascending[::-1])):
    print(f"{order:14}", fl.sum(terms, accumulator="fp16"))

# %%
total.compare(fl.sum(x, accumulator="fp16").item())

# %% [markdown]
# ### What was lost can be kept
#
# 2048 + 1 lost a 1. How much an addition lost can be computed, in the same format: subtract the old total from the new
# one, and compare with the term.

# %%
new = big + one
print("arrived:", new - big, " of", one)
lost = (new - big) - one
print("lost:   ", lost, "(how much too large the new total is: it is 1 too small)")

# %% [markdown]
# Kahan's *compensated summation* takes that off the next term. The next 1 becomes 1 - (-1) = 2, and 2048 + 2 arrives as
# 2050. Every operation is in fp16, and four of them take the place of one.

# %%
print("next term:", one - lost, "  total:", new + (one - lost))
print("Kahan's sum of 10,000 numbers:", fl.sum(x, accumulator="kahan:fp16"))

# %% [markdown]
# ### Accumulators
#
# Where a sum is kept while it grows is the *accumulator*: a register with a format of its own, and an order in which
# the terms come. `fl.sum` takes the name of one:
#
# - `"fp16"`: one term after the other, each partial sum rounded to fp16;
# - `"pairwise:fp16"`: neighbours first, then neighbouring sums, and so on: *pairwise summation*;
# - `"chunked:fp16:fp16:64"`: chunks of 64 terms, each by itself, then the sums of the chunks;
# - `"kahan:fp16"`: one after the other, with what was lost carried along;
# - `"fp32"`: one after the other in fp32, rounded to the result's format at the end;
# - `"wide"`: the exact sum, rounded once: the best there is.

# %%
for name in ("fp16", "pairwise:fp16", "chunked:fp16:fp16:64", "kahan:fp16", "fp32", "wide"):
    print(f"{name:22}", fl.sum(x, accumulator=name))

# %% [markdown]
# How the errors grow with the number of terms, for 4096 numbers from 0 to 1, values of bf16. "Chunked bf16 + fp32" adds
# chunks of 64 terms in bf16, and their sums in fp32:

# %%
y = fl.quantize(np.random.default_rng(0).random(4096), "bf16")
fl.plots.plot_accumulation(y, ["bf16", "pairwise:bf16", "chunked:bf16:fp32:64", "fp32"])

# %% [markdown]
# ## Explain
#
# - The relative error of one rounding to nearest, away from the ends of a format, is below the *unit roundoff* u. A
#   format that keeps p bits has u = 2⁻ᵖ: bf16 has 2⁻⁸.
# - Each of the n - 1 additions rounds, and each error may be as large as u times the sum. So a sum of positive terms,
#   one after the other, is off by at most (n - 1) u, relatively ([Lange and Rump 2017](#Sources)). In bf16 this bound
#   is more than 100% from 258 terms on: it promises nothing then, and the sum that stood still shows that it was right
#   to promise nothing.
# - In pairwise summation each term passes through log₂ n additions only: 12 for 4096 terms. The bound is about log₂(n)
#   u.
# - In chunks of 64, no sum has more than 64 terms as long as there are 4096 at most. Chunks were proposed for training
#   with 8-bit numbers ([Wang and others 2018](#Sources)).
# - Kahan's sum is off by about 2u, however many terms there are, as long as n u is small ([Higham 2002](#Sources),
#   section 4.3).
# - Bounds are for the worst case. Errors have signs, and mostly cancel in part.

# %%
u = 2.0**-fl.get_format("bf16").precision
print("    n   one after another  (n-1) u   pairwise  log2(n) u")
for n in (16, 64, 256, 1024, 4096):
    exact = np.sum(y[:n])
    one_by_one, pairwise = (
        abs(fl.sum(y[:n], "float64", accumulator=a) - exact) / exact for a in ("bf16", "pairwise:bf16")
    )
    print(f"{n:5}   {one_by_one:17.2%}  {(n - 1) * u:7.1%}   {pairwise:8.2%}  {np.log2(n) * u:9.2%}")

# %% [markdown]
# ## Exercises
#
# **03.1** Return a + b in FP6 E2M3: the exact sum, rounded once to nearest even; what is too large becomes the largest
# value. You may use `fl.quantize`.


# %% tags=["gap"]
def add(a, b):
    ...


# %% tags=["solution"]
def add(a, b):
    return fl.quantize(a + b, "fp6_e2m3").item()  # a + b is exact: float64 has room for every such sum


# %%
fl.course.check("03.1", add)

# %% [markdown]
# **03.2** Add up a list of values of fp16 by Kahan's method, every single operation rounded to fp16. (A sum or a
# difference of two values of fp16 is exact in Python's floats, so `fl.quantize(a + b, "fp16").item()` rounds it once.)


# %% tags=["gap"]
def kahan(terms):
    ...


# %% tags=["solution"]
def to_fp16(x):
    return fl.quantize(x, "fp16").item()


def kahan(terms):
    total = lost = 0.0
    for term in terms:
        y = to_fp16(term - lost)
        new = to_fp16(total + y)
        lost = to_fp16(to_fp16(new - total) - y)
        total = new
    return total


# %%
fl.course.check("03.2", kahan)

# %% [markdown]
# **03.3** 1 + 1 + 1 + ..., one after the other, in a format that is given by its name: at which total does the sum
# stop? (In fp32 a loop that adds 1 again and again takes minutes. Which totals can it be?)


# %% tags=["gap"]
def stops_at(fmt):
    ...


# %% tags=["solution"]
def stops_at(fmt):
    total = 1.0
    while fl.quantize(total + 1, fmt).item() != total:
        total *= 2  # from one power of two up to the next the unit is the same, and so is what happens to 1
    return total


# %%
fl.course.check("03.3", stops_at)

# %% [markdown]
# ## What next
#
# In [notebook 04](04_fp8_and_below.ipynb) the formats become so small that the choice of format is half of the work.
#
# ## Sources
#
# - IEEE 754-2019, *IEEE Standard for Floating-Point Arithmetic*: 5.1 (every operation is rounded once).
# - P. H. Sterbenz, *Floating-Point Computation*, Prentice-Hall 1974, section 4.3 (differences that are exact).
# - N. J. Higham, *Accuracy and Stability of Numerical Algorithms*, 2nd edition, SIAM 2002: sections 1.7 (cancellation)
#   and 4.2 and 4.3 (errors of sums; orders and bounds; compensation).
# - M. Lange and S. M. Rump, "Error estimates for the summation of real numbers with application to floating-point
#   summation", *BIT Numerical Mathematics* 57 (2017), 927-941 (why (n - 1) u holds for every n).
# - W. Kahan, "Further remarks on reducing truncation errors", *Communications of the ACM* 8 (1965), 40.
# - D. Malone, "To what does the harmonic series converge?", *Irish Mathematical Society Bulletin* 71 (2013), 59-66.
# - N. J. Higham, "Half precision arithmetic: fp16 versus bfloat16", blog, 2018 (the series in fp16 and bfloat16).
# - N. Wang and others, "Training deep neural networks with 8-bit floating point numbers", *NeurIPS* 2018 (chunks).
