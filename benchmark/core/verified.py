"""The mark that `unitbench verify` leaves in a results folder, `verified.json`, and what it says of the scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from benchmark.core.environments import checkout
from benchmark.core.files import read_json, sha256, write_json

SCORES, MARK = "scores.parquet", "verified.json"


def mark(folder: Path, data: Mapping[str, str], n_rows: int, n_differ: int) -> None:
    """Note that the scores of a folder were recomputed.

    Args:
        data: the data hash of each dataset.
        n_rows: rows in `scores.parquet`.
        n_differ: rows that differ from the recomputed ones, or stand on one side alone.
    """
    found = {"rows": n_rows, "differ": n_differ, "scores": sha256(folder / SCORES), "data": dict(data)}
    write_json(folder / MARK, found | {"commit": checkout().get("commit", "")})


def verdict(folder: Path) -> Literal["verified", "self-reported", ""]:
    """ "verified" if all scores that stand in the folder now were recomputed there; "" if nobody has tried to."""
    if not (folder / MARK).exists():
        return ""
    found = read_json(folder / MARK, dict, {"scores": str, "differ": int})
    same = (folder / SCORES).exists() and found["scores"] == sha256(folder / SCORES)
    return "verified" if same and found["differ"] == 0 else "self-reported"
