"""Choices on training spots: by left-out donors, never by a test spot, the same again; and the scale of dimensions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier

from benchmark.tasks import tuning
from benchmark.tasks.probes import PENALTIES, linear, predict, scale_matters
from benchmark.tasks.scaling import scaling
from benchmark.tasks.tuning import choose

NAMES = np.array(["a", "b", "c"])


def donors(n: int, d: int, seed: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embedding, label and donor of spots of 4 donors; each donor has an offset of size `shift` in every dimension."""
    rng = np.random.default_rng(seed)
    number, donor = rng.integers(0, 3, n), np.arange(n) % 4
    embedding = 4 * np.eye(d)[number] + rng.standard_normal((n, d)) + shift * rng.standard_normal((4, d))[donor]
    return embedding.astype(np.float32), NAMES[number], donor.astype(str)


# Choices


def test_a_group_is_never_on_both_sides():
    train, label, group = donors(200, 3, 0)
    of = {row.tobytes(): name for row, name in zip(train, group, strict=True)}
    seen = []

    def spy(train, label, left_out):
        seen.append(({of[row.tobytes()] for row in train}, {of[row.tobytes()] for row in left_out}))
        return np.repeat(label[0], len(left_out))

    choose([spy], train, label, group, 0)
    assert len(seen) == tuning.PARTS and all(not fit & out for fit, out in seen)
    assert set.union(*(out for _, out in seen)) == set("0123")


def test_the_candidate_that_is_right_on_left_out_donors_is_chosen():
    train, label, group = donors(200, 3, 0)

    def worst(train, label, left_out):
        return np.repeat("a", len(left_out))

    def good(train, label, left_out):
        return NAMES[left_out.argmax(axis=1)]

    assert choose([worst, good], train, label, group, 0) == 1
    assert choose([good, worst, good], train, label, group, 0) == 0  # of equals, the first


def test_what_holds_within_a_donor_only_is_not_chosen():
    """Each donor has its own sign, so a weak penalty helps within donors and a strong one between them."""
    rng = np.random.default_rng(0)
    donor, number = np.arange(400) % 4, rng.integers(0, 2, 400)
    own = np.eye(4)[donor] * (2 * number - 1)[:, None] * np.array([1, -1, 1, -1])[donor][:, None]
    shared = (2 * number - 1)[:, None] + 1.5 * rng.standard_normal((400, 1))
    group, label = donor.astype(str), NAMES[number]
    only_shared = lambda train, label, out: np.where(out[:, 0] > 0, "b", "a")  # noqa: E731
    with_own = lambda train, label, out: KNeighborsClassifier(1).fit(train, label).predict(out)  # noqa: E731
    train = np.hstack([shared, 9 * own])
    assert choose([with_own, only_shared], train, label, group, 0) == 1
    assert choose([with_own, only_shared], train, label, None, 0) == 0  # spots of one donor on both sides


def test_test_spots_have_no_part_in_a_choice():
    (train, label, group), (test, *_) = donors(200, 5, 0, shift=1), donors(50, 5, 1, shift=1)
    alone = [predict(probe, train, label, test[:7], 0, group) for probe in ("knn", "linear")]
    with_others = [predict(probe, train, label, test, 0, group)[:7] for probe in ("knn", "linear")]
    assert all((a == b).all() for a, b in zip(alone, with_others, strict=True))


def test_few_spots_are_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr(tuning, "MOST_SPOTS", 40)
    train, label, group = donors(200, 3, 0)
    sizes = []

    def spy(train, label, left_out):
        sizes.append(len(train) + len(left_out))
        return np.repeat(label[0], len(left_out))

    choose([spy], train, label, group, 0)
    assert set(sizes) == {40}


def test_a_stronger_penalty_gives_less_certain_weights():
    train, label, _ = donors(300, 3, 0)
    noise = np.random.default_rng(1).standard_normal((2000, 3)).astype(np.float32)
    counts = [np.unique(linear(train, label, noise, penalty), return_counts=True)[1] for penalty in (1e3, 1e-4)]
    assert len(counts[0]) < len(counts[1]) == 3  # at the end, the most frequent label
    assert list(PENALTIES) == sorted(PENALTIES, reverse=True)


# Scale


def test_a_large_dimension_that_says_nothing_does_not_decide():
    (train, label, group), (test, truth, _) = donors(400, 4, 0), donors(200, 4, 1)
    rng = np.random.default_rng(2)
    train, test = (np.hstack([x, 1000 * rng.standard_normal((len(x), 1))]) for x in (train, test))
    as_it_is = KNeighborsClassifier(10).fit(train, label).predict(test)
    assert (as_it_is == truth).mean() < 0.5
    for probe in ("knn", "linear", "mlp"):
        assert (predict(probe, train, label, test, 0, group) == truth).mean() > 0.9


def test_small_dimensions_of_noise_do_not_drown_the_others():
    """As of principal components, whose last ones are noise."""
    (train, label, group), (test, truth, _) = donors(400, 3, 0), donors(200, 3, 1)
    rng = np.random.default_rng(2)
    train, test = (np.hstack([x, 0.01 * rng.standard_normal((len(x), 100))]) for x in (train, test))
    assert not scale_matters(train, label, 0, group)
    assert (predict("knn", train, label, test, 0, group) == truth).mean() > 0.9


@given(st.integers(0, 99), st.lists(st.integers(-12, 12), min_size=4, max_size=4))
@settings(max_examples=20)
def test_linear_and_mlp_are_the_same_at_every_scale(seed, powers):
    (train, label, group), (test, *_) = donors(60, 4, seed), donors(30, 4, seed + 1)
    unit = (2.0 ** np.array(powers)).astype(np.float32)
    for probe in ("linear", "mlp"):
        one, other = (predict(probe, train * u, label, test * u, 0, group) for u in (np.float32(1), unit))
        assert (one == other).all()


@given(st.integers(0, 99), st.integers(-12, 12))
@settings(max_examples=20)
def test_the_k_nn_is_the_same_at_every_scale_of_the_whole_embedding(seed, power):
    (train, label, group), (test, *_) = donors(60, 4, seed), donors(30, 4, seed + 1)
    one, other = (predict("knn", train * u, label, test * u, 0, group) for u in (np.float32(1), np.float32(2.0**power)))
    assert (one == other).all()


def test_standardised_dimensions_have_mean_0_and_deviation_1_on_the_training_spots():
    train, test = np.random.default_rng(0).normal(5, 3, (2, 50, 4))
    ours, theirs = map(scaling(train), (train, test))
    np.testing.assert_allclose(ours.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(ours.std(axis=0), 1, rtol=1e-6)
    np.testing.assert_allclose(theirs, (test - train.mean(axis=0)) / train.std(axis=0), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", [0, 1, 1000])
def test_a_constant_dimension_is_0_with_all_its_rounding(size):
    rounding = 1 + 1e-7 * np.random.default_rng(0).standard_normal((50, 1))
    train = (size * rounding).astype(np.float32)
    ours, theirs = map(scaling(train), (train, train + 1))
    assert not ours.any() and not theirs.any()
