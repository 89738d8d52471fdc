"""A method that needs an environment of its own, and the two files of that environment, made in a second."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from tests.helpers.plugins import install

METHOD = '''
import numpy as np


class Guest:
    """Features with a size that is read from a module of its environment."""

    unit = "none"
    reference = "a guest"
    pretrained_on = ["donor0_0"]

    def fit(self, corpus, budget, seed):
        import only_there

        self.size = only_there.SIZE

    def embed(self, slide):
        return np.random.default_rng(0).normal(size=(slide.n_obs, self.size))
'''
# A small experiment with the guest in it.
CONFIG = {
    "name": "tiny",
    "dataset": {
        "name": "simulated",
        "options": {"n_donors": 2, "slides_per_donor": 1, "shape": [8, 8], "n_genes": 30, "image": False},
    },
    "methods": ["random", "guest", "scgpt_official"],
    "splits": {"donor_folds": 2, "random_repeats": 0},
    "seeds": [0],
    "neighbours": [0],
    "methods_per_job": 4,
    "tasks": ["domain"],
}
FILE = "channels:\n  - conda-forge\ndependencies:\n  - python={version}\n  - pip\n"
SCRIPT = """#!/usr/bin/env bash
set -euo pipefail
site=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo 'import site; site.addsitedir("{main}")' > "$site/main.pth"
echo 'SIZE = 3' > "$site/only_there.py"
echo made >> {home}/made.txt
"""


def install_guest(site: Path) -> None:
    """The package of the method `guest` in `site`, without its environment."""
    install(site, "visitor", METHOD, "guest = visitor:Guest")
    with open(site / "visitor-1.0.dist-info/entry_points.txt", "a", encoding="utf-8") as file:
        file.write("[unitbench.environments]\nguest = guesthouse\n")


def write_environment(home: Path, then: str = "", version: str = sysconfig.get_python_version()) -> None:
    """Write `envs/guesthouse.*` in `home`: an environment with the packages of this Python and one module.

    Args:
        then: more lines of the script.
    """
    (home / "envs").mkdir(exist_ok=True)
    (home / "envs/guesthouse.yaml").write_text(FILE.format(version=version))
    script = SCRIPT.format(main=sysconfig.get_path("purelib"), home=home) + then
    (home / "envs/guesthouse.post-deploy.sh").write_text(script)


def times_made(home: Path) -> int:
    """How often the script has ended well."""
    return (home / "made.txt").read_text().count("made") if (home / "made.txt").exists() else 0
