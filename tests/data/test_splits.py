"""Splits: worked by hand, and what must hold for any slide and any set of groups."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from benchmark.core.errors import UnitBenchError
from benchmark.data.splits import Fold, block_spots, check_disjoint, donor_folds, everything, random_spots
from benchmark.experiment.arms import folds
from benchmark.report.words import same_donor
from tests.helpers.arms import config

GROUPS = {"A1": "A", "A2": "A", "B1": "B", "C1": "C"}
GRID = np.stack(np.meshgrid(np.arange(12), np.arange(12), indexing="ij"), axis=-1).reshape(-1, 2)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_each_group_is_held_out_once():
    folds = donor_folds(GROUPS, None)
    assert [fold.test for fold in folds] == [("A1", "A2"), ("B1",), ("C1",)]
    assert folds[0].fit == ("B1", "C1")


def test_two_folds_share_three_groups():
    assert [fold.test for fold in donor_folds(GROUPS, 2)] == [("A1", "A2", "C1"), ("B1",)]


def test_one_group_cannot_be_held_out():
    with pytest.raises(UnitBenchError, match="at least two"):
        donor_folds({"A1": "A", "A2": "A"}, None)


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=4), st.sampled_from("UVWXYZ"), min_size=2),
    st.integers(2, 8) | st.none(),
)
def test_folds_test_each_slide_once_and_share_no_group(groups, n_folds):
    assume(len(set(groups.values())) > 1)
    folds = donor_folds(groups, n_folds)
    assert sorted(slide for fold in folds for slide in fold.test) == sorted(groups)
    assert len({fold.name for fold in folds}) == len(folds)
    for fold in folds:
        assert fold.fit and fold.test and set(fold.fit) | set(fold.test) == set(groups)
        assert not {groups[s] for s in fold.fit} & {groups[s] for s in fold.test}
        assert not check_disjoint(fold, groups, groups)["transductive"]


@given(st.integers(1, 200), st.floats(0.01, 0.99), st.integers(0, 99))
def test_every_spot_is_either_learned_from_or_tested(n_spots, share, seed):
    train, test = random_spots(n_spots, share, rng(seed))
    assert sorted([*train, *test]) == list(range(n_spots))
    assert len(test) == min(max(1, round(share * n_spots)), n_spots - 1)


def test_blocks_of_a_grid_are_whole_and_apart():
    train, test = block_spots(GRID, cells=4, test=0.2, buffer=2, rng=rng())
    block = GRID // 4 @ [3, 1]
    tested = set(block[test])
    assert len(tested) == 2 and len(test) == 32
    assert not tested & set(block[train])
    assert cdist(GRID[train], GRID[test]).min() == np.sqrt(5)
    left_out = np.setdiff1d(np.arange(144), np.concatenate([train, test]))
    assert cdist(GRID[left_out], GRID[test]).min(axis=1).max() <= 2


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=4, max_size=80, unique=True),
    st.integers(2, 8),
    st.floats(0.05, 0.5),
    st.floats(0, 4),
    st.integers(0, 99),
)
def test_blocks_keep_the_buffer_or_say_why_not(spots, cells, share, buffer, seed):
    position = np.array(spots, dtype=np.float32)
    try:
        train, test = block_spots(position, cells, share, buffer, rng(seed))
    except UnitBenchError as error:
        assert "covers the slide" in str(error) or "pitches away" in str(error)
        return
    assert len(train) and len(test)
    assert cdist(position[train], position[test]).min() > buffer


def test_the_largest_block_may_not_take_the_whole_slide():
    position = np.array([[0, 0]] + [[0, 5 + i / 10] for i in range(9)])
    for seed in range(8):
        train, test = block_spots(position, 5, 0.5, 0, rng(seed))
        assert {len(train), len(test)} == {1, 9}


def test_blocks_that_leave_nothing_are_an_error():
    with pytest.raises(UnitBenchError, match="covers the slide"):
        block_spots(GRID, cells=12, test=0.2, buffer=0, rng=rng())
    with pytest.raises(UnitBenchError, match="pitches away"):
        block_spots(GRID, cells=6, test=0.2, buffer=20, rng=rng())


def test_a_slide_or_group_on_both_sides_is_refused():
    with pytest.raises(UnitBenchError, match="slides on both sides: A1"):
        check_disjoint(Fold("bad", ("A1", "B1"), ("A1",)), GROUPS, GROUPS)
    with pytest.raises(UnitBenchError, match="groups on both sides: A"):
        check_disjoint(Fold("all", ("A1", "B1"), ("A2",)), GROUPS, GROUPS)


def test_a_donor_held_out_in_pairs_of_sections_is_recorded():
    donors = dict.fromkeys(("s1", "s2", "s3", "s4"), "one")
    pairs = {"s1": "p", "s2": "p", "s3": "q", "s4": "q"}
    seen = check_disjoint(donor_folds(pairs, None)[0], donors, pairs)
    assert seen["shared"] == {"slides": [], "donors": ["one"], "groups": []}


def test_the_fold_that_holds_nothing_out_is_recorded_as_transductive():
    seen = check_disjoint(everything(list(GROUPS)), GROUPS, GROUPS)
    assert seen["transductive"] and seen["shared"]["slides"] == sorted(GROUPS)


def test_the_page_says_that_other_slides_of_a_held_out_donor_were_seen():
    slides = ("A1", "A2", "A3", "A4")
    donors, pairs = dict.fromkeys(slides, "A"), {"A1": "p", "A2": "p", "A3": "q", "A4": "q"}
    held = {fold.name: check_disjoint(fold, donors, pairs) for fold in donor_folds(pairs, None)}
    assert same_donor(held) == "Other slides of A were learned from: held-out slides, same donor."
    apart = check_disjoint(Fold("f", ("A1",), ("B1",)), {"A1": "A", "B1": "B"}, {"A1": "A", "B1": "B"})
    seen = check_disjoint(everything(slides), donors, pairs)  # random spots are always of slides that were seen
    assert same_donor({"f": apart, "all": seen}) == ""


def test_no_fold_is_drawn_where_none_is_asked():
    assert donor_folds({"A1": "A"}, 0) == donor_folds(GROUPS, 0) == ()


def test_one_slide_alone_has_one_fold_that_holds_nothing_out():
    alone = config(splits={"donor_folds": 0, "block_repeats": 1})
    assert list(folds(alone, {"A1": "A"})) == ["all"]
    assert folds(alone, {"A1": "A"})["all"].test == ("A1",)


def test_the_line_about_one_group_says_how_to_go_on():
    with pytest.raises(UnitBenchError, match=r"set `splits.donor_folds: 0` and `splits.block_repeats`"):
        folds(config(), {"A1": "A"})


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"donor_folds": 0, "random_repeats": 0}, "no split within slides is asked: set block_repeats to 1 or more"),
        ({"donor_folds": 1}, "1 fold would hold out every slide"),
        ({"donor_folds": -1}, "greater than or equal to 0"),
    ],
)
def test_splits_that_test_nothing_are_refused(splits, message):
    with pytest.raises(UnitBenchError, match=message):
        config(splits=splits)
