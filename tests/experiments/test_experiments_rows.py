"""The records of a folder come as rows, and show themselves as a table."""

from __future__ import annotations

import pytest

from floatlab.errors import DataError
from floatlab.experiments import load
from floatlab.experiments.harness.runner import Journal


def test_the_records_of_a_folder_are_rows_for_a_table(tmp_path):
    journal = Journal(tmp_path / "records.jsonl")
    journal.add("a", {"expected": 0.5, "predicted_failure": True})  # a prediction alone is no run
    journal.add(
        "b",
        {
            "run": "fp16 <b>",
            "seed": 3,
            "expected": 0.5,
            "found": 0.25,
            "failed": True,
            "outcome": float("nan"),
        },
    )
    journal.add(
        "c", {"run": "fp32", "seed": 3, "expected": 0.0, "found": 0.0, "failed": False, "outcome": 0.98}
    )
    with (tmp_path / "records.jsonl").open("a") as file:
        file.write('{"key": "d", "source": "another", "record": {"run": "old"}}\n')
    rows = load(tmp_path)
    assert [row["run"] for row in rows] == ["fp16 <b>", "fp32"] and rows[0]["outcome"] is None
    assert repr(rows) == "<2 records of 2 runs>"
    page = rows._repr_html_()
    assert "fp16 &lt;b&gt;" in page and "NaN" in page and "0.98" in page and "yes" in page
    with pytest.raises(DataError, match=r"records\.jsonl"):
        load(tmp_path / "elsewhere")
