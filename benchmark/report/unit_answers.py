"""The answers about units: does the unit matter, at which budget, and is it more than smoothing?"""

from __future__ import annotations

import pandas as pd

from benchmark.report.answers import NOT_SHOWN, YES, Answer, amount, cannot, p_text, sentence, signed
from benchmark.report.words import metric_of
from benchmark.stats.champions import BEST, Champions
from benchmark.stats.comparisons import TOO_FEW
from benchmark.stats.contests import PRIMARY, Contest, select
from benchmark.stats.spread import spread


def unit(matches: Champions, contest: Contest) -> Answer:
    """The best unit against the worst, at the largest budget that two of them have reached.

    Args:
        matches: those of `contest` and `BEST`.
    """
    shared = [match for match, units in matches.items() if len(units) > 1]
    if not shared:
        return _one_unit(matches, contest)
    match = max(shared, key=lambda match: match.budget)
    ends = spread({unit: best.scores for unit, best in matches[match].items()}, contest)
    if ends is None:
        return cannot("no donor was scored for every unit")
    by = f"{signed(ends._asdict())} {metric_of(contest)}"
    lead = f"{ends.best} leads {ends.worst} by {by}"
    if ends.n_levels > 2:
        lead = f"{ends.best} is best and {ends.worst} worst, {by} apart"
    text = f"At {amount(match.budget_axis, match.budget)} {lead} ({p_text(ends.p)}): {ends.verdict}."
    return Answer(YES if ends.clear else NOT_SHOWN, text)


def budget(won: pd.DataFrame, matches: Champions, contest: Contest) -> Answer:
    """The winner of each budget.

    Args:
        won: `winners.winners` of all matches.
        matches: those of `contest` and `BEST`.
    """
    table = select(won, contest)
    table = table[table["size"] == BEST].sort_values("budget")
    if table.empty:
        return _one_unit(matches, contest)
    table = table.assign(wins=table["verdict"].str.endswith(" wins"))
    by_verdict: dict[str, list[str]] = {}
    for _, row in table.sort_values("wins", ascending=False, kind="stable").iterrows():
        at, by = amount(row["budget_axis"], row["budget"]), signed(row)
        text = f"at {at} ({by})" if row["wins"] else f"{row['first']} leads {row['second']} at {at} by {by}"
        by_verdict.setdefault(row["verdict"] + (" " if row["wins"] else ": "), []).append(text)
    text = "; ".join(verdict + ", ".join(texts) for verdict, texts in by_verdict.items())
    start = "This run has one budget; " if len(table) == 1 else ""
    n_won = int(table["wins"].sum())
    return Answer(f"{n_won} of {len(table)}" if n_won else NOT_SHOWN, sentence(start + text))


def smoothing(beyond: pd.DataFrame, rows: pd.DataFrame) -> Answer:
    """Whether a unit that pools spots beats all that only smooths.

    Args:
        beyond: `smoothing.beyond_smoothing`.
        rows: score rows; they say what the run lacks.
    """
    if beyond.empty:
        pooled = rows[rows["unit"].isin(["patch", "slide"])]
        if not (pooled["budget"] > 0).any():
            return cannot("it trains neither patch nor slide")
        if not (pooled["budget"] == 0).any():
            return cannot("it has no untrained trunk (budget 0)")
        return cannot("it has no score of PCA or the spot unit after the mean over 8 neighbours")
    better = beyond[beyond["verdict"] == "better"]
    row = (better if len(better) else beyond).sort_values("difference", ascending=False).iloc[0]
    at, by = amount(row["budget_axis"], row["budget"]), f"{signed(row)} {metric_of(PRIMARY)}"
    if len(better):
        return Answer(YES, f"At {at} {row['unit']} beats all that only smooths, {row['rival']} by the least: {by}.")
    lead = "leads" if row["difference"] > 0 else "does not lead"
    text = f"At {at} {row['unit']} {lead} {row['rival']}: {by} ({p_text(row['p_holm'])} against all that only smooths)"
    return Answer(NOT_SHOWN, text + (f": {TOO_FEW}." if row["verdict"] == TOO_FEW else "."))


def _one_unit(matches: Champions, contest: Contest) -> Answer:
    units = {unit for champions in matches.values() for unit in champions}
    if not units:
        return cannot(f"no trained unit has a {metric_of(contest)} with donors held out")
    return cannot(f"it has only one unit, {units.pop()}" if len(units) == 1 else "no two units share a budget")
