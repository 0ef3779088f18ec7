"""autocast: which operation runs in which format, nesting, the cache of cast weights, policies."""

import re
import threading
from typing import Any

import numpy as np
import pytest
from torch_answers import answers

import floatlab
from floatlab import nn, optim
from floatlab.amp import (
    AUTOCAST_TABLE,
    Policy,
    Unscaled,
    autocast,
    custom_bwd,
    custom_fwd,
    fp8_autocast,
    get_autocast_format,
    get_policy,
    is_autocast_enabled,
)
from floatlab.autograd import Function, Tensor, apply, no_grad
from floatlab.autograd.ops.table import TABLE
from floatlab.errors import AutogradError, FormatError, FormatMismatchError, OptionError, StateError
from floatlab.formats import FloatFormat, aliases, get_format


def tensor(*shape: int, fmt: str = "fp32", grad: bool = False, seed: int = 0) -> Tensor:
    return Tensor(np.random.default_rng(seed).normal(size=shape), requires_grad=grad, format=fmt)


# -- the table ---------------------------------------------------------------------------------------


def test_every_name_in_the_table_is_an_operation_and_stands_in_one_list() -> None:
    names = [name for names in AUTOCAST_TABLE.values() for name in names]
    assert len(names) == len(set(names))
    assert set(names) <= set(TABLE)


def test_every_operation_of_several_tensors_can_mix_formats_under_autocast() -> None:
    # An operation whose inputs may come from different lists must not fail for want of an entry in the table.
    low, high = tensor(3, fmt="fp16"), tensor(3, seed=1)
    with autocast("fp16"):
        for name in ("add", "sub", "mul", "div", "maximum", "minimum", "pow", "mse", "bce_with_logits"):
            assert apply(name, abs(low), high).format.name == "float32"
        assert apply("where", low, high, condition=np.array([True, False, True])).format.name == "float32"
        assert apply("cat", low, high, axis=0).format.name == "float32"
        assert apply("stack", high, low, axis=0).format.name == "float32"


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (lambda x: x @ x, "float16"),
        (lambda x: nn.functional.linear(x, x, x[0]), "float16"),
        (lambda x: nn.functional.conv2d(x.reshape(1, 1, 3, 3), x.reshape(1, 1, 3, 3)), "float16"),
        (lambda x: x.exp(), "float32"),
        (lambda x: abs(x).log(), "float32"),
        (lambda x: abs(x) ** 2.5, "float32"),
        (lambda x: x.softmax(), "float32"),
        (lambda x: x.log_softmax(), "float32"),
        (lambda x: x.sum(), "float32"),
        (lambda x: nn.functional.softplus(x), "float32"),
        (lambda x: nn.functional.layer_norm(x, 3), "float32"),
        (lambda x: nn.functional.cross_entropy(x, [0, 1, 2]), "float32"),
        (lambda x: nn.functional.mse_loss(x, np.zeros((3, 3))), "float32"),
        (lambda x: x + x, "input"),
        (lambda x: x * 3.0, "input"),
        (lambda x: x.relu(), "input"),
        (lambda x: x.tanh(), "input"),
        (lambda x: x.sigmoid(), "input"),
        (lambda x: nn.functional.gelu(x), "input"),
        (lambda x: x.mean(), "input"),
        (lambda x: x.max(), "input"),
        (lambda x: x.reshape(9), "input"),
    ],
)
@pytest.mark.parametrize("fmt", ["float32", "float16"])
def test_results_have_the_format_of_their_list(run: Any, expected: str, fmt: str) -> None:
    with autocast("fp16"):
        assert run(tensor(3, 3, fmt=fmt)).format.name == (fmt if expected == "input" else expected)


# PyTorch's autocast on the CPU differs from that for GPUs, whose lists these are; here they are the same.
BESIDE_TORCH: dict[str, tuple[Any, Any]] = {
    "matmul": (lambda x: x @ x, lambda torch, x: x @ x),
    "linear": (
        lambda x: nn.functional.linear(x, tensor(2, 3)),
        lambda torch, x: torch.nn.functional.linear(x, torch.zeros(2, 3)),
    ),
    "relu": (lambda x: x.relu(), lambda torch, x: x.relu()),
    "tanh": (lambda x: x.tanh(), lambda torch, x: x.tanh()),
    "sigmoid": (lambda x: x.sigmoid(), lambda torch, x: x.sigmoid()),
    "gelu": (lambda x: nn.functional.gelu(x), lambda torch, x: torch.nn.functional.gelu(x)),
    "add": (lambda x: x + x, lambda torch, x: x + x),
    "mul": (lambda x: x * 2.0, lambda torch, x: x * 2.0),
    "mean": (lambda x: x.mean(), lambda torch, x: x.mean()),
    "reshape": (lambda x: x.reshape(9), lambda torch, x: x.reshape(9)),
    "mse": (
        lambda x: nn.functional.mse_loss(x, np.zeros((3, 3))),
        lambda torch, x: torch.nn.functional.mse_loss(x, torch.zeros(3, 3)),
    ),
}


@pytest.mark.parametrize("fmt", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", BESIDE_TORCH)
def test_the_lists_agree_with_torch_where_it_has_them_on_the_cpu(name: str, fmt: str) -> None:
    ours, theirs = BESIDE_TORCH[name]

    def ask(torch: Any) -> str:
        with torch.autocast("cpu", torch.bfloat16):
            return str(theirs(torch, torch.ones(3, 3, dtype=getattr(torch, fmt))).dtype)

    with autocast("bf16"):
        result = ours(tensor(3, 3, fmt=fmt)).format.name
    assert f"torch.{result}" == str(answers(f"autocast {name} {fmt}", ask))


def test_the_widest_of_fp16_and_bf16_is_fp32() -> None:
    with autocast("bf16"):
        y = tensor(2, fmt="fp16") + tensor(2, fmt="bf16")
    assert y.format.name == "float32"


def test_float64_is_never_cast() -> None:
    x = tensor(3, 3, fmt="fp64")
    with autocast("fp16"):
        assert (x @ x).format.name == "float64"
        assert x.softmax().format.name == "float64"


def test_outside_mixed_formats_are_an_error() -> None:
    with pytest.raises(FormatMismatchError):
        tensor(2, fmt="fp16") + tensor(2)


# -- gradients ---------------------------------------------------------------------------------------


def test_a_weight_gradient_passes_through_the_narrow_format_on_its_way_to_fp32() -> None:
    w = tensor(1, 2, grad=True)
    x = tensor(2, 1)
    with autocast("fp16"):
        (w @ x).backward(np.array([[2.0**-20]]))
    assert w.grad is not None
    assert w.grad.format.name == "float32"
    expected = Tensor(2.0**-20 * x.to("fp16").data.T, format="fp16").data
    assert np.array_equal(w.grad.data, expected)
    assert not np.array_equal(expected, 2.0**-20 * x.to("fp16").data.T)


def test_a_gradient_below_half_the_smallest_subnormal_is_lost() -> None:
    w = Tensor([[1.0]], requires_grad=True)
    for fmt, lost in (("fp16", True), ("bf16", False)):
        w.grad = None
        with autocast(fmt):
            (w @ Tensor([[1.0]])).backward(np.array([[2.0**-26]]))
        assert w.grad is not None
        assert (w.grad.data.item() == 0.0) == lost


def test_fp8_keeps_values_in_one_format_and_gradients_in_another() -> None:
    w = tensor(4, 3, grad=True)
    x = tensor(3, 4, grad=True, seed=1)
    with autocast("e4m3", gradient_format="e5m2"):
        y = w @ x
        assert (y.format.name, y.gradient_format.name) == ("float8_e4m3fn", "float8_e5m2")
        (y.relu() * 0.002).sum().backward()
    for t in (w, x):
        assert t.grad is not None
        assert np.array_equal(t.grad.data, Tensor(t.grad.data, format="e5m2").data)
    assert not np.array_equal(w.grad.data, Tensor(w.grad.data, format="e4m3").data)  # type: ignore[union-attr]


def test_targets_are_not_rounded_to_the_narrow_format() -> None:
    x = Tensor([[0.0]], format="e4m3")
    with autocast("e4m3"):
        assert nn.functional.mse_loss(x, [[0.3]]).item() == np.float32(np.float64(np.float32(0.3)) ** 2)


# -- nesting and the cache ---------------------------------------------------------------------------


def test_the_innermost_block_counts() -> None:
    x = tensor(3, 3)
    with autocast("fp16"):
        assert get_autocast_format().name == "float16"  # type: ignore[union-attr]
        with autocast("bf16"):
            assert (x @ x).format.name == "bfloat16"
            with autocast("bf16", enabled=False):
                assert not is_autocast_enabled()
                assert (x @ x).format.name == "float32"
            assert (x @ x).format.name == "bfloat16"
        assert (x @ x).format.name == "float16"
    assert not is_autocast_enabled()
    assert get_autocast_format() is None
    assert (x @ x).format.name == "float32"


def test_a_block_ends_with_an_exception_too() -> None:
    with pytest.raises(ZeroDivisionError), autocast("fp16"):
        1 / 0  # noqa: B018
    assert not is_autocast_enabled()


def test_it_is_a_decorator_and_can_be_entered_again() -> None:
    context = autocast("fp16")

    @context
    def product(x: Tensor) -> Tensor:
        with context:
            return x @ x

    assert product(tensor(2, 2)).format.name == "float16"
    assert product(tensor(2, 2)).format.name == "float16"
    assert not is_autocast_enabled()


def test_a_weight_is_cast_once_in_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    casts = []
    original = Tensor.to
    monkeypatch.setattr(Tensor, "to", lambda self, *args: casts.append(self) or original(self, *args))
    w, x = tensor(3, 3, grad=True), tensor(3, 3)
    with autocast("fp16"):
        with autocast("fp16"):
            ((x @ w) @ w).sum()
        x @ w
    assert sum(t is w for t in casts) == 1
    with autocast("fp16"):
        x @ w
    assert sum(t is w for t in casts) == 2


def test_a_changed_weight_is_cast_again_inside_the_block() -> None:
    w = Tensor([[1.0]], requires_grad=True)
    sgd = optim.SGD([w], lr=1.0)
    x = Tensor([[1.0]])
    with autocast("fp16"):
        for expected in (1.0, 0.0, -1.0):
            y = x @ w
            assert y.item() == expected
            sgd.zero_grad()
            y.sum().backward()
            sgd.step()


def test_a_weight_that_is_loaded_inside_the_block_is_seen() -> None:
    layer, x = nn.Linear(1, 1, bias=False, rng=0), Tensor([[1.0]])
    with autocast("fp16"):
        for value in (1.0, 3.0):
            layer.load_state_dict({"weight": [[value]]})
            assert layer(x).item() == value


def test_two_backward_passes_in_one_block_do_not_share_a_freed_cast() -> None:
    w = Tensor([[1.0]], requires_grad=True)
    with autocast("fp16"):
        for _ in range(2):
            (w @ w).sum().backward()
    assert w.grad is not None
    assert w.grad.item() == 4.0


def test_a_cast_under_no_grad_is_not_used_for_training() -> None:
    w = Tensor([[1.0]], requires_grad=True)
    with autocast("fp16"):
        with no_grad():
            w @ w
        (w @ w).sum().backward()
    assert w.grad is not None


def test_batch_norm_keeps_its_weights_in_fp32_and_its_result_narrow() -> None:
    norm, x = nn.BatchNorm1d(3), tensor(5, 3, grad=True)
    with autocast("fp16"):
        y = norm(x @ tensor(3, 3))
        assert y.format.name == "float16"
        y.sum().backward()
    assert norm.weight.grad.format.name == "float32"


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.BatchNorm2d(2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()),
        nn.Sequential(nn.Flatten(), nn.Linear(64, 8, rng=0), nn.LayerNorm(8), nn.GELU(), nn.Dropout(rng=0)),
        nn.Sequential(nn.Residual(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1, rng=0), nn.Softplus()))),
    ],
)
@pytest.mark.parametrize("fmt", ["fp16", "bf16", "e4m3", "tf32", "binary8p4se"])
def test_models_of_all_layers_train_under_autocast(model: nn.Module, fmt: str) -> None:
    with autocast(fmt):
        loss = (model(tensor(4, 1, 8, 8)) ** 2).mean()
    loss.backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert p.grad.format.name == "float32"
    model.zero_grad()


def test_recurrent_layers_run_in_the_narrow_format() -> None:
    for layer in (nn.RNN(3, 4, rng=0), nn.LSTM(3, 4, rng=0)):
        with autocast("fp16"):
            y, _ = layer(tensor(5, 2, 3))
        y.to("fp32").sum().backward()
        assert all(p.grad is not None for p in layer.parameters())


# -- custom operations -------------------------------------------------------------------------------


class Context:
    """What a custom operation's methods are given."""


def test_custom_fwd_casts_and_switches_autocast_off() -> None:
    seen = []

    @custom_fwd(cast_inputs="fp32")
    def forward(ctx: Any, x: Tensor, n: int) -> Tensor:
        seen.append((x.format.name, is_autocast_enabled()))
        return x @ x

    @custom_bwd
    def backward(ctx: Any, x: Tensor) -> Tensor:
        return x @ x

    ctx, x = Context(), tensor(2, 2, fmt="fp16")
    with autocast("fp16"):
        assert forward(ctx, x, 3).format.name == "float32"
        assert backward(ctx, tensor(2, 2)).format.name == "float32"
    assert forward(Context(), x, 3).format.name == "float16"  # outside a block it does nothing
    assert seen == [("float32", False), ("float16", False)]


def test_custom_bwd_replays_the_state_of_the_forward_pass() -> None:
    @custom_fwd
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x @ x

    @custom_bwd
    def backward(ctx: Any, x: Tensor) -> Tensor:
        return x @ x

    ctx = Context()
    with autocast("bf16"):
        assert forward(ctx, tensor(2, 2)).format.name == "bfloat16"
    assert backward(ctx, tensor(2, 2)).format.name == "bfloat16"
    with pytest.raises(AutogradError, match="custom_fwd"):
        backward(Context(), tensor(2, 2))


class Product(Function):
    """x @ x in fp32, whatever autocast says, with a derivative of its own."""

    @staticmethod
    @custom_fwd(cast_inputs="fp32")
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x @ x

    @staticmethod
    @custom_bwd
    def backward(ctx: Any, gradient: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        assert not is_autocast_enabled()
        return gradient @ x.T + x.T @ gradient


def test_a_custom_function_computes_in_its_own_format_inside_a_block() -> None:
    x = tensor(3, 3, grad=True)
    with autocast("fp16"):
        y = Product.apply(x)
        y.sum().backward()
    assert y.format.name == "float32"
    other = tensor(3, 3, grad=True)
    (other @ other).sum().backward()
    assert x.grad is not None
    assert other.grad is not None
    assert np.array_equal(y.data, (other @ other).data)
    np.testing.assert_allclose(x.grad.data, other.grad.data, rtol=1e-6)


# -- policies ----------------------------------------------------------------------------------------


def test_a_policy_keeps_weights_computes_and_returns_in_three_formats() -> None:
    formats = []
    model = nn.Sequential(nn.Linear(3, 4, rng=0), nn.ReLU(), nn.Softmax())
    for layer in model:
        original = layer.forward
        object.__setattr__(layer, "forward", lambda x, f=original: formats.append(x.format.name) or f(x))
    wrapped = get_policy("mixed_float16").wrap(model)
    y = wrapped(tensor(2, 3))
    y.sum().backward()
    assert formats == ["float16"] * 3
    assert y.format.name == "float32"
    for p in wrapped.parameters():
        assert (p.format.name, p.grad.format.name) == ("float32", "float32")


def test_policies_have_keras_names_and_jmp_notation() -> None:
    assert get_policy("mixed_bfloat16") == Policy("float32", "bfloat16", "float32")
    assert get_policy("params=float32,compute=float16,output=float32") == get_policy("mixed_float16")
    assert get_policy("p=f32, c=f16, o=f16") == Policy("float32", "float16", "float16")
    assert get_policy("e4m3") == Policy("e4m3", "e4m3", "e4m3")
    assert get_policy(Policy()) == Policy()


def test_an_unknown_policy_suggests_the_nearest() -> None:
    with pytest.raises(FormatError, match='"mixed_float16"'):
        get_policy("mixed_float61")
    with pytest.raises(FormatError):
        get_policy("params=float32,speed=float16")


#: What jmp's `get_policy` makes of a text, from its documentation and its tests: params are float32 unless given,
#: compute follows params, output follows compute.
JMP_NAMES = {
    "bf16": "bfloat16",
    "bfloat16": "bfloat16",
    "f16": "float16",
    "float16": "float16",
    "half": "float16",
    "full": "float32",
    "f32": "float32",
    "float32": "float32",
    "f64": "float64",
    "float64": "float64",
}
JMP_KEYS = (("p", "params"), ("c", "compute"), ("o", "output"))


@pytest.mark.parametrize("name", JMP_NAMES)
def test_a_name_of_jmp_alone_is_one_format_for_everything(name: str) -> None:
    fmt = JMP_NAMES[name]
    assert get_policy(name) == Policy(fmt, fmt, fmt)


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("p=f16", ("float16", "float16", "float16")),
        ("c=f16", ("float32", "float16", "float16")),
        ("o=f16", ("float32", "float32", "float16")),
        ("p=f16,c=bf16", ("float16", "bfloat16", "bfloat16")),
        ("p=bf16,o=full", ("bfloat16", "bfloat16", "float32")),
        ("c=half,o=full", ("float32", "float16", "float32")),
        ("o=full,c=bf16", ("float32", "bfloat16", "float32")),
        ("p=full,c=bf16,o=full", ("float32", "bfloat16", "float32")),  # as jmp itself prints a policy
        ("params=float32,compute=float16,output=float32", ("float32", "float16", "float32")),
    ],
)
def test_what_a_policy_leaves_out_follows_as_in_jmp(text: str, formats: tuple[str, str, str]) -> None:
    assert get_policy(text) == Policy(*formats)


def test_every_text_of_jmps_grammar_means_what_it_means_there() -> None:
    rng = np.random.default_rng(0)
    for _ in range(2000):
        which = [k for k in range(3) if rng.integers(2)] or [int(rng.integers(3))]
        values = {k: str(rng.choice(list(JMP_NAMES))) for k in rng.permutation(which)}
        text = ",".join(f"{JMP_KEYS[k][rng.integers(2)]}={value}" for k, value in values.items())
        param = values.get(0, "f32")
        compute = values.get(1, param)
        output = values.get(2, compute)
        assert get_policy(text) == Policy(*(JMP_NAMES[name] for name in (param, compute, output))), text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("junk,c=f16", "Got 'junk' in 'junk,c=f16'"),
        ("c=f16,", "Got '' in"),
        (",c=f16", "Got '' in"),
        ("float16,float32", "Got 'float16' in"),
        ("c=f16;o=f32", "Got 'f16;o=f32'"),
        ("c = f16 o = f32", "Got 'f16 o = f32'"),
        ("compute=float16,speed=float16", "Got 'speed'"),
        ("cmpute=float16", 'Use "compute"'),
        ("=f16", "Got ''"),
        ("c=", "Got ''"),
        ("c=f17", "Got 'f17'"),
        ("c=flot16", 'Did you mean "float16"'),
        ("c=f16,compute=f16", "Got 'compute=f16' as well"),
        ("p=f16,c=f16,p=f32", "Got 'p=f32' as well"),
        ("compute_float16", 'Did you mean "mixed_float16"'),
        ("", "Got ''"),
    ],
)
def test_junk_in_a_policy_is_refused_by_what_is_wrong_with_it(text: str, says: str) -> None:
    with pytest.raises(FormatError, match=re.escape(says)):
        get_policy(text)


def test_every_name_of_a_format_is_a_policy() -> None:
    for fmt in floatlab.formats():
        for name in (fmt.name, *aliases(fmt)):
            assert get_policy(name) == Policy(fmt, fmt, fmt), name
            assert get_policy(f"c={name}") == Policy("float32", fmt, fmt), name


def test_what_is_no_text_is_refused_as_a_format_is() -> None:
    for junk in (None, 3, [], {"c": "f16"}):
        with pytest.raises(FormatError, match="A format is a name"):
            get_policy(junk)


def test_a_policy_prints_as_a_text_that_makes_it_again() -> None:
    mine = FloatFormat("My, own=format", 5, 6, specials="finite")
    for policy in (Policy(), Policy("fp16", mine, "e4m3"), get_policy(mine), get_policy("c=e5m9")):
        assert get_policy(str(policy)) == policy


def test_trees_are_cast_whole() -> None:
    policy = get_policy("mixed_float16")
    tree = {"a": [tensor(2)], "b": (tensor(2), 3)}
    cast = policy.cast_to_compute(tree)
    assert cast["a"][0].format.name == cast["b"][0].format.name == "float16"
    assert cast["b"][1] == 3
    assert policy.cast_to_param(cast)["a"][0].format.name == "float32"
    assert policy.cast_to_output(cast)["b"][0].format.name == "float32"


def test_float64_by_any_other_name_is_never_cast() -> None:
    x = Tensor([[0.1]], format=FloatFormat("mine", 11, 52))
    with autocast("fp16"):
        assert (x @ x).data[0, 0] == 0.1 * 0.1
        assert x.exp().format.name == "mine"


def test_a_weight_is_cast_anew_for_another_format_of_the_same_name() -> None:
    w = Tensor([[1.0 + 2.0**-6]], requires_grad=True)
    x = Tensor([[1.0]])
    with autocast(FloatFormat("narrow", 5, 6)):
        assert (x @ w).item() == 1.0 + 2.0**-6
        with autocast(FloatFormat("narrow", 5, 4)):
            assert (x @ w).item() == 1.0


def test_an_activation_is_cast_with_the_format_of_its_gradient() -> None:
    x = Tensor([[1.0]], requires_grad=True)
    h, w = x * 1.0, Tensor([[1.0]], requires_grad=True)
    with autocast("e4m3", gradient_format="e5m2"):
        y = h @ w
    y.backward([[2.0**-12]])  # a value of e5m2, and less than half of the smallest of e4m3
    assert x.grad.data[0, 0] == w.grad.data[0, 0] == 2.0**-12


def test_a_policy_is_fp32_where_nothing_is_said() -> None:
    policy = Policy()
    assert {f.name for f in (policy.param, policy.compute, policy.output)} == {"float32"}
    assert str(Policy(output="bf16")) == "params=float32,compute=float32,output=bfloat16"
    assert str(Policy("fp16")) == "params=float16,compute=float32,output=float32"


# -- as it is typed for PyTorch, and in threads ----------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "fmt"),
    [
        (lambda: autocast(), "float16"),
        (lambda: autocast("bf16"), "bfloat16"),
        (lambda: autocast("cuda"), "float16"),
        (lambda: autocast("cuda:0"), "float16"),
        (lambda: autocast("cpu"), "bfloat16"),
        (lambda: autocast("cuda", "bf16"), "bfloat16"),
        (lambda: autocast("cuda", dtype="bfloat16"), "bfloat16"),
        (lambda: autocast("cuda", dtype=np.float16), "float16"),
        (lambda: autocast(device_type="cuda"), "float16"),
        (lambda: autocast(device_type="cuda", dtype="float16", enabled=True), "float16"),
        (lambda: autocast(device_type="cpu", dtype="e4m3", cache_enabled=False), "float8_e4m3fn"),
        (lambda: autocast(dtype="bf16"), "bfloat16"),
        (lambda: autocast("cuda", "fp16", True, True), "float16"),
        (lambda: autocast("fp16", True, "e5m2"), "float16"),
        (lambda: autocast("cuda", None), "float16"),
    ],
)
def test_a_block_may_be_written_as_in_torch(block: Any, fmt: str) -> None:
    with block():
        assert get_autocast_format() == get_format(fmt)


def test_a_block_that_is_switched_off_may_be_written_both_ways() -> None:
    for block in (autocast("cuda", enabled=False), autocast("fp16", False), autocast("cuda", "fp16", False)):
        with block:
            assert get_autocast_format() is None


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: autocast("cuda", 3), "Got 3"),
        (lambda: autocast("cudda"), "cudda"),
        (lambda: autocast(device_type="fp16"), "device_type is one of"),
        (lambda: autocast("fp16", dtype="bf16"), "Give one"),
        (lambda: autocast("fp16", format="bf16"), "given once"),
        (lambda: autocast("fp16", enabled="no"), "enabled is True or False"),
        (lambda: autocast("cuda", cache_enabled="no"), "cache_enabled is True or False"),
        (lambda: autocast("fp16", True, None, 4), "by position"),
        (lambda: autocast(gradient_format=4), "Got 4"),
    ],
)
def test_a_block_that_means_nothing_is_refused(make: Any, words: str) -> None:
    with pytest.raises((OptionError, FormatError), match=words):
        make()


@pytest.mark.parametrize("make", [lambda: autocast("bf16"), lambda: fp8_autocast(Unscaled())])
def test_one_block_is_entered_in_several_threads_at_once(make: Any) -> None:
    block, both_in, failures = make(), threading.Barrier(2, timeout=30), []

    def run(first: bool) -> None:
        try:
            with block:
                both_in.wait()
                if first:
                    both_in.wait()  # the other one leaves before
                assert is_autocast_enabled() == isinstance(block, autocast)
            assert not is_autocast_enabled()
            if not first:
                both_in.wait()
        except Exception as problem:
            failures.append(problem)
            both_in.abort()

    threads = [threading.Thread(target=run, args=(first,)) for first in (True, False)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


@pytest.mark.parametrize("make", [lambda: autocast("bf16"), lambda: fp8_autocast(Unscaled())])
def test_a_block_is_left_by_the_thread_that_has_entered_it(make: Any) -> None:
    block, found = make(), []
    block.__enter__()

    def leave() -> None:
        try:
            block.__exit__(None, None, None)
        except StateError as problem:
            found.append(str(problem))

    thread = threading.Thread(target=leave)
    thread.start()
    thread.join()
    assert len(found) == 1 and "in the thread that has entered it" in found[0]
    block.__exit__(None, None, None)
    assert not is_autocast_enabled()


def test_a_block_can_be_entered_again_inside_itself() -> None:
    block = autocast("bf16")
    with block:
        with block, autocast(enabled=False):
            assert not is_autocast_enabled()
        assert is_autocast_enabled()
    assert not is_autocast_enabled()


@pytest.mark.parametrize("module", [5, None, Tensor([1.0])])
def test_a_policy_wraps_a_module(module: Any) -> None:
    with pytest.raises(OptionError, match="A policy is that of a module"):
        Policy().wrap(module)
