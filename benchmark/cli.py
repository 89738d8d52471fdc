"""The command line: one command a step of the workflow, each usable on its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmark.core.errors import UnitBenchError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="UnitBench: what should one training sample be, when a model is pretrained on spatial transcriptomics?\n\n"
    "The steps of the workflow in order: prepare, check, pretrain, score, leaderboard, report, track. "
    "`run` does them all.",
)

ConfigPath = Annotated[Path, typer.Option("--config", help="The experiment, a YAML file.")]
Results = Annotated[Path, typer.Option("--results", help="Folder that holds one folder of results a config.")]
JobName = Annotated[
    str | None, typer.Option("--job", help='Only this job, such as "fold0-1"; all of them if left out.')
]

CONFIG, RESULTS = Path("config/default/simulated.yaml"), Path("results")


def _run(config: Path, results: Path, job: str | None = None):
    from benchmark.experiment.layout import open_run

    return open_run(config, results, job)


@app.command("list")
def list_() -> None:
    """Show the installed methods, datasets and tasks, and mark the plugins that fail to import."""
    from rich.console import Console
    from rich.table import Table

    from benchmark.core.registry import GROUPS, plugins

    table = Table("kind", "name", "what it is", "from")
    for kind in GROUPS:
        for plugin in plugins(kind).values():
            try:
                about = (plugin.load().__doc__ or "").strip().splitlines()[0]
            except UnitBenchError as error:
                about = f"[red]broken: {error.cause}[/]"
            table.add_row(kind.removesuffix("s"), plugin.name, about, f"{plugin.distribution} {plugin.version}")
    Console().print(table)


@app.command()
def prepare(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Read the dataset, check every slide, and write the corpus that all methods read."""
    from rich.console import Console

    from benchmark.core.registry import make
    from benchmark.data.corpus import write_corpus

    run = _run(config, results)
    dataset = make("datasets", run.config.dataset.name, run.config.dataset.options)
    console = Console(stderr=True)
    corpus = write_corpus(
        dataset.slides(), run.corpus, dataset.record(), progress=lambda name: console.print(f"slide {name}")
    )
    console.print(f"{len(corpus)} slides, {corpus.n_spots} spots, {len(corpus.genes)} genes → {run.corpus}")


@app.command()
def check(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Ask every method whether it can be fitted to the corpus with its settings, before any of them begins."""
    from benchmark.core.files import write_json
    from benchmark.data.corpus import open_corpus
    from benchmark.experiment.arms import check_methods

    run = _run(config, results)
    for job in run.jobs:
        run.checked(job).unlink(missing_ok=True)
    corpus = open_corpus(run.corpus)
    n_checks = {job: check_methods(run.config, corpus, pairs) for job, pairs in run.jobs.items()}
    for job in run.jobs:
        write_json(run.checked(job), {"checks": n_checks[job]})


@app.command()
def pretrain(
    job: JobName = None,
    config: ConfigPath = CONFIG,
    results: Results = RESULTS,
    attempt: Annotated[int, typer.Option(help="From the second on, arms that killed their process are given up.")] = 1,
) -> None:
    """Fit every method in every fold, at every budget and seed; keep embeddings and predictions, and finished arms."""
    from benchmark.core.files import write_json
    from benchmark.core.timing import WORK
    from benchmark.data.corpus import open_corpus
    from benchmark.experiment.arms import check_methods, run_arms
    from benchmark.experiment.progress import reporter

    run = _run(config, results, job)
    corpus = open_corpus(run.corpus)
    check_methods(run.config, corpus, [pair for name in run.chosen(job) for pair in run.jobs[name]])
    for name in run.chosen(job):
        before = WORK.seconds
        tell = reporter(run.progress(name), run.plan(name)[name])
        records = [
            record
            for method, fold in run.jobs[name]
            for record in run_arms(run.config, corpus, run.results, method, fold, tell, attempt)
        ]
        write_json(run.times / f"pretrain.{name}.json", WORK.seconds - before)
        write_json(run.arms(name), records)


@app.command()
def score(job: JobName = None, config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Score the fitted arms on every task: one file of score rows a job."""
    from benchmark.core.files import read_json, write_json
    from benchmark.core.scores import write_rows, write_table
    from benchmark.core.timing import WORK
    from benchmark.data.corpus import open_corpus
    from benchmark.experiment.score import score_arms

    run = _run(config, results)
    corpus = open_corpus(run.corpus)
    for name in run.chosen(job):
        before = WORK.seconds
        rows, maps = score_arms(run.config, corpus, run.results, read_json(run.arms(name)))
        write_json(run.times / f"score.{name}.json", WORK.seconds - before)
        write_table(run.maps(name), maps)
        write_rows(run.scores(name), rows)


@app.command()
def leaderboard(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Gather all score rows; write them, the leaderboard with its intervals, the leakage index, and the manifest."""
    import pandas as pd

    from benchmark.core.files import write_json
    from benchmark.core.scores import read_rows, write_table
    from benchmark.experiment.manifest import manifest
    from benchmark.stats import ablation, leaderboard
    from benchmark.stats.grids import grids
    from benchmark.stats.leakage import leakage

    run = _run(config, results)
    rows = read_rows(run.scores(job) for job in run.jobs)
    maps = pd.concat([pd.read_parquet(run.maps(job)) for job in run.jobs], ignore_index=True)
    for suffix in (".parquet", ".csv"):
        write_table(run.results / f"scores{suffix}", rows)
    write_table(run.results / "maps.parquet", maps)
    write_table(run.results / "leaderboard.csv", leaderboard.leaderboard(rows))
    write_table(run.results / "leakage.csv", leakage(rows))
    if run.varied:
        found = grids(rows)
        write_table(run.results / "ablation.csv", ablation.means(found))
        write_table(run.results / "effects.csv", ablation.effects(found))
    write_json(run.results / "manifest.json", manifest(run))


@app.command()
def report(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Write the report, one HTML page that opens from disk, and its overview and ablation as pictures."""
    from benchmark.experiment.summary import written
    from benchmark.report.views import write_views

    run = _run(config, results)
    rows, board, maps, made_by = written(run)
    write_views(rows, board, maps, made_by, run.results, ablation=run.varied)


@app.command()
def track(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Import the leaderboard into MLflow; what is there already is left alone."""
    from benchmark.core.files import write_json
    from benchmark.experiment.summary import written
    from benchmark.report.mlflow_board import track

    run = _run(config, results)
    rows, board, *_ = written(run)
    write_json(run.results / "mlflow.json", track(rows, board, run.results / "mlflow.db", run.config.name)._asdict())


@app.command()
def verdict(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Print the leaderboard; exit with 1 if an arm has failed."""
    from rich.console import Console

    from benchmark.core.files import write_text
    from benchmark.experiment.summary import tell

    run, console = _run(config, results), Console(record=True, width=150)
    if tell(run, console):
        raise typer.Exit(1)
    write_text(run.results / "verdict.txt", console.export_text())


@app.command()
def board(
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
) -> None:
    """Run the whole workflow with a progress display, then print the leaderboard."""
    from benchmark.experiment.workflow import run_workflow

    raise typer.Exit(run_workflow(_run(config, results), cores, resume))


@app.command()
def bench(
    config: ConfigPath = CONFIG,
    results: Results = RESULTS,
    preset: Annotated[str, typer.Option(help="Size of the trunk of all rows but the paper's.")] = "tiny",
    threads: Annotated[int, typer.Option(help="Cores to use.")] = 1,
) -> None:
    """Measure loaders and training steps on the config's corpus, beside a plain matrix product."""
    from benchmark.data.corpus import open_corpus
    from benchmark.training.bench import bench, lines

    run = _run(config, results)
    if not (run.corpus / "record.json").exists():
        prepare(config, results)
    print("\n".join(lines(*bench(open_corpus(run.corpus), preset, threads))))


@app.command()
def environment(name: Annotated[str, typer.Argument(help="A name of envs/, such as scgpt.")]) -> None:
    """Make the venv of the methods that need this environment, unless it is there."""
    from benchmark.core.environments import find_environment

    find_environment(name).make()


@app.command()
def doctor(results: Results = RESULTS) -> None:
    """Check this machine and installation, and say what to do about what is amiss."""
    from rich.console import Console

    from benchmark.experiment.doctor import checks

    console, ready = Console(), True
    for check in checks(results):
        mark = "[green]ok  [/]" if not check.remedy else "[red]bad [/]" if check.needed else "[yellow]warn[/]"
        console.print(mark, end=" ")
        said = f"{check.name}: {check.found}" + (f" → {check.remedy}" if check.remedy else "")
        console.print(said, markup=False, highlight=False, soft_wrap=True)
        ready &= not (check.needed and check.remedy)
    raise typer.Exit(0 if ready else 1)


def main() -> None:
    """Bad input ends with one line and exit code 2."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        app()
    except UnitBenchError as error:
        sys.exit(_complain(error))
    except OSError as error:  # no permission, no space: no fault of ours that a traceback would tell of
        sys.exit(_complain(UnitBenchError(error.filename or "a file", error.strerror or str(error), "see to it")))


def _complain(error: UnitBenchError) -> int:
    print(f"unitbench: {' '.join(str(error).split())}", file=sys.stderr)
    return 2
