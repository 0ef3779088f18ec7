"""Memory: byte for byte what can be counted by hand, and the claims that circulate about fp16."""

import contextlib
import copy
from typing import Any

import numpy as np
import pytest
from torch_answers import answers

import floatlab as fl
from floatlab import amp, memory, nn
from floatlab.amp import CurrentScaling, autocast, block_autocast, fp8_autocast, get_policy
from floatlab.autograd import Function, Tensor
from floatlab.errors import AutogradError, FormatError, OptionError
from floatlab.memory import KINDS, Item, Report, measure, size_of
from floatlab.optim import SGD, Adam

F = nn.functional


def mlp(fmt="fp32"):
    """Return 6-4-2 with a ReLU: 24 + 4 + 8 + 2 = 38 weights."""
    return nn.Sequential(nn.Linear(6, 4, rng=0), nn.ReLU(), nn.Linear(4, 2, rng=0)).to(fmt)


def batch(shape=(5, 6), fmt="fp32"):
    return Tensor(np.ones(shape), format=fmt)


def kept(report, kind="activations"):
    """Return what is kept as (layer, operation, format, bytes)."""
    return [(i.layer, i.what, i.format, i.bytes) for i in report.items if i.kind == kind]


# -- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fmt", "expected"),
    [
        ("fp64", 80),
        ("fp32", 40),
        ("tf32", 40),
        ("fp16", 20),
        ("bf16", 20),
        ("e4m3", 10),
        ("e3m2", 8),
        ("e2m1", 5),
    ],
)
def test_ten_numbers_take_their_bits_and_tf32_takes_32(fmt, expected):
    assert size_of(10, fmt) == expected  # 10 * 6 bits = 7.5 bytes take 8


@pytest.mark.parametrize(
    ("fmt", "expected"),
    [
        ("mxfp8_e4m3", 1000 + 32),
        ("mxfp6_e2m3", 750 + 32),
        ("mxfp4", 500 + 32),
        ("nvfp4", 500 + 63 + 4),
        ("nvfp4_16x16", 500 + 4 + 4),
        ("mxint8", 1000 + 32),
        ("fp8_1x128", 1000 + 8 * 4),
        ("fp8_128x128", 1000 + 4),
        ("int4:32", 500 + 32 * 4),
    ],
)
def test_a_thousand_numbers_in_blocks_take_their_scales_besides(fmt, expected):
    assert size_of(1000, fmt) == size_of(1000, fl.get_format(fmt)) == expected
    if not fl.get_format(fmt).is_tile:
        assert fl.encode(np.ones(1000), fmt).nbytes == expected


# -- a small network, by hand --------------------------------------------------------------------


def test_an_mlp_in_fp32_byte_for_byte():
    report = measure(mlp(), batch(), lambda y: y.sum(), optimizer=Adam)
    assert report.by("kind") == {
        "weights": 4 * 38,
        "gradients": 4 * 38,
        "state": 8 * 38,
        "activations": 4 * (5 * 6 + 5 * 4),  # the input, and the ReLU's output, which both its users share
    }
    assert kept(report) == [("0", "linear", "float32", 120), ("1", "relu", "float32", 80)]
    assert report.total == 16 * 38 + 200 and report.parameters == 38 and report.bytes_per_parameter == 16.0
    assert report.by("layer") == {"0": 16 * 28 + 120, "1": 80, "2": 16 * 10}


def test_with_adam_and_a_master_copy_fp16_takes_sixteen_bytes_a_parameter_too():
    def half(parameters):
        return Adam(parameters, master_weights=True)

    fp32 = measure(mlp(), batch(), optimizer=Adam)
    fp16 = measure(mlp("fp16"), batch(fmt="fp16"), optimizer=half)
    assert fp32.bytes_per_parameter == fp16.bytes_per_parameter == 16.0
    assert fp16.by("kind") == {
        "weights": 2 * 38,
        "master": 4 * 38,
        "gradients": 2 * 38,
        "state": 8 * 38,
        "activations": fp32.bytes_of("activations") // 2,
    }
    assert fp16.by("format") == {"float16": 4 * 38 + 100, "float32": 12 * 38}


def test_under_autocast_weights_stay_and_their_casts_come_on_top():
    report = measure(mlp(), batch(), optimizer=Adam, autocast="fp16")
    assert report.bytes_per_parameter == 16.0
    assert report.bytes_of("casts") == 2 * (24 + 8)  # a bias is cast too, but its derivative reads nothing
    assert kept(report) == [("0", "linear", "float16", 60), ("1", "relu", "float16", 40)]


@pytest.mark.parametrize(("fmt", "each"), [("bf16", 8), ("e4m3", 4)])
def test_pure_low_precision_takes_its_own_bytes_throughout(fmt, each):
    report = measure(mlp(fmt), batch(fmt=fmt), optimizer=Adam)
    assert report.bytes_per_parameter == each


def test_the_state_counts_in_its_own_format():
    report = measure(mlp(), batch(), optimizer=lambda p: Adam(p, state_format="bf16"))
    assert report.bytes_of("state") == 4 * 38 and report.by("format")["bfloat16"] == 4 * 38
    assert {i.what for i in report.items if i.kind == "state" and i.layer == "2"} == {
        "2.weight exp_avg", "2.weight exp_avg_sq", "2.bias exp_avg", "2.bias exp_avg_sq"
    }  # fmt: skip


def test_plain_sgd_has_no_state_and_momentum_one_number_a_weight():
    assert measure(mlp(), batch(), optimizer=SGD).bytes_of("state") == 0
    assert measure(mlp(), batch(), optimizer=lambda p: SGD(p, momentum=0.9)).bytes_of("state") == 4 * 38
    assert measure(mlp(), batch()).bytes_per_parameter == 8.0


def test_a_frozen_weight_has_no_gradient_and_no_state():
    model = mlp()
    model[0].requires_grad_(False)
    report = measure(model, batch(), optimizer=lambda p: Adam([q for q in p if q.requires_grad]))
    assert report.bytes_of("weights") == 4 * 38
    assert report.bytes_of("gradients") == 4 * 10 and report.bytes_of("state") == 8 * 10
    assert report.parameters == 10


# -- what operations keep ------------------------------------------------------------------------


def test_a_cross_entropy_keeps_the_shares_and_the_labels():
    labels = np.zeros(5, np.int64)
    report = measure(mlp("fp16"), batch(fmt="fp16"), lambda y: F.cross_entropy(y, labels))
    assert [item for item in kept(report) if item[0] == ""] == [
        ("", "cross_entropy", "float16", 2 * 5 * 2),
        ("", "cross_entropy", "int64", 8 * 5),
    ]


def test_dropout_keeps_one_byte_an_element_for_its_mask():
    model = nn.Sequential(nn.Linear(6, 4, rng=0), nn.Dropout(0.5, rng=0))
    assert ("1", "dropout", "bool", 20) in kept(measure(model, batch()))


def test_a_convolution_keeps_its_image_and_not_the_unrolled_windows():
    model = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1, rng=0))
    assert kept(measure(model, batch((2, 3, 8, 8)))) == [("0", "conv2d", "float32", 4 * 2 * 3 * 8 * 8)]


def test_max_pooling_keeps_an_index_for_each_output():
    model = nn.Sequential(nn.Conv2d(1, 2, 1, rng=0), nn.MaxPool2d(2))
    assert ("1", "max_pool2d", "int64", 8 * 2 * 2 * 4 * 4) in kept(measure(model, batch((2, 1, 8, 8))))


def test_a_layer_norm_keeps_its_normalized_rows_and_a_number_for_each():
    model = nn.Sequential(nn.Linear(6, 4, rng=0), nn.LayerNorm(4))
    assert kept(measure(model, batch()))[1:] == [
        ("1", "layer_norm", "float32", 4 * 5 * 4),
        ("1", "layer_norm", "float32", 4 * 5),
    ]


def test_running_means_are_buffers_and_no_parameters():
    model = nn.Sequential(nn.Linear(6, 4, rng=0), nn.BatchNorm1d(4))
    report = measure(model, batch(), optimizer=Adam)
    assert report.bytes_of("buffers") == 4 * 2 * 4 and report.bytes_per_parameter == 16.0


def test_views_of_one_memory_count_once():
    class Views(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(np.ones((3, 3)))

        def forward(self, x):
            y = x @ self.weight
            return (y * y.reshape(9).reshape(3, 3).permute((1, 0))).sum()

    report = measure(Views(), batch((3, 3)), lambda y: y)
    assert kept(report) == [("", "matmul", "float32", 36), ("", "mul", "float32", 36)]


def test_a_weight_that_is_only_turned_is_no_activation():
    class Turned(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(np.ones((2, 3)))

        def forward(self, x):
            return x @ self.weight.T

    assert kept(measure(Turned(), batch((4, 3)))) == [("", "matmul", "float32", 48)]
    cast = measure(Turned(), batch((4, 3)), autocast="fp16")
    assert kept(cast) == [("", "matmul", "float16", 24)]
    assert cast.bytes_of("casts") == 12


def test_a_number_in_a_formula_takes_nothing():
    class Scaled(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter([1.0, 2.0])

        def forward(self, x):
            return self.weight * 3.0

    assert kept(measure(Scaled(), batch())) == []


def test_fp8_recipes_keep_one_byte_a_number():
    report = measure(mlp(), batch(), optimizer=Adam, autocast=fp8_autocast(CurrentScaling()))
    assert report.bytes_of("casts") == 24 + 8
    assert [i for i in kept(report) if i[2] == "float8_e4m3fn"] == [
        ("0", "_ScaledProduct", "float8_e4m3fn", 30),
        ("2", "_ScaledProduct", "float8_e4m3fn", 20),
    ]
    assert ("1", "relu", "float32", 80) in kept(report)  # what the ReLU keeps is as wide as ever


# -- what is kept in blocks ----------------------------------------------------------------------


def wide_mlp(fmt="fp32"):
    """Return 70-40-33 with a ReLU, which no block divides."""
    return nn.Sequential(nn.Linear(70, 40, rng=0), nn.ReLU(), nn.Linear(40, 33, rng=1)).to(fmt)


def on_blocks(recipe, model=None, x=None, **options):
    x = Tensor(np.ones((50, 70)), requires_grad=True) if x is None else x
    return measure(model or wide_mlp(), x, autocast=block_autocast(recipe), **options)


def test_mxfp4_keeps_four_bits_and_a_byte_for_each_32_along_batch_and_outputs():
    report = on_blocks(amp.MXFP4(), optimizer=Adam)
    # x is (50, 70), along the batch 2 blocks in each of 70 columns; the ReLU's output (50, 40).
    assert [i for i in kept(report) if i[1] == "linear"] == [
        ("0", "linear", "mxfp4", 50 * 70 // 2 + 2 * 70),
        ("2", "linear", "mxfp4", 50 * 40 // 2 + 2 * 40),
    ]
    # Weights (40, 70) and (33, 40), along the outputs: two blocks to a column, the second one short.
    assert kept(report, "casts") == [
        ("0", "linear", "mxfp4", 40 * 70 // 2 + 2 * 70),
        ("2", "linear", "mxfp4", 33 * 40 // 2 + 2 * 40),
    ]
    # What is not in blocks: weights, gradients, state, and the output that the ReLU keeps.
    assert ("1", "relu", "float32", 4 * 50 * 40) in kept(report)
    assert report.bytes_per_parameter == 16.0


def test_nvfp4_keeps_tiles_of_the_weight_and_a_transformed_input_filled_up_to_sixteen():
    report = on_blocks(amp.NVFP4())
    assert kept(report)[0] == ("0", "linear", "nvfp4", 64 * 70 // 2 + 4 * 70 + 4)
    assert kept(report, "casts")[0] == ("0", "linear", "nvfp4_16x16", 40 * 70 // 2 + 3 * 5 + 4)
    plain = on_blocks(amp.NVFP4(rht=False, two_d_weights=False))
    assert kept(plain)[0] == ("0", "linear", "nvfp4", 50 * 70 // 2 + 4 * 70 + 4)
    assert kept(plain, "casts")[0] == ("0", "linear", "nvfp4", 40 * 70 // 2 + 3 * 70 + 4)


@pytest.mark.parametrize(
    ("recipe", "inputs", "weight"),
    [
        (amp.MXFP8(), ("mxfp8_e4m3", 50 * 70 + 2 * 70), ("mxfp8_e4m3", 40 * 70 + 2 * 70)),
        (amp.MXFP6(), ("mxfp6_e2m3", 50 * 70 * 3 // 4 + 2 * 70), ("mxfp6_e2m3", 40 * 70 * 3 // 4 + 2 * 70)),
        (amp.Tiles(), ("fp8_1x128", 50 * 70 + 4 * 70), ("fp8_128x128", 40 * 70 + 4)),
        (amp.Int8(), ("int8:row", 50 * 70 + 4 * 70), ("int8:row", 40 * 70 + 4 * 70)),
        (amp.Int8(granularity="tensor"), ("int8:tensor", 50 * 70 + 4), ("int8:tensor", 40 * 70 + 4)),
        (amp.BlockScaling("int4:32"), ("int4:32", 25 * 70 + 8 * 70), ("int4:32", 20 * 70 + 8 * 70)),
    ],
    ids=lambda x: type(x).__name__,
)
def test_every_recipe_keeps_its_own_bytes(recipe, inputs, weight):
    report = on_blocks(recipe)
    assert kept(report)[0][2:] == inputs and kept(report, "casts")[0][2:] == weight


@pytest.mark.parametrize("recipe", [amp.MXFP4(), amp.MXFP6(), amp.NVFP4(rht=False), amp.Tiles()])
def test_what_is_kept_takes_the_bytes_of_its_encoding(recipe):
    report = on_blocks(recipe)
    for kind, operand, shape in (("activations", "input", (50, 70)), ("casts", "weight", (40, 70))):
        fmt = recipe.format_of(operand)
        encoded = fl.encode(np.ones(shape), fmt, **({} if fmt.is_tile else {"axis": 0}))
        assert kept(report, kind)[0][3] == encoded.nbytes


def test_nothing_is_kept_for_a_product_that_is_not_computed():
    report = on_blocks(
        amp.MXFP4(), x=Tensor(np.ones((50, 70)))
    )  # no gradient of the input: no dgrad in layer 0
    assert [i[0] for i in kept(report, "casts")] == ["2"]
    frozen = wide_mlp()
    frozen[0].weight.requires_grad_(False)
    report = on_blocks(amp.MXFP4(), frozen)  # no gradient of its weight: no wgrad
    assert [i[0] for i in kept(report) if i[1] == "linear"] == ["2"]


def test_layers_that_a_recipe_keeps_and_convolutions_stay_as_they_are():
    model = wide_mlp()
    x = Tensor(np.ones((50, 70)), requires_grad=True)
    report = measure(model, x, autocast=block_autocast(amp.MXFP4(keep="2"), model))
    assert [(i[0], i[2]) for i in kept(report) if i[1] == "linear"] == [("0", "mxfp4")]
    assert ("1", "relu", "float32", 8000) in kept(report)  # which layer 2 keeps too
    images = nn.Sequential(nn.Conv2d(3, 2, 3, padding=1, rng=0))
    report = on_blocks(amp.MXFP4(), images, batch((2, 3, 8, 8)))
    assert kept(report) == [("0", "conv2d", "float32", 4 * 2 * 3 * 8 * 8)] and not kept(report, "casts")


def test_under_autocast_blocks_are_kept_and_no_narrow_copy_of_what_they_are_cast_from():
    model, x = wide_mlp(), Tensor(np.ones((50, 70)), requires_grad=True)

    class Both(contextlib.ExitStack):
        def __enter__(self):
            self.enter_context(autocast("bf16"))
            self.enter_context(block_autocast(amp.MXFP4()))
            return self

    report = measure(model, x, autocast=Both())
    assert {i[2] for i in kept(report, "casts")} == {"mxfp4"}
    assert ("1", "relu", "bfloat16", 2 * 50 * 40) in kept(report)


def test_a_recipe_of_ones_own_keeps_the_operands_themselves():
    class Halves(amp.BlockRecipe):
        def quantize(self, values, axis, operand, rng):
            return np.rint(2 * values) / 2

    assert on_blocks(Halves()) == measure(wide_mlp(), Tensor(np.ones((50, 70)), requires_grad=True))


def test_bytes_by_format_name_the_blocks():
    by = on_blocks(amp.MXFP4()).by("format")
    assert set(by) == {"float32", "mxfp4"} and "in mxfp4" in str(on_blocks(amp.MXFP4()))
    pytest.importorskip("matplotlib")
    fl.plots.plot_memory({"blocks": on_blocks(amp.NVFP4()), "int8": on_blocks(amp.Int8())}, by="format")


def test_a_policy_counts_as_the_formats_it_names():
    model = get_policy("mixed_bfloat16").wrap(mlp())
    report = measure(model, batch(), optimizer=Adam)
    assert report.bytes_per_parameter == 16.0 and report.bytes_of("casts") == 2 * 32
    assert {i[2] for i in kept(report)} == {"bfloat16"} and report.bytes_of("activations") == 100


def test_a_function_of_ones_own_counts_what_it_saves():
    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, gradient):
            return gradient * ctx.saved_tensors[0] * 2.0

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 4, rng=0)

        def forward(self, x):
            return Square.apply(self.layer(x))

    assert ("", "Square", "float32", 80) in kept(measure(Net(), batch()))


def test_a_recurrent_network_keeps_more_with_every_step():
    def activations(steps):
        return measure(nn.LSTM(3, 4, rng=0), batch((steps, 2, 3)), autocast="bf16").bytes_of("activations")

    assert activations(12) - activations(8) == activations(8) - activations(4) > 0


def test_an_mlp_keeps_what_pytorch_keeps():
    labels = np.zeros(20, np.int64)

    def ask(torch):
        seen = {}

        def note(t):
            seen[t.untyped_storage().data_ptr()] = (t, t.untyped_storage().nbytes())
            return t

        theirs = torch.nn.Sequential(
            torch.nn.Linear(6, 16), torch.nn.Tanh(), torch.nn.Linear(16, 12), torch.nn.GELU(),
            torch.nn.Linear(12, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3),
        )  # fmt: skip
        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            torch.nn.functional.cross_entropy(theirs(torch.ones(20, 6)), torch.tensor(labels))
        own = {p.untyped_storage().data_ptr() for p in theirs.parameters()}
        return sum(size for key, (_, size) in seen.items() if key not in own)

    expected = int(answers("memory of an mlp", ask, labels))
    ours = nn.Sequential(
        nn.Linear(6, 16, rng=0), nn.Tanh(), nn.Linear(16, 12, rng=0), nn.GELU(),
        nn.Linear(12, 8, rng=0), nn.ReLU(), nn.Linear(8, 3, rng=0),
    )  # fmt: skip
    report = measure(ours, batch((20, 6)), lambda y: F.cross_entropy(y, labels))
    assert report.bytes_of("activations") == expected - 4  # PyTorch also keeps the sum of the class weights


# -- the model stays as it is --------------------------------------------------------------------


def test_nothing_of_the_model_the_optimizer_or_the_recipe_changes():
    model = nn.Sequential(
        nn.Linear(6, 4, rng=0), nn.BatchNorm1d(4), nn.Dropout(0.5, rng=1), nn.Linear(4, 2, rng=0)
    )
    optimizer, recipe = Adam(model.parameters()), fp8_autocast(CurrentScaling())
    before = copy.deepcopy(model.state_dict())
    generator = copy.deepcopy(model[2].rng.bit_generator.state) if hasattr(model[2], "rng") else None
    report = measure(model, batch(), optimizer=optimizer, autocast=recipe)
    assert report.bytes_of("state") == 8 * report.parameters
    assert optimizer.state == {} and recipe.state_dict() == {}
    assert all(p.grad is None for p in model.parameters())
    for name, value in model.state_dict().items():
        assert value.data.tobytes() == before[name].data.tobytes(), name
    assert generator is None or model[2].rng.bit_generator.state == generator


def test_an_optimizer_that_has_stepped_counts_the_same():
    model = mlp()
    optimizer = Adam(model.parameters())
    first = measure(model, batch(), optimizer=optimizer)
    model(batch()).sum().backward()
    optimizer.step()
    assert measure(model, batch(), optimizer=optimizer) == first


def test_gradients_that_are_there_already_make_no_difference():
    model = mlp()
    model(batch()).sum().backward()
    assert measure(model, batch()) == measure(mlp(), batch())
    assert model[0].weight.grad is not None


# -- bad input -----------------------------------------------------------------------------------


def test_a_loss_that_is_no_single_number_is_refused():
    with pytest.raises(AutogradError, match="single number"):
        measure(mlp(), batch(), lambda y: y)
    with pytest.raises(AutogradError, match="single number"):
        measure(mlp(), batch(), lambda y: 3.0)
    with pytest.raises(AutogradError, match="single number"):
        measure(mlp(), batch(), lambda y: y.detach().sum())


def test_another_models_optimizer_is_refused():
    with pytest.raises(OptionError, match=r"model\.parameters"):
        measure(mlp(), batch(), optimizer=Adam(mlp().parameters()))


def test_an_unknown_format_or_kind_is_refused():
    with pytest.raises(FormatError):
        measure(mlp(), batch(), autocast="fp17")
    with pytest.raises(OptionError, match="Got 'wights'"):
        measure(mlp(), batch()).bytes_of("wights")
    with pytest.raises(OptionError, match="Got 'size'"):
        measure(mlp(), batch()).by("size")


# -- output --------------------------------------------------------------------------------------


def test_a_report_prints_a_row_for_each_layer_and_the_sum():
    text = str(measure(mlp(), batch(), optimizer=Adam))
    lines = text.splitlines()
    assert lines[0].split() == ["layer", "weights", "gradients", "state", "activations", "total"]
    assert [line.split()[0] for line in lines[1:5]] == ["0", "1", "2", "total"]
    assert lines[4].split()[-2:] == ["808", "B"]
    assert "16 bytes for each of 38 parameters" in text


def test_the_rich_table_says_the_same():
    console = pytest.importorskip("rich.console").Console(width=100)
    with console.capture() as capture:
        console.print(measure(mlp(), batch(), optimizer=Adam))
    assert "808 B" in capture.get() and "16 bytes for each of 38" in capture.get()


def test_rows_are_plain_and_sum_to_the_total():
    report = measure(mlp(), batch(), optimizer=Adam, autocast=autocast("bf16"))
    rows = report.rows()
    assert sum(row["bytes"] for row in rows) == report.total
    assert all(row["kind"] in KINDS for row in rows)
    assert Report(tuple(Item(**row) for row in rows)) == report


def test_an_empty_report_has_no_bytes():
    assert Report(()).total == 0 and Report(()).bytes_per_parameter == 0.0 and "total" in str(Report(()))


def test_memory_is_there_by_its_public_name():
    assert fl.memory is memory


def test_two_formats_of_one_name_are_added_up_apart() -> None:
    real, short = fl.get_format("float16"), fl.FloatFormat("float16", 4, 3, specials="fn")
    model = nn.Sequential(
        nn.Linear(4, 4, bias=False, rng=0).to(real), nn.Linear(4, 4, bias=False, rng=0).to(short)
    )
    report = memory.measure(model[0], fl.Tensor(np.ones((1, 4)), format=real))
    other = memory.measure(model[1], fl.Tensor(np.ones((1, 4)), format=short))
    sums = memory.Report(report.items + other.items).by("format")
    assert {fl.get_format(name) for name in sums} == {real, short}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": 5}, "Got int. Pass a Module"),
        ({"optimizer": "adam"}, "optimizer is a function. Got 'adam'"),
        ({"loss": 3}, "loss is a function. Got 3"),
        ({"autocast": 3}, "autocast is a format, or a context"),
    ],
)
def test_what_makes_no_step_is_refused(arguments: Any, words: str) -> None:
    model = arguments.pop("model", nn.Linear(2, 2, rng=0))
    with pytest.raises(OptionError, match=words):
        memory.measure(model, Tensor([[1.0, 2.0]]), **arguments)
