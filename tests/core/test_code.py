"""The fingerprint of code: it changes with what a module runs, and with nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from benchmark.core.code import code_of_plugin
from tests.helpers.paths import ROOT

FILES = {
    "benchmark/__init__.py": "",
    "benchmark/core/__init__.py": "",
    "benchmark/core/files.py": "import json\n",
    "benchmark/metrics/__init__.py": "",
    "benchmark/metrics/labels.py": "from benchmark.core import files\n",
    "benchmark/metrics/images.py": "",
    "benchmark/report/__init__.py": "",
    "benchmark/report/page.py": 'from pathlib import Path\nHTML = Path(__file__).parent / "templates"\n',
    "benchmark/report/track.py": "",
    "benchmark/report/templates/page.html": "<html>",
    "benchmark/report/unread.html": "<html>",
    "benchmark/tasks/__init__.py": "",
    "benchmark/tasks/domain.py": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from benchmark.metrics import images\n"
        "def score():\n    from benchmark.metrics.labels import f1\n"
    ),
    "theirs/__init__.py": "",
    "theirs/method.py": "from .deep import part\nimport benchmark.report.track\n",
    "theirs/deep/__init__.py": "",
    "theirs/deep/part.py": "",
    "theirs/deep/weights.bin": "0",
    "alone.py": "from benchmark.metrics.labels import f1\n",
    "broken.py": "def (:\n",
}
RUN = {  # the files that each module runs, by hand
    "benchmark.tasks.domain": {
        *("benchmark/__init__.py", "benchmark/core/__init__.py", "benchmark/core/files.py"),
        *("benchmark/metrics/__init__.py", "benchmark/metrics/labels.py"),
        *("benchmark/tasks/__init__.py", "benchmark/tasks/domain.py"),
    },
    "benchmark.report.page": {
        *("benchmark/__init__.py", "benchmark/report/__init__.py", "benchmark/report/page.py"),
        "benchmark/report/templates/page.html",
    },
    "benchmark.report.track": {"benchmark/__init__.py", "benchmark/report/__init__.py", "benchmark/report/track.py"},
    "theirs.method": {
        *("theirs/__init__.py", "theirs/method.py", "theirs/deep/__init__.py", "theirs/deep/part.py"),
        *("theirs/deep/weights.bin", "benchmark/__init__.py", "benchmark/report/__init__.py"),
        "benchmark/report/track.py",
    },
    "alone": {
        *("alone.py", "benchmark/__init__.py", "benchmark/core/__init__.py", "benchmark/core/files.py"),
        *("benchmark/metrics/__init__.py", "benchmark/metrics/labels.py"),
    },
    "broken": {"broken.py"},
    "absent": set(),
}
PROGRAM = """
import sys
from pathlib import Path

here, root = sys.argv[1:3]
sys.path[:] = [path for path in sys.path if path not in ("", root)] + [root]
from benchmark.core import code

for name in [name for name in sys.modules if name == "benchmark" or name.startswith("benchmark.")]:
    del sys.modules[name]
sys.path.insert(0, here)
for changed in [None, *sys.argv[3:]]:
    if changed:
        before = Path(here, changed).read_bytes()
        Path(here, changed).write_bytes(before + b" #")
    for cached in (code._code_of, code._package, code._read):
        cached.cache_clear()
    print(changed, *(code.code_of(module) for module in MODULES))
    if changed:
        Path(here, changed).write_bytes(before)
assert not [name for name in sys.modules if name.split(".")[0] in ("benchmark", "theirs", "alone", "broken")]
"""


@pytest.fixture(scope="module")
def fingerprints(tmp_path_factory) -> dict[str, dict[str, str]]:
    """The fingerprint of each module, with no file changed ("None"), and with each file changed alone."""
    folder = tmp_path_factory.mktemp("code")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    program = PROGRAM.replace("MODULES", repr(tuple(RUN)))
    words = [sys.executable, "-c", program, str(folder), str(ROOT), *FILES]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return {line.split()[0]: dict(zip(RUN, line.split()[1:], strict=True)) for line in done.stdout.splitlines()}


@pytest.mark.parametrize("module", RUN)
def test_it_changes_with_the_files_that_the_module_runs_and_no_others(fingerprints, module):
    before = fingerprints["None"][module]
    assert len(before) == 12
    assert {name for name in FILES if fingerprints[name][module] != before} == RUN[module]


def test_it_is_the_same_at_every_place(tmp_path):
    """A copy of a package has the fingerprint of the package."""
    found = []
    for place in ("one", "two"):
        target = tmp_path / place / "theirs"
        target.mkdir(parents=True)
        (target / "__init__.py").write_text("import theirs.other\n")
        (target / "other.py").write_text("")
        words = [sys.executable, "-c", "from benchmark.core.code import code_of; print(code_of('theirs'))"]
        environment = {"PYTHONPATH": f"{target.parent}:{ROOT}"}
        found.append(subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout)
        shutil.rmtree(target)
    assert found[0] == found[1]


def test_that_of_a_method_changes_with_the_files_that_its_options_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = {"folder": "weights", "what": "x" * 5000, "seen": ["a"], "key": "\0", "other": ""}
    alone = code_of_plugin("methods", "pca", options)
    assert alone == code_of_plugin("methods", "pca", {})
    file = tmp_path / "weights" / "deep" / "a.npz"
    file.parent.mkdir(parents=True)
    seen = {alone}
    for text in ("1", "2"):
        file.write_text(text)
        now = code_of_plugin("methods", "pca", options)
        assert now not in seen
        assert code_of_plugin("methods", "pca", {"folder": str(file)}) not in seen
        assert code_of_plugin("datasets", "simulated", options) == code_of_plugin("datasets", "simulated", {})
        seen.add(now)
