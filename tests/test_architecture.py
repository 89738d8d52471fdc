"""Imports run one way between rooms, the parts that need no torch have none, and no module outgrows its page."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT

# What each room may import besides itself; whatever its rooms may import, it may too.
ROOMS = {
    "core": [],
    "data": ["core"],
    "datasets": ["data"],
    "units": ["data"],
    "metrics": ["core"],
    "tasks": ["data", "metrics"],
    "model": ["core"],
    "training": ["units", "model"],
    "stats": ["core"],
    "report": ["stats"],
    "experiment": ["datasets", "tasks", "training", "report"],
    "testing": ["experiment"],
    "cli_app": ["testing"],
    "cli_tools": ["cli_app"],
    "cli": ["cli_tools"],
    "__main__": ["cli"],
}
LONGEST_FILE, LONGEST_FUNCTION, MEDIAN = 300, 50, 100
FILES = sorted(path for package in ("benchmark", "baselines", "methods") for path in (ROOT / package).rglob("*.py"))
CORE = [path for path in FILES if path.is_relative_to(ROOT / "benchmark")]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room(path: Path) -> str:
    return path.relative_to(ROOT / "benchmark").parts[0].removesuffix(".py")


def allowed(name: str) -> set[str]:
    """A room and all below it."""
    return {name}.union(*map(allowed, ROOMS[name]))


def imported(path: Path) -> set[tuple[str, ...]]:
    """Dotted names of all imports of a file, those inside functions too; not those for type checkers alone."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {tuple(name.split(".")) for name in names}


def test_every_module_has_a_room():
    assert {room(path) for path in CORE} == {*ROOMS, "__init__"}


@pytest.mark.parametrize("path", [path for path in CORE if room(path) != "__init__"], ids=name_of)
def test_a_room_imports_only_rooms_below_it(path):
    names = imported(path)
    assert not {"baselines", "methods"} & {name[0] for name in names}, "it knows a method"
    assert {name[1] for name in names if name[0] == "benchmark" and len(name) > 1} <= allowed(room(path))


@pytest.mark.parametrize("path", sorted(set(FILES) - set(CORE)), ids=name_of)
def test_methods_know_the_benchmark_and_not_each_other(path):
    other = {"baselines": "methods", "methods": "baselines"}[path.relative_to(ROOT).parts[0]]
    assert other not in {name[0] for name in imported(path)}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_is_short_and_says_its_job_first(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "no docstring"
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    long = [node.name for node in functions if node.end_lineno - node.lineno >= LONGEST_FUNCTION]
    assert not long, f"over {LONGEST_FUNCTION} lines: {long}"


def test_most_modules_fit_on_a_page():
    assert statistics.median(len(path.read_text(encoding="utf-8").splitlines()) for path in CORE) <= MEDIAN


@pytest.mark.parametrize(
    "path", [path for path in CORE if room(path) in ("tasks", "units", "training", "experiment")], ids=name_of
)
def test_plugins_are_asked_through_their_contract_alone(path):
    """`benchmark.core.contracts.offer` is the one function that looks whether a plugin has something."""
    calls = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    asked = [ast.unparse(call.args[0]) for call in calls if ast.unparse(call.func) in ("getattr", "hasattr")]
    assert not {name.split(".")[-1] for name in asked} & {
        "method",
        "task",
        "unit",
        "sampler",
        "module",
        "rule",
        "dataset",
    }


def run(code: str) -> None:
    """In a process of its own, which has imported nothing yet."""
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=True)


def test_scoring_and_reporting_need_no_torch():
    rooms = "core data metrics tasks stats report"
    modules = [path for name in rooms.split() for path in (ROOT / "benchmark" / name).glob("[a-z]*.py")]
    modules += [ROOT / "benchmark/experiment" / f"{name}.py" for name in ("layout", "score", "summary")]
    names = [name_of(path).removesuffix(".py").replace("/", ".") for path in modules]
    code = "import sys\n" + "".join(f"import {name}\n" for name in names)
    run(code + "assert 'torch' not in sys.modules, 'torch'")


def test_what_reads_only_the_record_imports_no_reader_and_no_tests():
    """The start-up of every process of a run but those that prepare, fit or score."""
    run("""
        import sys
        from pathlib import Path

        from benchmark.experiment import summary
        from benchmark.experiment.layout import open_run
        from benchmark.report import mlflow_board

        assert open_run(Path("config/default/simulated.yaml")).jobs
        slow = "anndata scipy.ndimage scipy.spatial scipy.stats sklearn torch".split()
        assert not set(slow) & set(sys.modules), set(slow) & set(sys.modules)
    """)


def test_training_needs_no_more_than_a_bare_machine_has():
    """Modules, units and loop import torch, NumPy, SciPy, Numba, Lightning and timm alone, and pretrain with those."""
    run("""
        import sys

        for absent in "anndata pandas sklearn scanpy h5py pydantic yaml mlflow safetensors".split():
            sys.modules[absent] = None
        import torch
        from benchmark.training.made_up import MadeUp
        from benchmark.training.budget import Budget
        from benchmark.model.masked import MaskedSpots
        from benchmark.model.trunk import PRESETS
        from benchmark.training.loop import pretrain
        from benchmark.units.patch import PatchUnit

        corpus = MadeUp(n_slides=2, side=12, n_genes=60)
        module = MaskedSpots(torch.zeros(60), PRESETS["nano"])
        meter = pretrain(module, PatchUnit(4, 16), corpus, Budget("spots", 20_000), 0, 1e-3)
        assert meter.steps > 5
    """)
