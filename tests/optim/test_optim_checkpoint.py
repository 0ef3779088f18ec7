"""One file for a whole training state: what comes back is bit for bit what was saved, or nothing changes."""

import errno
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from floatlab import nn, optim
from floatlab.amp import GradScaler, autocast
from floatlab.autograd import Tensor
from floatlab.errors import DataError, FloatlabError, StateError
from floatlab.formats import FloatFormat
from floatlab.optim import packing
from floatlab.system import files

KINDS = [".safetensors", ".npz"]


class Run:
    """A training run whose every piece of state matters for what comes next."""

    def __init__(self, optimizer: str = "Adam", hidden: int = 5, fmt: str = "fp32", **options: Any) -> None:
        self.rng = np.random.default_rng(0)
        self.model = nn.Sequential(
            nn.Linear(4, hidden, rng=self.rng),
            nn.BatchNorm1d(hidden),
            nn.Dropout(0.2, rng=self.rng),
            nn.Linear(hidden, 3, rng=self.rng),
        ).to(fmt)
        self.optimizer = getattr(optim, optimizer)(self.model.parameters(), lr=0.05, **options)
        warm = optim.CosineAnnealingLR(self.optimizer, 20)
        self.schedule = optim.LinearWarmup(self.optimizer, 3, start_factor=0.5, after=warm)
        self.scaler = GradScaler(2.0**10, growth_interval=2)

    def parts(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "optimizer": self.optimizer,
            "schedule": self.schedule,
            "scaler": self.scaler,
            "rng": self.rng,
        }

    def train(self, steps: int) -> None:
        for _ in range(steps):
            x, labels = self.rng.normal(size=(8, 4)), self.rng.integers(0, 3, 8)
            self.optimizer.zero_grad()
            with autocast("fp16"):
                loss = nn.functional.cross_entropy(self.model(Tensor(x)), labels)
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.schedule.step()

    def fingerprint(self) -> dict[str, Any]:
        weights = {name: t.data.copy() for name, t in self.model.state_dict().items()}
        state = [
            {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in s.items()}
            for s in self.optimizer.state_dict()["state"]
        ]
        return {
            "weights": {name: w.tolist() for name, w in weights.items()},
            "state": state,
            "rate": self.schedule.get_last_lr(),
            "scaler": self.scaler.state_dict(),
            "rng": self.rng.bit_generator.state,
        }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "NAdam", "RMSprop", "Adagrad", "Adadelta"])
def test_a_resumed_run_ends_with_the_same_bits(optimizer: str, kind: str, tmp_path: Path) -> None:
    options = {"momentum": 0.9} if optimizer in ("SGD", "RMSprop") else {}
    whole = Run(optimizer, **options)
    whole.train(4)
    path = optim.save_state(tmp_path / f"run{kind}", **whole.parts(), step=4, note="half way")
    whole.train(4)
    resumed = Run(optimizer, **options)
    resumed.train(1)  # another state, to be overwritten
    assert optim.load_state(path, **resumed.parts()) == {"step": 4, "note": "half way"}
    resumed.train(4)
    assert resumed.fingerprint() == whole.fingerprint()


@pytest.mark.parametrize("kind", KINDS)
def test_stochastic_rounding_and_narrow_state_resume_too(kind: str, tmp_path: Path) -> None:
    def make() -> tuple[Tensor, optim.Adam]:
        w = Tensor(np.linspace(1.0, 2.0, 16), requires_grad=True, format="bf16", name="w")
        return w, optim.Adam([w], lr=0.01, state_format="e5m2", rounding="stochastic", rng=3)

    def train(w: Tensor, adam: optim.Adam, steps: int) -> None:
        for step in range(steps):
            w.grad = Tensor(np.full(16, 0.5 + step), format="bf16")
            adam.step()

    w, adam = make()
    train(w, adam, 3)
    path = optim.save_state(tmp_path / f"run{kind}", optimizer=adam, weights=w)
    train(w, adam, 3)
    other, second = make()
    other.data = optim.load_state(path, optimizer=second)["weights"]
    train(other, second, 3)
    assert np.array_equal(w.data, other.data)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"hidden": 6}, StateError, r"'0\.weight' of shape \(6, 4\)"),
        ({"fmt": "fp16", "master_weights": True}, StateError, "float32 for '0.weight' in float16"),
        ({"optimizer": "AdamW"}, StateError, "optimizer='Adam' for optimizer='AdamW'"),
        ({"state_format": "bf16"}, StateError, "state_format=None for state_format='bfloat16'"),
        ({"master_weights": True}, StateError, "master_weights=False for master_weights=True"),
    ],
)
def test_nothing_is_half_loaded(
    wrong: Any, error: type[Exception], words: str, kind: str, tmp_path: Path
) -> None:
    run = Run()
    run.train(2)
    path = optim.save_state(tmp_path / f"run{kind}", **run.parts())
    other = Run(**wrong)
    before = other.fingerprint()
    with pytest.raises(error, match=words):
        optim.load_state(path, **other.parts())
    assert other.fingerprint() == before


def test_a_part_that_fits_is_not_loaded_before_one_that_does_not(tmp_path: Path) -> None:
    run = Run()
    path = optim.save_state(
        tmp_path / "run.npz", model=run.model, rng=np.random.Generator(np.random.MT19937(0))
    )
    other = Run()
    other.model[0].weight.data[...] = 7.0
    with pytest.raises(StateError, match="MT19937"):
        optim.load_state(path, model=other.model, rng=other.rng)
    assert (other.model[0].weight.data == 7.0).all()
    with pytest.raises(StateError, match="'optimizer'"):
        optim.load_state(path, model=other.model, optimizer=other.optimizer)
    assert (other.model[0].weight.data == 7.0).all()


def test_an_optimizer_refuses_the_state_of_another_model() -> None:
    a = optim.SGD([Tensor(np.ones((2, 3)), requires_grad=True, name="weight")], momentum=0.9)
    for shape, fmt, error in (
        ((3, 2), "fp32", r"\(2, 3\) for \(3, 2\)"),
        ((2, 3), "bf16", "float32 for bfloat16"),
    ):
        b = optim.SGD([Tensor(np.ones(shape), requires_grad=True, format=fmt, name="weight")], momentum=0.9)
        with pytest.raises(StateError, match=f"'weight'.*{error}"):
            b.load_state_dict(a.state_dict())
    two = optim.SGD([Tensor([1.0], requires_grad=True), Tensor([1.0], requires_grad=True)])
    with pytest.raises(StateError, match="as many parameters"):
        two.load_state_dict(a.state_dict())
    with pytest.raises(StateError, match="settings"):
        two.load_state_dict({})


def test_options_of_the_groups_are_restored() -> None:
    w = Tensor([1.0], requires_grad=True)
    a, b = optim.Adam([w], lr=0.5, betas=(0.8, 0.9)), optim.Adam([w])
    b.load_state_dict(a.state_dict())
    assert b.param_groups[0]["lr"] == 0.5
    assert b.param_groups[0]["betas"] == (0.8, 0.9)


def test_a_damaged_or_missing_file_is_said_to_be_one(tmp_path: Path) -> None:
    for kind in KINDS:
        path = tmp_path / f"broken{kind}"
        path.write_bytes(b"not a training state")
        with pytest.raises(DataError, match="broken"):
            optim.load_state(path)
        with pytest.raises(DataError, match="not there"):
            optim.load_state(tmp_path / f"missing{kind}")
    with pytest.raises(DataError, match=r"run\.pt"):
        optim.save_state(tmp_path / "run.pt", step=1)


def test_a_failed_save_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
    path = optim.save_state(tmp_path / "run.npz", step=1)
    with pytest.raises(DataError, match="'thing/inner'"):
        optim.save_state(path, thing={"inner": object()})
    with pytest.raises(DataError, match="names as keys"):
        optim.save_state(path, thing={1: 2})
    assert optim.load_state(path) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def test_numbers_come_back_exactly(tmp_path: Path) -> None:
    for kind in KINDS:
        path = optim.save_state(
            tmp_path / f"x{kind}", x=[0.1, float("inf"), -0.0, 2**70, None, True], y={"z": np.float64(0.3)}
        )
        back = optim.load_state(path)
        assert back == {"x": [0.1, float("inf"), -0.0, 2**70, None, True], "y": {"z": 0.3}}
        assert str(back["x"][2]) == "-0.0"


# -- every nesting, every array ------------------------------------------------------------------------


def same(a: Any, b: Any) -> bool:
    """Whether two values are the same, to the type and the bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Tensor):
        return a.format == b.format and same(a.data, b.data)
    if isinstance(a, np.ndarray | np.generic):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    return a == b and str(a) == str(b)


def there_and_back(kind: str, folder: Path, **parts: Any) -> dict[str, Any]:
    return optim.load_state(optim.save_state(folder / f"state{kind}", **parts))


X, Y, Z = np.arange(3.0), np.full((2, 2), -0.0, np.float32), np.array([7], np.int8)

NESTINGS = {
    "a slash in a key": {"b/c": X, "b": {"c": Y}},
    "a slash in a key, the other way round": {"b": {"c": Y}, "b/c": X},
    "an escaped slash": {"b%2Fc": X, "b/c": Y, "b": {"c": Z, "%2Fc": X}},
    "empty keys": {"": X, "/": {"": Y}, "//": Z},
    "a list beside numbered keys": {"x/0": X, "x": [Y, Z]},
    "dots and suffixes": {"x": X, "x.npy": Y, "x.npy.npy": Z, ".": X, "..": Y},
    "the names of the file's own parts": {"floatlab": X, "floatlab.json": Y, "floatlab.sha256": Z, "floatlab.state": X},
    "what stands for arrays": {"$array": X, "$tensor": "x", "$$": {"$scalar": [Y], "$tuple": 1, "$dtype": "npy"}},
    "letters of every kind": {"Å": X, "a\u030a": Y, "\0": Z, "a\0b": X, "\n": Y, "\ud800": Z, "🙂": X, " ": Y},
    "names that differ in case": {"K": X, "k": Y, "K.npy": Z},
    "a key too long for a zip file": {"k" * 70_000: X, "k" * 70_001: Y, ("k" * 999 + "/") * 3: Z},
    "empty things": {"a": {}, "b": [], "c": (), "d": {"e": {}}, "f": ""},
    "tuples": {"a": (1, (2.5, [X, (Y,)])), "b": [(), ((),)]},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tree", NESTINGS.values(), ids=NESTINGS)
def test_every_nesting_comes_back(tree: Any, kind: str, tmp_path: Path) -> None:
    assert same(there_and_back(kind, tmp_path, a=tree), {"a": tree})
    if "path" not in tree:
        assert same(there_and_back(kind, tmp_path, **tree), tree)


@pytest.mark.parametrize("kind", KINDS)
def test_parts_may_have_any_name(kind: str, tmp_path: Path) -> None:
    parts = {
        "file": X,
        "allow_pickle": Y,
        "__metadata__": Z,
        "_": X,
        "%5F": Y,
        "floatlab": Z,
        "a/b": X,
        "a": {"b": Y},
    }
    assert same(there_and_back(kind, tmp_path, **parts), parts)


def arrays() -> dict[str, Any]:
    import ml_dtypes

    ramp = np.arange(6, dtype=np.float64)
    read_only = ramp.copy()
    read_only.flags.writeable = False
    found: dict[str, Any] = {
        "zero dimensions": np.array(1.5),
        "zero dimensions of bf16": np.array(1.5, ml_dtypes.bfloat16),
        "empty": np.zeros((0, 3), np.float32),
        "empty of fp8": np.zeros((2, 0), ml_dtypes.float8_e5m2),
        "transposed": ramp.reshape(2, 3).T,
        "every second": ramp[::-2],
        "broadcast": np.broadcast_to(np.float32(2), (2, 3)),
        "read-only": read_only,
        "big-endian": ramp.astype(">f4"),
        "complex": np.array([1 - 2j, np.nan * 1j], np.complex64),
        "long double": np.array([1, 3], np.longdouble) / 3,
        "text": np.array(["a", "bcd"]),
        "bytes": np.array([b"a", b"bcd"]),
        "dates": np.array(["2026-06-01", "NaT"], "datetime64[D]"),
        "fields": np.array([(1, 0.5)], [("a", "i4"), ("b", ">f8", (2,))]),
        "NaN with a payload": np.array([0x7F800001, 0xFFC12345], np.uint32).view(np.float32),
    }
    for name in (
        "bfloat16",
        "float8_e4m3fn",
        "float8_e5m2fnuz",
        "float8_e8m0fnu",
        "float4_e2m1fn",
        "int4",
        "uint4",
    ):
        dtype = np.dtype(getattr(ml_dtypes, name))
        codes = np.arange(16, dtype=f"u{dtype.itemsize}")
        found[name] = codes.view(dtype) if "int4" not in name else (codes % 8).astype(dtype)
    for name in ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16"):
        found[name] = np.array([0, 1, 100]).astype(name)
    found["float32 scalar"], found["int64 scalar"] = np.float32(0.1), np.int64(2**62 + 1)
    found["bool scalar"], found["bf16 scalar"] = np.True_, ml_dtypes.bfloat16(3)
    found["complex scalar"], found["text scalar"] = np.complex128(1j), np.str_("a")
    return found  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("what", arrays())
def test_every_array_comes_back_with_its_type_its_shape_and_its_bits(
    what: str, kind: str, tmp_path: Path
) -> None:
    x = arrays()[what]
    back = there_and_back(kind, tmp_path, x=x, y={"z": [x]})
    assert same(back, {"x": x, "y": {"z": [x]}})
    if isinstance(x, np.ndarray):
        assert back["x"].flags.writeable
        assert not np.shares_memory(back["x"], back["y"]["z"][0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_subclass_and_a_memory_map_come_back_as_arrays(kind: str, tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "map", np.float32, "w+", shape=(2,))
    mapped[:] = 3
    back = there_and_back(kind, tmp_path, x=mapped, y=np.rec.fromarrays([[1], [2.0]], names="a,b"))
    assert type(back["x"]) is np.ndarray and back["x"].tolist() == [3, 3]
    assert type(back["y"]) is np.ndarray and back["y"]["b"].tolist() == [2.0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "fmt",
    [
        "e5m6",
        "e4m3b12finite",
        "binary8p3se",
        FloatFormat("My format", 5, 6, specials="finite"),
        FloatFormat("float16", 5, 7),  # a name that is another format's
        FloatFormat("unsigned", 4, 3, specials="p3109_finite", signed=False),
    ],
    ids=str,
)
def test_a_tensor_of_any_format_comes_back(fmt: Any, kind: str, tmp_path: Path) -> None:
    x = Tensor(np.array([0.0, 0.3, 1.0, 2.0]), format=fmt)
    assert same(there_and_back(kind, tmp_path, x=x), {"x": x})
    scalar = Tensor(0.3, format=fmt)
    assert same(there_and_back(kind, tmp_path, x=scalar)["x"], scalar)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_in_a_format_of_ones_own_resumes(kind: str, tmp_path: Path) -> None:
    mine = FloatFormat("mine", 6, 5)
    model, other = (nn.Linear(3, 2, rng=seed).to(mine) for seed in (0, 1))
    optim.load_state(optim.save_state(tmp_path / f"x{kind}", model=model), model=other)
    assert same(model.state_dict(), other.state_dict())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "wrong",
    [
        np.array([object()]),
        np.array([(1, None)], [("a", "i4"), ("b", object)]),
        np.array(["a"], np.dtypes.StringDType()),
        np.ma.masked_array([1.0, 2.0], [True, False]),
        {1: X},
        {"a": {None: X}},
        {"a": [{1, 2}]},
        1 + 2j,
        b"bytes",
        10**5000,
    ],
    ids=lambda wrong: type(wrong).__name__,
)
def test_what_cannot_be_saved_is_refused_and_nothing_is_written(
    wrong: Any, kind: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError):
        optim.save_state(tmp_path / f"x{kind}", x=wrong)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_that_holds_itself_is_refused(kind: str, tmp_path: Path) -> None:
    loop: list[Any] = []
    loop.append(loop)
    deep: Any = 1
    for _ in range(20_000):
        deep = [deep]
    for wrong in (loop, deep):
        with pytest.raises(DataError, match="nested"):
            optim.save_state(tmp_path / f"x{kind}", x=wrong)


# -- files of before, and files of others -----------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_the_first_version_still_loads(kind: str) -> None:
    path = Path(__file__).parents[1] / "data" / f"state-1{kind}"
    model, rng = nn.Linear(2, 1, rng=4), np.random.default_rng(0)
    adam = optim.Adam(model.parameters(), rounding="stochastic", rng=1)
    rest = optim.load_state(path, model=model, optimizer=adam, rng=rng)
    assert same(rest, {"epoch": 7, "note": {"deep": [1.5, None, np.arange(3)]}})
    assert model.weight.data.tolist() == [[-0.306306928396225, -0.8255707621574402]]
    assert adam.param_groups[0]["betas"] == (0.8, 0.9)
    assert adam.state_dict()["state"][0]["exp_avg"].tolist() == [[np.float32(0.05)] * 2]
    assert rng.integers(1 << 30) == np.random.default_rng(5).integers(1 << 30)
    assert adam.state_dict()["rng"]["state"]["inc"] == 222003063171874261427395693950637096479


def test_two_archives_of_one_state_are_the_same_bytes(tmp_path: Path) -> None:
    # Not so of safetensors: its version 0.5.0 leaves the order of the metadata to chance.
    one, two = (optim.save_state(tmp_path / f"{k}.npz", x=X, y={"z": (Y, 1)}).read_bytes() for k in "ab")
    assert one == two


class Trap:
    """What a pickle would run."""

    def __reduce__(self) -> Any:
        return (Path("unpickled").touch, ())


@pytest.mark.parametrize("member", ["floatlab.npy", "x.npy", "floatlab.json"])
def test_a_pickle_in_a_file_is_never_run(
    member: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trap = np.array([Trap()], object)
    members: dict[str, Any] = {"floatlab": np.array('{"x": {"$array": "x"}}'), "x": X}
    members[member.removesuffix(".npy")] = trap
    np.savez(tmp_path / "trap.npz", **members)
    file = tmp_path / "bytes"
    with file.open("wb") as stream:
        np.lib.format.write_array(stream, trap, allow_pickle=True)
    inside = np.frombuffer(file.read_bytes(), np.uint8)
    with pytest.raises(DataError):
        optim.load_state(tmp_path / "trap.npz")
    with pytest.raises(ValueError, match="Object arrays"):
        packing.unpack({"$array": "x", "dtype": "npy"}, {"x": inside})
    assert not (tmp_path / "unpickled").exists()


def test_a_compressed_archive_is_refused_so_that_no_bomb_is_unpacked(tmp_path: Path) -> None:
    text = np.array('{"x": {"$array": "x"}}')
    np.savez_compressed(tmp_path / "bomb.npz", floatlab=text, x=np.zeros(1 << 20))
    with pytest.raises(DataError, match="compressed"):
        optim.load_state(tmp_path / "bomb.npz")


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    path = optim.save_state(tmp_path / "x.npz", x=X)
    with zipfile.ZipFile(path, "a") as archive, warnings.catch_warnings(action="ignore"):
        archive.writestr("x.npy", archive.read("x.npy"))
    with pytest.raises(DataError, match="two members"):
        optim.load_state(path)


# -- damage -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_flipped_byte_gives_the_same_state_or_an_error_of_ours(kind: str, tmp_path: Path) -> None:
    state = {"x": np.float32([[1, 2]]), "y": [(0.5, Tensor(3.0, format="bf16"))]}
    content = optim.save_state(tmp_path / f"whole{kind}", **state).read_bytes()
    damaged = tmp_path / f"damaged{kind}"
    refused = 0
    for place in range(len(content)):
        for flip in (1 << place % 8, 32, 255):
            damaged.write_bytes(content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :])
            try:
                assert same(optim.load_state(damaged), state), (place, flip)
            except DataError:
                refused += 1
    assert refused > 3 * len(content) // 2


@pytest.mark.parametrize("kind", KINDS)
def test_every_cut_file_and_every_tail_is_noticed(kind: str, tmp_path: Path) -> None:
    state = {"x": np.float32([[1, 2]]), "y": "text"}
    content = optim.save_state(tmp_path / f"whole{kind}", **state).read_bytes()
    damaged = tmp_path / f"damaged{kind}"
    for length in range(len(content)):
        damaged.write_bytes(content[:length])
        with pytest.raises(DataError, match="damaged"):
            optim.load_state(damaged)
    for tail in (b"\0", b"PK\5\6", content):
        damaged.write_bytes(content + tail)
        try:
            assert same(optim.load_state(damaged), state)
        except DataError:
            continue


@pytest.mark.parametrize("kind", KINDS)
def test_a_flipped_byte_of_the_first_version_gives_a_state_or_an_error_and_changes_nothing(
    kind: str, tmp_path: Path
) -> None:
    """Without a checksum a changed number cannot be seen; but nothing is half loaded, and no error is raw."""
    content = (Path(__file__).parents[1] / "data" / f"state-1{kind}").read_bytes()
    damaged = tmp_path / f"damaged{kind}"

    def parts() -> dict[str, Any]:
        model = nn.Linear(2, 1, rng=4)
        adam = optim.Adam(model.parameters(), rounding="stochastic", rng=1)
        return {"model": model, "optimizer": adam, "rng": np.random.default_rng(0)}

    def states(parts: Any) -> dict[str, Any]:
        rng = parts["rng"].bit_generator.state
        return {"m": parts["model"].state_dict(), "o": parts["optimizer"].state_dict(), "r": rng}

    mine = parts()
    before = states(mine)
    step = 1 if kind == ".safetensors" else 4
    for place in range(0, len(content), step):
        flip = 1 << place // step % 8
        damaged.write_bytes(content[:place] + bytes([content[place] ^ flip]) + content[place + 1 :])
        try:
            optim.load_state(damaged, **mine)
        except FloatlabError:
            assert same(states(mine), before), (place, flip)
        else:
            mine = parts()


def test_a_wrong_checksum_or_none_is_noticed(tmp_path: Path) -> None:
    from safetensors.numpy import save

    text = '{"x": {"$array": "x"}}'
    for metadata in ({"floatlab.state": text}, {"floatlab.state": text, "floatlab.sha256": "0" * 64}, None):
        (tmp_path / "x.safetensors").write_bytes(save({"x": X}, metadata))
        with pytest.raises(DataError):
            optim.load_state(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"shape":[1,2]', b'"shape":[2,1]'),
        (b'"F32"', b'"I32"'),
        (b'\\"n\\": 1', b'\\"n\\": 2'),
        (b'"x"', b'"y"'),
    ],
)
def test_the_checksum_covers_shapes_types_names_and_numbers(old: bytes, new: bytes, tmp_path: Path) -> None:
    path = optim.save_state(tmp_path / "x.safetensors", x=np.float32([[1, 2]]), n=1)
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))
    with pytest.raises(DataError, match="checksum"):
        optim.load_state(path)


class Stubborn:
    """A part that takes a state at first, and then does not."""

    def __init__(self) -> None:
        self.value, self.refuses = 1, False

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.value = state["value"]
        if self.refuses:
            self.refuses = False
            raise KeyError("after half of the work")


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_that_fails_while_loading_gives_all_parts_back_what_they_had(
    kind: str, tmp_path: Path
) -> None:
    run, stubborn = Run(), Stubborn()
    run.train(2)
    path = optim.save_state(tmp_path / f"x{kind}", **run.parts(), stubborn=stubborn)
    other = Run()
    before = other.fingerprint()
    stubborn.value, stubborn.refuses = 5, True
    with pytest.raises(StateError, match="KeyError"):
        optim.load_state(path, **other.parts(), stubborn=stubborn)
    assert other.fingerprint() == before
    assert stubborn.value == 5


@pytest.mark.parametrize("state", [7, [1], "text", X, None])
def test_a_part_that_was_saved_as_something_else_is_refused(state: Any, tmp_path: Path) -> None:
    path = optim.save_state(tmp_path / "x.npz", model=state, rng=state, scaler=state)
    for name, part in (
        ("model", nn.Linear(1, 1)),
        ("rng", np.random.default_rng()),
        ("scaler", GradScaler()),
    ):
        with pytest.raises(StateError, match=name):
            optim.load_state(path, **{name: part})


def test_a_generator_takes_only_a_whole_state(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state
    for wrong in (
        {"bit_generator": "PCG64"},
        {**state, "state": {"state": -1, "inc": 1}},
        {**state, "uinteger": "x"},
    ):
        path = optim.save_state(tmp_path / "x.npz", rng=wrong)
        with pytest.raises(StateError, match="'rng'"):
            optim.load_state(path, rng=rng)
        assert rng.bit_generator.state == state


# -- the disk -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_folder_and_a_folder_in_the_way_are_errors_of_ours(kind: str, tmp_path: Path) -> None:
    (tmp_path / f"folder{kind}").mkdir()
    for path in (tmp_path / "none" / f"x{kind}", tmp_path / f"folder{kind}"):
        with pytest.raises(DataError, match="folder"):
            optim.save_state(path, x=X)
        with pytest.raises(DataError):
            optim.load_state(path)
    assert [p.name for p in tmp_path.iterdir()] == [f"folder{kind}"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_state_and_no_other_file(
    call: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = optim.save_state(tmp_path / f"x{kind}", x=X)

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, call, full)
    with pytest.raises(DataError, match="needs room"):
        optim.save_state(path, x=Y)
    monkeypatch.undo()
    assert same(optim.load_state(path), {"x": X})
    assert [p.name for p in tmp_path.iterdir()] == [f"x{kind}"]
