"""What the report calls things: names, colours and numbers as a reader wants them."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import pandas as pd

from benchmark.stats.leaderboard import LOWER_IS_BETTER, Contest, budget_label

# Okabe and Ito's palette, which colour-blind readers can tell apart.
UNIT_COLOURS = {"spot": "#0072B2", "patch": "#D55E00", "slide": "#009E73", "none": "#8c8c8c"}
DONOR, RANDOM = "#0072B2", "#E69F00"
UNITS = {"flops": "FLOPs", "device_seconds": "device seconds", "spots": "spots seen"}
TASKS = {
    "domain": "Domain detection",
    "annotation": "Annotation",
    "clustering": "Clustering",
    "reconstruction": "Reconstruction",
    "imputation": "Imputation of hidden genes",
    "expression_from_image": "Expression from the image",
    "label_from_image": "Labels from the image",
    "generation": "Images from expression",
}
SPLITS = {
    "donor": "whole donors held out",
    "block": "blocks held out within a slide",
    "random": "random spots of the same slides",
    "few_labels": "20% of the spots of the same slides labelled",
}
SETTINGS = {
    "knn": "k-NN probe",
    "linear": "linear probe",
    "mlp": "MLP probe",
    "kmeans": "k-means",
    "leiden": "Leiden",
    "leiden_chosen": "Leiden, resolution chosen on training slides",
    "leiden_oracle": "Leiden, resolution chosen by the scored slide's own labels (an oracle)",
    "genes": "genes hidden fold by fold",
    "xgboost": "XGBoost on image features",
    "ridge": "ridge on image features",
    "direct": "predicted by the method itself",
    "majority": "the most frequent training label",
    "generated": "generated against real images",
    "ceiling": "real against other real images",
    "condition": "each image against its own spot",
    "method": "what the method says of itself",
}
METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "macro-F1",
    "macro_precision": "macro-precision",
    "ari_of_predictions": "ARI of predictions",
    "ari": "ARI",
    "nmi": "NMI",
    "mse": "MSE",
    "mae": "MAE",
    "mse_zero": "MSE of zeros",
    "mae_zero": "MAE of zeros",
    "mse_nonzero": "MSE of non-zeros",
    "mae_nonzero": "MAE of non-zeros",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "rmse": "RMSE",
    "kid": "KID (unbiased)",
    "kid_low": "KID, lower end of its 95% interval",
    "kid_high": "KID, upper end of its 95% interval",
    "frechet": "Fréchet distance",
    "wasserstein": "Wasserstein distance of morphology, training standard deviations",
    "ks": "Kolmogorov-Smirnov distance of morphology",
    "condition_gain": "condition gain",
    "condition_ignored": "condition ignored",
    "morphology_pearson": "Pearson of morphology over spots",
    "r2": "R² against the training gene mean",
}
DIGITS = re.compile(r"(\d+)")
OPTIONS = {
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
    "moran": "Moran's I",
    "null": "none",
    ("crops_per_slide", "null"): "drawn anew",
}
FIRST_METRICS = ("macro_f1", "ari", "pearson")  # what a table is ordered by


def metric_name(metric: str) -> str:
    return METRICS.get(metric, metric) + (" ↓" if metric in LOWER_IS_BETTER else "")


def contest_name(contest: Contest) -> str:
    task = TASKS.get(contest.task, contest.task)
    of = f"{task[:1].lower()}{task[1:]} ({setting_name(contest.setting)})"
    return f"{metric_name(contest.metric)} of {of}, {SPLITS.get(contest.split, contest.split)}"


def setting_name(setting: str) -> str:
    """As a heading: "hole 14 of grid 20" is "a hole of 14 × 14 pitches in a window of 20 × 20"."""
    if square := re.fullmatch(r"hole (\S+)( of grid (\S+))?", setting):
        side, _, grid = square.groups()
        hole = f"{side} × {side} pitches"
        return f"a hole of {hole} in a window of {grid} × {grid}" if grid else f"holes of {hole}"
    return SETTINGS.get(setting, setting)


def option_name(option: str) -> str:
    return OPTIONS.get(option, option.replace("_", " "))


def level_name(option: str, level: str) -> str:
    return LEVELS.get((option, level), LEVELS.get(level, level.replace("_", " ")))


def smoothing(neighbours: int) -> str:
    return f"after the mean over {neighbours} neighbours" if neighbours else "as it is"


def in_order(names: pd.Series, known: dict[str, str]) -> list[str]:
    """The distinct names, known ones first and in their order, the others by name, the numbers in it by size."""
    present = set(names)
    others = sorted(present - set(known), key=lambda name: [int(p) if p.isdigit() else p for p in DIGITS.split(name)])
    return [name for name in known if name in present] + others


def full_name(row: pd.Series) -> str:
    """Name and budget in one, of a row that has both."""
    if row["unit"] == "none" or row["budget"] == 0:
        return row["name"]
    return f"{row['name']}, {budget_label(row['budget_axis'], row['budget'], row['unit'])}"


def span(low: float, high: float) -> str:
    return "" if np.isnan(low) else f"[{low:.2f}, {high:.2f}]"


def same_donor(folds: Mapping[str, Mapping]) -> str:
    """What to say of folds (see `check_disjoint`) that hold out slides of a donor and learn from others of the same:
    pairs of serial sections, say. Empty where each donor is on one side."""
    both = {donor for its in folds.values() if not its["transductive"] for donor in its["shared"]["donors"]}
    if not both:
        return ""
    return f"Other slides of {', '.join(sorted(both))} were learned from: held-out slides, same donor."
