# %% [markdown]
# # 06 Gradients that vanish into zero
#
# **Aim.** You see a network stop learning because its gradients are too small for fp16, you bring it back with loss
# scaling, and you can say when none is needed. **Time:** 40 minutes, and 30 for the exercises.
#
# ## What you need to know
#
# What a subnormal is, and that fp16 has none below 2^-24 ([notebook 01](01_what_a_float_is.ipynb)); what becomes of a
# number between 0 and 2^-24 ([notebook 02](02_rounding.ipynb)); what a backward pass is
# ([notebook 05](05_a_derivative_from_nothing.ipynb)).
#
# ## New words
#
# [underflow](../docs/glossary.md#underflow) · [loss scaling](../docs/glossary.md#loss-scaling) ·
# [static and dynamic scaling](../docs/glossary.md#dynamic-scaling) · [autocast](../docs/glossary.md#autocast)

# %%
import os

import numpy as np

import floatlab as fl

quick = bool(os.environ.get("FLOATLAB_QUICK"))  # for slow machines: less training, the same story
epochs = 1 if quick else 3

# %% [markdown]
# ## Predict
#
# A network learns to read digits: ten classes. Its loss is multiplied by a weight of one in a million, as one term
# among several might be, and the learning rate is divided by it. In exact arithmetic that changes nothing at all.

# %%
zeros = fl.course.predict("Which share of the gradients of the network's output is zero in fp16, in percent?", ...)
plain = fl.course.predict("Which accuracy does the network reach in fp16, in percent?", ...)
scaled = fl.course.predict("And with the loss multiplied by 1024 before the backward pass?", ...)
brain = fl.course.predict("And in bf16, which has 8 bits where fp16 has 11, without any scaling?", ...)

# %% [markdown]
# ## Run
#
# ### A network, and its training
#
# Nothing is hidden here: `autocast` computes the products of the network in a narrow format, and the weights stay in
# fp32. The scaler multiplies the loss, and divides the gradients before the step.

# %%
data = fl.data.digits()
data


# %%
def network(seed=0):
    """Return a small network with the same weights for the same seed."""
    fl.manual_seed(seed)
    return fl.nn.Sequential(fl.nn.Linear(64, 32), fl.nn.ReLU(), fl.nn.Linear(32, 10))


def train(fmt, scaler=None, weight=1e-6, epochs=epochs, seed=0, watch=None):
    """Train the network in a format; return its accuracy on images that it has not seen, in percent."""
    net, rng = network(seed), np.random.default_rng(seed)
    optimizer = fl.optim.SGD(net.parameters(), lr=0.2 / weight)
    scaler = scaler or fl.amp.GradScaler.static(1.0)
    for _ in range(epochs):
        for images, labels in data.batches(64, rng):
            optimizer.zero_grad()
            with fl.amp.autocast(fmt):
                loss = fl.nn.functional.cross_entropy(net(fl.Tensor(images)), labels) * weight
            scaler.scale(loss).backward()
            scaler.step(optimizer)  # divides by the scale; skips the step if a gradient is not finite
            scaler.update()
            if watch is not None:
                watch(scaler)
    with fl.no_grad():
        answers = net(fl.Tensor(data.test_images)).data.argmax(1)
    return round(100 * float((answers == data.test_labels).mean()), 1)


print("fp32, weight 1:   ", train("fp32", weight=1.0))
print("fp32, weight 1e-6:", train("fp32"))

# %% [markdown]
# In fp32 the weight makes no difference, as it should. Now the same in fp16.

# %%
plain.compare(train("fp16"))

# %% [markdown]
# ### Where did it go?
#
# The first gradients of a backward pass are those of the output: (p - y) · weight / 64, for 64 images and the ten
# classes. p is the probability that the network gives to a class, and y is 1 for the right class and 0 for the others,
# so no p - y is larger than 1. Here they are, in fp32, and what fp16 makes of them:

# %%
images, labels = next(data.batches(64))
net = network()
output = net(fl.Tensor(images))
output.retain_grad()
(fl.nn.functional.cross_entropy(output, labels) * 1e-6).backward()
gradients = output.grad.data
fl.plots.plot_histogram(gradients, ["fp16", "bf16"])

# %%
share = 100 * float((fl.quantize(gradients, "fp16") == 0).mean())
zeros.compare(round(share, 1))

# %%
largest = float(np.abs(gradients).max())
print("largest gradient", largest, "= 2 to the power of", round(float(np.log2(largest)), 1))
print(fl.explain(largest, "fp16"))

# %% [markdown]
# This is *underflow*: all of them lie below 2^-25, half of fp16's smallest value, and become zero. All other gradients
# are products with these, so they are zero too. The network stays as it was: it guesses.
#
# ### Multiply the loss
#
# The chain rule is linear: the loss times S makes every gradient S times as large. So multiply the loss by S before the
# backward pass, and divide the gradients by S after it, in fp32. That is *loss scaling*
# ([Micikevicius et al. 2018](#Sources)). If S is a power of two, neither step rounds.

# %%
scaled.compare(train("fp16", fl.amp.GradScaler.static(2.0**10)))

# %% [markdown]
# ### Too small, too large
#
# Which S? Between two cliffs there is a wide plain.

# %%
exponents = range(0, 57, 14 if quick else 4)
accuracy = [train("fp16", fl.amp.GradScaler.static(2.0**k), epochs=1 if quick else 2) for k in exponents]
figure, axes = fl.plots.subplots(size="half")
axes.plot(exponents, accuracy, marker="v", linestyle="--", color=fl.plots.format_colour("fp16"))
axes.axhline(10, color="grey", linestyle=":", label="guessing")
axes.set(xlabel="log2 of the scale S", ylabel="accuracy [%]", title="fp16, loss weight 1e-6: which scales help?")
axes.set_ylim(0, 100)
axes.legend()
figure

# %% [markdown]
# On the left gradients still vanish. On the right they overflow: a gradient that is too large for fp16 becomes
# infinite, the scaler skips the step, and with a fixed S it skips every step.
#
# ### Let it find its own
#
# *Dynamic* scaling begins large, halves the scale after each step with an infinite gradient, and doubles it after many
# good ones. So it stays near the largest scale that works. Here it begins far too large, on purpose: while it falls,
# every step is left out, and what is missing in the accuracy is those steps.

# %%
scales = []
dynamic = fl.amp.GradScaler(init_scale=2.0**56, growth_interval=20)
print("accuracy:", train("fp16", dynamic, watch=lambda scaler: scales.append(scaler.get_scale())))
figure, axes = fl.plots.subplots(size="half")
axes.step(range(len(scales)), np.log2(scales), where="post", color=fl.plots.format_colour("fp16"))
axes.set(xlabel="step", ylabel="log2 of the scale", title="A dynamic scale falls until it fits, then probes upward")
figure

# %% [markdown]
# ### Where no scaling is needed
#
# bf16 has the exponents of fp32: nothing here is too small for it. And with a weight of 1, fp16 needs no help either.

# %%
brain.compare(train("bf16"))

# %%
print("fp16, weight 1, no scaling:", train("fp16", weight=1.0))
for weight in (1.0, 1e-2, 1e-4, 1e-6):
    lost = float((fl.quantize(gradients / 1e-6 * weight, "fp16") == 0).mean())
    print(f"weight {weight:g}: {100 * lost:.1f} % of the output's gradients vanish in fp16")

# %% [markdown]
# ## Explain
#
# - fp16 fails here for its *range*, and not for its precision: bf16 has fewer bits, and learns.
# - What is rounded to zero cannot be brought back afterwards, by no optimizer and by no clipping. It has to be lifted
#   before it is rounded, which is why the *loss* is scaled.
# - Scaling is for what is small as a whole. It moves all gradients by the same factor: if some are so large and others
#   so small that both ends of the format are hit at once, no S helps.

# %% [markdown]
# ## Exercises
#
# **06.1** Which scales work? You are given the smallest and the largest magnitude of some gradients. Return two whole
# numbers: the exponents of the smallest and of the largest power of two by which all of them lie from 2^-14 to 65504,
# where fp16 is normal. (If the first is the larger one, no scale works.)

# %% tags=["gap"]
def which_scales(smallest, largest):
    ...

# %% tags=["solution"]
import math


def which_scales(smallest, largest):
    return math.ceil(math.log2(2.0**-14 / smallest)), math.floor(math.log2(65504 / largest))

# %%
fl.course.check("06.1", which_scales)

# %% [markdown]
# **06.2** Gradients that were computed with a scaled loss are to be clipped. You are given them as a list, the scale,
# and the largest norm that is allowed. Return what the optimizer should see. (`math.hypot(*x)` is the norm of a list.)

# %% tags=["gap"]
import math


def clip(gradients, scale, limit):
    ...

# %% tags=["solution"]
def clip(gradients, scale, limit):
    unscaled = [g / scale for g in gradients]
    factor = min(1.0, limit / math.hypot(*unscaled))
    return [g * factor for g in unscaled]

# %%
fl.course.check("06.2", clip)

# %% [markdown]
# **06.3** Move a dynamic scale on. You are given the scale, the number of good steps since it last changed, and whether
# all gradients of this step are finite. Return the new scale and the new number. After 4 good steps the scale doubles;
# after a step that is not finite it is halved.

# %% tags=["gap"]
def move_on(scale, good, finite):
    ...

# %% tags=["solution"]
def move_on(scale, good, finite):
    if not finite:
        return scale / 2, 0
    if good + 1 == 4:
        return scale * 2, 0
    return scale, good + 1

# %%
fl.course.check("06.3", move_on)

# %% [markdown]
# ## What next
#
# `floatlab demo` does all this with three seeds, seven settings and a prediction for each, and
# [docs/loss-scaling.md](../docs/loss-scaling.md) says how six frameworks move their scales.
#
# ## Sources
#
# - P. Micikevicius, S. Narang, J. Alben et al., "Mixed precision training", *International Conference on Learning
#   Representations* (2018), arXiv:1710.03740 (loss scaling, weights kept in fp32).
# - D. Kalamkar, D. Mudigere, N. Mellempudi et al., "A study of BFLOAT16 for deep learning training" (2019),
#   arXiv:1905.12322 (no loss scaling with bfloat16).
