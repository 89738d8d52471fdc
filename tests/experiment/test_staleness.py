"""Each change runs again what depends on it, and nothing else: what Snakemake plans on a finished run after it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.helpers.command import environment
from tests.helpers.h5ad_folder import DESCRIPTION, a_file
from tests.helpers.paths import ROOT
from tests.helpers.planned import STAND_IN
from tests.helpers.plugins import install

THEIRS = """
class Theirs:
    unit = "none"

    def fit(self, corpus, budget, seed):
        pass

    def embed(self, slide):
        return slide.obsm["position"]
"""
CONFIG = {
    "name": "tiny",
    "dataset": {"name": "h5ad_folder", "options": {"describe": "two.yaml"}},
    "methods": ["pca", {"method": "patch", "options": {"size": 2, "n_channels": 2}}, "theirs"],
    "splits": {"donor_folds": 2, "random_repeats": 0},
    "seeds": [0],
    "neighbours": [0],
    "tasks": ["domain"],
    "precision": "fp32",
    "methods_per_job": 1,
}
PCA, PATCH, OTHERS = (  # the jobs of each method, one in each of the two folds
    {f"{step} fold{fold}-{number}" for step in ("pretrain", "score") for fold in (0, 1)} for number in (0, 1, 2)
)
FITS = {"check"} | PCA | PATCH | OTHERS
SCORES = {job for job in FITS if job.startswith("score")}
TABLES = {"leaderboard", "report", "track", "show"}


def code(file: str) -> dict[str, str]:
    """A change of a file of the project: a comment more."""
    return {f"project/{file}": (ROOT / file).read_text(encoding="utf-8") + "# changed\n"}


def config(**changes) -> dict[str, str]:
    return {"tiny.yaml": yaml.safe_dump(CONFIG | changes)}


def of_pca(**options) -> tuple:
    return ({"method": "pca", "options": options}, *CONFIG["methods"][1:])


# The change, and by hand what runs again.
CHANGES = {
    "no change": ({}, set()),
    "a comment in the config": ({"tiny.yaml": yaml.safe_dump(CONFIG) + "# changed\n"}, set()),
    "an option of one method": (config(methods=list(of_pca(n_components=2))), {"check"} | PCA | TABLES),
    "a seed": (config(seeds=[0, 1]), FITS | TABLES),
    "a budget": (config(budget={"axis": "spots", "amounts": [0]}), FITS | TABLES),
    "a task": (config(tasks=["domain", "clustering"]), FITS | TABLES),
    "neighbours": (config(neighbours=[0, 2]), SCORES | TABLES),
    "code of a plugin, at the same version": ({"site/theirs.py": THEIRS + "\n"}, {"check"} | OTHERS | TABLES),
    "the description: donors": (
        {"two.yaml": yaml.safe_dump(DESCRIPTION | {"folder": "FOLDER", "unlabelled": []})},
        {"prepare"} | FITS | TABLES,
    ),
    "a data file": ({"slides/one.h5ad": "copy of other.h5ad"}, {"prepare"} | FITS | TABLES),
    "the version of PyTorch": ({"path": "newer"}, FITS | TABLES),
    "the precision": (config(precision="bf16"), FITS | TABLES),
    "code of a metric": (code("benchmark/metrics/labels.py"), SCORES | TABLES),
    "code of a task": (code("benchmark/tasks/domain.py"), SCORES | TABLES),
    "code of a unit": (code("benchmark/units/patch.py"), {"check"} | PATCH | TABLES),
    "code of a table": (code("benchmark/stats/leakage.py"), TABLES),
    "a template of the report": (code("benchmark/report/templates/page.html"), {"report", "track", "show"}),
    "code of the dataset": (code("benchmark/datasets/h5ad_slide.py"), {"prepare"} | FITS | TABLES),
    "code of another dataset": (code("benchmark/datasets/her2st.json"), set()),
    "code of the board": (code("benchmark/report/mlflow_board.py"), {"track", "show"}),
    "code of the terminal": (code("benchmark/report/terminal.py"), {"show"}),
    "code of the command line": (code("benchmark/cli.py"), set()),
}

# A file of the results that is gone, and by hand what makes it again.
GONE = {
    **dict.fromkeys(["leaderboard.csv", "scores.csv", "leakage.csv"], TABLES),
    **dict.fromkeys(["scores.parquet", "curves.parquet", "maps.parquet"], TABLES),
    "manifest.json": TABLES,
    **{file: {"report", "track", "show"} for file in ("report.html", "overview.png")},
    **{file: {"track", "show"} for file in ("mlflow.json", "mlflow.db")},
    "summary.txt": {"show"},
    **dict.fromkeys(["jobs/fold0-0.scores.json", "jobs/fold0-0.maps.parquet"], {"score fold0-0"} | TABLES),
    "jobs/fold0-0.arms.json": {"pretrain fold0-0", "score fold0-0"} | TABLES,
    "arms/pca/fold0/0-seed0/arm.json": {"pretrain fold0-0", "score fold0-0"} | TABLES,
    "arms/pca/fold0/0-seed0/out.npz": {"pretrain fold0-0", "score fold0-0"} | TABLES,
    **{f"corpus/{file}": {"prepare"} | FITS | TABLES for file in ("record.json", "panels.npy", "slides/a.h5ad")},
    "corpus/slides/a.safetensors": {"prepare"} | FITS | TABLES,
    "checked/fold0-0.*": {"check", "pretrain fold0-0", "score fold0-0"} | TABLES,  # its arms are used again
    "config.yaml": set(),
}
CHANGES |= {f"gone: {file}": ({f"results/tiny/{file}": None}, jobs) for file, jobs in GONE.items()}


@pytest.fixture(scope="module")
def plans(tmp_path_factory) -> dict[str, set[str]]:
    """The jobs of each plan, on a run of a copy of the project."""
    folder = tmp_path_factory.mktemp("planned")
    for name in ("benchmark", "baselines", "methods", "envs", "profiles"):
        shutil.copytree(ROOT / name, folder / "project" / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "Snakefile", folder / "project")
    (folder / "project/benchmark/__main__.py").write_text(STAND_IN)
    install(folder / "site", "theirs", THEIRS, "theirs = theirs:Theirs")
    (folder / "newer/torch").mkdir(parents=True)
    (folder / "newer/torch/__init__.py").write_text("")
    (folder / "newer/torch/version.py").write_text("__version__ = '99.0'\n")
    (folder / "slides").mkdir()
    for name, donor in {"slides/one": "D1", "slides/two": "D2", "other": "D1"}.items():
        a_file(donor=donor, place=name).write_h5ad(folder / f"{name}.h5ad")
    (folder / "two.yaml").write_text(yaml.safe_dump(DESCRIPTION | {"folder": str(folder / "slides")}))
    (folder / "tiny.yaml").write_text(yaml.safe_dump(CONFIG))
    changes = json.dumps({name: change for name, (change, _) in CHANGES.items()})
    done = subprocess.run(
        [sys.executable, "-m", "tests.helpers.planned", "project/Snakefile", "tiny.yaml"],
        cwd=folder,
        env=environment() | {"PYTHONPATH": f"{folder}/project:{folder}/site:{ROOT}"},
        input=changes.replace("FOLDER", str(folder / "slides")),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {name: set(jobs) for name, jobs in json.loads(done.stdout.splitlines()[-1]).items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", CHANGES)
def test_a_change_runs_what_depends_on_it_again_and_nothing_else(plans, name):
    assert plans[name] == CHANGES[name][1]
