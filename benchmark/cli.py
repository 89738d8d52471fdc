"""The command line: one command a step of the workflow, each usable on its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from benchmark.errors import UnitBenchError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="UnitBench: what should one training sample be, when a model is pretrained on spatial transcriptomics?\n\n"
    "The steps of the workflow in order: prepare, pretrain, score, leaderboard, report, track. `run` does them all.",
)

ConfigPath = Annotated[Path, typer.Option("--config", help="The experiment, a YAML file.")]
Results = Annotated[Path, typer.Option("--results", help="Folder that holds one folder of results a config.")]
MethodLabel = Annotated[str, typer.Option("--method", help="Label of a method in the config.")]
FoldName = Annotated[str, typer.Option("--fold", help='Which slides are held out: "fold0", "fold1", … or "all".')]

CONFIG, RESULTS = Path("config/default.yaml"), Path("results")


def _run(config: Path, results: Path):
    from benchmark.layout import open_run

    return open_run(config, results)


def _written(run):
    """What `leaderboard` has written: score rows, board, maps and manifest."""
    import pandas as pd

    from benchmark.files import read_json

    if not (run.results / "manifest.json").exists():
        raise UnitBenchError(run.results / "manifest.json", "file not found", f"make run CONFIG={run.path} first")
    tables = [pd.read_parquet(run.results / f"{name}.parquet") for name in ("scores", "maps")]
    board = pd.read_csv(
        run.results / "leaderboard.csv", keep_default_na=False, na_values={"value": "", "low": "", "high": ""}
    )
    return tables[0], board, tables[1], read_json(run.results / "manifest.json")


@app.command("list")
def list_() -> None:
    """Show the installed methods, datasets and tasks, and mark the plugins that fail to import."""
    from rich.console import Console
    from rich.table import Table

    from benchmark.registry import GROUPS, plugins

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

    from benchmark.corpus import write_corpus
    from benchmark.registry import make

    run = _run(config, results)
    dataset = make("datasets", run.config.dataset.name, run.config.dataset.options)
    console = Console(stderr=True)
    corpus = write_corpus(
        dataset.slides(), run.corpus, dataset.record(), progress=lambda name: console.print(f"slide {name}")
    )
    console.print(f"{len(corpus)} slides, {corpus.n_spots} spots, {len(corpus.genes)} genes → {run.corpus}")


@app.command()
def pretrain(method: MethodLabel, fold: FoldName, config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Fit one method in one fold: every budget and seed; keep its embeddings and predictions. Finished arms are kept."""
    from benchmark.arms import run_arms
    from benchmark.corpus import open_corpus
    from benchmark.files import write_json
    from benchmark.progress import reporter

    run = _run(config, results)
    tell = reporter(run.progress(method, fold), f"{method} {fold}")
    records = run_arms(run.config, open_corpus(run.corpus), run.results, method, fold, tell)
    write_json(run.arms(method, fold), records)


@app.command()
def score(method: MethodLabel, fold: FoldName, config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Score the arms of one method in one fold on every task: one file of score rows."""
    from benchmark.corpus import open_corpus
    from benchmark.evaluate import score_arms
    from benchmark.files import read_json
    from benchmark.scores import write_rows, write_table

    run = _run(config, results)
    rows, maps = score_arms(run.config, open_corpus(run.corpus), run.results, read_json(run.arms(method, fold)))
    write_table(run.maps(method, fold), maps)
    write_rows(run.scores(method, fold), rows)


@app.command()
def leaderboard(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Gather all score rows; write them, the leaderboard with its intervals, and the manifest."""
    import pandas as pd

    from benchmark import leaderboard
    from benchmark.files import write_json
    from benchmark.manifest import manifest
    from benchmark.scores import read_rows, write_table

    run = _run(config, results)
    rows = read_rows(run.scores(*job) for job in run.jobs)
    maps = pd.concat([pd.read_parquet(run.maps(*job)) for job in run.jobs], ignore_index=True)
    for suffix in (".parquet", ".csv"):
        write_table(run.results / f"scores{suffix}", rows)
    write_table(run.results / "maps.parquet", maps)
    write_table(run.results / "leaderboard.csv", leaderboard.leaderboard(rows))
    write_json(run.results / "manifest.json", manifest(run))


@app.command()
def report(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Write the report: one HTML page that opens from disk."""
    from benchmark.report.page import write_report

    run = _run(config, results)
    rows, board, maps, made_by = _written(run)
    write_report(rows, board, maps, made_by, run.results / "report.html")


@app.command()
def track(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Import the leaderboard into MLflow; what is there already is left alone."""
    from benchmark.files import write_json
    from benchmark.tracking import track

    run = _run(config, results)
    rows, board, *_ = _written(run)
    write_json(run.results / "mlflow.json", track(rows, board, run.results / "mlflow.db", run.config.name)._asdict())


@app.command()
def verdict(config: ConfigPath = CONFIG, results: Results = RESULTS) -> None:
    """Print the leaderboard; exit with 1 if an arm has failed."""
    import io

    from rich.console import Console

    from benchmark.files import write_text
    from benchmark.leaderboard import arms, print_board
    from benchmark.scores import status_line

    run = _run(config, results)
    rows, board, *_ = _written(run)
    text = io.StringIO()
    console = Console(file=text, width=150)
    print_board(board, console)
    console.print(status_line(arms(rows)), highlight=False)
    for name in ("report.html", "leaderboard.csv", "scores.parquet"):
        console.print(f"  {run.results / name}", highlight=False, soft_wrap=True)
    console.print(f"  MLflow: make board CONFIG={run.path}", highlight=False, soft_wrap=True)
    print(text.getvalue(), end="")
    if (arms(rows)["status"] == "failed").any():
        raise typer.Exit(1)
    write_text(run.results / "verdict.txt", text.getvalue())


@app.command()
def board(
    config: ConfigPath = CONFIG,
    results: Results = RESULTS,
    port: Annotated[int, typer.Option(help="Another one is taken if this is busy.")] = 5000,
) -> None:
    """Open the MLflow leaderboard on 127.0.0.1."""
    from benchmark.tracking import serve

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
    from benchmark.progress import run_workflow

    raise typer.Exit(run_workflow(_run(config, results), cores, resume))


def main() -> None:
    """Bad input ends with one line and exit code 2."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    try:
        app()
    except UnitBenchError as error:
        sys.exit(_complain(error))


def _complain(error: UnitBenchError) -> int:
    print(f"unitbench: {' '.join(str(error).split())}", file=sys.stderr)
    return 2
