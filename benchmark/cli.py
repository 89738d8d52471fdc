"""The command line: one command for each step of the workflow, and some more. The work itself is done in the rooms."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from benchmark.core.errors import UnitBenchError
from benchmark.core.exits import exit_code

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

ConfigPath = Annotated[Path, typer.Option("--config", help="The experiment, a YAML file.")]
Results = Annotated[Path, typer.Option("--results", help="The folder with one folder of results for each config.")]
JobName = Annotated[str | None, typer.Option("--job", help='Only this job, such as "fold0-1". Default: all jobs.')]

MANY = 5000  # arms, from which on `run` asks to be told that they are meant
CONFIG, RESULTS = Path("config/default/simulated.yaml"), Path("results")


def _run(config: Path, results: Path, job: str | None = None):
    from benchmark.experiment.layout import open_run

    return open_run(config, results, job)


@app.command("list")
def list_() -> None:
    """Show the installed methods, datasets and tasks, and mark the plugins that fail to import."""
    from rich.console import Console

    from benchmark.experiment.plugins import plugin_table

    Console().print(plugin_table())


@app.command()
def prepare(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Read the dataset, check every slide, and write the corpus that all methods read."""
    from rich.console import Console

    from benchmark.data.prepare import prepare as prepare_corpus
    from benchmark.experiment.layout import source

    run = _run(config, results)
    console = Console(stderr=True)
    corpus = prepare_corpus(source(run.config), run.corpus, lambda line: console.print(line, markup=False))
    console.print(f"{len(corpus)} slides, {corpus.n_spots} spots, {len(corpus.genes)} genes → {run.corpus}")


@app.command()
def check(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Ask every method whether it can be fitted to the corpus with its settings, before any of them is fitted."""
    from benchmark.experiment.jobs import check_jobs

    check_jobs(_run(config, results))


@app.command()
def pretrain(
    job: JobName = None,
    arm: Annotated[
        str | None, typer.Option(help="Only this arm, as `status` names it. Its job is not finished.")
    ] = None,
    config: ConfigPath = CONFIG,
    results: Results = RESULTS,
    attempt: Annotated[int, typer.Option(help="From 2 on, arms that ended their process count as failed.")] = 1,
) -> None:
    """Fit every method in every fold, with every budget and seed, and save what the tasks need. Keep finished arms.

    With --arm: fit one arm alone; print its traceback and exit with 1 if it fails.
    """
    from benchmark.data.corpus import open_corpus
    from benchmark.experiment.jobs import fit_alone, fit_jobs

    run = _run(config, results, job)
    corpus = open_corpus(run.corpus)
    if arm is None:
        fit_jobs(run, corpus, run.chosen(job), attempt)
    elif file := fit_alone(run, corpus, arm, job):
        print(file.read_text(encoding="utf-8"), file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def score(job: JobName = None, config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Score the fitted arms on every task: one file of score rows for each job."""
    from benchmark.data.corpus import open_corpus
    from benchmark.experiment.jobs import score_job

    run = _run(config, results)
    corpus = open_corpus(run.corpus)
    for name in run.chosen(job):
        score_job(run, corpus, name)


@app.command()
def leaderboard(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Gather all score rows; write them, the leaderboard with its intervals, the leakage index, and the manifest."""
    from benchmark.experiment.tables import write_tables

    write_tables(_run(config, results))


@app.command()
def report(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Write the report, one HTML page that opens from disk, and its overview and ablation as pictures."""
    from benchmark.experiment.summary import written
    from benchmark.report.views import write_views

    run = _run(config, results)
    write_views(*written(run), run.results, ablation=run.varied)


@app.command()
def track(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Write the leaderboard into MLflow's database; entries that have not changed are left alone."""
    from benchmark.experiment.jobs import track_run

    track_run(_run(config, results))


@app.command()
def show(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Print the leaderboard; exit with 1 if an arm has failed."""
    from rich.console import Console

    from benchmark.core.files import write_text
    from benchmark.experiment import summary

    run, console = _run(config, results), Console(record=True, width=150)
    if summary.show(run, console):
        raise typer.Exit(1)
    write_text(run.summary, console.export_text())


@app.command()
def status(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """List the jobs and arms of a run with their state: waiting, running, cut off, ok, failed or not applicable."""
    from rich.console import Console

    from benchmark.experiment.status import arm_states, status_table

    console = Console() if sys.stdout.isatty() else Console(width=200)
    console.print(status_table(arm_states(_run(config, results))))


@app.command()
def mlflow(
    config: ConfigPath = CONFIG,
    results: Results = RESULTS,
    port: Annotated[int, typer.Option(help="Another one is taken if this is busy.")] = 5000,
) -> None:
    """Open the MLflow leaderboard on 127.0.0.1."""
    from benchmark.report.mlflow_board import serve

    run = _run(config, results)
    if not (run.results / "mlflow.db").exists():
        raise UnitBenchError(run.results / "mlflow.db", "file not found", f"make run CONFIG={run.path} first")
    serve(run.results / "mlflow.db", run.config.name, port)


@app.command()
def run(
    config: ConfigPath = CONFIG,
    results: Results = RESULTS,
    cores: Annotated[str, typer.Option(help='How many cores, or "all".')] = "all",
    resume: Annotated[bool, typer.Option("--resume", help="Go on after a run that was killed.")] = False,
    many: Annotated[bool, typer.Option("--many", help=f"Begin even if there are over {MANY:,} arms.")] = False,
) -> None:
    """Run the whole workflow with a progress display, then print the leaderboard."""
    from benchmark.experiment.workflow import run_workflow

    run = _run(config, results)
    if (n_arms := run.most_arms) > MANY and not many:
        raise UnitBenchError(config, f"makes up to {n_arms:,} arms", "give --many if that is meant, or vary less")
    raise typer.Exit(run_workflow(run, cores, resume))


@app.command()
def tune(
    out: Annotated[Path, typer.Option(help="The config that is written.")],
    config: ConfigPath = CONFIG,
    results: Results = RESULTS,
    cores: Annotated[str, typer.Option(help='Cores to use; "all": every core.')] = "all",
) -> None:
    """Try the settings of the config's `tuning` inside the training donors of each fold; write the best as a config."""
    from benchmark.experiment.tune import tune

    raise typer.Exit(tune(_run(config, results), out, cores))


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(help="The results of a finished run, such as results/her2st.")],
    corpus: Annotated[
        Path | None, typer.Option(help="A corpus that you prepared. Default: the config's dataset is prepared anew.")
    ] = None,
) -> None:
    """Recompute all scores of a finished run from its embeddings and predictions; exit with 1 if a row differs."""
    from benchmark.experiment.verify import show

    raise typer.Exit(show(folder, corpus))


@app.command()
def summary(
    folders: Annotated[list[Path], typer.Argument(help="The results of finished runs, such as results/her2st.")],
    out: Annotated[Path, typer.Option(help="The folder that the summary is written to.")],
) -> None:
    """Gather finished runs into one page with ranks over datasets and donors, a picture, and tables as CSV."""
    from benchmark.report.summary import write_summary

    found = write_summary(folders, out)
    print(f"{len(found.runs)} runs, {found.board['dataset'].nunique()} datasets → {out / 'summary.html'}")


@app.command()
def site(
    folders: Annotated[list[Path] | None, typer.Argument(help="Default: results/reference.")] = None,
    out: Annotated[Path, typer.Option(help="The folder that the site is written to.")] = RESULTS / "site",
) -> None:
    """Write a static site of all finished runs in some folders, at any depth. It opens from disk."""
    from benchmark.experiment.site import write_site

    print(write_site(folders or [RESULTS / "reference"], out))


@app.command()
def bench(
    config: ConfigPath = CONFIG,
    results: Results = RESULTS,
    preset: Annotated[str, typer.Option(help="Size of the trunk, except in the paper's row.")] = "tiny",
    threads: Annotated[int, typer.Option(help="Cores to use.")] = 1,
) -> None:
    """Measure loaders and training steps on the config's corpus, beside a plain matrix product."""
    from benchmark.data.corpus import open_corpus
    from benchmark.training.bench import bench, lines

    run = _run(config, results)
    if not run.record.exists():
        prepare(config, results)
    print("\n".join(lines(*bench(open_corpus(run.corpus), preset, threads))))


@app.command()
def check_plugin(
    name: Annotated[str, typer.Argument(help="Its entry point's name, as `unitbench list` shows it.")],
    kind: Annotated[
        str, typer.Option(help="methods, tasks, datasets or channels; needed where two share the name.")
    ] = "",
    options: Annotated[str, typer.Option(help="Its options as in a config: '{\"size\": 4}'.")] = "{}",
    method: Annotated[str, typer.Option(help="For a task: the method to try it with.")] = "",
) -> None:
    """Hold a plugin to its contract; print a line for each check and exit with 1 if one is violated."""
    from rich.console import Console

    from benchmark.testing.show import check_plugin

    raise typer.Exit(check_plugin(name, kind, options, method, Console(soft_wrap=True)))


@app.command()
def make_environment(name: Annotated[str, typer.Argument(help="A name of envs/, such as scgpt.")]) -> None:
    """Make the venv of the methods that need this environment, if there is none yet."""
    from benchmark.core.environments import find_environment

    find_environment(name).make()


@app.command()
def doctor(results: Results = RESULTS) -> None:
    """Check this machine and installation, and say how to correct what is wrong."""
    from rich.console import Console

    from benchmark.experiment import doctor

    raise typer.Exit(0 if doctor.show(results, Console()) else 1)


def main() -> None:
    """Run a command, and end with its exit code."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    sys.exit(exit_code(lambda: app(standalone_mode=False)))
