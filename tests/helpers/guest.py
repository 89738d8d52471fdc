"""A method that needs an environment of its own, and the two files of that environment, made in a second."""

from __future__ import annotations

import sysconfig
from pathlib import Path

from tests.helpers.plugins import install

METHOD = '''
import numpy as np


class Guest:
    """Features of a module that its environment alone holds."""

    unit = "none"
    reference = "a guest"
    pretrained_on = ["donor0_0"]

    def fit(self, corpus, budget, seed):
        import only_there

        self.size = only_there.SIZE

    def embed(self, slide):
        return np.random.default_rng(0).normal(size=(slide.n_obs, self.size))
'''
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
    """`envs/guesthouse.*` in `home`: the packages of this Python and one module; `then`: more lines of the script."""
    (home / "envs").mkdir(exist_ok=True)
    (home / "envs/guesthouse.yaml").write_text(FILE.format(version=version))
    script = SCRIPT.format(main=sysconfig.get_path("purelib"), home=home) + then
    (home / "envs/guesthouse.post-deploy.sh").write_text(script)


def times_made(home: Path) -> int:
    """How often the script has run to its end."""
    return (home / "made.txt").read_text().count("made") if (home / "made.txt").exists() else 0
