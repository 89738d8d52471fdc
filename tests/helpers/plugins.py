"""Third-party packages for tests: one is built as a wheel, others are written by hand."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.helpers.paths import ROOT

EXAMPLES = ROOT / "examples"
BUILD = "from setuptools.build_meta import build_wheel; build_wheel('dist')"


def install_example(target: Path, scratch: Path, name: str = "control") -> None:
    """Build the wheel of an example and install it in `target`: a pure wheel is a zip to unpack."""
    source = shutil.copytree(EXAMPLES / name, scratch / name)
    subprocess.run([sys.executable, "-c", BUILD], cwd=source, check=True, capture_output=True)
    (wheel,) = (source / "dist").glob("*.whl")
    zipfile.ZipFile(wheel).extractall(target)


def install(target: Path, name: str, code: str, entry: str, group: str = "unitbench.methods") -> None:
    """A package `name` of one module of that name, with one entry point: "plugin = module:object"."""
    sys.modules.pop(name, None)  # another test may have imported a package of this name
    target.mkdir(parents=True, exist_ok=True)
    (target / f"{name}.py").write_text(code)
    info = target / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\n{entry}\n")
