"""Finished runs → a static site that opens from disk: a front page, pages of methods and datasets, every report."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import metadata
from pathlib import Path

import pandas as pd
from PIL import Image
from plotly.offline import get_plotlyjs

from benchmark.core.curves import NO_CURVES
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_json, read_parquet, write_atomic, write_json, write_text
from benchmark.core.registry import plugins as installed
from benchmark.core.scores import read_table, write_table
from benchmark.core.verified import SCORES, verdict
from benchmark.experiment.maps import NO_MAP
from benchmark.experiment.written import Written, by_dataset
from benchmark.report.page import write_report
from benchmark.report.site import Found, front_html
from benchmark.report.site_dataset import MISSING, Kept, dataset_html
from benchmark.report.site_method import About, method_html
from benchmark.report.site_names import dataset_page, method_page, run_folder
from benchmark.stats.apart import apart
from benchmark.stats.leaderboard import leaderboard
from benchmark.stats.options import entries
from benchmark.stats.summary import gather
from benchmark.stats.summary_tables import boards, contests

PICTURE, COLOURS = "overview.png", 64  # of the copy of a picture: it has few


def write_site(folders: Sequence[Path], out: Path) -> str:
    """Write the site of all runs in some folders, at any depth.

    Returns:
        What was written, in a line.

    Raises:
        UnitBenchError: no run there, a folder that is damaged, or a folder given twice.
    """
    places = {run.name: (run, folder) for name, folder in _runs(folders) for run in _read(name, folder)}
    runs = [run for run, _ in places.values()]
    renamed, tables = apart({run.name: _identified(run) for run in runs})
    rows, _ = gather(renamed)
    if not (shown := contests(rows)):
        raise UnitBenchError(folders[0], "no task has its first key score", "give runs with scores")
    found = Found(rows, boards(rows), shown, tables.set_index("table")["dataset"].to_dict(), _plugins(rows))
    write_text(out / "plotly.js", get_plotlyjs())
    for run, folder in places.values():
        _write_run(run, folder, out / run_folder(run.name))
    _write_methods(found, runs, out)
    _write_datasets(found, runs, renamed, out)
    write_text(out / "index.html", front_html(found, runs))
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    counts = f"{len(runs)} runs, {len(set(found.plugins.values()))} methods, {len(set(found.tissue.values()))} datasets"
    return f"{counts}, {size / 1e6:.1f} MB → {out / 'index.html'}"


def _runs(folders: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """The finished runs in and below the folders, with their names: where they lie below the folder that was given."""
    seen: dict[str, Path] = {}
    for top in folders:
        inside = [path.parent for path in sorted(top.rglob("manifest.json")) if (path.parent / SCORES).exists()]
        if not inside:
            raise UnitBenchError(top, f"holds no finished run ({SCORES} and manifest.json)", "give a folder of results")
        for folder in inside:
            below = folder.relative_to(top).as_posix()
            name = top.resolve().name if below == "." else below
            name = name if name not in seen else f"{top.resolve().name}/{below}"
            if name in seen or folder.resolve() in seen.values():
                raise UnitBenchError(
                    folder, f"given twice, or has the name {name!r} of another", "give each folder once"
                )
            seen[name] = folder.resolve()
            yield name, folder


def _read(name: str, folder: Path) -> Iterator[Kept]:
    """A run, or of a run on several datasets what belongs to each. Maps and curves may be absent: old references have
    none."""
    rows = read_table(folder / SCORES)
    maps, curves = folder / "maps.parquet", folder / "curves.parquet"
    tables = Written(
        rows,
        leaderboard(rows),
        read_parquet(maps) if maps.exists() else NO_MAP,
        read_parquet(curves) if curves.exists() else NO_CURVES,
        read_json(folder / "manifest.json", dict, {"code": dict, "folds": dict}),
    )
    scores, parts = verdict(folder) or "self-reported", by_dataset(tables)
    for number, (dataset, part) in enumerate(parts.items()):
        of_maps = part.maps if maps.exists() else None
        picture = number == 0 and (folder / PICTURE).exists()  # a run's picture is of its first dataset
        called = name if len(parts) == 1 else f"{name}/{dataset}"
        yield Kept(called, part.rows, part.board, of_maps, part.curves, part.manifest, scores, picture)


def _identified(run: Kept) -> pd.DataFrame:
    """The rows, with the name and hash of the data from the manifest where an old run has no hash in its rows."""
    data = run.manifest.get("data", {})
    if (run.rows["data"] != "").any() or not {"name", "sha256"} <= data.keys():
        return run.rows
    return run.rows.assign(dataset=data["name"], data=data["sha256"])


def _plugins(rows: pd.DataFrame) -> dict[str, str]:
    """Name of an entrant → its plugin."""
    return {label: str(entry["method"]) for label, entry in entries(rows).items()}


def _write_run(run: Kept, folder: Path, out: Path) -> None:
    """The report of a run, and its files to take away. Scores are as float32: further digits are noise, and half of the
    file."""
    write_report(run.rows, run.board, run.maps, run.curves, run.manifest, out / "report.html", "../../")
    write_table(out / "leaderboard.csv.gz", run.board)
    write_table(out / "scores.csv.gz", run.rows.astype({"value": "float32"}))
    write_json(out / "manifest.json", run.manifest)
    if run.picture:
        with Image.open(folder / PICTURE) as picture:
            small = picture.convert("RGB").quantize(COLOURS)
        write_atomic(out / PICTURE, lambda file: small.save(file, optimize=True))


def _write_methods(found: Found, runs: Sequence[Kept], out: Path) -> None:
    for plugin in sorted(set(found.plugins.values())):
        own = found.rows[found.rows["method"].map(found.plugins) == plugin]
        about = _about(plugin, set(own["run"]), runs)
        text = method_html(plugin, about, own, found.board, found.plugins, found.tissue)
        write_text(out / method_page(plugin), text)


def _write_datasets(found: Found, runs: Sequence[Kept], renamed: Mapping[str, pd.DataFrame], out: Path) -> None:
    for dataset in sorted(set(found.tissue.values())):
        tables = {
            table: [run for run in runs if table in set(renamed[run.name]["dataset"])]
            for table, of in found.tissue.items()
            if of == dataset
        }
        rows = found.rows[found.rows["dataset"].isin(list(tables))]
        text = dataset_html(dataset, tables, rows, found.board, found.contests, found.plugins)
        write_text(out / dataset_page(dataset), text)


def _about(plugin: str, names: set[str], runs: Sequence[Kept]) -> About:
    """What the plugin says of itself, if it is installed here, and its versions in these runs."""
    told = [line.split(": ", 1) for run in runs if run.name in names for line in run.manifest.get("plugins", [])]
    labels = {
        label for run in runs if run.name in names for label, e in entries(run.rows).items() if e["method"] == plugin
    }
    versions = sorted({version for label, version in told if label in labels}) or [MISSING]
    if plugin not in installed("methods"):
        return About("", "not installed where this site was made", versions, MISSING, {})
    entry = installed("methods")[plugin]
    package = metadata(entry.distribution)
    licence = package.get("License-Expression") or package.get("License") or MISSING
    try:
        made = entry.load()
    except UnitBenchError as error:
        return About("", error.cause, versions, licence, {})
    options = {
        name: "needed" if option.default is option.empty else repr(option.default)
        for name, option in inspect.signature(made).parameters.items()
    }
    return About(inspect.cleandoc(made.__doc__ or ""), "", versions, licence, options)
