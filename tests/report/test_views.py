"""The views of a run: a page and a picture, and a picture of the settings where a run varies them."""

from itertools import product

import pytest

from benchmark.core.curves import NO_CURVES
from benchmark.experiment.score import NO_MAP
from benchmark.report.views import write_views
from benchmark.stats.leaderboard import leaderboard
from tests.helpers.rows import example_predictions, example_rows, grid_rows

MANIFEST = {"folds": {}}


def test_a_run_has_a_page_and_a_picture(tmp_path):
    rows = example_rows()
    write_views(rows, leaderboard(rows), example_predictions(), NO_CURVES, MANIFEST, tmp_path, ablation=False)
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "overview.png"}


@pytest.mark.parametrize("score", [0.3, None])
def test_a_run_that_varies_settings_has_their_picture_too_even_if_all_arms_failed(score, tmp_path):
    factors = {"size": [4, 8, 16, 30], "n_channels": [64, 128, 256, 512]}
    rows = grid_rows(dict.fromkeys(product(*factors.values(), "AB", (0,)), score), factors)
    write_views(rows, leaderboard(rows), NO_MAP, NO_CURVES, MANIFEST, tmp_path, ablation=True)
    assert {path.name for path in tmp_path.iterdir()} == {"report.html", "overview.png", "ablation.png"}
