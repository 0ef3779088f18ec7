# %% [markdown]
# # Find the mistake
#
# **Aim.** You see what is wrong in code that runs without an error, and you can mend it. **Time:** 60 minutes, in any
# order.
#
# ## What you need to know
#
# What [notebook 06](06_gradients_that_vanish.ipynb) showed: underflow, a loss scale, and what becomes of a step whose
# gradient is not finite. For F.5 and F.6, how `backward()` adds up gradients ([notebook
# 05](05_a_derivative_from_nothing.ipynb)).
#
# Each of these pieces of code stands, in this form or a similar one, in articles and answers that explain mixed
# precision and training. All of them run. Each cell holds the wrong code: change it until its check is green. What was
# there at first is one of the mistakes that the check knows, so it says more than "wrong" if you hand it over as it is.

# %%
import math

import numpy as np

import floatlab as fl

# %% [markdown]
# ## Formulas
#
# **F.1** The output of a neuron is a = sigmoid(z), and its error is J = (y - a)² / 2, where y is what it should be. The
# function is said to return dJ/dz. It returns something else.


# %% tags=["gap"]
def slope(y, a):
    return 2 * (y - a)


# %% tags=["solution"]
def slope(y, a):
    return (a - y) * a * (1 - a)


# %%
fl.course.check("F.1", slope)

# %% [markdown]
# **F.2** "Multiply the loss by 1000, so that small gradients survive in fp16." They do. But compare with the gradient
# in fp32: digits are lost where nothing underflows. Which scale next to 1000 costs no digit?


# %% tags=["gap"]
def scaled_gradient(g):
    scale = 1000.0
    return fl.quantize(g * scale, "fp16").item() / scale


# %% tags=["solution"]
def scaled_gradient(g):
    scale = 1024.0
    return fl.quantize(g * scale, "fp16").item() / scale


# %%
fl.course.check("F.2", scaled_gradient)

# %% [markdown]
# **F.3** The loss of a classifier, softmax first and then the logarithm, every step in fp16. For scores of 20 and 0 it
# is infinite. Round to fp16 only at the end, and make it right for all scores, 800 and -800 among them.


# %% tags=["gap"]
def loss_of(scores, label):
    e = fl.quantize(np.exp(scores), "fp16")
    p = fl.quantize(e / e.sum(), "fp16")
    return fl.quantize(-np.log(p)[label], "fp16").item()


# %% tags=["solution"]
def loss_of(scores, label):
    above = scores - scores.max()
    return fl.quantize(np.log(np.exp(above).sum()) - above[label], "fp16").item()


# %%
fl.course.check("F.3", loss_of)

# %% [markdown]
# **F.4** A normalization divides by the root of the mean square. The activations fit into fp16, and so does the result.
# Still it is infinite for some of them, and wrong for others; and no loss scale helps, because the forward pass has
# none.


# %% tags=["gap"]
def root_mean_square(x):
    squares = fl.quantize(x * x, "fp16")
    total = fl.sum(squares, "fp16", accumulator="fp16").item()
    return fl.quantize(math.sqrt(total / len(x)), "fp16").item()


# %% tags=["solution"]
def root_mean_square(x):
    total = fl.sum(x * x, "fp32", accumulator="fp32").item()
    return fl.quantize(math.sqrt(total / len(x)), "fp16").item()


# %%
fl.course.check("F.4", root_mean_square)

# %% [markdown]
# ## Loops
#
# **F.5** A training loop for one weight: for every batch of x and t, one step against the gradient of the mean squared
# error. The loss falls at first, so nobody notices that a line is missing.


# %% tags=["gap"]
def train(x, t, lr):
    w = fl.nn.Parameter([1.0])
    optimizer = fl.optim.SGD([w], lr=lr)
    for inputs, targets in zip(x, t):
        loss = ((w * fl.Tensor(inputs) - fl.Tensor(targets)) ** 2).mean()
        loss.backward()
        optimizer.step()
    return w.item()


# %% tags=["solution"]
def train(x, t, lr):
    w = fl.nn.Parameter([1.0])
    optimizer = fl.optim.SGD([w], lr=lr)
    for inputs, targets in zip(x, t):
        optimizer.zero_grad()
        loss = ((w * fl.Tensor(inputs) - fl.Tensor(targets)) ** 2).mean()
        loss.backward()
        optimizer.step()
    return w.item()


# %%
fl.course.check("F.5", train)

# %% [markdown]
# **F.6** A batch does not fit into memory, so its gradient is accumulated over micro-batches, the four rows of x and t,
# and one step is taken with the gradient of the mean over all of them. That is the plan.


# %% tags=["gap"]
def accumulate(x, t, lr):
    w = fl.nn.Parameter([1.0])
    optimizer = fl.optim.SGD([w], lr=lr)
    for inputs, targets in zip(x, t):
        optimizer.zero_grad()
        loss = ((w * fl.Tensor(inputs) - fl.Tensor(targets)) ** 2).mean()
        loss.backward()
    optimizer.step()
    return w.item()


# %% tags=["solution"]
def accumulate(x, t, lr):
    w = fl.nn.Parameter([1.0])
    optimizer = fl.optim.SGD([w], lr=lr)
    optimizer.zero_grad()
    for inputs, targets in zip(x, t):
        loss = ((w * fl.Tensor(inputs) - fl.Tensor(targets)) ** 2).mean()
        (loss / len(x)).backward()
    optimizer.step()
    return w.item()


# %%
fl.course.check("F.6", accumulate)

# %% [markdown]
# **F.7** A dynamic scale, as an article has it: `if global_step % 2000 == 0: scale *= 2`. The rule of the frameworks is
# that the scale doubles after `interval` *good* steps in a row, and that a step whose gradient is not finite is left
# out and halves it. (In the article it was 2000; here it is given.)


# %% tags=["gap"]
def with_dynamic_scale(gradients, scale, interval):
    weight, global_step = 0.0, 0
    for g in gradients:
        seen = fl.quantize(g * scale, "fp16").item() / scale
        weight -= seen
        global_step += 1
        if global_step % interval == 0:
            scale *= 2
    return weight, scale


# %% tags=["solution"]
def with_dynamic_scale(gradients, scale, interval):
    weight, good = 0.0, 0
    for g in gradients:
        seen = fl.quantize(g * scale, "fp16").item() / scale
        if not math.isfinite(seen):
            scale /= 2
            good = 0
            continue
        weight -= seen
        good += 1
        if good == interval:
            scale *= 2
            good = 0
    return weight, scale


# %%
fl.course.check("F.7", with_dynamic_scale)

# %% [markdown]
# **F.8** The forward pass takes its weight in fp16, so somebody keeps it in fp16. It moves at first, or never, and many
# updates count for nothing. Return the weight that the next forward pass sees, in fp16.


# %% tags=["gap"]
def train_in_fp16(w, gradients, lr):
    for g in gradients:
        w = fl.quantize(w - lr * g, "fp16").item()
    return w


# %% tags=["solution"]
def train_in_fp16(w, gradients, lr):
    for g in gradients:
        w = fl.quantize(w - lr * g, "fp32").item()  # the master copy
    return fl.quantize(w, "fp16").item()


# %%
fl.course.check("F.8", train_in_fp16)

# %% [markdown]
# ## What next
#
# [Questions that are asked](../docs/questions.md) about mixed precision, each with the lines that answer it.
#
# ## Sources
#
# - P. Micikevicius, S. Narang, J. Alben et al., "Mixed precision training", *International Conference on Learning
#   Representations* (2018), arXiv:1710.03740: the master copy (F.8), and sums and norms that are kept wide (F.4).
# - PyTorch, [Automatic Mixed Precision examples](https://docs.pytorch.org/docs/stable/notes/amp_examples.html):
#   accumulated gradients (F.6) and the rule of the scale (F.7).
