"""What each setting changes, as the page shows it: captions, tables of effects, and the plots that go with them."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from benchmark.report import words
from benchmark.report.ablation_plots import plots
from benchmark.report.heats import held_fixed, of_grid
from benchmark.stats.ablation import means
from benchmark.stats.grids import Grid
from benchmark.stats.names import budget_label


def sections(grids: list[Grid], effects: pd.DataFrame) -> tuple[list[dict], dict[str, go.Figure]]:
    """One section per family that has an effect to show, for the template, and the plots that it names.

    Args:
        effects: of these grids, corrected over all tests of the page.
    """
    mean = means(grids)
    kept = [grid for grid in grids if of_grid(effects, grid)["p"].notna().any()]
    records: list[dict] = []
    figures: dict[str, go.Figure] = {}
    for number, (_, same_family) in enumerate(groupby(kept, key=lambda grid: id(grid.family))):
        contests = []
        family_grids = list(same_family)
        for grid in family_grids:
            table, rows = of_grid(mean, grid), of_grid(effects, grid)
            rows = rows.sort_values("factor", key=lambda names: names.map(words.option_order), kind="stable")
            drawn = {
                f"settings-{number}-{grid.contest.task}-{n}": plot for n, plot in enumerate(plots(mean, table, grid))
            }
            figures |= {name: figure for name, (figure, _) in drawn.items()}
            contests.append(
                {
                    "title": words.contest_title(grid.contest),
                    "plots": [(name, wide) for name, (_, wide) in drawn.items()],
                    "effects": [_effect(row, table) for _, row in rows.iterrows()],
                    "notes": [*_reasons(rows), *_shares(rows)],
                }
            )
        first = family_grids[0]
        records.append({"title": first.family.method, "caption": _caption(first), "contests": contests})
    return records, figures


def _caption(grid: Grid) -> str:
    """What varies, what does not, and what the intervals are over."""
    family = grid.family
    vary = " × ".join(words.short_option_name(factor) for factor in sorted(family.factors, key=words.option_order))
    fixed = held_fixed(family)
    n_donors, n_seeds = grid.values.shape[-2:]
    n_arms = int(grid.planned.sum()) * n_donors * n_seeds
    missing = n_arms - int((~np.isnan(grid.values)).sum())
    budget = budget_label(family.budget_axis, family.budget, family.unit)
    return (
        f"{len(family.levels)} settings of {family.method} ({vary}), each with {budget}, "
        f"{n_donors} donors held out and {n_seeds} seeds: "
        f"{n_arms:,} scores, {f'{missing:,} of them' if missing else 'none'} missing"
        + (f"; held fixed: {', '.join(fixed)}" if fixed else "")
    )


def _effect(row: pd.Series, means: pd.DataFrame) -> dict:
    """A row of the table of main effects, None for NaN, with the mean at each level of the factor."""
    levels = means[(means["factor"] == row["factor"]) & (means["factor_2"] == "")]
    return {key: None if pd.isna(value) else value for key, value in row.items()} | {
        "name": words.option_name(row["factor"]),
        "levels": [
            (words.level_name(row["factor"], level), None if np.isnan(value) else value, level == row["best"])
            for level, value in levels[["level", "value"]].itertuples(index=False)
        ],
        "present": f"{row['n_present']}/{row['n_expected']}",
        "whole": row["n_present"] == row["n_expected"] and not row["reason"],
    }


def _reasons(effects: pd.DataFrame) -> list[str]:
    """Why something is missing: each reason once, with the settings that it holds for."""
    return [
        f"{', '.join(map(words.short_option_name, sorted(factors, key=words.option_order)))}: {reason}."
        for reason, factors in effects[effects["reason"] != ""].groupby("reason")["factor"]
    ]


def _shares(effects: pd.DataFrame) -> list[str]:
    """Where the rest of the variance lies; empty where there are no shares."""
    first = effects.iloc[0]
    if np.isnan(first["share"]):
        return []
    return [
        f"Of the variance over the {first['n_places']} (donor, seed) that have every arm, the settings one by one hold "
        f"{effects['share'].sum():.0%}, their interactions {first['share_interactions']:.0%}, donors and seeds "
        f"{first['share_donors_seeds']:.0%} (all epsilon squared: corrected for noise); the remaining "
        f"{first['share_rest']:.0%} is noise, and what a setting does differently from one donor or seed to the next."
    ]
