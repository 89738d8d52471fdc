"""The score rows of several finished runs as one table, refused where they do not compare."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

import pandas as pd

from benchmark.core.errors import UnitBenchError
from benchmark.stats.contests import CONTEST
from benchmark.stats.options import DEFAULT
from benchmark.stats.rows import ENTRANT, PLACE

NO_SCORES = ["arm", "cost", "objective"]  # tasks of rows that nothing is ranked by
ONE = [*CONTEST, *ENTRANT, "options", *PLACE]  # what a score is of: it counts once, whoever measured it
TWICE = ["dataset", "method", "budget", "kept", "left_out", "scores", "greatest_difference"]


def gather(runs: Mapping[str, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All score rows, with the column `run`. A label that has other options in another run gets them in its name.

    A score that two runs have is taken from the first of them.

    Args:
        runs: score rows, by the folder of the run.

    Returns:
        The rows; and for each entrant that two runs have: the run that is kept and the one that is left out, how many
        scores that concerns, and by how much they differ at most.

    Raises:
        UnitBenchError: scores without a protocol id, or scores of two protocols or of two data under one name.
    """
    for run, rows in runs.items():
        if ((rows["protocol"] == "") & ~rows["task"].isin(NO_SCORES)).any() or (rows["data"] == "").any():
            cause = "its scores have no protocol id or no data hash: an older version made them"
            raise UnitBenchError(run, cause, "run it again")
    together = pd.concat([rows.assign(run=run) for run, rows in runs.items()], ignore_index=True)
    _check_one(together, ["dataset"], "data", "slides")
    _check_one(together[~together["task"].isin(NO_SCORES)], ["dataset", "task", "split"], "protocol", "protocol")
    together = together.assign(method=_labels(together))
    return together.drop_duplicates(ONE, ignore_index=True), _twice(together)


def _check_one(rows: pd.DataFrame, keys: list[str], column: str, what: str) -> None:
    """Raises UnitBenchError: the rows of one `keys` have two values of the column."""
    found = rows.drop_duplicates([*keys, column])
    for key, group in found.groupby(keys):
        if len(group) > 1:
            (run, first), (other, second) = group[["run", column]].to_numpy()[:2]
            name = ", ".join(map(repr, key))
            cause = f"{name} has other {what} than in {run} ({second}, there {first})"
            raise UnitBenchError(other, cause, "leave one of the two out, or rename its dataset and run it again")


def _labels(rows: pd.DataFrame) -> pd.Series:
    """The label of each row, with the options that tell it from the same label in another run."""
    names: dict[tuple[str, str], str] = {}
    for label, group in rows.groupby("method")["options"]:
        options = {text: json.loads(text) for text in group.unique()}
        for text, values in options.items():
            names[str(label), text] = str(label) + _differing(values, options.values())
    pairs = zip(rows["method"], rows["options"], strict=True)
    return pd.Series([names[pair] for pair in pairs], rows.index)


def _differing(values: Mapping, others: Iterable[Mapping]) -> str:
    """The options of which another one has another value, as " [size=8]"; empty where there is none."""
    keys = sorted({key for other in others for key in {*values, *other} if values.get(key) != other.get(key)})
    return f" [{', '.join(f'{key}={values.get(key, DEFAULT)}' for key in keys)}]" if keys else ""


def _twice(rows: pd.DataFrame) -> pd.DataFrame:
    """The entrants that more than one run has scores of, with the columns `TWICE`."""
    rows = rows[~rows["task"].isin(NO_SCORES)]
    first = rows.drop_duplicates(ONE)
    pairs = rows.loc[rows.index.difference(first.index)].merge(first, on=ONE, suffixes=("", "_first"))
    pairs = pairs.rename(columns={"run_first": "kept", "run": "left_out"})
    pairs["differ"] = (pairs["value"].astype(float) - pairs["value_first"].astype(float)).abs()
    found = pairs.groupby(["dataset", "method", "budget", "kept", "left_out"])["differ"].agg(["size", "max"])
    return found.reset_index().set_axis(TWICE, axis=1)
