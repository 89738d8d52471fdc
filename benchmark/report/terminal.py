"""The leaderboard on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmark.stats.contests import key_caption, leading, select
from benchmark.stats.leaderboard import headline
from benchmark.stats.names import budget_label, seen_label
from benchmark.stats.rows import ENTRANT

if TYPE_CHECKING:
    from rich.console import Console

INCOMPLETE = "*: lacks scores that others have, so it has no rank; the report says which."


def print_board(board: pd.DataFrame, console: Console) -> None:
    """The headline as a table on the terminal, the first column with its interval."""
    from rich.table import Table

    short, lacking = headline(board), headline(board, "status") == "incomplete"
    if not len(short.columns):
        return console.print("No arm has a score.")
    caption = key_caption(board) + (f" {INCOMPLETE}" if lacking.to_numpy().any() else "")
    table = Table(title="Leaderboard", title_justify="left", caption=caption, caption_justify="left")
    first = select(board, leading(board)[1]).set_index(["name", *ENTRANT])
    for column in ("method", "budget", "spots seen", *short.columns):
        table.add_column(column, justify="left" if column in ("method", "budget") else "right")
    for key, values, lacks in zip(short.index, short.to_numpy(), lacking.to_numpy(), strict=True):
        name, _, unit, axis, budget = key
        texts = [
            "–" if np.isnan(value) else f"{value:.3f}" + "*" * bool(star)
            for value, star in zip(values, lacks, strict=True)
        ]
        if not np.isnan(first.loc[key, "low"]):
            texts[0] += " [{low:.2f}, {high:.2f}]".format(**first.loc[key, ["low", "high"]])
        table.add_row(name, budget_label(axis, budget, unit), seen_label(first.loc[key, "spots_seen"]), *texts)
    console.print(table)
