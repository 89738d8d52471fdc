"""The command line itself: its help, the options that commands share, and old names of commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

# One thread, unless more are asked for: the modules are small, and what has used threads cannot be forked for the arms.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")  # numba's others end a process that was forked
RENAMED = {"verdict": "show", "board": "mlflow", "environment": "make-environment"}  # old name: name


class Commands(TyperGroup):
    """The commands by name. Old names still work, and say what the new one is."""

    def resolve_command(self, ctx, args: list[str]):
        if name := RENAMED.get(args[0]):
            print(f"`unitbench {args[0]}` is now `unitbench {name}`", file=sys.stderr)
            args = [name, *args[1:]]
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="UnitBench: what should one training sample be, when a model is pretrained on spatial transcriptomics?\n\n"
    "The steps of the workflow in order: prepare, check, pretrain, score, leaderboard, report, track, show. "
    "`run` does them all.",
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"unitbench {version('unitbench')}")
        raise typer.Exit


@app.callback()
def first(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """What every command takes."""


ConfigPath = Annotated[Path, typer.Option("--config", help="The experiment, a YAML file.")]
Results = Annotated[Path, typer.Option("--results", help="The folder with one folder of results for each config.")]
JobName = Annotated[str | None, typer.Option("--job", help='Only this job, such as "fold0-1". Default: all jobs.')]

MANY = 5000  # arms, from which on `run` asks to be told that they are meant
CONFIG, RESULTS = Path("config/default/simulated.yaml"), Path("results")


def open_config(config: Path, results: Path, job: str | None = None):
    from benchmark.experiment.layout import open_run

    return open_run(config, results, job)
