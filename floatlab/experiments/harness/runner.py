"""How are many runs done at once, and kept? Processes side by side, and a journal that survives an interruption.

Every finished run is appended to ``records.jsonl`` at once, one JSON object a line: the key of its configuration and
its record. A second start reads the journal and does only what is missing. A line that was cut off by a crash is left
out, and done again. A record is bound to the source that made it: those that another source of floatlab has made stay
in the file, and are neither used nor shown.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from floatlab.errors import ExperimentError
from floatlab.system import journal, provenance
from floatlab.system.cluster import Cluster
from floatlab.system.files import cannot_read, write_whole
from floatlab.system.processes import side_by_side

__all__ = ["Journal", "available_jobs", "open_folder", "run_all", "write_json"]

VERSION = 2  # of the records: a journal of another version is not continued

Record = dict[str, Any]


def open_folder(path: str | Path) -> Path:
    """Make sure that `path` is a folder that files can be written to, and return it.

    Raises
    ------
    ExperimentError
        If it is not; before anything has been computed.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise ExperimentError(
            f"Results need a folder that can be written to. Got {folder}: {error.strerror or error}. "
            "Choose another one with --out."
        ) from error
    return folder


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file in one piece: a reader finds the old one or the new one, never half of it."""
    text = json.dumps(clean(content), indent=1, allow_nan=False)
    write_whole(path, (text + "\n").encode(), ExperimentError)


def clean(content: Any) -> Any:
    """Replace what JSON does not have: NaN and infinities become null."""
    if isinstance(content, dict):
        return {str(key): clean(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return [clean(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


class Journal:
    """The finished runs of one experiment, in a file.

    Parameters
    ----------
    path : Path
        The file; it is made with the first record.
    fresh : bool
        Whether to forget what it holds.

    Attributes
    ----------
    records : dict of str to dict
        The records that this source of floatlab has made, by their keys.
    aside : int
        How many records of another source lie in the file.

    Raises
    ------
    ExperimentError
        If the file cannot be read or written.
    """

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path = path
        self.records: dict[str, Record] = {}
        self.aside = 0
        self.source = provenance.fingerprint(provenance.TRAINING)
        try:
            if fresh:
                path.unlink(missing_ok=True)
            lines = journal.entries(path)
        except OSError as error:
            raise ExperimentError(cannot_read(path, error)) from error
        for entry in lines:
            if entry.get("source") != self.source:
                self.aside += 1
            elif "key" in entry and "record" in entry:
                self.records[entry["key"]] = entry["record"]

    @staticmethod
    def key(function: Callable[..., Any], config: Any) -> str:
        """Return what identifies a run: the function, its configuration, the source, and the version of the records."""
        name = f"{function.__module__}.{function.__qualname__}"
        identity = [VERSION, provenance.fingerprint(provenance.TRAINING), name, clean(asdict(config))]
        return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:24]

    def add(self, key: str, record: Record) -> Record:
        """Append a finished run, and return its record as a reader of the file will find it."""
        kept = clean(record)
        try:
            journal.append(self.path, {"key": key, "source": self.source, "record": kept})
        except OSError as error:
            raise ExperimentError(
                f"A finished run is written down at once. Got {self.path} ({error.strerror or error}). "
                "Make room, or choose another folder with --out; the runs before it are kept."
            ) from error
        self.records[key] = json.loads(json.dumps(kept))
        return self.records[key]

    def findings(self, keys: Iterable[str]) -> str:
        """Say how many of the runs with these keys are finished, and what is set aside; "" if there is neither."""
        found, parts = sum(key in self.records for key in set(keys)), []
        if found:
            parts.append(f"{found} finished runs were found in {self.path}, and are taken over.")
        if self.aside:
            parts.append(
                f"{self.aside} records in {self.path} were made by another source of floatlab: they stay "
                "there, set aside, and are not shown."
            )
        return " ".join(parts)


def available_jobs() -> int:
    """Return how many runs fit side by side: one for each core that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def run_all(
    function: Callable[[Any], Record],
    configs: Sequence[Any],
    journal: Journal,
    *,
    jobs: int = 1,
    on_record: Callable[[Any, Record], None] | None = None,
    scheduler: str | None = None,
) -> list[Record]:
    """Do every run that the journal does not have yet, and return the records of all, in the order of `configs`.

    Parameters
    ----------
    function : callable
        Takes a configuration and returns a record: a function of a module, so that processes can find it.
    configs : sequence of frozen dataclasses
        The runs.
    journal : Journal
        Where finished runs are, and where they go.
    jobs : int
        How many processes to use; 1 stays in this one.
    on_record : callable, optional
        Called with the configuration and the record of each run as it finishes.
    scheduler : str, optional
        The address of a scheduler of Dask's, whose workers do the runs instead.
    """
    keys = [Journal.key(function, config) for config in configs]
    missing = [i for i, key in enumerate(keys) if key not in journal.records]
    cluster = None if scheduler is None else Cluster(scheduler, provenance.TRAINING)
    for place, record in side_by_side(function, [configs[i] for i in missing], jobs, cluster):
        i = missing[place]
        record = journal.add(keys[i], record)
        if on_record is not None:
            on_record(configs[i], record)
    return [journal.records[key] for key in keys]
