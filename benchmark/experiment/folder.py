"""The folder of an arm: what it holds, and what that says about the arm."""

from __future__ import annotations

import shutil
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_arrays, read_json, sha256, write_atomic, write_json, write_text
from benchmark.tasks.served import FEATURES

KEYS = {"key": str, "status": str, "reason": str}  # that every record has


@dataclass(frozen=True)
class ArmFolder:
    """`results` is the folder of the run's results, `name` the name of the arm."""

    results: Path
    name: str

    @property
    def path(self) -> Path:
        return self.results / "arms" / self.name

    @property
    def key(self) -> Path:
        """Written first: the arm was begun under the key in this file."""
        return self.path / "key"

    @property
    def record(self) -> Path:
        """Written last: the arm has ended. What it is, and what became of it."""
        return self.path / "arm.json"

    @property
    def traceback(self) -> Path:
        """Why the arm failed."""
        return self.path / "error.txt"

    @property
    def checkpoint(self) -> Path:
        """Where an arm that was cut off goes on."""
        return self.path / "checkpoint.pt"

    @property
    def weights(self) -> Path:
        return self.path / "weights.safetensors"

    def has_begun(self, key: str) -> bool:
        """Whether some process has begun the arm under this key."""
        return self.key.exists() and self.key.read_text(encoding="utf-8") == key

    def what_is_left(self, key: str) -> dict[str, Any]:
        """The record of the arm under this key, without what its files have lost. Empty where it is not fitted."""
        record = self.read(key) or {}
        if not record.get("fitted") or self.weights.name in (lost := set(self.missing(record))):
            return {}
        tasks = {task: done for task, done in record["tasks"].items() if f"{task}.npz" not in lost}
        embedded = {name: slides for name, slides in record["embedded"].items() if FEATURES[name] not in lost}
        return record | {"tasks": tasks, "embedded": embedded}

    def begin(self, key: str) -> None:
        """Make the folder ready for a new attempt. A checkpoint stays if it is of an attempt under this key."""
        if self.has_begun(key):
            self.record.unlink(missing_ok=True)
            self.traceback.unlink(missing_ok=True)
        else:
            shutil.rmtree(self.path, ignore_errors=True)
            write_text(self.key, key)

    def read(self, key: str) -> dict | None:
        """The record of the arm, None where it has none under this key."""
        record = read_json(self.record, dict, KEYS) if self.record.exists() else None
        return record if record and record["key"] == key else None

    def write(self, record: Mapping[str, Any]) -> None:
        """Write the record, with the size and checksum of each file of results that is there now."""
        files = sorted([*self.path.glob("*.npz"), *self.path.glob("*.safetensors")])
        kept = {path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in files}
        write_json(self.record, {**record, "files": kept})

    def missing(self, record: Mapping[str, Any]) -> list[str]:
        """The files of a record that are absent, or altered since it was written."""
        kept = record.get("files", {})
        return [name for name, entry in kept.items() if not self._is_as(self.path / name, entry)]

    @staticmethod
    def _is_as(path: Path, entry: Mapping[str, Any]) -> bool:
        return path.is_file() and path.stat().st_size == entry["bytes"] and sha256(path) == entry["sha256"]

    def note(self, error: Exception) -> Path:
        """Add the traceback of an error to `error.txt`. Returns that file, relative to the folder of the results."""
        before = self.traceback.read_text(encoding="utf-8") if self.traceback.exists() else ""
        text = "".join(traceback.format_exception(error))
        write_text(self.traceback, before + text)
        return self.traceback.relative_to(self.results)

    def save(self, file: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write named arrays as `.npz`."""
        write_atomic(self.path / file, lambda temporary: np.savez(temporary, **arrays))

    def load(self, file: str, record: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """The arrays of a file, as they were when the record was written.

        Raises:
            UnitBenchError: the file is missing, or was altered since.
        """
        path = self.path / file
        if file not in record["files"] or not self._is_as(path, record["files"][file]):
            what = "altered since it was made" if path.is_file() else "file not found"
            raise UnitBenchError(path, what, "run again: it is then made anew")
        return read_arrays(path)
