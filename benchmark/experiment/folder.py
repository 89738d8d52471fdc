"""The folder of an arm: what it holds, and what that says about the arm."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmark.core.files import read_json, write_json, write_text


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
        record = read_json(self.record) if self.record.exists() else None
        return record if record and record["key"] == key else None

    def write(self, record: dict) -> None:
        write_json(self.record, record)
