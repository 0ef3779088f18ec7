"""The recorded answers of PyTorch: small, plain, and given only to the question that was asked."""

import zipfile

import numpy as np
import pytest
import torch_answers
from torch_answers import FILE, answers, recorded


def test_the_file_is_small_and_holds_nothing_that_was_pickled() -> None:
    assert FILE.stat().st_size < 300_000
    with zipfile.ZipFile(FILE) as archive:
        assert sorted(archive.namelist()) == ["content.npy", "index.npy"]
    with np.load(FILE, allow_pickle=False) as file:
        assert file["content"].dtype == np.uint8 and file["index"].dtype.kind == "U"
    assert len(recorded()) > 200


@pytest.fixture
def no_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_answers, "torch", None)


def test_an_answer_is_refused_for_other_numbers(no_torch: None) -> None:
    with pytest.raises(AssertionError, match="recorded for other inputs"):
        answers("residual block", lambda torch: None, np.ones(3))


def test_a_question_that_was_never_asked_is_named(no_torch: None) -> None:
    with pytest.raises(AssertionError, match="'nobody asked' was never recorded"):
        answers("nobody asked", lambda torch: None)


def test_without_torch_nothing_is_asked(no_torch: None) -> None:
    def ask(torch: object) -> None:
        raise AssertionError("there is nobody to ask")

    assert answers("warm-up", ask).shape == (8,)


def test_an_answer_that_has_changed_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = recorded()["warm-up"][1][0]
    monkeypatch.setattr(torch_answers, "torch", type("torch", (), {"Tensor": ()}))
    assert np.array_equal(answers("warm-up", lambda torch: kept * (1 + 1e-7)), kept)
    for changed in (kept * 1.001, kept[:-1], kept.astype(np.float32), [kept, kept]):
        with pytest.raises(AssertionError):
            answers("warm-up", lambda torch, changed=changed: changed)
