"""The questions of the benchmark, each answered in a sentence that claims no more than the numbers show."""

from __future__ import annotations

import numpy as np
import pandas as pd

from benchmark.report import learning, unit_answers
from benchmark.report.answers import (
    MEASURED,
    NOT_SHOWN,
    YES,
    Answer,
    amount,
    cannot,
    p_text,
    sentence,
    shared,
    signed,
)
from benchmark.report.words import full_name, metric_of
from benchmark.stats.champions import BEST
from benchmark.stats.contests import PRIMARY, Contest
from benchmark.stats.correction import CLEAR
from benchmark.stats.evidence import RULES, Evidence
from benchmark.stats.options import varied

QUESTIONS = (
    "Does the unit matter?",
    "At which budget?",
    "Is it more than smoothing?",
    "Does the choice of channels matter?",
    "What did leakage explain?",
)
DID_LEARN = "Did the units learn?"  # asked first if a trained method tells its R²
CONDITION = "Do generated images follow from the expression?"  # asked if a trained method makes images


def glance(rows: pd.DataFrame, evidence: Evidence, leaks: pd.DataFrame, contest: Contest = PRIMARY) -> list[dict]:
    """`question`, `short` and `text` of each of `QUESTIONS`; of `DID_LEARN` where a trained method tells its R²; and of
    `CONDITION` where one makes images.

    Args:
        rows: score rows.
        evidence: `evidence.evidence` of them.
        leaks: `leakage.leakage(rows)`.
        contest: what units, budgets and channel rules are compared by.
    """
    matches = evidence.matches.items()
    best = {match: units for match, units in matches if match.contest == contest and match.size == BEST}
    answers = (
        unit_answers.unit(evidence.ends, best, contest, evidence.learned),
        unit_answers.budget(evidence.won, best, contest, evidence.learned),
        unit_answers.smoothing(evidence.beyond, rows, evidence.learned),
        channels(evidence.ends, rows, contest),
        leakage(leaks, rows),
    )
    told = evidence.learned[evidence.learned["budget"] > 0]
    answered = {DID_LEARN: learning.answer(told)} if len(told) else {}
    answered |= dict(zip(QUESTIONS, answers, strict=True))
    generators = conditions(rows)
    if len(generators):
        answered[CONDITION] = condition(generators)
    return [{"question": question} | answer._asdict() for question, answer in answered.items()]


def channels(ends: pd.DataFrame, rows: pd.DataFrame, contest: Contest) -> Answer:
    """The best channel rule against the worst, in the plugin that tries the most."""
    if not varied(rows, RULES):
        return cannot("it has one rule of choosing channels")
    if RULES not in ends.index:
        return cannot("no two rules were tried on the same donors with all else equal")
    row = ends.loc[RULES]
    text = (
        f"At {amount(row['budget_axis'], row['budget'])} the best of {row['n_levels']} rules, {row['best']}, leads the "
        f"worst, {row['worst']}, by {signed(row)} {metric_of(contest)}{shared(row)} ({p_text(row['p_holm'])}): "
        f"{row['verdict']}."
    )
    return Answer(YES if row["verdict"] == CLEAR else NOT_SHOWN, text)


def leakage(leaks: pd.DataFrame, rows: pd.DataFrame) -> Answer:
    """What the random split gives the trained method that it favours most, and what positions alone give there."""
    if "random" not in set(rows["split"]):
        return cannot("it has no random split")
    probe = leaks[(leaks["split"] == "random") & (leaks["setting"] == PRIMARY.setting) & (leaks["neighbours"] == 0)]
    trained = probe[(probe["metric"] == "accuracy") & (probe["unit"] != "none") & (probe["budget"] > 0)]
    if trained["reason"].ne("").any():
        return cannot(trained["reason"].max())
    trained = trained.dropna(subset="index").sort_values("value", ascending=False, kind="stable")
    if trained.empty:
        return cannot("no trained method has an accuracy under both random spots and donors held out")
    row = trained.iloc[0]
    text = (
        f"Under random spots {full_name(row)} reaches accuracy {row['value']:.2f}, of which {signed(row, 'index')} is "
        "gone with donors held out"
    )
    if not np.isnan(row["random_index"]):
        text += f" (of random numbers {signed(row, 'random_index')})"
    if np.isnan(row["above_noise"]):
        return Answer(MEASURED, text + "; what positions alone give is not known, as the run has no noise control.")
    text += (
        "; noise averaged over neighbouring spots, which holds only their positions, reaches "
        f"{row['noise']:.2f} there, and the method less that is {signed(row, 'above_noise')}."
    )
    return Answer(MEASURED, text)


def conditions(rows: pd.DataFrame) -> pd.DataFrame:
    """The trained generators (index), each with two columns.

    `condition_gain` is its mean. `condition_ignored` is the share of slides and seeds on which the images are no
    nearer to those of their own spot than to those of other spots.
    """
    measured = rows[(rows["task"] == "generation") & (rows["setting"] == "condition") & (rows["budget"] > 0)]
    measured = measured[measured["metric"].isin(["condition_gain", "condition_ignored"]) & (measured["status"] == "ok")]
    return measured.pivot_table(index="method", columns="metric", values="value", aggfunc="mean")


def condition(generators: pd.DataFrame) -> Answer:
    """Which generators use their condition on most slides and seeds, and which ignore it. This is measured on the spots
    of each slide; it is no test over donors, so it gives no "yes"."""
    by_use: dict[str, list[str]] = {"used": [], "ignored": []}
    for method, row in generators.sort_values("condition_gain", ascending=False).iterrows():
        gain = f"{row['condition_gain']:+.2f}".replace("-", "−")
        by_use["ignored" if row["condition_ignored"] > 0.5 else "used"].append(f"{method} (gain {gain})")
    parts = "; ".join(f"{use}: {', '.join(texts)}" for use, texts in by_use.items() if texts)
    return Answer(MEASURED, sentence(f"the condition is {parts}, by intervals over the spots of each slide"))
