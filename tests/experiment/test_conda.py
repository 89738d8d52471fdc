"""`snakemake --cores all --use-conda` on the whole workflow, with a stand-in for conda, and with conda where it exists.

The stand-in proves that the environment files have the right form, that a solver accepts them, that the post-deploy
scripts run in a new environment and install the project there, and that the workflow handles the flag: environments
are made and activated, each rule runs in its own, and no venv is made. It does not prove that the files solve on
conda-forge, nor that pip finds the pinned packages: the channel has a Python with these packages, and pip is offline.
Only the test with a real conda shows that.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.helpers.command import environment
from tests.helpers.conda_stand_in import set_up
from tests.helpers.guest import CONFIG, install_guest, times_made, write_environment
from tests.helpers.paths import ROOT

INSTALL = """
site=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo 'import site; site.addsitedir("{site}")' > "$site/plugin.pth"
"""
NOT_COPIED = shutil.ignore_patterns(".*", "results", "tests", "*.egg-info", "__pycache__")


@pytest.fixture
def project(tmp_path) -> Path:
    """A copy of the project, for an environment to install, with a method that needs its own environment."""
    project = shutil.copytree(ROOT, tmp_path / "project", ignore=NOT_COPIED)
    install_guest(tmp_path / "site")
    plugin = INSTALL.format(site=tmp_path / "site")  # Snakemake hides PYTHONPATH from the rules of an environment
    write_environment(project, plugin)
    with open(project / "envs/unitbench.post-deploy.sh", "a", encoding="utf-8") as script:
        script.write(plugin)
    (project / "tiny.yaml").write_text(yaml.safe_dump(CONFIG | {"methods": ["guest"]}))
    return project


def run_with_conda(project: Path, variables: dict[str, str]) -> None:
    """Run the whole workflow, as a user does, and check what it leaves."""
    command = [sys.executable, "-m", "snakemake", "--cores", "all", "--use-conda", "--config", "experiment=tiny.yaml"]
    variables = environment(project.parent / "site") | variables
    done = subprocess.run(command, cwd=project, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 arms expected: 2 finished" in (project / "results/tiny/summary.txt").read_text()
    assert times_made(project) == 1 and not (project / ".venv-guesthouse").exists()


def site_packages(prefix: Path) -> set[str]:
    return {path.name for path in prefix.glob("lib/python3*/site-packages/*")}


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the stand-in's Python is this one, envs/ ask for 3.11")
def test_the_workflow_runs_with_a_stand_in_for_conda(project, tmp_path):
    run_with_conda(project, set_up(tmp_path / "conda"))
    activated = {Path(line) for line in (tmp_path / "conda/activated.txt").read_text().splitlines()}
    held = [site_packages(prefix) for prefix in activated]
    assert len(held) == 2 and all(prefix.is_relative_to(project / ".snakemake/conda") for prefix in activated)
    assert any("only_there.py" in names for names in held)
    assert any("unitbench-0.1.0.dist-info" in names for names in held)


@pytest.mark.skipif(not shutil.which("conda"), reason="NO CONDA HERE: that envs/ solve on conda-forge is not tested")
def test_the_workflow_runs_with_a_real_conda(project):
    run_with_conda(project, {"PATH": os.environ["PATH"]})
