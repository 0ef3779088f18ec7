"""The page of verdicts shows what came out as it is: wrong ones by name, what is missing as missing."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from floatlab.experiments import registry
from floatlab.experiments.harness.criterion import CRITERION

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def page(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("make_verdicts", DOCS / "make_verdicts.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "DOCS", tmp_path)

    def written(listed, beside):
        everything = {name: [] for name in registry.names()}
        module.write(everything | listed, everything | beside)
        return (tmp_path / "verdicts.md").read_text()

    return written


def record(predicted, failed, progress=None):
    return {
        "predicted_failure": predicted,
        "failed": failed,
        "progress": progress,
        "expected": 0.25,
        "found": 0.5,
    }


def test_the_page_says_the_rule_and_has_a_row_for_every_experiment(page):
    text = page({}, {})
    assert CRITERION in text
    for name in registry.names():
        assert f"| {name} | not run (" in text


def test_right_verdicts_are_counted_and_wrong_ones_are_named(page):
    listed = [("fp16, seed 11", record(True, True)), ("fp8, seed 11", record(False, True, 0.9))]
    beside = [("bf16, neighbour 1: batch_size 9", record(False, False, 1.5))]
    text = page({"cnn": listed}, {"cnn": beside})
    assert "| cnn | 1 of 2 right (50%); 31 not run | 1 of 1 right (100%); 3 not run |" in text
    wrong = text.split("## Wrong verdicts: listed settings")[1].split("##")[0]
    assert (
        "*cnn*, fp8, seed 11: predicted: learns, came out: fails (0.90 of the way; share 0.25 / 0.50)"
        in wrong
    )
    assert "fp16" not in wrong and "Wrong verdicts: neighbours" not in text
    assert "bf16, neighbour 1: batch_size 9: predicted: learns, came out: learns" in text


def test_a_run_without_an_answer_is_neither_right_nor_wrong_and_is_named(page):
    listed = [("fp16, seed 11", record(True, True)), ("fp8, seed 11", record(False, None))]
    text = page({"cnn": listed}, {"lstm": [("bf16, neighbour 1: epochs 1", record(False, None))]})
    assert "| cnn | 1 of 1 right (100%); 1 without an answer; 31 not run | not run (4) |" in text
    assert "| lstm | not run (15) | none; 1 without an answer; 3 not run |" in text
    silent = text.split("## Without an answer: fp32 itself gets nowhere")[1].split("##")[0]
    assert "*cnn*, fp8, seed 11" in silent and "*lstm*, bf16, neighbour 1: epochs 1" in silent
    assert "Wrong verdicts" not in text
    assert "predicted: learns, came out: no answer (no number" in text
