"""From score rows to the leaderboard: means, intervals over donors and seeds, ranks. Pure functions of the rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from benchmark.stats import intervals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

CONTEST = ["dataset", "split", "task", "setting", "neighbours", "metric"]
ENTRANT = ["method", "unit", "budget_axis", "budget"]
CELL = ["block", "seed"]
LOWER_IS_BETTER = {error + part for error in ("mse", "mae") for part in ("", "_zero", "_nonzero")} | {"rmse"}
LOWER_IS_BETTER |= {"kid", "kid_low", "kid_high", "frechet", "wasserstein", "ks", "condition_ignored"}
AXIS_UNITS = {"flops": "FLOP", "device_seconds": "s", "spots": " spots"}


class Contest(NamedTuple):
    """What entrants are compared by."""

    split: str
    task: str
    setting: str
    neighbours: int
    metric: str


PRIMARY = Contest("donor", "domain", "knn", 0, "macro_f1")

# The columns of the short tables, donors held out unless they say otherwise. Short, since MLflow cuts long names,
# and made of letters that it takes.
KEY_CONTESTS = {
    "macro-F1": PRIMARY,
    "F1 mean8": PRIMARY._replace(neighbours=8),
    "accuracy": PRIMARY._replace(metric="accuracy"),
    "acc. random": PRIMARY._replace(metric="accuracy", split="random"),
    "F1 linear": Contest("donor", "annotation", "linear", 0, "macro_f1"),
    "ARI k-means": Contest("donor", "clustering", "kmeans", 0, "ari"),
    "r hole 4": Contest("donor", "reconstruction", "hole 4", 0, "pearson"),
    "r imputed": Contest("donor", "imputation", "genes", 0, "pearson"),
    "r image": Contest("donor", "expression_from_image", "xgboost", 0, "pearson"),
    "F1 image": Contest("donor", "label_from_image", "knn", 0, "macro_f1"),
    "KID": Contest("donor", "generation", "generated", 0, "kid"),
}
KEY_WORDS = {
    "macro-F1": "macro-F1, accuracy: k-NN on frozen embeddings",
    "F1 mean8": "mean8: after an 8-neighbour mean",
    "acc. random": "acc. random: random spots of the same slides instead",
    "r hole 4": "r hole 4: Pearson of reconstructed expression",
    "F1 linear": "F1 linear: macro-F1 of annotation by a linear probe",
    "r imputed": "r imputed: Pearson of hidden genes",
    "r image": "r image: Pearson of expression from the image",
    "F1 image": "F1 image: macro-F1 of k-NN on the image alone",
    "KID": "KID: of generated images, the lower the better",
}


def select(table: pd.DataFrame, contest: Contest) -> pd.DataFrame:
    """The rows of score rows or of a leaderboard that belong to one contest."""
    return table[(table[list(Contest._fields)] == contest).all(axis=1)]


def arms(rows: pd.DataFrame) -> pd.DataFrame:
    """One row an arm (method × budget × fold × seed), with its status and reason."""
    return rows[(rows["task"] == "arm") & (rows["metric"] == "status")]


def scores(rows: pd.DataFrame) -> pd.DataFrame:
    """The measured scores in a fixed order, with `block`: the donor, or the repeat where the spots were pooled."""
    kept = rows[(rows["status"] == "ok") & ~rows["task"].isin(["arm", "cost"])]
    kept = kept.assign(block=kept["donor"].where(kept["donor"] != "pooled", kept["fold"]))
    return kept.sort_values([*CONTEST, *ENTRANT, *CELL, "fold", "slide"], ignore_index=True).drop_duplicates()


def cells(measured: pd.DataFrame) -> pd.DataFrame:
    """Means over slides: a row a contest, entrant and block, a column a seed, NaN where nothing was measured."""
    return measured.groupby([*CONTEST, *ENTRANT, *CELL])["value"].mean().unstack("seed")


def leaderboard(rows: pd.DataFrame) -> pd.DataFrame:
    """One row a contest and entrant, best first; an entrant without any value has a row with its reason.

    `value` is the mean over donors of the mean over slides and seeds; `low` and `high` bound its 95% bootstrap
    interval over what `resampled` names. `n_present` of `n_expected` counts the (slide, fold, seed) that gave a value.
    `spots_seen` is what the budget was enough for in an arm, repeats included; NaN where nothing was trained.
    """
    measured = scores(rows)
    board = _places(rows, measured).merge(_values(measured, rows), how="left", on=[*CONTEST, *ENTRANT])
    board = board.merge(_spots_seen(rows), how="left", on=["dataset", *ENTRANT])
    board = board.merge(_reasons(rows), how="left", on=["dataset", "task", *ENTRANT])
    counts = ["n_present", "n_blocks", "n_seeds"]
    board[counts] = board[counts].fillna(0).astype(int)
    board["transductive"] = board["transductive"].eq(True)
    board[["resampled", "note"]] = board[["resampled", "note"]].fillna("")
    absent = board["n_present"] == 0
    board["status"] = board["status"].fillna("failed").where(absent, "ok")
    board["reason"] = board["reason"].fillna("no arm of it has a score").where(absent, "")

    better = board["value"].where(~board["metric"].isin(LOWER_IS_BETTER), -board["value"])
    rank = better.groupby([board[key] for key in CONTEST]).rank(method="min", ascending=False)
    board["rank"] = rank.astype("Int64")
    return named(board, rows).sort_values([*CONTEST, "rank", *ENTRANT], ignore_index=True)


def _places(rows: pd.DataFrame, measured: pd.DataFrame) -> pd.DataFrame:
    """Every entrant in every contest, with the number of (slide, fold, seed) that it has and that anybody has."""
    place = ["slide", "fold", "seed"]
    entrants = rows[["dataset", *ENTRANT]].drop_duplicates()
    expected = measured.drop_duplicates([*CONTEST, *place]).groupby(CONTEST).size().rename("n_expected")
    present = measured.drop_duplicates([*CONTEST, *ENTRANT, *place]).groupby([*CONTEST, *ENTRANT])
    present = present.agg(n_present=("seed", "size"), transductive=("transductive", "any"), note=("note", "max"))
    pairs = expected.reset_index().merge(entrants, on="dataset")
    return pairs.merge(present.reset_index(), how="left", on=[*CONTEST, *ENTRANT])


def _values(measured: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """value, low, high, resampled, n_blocks, n_seeds of each contest and entrant that has a score."""
    by_seed = cells(measured)
    matrix = by_seed.to_numpy()
    records = [
        (*key, *_summary(matrix[index], pooled=key[CONTEST.index("split")] != "donor"))
        for key, index in by_seed.groupby([*CONTEST, *ENTRANT]).indices.items()
    ]
    summary = ["value", "low", "high", "resampled", "n_blocks", "n_seeds"]
    table = pd.DataFrame(records, columns=[*CONTEST, *ENTRANT, *summary])
    return table.astype(rows[[*CONTEST, *ENTRANT]].dtypes)  # an empty table has no types of its own


def _summary(cells: np.ndarray, pooled: bool) -> tuple:
    """value, low, high, resampled, n_blocks, n_seeds of `[n_blocks, n_seeds]`."""
    cells = cells[:, ~np.isnan(cells).all(axis=0)]
    n_blocks, n_seeds = cells.shape
    blocks = "repeats" if pooled else "donors"
    resampled = ", ".join(word for word, n in ((blocks, n_blocks), ("seeds", n_seeds)) if n > 1)
    return intervals.mean(cells), *intervals.bootstrap(cells), resampled, n_blocks, n_seeds


def _spots_seen(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over the arms of each entrant that trained."""
    seen = rows[(rows["task"] == "cost") & (rows["metric"] == "spots_seen") & (rows["status"] == "ok")]
    return seen.groupby(["dataset", *ENTRANT])["value"].mean().rename("spots_seen").reset_index()


def _reasons(rows: pd.DataFrame) -> pd.DataFrame:
    """Why an entrant may lack a task: that it cannot do it, or else that its arms failed."""
    lacking = rows[(rows["status"] != "ok") & ~rows["task"].isin(["arm", "cost"])]
    lacking = lacking.sort_values("status", ascending=False, kind="stable")  # "not applicable" before "failed"
    columns = ["dataset", "task", *ENTRANT]
    return lacking.drop_duplicates(columns)[[*columns, "status", "reason"]]


def references(rows: pd.DataFrame) -> dict[str, str]:
    """For each method, why it is no rival of the others, or ""."""
    return rows.groupby("method")["reference"].max().to_dict()


def named(table: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """A table of entrants with their `name`."""
    reference = references(rows)
    whose = zip(table["method"], table["unit"], table["budget"], strict=True)
    return table.assign(name=[entrant_name(*who, reference[who[0]]) for who in whose])


def rivals(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the methods that may be compared at equal budget: all but references."""
    return rows[rows["reference"] == ""]


def entrant_name(method: str, unit: str, budget: float, reference: str = "") -> str:
    """A trunk that was given nothing is the untrained control of its unit; a reference says why it is one."""
    if reference:
        return f"{method} ({reference})"
    return f"{method} (untrained)" if unit != "none" and budget == 0 else method


def budget_label(axis: str, budget: float, unit: str) -> str:
    return "no training" if unit == "none" else f"{si(budget)}{AXIS_UNITS[axis]}"


def seen_label(spots: float) -> str:
    return "–" if np.isnan(spots) else si(spots).strip()


def si(value: float) -> str:
    """Three digits with an SI prefix: 1.2e13 is "12 T", 0.5 is "0.5 "."""
    power = int(np.clip(np.log10(value) // 3, 0, 6)) if value >= 1 else 0
    return f"{value / 1000**power:.3g} {['', 'k', 'M', 'G', 'T', 'P', 'E'][power]}"


def leading(board: pd.DataFrame) -> tuple[str, Contest]:
    """The first key contest that was held, which entrants are ordered by; `PRIMARY` if none was."""
    return next(iter((held(board) or KEY_CONTESTS).items()))


def held(board: pd.DataFrame) -> dict[str, Contest]:
    """The key contests in which the board has entrants."""
    return {name: contest for name, contest in KEY_CONTESTS.items() if len(select(board, contest))}


def headline(board: pd.DataFrame) -> pd.DataFrame:
    """One row an entrant, one column a key contest that was held; ordered by the first of them."""
    columns = {
        name: select(board, contest).set_index(["name", *ENTRANT])["value"] for name, contest in held(board).items()
    }
    entrants = board.set_index(["name", *ENTRANT]).index.unique()
    table = pd.DataFrame(columns, index=entrants)
    order = table.columns[:1].tolist()
    return table.sort_values(order, ascending=least_first(order[0]), kind="stable") if order else table


def least_first(name: str) -> bool:
    """Whether the lowest value of a column of the headline is the best."""
    return name in KEY_CONTESTS and KEY_CONTESTS[name].metric in LOWER_IS_BETTER


def key_caption(columns: Iterable[str]) -> str:
    """What these columns of the headline are."""
    told = [KEY_WORDS[name] for name in columns if name in KEY_WORDS]
    told = "; ".join(["Whole donors held out", *told])
    return f"{told}. […]: 95% over donors and seeds."


def print_board(board: pd.DataFrame, console: Console) -> None:
    """The headline as a table on the terminal, the first column with its interval."""
    from rich.table import Table

    short = headline(board)
    table = Table(title="Leaderboard", title_justify="left", caption=key_caption(short), caption_justify="left")
    if not len(short.columns):
        return console.print("No arm has a score.")
    first = select(board, KEY_CONTESTS[short.columns[0]]).set_index(["name", *ENTRANT])
    for column in ("method", "budget", "spots seen", *short.columns):
        table.add_column(column, justify="left" if column in ("method", "budget") else "right")
    for key, values in zip(short.index, short.to_numpy(), strict=True):
        name, _, unit, axis, budget = key
        cells = ["–" if np.isnan(value) else f"{value:.3f}" for value in values]
        if not np.isnan(first.loc[key, "low"]):
            cells[0] += " [{low:.2f}, {high:.2f}]".format(**first.loc[key, ["low", "high"]])
        table.add_row(name, budget_label(axis, budget, unit), seen_label(first.loc[key, "spots_seen"]), *cells)
    console.print(table)
