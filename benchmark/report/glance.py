"""The questions of the benchmark, each answered in a sentence that says no more than the numbers do."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmark.report.words import full_name, metric_of
from benchmark.stats.comparisons import by_level, spread
from benchmark.stats.contests import PRIMARY, Contest, select
from benchmark.stats.names import budget_label
from benchmark.stats.options import varied
from benchmark.stats.winners import BEST, Champion

YES, UNCLEAR, UNKNOWN, MEASURED = "yes", "not shown", "cannot tell", "measured"  # what an answer comes to
QUESTIONS = (
    "Does the unit matter?",
    "At which budget?",
    "Is it more than smoothing?",
    "Does the choice of channels matter?",
    "What did leakage explain?",
)
CONDITION = "Do generated images follow from the expression?"  # asked where there are such images
RULES = "channels"  # the option that says how a patch's genes are chosen


class Answer(NamedTuple):
    short: str
    text: str


def glance(
    rows: pd.DataFrame,
    found: dict[tuple, dict[str, Champion]],
    won: pd.DataFrame,
    beyond: pd.DataFrame,
    leaks: pd.DataFrame,
    contest: Contest = PRIMARY,
) -> list[dict]:
    """`question`, `short` and `text` of each of `QUESTIONS`, and of `CONDITION` where a trained method makes images.

    Args:
        rows: score rows.
        found: `winners.champions(rows)`.
        won: `winners.winners(found)`.
        beyond: `factorial.beyond_smoothing(rows, found)`.
        leaks: `leakage.leakage(rows)`.
        contest: what units, budgets and channel rules are compared by.
    """
    places = {at: units for at, units in found.items() if at[: len(contest) + 1] == (*contest, BEST)}
    answers = (
        unit(places, contest),
        budget(won, places, contest),
        smoothing(beyond, rows),
        channels(rows, contest),
        leakage(leaks, rows),
    )
    told = dict(zip(QUESTIONS, answers, strict=True))
    made = conditions(rows)
    if len(made):
        told[CONDITION] = condition(made)
    return [{"question": question} | answer._asdict() for question, answer in told.items()]


def unit(places: dict[tuple, dict[str, Champion]], contest: Contest) -> Answer:
    """The best unit against the worst at the largest budget that two of them have reached."""
    if not any(len(units) > 1 for units in places.values()):
        return _one_unit(places, contest)
    at = max((at for at, units in places.items() if len(units) > 1), key=lambda at: at[-1])
    ends = spread({unit: best.cells for unit, best in places[at].items()}, contest)
    if ends is None:
        return _cannot("no donor was scored for every unit")
    by = f"{_signed(ends)} {metric_of(contest)}"
    said = f"{ends.best} leads {ends.worst} by {by}"
    if ends.n_levels > 2:
        said = f"{ends.best} is best and {ends.worst} worst, {by} apart"
    return Answer(YES if ends.clear else UNCLEAR, f"At {_amount(*at[-2:])} {said} ({_p(ends.p)}): {ends.verdict}.")


def budget(won: pd.DataFrame, places: dict[tuple, dict[str, Champion]], contest: Contest) -> Answer:
    """The winner of each budget."""
    its = select(won, contest)
    its = its[its["size"] == BEST].sort_values("budget")
    if its.empty:
        return _one_unit(places, contest)
    said = {}
    for _, row in its.sort_values(
        "verdict", key=lambda verdict: ~verdict.str.endswith(" wins"), kind="stable"
    ).iterrows():
        at, by = _amount(row["budget_axis"], row["budget"]), _signed(row)
        won = row["verdict"].endswith(" wins")
        text = f"at {at} ({by})" if won else f"{row['first']} leads {row['second']} at {at} by {by}"
        said.setdefault(row["verdict"] + (" " if won else ": "), []).append(text)
    n_won = int(its["verdict"].str.endswith(" wins").sum())
    text = "; ".join(verdict + ", ".join(found) for verdict, found in said.items())
    start = "This run has one budget; " if len(its) == 1 else ""
    return Answer(f"{n_won} of {len(its)}" if n_won else UNCLEAR, _sentence(start + text))


def smoothing(beyond: pd.DataFrame, rows: pd.DataFrame) -> Answer:
    """Whether a unit that pools spots beats all that only smooths."""
    if beyond.empty:
        pooled = rows[rows["unit"].isin(["patch", "slide"])]
        if not (pooled["budget"] > 0).any():
            return _cannot("it trains neither patch nor slide")
        if not (pooled["budget"] == 0).any():
            return _cannot("it has no untrained trunk (budget 0)")
        return _cannot("it has no score of PCA or the spot unit after the mean over 8 neighbours")
    better = beyond[beyond["verdict"] == "better"]
    row = (better if len(better) else beyond).sort_values("difference", ascending=False).iloc[0]
    at, by = _amount(*row[["budget_axis", "budget"]]), f"{_signed(row)} {metric_of(PRIMARY)}"
    if len(better):
        return Answer(YES, f"At {at} {row['unit']} beats all that only smooths, {row['rival']} by the least: {by}.")
    lead = "leads" if row["difference"] > 0 else "does not lead"
    text = f"At {at} {row['unit']} {lead} {row['rival']}: {by} ({_p(row['p_holm'])} against all that only smooths)"
    return Answer(UNCLEAR, text + (": too few donors to tell." if "few" in row["verdict"] else "."))


def channels(rows: pd.DataFrame, contest: Contest) -> Answer:
    """The best channel rule against the worst, in the plugin that tries the most."""
    tried = varied(rows, RULES)
    if not tried:
        return _cannot("it has one rule of choosing channels")
    amount, tables = by_level(rows, max(tried, key=tried.get), RULES, contest)
    ends = spread(tables, contest)
    if ends is None:
        return _cannot("no two rules were tried on the same donors with all else equal")
    axis = rows["budget_axis"].iloc[0]
    text = (
        f"At {_amount(axis, amount)} the best of {ends.n_levels} rules, {ends.best}, leads the worst, {ends.worst}, by "
    )
    text += f"{_signed(ends)} {metric_of(contest)} ({_p(ends.p)}): {ends.verdict}."
    return Answer(YES if ends.clear else UNCLEAR, text)


def leakage(leaks: pd.DataFrame, rows: pd.DataFrame) -> Answer:
    """What the random split gives the trained method that it favours most, and what place alone gives there."""
    if "random" not in set(rows["split"]):
        return _cannot("it has no random split")
    its = leaks[(leaks["split"] == "random") & (leaks["setting"] == PRIMARY.setting) & (leaks["neighbours"] == 0)]
    its = its[(its["metric"] == "accuracy") & (its["unit"] != "none") & (its["budget"] > 0)].dropna(subset="index")
    if its.empty:
        return _cannot("no trained method has an accuracy under both random spots and donors held out")
    row = its.loc[its["value"].idxmax()]
    text = (
        f"Under random spots {full_name(row)} reaches accuracy {row['value']:.2f}, of which {_signed(row, 'index')} is "
    )
    text += "gone with donors held out; "
    if np.isnan(row["above_noise"]):
        return Answer(MEASURED, text + "what place alone gives is not known, for want of a noise control.")
    text += f"noise averaged over neighbouring spots, which holds nothing but place, reaches {row['noise']:.2f} there, "
    return Answer(MEASURED, text + f"and the method less that is {_signed(row, 'above_noise')}.")


def conditions(rows: pd.DataFrame) -> pd.DataFrame:
    """Of each trained generator (index) the mean `condition_gain`, and on which share of slides and seeds it is
    `condition_ignored`: its images are no nearer to their own spot's than to others'."""
    its = rows[(rows["task"] == "generation") & (rows["setting"] == "condition") & (rows["budget"] > 0)]
    its = its[its["metric"].isin(["condition_gain", "condition_ignored"]) & (its["status"] == "ok")]
    return its.pivot_table(index="method", columns="metric", values="value", aggfunc="mean")


def condition(made: pd.DataFrame) -> Answer:
    """Which generators use their condition on most slides and seeds, and which ignore it."""
    made = made.sort_values("condition_gain", ascending=False)
    gains = [f"{gain:+.2f}".replace("-", "−") for gain in made["condition_gain"]]
    said = [f"{method} (gain {gain})" for method, gain in zip(made.index, gains, strict=True)]
    ignored = (made["condition_ignored"] > 0.5).to_numpy()
    used = [text for text, off in zip(said, ignored, strict=True) if not off]
    rest = [text for text, off in zip(said, ignored, strict=True) if off]
    parts = [f"{start}: {', '.join(texts)}" for start, texts in (("used", used), ("ignored", rest)) if texts]
    return Answer(f"{len(used)} of {len(said)}" if used else UNCLEAR, _sentence("the condition is " + "; ".join(parts)))


def _one_unit(places: dict[tuple, dict[str, Champion]], contest: Contest) -> Answer:
    units = {unit for its in places.values() for unit in its}
    if not units:
        return _cannot(f"no trained unit has a {metric_of(contest)} with donors held out")
    return _cannot(f"it has only one unit, {units.pop()}" if len(units) == 1 else "no two units share a budget")


def _cannot(why: str) -> Answer:
    return Answer(UNKNOWN, f"This run cannot tell: {why}.")


def _amount(axis: str, budget: float) -> str:
    return budget_label(axis, budget, "any")


def _signed(row, key: str = "difference") -> str:
    """A difference with its interval, from a row (of a table, or a tuple with names) that has low and high."""
    row = row._asdict() if hasattr(row, "_asdict") else row
    prefix = "" if key == "difference" else f"{key}_"
    low, high = row[f"{prefix}low"], row[f"{prefix}high"]
    text = f"{row[key]:+.2f}" + ("" if np.isnan(low) else f" [{low:+.2f}, {high:+.2f}]")
    return text.replace("-", "−")


def _p(p: float) -> str:
    return f"p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{p:.2g}" if p >= 0.001 else "p < 0.001"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:] + "."
