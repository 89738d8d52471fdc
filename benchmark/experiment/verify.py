"""Recompute the scores of a finished run from what it has saved, on data of this machine, and compare. Fits nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from benchmark.core.config import Config, read_config
from benchmark.core.errors import UnitBenchError
from benchmark.core.files import read_json
from benchmark.core.scores import COLUMNS, read_table
from benchmark.core.verified import SCORES, mark
from benchmark.data.corpus import Corpus, open_corpus
from benchmark.data.prepare import prepare
from benchmark.data.splits import check_disjoint
from benchmark.experiment.arms import arms, folds_of
from benchmark.experiment.folder import ArmFolder
from benchmark.experiment.layout import source
from benchmark.experiment.score import score_arms

# Processors differ in the last digit of a float32, 6e-8 of it. A score that was altered by less would change no claim.
CLOSE = {"rtol": 1e-6, "atol": 1e-7}
SHOWN = 10  # differences that are printed
ROW = ["dataset", "method", "unit", "budget_axis", "budget", "fold", "seed"]
ROW += ["split", "task", "setting", "neighbours", "metric", "slide", "donor"]
# The reason of a row without a value is not compared: it may name files and memory of the machine that fitted.
COMPARED = [column for column in COLUMNS if column not in (*ROW, "value", "reason")]
RECORD = {"status": str, "reason": str, "reference": str, "pretrained_on": list, "fitted": bool, "files": dict}
RECORD |= dict.fromkeys(("lacking", "broken", "learned"), dict)  # what score rows are made of


class Verified(NamedTuple):
    """What was found: the data hash of each dataset, how many arms and rows there are, and a line a difference."""

    data: dict[str, str]
    n_arms: int
    n_rows: int
    differences: list[str]


def verify(folder: Path, corpus: Path | None = None) -> Verified:
    """Score the saved embeddings and predictions of all arms of the config anew, and leave `verified.json`.

    What an arm cost, and what it says of its objective, is as its record says: that cannot be recomputed.

    Args:
        folder: a results folder.
        corpus: a corpus that was prepared on this machine. None: it is prepared now, and kept nowhere.

    Raises:
        UnitBenchError: the folder keeps no embeddings, lacks a file, or its rows are of other data.
    """
    if not any(folder.glob("arms/**/*.npz")):
        remedy = "verify the folder of the whole run: config.yaml, scores.parquet, arms/"
        raise UnitBenchError(folder, "keeps no embeddings, so its scores cannot be recomputed", remedy)
    config, rows = read_config(folder / "config.yaml"), read_table(folder / SCORES)
    with tempfile.TemporaryDirectory(prefix="unitbench-verify-") as scratch:
        slides = open_corpus(corpus) if corpus else prepare(source(config), Path(scratch))
        data = {name: part.digest for name, part in slides.evaluated.by_dataset().items()}
        _check_data(folder, rows, data)
        records = list(_records(config, slides, folder))
        again = score_arms(config, slides, folder, records)[0]
    recomputed = pd.DataFrame([row.model_dump() for row in again], columns=COLUMNS)
    lines = list(differences(rows, recomputed))
    mark(folder, data, len(rows), len(lines))
    return Verified(data, len(records), len(rows), lines)


def show(folder: Path, corpus: Path | None) -> int:
    """Verify, and print what was found. Returns the exit code: 1 if a row differs."""
    found = verify(folder, corpus)
    for line in found.differences[:SHOWN]:
        print(line)
    data = ", ".join(f"{name} {digest}" for name, digest in found.data.items())
    rows = f"{found.n_rows:,} rows of {found.n_arms} arms; data: {data}"
    if n := len(found.differences):
        print(f"{n:,} rows differ" + (f", the first {SHOWN} are above" if n > SHOWN else "") + f"; {rows}")
        return 1
    print(f"verified: {rows}. Costs are as the records of the arms state them.")
    return 0


def _check_data(folder: Path, rows: pd.DataFrame, data: dict[str, str]) -> None:
    """Raises UnitBenchError: the rows are of other slides than those here, or do not say of which."""
    for dataset, of_dataset in rows.groupby("dataset")["data"]:
        for digest in of_dataset.unique():
            if digest != data.get(str(dataset)):
                here = data.get(str(dataset), "there is no such dataset")
                cause = f"rows of {dataset!r} are of the data {digest or 'unknown'}, here: {here}"
                raise UnitBenchError(folder / SCORES, cause, "prepare the same data, or run again")


def _records(config: Config, corpus: Corpus, folder: Path) -> Iterator[dict[str, Any]]:
    """The record of each arm of the config, with the slides of its fold as they are drawn here.

    Raises:
        UnitBenchError: an arm of the config is not in the folder, or its record is damaged.
    """
    slides = corpus.record["slides"]
    donors, groups = ({name: slides[name][what] for name in corpus.names} for what in ("donor", "group"))
    for fold in folds_of(config, corpus).values():
        seen = check_disjoint(fold, donors, groups)
        for entry in config.methods:
            place = folder / "arms" / entry.label / fold.name
            first = next(iter(sorted(place.glob("*/arm.json"))), place)
            unit = read_json(first, dict, {"unit": str})["unit"] if first != place else "none"
            for arm in arms(config, entry.label, unit, fold.name):
                record = read_json(ArmFolder(folder, arm.name).record, dict, RECORD)
                yield record | asdict(arm) | {"unit": unit, "seen": seen}


def differences(rows: pd.DataFrame, again: pd.DataFrame) -> Iterator[str]:
    """A line for each row that the two tables of score rows do not share, values within `CLOSE`."""
    there, here = (table.assign(copy=table.groupby(ROW, dropna=False).cumcount()) for table in (rows, again))
    both = there.merge(here, how="outer", on=[*ROW, "copy"], suffixes=("", "_here"), indicator="side")
    value, other = (both[name].to_numpy(dtype=float) for name in ("value", "value_here"))
    differs = ~np.isclose(value, other, **CLOSE, equal_nan=True)
    for column in COMPARED:
        differs |= (both[column] != both[f"{column}_here"]).to_numpy()
    for _, row in both[differs].sort_values("status_here", kind="stable").iterrows():  # failures first
        yield f"{_name(row)}: {_what(row)}"


def _name(row: pd.Series) -> str:
    place = f"{row['method']}/{row['fold']}/{row['budget']:g}-seed{row['seed']}"
    return (
        f"{place}, {row['split']}, {row['task']} {row['setting']} k={row['neighbours']} {row['metric']}, {row['slide']}"
    )


def _what(row: pd.Series) -> str:
    """What differs, of a row of both tables; or that it stands in one alone."""
    reason = f" ({row['reason_here']})" if row["reason_here"] else ""
    if row["side"] == "left_only":
        return "not recomputed: there is no such score"
    if row["side"] == "right_only":
        return f"missing in the file, recomputed {row['status_here']}{reason}"
    for column in COMPARED:
        if row[column] != row[f"{column}_here"]:
            return f"{column} is {row[column]}, recomputed {row[f'{column}_here']}{reason}"
    return f"value is {row['value']:.12g}, recomputed {row['value_here']:.12g}"
