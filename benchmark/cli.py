"""The command line: one command for each step of the workflow. The work itself is done in the rooms."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

import benchmark.cli_tools  # noqa: F401 - it adds its commands
from benchmark.cli_app import CONFIG, MANY, RESULTS, ConfigPath, JobName, Results, app, open_config
from benchmark.core.errors import UnitBenchError
from benchmark.core.exits import exit_code


@app.command()
def prepare(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Read the dataset, check every slide, and write the corpus that all methods read."""
    from rich.console import Console

    from benchmark.data.prepare import prepare as prepare_corpus
    from benchmark.experiment.layout import source

    run = open_config(config, results)
    console = Console(stderr=True)
    corpus = prepare_corpus(source(run.config), run.corpus, lambda line: console.print(line, markup=False))
    console.print(f"{len(corpus)} slides, {corpus.n_spots} spots, {len(corpus.genes)} genes → {run.corpus}")


@app.command()
def check(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Ask every method whether it can be fitted to the corpus with its settings, before any of them is fitted."""
    from benchmark.experiment.jobs import check_jobs

    check_jobs(open_config(config, results))


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

    run = open_config(config, results, job)
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

    run = open_config(config, results)
    corpus = open_corpus(run.corpus)
    for name in run.chosen(job):
        score_job(run, corpus, name)


@app.command()
def leaderboard(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Gather all score rows; write them, the leaderboard with its intervals, the leakage index, and the manifest."""
    from benchmark.experiment.tables import write_tables

    write_tables(open_config(config, results))


@app.command()
def report(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Write the report, one HTML page that opens from disk, and its overview and ablation as pictures."""
    from benchmark.experiment.written import views_of, written
    from benchmark.report.views import write_views

    run = open_config(config, results)
    for folder, tables in views_of(run, written(run)).items():
        folder.mkdir(parents=True, exist_ok=True)
        write_views(*tables, folder, ablation=run.varied)


@app.command()
def track(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Write the leaderboard into MLflow's database; entries that have not changed are left alone."""
    from benchmark.experiment.jobs import track_run

    track_run(open_config(config, results))


@app.command()
def show(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Print the leaderboard; exit with 1 if an arm has failed."""
    from rich.console import Console

    from benchmark.core.files import write_text
    from benchmark.experiment import summary

    run, console = open_config(config, results), Console(record=True, width=150)
    if summary.show(run, console):
        raise typer.Exit(1)
    write_text(run.summary, console.export_text())


@app.command()
def status(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """List the jobs and arms of a run with their state: waiting, running, cut off, ok, failed or not applicable."""
    from rich.console import Console

    from benchmark.experiment.status import arm_states, status_table

    console = Console() if sys.stdout.isatty() else Console(width=200)
    console.print(status_table(arm_states(open_config(config, results))))


@app.command()
def mlflow(
    config: ConfigPath = CONFIG,
    results: Results = RESULTS,
    port: Annotated[int, typer.Option(help="Another one is taken if this is busy.")] = 5000,
) -> None:
    """Open the MLflow leaderboard on 127.0.0.1."""
    from benchmark.report.mlflow_board import serve

    run = open_config(config, results)
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

    run = open_config(config, results)
    if (n_arms := run.most_arms) > MANY and not many:
        raise UnitBenchError(config, f"makes up to {n_arms:,} arms", "give --many if that is meant, or vary less")
    raise typer.Exit(run_workflow(run, cores, resume))


@app.command()
def bench(
    config: ConfigPath = CONFIG,
    results: Results = RESULTS,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    threads: Annotated[int, typer.Option(help="Cores to use.")] = 1,
    seconds: Annotated[float, typer.Option(help="Of training; on a GPU, where the first step compiles, 60.")] = 5.0,
) -> None:
    """Measure how fast the methods of the config train on its corpus, beside a plain matrix product."""
    from benchmark.data.corpus import open_corpus
    from benchmark.experiment.bench import bench as measure
    from benchmark.experiment.bench import choose

    run = open_config(config, results)
    choose(device)
    if not run.record.exists():
        prepare(config, results)
    for line in measure(run.config, open_corpus(run.corpus), threads, seconds):
        print(line, flush=True)


def main() -> None:
    """Run a command, and end with its exit code."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    sys.exit(exit_code(lambda: app(standalone_mode=False)))
