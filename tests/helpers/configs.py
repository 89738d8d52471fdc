"""The least config that is understood, an entry with a grid of options, and their reading with keys changed."""

from __future__ import annotations

from pathlib import Path

import yaml

from benchmark.core.config import Config, read_config

LEAST = {"name": "mine", "dataset": {"name": "simulated"}, "methods": ["pca"], "tasks": ["domain"]}
GRID = {"method": "patch", "options": {"preset": "tiny"}, "vary": {"size": [8, 16], "channels": ["moran", None, 0.5]}}


def read_own(tmp_path: Path, **changes) -> Config:
    """The least config with some keys changed, read from a file."""
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(LEAST | changes, sort_keys=False))
    return read_config(path)
