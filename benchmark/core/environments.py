"""Environments other than the main one, for methods with packages that the main one cannot hold."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from benchmark.core.errors import UnitBenchError, nearest
from benchmark.core.files import fingerprint, write_text
from benchmark.core.yaml_file import read_yaml

ROOT = Path(__file__).resolve().parents[2]
THIS_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Environment:
    """An environment that two files describe.

    `envs/<name>.yaml` is an environment file of conda; it asks for Python and pip. `envs/<name>.post-deploy.sh`
    installs the rest. Under --use-conda Snakemake makes the environment from these files. `make` makes a venv from the
    same files.

    Attributes:
        home: the folder of `envs` and of the venv.
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
        """A file with the recipe, written last: a venv with this file is complete."""
        return self.venv / ".ready"

    @cached_property
    def recipe(self) -> str:
        """A fingerprint of the files `envs/<name>.*`."""
        files = sorted(self.file.parent.glob(f"{self.name}.*"))
        return fingerprint([path.read_text(encoding="utf-8") for path in files])

    @property
    def made(self) -> bool:
        """Whether there is a complete venv of this recipe."""
        return self.ready.exists() and self.ready.read_text(encoding="utf-8") == self.recipe

    def make(self) -> None:
        """Make the venv, if it is not made yet. Processes that call this at the same time wait for each other.

        Raises:
            UnitBenchError: this version of Python is missing, the file asks for other packages than Python and pip, or
                the script fails. Nothing is left of the venv then.
        """
        with open(f"{self.venv}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self.made:
                return
            shutil.rmtree(self.venv, ignore_errors=True)  # it has another recipe, or was cut off
            try:
                self._build()
                write_text(self.ready, self.recipe)
            except BaseException:
                shutil.rmtree(self.venv, ignore_errors=True)
                raise

    def _build(self) -> None:
        self._call(*python_maker(self._python_version()), self.venv)
        variables = os.environ | {"VIRTUAL_ENV": str(self.venv), "PATH": f"{self.python.parent}:{os.getenv('PATH')}"}
        if self.script.exists():
            self._call("bash", self.script, env=variables)

    def _call(self, *command: str | Path, env: Mapping[str, str] | None = None) -> None:
        """Run a command in the folder `home`.

        Raises:
            UnitBenchError: it ends with another code than 0.
        """
        done = subprocess.run(list(map(str, command)), cwd=self.home, env=env)
        if done.returncode:
            raise UnitBenchError(
                f"environment {self.name!r}",
                f"{Path(command[0]).name} {command[1]} ended with {done.returncode}, its output is above",
                f"correct the cause, then: unitbench make-environment {self.name}",
            )

    def _python_version(self) -> str:
        """The version of Python that the file asks for. Default: the version that runs this."""
        version, values = THIS_PYTHON, read_yaml(self.file)
        packages = values.get("dependencies") if isinstance(values, dict) else None
        if not isinstance(packages, list):
            raise UnitBenchError(self.file, "no list `dependencies`", "write an environment file of conda")
        for package in packages:
            match = re.fullmatch(r"(python|pip)(=+(\d+\.\d+)\S*)?", str(package))
            if not match:
                cause = f"asks for {package!r}, and a venv holds Python and pip alone"
                raise UnitBenchError(self.file, cause, f"install it in {self.script.name}, or use --use-conda")
            if match[1] == "python" and match[3]:
                version = match[3]
        return version


def python_maker(version: str) -> list[str]:
    """The command that makes a venv of this version of Python; the folder is its last argument.

    Raises:
        UnitBenchError: neither this version nor uv, which downloads it, is on PATH.
    """
    if version == THIS_PYTHON:
        return [sys.executable, "-m", "venv"]
    if python := shutil.which(f"python{version}"):
        return [python, "-m", "venv"]
    if uv := shutil.which("uv"):
        return [uv, "venv", "--seed", "--python", version]
    raise UnitBenchError(f"Python {version}", "not on PATH", "install it, or uv, which downloads it")


def find_environment(name: str) -> Environment:
    """The environment of that name. The folder `envs` of the working folder comes before the one of this project.

    Raises:
        UnitBenchError: there is no `envs/<name>.yaml` in either of them.
    """
    for home in (Path.cwd(), ROOT):
        if (home / "envs" / f"{name}.yaml").exists():
            return Environment(name, home)
    known = [path.stem for path in (ROOT / "envs").glob("*.yaml")]
    raise UnitBenchError(f"envs/{name}.yaml", "file not found", nearest(name, known))


@cache
def checkout() -> dict[str, Any]:
    """`commit` of this project, and whether it is `dirty`: it has changes since. Empty where it is no checkout."""

    def ask(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        return {"commit": ask("rev-parse", "HEAD"), "dirty": bool(ask("status", "--porcelain", "--untracked-files=no"))}
    except (OSError, subprocess.CalledProcessError):
        return {}
