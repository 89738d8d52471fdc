"""What the report calls things: names, colours and numbers as a reader wants them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from benchmark.core.declarations import declared
from benchmark.stats.contests import Contest
from benchmark.stats.names import budget_label

# Okabe and Ito's palette, which colour-blind readers can tell apart.
UNIT_COLOURS = {"spot": "#0072B2", "patch": "#D55E00", "slide": "#009E73", "none": "#8c8c8c"}
DONOR, RANDOM = "#0072B2", "#E69F00"
UNITS = {"flops": "FLOPs", "device_seconds": "device seconds", "spots": "spots seen"}
SPLITS = {
    "donor": "whole donors held out",
    "block": "blocks held out within a slide",
    "random": "random spots of the same slides",
    "few_labels": "20% of the spots of the same slides labelled",
}
DIGITS = re.compile(r"(\d+)")
OPTIONS = {
    "side": "side of a sample, cells",
    "n_genes": "genes",
    "genes": "gene rule",
    "objective": "objective",
    "size": "patch size, cells",
    "n_channels": "channels",
    "channels": "channel rule",
    "tokens": "tokens",
    "masking": "masking",
    "embed": "context of a spot",
    "min_occupancy": "least occupied share of a patch",
    "lattice": "lattice",
    "crops_per_slide": "crops per slide",
    "donors": "share of the training donors",
    "preset": "trunk",
    "n_tokens": "gene tokens a spot",
}
LEVELS = {
    "variance": "by variance",
    "slide_hvg": "slide HVGs",
    "corpus_hvg": "corpus HVGs",
    "hvg": "HVGs",
    "moran": "Moran's I",
    "null": "none",
    ("crops_per_slide", "null"): "drawn anew",
}


def metric_name(task: str, metric: str) -> str:
    """The metric's title as its task declares it, with an arrow if lower is better."""
    measure = declared(task).metric(metric)
    return (measure.title or measure.name) + (" ↓" if measure.lower_is_better else "")


def metric_of(contest: Contest) -> str:
    """The same of a contest's metric."""
    return metric_name(contest.task, contest.metric)


def contest_name(contest: Contest) -> str:
    """A contest within a sentence: metric, task, setting and split."""
    about = declared(contest.task)
    task = f"{about.title[:1].lower()}{about.title[1:]} ({about.setting_title(contest.setting)})"
    return f"{metric_of(contest)} of {task}, {SPLITS.get(contest.split, contest.split)}"


def contest_title(contest: Contest) -> str:
    """A contest as a heading, where the split is known."""
    about = declared(contest.task)
    return f"{about.title}: {metric_of(contest)}, {about.setting_title(contest.setting)}"


def option_name(option: str) -> str:
    """An option of a method as axes and tables call it."""
    return OPTIONS.get(option, option.replace("_", " "))


def short_option_name(option: str) -> str:
    """The same without the unit."""
    return option_name(option).split(",")[0]


def option_order(option: str) -> tuple[int, str]:
    """A key to sort options by: known ones first and in their order, the others by name."""
    return list(OPTIONS).index(option) if option in OPTIONS else len(OPTIONS), option


def level_name(option: str, level: str) -> str:
    """A level of an option as axes and tables call it."""
    return LEVELS.get((option, level), LEVELS.get(level, level.replace("_", " ")))


def smoothing(neighbours: int) -> str:
    """What was done to embeddings before scoring."""
    return f"after the mean over {neighbours} neighbours" if neighbours else "as it is"


def in_order(names: pd.Series, known: Iterable[str]) -> list[str]:
    """The distinct names: known ones first and in their order, the others by name, numbers in a name by size."""
    present, known = set(names), list(known)
    others = sorted(present - set(known), key=lambda name: [int(p) if p.isdigit() else p for p in DIGITS.split(name)])
    return [name for name in known if name in present] + others


def full_name(row: pd.Series) -> str:
    """Name and budget in one, of a row that has both."""
    name: str = row["name"]
    if row["unit"] != "none" and row["budget"] > 0:
        name += f", {budget_label(row['budget_axis'], row['budget'], row['unit'])}"
    return name + (" (incomplete)" if row.get("status") == "incomplete" else "")


def of_pairs(n_pairs: int, n_possible: int) -> str:
    """Over how many (donor, seed) a paired difference is, where some are missing; else empty."""
    return f", {n_pairs} of {n_possible} pairs" if n_pairs < n_possible else ""


def span(low: float, high: float) -> str:
    """An interval as text; empty where there is none."""
    return "" if np.isnan(low) else f"[{low:.2f}, {high:.2f}]"


def same_donor(folds: Mapping[str, Mapping]) -> str:
    """A warning for folds that hold out slides of a donor and learn from other slides of the same donor, as pairs of
    serial sections do. Empty where each donor is on one side.

    Args:
        folds: name → what `check_disjoint` found of it.
    """
    both = {donor for fold in folds.values() if not fold["transductive"] for donor in fold["shared"]["donors"]}
    if not both:
        return ""
    return f"Other slides of {', '.join(sorted(both))} were learned from: held-out slides, same donor."
