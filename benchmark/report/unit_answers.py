"""The answers about units: does the unit matter, at which budget, and is it more than smoothing?"""

from __future__ import annotations

import pandas as pd

from benchmark.report.answers import NOT_SHOWN, YES, Answer, amount, cannot, p_text, sentence, shared, signed
from benchmark.report.learning import no_part
from benchmark.report.words import metric_of
from benchmark.stats.champions import BEST, Champions
from benchmark.stats.contests import PRIMARY, Contest, select
from benchmark.stats.correction import CLEAR, TOO_FEW
from benchmark.stats.evidence import UNITS
from benchmark.stats.learned import LEARNED, NOT_LEARNED, that_learned


def unit(ends: pd.DataFrame, matches: Champions, contest: Contest, told: pd.DataFrame) -> Answer:
    """The best unit against the worst, at the largest budget that two of them have reached.

    Args:
        ends: of the page's evidence.
        matches: those of `contest` and `BEST`.
        told: of the page's evidence, `learned`. Who did not learn takes no part, and the sentence says so.
    """
    answer = _unit(ends, matches, contest, told)
    return answer._replace(text=answer.text + no_part(told))


def _unit(ends: pd.DataFrame, matches: Champions, contest: Contest, told: pd.DataFrame) -> Answer:
    if not any(len(units) > 1 for units in matches.values()):
        return _one_unit(matches, contest, told)
    if UNITS not in ends.index:
        return cannot("no donor was scored for every unit")
    row = ends.loc[UNITS]
    by = f"{signed(row)} {metric_of(contest)}"
    lead = f"{row['best']} leads {row['worst']} by {by}"
    if row["n_levels"] > 2:
        lead = f"{row['best']} is best and {row['worst']} worst, {by} apart"
    at = amount(row["budget_axis"], row["budget"])
    text = f"At {at} {lead}{shared(row)} ({p_text(row['p_holm'])}): {row['verdict']}."
    return Answer(YES if row["verdict"] == CLEAR else NOT_SHOWN, text)


def budget(won: pd.DataFrame, matches: Champions, contest: Contest, told: pd.DataFrame) -> Answer:
    """The winner of each budget.

    Args:
        won: of the page's evidence.
        matches: those of `contest` and `BEST`.
        told: as for `unit`.
    """
    answer = _budget(won, matches, contest, told)
    return answer._replace(text=answer.text + no_part(told))


def _budget(won: pd.DataFrame, matches: Champions, contest: Contest, told: pd.DataFrame) -> Answer:
    table = select(won, contest)
    table = table[table["size"] == BEST].sort_values("budget")
    if table.empty:
        return _one_unit(matches, contest, told)
    table = table.assign(wins=table["verdict"].str.endswith(" wins"))
    by_verdict: dict[str, list[str]] = {}
    for _, row in table.sort_values("wins", ascending=False, kind="stable").iterrows():
        at, by = amount(row["budget_axis"], row["budget"]), signed(row)
        by += shared(row)
        text = f"at {at} ({by})" if row["wins"] else f"{row['first']} leads {row['second']} at {at} by {by}"
        by_verdict.setdefault(row["verdict"] + (" " if row["wins"] else ": "), []).append(text)
    text = "; ".join(verdict + ", ".join(texts) for verdict, texts in by_verdict.items())
    start = "This run has one budget; " if len(table) == 1 else ""
    n_won = int(table["wins"].sum())
    return Answer(f"{n_won} of {len(table)}" if n_won else NOT_SHOWN, sentence(start + text))


def smoothing(beyond: pd.DataFrame, rows: pd.DataFrame, told: pd.DataFrame) -> Answer:
    """Whether a unit that pools spots beats all that only smooths.

    Args:
        beyond: of the page's evidence.
        rows: score rows; they say what the run lacks.
        told: as for `unit`.
    """
    if beyond.empty:
        pooled = rows[rows["unit"].isin(["patch", "slide"])]
        if (pooled["budget"] > 0).any() and not (that_learned(pooled, told)["budget"] > 0).any():
            return cannot("no patch and no slide has learned its objective")
        if not (pooled["budget"] > 0).any():
            return cannot("it trains neither patch nor slide")
        if not (pooled["budget"] == 0).any():
            return cannot("it has no untrained trunk (budget 0)")
        return cannot("it has no score of PCA or the spot unit after the mean over 8 neighbours")
    better = beyond[beyond["verdict"] == "better"]
    row = (better if len(better) else beyond).sort_values("difference", ascending=False).iloc[0]
    at, by = amount(row["budget_axis"], row["budget"]), f"{signed(row)} {metric_of(PRIMARY)}{shared(row)}"
    if len(better):
        return Answer(YES, f"At {at} {row['unit']} beats all that only smooths, {row['rival']} by the least: {by}.")
    lead = "leads" if row["difference"] > 0 else "does not lead"
    text = f"At {at} {row['unit']} {lead} {row['rival']}: {by} ({p_text(row['p_holm'])} against all that only smooths)"
    return Answer(NOT_SHOWN, text + (f": {TOO_FEW}." if row["verdict"] == TOO_FEW else "."))


def _one_unit(matches: Champions, contest: Contest, told: pd.DataFrame) -> Answer:
    units = {unit for champions in matches.values() for unit in champions}
    if not units and NOT_LEARNED in set(told["verdict"]) and LEARNED not in set(told["verdict"]):
        return cannot("no trained unit has learned its objective")
    if not units:
        return cannot(f"no trained unit has a {metric_of(contest)} with donors held out")
    return cannot(f"it has only one unit, {units.pop()}" if len(units) == 1 else "no two units share a budget")
