"""What MLflow gets of a run: its tables, how it was made, its report, and a note that explains the board."""

from __future__ import annotations

from benchmark.experiment.layout import Run
from benchmark.experiment.written import Written, views_of, written
from benchmark.report.mlflow_board import About, Counts, track
from benchmark.stats.contests import key_meanings

NOTE = """A row is a method with a budget; every number is a mean over donors of means over slides and seeds.

- *Columns* are ordered by importance: the first is the headline score. TFLOP, seconds and spots are what the training
  of an arm took; a dash: it was not trained. *Duration* is that training, too.
- *Chart view*: `loss`, `held_out_r2`, `learning_rate` and `gflops_per_second` have steps; a step is a GFLOP spent.
- The run "report and config" keeps the report, its picture and the whole config as artifacts. Intervals and tests stand
  in the report.
- *Scores*: """
MADE_BY = ("commit", "device", "precision", "torch")
REPORT, PICTURE, CONFIG = "report.html", "overview.png", "config.yaml"


def track_tables(run: Run) -> Counts:
    """Write them, each dataset as an experiment of its own. Raises UnitBenchError: see `track`."""
    found = []
    for folder, tables in views_of(run, written(run)).items():
        files = [path for path in (folder / REPORT, folder / PICTURE, run.results / CONFIG) if path.exists()]
        about = About(NOTE + key_meanings(tables.board), _tags(tables), files)
        name = run.config.name if folder == run.results else f"{run.config.name}-{folder.name}"
        found.append(track(tables.rows, tables.board, tables.curves, run.database, name, about))
    return Counts(*map(sum, zip(*found, strict=True)))


def _tags(tables: Written) -> dict[str, str]:
    """How the arms were made, and the protocol of the domains with donors held out. Several values are all named."""
    values = {name: {str(arm[name]) for arm in tables.manifest.get("arms", [])} for name in MADE_BY}
    rows = tables.rows
    values["protocol"] = set(rows.loc[(rows["task"] == "domain") & (rows["split"] == "donor"), "protocol"])
    return {name: text for name, found in values.items() if (text := ", ".join(sorted(found - {""})))}
