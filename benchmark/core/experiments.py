"""The experiments of config/, a folder each with a file for each dataset, and the one that a wrong path meant."""

from __future__ import annotations

import difflib
from pathlib import Path


def nearest_experiment(path: Path) -> str:
    """A remedy for a path without a file: the experiment of config/ that is named most like it."""
    folders = [folder for folder in Path("config").glob("*") if folder.name not in ("datasets", "sets")]
    known = {_name(file): file for folder in folders for file in folder.glob("*.yaml")}
    close = difflib.get_close_matches(_name(path), known, n=1)
    if close:
        return f"did you mean {known[close[0]]}?"
    return "give a file of config/, e.g. CONFIG=config/default/simulated.yaml"


def _name(path: Path) -> str:
    """Without the words for what is usual: "context_her2st", but "her2st" for config/default/her2st.yaml."""
    words = (*path.parts[-2:-1], path.stem)
    return "_".join(word for word in words if word not in ("config", "default", "simulated"))
