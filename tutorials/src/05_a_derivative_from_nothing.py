# %% [markdown]
# # 05 A derivative from nothing
#
# **Aim.** You can build what a library of deep learning does when it says `backward()`: thirty lines of Python. You
# know where its numbers are rounded. **Time:** 45 minutes, and 40 for the exercises.
#
# ## What you need to know
#
# The chain rule: if y depends on u and u on x, then dy/dx = dy/du · du/dx. And from
# [notebook 02](02_rounding.ipynb), what rounding does.
#
# ## New words
#
# [gradient](../docs/glossary.md#gradient) · [tape](../docs/glossary.md#tape) ·
# [forward pass](../docs/glossary.md#forward-pass) · [backward pass](../docs/glossary.md#backward-pass)

# %%
import math

import numpy as np

import floatlab as fl

# %% [markdown]
# ## Predict

# %%
passes = fl.course.predict("A function has 1000 inputs. How many backward passes give its whole gradient?", ...)
step = fl.course.predict("f(x) = x³. In fp16, (f(x + h) - f(x)) / h at 1.3 is best for h = 2^-k with which k?", ...)
twice = fl.course.predict("y = x · x + x at x = 3. What is dy/dx?", ...)

# %% [markdown]
# ## Run
#
# ### Why not try?
#
# The derivative is the limit of a quotient of differences, so one could take a small h and divide. In exact arithmetic
# a smaller h is better. In a float format it is not: f(x + h) and f(x) are rounded, and their difference has few digits
# left.

# %%
def quotient(k, fmt):
    """Return (f(x + h) - f(x)) / h for f(x) = x³, x = 1.3, h = 2^-k, every operation rounded to the format."""
    x, h = fl.array(1.3, fmt), fl.array(2.0**-k, fmt)
    z = x + h
    return ((z * z * z - x * x * x) / h).item()


exact = 3 * 1.3**2
ks = np.arange(1, 24)
errors = {fmt: [abs(quotient(k, fmt) - exact) for k in ks] for fmt in ("fp16", "fp32")}
step.compare(ks[np.argmin(errors["fp16"])])

# %%
figure, axes = fl.plots.subplots(size="half")
for fmt, marker in (("fp16", "v"), ("fp32", "o")):
    axes.semilogy(ks, errors[fmt], marker=marker, color=fl.plots.format_colour(fmt), label=fmt, base=2)
axes.set(xlabel="k, for h = 2^-k", ylabel="error of the quotient", title="A smaller h is better, for a while")
axes.legend()
figure

# %% [markdown]
# From left to right h becomes smaller. The curves fall as long as the error is that of a step that is too long. They
# rise as soon as the rounding errors are larger: those are divided by h. From h = 2^-12 on x + h is x in fp16, and the
# quotient is 0. And each input needs a try of its own: for a network with a million weights, a million tries. There is
# a better way, which needs no h at all.
#
# ### The tape
#
# A computation is a list of small operations. Each of them has a derivative that everybody knows. So write down what
# was done, the *tape*, while doing it (the *forward pass*); then walk the tape backward, and hand to each input its
# share of the *gradient* (the *backward pass*).

# %%
tape = []  # every number, in the order in which they came to be


class Number:
    """A number that remembers where it came from."""

    def __init__(self, value, inputs=(), slopes=()):
        self.value = value
        self.inputs = inputs  # the numbers that it was computed from,
        self.slopes = slopes  # and how fast it changes with each of them
        self.gradient = 0.0
        tape.append(self)

    def __add__(self, other):
        return Number(self.value + other.value, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        return Number(self.value * other.value, (self, other), (other.value, self.value))


x = Number(3.0)
y = x * x + x
print(y.value)

# %% [markdown]
# The order matters: a number's gradient is complete when everything that uses it has handed in its share. What uses a
# number came after it, so walking from the last to the first makes sure of that.

# %%
def backward(result):
    """Give every number that a result depends on its gradient."""
    result.gradient = 1.0
    for number in reversed(tape):
        for one, slope in zip(number.inputs, number.slopes, strict=True):
            one.gradient += number.gradient * slope


backward(y)
twice.compare(x.gradient)

# %% [markdown]
# x is used three times, and gets three shares: 3 and 3 from the product, 1 from the sum. The plus in `+=` is what most
# first tries lack.
#
# That was all. One walk gives the derivatives with respect to *every* input, however many there are:

# %%
tape.clear()
inputs = [Number(float(i)) for i in range(1000)]
total = Number(0.0)
for one in inputs:
    total = total + one * one

calls = 0
while any(one.gradient == 0.0 for one in inputs[1:]):  # is a gradient still missing?
    backward(total)
    calls += 1
print([one.gradient for one in inputs[:5]], "...", inputs[-1].gradient)
passes.compare(calls)

# %% [markdown]
# ### The library's tape
#
# `fl.Tensor` does the same with whole arrays, and with one thing more: every result is rounded to a format, in the
# forward pass and in the backward pass.

# %%
for fmt in ("fp32", "fp16", "e4m3"):
    x = fl.Tensor(3.1, format=fmt, requires_grad=True)
    y = x * x + x
    y.backward()
    print(f"{fmt:5} x = {x.item():<10.8g} y = {y.item():<10.8g} dy/dx = {x.grad.item():.8g}")

# %% [markdown]
# Each gradient is 2x + 1, for the x that the format has, up to the format's rounding. Nothing here divides by a small
# h. But gradients are small numbers, and a small number may be smaller than what a format has. Here the loss is not too
# small for fp16, and its gradient, 2^-12 times 2^-13, is:

# %%
for fmt in ("fp32", "bf16", "fp16"):
    w = fl.Tensor(64.0, format=fmt, requires_grad=True)
    loss = (w * 2.0**-13) * 2.0**-12
    loss.backward()
    print(f"{fmt:5} loss: {loss.item()}   gradient of w: {w.grad.item()}")

# %%
print(fl.explain(2.0**-25, "fp16"))

# %% [markdown]
# ## Explain
#
# - A quotient of differences suffers from two sides: a large h is not a limit, a small one leaves a difference of two
#   nearly equal rounded numbers (cancellation).
# - The chain rule needs no h. Each operation multiplies what comes from above with its own slope; where a number is
#   used several times, the shares add up.
# - Both passes compute in float formats. What is rounded to zero on the way back stays zero for everything below it:
#   in fp16 the gradient 2^-25 is a tie between 0 and the smallest value, 2^-24, and the even one is 0.

# %% [markdown]
# ## Exercises
#
# **05.1** The derivative of a product: given the gradient g of a · b, return the gradients of a and of b.

# %% tags=["gap"]
def of_product(g, a, b):
    ...

# %% tags=["solution"]
def of_product(g, a, b):
    return g * b, g * a

# %%
fl.course.check("05.1", of_product)

# %% [markdown]
# **05.2** Walk a tape backward. It is a list of entries (operation, result, inputs), in the order of the computation,
# such as `("multiply", "t0", ("x", "w"))`; the operations are "add", "multiply" and "square", and `values["t0"]` is a
# number on it. Return the gradients of "x" and of "w".

# %% tags=["gap"]
def walk(tape, values):
    ...

# %% tags=["solution"]
def walk(tape, values):
    gradients = dict.fromkeys(values, 0.0)
    last = tape[-1][1]
    gradients[last] = 1.0
    for operation, result, inputs in reversed(tape):
        g = gradients[result]
        if operation == "add":
            shares = (g, g)
        elif operation == "multiply":
            shares = of_product(g, values[inputs[0]], values[inputs[1]])
        else:
            shares = (g * 2 * values[inputs[0]],)
        for name, share in zip(inputs, shares, strict=True):
            gradients[name] += share
    return gradients["x"], gradients["w"]

# %%
fl.course.check("05.2", walk)

# %% [markdown]
# **05.3** The sigmoid is y = 1 / (1 + exp(-x)). Given the gradient g of y, and y itself, return the gradient of x. No
# exponential is needed.

# %% tags=["gap"]
def of_sigmoid(g, y):
    ...

# %% tags=["solution"]
def of_sigmoid(g, y):
    return g * y * (1 - y)

# %%
fl.course.check("05.3", of_sigmoid)

# %% [markdown]
# ## What next
#
# In [notebook 06](06_gradients_that_vanish.ipynb) gradients become too small for fp16 in a real network, and come back.
#
# ## Sources
#
# - S. Linnainmaa, "Taylor expansion of the accumulated rounding error", *BIT* 16 (1976), 146-160 (the walk backward).
# - A. Griewank and A. Walther, *Evaluating Derivatives*, 2nd edition, SIAM (2008).
# - A. G. Baydin, B. A. Pearlmutter, A. A. Radul and J. M. Siskind, "Automatic differentiation in machine learning: a
#   survey", *Journal of Machine Learning Research* 18 (2018), 1-43.
