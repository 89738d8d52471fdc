"""The commands beside the workflow: what is installed, plans, tuning, checks of results, pages over several runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from benchmark.cli_app import CONFIG, RESULTS, ConfigPath, Results, app, open_config


@app.command("list")
def list_() -> None:
    """Show the installed methods, datasets and tasks, and mark the plugins that fail to import."""
    from rich.console import Console

    from benchmark.experiment.plugins import plugin_table

    Console().print(plugin_table())


@app.command()
def tune(
    out: Annotated[Path, typer.Option(help="The config that is written.")],
    config: ConfigPath = CONFIG,
    results: Results = RESULTS,
    cores: Annotated[str, typer.Option(help='Cores to use; "all": every core.')] = "all",
) -> None:
    """Try the settings of the config's `tuning` inside the training donors of each fold; write the best as a config."""
    from benchmark.experiment.tune import tune

    raise typer.Exit(tune(open_config(config, results), out, cores))


@app.command()
def plan(
    config: Annotated[Path, typer.Argument(help="The experiment, a YAML file.")] = CONFIG,
    results: Results = RESULTS,
    workers: Annotated[int, typer.Option(min=1, help="Processes at a time: cores, or jobs of a cluster.")] = 1,
    device: Annotated[
        str | None, typer.Option(help='Part of the name of another device whose speed is known, such as "H100".')
    ] = None,
    fit: Annotated[float | None, typer.Option(help="Propose budgets with which the run takes so many hours.")] = None,
    price: Annotated[str, typer.Option(help='Of a device for an hour: "2.50 EUR".')] = "",
    watts: Annotated[float, typer.Option(help="That a device draws.")] = 0.0,
    kwh_price: Annotated[str, typer.Option(help='Of a kilowatt-hour: "0.30 EUR".')] = "",
) -> None:
    """Say what a run will take before anything runs: arms, FLOPs, disk, memory, time, price; and what will not work.

    With a prepared corpus each method that learns is tried for some seconds, once on a machine.
    """
    from rich.console import Console

    from benchmark.experiment.planned import Prices, show

    prices = Prices(price, watts, kwh_price)
    show(open_config(config, results), device, workers, fit, prices, Console(soft_wrap=True))


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
    track: Annotated[bool, typer.Option("--track", help="Write it into MLflow too, experiment `summary`.")] = False,
) -> None:
    """Gather finished runs into one page with ranks over datasets and donors, a picture, and tables as CSV."""
    from benchmark.report.summary import write_summary

    found = write_summary(folders, out)
    if track:
        from benchmark.report.mlflow_summary import track_summary

        print(f"{track_summary(found, out).added} new runs in MLflow's experiment `summary`")
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
