"""Telemetry: what it counts is held to arithmetic done by hand; watching changes nothing, and is nowhere else."""

import copy
import json
import math

import numpy as np
import pytest

import floatlab as fl
from floatlab import nn
from floatlab.amp import CurrentScaling, GradScaler, autocast, fp8_autocast
from floatlab.autograd import Tensor, graph, observers
from floatlab.errors import OptionError
from floatlab.optim import SGD, Adam
from floatlab.telemetry import Counts, count, watch

F = nn.functional
FP16 = fl.get_format("fp16")


def tensor(values, fmt="fp32", grad=False):
    return Tensor(np.asarray(values), format=fmt, requires_grad=grad)


def linear(weight, fmt="fp16"):
    """Return a layer without a bias that has this weight."""
    out, inside = np.shape(weight)
    layer = nn.Linear(inside, out, bias=False, rng=0).to(fmt)
    layer.load_state_dict({"weight": np.asarray(weight)})
    return layer


def counted(values, fmt, **options):
    fmt = fl.get_format(fmt)
    values = np.asarray(values, np.float64)
    return count(values, fl.quantize(values, fmt, **options), fmt)


# -- counting ------------------------------------------------------------------------------------


def test_a_zero_made_by_rounding_is_told_from_one_that_was_there():
    found = counted([2.0**-26, -(2.0**-25), 0.0, -0.0, 2.0**-24, 1.0], "fp16")
    assert (found.values, found.zeros, found.underflows, found.subnormals) == (6, 4, 2, 1)


def test_subnormals_end_below_the_smallest_normal_number():
    found = counted([2.0**-14, 2.0**-14 - 2.0**-24, -(2.0**-24)], "fp16")
    assert found.subnormals == 2


def test_an_overflow_is_told_from_an_infinity_that_was_there():
    found = counted([65519.0, 65520.0, -1e6, np.inf, np.nan], "fp16")
    assert (found.overflows, found.infinities, found.nans, found.saturations) == (2, 3, 1, 0)


def test_an_overflow_to_nan_counts_where_a_format_has_no_infinity():
    found = counted([464.0, 464.1, -1000.0, np.nan], "e4m3")
    assert (found.overflows, found.infinities, found.nans) == (2, 0, 3)


def test_what_rounds_to_the_maximum_from_within_half_a_unit_did_not_saturate():
    found = counted([448.0, 460.0, 464.0, 464.1, -1e9, np.inf], "e4m3", overflow="saturate")
    assert (found.saturations, found.overflows, found.nans) == (3, 0, 0)
    found = counted([65504.0, 65519.0, 65520.0], "fp16", overflow="saturate")
    assert found.saturations == 1
    found = counted([6.0, 6.9, 7.0, 100.0], "e2m1")
    assert found.saturations == 2


def test_a_negative_number_in_an_unsigned_format_is_a_nan_and_no_overflow():
    found = counted([-1.0, 2.0], "e8m0")
    assert (found.nans, found.overflows) == (1, 0)


def test_the_histogram_counts_powers_of_two_before_rounding():
    found = counted([1.0, 1.99, -2.0, 0.75, 2.0**-30, 0.0, np.inf, np.nan], "fp16")
    assert found.bins == ((-30, 1), (-1, 1), (0, 2), (1, 1))


def test_the_histogram_knows_subnormal_carriers():
    tiny = np.array([2.0**-149, 2.0**-130], np.float32)
    assert count(None, tiny, fl.get_format("fp32")).bins == ((-149, 1), (-130, 1))
    assert count(None, np.array([2.0**-1074]), fl.get_format("fp64")).bins == ((-1074, 1),)


def test_nothing_is_an_underflow_where_nothing_was_rounded():
    found = count(None, np.zeros(3, np.float32), FP16)
    assert (found.zeros, found.underflows, found.rounded, found.values) == (3, 0, 0, 3)


def test_an_infinity_in_float64_is_counted_without_a_warning():
    found = counted([np.inf, 1e308], "fp64")
    assert (found.infinities, found.overflows) == (1, 0)


def test_an_empty_array_has_no_counts():
    assert count(np.zeros(0), np.zeros(0, np.float32), FP16) == Counts()


def test_counts_add_up_bin_by_bin():
    total = counted([1.0, 4.0], "fp16") + counted([1.5, 2.0**-30], "fp16")
    assert total.bins == ((-30, 1), (0, 2), (2, 1)) and total.values == 4 and total.underflows == 1


# -- operations ----------------------------------------------------------------------------------


def test_a_linear_layer_whose_output_underflows_in_three_of_eight_entries():
    layer = linear(np.diag([2.0**-10, 2.0**-12, 1.0, 1.0])[:, :])
    # times 2**-14: 2**-24 stays; 2**-26 is lost; times 2**-15: 2**-25 and 2**-27 are lost
    x = tensor([[2.0**-14, 2.0**-14, 1.0, 0.5], [2.0**-15, 2.0**-15, 0.25, 0.125]], "fp16")
    with watch() as log:
        y = layer(x)
    (record,) = [r for r in log.operations if r.op == "linear"]
    assert (record.values, record.rounded, record.underflows, record.zeros) == (8, 8, 3, 3)
    assert int((y.data == 0).sum()) == 3
    assert dict(record.bins)[-26] == 1 and dict(record.bins)[-25] == 1 and dict(record.bins)[-27] == 1


def test_a_relu_makes_zeros_but_no_underflow():
    with watch() as log:
        tensor([-1.0, 2.0, -3.0], "fp16").relu()
    assert (log.total().zeros, log.total().underflows, log.total().rounded) == (2, 0, 0)


def test_the_underflow_of_a_gradient_is_found_where_it_happens():
    w = tensor([1.0, 1.0], "fp16", grad=True)
    x = tensor([2.0**-13, 2.0**-11], "fp16")
    with watch() as log:
        ((w * x).sum() * tensor(2.0**-13, "fp16")).backward()
    found = log.total(phase="backward", op="mul", of="input")
    assert found.underflows == 1  # 2**-26 is lost, 2**-24 is not
    assert str(log.first["underflow"]) == "step 0, backward, mul, gradient of the input"
    assert w.grad.tolist() == [0.0, 2.0**-24]


def test_the_layers_parts_have_their_names_in_backward():
    model = nn.Sequential(nn.Linear(3, 2, rng=0), nn.ReLU(), nn.Linear(2, 1, rng=0))
    with watch(model) as log:
        model(tensor(np.ones((4, 3)))).sum().backward()
    parts = {(r.layer, r.of) for r in log.operations if r.phase == "backward" and r.op == "linear"}
    assert parts == {("2", "input"), ("2", "weight"), ("2", "bias"), ("0", "weight"), ("0", "bias")}


@pytest.mark.parametrize(
    ("layer", "shape", "parts"),
    [
        (nn.Conv1d(2, 4, 3, rng=0), (3, 2, 6), ("input", "weight", "bias")),
        (nn.Conv2d(2, 4, 3, rng=0), (3, 2, 6, 5), ("input", "weight", "bias")),
        (nn.ConvTranspose2d(2, 4, 3, rng=0), (3, 2, 6, 5), ("input", "weight", "bias")),
        (nn.ConvTranspose2d(2, 4, 3, bias=False, rng=0), (3, 2, 6, 5), ("input", "weight")),
        (nn.LayerNorm(4), (3, 4), ("input", "weight", "bias")),
        (nn.GroupNorm(2, 4), (3, 4, 5), ("input", "weight", "bias")),
        (nn.BatchNorm1d(4), (3, 4), ("input", "weight", "bias")),
        (nn.RMSNorm(4), (3, 4), ("input", "weight")),
        (nn.PReLU(4), (3, 4), ("input", "weight")),
    ],
    ids=repr,
)
def test_the_gradients_of_a_layer_have_the_names_of_its_parts(layer, shape, parts):
    x = tensor(np.ones(shape), grad=True)
    with watch(layer) as log:
        layer(x).sum().backward()
    ops = {r.op for r in log.operations if r.phase == "backward" and r.of == "weight"}
    assert len(ops) == 1
    assert {r.of for r in log.operations if r.phase == "backward" and r.op in ops} == set(parts)


def test_the_gradient_of_an_embedding_is_its_weights():
    layer = nn.Embedding(4, 2, rng=0)
    with watch(layer) as log:
        layer([0, 3]).sum().backward()
    assert {r.of for r in log.operations if r.phase == "backward" and r.op == "embedding"} == {"weight"}


def test_every_operation_of_a_layer_with_a_weight_names_it():
    from inspect import signature

    from floatlab.autograd.ops.table import TABLE
    from floatlab.telemetry.log import _PARTS

    for name, op in TABLE.items():
        taken = list(signature(op.forward.function).parameters)[1:]
        assert (taken[1:2] == ["weight"]) <= (name in _PARTS), name  # right after x


def test_all_calls_of_an_operation_in_a_step_are_one_record():
    x = tensor([1.0, 2.0], "fp16")
    with watch() as log:
        for _ in range(5):
            x * x
        log.step()
        x * x
    assert [(r.step, r.calls, r.values) for r in log.operations] == [(0, 5, 10), (1, 1, 2)]


def test_operations_in_two_formats_are_two_records():
    with watch() as log:
        for fmt in ("fp16", "bf16"):
            tensor([1.0], fmt) * 2.0
    assert [r.format for r in log.operations] == ["float16", "bfloat16"]


def test_the_first_of_each_fate_is_remembered():
    x = tensor([300.0], "fp16")
    with watch() as log:
        log.step()
        y = x * x  # inf
        log.step()
        y - y  # nan
    assert (log.first["overflow"].step, log.first["overflow"].op) == (1, "mul")
    assert (log.first["infinity"].step, log.first["infinity"].op) == (1, "mul")
    assert (log.first["NaN"].step, log.first["NaN"].op) == (2, "sub")
    assert "underflow" not in log.first


def test_saturation_is_seen_where_the_overflow_policy_saturates():
    x = tensor([300.0, 2.0], "fp16")
    with watch() as log, fl.autograd.arithmetic(overflow="saturate"):
        x * x
    assert (log.total().saturations, log.total().overflows) == (1, 0)
    assert log.first["saturation"].op == "mul"


def test_flushed_subnormals_count_as_underflow():
    x = tensor([2.0**-8, 1.0], "fp16")
    with watch() as log, fl.autograd.arithmetic(subnormals="flush"):
        x * x  # 2**-16 would be subnormal
    assert (log.total().underflows, log.total().subnormals) == (1, 0)


def test_autocast_is_watched_with_its_casts():
    model = nn.Sequential(nn.Linear(2, 2, bias=False, rng=0))
    model.load_state_dict({"0.weight": [[1e-9, 1.0], [1e-8, 1.0]]})
    with watch(model) as log, autocast("fp16"):
        model(tensor([[1.0, 2.0]]))
    cast = [r for r in log.operations if r.op == "cast"]
    assert [(r.layer, r.calls, r.values, r.underflows, r.format) for r in cast] == [("0", 2, 6, 2, "float16")]


@pytest.mark.parametrize("fmt", ["e4m3", "e5m2"])
def test_eight_bit_formats_are_watched(fmt):
    model = nn.Sequential(nn.Linear(8, 4, rng=0), nn.ReLU(), nn.Linear(4, 3, rng=0))
    x = np.random.default_rng(0).normal(size=(16, 8))
    with watch(model) as log, autocast(fmt, gradient_format="e5m2"):
        F.cross_entropy(model(tensor(x)), np.zeros(16, int)).backward()
    name = fl.get_format(fmt).name
    assert {r.format for r in log.operations if r.phase == "forward" and r.op == "linear"} == {name}
    assert {r.format for r in log.operations if r.phase == "backward" and r.op == "linear"} == {"float8_e5m2"}
    assert log.total(op="linear").rounded == log.total(op="linear").values > 0


def test_fp8_recipes_run_under_watch():
    model = nn.Sequential(nn.Linear(8, 4, rng=0))
    with watch(model) as log, fp8_autocast(CurrentScaling()):
        model(tensor(np.ones((2, 8)))).sum().backward()
    assert log.total(op="linear", layer="0").values > 0


def test_an_operation_on_empty_tensors_is_no_event_to_stumble_over():
    with watch() as log:
        tensor(np.zeros((0, 3)), "fp16") * 2.0
    assert log.total().values == 0 and log.operations[0].calls == 1


# -- watching changes nothing --------------------------------------------------------------------


def train(watched, every=1):
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.Conv2d(1, 2, 3, padding=1, rng=rng), nn.BatchNorm2d(2), nn.GELU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Dropout(0.3, rng=1), nn.LayerNorm(32), nn.Linear(32, 10, rng=rng),
    )  # fmt: skip
    optimizer, scaler = Adam(model.parameters()), GradScaler(2.0**20, growth_interval=2)
    log = watch(model, optimizer, scaler, every=every)
    with log if watched else autocast(enabled=False):
        for _ in range(4):
            x, y = tensor(rng.normal(size=(4, 1, 8, 8))), rng.integers(0, 10, 4)
            optimizer.zero_grad()
            with autocast("fp16"):
                loss = F.cross_entropy(model(x), y)
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
    return model, log


def test_watching_changes_no_bit_of_a_run():
    alone, _ = train(False)
    for every in (1, 3):
        watched, log = train(True, every)
        assert log.total().values > 0
        for name, value in alone.state_dict().items():
            assert value.data.tobytes() == watched.state_dict()[name].data.tobytes(), name


def test_a_run_that_is_not_watched_pays_nothing(monkeypatch):
    def refuse(*_):
        raise AssertionError("computed for an observer that is not there")

    def step():
        w = tensor([1.0, 2.0], "fp16", grad=True)
        (w * w).tanh().sum().backward()

    optimizer = SGD([tensor([1.0], grad=True)])
    with watch(optimizer=optimizer):
        assert len(observers.get()) == 1
    monkeypatch.setattr(graph, "unrounded", refuse)
    monkeypatch.setattr("floatlab.autograd.backward.unrounded", refuse)
    step()
    assert observers.get() == () and vars(optimizer).get("step") is None
    with watch(), pytest.raises(AssertionError, match="not there"):
        step()


def test_steps_between_the_recorded_ones_have_no_observer():
    seen = []
    with watch(every=3) as log:
        for _ in range(7):
            seen.append(len(observers.get()))
            tensor([1.0], "fp16") * 2.0
            log.step()
    assert seen == [1, 0, 0, 1, 0, 0, 1]
    assert [r.step for r in log.operations] == [0, 3, 6] and len(log.steps) == 7


# -- contexts ------------------------------------------------------------------------------------


def test_logs_may_be_nested():
    x = tensor([2.0**-13], "fp16")
    optimizer = SGD([tensor([1.0], grad=True)])
    with watch(optimizer=optimizer) as outer:
        x * x
        with watch(optimizer=optimizer) as inner:
            x * x
            optimizer.step()
        x * x
        optimizer.step()
    assert (outer.total().underflows, inner.total().underflows) == (3, 1)
    assert (len(outer.steps), len(inner.steps)) == (2, 1)
    assert observers.get() == () and "step" not in vars(optimizer)


def test_an_exception_leaves_no_trace_and_loses_no_record():
    optimizer, scaler = SGD([tensor([1.0], grad=True)]), GradScaler()
    with pytest.raises(ZeroDivisionError), watch(optimizer=optimizer, scaler=scaler) as log:
        tensor([2.0**-13], "fp16") * tensor([2.0**-13], "fp16")
        1 / 0  # noqa: B018
    assert observers.get() == () and not vars(optimizer).get("step") and "update" not in vars(scaler)
    assert log.total().underflows == 1 and log.first["underflow"].op == "mul"


def test_other_observers_are_left_alone():
    heard = []
    token = observers.set((heard.append,))
    try:
        with watch() as log:
            tensor([1.0], "fp16") * 2.0
            log.step()
        assert observers.get() == (heard.append,)
    finally:
        observers.reset(token)
    assert len(heard) == 1 and log.total().values == 1


def test_a_pause_is_not_recorded():
    x = tensor([1.0], "fp16")
    with watch() as log:
        x * x
        with log.paused():
            x * x
            assert observers.get() == ()
        x * x
    assert log.total().values == 2


def test_a_log_is_not_entered_twice_at_once_but_goes_on_later():
    log = watch()
    with log, pytest.raises(OptionError, match="once at a time"):
        log.__enter__()
    with log:
        tensor([1.0], "fp16") * 2.0
    assert log.total().values == 1 and observers.get() == ()


def test_an_interval_below_one_is_refused():
    with pytest.raises(OptionError, match="Got 0"):
        watch(every=0)


def test_a_model_that_is_copied_after_a_watch_is_not_watched():
    optimizer = SGD([tensor([1.0], grad=True)])
    with watch(optimizer=optimizer):
        optimizer.step()
    assert "step" not in vars(copy.deepcopy(optimizer))


# -- updates -------------------------------------------------------------------------------------


def one_step(values, gradients, fmt, make=SGD, **options):
    w = tensor(values, fmt, grad=True)
    w.grad = tensor(gradients, fmt)
    optimizer = make([("w", w)], **options)
    with watch(optimizer=optimizer) as log:
        optimizer.step()
    return log, w, optimizer


def test_a_bfloat16_sgd_step_that_stagnates():
    # bf16 has 8 bits: next to 1 it knows 1 - 2**-8 and 1 - 2**-9 is a tie, which goes to 1
    log, w, _ = one_step([1.0, 1.0, 1.0, 1.0, 0.0], [2.0**-9, 2.0**-7, 0.0, np.inf, 1e-30], "bf16", lr=1.0)
    (update,) = log.updates
    assert (update.values, update.driven, update.lost) == (5, 3, 1)
    assert w.data[:2].tolist() == [1.0, 1.0 - 2.0**-7]
    assert str(log.first["lost update"]) == "step 0, update of w"
    assert log.stagnated() == {"w": 1 / 3}


def test_a_master_copy_collects_what_the_weights_do_not_show():
    log, w, optimizer = one_step([1.0, 1.0], [2.0**-9, 2.0**-7], "bf16", lr=1.0, master_weights=True)
    (update,) = log.updates
    assert (update.lost, update.hidden, update.updated_in, update.format) == (0, 1, "float32", "bfloat16")
    assert "lost update" not in log.first
    w.grad = tensor([2.0**-40, 0.0], "bf16")
    with log:
        optimizer.step()
    assert (log.updates[1].driven, log.updates[1].lost, log.updates[1].hidden) == (1, 1, 0)


def test_a_learning_rate_of_zero_loses_nothing():
    log, _, _ = one_step([1.0], [1.0], "fp32", lr=0.0)
    assert (log.updates[0].driven, log.updates[0].lost) == (0, 0)
    assert log.stagnated() == {}


def test_a_weight_that_becomes_nan_has_moved():
    log, w, _ = one_step([1.0, 2.0], [0.0, 1.0], "fp16", Adam, lr=0.1)  # 0 / (sqrt(0) + 0)
    assert np.isnan(w.data[0]) and (log.updates[0].driven, log.updates[0].lost) == (1, 0)


def test_a_weight_that_moves_once_has_not_stagnated():
    w = tensor([1.0, 1.0], "bf16", grad=True)
    optimizer = SGD([w], lr=1.0)
    with watch(optimizer=optimizer) as log:
        for gradient in ([2.0**-10, 2.0**-10], [2.0**-5, 2.0**-10], [2.0**-10, 2.0**-10]):
            w.grad = tensor(gradient, "bf16")
            optimizer.step()
    assert [u.lost for u in log.updates] == [2, 1, 2]
    assert log.stagnated() == {"parameter 0": 0.5}


def test_a_parameter_without_a_gradient_has_no_record():
    optimizer = SGD([tensor([1.0], grad=True)])
    with watch(optimizer=optimizer) as log:
        optimizer.step()
    assert log.updates == () and len(log.steps) == 1


def test_parameters_have_the_models_names():
    model = nn.Sequential(nn.Linear(2, 2, rng=0))
    optimizer = SGD(model.parameters())
    model(tensor(np.ones((1, 2)))).sum().backward()
    with watch(model, optimizer) as log:
        optimizer.step()
    assert [u.parameter for u in log.updates] == ["0.weight", "0.bias"]


def test_a_closure_is_called_once_and_its_result_returned():
    w = tensor([1.0], grad=True)
    calls = []
    optimizer = SGD([w], lr=1.0)

    def closure():
        calls.append(1)
        w.grad = tensor([0.5])
        return "loss"

    with watch(optimizer=optimizer) as log:
        assert optimizer.step(closure) == "loss"
    assert calls == [1] and log.updates[0].driven == 1


# -- steps ---------------------------------------------------------------------------------------


def test_a_step_ends_with_the_last_of_several_optimizers():
    weights = tensor([1.0], grad=True), tensor([2.0], grad=True)
    for w in weights:
        w.grad = tensor([1.0])
    a, b = (SGD([w]) for w in weights)
    with watch(optimizer=[a, b]) as log:
        a.step()
        b.step()
        a.step()
        b.step()
    assert [s.step for s in log.steps] == [0, 1]
    assert [(u.step, u.parameter) for u in log.updates] == [
        (0, "parameter 0"), (0, "parameter 1"), (1, "parameter 0"), (1, "parameter 1")
    ]  # fmt: skip


def test_a_step_that_the_scaler_skips_counts_and_is_marked():
    w = tensor([1.0], grad=True)
    optimizer, scaler = SGD([w], lr=0.1), GradScaler(2.0**17, growth_interval=100)
    with watch(optimizer=optimizer, scaler=scaler) as log:
        for _ in range(4):
            optimizer.zero_grad()
            with autocast("fp16"):
                loss = (w.reshape(1, 1) @ tensor([[1.0]])).sum()
            scaler.scale(loss).backward()  # 2**17 and 2**16 overflow on their way through fp16
            scaler.step(optimizer)
            scaler.update()
    assert [s.skipped for s in log.steps] == [True, True, False, False]
    assert [s.scale for s in log.steps] == [2.0**17, 2.0**16, 2.0**15, 2.0**15]
    assert [u.step for u in log.updates] == [2, 3]
    assert sorted({r.step for r in log.operations if r.overflows}) == [0, 1]
    assert (log.first["overflow"].phase, log.first["overflow"].op) == ("backward", "cast")
    assert "2 of 4 steps skipped" in str(log)


def test_a_disabled_scaler_ends_steps_too():
    optimizer, scaler = SGD([tensor([1.0], grad=True)]), GradScaler(enabled=False)
    with watch(optimizer=optimizer, scaler=scaler) as log:
        scaler.step(optimizer)
        scaler.update()
    assert [(s.scale, s.skipped) for s in log.steps] == [(1.0, False)]


# -- output --------------------------------------------------------------------------------------


def small_log():
    w = tensor([[1.0, 2.0**-13]], "fp16", grad=True)
    optimizer = SGD([("w", w)], lr=2.0**-13)
    with watch(optimizer=optimizer) as log:
        for _ in range(2):
            (w * w).sum().backward()
            optimizer.step()
    return log


def test_rows_are_tidy_and_survive_a_file_of_json_lines(tmp_path):
    log = small_log()
    log.save(tmp_path / "log.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows == json.loads(json.dumps(log.rows()))
    assert {row["kind"] for row in rows} == {"operation", "update", "step"}
    assert [row["step"] for row in rows] == sorted(row["step"] for row in rows)
    first = next(row for row in rows if row["kind"] == "operation")
    assert first["op"] == "mul" and first["underflows"] == 1 and first["bins"] == [[-26, 1], [0, 1]]


def test_histograms_can_be_left_out():
    with watch(histograms=False) as log:
        tensor([2.0**-13], "fp16") * tensor([2.0**-13], "fp16")
    assert log.operations[0].bins == () and log.operations[0].underflows == 1


def test_a_total_by_an_unknown_attribute_is_refused():
    with pytest.raises(OptionError, match="Got 'layr'"):
        small_log().total(layr="0")


def test_a_log_prints_what_happened_and_leaves_out_what_did_not():
    text = str(small_log())
    assert "made here" in text and "33.3%" in text and "first underflow: step 0, forward, mul" in text
    assert "updates lost" in text and "overflows" not in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_an_empty_log_says_so():
    assert "An empty log" in str(watch())


def test_the_rich_table_says_the_same():
    console = pytest.importorskip("rich.console").Console(width=100, file=None, record=True, quiet=False)
    with console.capture() as capture:
        console.print(small_log().table())
        console.print(small_log().table(step=1))
    assert "made here" in capture.get() and "33.3%" in capture.get() and "step 1" in capture.get()


def test_a_live_table_is_shown_and_closed(capsys):
    pytest.importorskip("rich")
    optimizer = SGD([("w", tensor([1.0], grad=True))])
    with watch(optimizer=optimizer, live=True) as log:
        tensor([2.0**-13], "fp16") * tensor([2.0**-13], "fp16")
        optimizer.step()
    assert "made here" in capsys.readouterr().out and len(log.steps) == 1


def test_rich_is_imported_only_when_a_table_is_asked_for():
    import subprocess
    import sys

    program = "import sys, floatlab.telemetry; print('rich' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


def test_a_tiny_share_does_not_read_as_none():
    from floatlab.telemetry.table import _percent

    assert [_percent(s) for s in (0.0, 1e-5, 0.5, 0.99999, 1.0)] == ["", "<0.1%", "50.0%", ">99.9%", "100.0%"]
    assert math.isclose(Counts(values=4, zeros=1).share("zeros"), 0.25)


def test_two_formats_of_one_name_have_a_record_each():
    short, real = fl.FloatFormat("float16", 4, 3), FP16
    with watch() as log:
        for fmt in (short, real):
            x = Tensor([2.0**-7], format=fmt)
            x * x  # 2^-14: below the smallest subnormal of the one, a value of the other
    assert [r.underflows for r in log.operations] == [1, 0]
    assert [fl.get_format(r.format) for r in log.operations] == [short, real]


def test_an_update_names_formats_that_get_format_finds_again():
    mine = fl.FloatFormat("My format", 5, 6)
    w = Tensor([1.0], requires_grad=True, format=mine)
    sgd = fl.optim.SGD([w], lr=0.1)
    with watch(optimizer=sgd) as log:
        w.grad = Tensor([1.0], format=mine)
        sgd.step()
    assert fl.get_format(log.updates[0].format) == fl.get_format(log.updates[0].updated_in) == mine


@pytest.mark.parametrize(
    ("where", "nearest"), [({"phse": "forward"}, "phase"), ({"phase": "forwrad"}, "forward")]
)
def test_an_unknown_choice_of_records_is_refused_with_the_nearest(where, nearest):
    with watch() as log:
        tensor([1.0]) * 2.0
    with pytest.raises(OptionError, match=f'Use "{nearest}"'):
        log.total(**where)
