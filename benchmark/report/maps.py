"""Slides drawn with their labels and each method's prediction: small multiples in SVG."""

from __future__ import annotations

import numpy as np
import pandas as pd
from plotly.colors import qualitative

from benchmark.report.words import full_name

OKABE_ITO = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#8c8c8c"]
UNLABELLED = "#8884"
SCALE = 10  # SVG units per pitch: whole numbers keep the page small


def colours(predictions: pd.DataFrame) -> dict[str, str]:
    """A colour for each label, the same on every slide."""
    labels = sorted(set(predictions["label"].dropna()) | set(predictions["prediction"].dropna()))
    palette = OKABE_ITO if len(labels) <= len(OKABE_ITO) else qualitative.Alphabet
    return {label: palette[i % len(palette)] for i, label in enumerate(labels)}


def slides(predictions: pd.DataFrame, ranking: pd.DataFrame) -> list[dict]:
    """One record per slide: its size, and its panels, the labels first, then the methods in the order of `ranking`.

    Args:
        predictions: slide, donor, y, x, label, method, budget, prediction; one row per spot and entrant.
        ranking: the entrants' rows of a leaderboard, best first.
    """
    palette = colours(predictions)
    return [_slide(str(slide), spots, palette, ranking) for slide, spots in predictions.groupby("slide")]


def _slide(slide: str, spots: pd.DataFrame, palette: dict[str, str], ranking: pd.DataFrame) -> dict:
    by_entrant = dict(list(spots.groupby(["method", "budget"])))
    truth = next(iter(by_entrant.values()))
    panels = [
        {"title": "labels", "note": f"{truth['label'].notna().sum()} spots", "paths": _paths(truth, "label", palette)}
    ]
    for _, entrant in ranking.iterrows():
        guess = by_entrant.get((entrant["method"], entrant["budget"]))
        if guess is not None:
            labelled = guess[guess["label"].notna()]
            right = (labelled["label"] == labelled["prediction"]).mean()
            note = f"{right:.0%} right" if len(labelled) else ""
            panels.append({"title": full_name(entrant), "note": note, "paths": _paths(guess, "prediction", palette)})
    positions = truth[["x", "y"]].to_numpy() * SCALE
    low, size = positions.min(axis=0) - SCALE, np.ptp(positions, axis=0) + 2 * SCALE
    box = " ".join(f"{number:.0f}" for number in (*low, *size))
    return {"slide": slide, "donor": truth["donor"].iloc[0], "box": box, "panels": panels}


def _paths(spots: pd.DataFrame, column: str, palette: dict[str, str]) -> list[tuple[str, str]]:
    """(colour, SVG path) of each label. A spot is a stroke of no length with round ends."""
    dots = pd.Series([f"M{x:.0f} {y:.0f}h0" for x, y in spots[["x", "y"]].to_numpy() * SCALE], index=spots.index)
    by_colour = dots.groupby(spots[column].map(palette).fillna(UNLABELLED))
    return [(str(colour), "".join(path)) for colour, path in by_colour]
