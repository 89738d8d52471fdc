"""Winners: a known margin is found, equal units have no winner, and picking the best size does not raise scores."""

import numpy as np
import pandas as pd
import pytest

from benchmark.stats import intervals
from benchmark.stats.champions import BEST, champion, champions, contests, sizes
from benchmark.stats.contests import PRIMARY, select
from benchmark.stats.leaderboard import leaderboard
from benchmark.stats.rows import BLOCK
from benchmark.stats.spread import spread
from benchmark.stats.winners import iso_flop, standings, winners
from tests.helpers.factors import PARAMETERS, entry, factor_rows
from tests.helpers.rows import example_rows

UNITS = ("spot", "patch", "slide")
SIZED = [entry(unit, unit, preset=size) for unit in UNITS for size in PARAMETERS]


def score(arm: dict) -> float:
    """Patch is ahead by 0.1 at the largest budget and level with the others before; the middle trunk is best."""
    ahead = 0.1 * (arm["unit"] == "patch") * (arm["budget"] == 4e12)
    return 0.3 + ahead + 0.05 * (arm.get("preset") == "mini")


@pytest.fixture(scope="module")
def rows():
    return factor_rows(SIZED, score, donors="ABCDEFGHIJK")


@pytest.fixture(scope="module")
def matches(rows):
    return champions(rows)


def test_the_winner_is_found_where_it_wins_and_nowhere_else(matches):
    won = select(winners(matches), PRIMARY).set_index(["size", "budget"])
    for size in (BEST, *PARAMETERS):
        assert won.loc[(size, 4e12), "verdict"] == "patch wins"
        assert won.loc[(size, 4e12), "difference"] == pytest.approx(0.1, abs=0.01)
        assert won.loc[(size, 1e12), "verdict"] == "no clear winner"
    assert won.loc[(BEST, 4e12), "p"] == pytest.approx(2 / 2**11)
    assert len(winners(matches)) == 4 * 2 * 2, "sizes and the best, budgets, smoothing: all are corrected for"
    assert won.loc[(BEST, 4e12), "p_holm"] == pytest.approx(16 * 2 / 2**11)


def test_too_few_donors_are_told():
    few = factor_rows([entry(unit, unit) for unit in UNITS], score, donors="ABCD", budgets=(0.0, 4e12))
    assert set(winners(champions(few))["verdict"]) == {"too few donors to tell"}


def test_the_first_must_beat_every_other_unit_not_only_the_second():
    """The third unit on average is ahead on half of the donors: it has not been beaten."""

    def uneven(arm):
        return {"spot": 0.5, "patch": 0.4, "slide": 0.62 if arm["donor"] < "E" else 0.1}[arm["unit"]]

    rows = factor_rows([entry(unit, unit) for unit in UNITS], uneven, budgets=(1e12,))
    row = winners(champions(rows)).iloc[0]
    assert (row["first"], row["second"]) == ("spot", "patch")
    assert row["low"] > 0.09 and row["verdict"] == "no clear winner"


def test_best_size_is_the_middle_trunk_and_each_size_stands_by_itself(rows, matches):
    standing = select(standings(matches), PRIMARY).set_index(["size", "unit", "budget"]).sort_index()
    assert set(standing.loc[BEST, "method"]) == {f"{unit}.preset-mini" for unit in UNITS}
    assert (standing.loc[BEST, "n_entrants"] == 3).all() and (standing.loc["nano", "n_entrants"] == 1).all()
    board = select(leaderboard(rows), PRIMARY).set_index(["method", "budget"])
    for (size, unit, budget), row in standing.drop(BEST).iterrows():
        on_board = board.loc[(f"{unit}.preset-{size}", budget)]
        assert row[["value", "low", "high"]].tolist() == pytest.approx(on_board[["value", "low", "high"]].tolist())


def each_donor(methods: list[str], donors: str) -> pd.MultiIndex:
    """(method, cluster, block), where each donor is a fold of its own."""
    return pd.MultiIndex.from_tuples([(m, d, d) for m in methods for d in donors], names=["method", *BLOCK])


def test_picking_the_best_of_many_equals_does_not_flatter():
    """The mean of the best of 20 columns of noise is well above 0; that of the pick made on other donors is not."""
    rng = np.random.default_rng(0)
    index = each_donor([f"m{i:02d}" for i in range(20)], "ABCDEFGH")
    best, crossed = [], []
    for _ in range(40):
        entrants = pd.DataFrame(rng.normal(size=(len(index), 2)), index=index).rename_axis(columns="seed")
        best.append(entrants.groupby("method").mean().mean(axis=1).max())
        crossed.append(intervals.mean(champion(entrants, PRIMARY).scores.to_numpy()))
    assert np.mean(best) > 0.3 and abs(np.mean(crossed)) < 0.12


def test_the_champion_of_one_entrant_is_that_entrant():
    only = champion(pd.DataFrame({0: [0.4]}, index=each_donor(["one"], "A")).rename_axis(columns="seed"), PRIMARY)
    assert only.method == "one" and only.scores.loc[("A", "A"), 0] == 0.4


def test_lower_is_better_where_it_is():
    lower = PRIMARY._replace(task="reconstruction", setting="hole 4", metric="mse")
    assert champion(seeds_of([0.1, 0.1, 0.5, 0.5], ["a", "b"]), lower).method == "a"


def seeds_of(values: list, methods: list[str]) -> pd.DataFrame:
    """Scores of one seed; `values`: of each method in turn, on equally many donors."""
    donors = "ABCDEFGH"[: len(values) // len(methods)]
    return pd.DataFrame({0: values}, index=each_donor(methods, donors)).rename_axis(columns="seed")


def test_a_label_that_failed_where_it_is_hard_stands_for_no_unit():
    """The first is better on every donor that both have; donor C is hard, and the second has no score there."""
    entrants = seeds_of([0.8, 0.8, 0.1, 0.7, 0.7, np.nan], ["all", "easy"])
    assert champion(entrants, PRIMARY).method == "all" and set(champion(entrants, PRIMARY).picked) == {"all"}


def without(rows: pd.DataFrame, unit: str, donors: str) -> pd.DataFrame:
    return rows[~((rows["unit"] == unit) & rows["donor"].isin(list(donors)))]


def test_an_incomplete_unit_cannot_win_but_can_keep_the_others_from_winning():
    """Donors E to H are hard. Slide has no score of them; where it has one, it is ahead of patch, or behind."""

    def uneven(slide: float):
        def value(arm):
            easy = {"spot": 0.4, "patch": 0.6, "slide": slide}[arm["unit"]]
            return easy if arm["donor"] < "E" else easy - 0.3

        return value

    for slide, p in ((0.7, 1), (0.3, 2 / 2**4)):
        rows = factor_rows([entry(unit, unit) for unit in UNITS], uneven(slide), budgets=(1e12,), neighbours=(0,))
        matches = champions(without(rows, "slide", "EFGH"))
        row, standing = winners(matches).iloc[0], standings(matches).set_index("unit")
        assert row["first"] == "patch" and standing["status"].to_dict() == {
            "patch": "ok",
            "slide": "incomplete",
            "spot": "ok",
        }
        assert row["p"] == pytest.approx(p)
    assert winners(champions(without(without(rows, "slide", "EFGH"), "patch", "A"))).iloc[0]["first"] == "spot"


def test_the_contests_are_the_first_metrics_with_donors_held_out():
    names = [(c.task, c.setting, c.metric, c.neighbours) for c in contests(example_rows())]
    assert names == [
        ("domain", "knn", "macro_f1", 0),
        ("domain", "knn", "macro_f1", 8),
        ("clustering", "kmeans", "ari", 0),
        ("reconstruction", "hole 4", "pearson", 0),
    ]


def test_one_size_is_no_view_of_its_own():
    assert sizes(factor_rows([entry("spot", "spot", preset="nano")], score)) == {}
    assert {match.size for match in champions(example_rows())} == {BEST}


def test_iso_flop_has_a_point_a_unit_budget_and_size_in_order_of_parameters(rows, matches):
    table = iso_flop(rows, standings(matches), PRIMARY)
    assert len(table) == 3 * 2 * 3
    for _, line in table.groupby(["unit", "budget"]):
        assert line["parameters"].tolist() == sorted(PARAMETERS.values())
    assert list(sizes(rows)) == sorted(PARAMETERS, key=PARAMETERS.get)


def scores(values: list) -> pd.DataFrame:
    index = pd.MultiIndex.from_tuples([(d, d) for d in "ABCDEFGH"[: len(values)]], names=BLOCK)
    return pd.DataFrame(values, index=index).rename_axis(columns="seed")


def test_the_spread_of_two_levels_is_their_paired_difference():
    a, b = scores([[0.5, 0.7], [0.6, 0.6], [0.9, 0.7]]), scores([[0.4, 0.4], [0.5, 0.5], [0.5, 0.5]])
    ends = spread({"b": b, "a": a}, PRIMARY)
    assert (ends.best, ends.worst, ends.n_donors) == ("a", "b", 3)
    assert ends.difference == pytest.approx(0.2)
    assert ends.p == pytest.approx(intervals.sign_flip(np.array([0.2, 0.1, 0.3])))
    assert ends.least == 1 / 4 and (ends.n_pairs, ends.n_possible) == (6, 6)


def test_the_spread_takes_only_what_all_levels_have():
    a, b = scores([[0.5, np.nan], [0.6, 0.6], [0.9, 0.9]]), scores([[0.4, 9.0], [0.5, 0.5]])
    ends = spread({"a": a, "b": b}, PRIMARY)
    assert ends.difference == pytest.approx(0.1) and ends.n_donors == 2
    assert (ends.n_pairs, ends.n_possible) == (3, 6)
    assert spread({"a": a}, PRIMARY) is None
    assert spread({"a": a, "b": b.iloc[:0]}, PRIMARY) is None


def test_the_spread_test_counts_the_orders_that_spread_as_far():
    """Three levels always in one order: of the 6 orders a donor may take, all donors must take the same one."""
    levels = np.array([[0.1] * 4, [0.2] * 4, [0.3] * 4])
    assert intervals.spread_test(levels) == pytest.approx(6**-3 * 1)


def test_the_spread_test_is_wrong_as_rarely_as_it_says():
    rng = np.random.default_rng(1)
    p = np.array([intervals.spread_test(rng.normal(size=(3, 5))) for _ in range(150)])
    assert (p < 0.05).mean() < 0.1
