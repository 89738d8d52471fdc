"""Environments beside the main one, for methods whose packages it cannot hold: made by conda, or here as a venv."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import yaml

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.files import fingerprint, write_text

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Environment:
    """`envs/<name>.yaml`, an environment file of conda that asks for Python and pip, and `envs/<name>.post-deploy.sh`,
    which installs the rest. Snakemake makes it so under --use-conda; `make` makes a venv of the same two files.

    Attributes:
        home: the folder that holds `envs`, and the venv.
    """

    name: str
    home: Path

    @property
    def file(self) -> Path:
        return self.home / "envs" / f"{self.name}.yaml"

    @property
    def script(self) -> Path:
        return self.file.with_suffix(".post-deploy.sh")

    @property
    def venv(self) -> Path:
        return self.home / f".venv-{self.name}"

    @property
    def python(self) -> Path:
        return self.venv / "bin/python"

    @property
    def ready(self) -> Path:
        """The mark of a whole venv, written last; it holds the recipe."""
        return self.venv / ".ready"

    @cached_property
    def recipe(self) -> str:
        """Names what all files of `envs/<name>.*` say."""
        files = sorted(self.file.parent.glob(f"{self.name}.*"))
        return fingerprint([path.read_text(encoding="utf-8") for path in files])

    @property
    def made(self) -> bool:
        return self.ready.exists() and self.ready.read_text(encoding="utf-8") == self.recipe

    def make(self) -> None:
        """Make the venv unless it is there. Runs that ask at once wait for one another; no half-made one is left.

        Raises:
            UnitBenchError: there is no such Python, the file asks for what a venv cannot hold, or the script fails.
        """
        with open(f"{self.venv}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.made:
                return
            shutil.rmtree(self.venv, ignore_errors=True)  # of another recipe, or cut off
            try:
                self._build()
                write_text(self.ready, self.recipe)
            except BaseException:
                shutil.rmtree(self.venv, ignore_errors=True)
                raise

    def _build(self) -> None:
        self._call(*python_maker(self._python_version()), self.venv)
        place = os.environ | {"VIRTUAL_ENV": str(self.venv), "PATH": f"{self.python.parent}:{os.getenv('PATH')}"}
        if self.script.exists():
            self._call("bash", self.script, env=place)

    def _call(self, *command: object, **options: object) -> None:
        done = subprocess.run(list(map(str, command)), cwd=self.home, **options)
        if done.returncode:
            raise UnitBenchError(
                f"environment {self.name!r}",
                f"{Path(command[0]).name} {command[1]} ended with {done.returncode}, its words are above",
                f"see to it, then: unitbench environment {self.name}",
            )

    def _python_version(self) -> str:
        """The version of Python that the file asks for, or this one's."""
        found = f"{sys.version_info.major}.{sys.version_info.minor}"
        for need in yaml.safe_load(self.file.read_text(encoding="utf-8"))["dependencies"]:
            asked = re.fullmatch(r"(python|pip)(=+(\d+\.\d+)\S*)?", str(need))
            if not asked:
                cause = f"asks for {need!r}, and a venv holds Python and pip alone"
                raise UnitBenchError(self.file, cause, f"install it in {self.script.name}, or use --use-conda")
            found = asked[3] if asked[1] == "python" and asked[3] else found
        return found


def python_maker(version: str) -> list[str]:
    """The command that makes a venv of this version of Python; it wants a folder.

    Raises:
        UnitBenchError: that version is not on PATH, nor uv, which would fetch it.
    """
    if version == f"{sys.version_info.major}.{sys.version_info.minor}":
        return [sys.executable, "-m", "venv"]
    if python := shutil.which(f"python{version}"):
        return [python, "-m", "venv"]
    if uv := shutil.which("uv"):
        return [uv, "venv", "--seed", "--python", version]
    raise UnitBenchError(f"Python {version}", "not on PATH", "install it, or uv, which fetches it")


def find_environment(name: str) -> Environment:
    """The environment of that name, of the `envs` of the working folder, or else of this project's.

    Raises:
        UnitBenchError: neither has its file.
    """
    for home in (Path.cwd(), ROOT):
        if (home / "envs" / f"{name}.yaml").exists():
            return Environment(name, home)
    known = [path.stem for path in (ROOT / "envs").glob("*.yaml")]
    raise UnitBenchError(f"envs/{name}.yaml", "file not found", nearest(name, known))
