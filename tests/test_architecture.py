"""Imports run one way, the parts that need no torch have none, and no module outgrows its page."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 400
# What a module may import lies on a lower floor than itself; `cli` is the roof.
FLOORS = [
    {"errors"},
    {"files", "expand", "timing"},
    {"config", "environments"},
    {"slide", "registry", "lattice", "intervals", "normalise", "image_metrics", "morphology"},
    {"corpus", "spatial", "scores", "datasets", "probes"},
    {"splits", "channels", "budget", "images", "tile_features"},
    {"units", "tasks", "leaderboard", "options"},
    {"comparisons", "tracking", "pretrain", "leakage"},
    {"winners", "ablation"},
    {"factorial"},
    {"report"},
    {"model", "arms", "evaluate"},
    {"layout", "bench", "doctor"},
    {"manifest", "progress", "verdict"},
    {"workflow"},
    {"cli"},
    {"__main__"},
]
FLOOR = {part: level for level, parts in enumerate(FLOORS) for part in parts}
FILES = sorted(path for package in ("benchmark", "baselines", "methods") for path in (ROOT / package).rglob("*.py"))
MODULES = [path for path in FILES if path.relative_to(ROOT).as_posix() != "benchmark/__init__.py"]


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


def part(path: Path) -> str:
    """The part of `benchmark` that a file belongs to: a module, or a package with all its modules."""
    return path.relative_to(ROOT / "benchmark").parts[0].removesuffix(".py")


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_every_part_has_a_floor():
    assert {part(path) for path in MODULES if path.is_relative_to(ROOT / "benchmark")} == set(FLOOR)


@pytest.mark.parametrize("path", [p for p in MODULES if p.is_relative_to(ROOT / "benchmark")], ids=name_of)
def test_imports_go_down(path):
    own = part(path)
    for name in imported(path):
        assert name[0] not in ("baselines", "methods"), f"{path} knows a method: {'.'.join(name)}"
        if name[0] == "benchmark" and len(name) > 1 and name[1] in FLOOR and name[1] != own:
            assert FLOOR[name[1]] < FLOOR[own], f"{own} imports {name[1]}, which lies as high or higher"


@pytest.mark.parametrize("path", [p for p in MODULES if not p.is_relative_to(ROOT / "benchmark")], ids=name_of)
def test_methods_know_the_benchmark_and_not_each_other(path):
    other = {"baselines": "methods", "methods": "baselines"}[path.relative_to(ROOT).parts[0]]
    assert other not in {name[0] for name in imported(path)}


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_a_module_is_short_and_says_its_job_first(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    assert ast.get_docstring(ast.parse(text)), "no docstring"


def test_scoring_and_reporting_need_no_torch():
    """Each import in a process of its own would be dear: one process, all of them."""
    modules = (
        "layout evaluate scores leaderboard verdict report.page tasks.domain tasks.clustering tasks.reconstruction "
        "tasks.annotation tasks.imputation tasks.expression_from_image tasks.label_from_image "
        "tasks.generation"
    )
    code = "import sys\n" + "".join(f"import benchmark.{module}\n" for module in modules.split())
    code += "assert 'torch' not in sys.modules, 'torch'"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_what_reads_only_the_record_imports_no_reader_and_no_tests():
    """The start-up of every process of a run but those that prepare, fit or score."""
    code = """
        import sys
        from pathlib import Path

        from benchmark import tracking, verdict
        from benchmark.layout import open_run

        assert open_run(Path("config/default.yaml")).jobs
        dear = "anndata scipy.ndimage scipy.spatial scipy.stats sklearn torch".split()
        assert not set(dear) & set(sys.modules), set(dear) & set(sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=True)


def test_training_needs_no_more_than_a_bare_machine_has():
    """Modules, units and loop import torch, NumPy, SciPy, Lightning and timm alone, and pretrain with those."""
    code = """
        import sys

        for absent in "anndata pandas sklearn scanpy h5py pydantic yaml mlflow safetensors".split():
            sys.modules[absent] = None
        import torch
        from benchmark.bench import MadeUp
        from benchmark.budget import Budget
        from benchmark.model.masked import MaskedSpots
        from benchmark.model.trunk import PRESETS
        from benchmark.pretrain import pretrain
        from benchmark.units.patch import PatchUnit

        corpus = MadeUp(n_slides=2, side=12, n_genes=60)
        module = MaskedSpots(torch.zeros(60), PRESETS["nano"])
        meter = pretrain(module, PatchUnit(4, 16), corpus, Budget("spots", 20_000), 0, 1e-3)
        assert meter.steps > 5
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, check=True)
