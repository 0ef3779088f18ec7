"""The stand-in for CuPy differs from NumPy where CuPy does, and nowhere else."""

import sys

import numpy as np
import pytest

import floatlab as fl
from device.flushing import FlushError, settings
from device.ledger import LEDGER
from device.module import installed
from floatlab import backend

TINY = np.float32(1e-40)


def test_it_is_not_there_outside_of_its_tests(cupy):
    assert sys.modules["cupy"] is cupy
    with installed() as inner:
        assert sys.modules["cupy"] is inner
    assert sys.modules["cupy"] is cupy


def test_floatlab_takes_its_arrays_for_device_arrays(cupy):
    x = cupy.zeros(3)
    assert backend.is_gpu_array(x) and backend.array_module(x) is cupy
    assert not backend.is_gpu_array(np.zeros(3))


@pytest.mark.parametrize(
    "careless",
    [
        lambda xp, x: np.asarray(x),
        lambda xp, x: np.array(x),
        lambda xp, x: x + np.ones(3),
        lambda xp, x: np.ones(3) * x,
        lambda xp, x: np.add(x, np.ones(3)),
        lambda xp, x: xp.where(x > 0, x, np.zeros(3)),
        lambda xp, x: xp.concatenate([x, np.zeros(3)]),
        lambda xp, x: x.__setitem__(slice(None), np.zeros(3)),
        lambda xp, x: xp.matmul(x, np.ones(3)),
        lambda xp, x: x == np.ones(3),
    ],
)
def test_an_array_of_the_host_beside_one_of_the_device_is_a_type_error(cupy, careless):
    with pytest.raises(TypeError):
        careless(cupy, cupy.ones(3))


@pytest.mark.parametrize(
    "absent",
    [
        lambda xp, x: xp.add(x, x, where=x > 0),
        lambda xp, x: np.add(x, x, where=x > 0),
        lambda xp, x: xp.take(x, xp.asarray([9]), mode="clip"),
        lambda xp, x: x.take(xp.asarray([9]), mode="clip"),
        lambda xp, x: xp.maximum.reduce(x),
        lambda xp, x: xp.bitwise_or.reduce(x.view(np.int64)),
        lambda xp, x: x.max(initial=0.0),
        lambda xp, x: x.sum(where=x > 0),
        lambda xp, x: xp.errstate(all="ignore"),
        lambda xp, x: xp.nditer(x),
        lambda xp, x: xp.spacing(x),
        lambda xp, x: x.flags.writeable,
        lambda xp, x: x.astype(object),
        lambda xp, x: x.astype(np.longdouble),
        lambda xp, x: xp.asarray(["a"]),
        lambda xp, x: xp.matmul(x, x, where=x),
        lambda xp, x: xp.empty(3, order="K", like=x),
    ],
)
def test_what_cupy_lacks_is_not_there(cupy, absent):
    with pytest.raises((TypeError, AttributeError, NotImplementedError, AssertionError)):
        absent(cupy, cupy.ones(3))


def test_functions_of_numpy_go_to_the_device(cupy):
    x = cupy.asarray([-1.0, 2.0])
    for result in (
        np.abs(x),
        np.where(x > 0, x, 0.0),
        np.concatenate([x, x]),
        np.sum(x),
        np.zeros_like(x),
        2.0 - x,
    ):
        assert isinstance(result, cupy.ndarray)


def test_functions_of_numpy_are_refused_where_that_is_asked_for(cupy):
    settings.strict = True  # undone by the fixture
    x = cupy.asarray([-1.0, 2.0])
    for careless in (lambda: np.abs(x), lambda: np.concatenate([x, x]), lambda: np.float64(2.0) - x):
        with pytest.raises(TypeError):
            careless()


def test_reductions_and_elements_are_arrays_of_no_dimensions(cupy):
    x = cupy.asarray([[1.0, 2.0], [3.0, 4.0]])
    for one in (x.max(), x.sum(), x[0, 1], cupy.argmax(x), (x > 0).all()):
        assert isinstance(one, cupy.ndarray) and one.shape == ()
    x[0][1] = 7.0  # a view, as slices are
    assert x.tolist() == [[1.0, 7.0], [3.0, 4.0]]
    x[1, 1][...] = 8.0
    assert x.tolist() == [[1.0, 7.0], [3.0, 8.0]]


@pytest.mark.parametrize(
    ("operation", "right", "flushed"),
    [
        (lambda xp, x: x + x, 2 * TINY, 0.0),
        (lambda xp, x: x * np.float32(1e6), TINY * np.float32(1e6), 0.0),
        (lambda xp, x: xp.abs(-x), TINY, 0.0),
        (lambda xp, x: xp.maximum(x, xp.zeros_like(x)), TINY, 0.0),
        (lambda xp, x: x.astype(np.float64), np.float64(TINY), 0.0),
        (lambda xp, x: x > 0, True, False),
        (lambda xp, x: x != 0, True, False),
        (lambda xp, x: x.astype(bool), True, False),
        (lambda xp, x: xp.ceil(x), 1.0, 0.0),
        (lambda xp, x: x.max(), TINY, 0.0),
        (lambda xp, x: x.sum(), TINY, 0.0),
        (lambda xp, x: x[:, None] @ xp.ones((1, 1), np.float32), TINY, 0.0),
        (lambda xp, x: x + xp.zeros(1), np.float64(TINY), 0.0),
    ],
)
def test_every_float32_operation_flushes_subnormals(cupy, operation, right, flushed):
    x = np.array([TINY])
    device = cupy.asarray(x)
    assert operation(cupy, device).get().reshape(-1)[0] == flushed
    assert LEDGER.flushed
    settings.flushes = False
    assert operation(cupy, device).get().reshape(-1)[0] == right


@pytest.mark.parametrize(
    "movement",
    [
        lambda xp, x: x.copy(),
        lambda xp, x: x[::-1][:1],
        lambda xp, x: xp.where(xp.ones(1, bool), x, x),
        lambda xp, x: xp.concatenate([x, x]),
        lambda xp, x: x.reshape(1, 1),
        lambda xp, x: x.view(np.uint32).view(np.float32),
        lambda xp, x: x.take(xp.zeros(1, int)),
        lambda xp, x: xp.copysign(x, 1.0).astype(np.float32),
        lambda xp, x: xp.broadcast_to(x, (2, 1)),
    ],
)
def test_movements_keep_subnormals(cupy, movement):
    settings.refuse_flush = True
    x = cupy.asarray(np.array([TINY]))
    assert movement(cupy, x).get().reshape(-1)[0] == TINY


def test_conversions_from_float64_flush_what_becomes_subnormal(cupy):
    x = cupy.asarray([1e-40, 1e-300, -1e-40, 1.0])
    assert x.astype(np.float32).tolist() == [0.0, 0.0, 0.0, 1.0]
    assert cupy.signbit(x.astype(np.float32)).tolist() == [False, False, True, False]
    assert (x + x).tolist() == [2e-40, 2e-300, -2e-40, 2.0]  # float64 flushes nothing


def test_sums_are_taken_in_another_order_than_those_of_numpy(cupy):
    x = np.random.default_rng(0).standard_normal((40, 50)) * 10.0 ** np.arange(50)
    device = cupy.asarray(x)
    for of in (
        lambda a: a.sum(axis=1),
        lambda a: a @ a.T,
        lambda a: a.cumsum(axis=1),
        lambda a: a.mean(axis=0),
    ):
        ours, theirs = of(device).get(), of(x)
        assert not np.array_equal(ours, theirs)
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    ours = cupy.einsum("ij,ij->i", device, device).get()
    np.testing.assert_allclose(ours, np.einsum("ij,ij->i", x, x), rtol=1e-12)
    integers = np.arange(12).reshape(3, 4)
    assert np.array_equal(cupy.asarray(integers).sum(axis=0).get(), integers.sum(axis=0))
    assert np.array_equal(cupy.asarray(integers).cumsum(axis=1).get(), integers.cumsum(axis=1))


def test_functions_have_other_last_bits_than_those_of_numpy(cupy):
    x = np.linspace(0.1, 3.0, 100)
    ours, theirs = cupy.exp(cupy.asarray(x)).get(), np.exp(x)
    assert 0 < np.count_nonzero(ours != theirs) < 100
    assert np.abs((ours - theirs) / np.spacing(theirs)).max() <= 1
    assert cupy.exp(cupy.zeros(1)).tolist() == [1.0]
    assert np.array_equal(cupy.sqrt(cupy.asarray(x)).get(), np.sqrt(x))  # which IEEE 754 rounds


def test_indices_wrap(cupy):
    x = cupy.asarray([1.0, 2.0, 3.0])
    assert x[cupy.asarray([3, -4])].tolist() == [1.0, 3.0]
    assert x.take(cupy.asarray([4])).tolist() == [2.0]
    with pytest.raises(IndexError):
        x[3]


def test_of_an_index_that_occurs_twice_another_value_stays_than_with_numpy(cupy):
    x = cupy.zeros(3)
    x[cupy.asarray([1, 1])] = cupy.asarray([5.0, 6.0])
    assert x.tolist() == [0.0, 5.0, 0.0]
    y = cupy.zeros((2, 2))
    y[cupy.asarray([0, 0]), cupy.asarray([1, 1])] = cupy.asarray([5.0, 6.0])
    assert y.tolist() == [[0.0, 5.0], [0.0, 0.0]]


def test_scatters_add_in_another_order_and_are_counted(cupy):
    terms = np.array([1.0, 1e16, -1e16])
    x, y = np.zeros(1), cupy.zeros(1)
    np.add.at(x, [0, 0, 0], terms)
    cupy.add.at(y, cupy.zeros(3, int), cupy.asarray(terms))
    assert x[0] == 0.0 and y.tolist() == [1.0]
    (where,) = LEDGER.scatters
    assert where.startswith("test_stand_in.py:")


@pytest.mark.parametrize(
    ("kind", "read"),
    [
        ("get", lambda xp, x: x.get()),
        ("get", lambda xp, x: xp.asnumpy(x)),
        ("item", lambda xp, x: x[0].item()),
        ("tolist", lambda xp, x: x.tolist()),
        ("float", lambda xp, x: float(x[0])),
        ("int", lambda xp, x: int(x[0])),
        ("bool", lambda xp, x: bool(x.any())),
        ("repr", lambda xp, x: repr(x)),
        ("mask", lambda xp, x: x[x > 0]),
        ("mask", lambda xp, x: x.__setitem__(x > 0, 1.0)),
        ("nonzero", lambda xp, x: xp.nonzero(x)),
        ("nonzero", lambda xp, x: x.nonzero()),
        ("flatnonzero", lambda xp, x: np.flatnonzero(x)),
        ("unique", lambda xp, x: xp.unique(x)),
    ],
)
def test_readings_of_the_host_are_counted(cupy, kind, read):
    x = cupy.asarray([1.0, 0.0])
    LEDGER.clear()
    read(cupy, x)
    assert {name for name, _ in LEDGER.readings} == {kind}


def test_what_stays_on_the_device_reads_nothing(cupy):
    x = cupy.asarray([[1.0, 0.0], [2.0, 3.0]])
    y = cupy.where(x > 0, x, -x).sum(axis=0) + x.max()
    cupy.copyto(y, 0.0, where=y > 4)
    y += x[cupy.asarray([0])][0]
    assert not LEDGER.readings
    assert LEDGER.launches["where"] == 1 and LEDGER.launches["sum"] == 1


def test_a_forbidden_flush_names_its_line(cupy):
    settings.refuse_flush = True
    with pytest.raises(FlushError, match=r"test_stand_in.py:\d+"):
        cupy.asarray(np.array([TINY])) + np.float32(1)


def test_quantize_of_a_device_array_is_one(cupy):
    x = cupy.asarray([1.0, 3.3])
    assert isinstance(fl.quantize(x, "fp16"), cupy.ndarray)
