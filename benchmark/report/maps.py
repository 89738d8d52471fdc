"""Slides drawn with their labels and each method's prediction: small multiples in SVG, of dots or of pixels."""

from __future__ import annotations

import numpy as np
import pandas as pd
from plotly.colors import qualitative

from benchmark.report.rasters import picture
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
        predictions: slide, donor, y, x, label, method, budget, prediction; one row per spot and entrant, or per pixel
            and entrant where `pixel` says how wide these are.
        ranking: the entrants' rows of a leaderboard, best first.
    """
    palette = colours(predictions)
    return [_slide(str(slide), spots, palette, ranking) for slide, spots in predictions.groupby("slide")]


def _slide(slide: str, spots: pd.DataFrame, palette: dict[str, str], ranking: pd.DataFrame) -> dict:
    by_entrant = dict(list(spots.groupby(["method", "budget"])))
    truth = next(iter(by_entrant.values()))
    pixel = pixel_of(truth)
    n_drawn = f"{truth['label'].notna().sum()} {'pixels' if pixel else 'spots'}"
    note = n_drawn + f" of {pixel} × {pixel} pitches: the most frequent label in each" * bool(pixel)
    panels = [{"title": "labels", "note": note, **_drawn(truth, "label", palette)}]
    for _, entrant in ranking.iterrows():
        guess = by_entrant.get((entrant["method"], entrant["budget"]))
        if guess is not None:
            labelled = guess[guess["label"].notna()]
            right = (labelled["label"] == labelled["prediction"]).mean()
            note = f"{right:.0%} {'of the pixels ' * bool(pixel)}right" if len(labelled) else ""
            panels.append({"title": full_name(entrant), "note": note, **_drawn(guess, "prediction", palette)})
    positions = truth[["x", "y"]].to_numpy() * SCALE
    margin = SCALE * pixel / 2 if pixel else SCALE  # pixels fill their box
    low, size = positions.min(axis=0) - margin, np.ptp(positions, axis=0) + 2 * margin
    box = [f"{number:.0f}" for number in (*low, *size)]
    return {"slide": slide, "donor": truth["donor"].iloc[0], "box": box, "panels": panels}


def pixel_of(spots: pd.DataFrame) -> int:
    """The side of the pixels of a slide in pitches; 0 if its rows are spots, as all are in old tables."""
    return int(spots["pixel"].iloc[0]) if "pixel" in spots else 0


def _drawn(spots: pd.DataFrame, column: str, palette: dict[str, str]) -> dict[str, list[tuple[str, str]] | str]:
    """`paths`: (colour, SVG path) of each label, where a spot is a stroke of no length with round ends; or `image`."""
    colour = spots[column].map(palette).fillna(UNLABELLED)
    if pixel := pixel_of(spots):
        return {"paths": [], "image": picture(spots, colour, pixel)}
    dots = pd.Series([f"M{x:.0f} {y:.0f}h0" for x, y in spots[["x", "y"]].to_numpy() * SCALE], index=spots.index)
    return {"paths": [(str(colour), "".join(path)) for colour, path in dots.groupby(colour)], "image": ""}
