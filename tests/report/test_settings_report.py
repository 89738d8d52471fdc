"""What the report says of settings: heat maps, effects, a large grid folded, and the picture of an ablation."""

import re
import zlib
from html import escape
from itertools import product

import pandas as pd
import pytest

from benchmark.core.curves import NO_CURVES
from benchmark.report import heats
from benchmark.report.ablation_picture import ablation_figure
from benchmark.report.page import write_report
from benchmark.stats.ablation import means
from benchmark.stats.contests import PRIMARY, select
from benchmark.stats.grids import grids
from benchmark.stats.leaderboard import leaderboard
from tests.helpers.browser import dom, needs_browser
from tests.helpers.page import Page
from tests.helpers.rows import example_predictions, example_rows, grid_rows

GRID = {"size": [8, 16], "n_channels": [64, 256, 1024], "channels": ["variance", "moran", "</script><b>"]}
HOLE = (16, 1024, "moran")


def score(*arm) -> float | None:
    """The patch size matters, the channels do not. One combination of settings failed throughout."""
    return None if arm[:3] == HOLE else 0.3 + arm[0] / 100 + zlib.crc32(repr(arm).encode()) % 100 / 1000


@pytest.fixture(scope="module")
def grid():
    return grid_rows({arm: score(*arm) for arm in product(*GRID.values(), "ABCDEF", (0, 1, 2))}, GRID, budget=4e12)


@pytest.fixture(scope="module")
def ablated(grid, tmp_path_factory):
    path, rows = tmp_path_factory.mktemp("ablated") / "report.html", example_rows()
    rows = pd.concat([rows[rows["method"] != "patch"], grid.assign(dataset="example")], ignore_index=True)
    return write_report(rows, leaderboard(rows), example_predictions(), NO_CURVES, {}, path)


def test_a_run_that_varies_settings_says_what_they_change(ablated):
    text = " ".join(Page(ablated.read_text()).text)
    assert "What the settings change" in text and "patch size × channels × channel rule" in text
    assert "324 scores, 18 of them missing" in text and "too few donors to tell" in text
    assert "1 of 18 combinations have no score" in text


def test_every_square_of_a_heat_map_says_its_mean_or_nothing(grid):
    table = means(grids(grid))
    drawn = heats.heats(table)
    assert [(heat.x, heat.y) for heat in drawn] == [
        ("patch size, cells", "channels"),
        ("patch size, cells", "channel rule"),
        ("channels", "channel rule"),
    ]
    pairs = table[table["factor_2"] != ""]
    written = sorted(text.split("\n")[0] for heat in drawn for row in heat.text() for text in row if text)
    assert written == sorted(f"{value:.3f}" for value in pairs["value"].dropna())
    rules = drawn[1]
    where = rules.rows.index("Moran's I"), rules.columns.index("16")
    assert rules.value[where] == pytest.approx(pairs.set_index(["level", "level_2"]).loc[("moran", "16"), "value"]), (
        "a mean stands at its own levels"
    )


def test_settings_that_always_change_together_have_no_heat_map():
    """Size and rule change at once: nothing says which of them made the difference."""
    varied = {"size": [8, 16], "channels": ["variance", "moran"], "n_channels": [64, 256]}
    together = product([(8, "variance"), (16, "moran")], (64, 256), "ABCDEF")
    rows = grid_rows({(*pair, n, donor, 0): score(*pair, n, donor) for pair, n, donor in together}, varied, budget=4e12)
    assert heats.heats(means(grids(rows))) == []


def test_a_large_grid_is_folded_between_its_best_and_its_worst(grid, ablated):
    names = select(leaderboard(grid), PRIMARY).dropna(subset="value")["method"].tolist()
    html = ablated.read_text()
    shown, folded = html[html.index('id="ranking"') : html.index('id="verdicts"')].split("<details>")
    assert [name for name in names if escape(name) + "</td>" in shown] == [names[0], names[-1]]
    assert [name for name in names if escape(name) + "</td>" in folded] == names[1:-1]


def test_the_picture_of_an_ablation_is_the_same_every_time_and_needs_no_grid(grid, tmp_path):
    families = grids(grid)
    first, second = (ablation_figure(families, means(families), tmp_path / name) for name in ("a.png", "b.png"))
    assert first.read_bytes() == second.read_bytes()
    assert ablation_figure([], means([]), tmp_path / "none.png").stat().st_size


@needs_browser
def test_a_browser_draws_every_plot_with_no_network(ablated, tmp_path):
    html, console = dom(ablated, tmp_path)
    assert not console
    settings = [f"settings-0-domain-{n}" for n in range(6)]
    for plot in ("leakage", "curve", "flops", "spots_seen", "device_seconds", *settings):
        assert re.search(rf'id="plot-{plot}"[^>]*>(?:(?!id="plot-).)*?class="main-svg"', html, re.DOTALL), plot
