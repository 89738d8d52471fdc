"""Runs that do not compare, put apart: scores of other data or another protocol get a table of their own."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from benchmark.stats.summary import NO_SCORES


def apart(runs: Mapping[str, pd.DataFrame]) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """The rows under names of datasets that `gather` takes as one.

    Runs share a name if they have the same data and, of each task and split that both scored, the same protocol. A run
    without ids shares it with none. A name that would stand for several tables is followed by the first run of each.

    Args:
        runs: score rows, by the name of the run.

    Returns:
        The rows of each run, of which `dataset` is the new name, and an id that is missing says so. And for each name:
        `table` (the name), `dataset` (the old one), `run` (the first), `known` (whether there are ids).
    """
    found: list[dict] = []
    parts = [(run, str(dataset), part) for run, rows in runs.items() for dataset, part in rows.groupby("dataset")]
    homes = [_home(found, run, dataset, part) for run, dataset, part in parts]
    tables = pd.DataFrame(found, columns=["dataset", "run", "known"])
    several = tables["dataset"].duplicated(keep=False)
    tables.insert(0, "table", tables["dataset"].where(~several, tables["dataset"] + " (" + tables["run"] + ")"))
    renamed: dict[str, list[pd.DataFrame]] = {run: [] for run in runs}
    for (run, _, part), home in zip(parts, homes, strict=True):
        ids = {name: part[name].where(part[name] != "", f"not recorded ({run})") for name in ("data", "protocol")}
        renamed[run].append(part.assign(dataset=tables["table"].iloc[home], **ids))
    return {run: pd.concat(found, ignore_index=True) for run, found in renamed.items()}, tables


def _home(found: list[dict], run: str, dataset: str, rows: pd.DataFrame) -> int:
    """The number of the table that these rows belong to; a new one where none fits."""
    scored = rows[~rows["task"].isin(NO_SCORES)]
    known = bool((scored["protocol"] != "").all() and (rows["data"] != "").all())
    data = rows["data"].iloc[0]
    ids = {(row.task, row.split): row.protocol for row in scored.drop_duplicates(["task", "split"]).itertuples()}
    for number, table in enumerate(found):
        fits = known and table["known"] and table["dataset"] == dataset and table["data"] == data
        if fits and all(table["ids"].get(key, protocol) == protocol for key, protocol in ids.items()):
            table["ids"] |= ids
            return number
    found.append({"dataset": dataset, "run": run, "known": known, "data": data, "ids": ids})
    return len(found) - 1
