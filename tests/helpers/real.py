"""The folder of real tissue, and the mark for tests that need it."""

import os
from pathlib import Path

import pytest

_beside = Path(__file__).resolve().parents[3] / "shared" / "data"
_folder = Path(os.environ.get("UNITBENCH_DATA") or _beside)
DATA = _folder.resolve() if (_folder / "her2st").is_dir() else None

needs_data = pytest.mark.skipif(DATA is None, reason="real tissue not found: set UNITBENCH_DATA to the data folder")
