# %% [markdown]
# # 00 Quickstart
#
# **Aim.** You have seen a network that learns nothing, because its gradients are too small for 16 bits, and one
# multiplication that makes it learn again. **Time:** 10 minutes, and 15 for the exercises.
#
# ## What you need to know
#
# How a network is trained: it computes a loss, and each weight takes a step against its *gradient*, the derivative of
# the loss with respect to that weight. Nothing about floats.
#
# ## New words
#
# [gradient](../docs/glossary.md#gradient) · [underflow](../docs/glossary.md#underflow) ·
# [loss scaling](../docs/glossary.md#loss-scaling)

# %%
import os

import numpy as np

import floatlab as fl
from floatlab.experiments import TrainingConfig, train
from floatlab.experiments.harness.training import build_network, weights_sha256
from floatlab.experiments.underflow import gradient_panels

QUICK = bool(os.environ.get("FLOATLAB_QUICK"))  # a small setting, for slow machines
EPOCHS = 3 if QUICK else 8

# %% [markdown]
# ## Predict
#
# Write your guesses in the place of the three dots before you go on. A wrong one costs nothing, and you will remember
# the answer better. Nothing stops if you leave them.

# %%
small = fl.course.predict("fp16 keeps a number in 16 bits. What does it make of 0.00000001?", ...)
lost = fl.course.predict("The gradients of a network are that small. What percentage of them becomes 0 in fp16?", ...)
saved = fl.course.predict(
    "The loss is multiplied by 65536, or whatever suits the format, before the gradients are computed. "
    "What accuracy, in percent, is reached then?",
    ...,
)

# %% [markdown]
# ## Run
#
# ### One number
#
# A computer keeps a number in a fixed count of bits; how, is called a *format*. The usual one has 32 bits, fp32. fp16
# has 16, takes half the memory, and has far fewer numbers. `quantize` says which of them a number becomes:

# %%
for x in (0.1, 1e-4, 1e-6, 1e-7, 1e-8):
    print(f"{x:<8} in fp16: {fl.quantize(x, 'fp16').item()}")

# %%
small.compare(fl.quantize(0.00000001, "fp16").item())

# %% [markdown]
# The smallest positive number of fp16 is 2^-24, about 0.00000006. What is not larger than half of it becomes 0: it
# *underflows*. ([Notebook 01](01_what_a_float_is.ipynb) shows where these numbers come from.)

# %%
smallest = 2.0**-24
for name, x in {"smallest": smallest, "half": smallest / 2, "a little more than half": smallest / 2 * 1.01}.items():
    print(f"{name:23} {x:.3e} in fp16: {fl.quantize(x, 'fp16').item():.3e}")

# %% [markdown]
# ### One step
#
# Here is a small network for handwritten digits, images of 8 by 8 pixels. Its loss is multiplied by a *loss weight* of
# one millionth, as a term of a sum of losses may be. So all the gradients are a million times smaller. In exact
# arithmetic that would not matter: the learning rate, the factor of a step, can be a million times larger.
#
# `autocast` computes the products of matrices in a format, forwards and backwards. The weights of the network stay in
# fp32.

# %%
WEIGHT = 1e-6
images, labels = next(fl.data.digits().batches(64))


def gradient(fmt, scale=1.0):
    """Return the gradient of the first layer's weights, with the loss multiplied by a scale before it is computed."""
    model = fl.nn.Sequential(fl.nn.Linear(64, 64, rng=0), fl.nn.ReLU(), fl.nn.Linear(64, 10, rng=1))
    with fl.amp.autocast(fmt):
        loss = fl.nn.functional.cross_entropy(model(fl.Tensor(images)), labels) * WEIGHT
    (loss * scale).backward()
    return model[0].weight.grad.array / scale


exact = gradient("fp32")
alive = exact != 0  # a pixel that is 0 in every image, for one, has no gradient in any format
print(f"fp32: sizes from {np.abs(exact[alive]).min():.1e} to {np.abs(exact).max():.1e}")
for scale in (1.0, 2.0**16):
    zero = (gradient("fp16", scale) == 0)[alive].mean()
    print(f"fp16, loss times {scale:7.0f}: {zero:6.1%} of the gradients are 0")

# %%
lost.compare(round(100 * float((gradient("fp16") == 0)[alive].mean()), 1))

# %% [markdown]
# Nothing is left: even the largest of them is smaller than 2^-25.
#
# With the loss multiplied by 65536, which is 2^16, every gradient is 65536 times as large while it is in fp16. In the
# end it is divided by the same number, in fp32. This is *loss scaling* ([Micikevicius et al.](#Sources)).
#
# The picture shows the same for the network that is trained below. Each panel counts its gradients by size, their
# magnitude, and under the panels stand the formats: what lies in the region "lost" becomes 0. In the middle panel some
# gradients of weights are larger than 2^-25, and all are lost in fp16, because they are computed from gradients of
# layer outputs, which are smaller. ("Normal" and "subnormal" are words of [notebook 01](01_what_a_float_is.ipynb), and
# fp8 is the subject of [notebook 04](04_fp8_and_below.ipynb).)

# %%
panels, notes = gradient_panels()
fl.plots.plot_gradients(panels, notes=notes)

# %% [markdown]
# ### A whole training
#
# Now the network has four hidden layers, and the same data, first weights and order of images in every run. bf16 is a
# format of 16 bits, too, which reaches to much smaller numbers than fp16, with fewer digits. "Dynamic" scaling looks
# for the scale itself. It begins with 2^16. When a gradient becomes too large for the format, it leaves the step out
# and halves the scale; after some good steps, 50 here, it doubles it.

# %%
runs = [
    TrainingConfig("fp32", loss_weight=WEIGHT, epochs=EPOCHS),
    TrainingConfig("bf16", "bf16", "bf16", loss_weight=WEIGHT, epochs=EPOCHS),
    TrainingConfig("fp16", "fp16", "fp16", loss_weight=WEIGHT, epochs=EPOCHS),
    TrainingConfig("fp16 dynamic", "fp16", "fp16", "dynamic", 2.0**16, loss_weight=WEIGHT, epochs=EPOCHS),
]
records = [train(run) for run in runs]
for record in records:
    zero = np.mean(list(record["zero_gradient_share"].values()))
    print(f"{record['run']:13} first step: {zero:6.1%} of the gradients lost   accuracy {record['test_accuracy']:.1%}")

# %%
saved.compare(round(100 * records[-1]["test_accuracy"], 1))

# %% [markdown]
# There are ten classes, so one guess in ten is right by chance. Without scaling fp16 stays near that: no weight ever
# changes, and the loss is a flat line. With scaling it learns like the others.

# %%
fl.plots.plot_training(records)

# %%
untrained = weights_sha256(build_network(runs[2]))  # a fingerprint of all the weights, bit for bit
for record in records:
    print(f"{record['run']:13} ends with the weights it began with:", record["weights_sha256"] == untrained)

# %% [markdown]
# ### Where nothing is needed
#
# It would be wrong to say that nothing can be trained in fp16 without scaling. With an ordinary loss, of weight 1, the
# gradients of this network are large enough, and it learns:

# %%
ordinary = train(TrainingConfig("fp16", "fp16", "fp16", epochs=EPOCHS))
zero = np.mean(list(ordinary["zero_gradient_share"].values()))
print(f"fp16, loss weight 1: {zero:.1%} of the gradients lost, accuracy {ordinary['test_accuracy']:.1%}")

# %% [markdown]
# ### Your own loop
#
# In a loop of your own it is three lines with a `GradScaler`, which has PyTorch's name and PyTorch's rule
# ([PyTorch](#Sources)): scale the loss, let the scaler take the step, let it update the scale.

# %%
model = fl.nn.Sequential(fl.nn.Linear(64, 64, rng=0), fl.nn.ReLU(), fl.nn.Linear(64, 10, rng=1))
optimizer = fl.optim.SGD(model.parameters(), lr=0.1 / WEIGHT, momentum=0.9)
scaler = fl.amp.GradScaler()
for images, labels in fl.data.digits().batches(64):
    optimizer.zero_grad()
    with fl.amp.autocast("fp16"):
        loss = fl.nn.functional.cross_entropy(model(fl.Tensor(images)), labels)
    scaler.scale(loss * WEIGHT).backward()
    scaler.step(optimizer)
    scaler.update()
print("loss of the last batch:", round(loss.item(), 2), "  of guessing:", round(float(np.log(10)), 2))

# %% [markdown]
# ## Explain
#
# - A format has a smallest number, and what is not larger than half of it becomes 0. No later step brings it back: a
#   larger learning rate multiplies 0.
# - The gradient of 65536 times the loss is 65536 times the gradient of the loss. So every gradient is multiplied before
#   it is rounded, and not after.
# - The scale is a power of two, because a binary format multiplies by that without rounding, as long as nothing
#   underflows or becomes too large. Here is a number that fp16 has, scaled by 1024 and by 1000:

# %%
x = fl.quantize(1 / 3, "fp16").item()
for scale in (1024.0, 1000.0):
    print(f"{x} times {scale:.0f}, in fp16, and divided again: {fl.quantize(x * scale, 'fp16').item() / scale}")

# %% [markdown]
# ## Exercises
#
# Write each function in the place of its three dots. The check tries it on many inputs, and shows the first one on
# which it is wrong.
#
# **00.1** Is a gradient lost in fp16? Return True if the number becomes 0 there, and False if not.


# %% tags=["gap"]
def is_lost(x):
    ...


# %% tags=["solution"]
def is_lost(x):
    return abs(x) <= 2.0**-25


# %%
fl.course.check("00.1", is_lost)

# %% [markdown]
# **00.2** From 2^-14 on a number of fp16 has 11 binary digits of its own (the other bits say where they stand); a
# smaller one has fewer. Return the smallest power of two, 1 or more, by which a positive gradient must be multiplied to
# be at least 2^-14.


# %% tags=["gap"]
def scale_for(x):
    ...


# %% tags=["solution"]
def scale_for(x):
    scale = 1.0
    while x * scale < 2.0**-14:
        scale *= 2
    return scale


# %%
fl.course.check("00.2", scale_for)

# %% [markdown]
# **00.3** What does a scaled step in fp16 make of a gradient? Multiply it by the scale, round it to fp16 (with
# `fl.quantize(..., "fp16")`), and take the scale off again.


# %% tags=["gap"]
def after_scaling(gradient, scale):
    ...


# %% tags=["solution"]
def after_scaling(gradient, scale):
    return fl.quantize(gradient * scale, "fp16") / scale


# %%
fl.course.check("00.3", after_scaling)

# %% [markdown]
# ## What next
#
# [Notebook 01](01_what_a_float_is.ipynb) begins at the beginning: what is a float?
# [Notebook 06](06_gradients_that_vanish.ipynb) comes back to these gradients.
#
# ## Sources
#
# - P. Micikevicius et al., "Mixed precision training", *International Conference on Learning Representations* (2018):
#   loss scaling, and weights kept in fp32.
# - PyTorch, [torch.amp.GradScaler](https://docs.pytorch.org/docs/stable/amp.html): the rule of dynamic scaling; its
#   scale begins with 2^16, and doubles after 2000 good steps.
# - E. Alpaydin and C. Kaynak, *Optical Recognition of Handwritten Digits*, UCI Machine Learning Repository, CC BY 4.0:
#   the images.
