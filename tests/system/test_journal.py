"""What is finished is kept, whatever happens to the process: lines of a file."""

import os

import pytest

from floatlab.system.journal import append, begin, entries


def test_what_is_written_is_read_in_order(tmp_path):
    path = tmp_path / "deeper" / "journal.jsonl"
    begin(path, [{"head": 1}])
    append(path, {"k": "ä", "x": [1.5, None]})
    append(path, {"k": 2})
    assert entries(path) == [{"head": 1}, {"k": "ä", "x": [1.5, None]}, {"k": 2}]
    begin(path, [{"k": 3}])
    assert entries(path) == [{"k": 3}]


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_line_that_was_cut_off_is_left_out_and_spoils_no_other(tmp_path, cut):
    path = tmp_path / "journal.jsonl"
    append(path, {"k": 1})
    append(path, {"k": 22222})
    os.truncate(path, path.stat().st_size - cut)
    append(path, {"k": 3})
    assert entries(path) == [{"k": 1}, *([{"k": 22222}] if cut == 1 else []), {"k": 3}]


def test_what_is_no_object_is_left_out(tmp_path):
    path = tmp_path / "journal.jsonl"
    path.write_bytes(b'[1]\n\n7\nnull\n\xff\xfe\n{"k": 1}\n{"k": \n')
    assert entries(path) == [{"k": 1}]
    assert entries(tmp_path / "nothing") == []


def test_a_number_that_json_does_not_have_is_refused_before_anything_is_written(tmp_path):
    path = tmp_path / "journal.jsonl"
    append(path, {"k": 1})
    with pytest.raises(ValueError, match="JSON"):
        append(path, {"k": float("nan")})
    assert entries(path) == [{"k": 1}]
