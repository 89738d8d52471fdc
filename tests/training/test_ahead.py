"""Samples that a thread draws ahead are those of the step that asks."""

from __future__ import annotations

import threading

import pytest

from benchmark.training.loop import Ahead


class Numbers:
    """Samples that are the number of their step. Those of step 5 cannot be drawn."""

    def __init__(self):
        self.asked = []

    def __getitem__(self, k):
        self.asked.append(k)
        if k == 5:
            raise ValueError("no spot")
        return k


def test_each_step_gets_its_own_samples_which_are_drawn_once():
    numbers = Numbers()
    with Ahead(numbers) as ahead:
        assert [ahead[k] for k in range(4)] == [0, 1, 2, 3]
    assert numbers.asked[:4] == [0, 1, 2, 3]


def test_a_step_out_of_turn_gets_its_own_samples_too():
    with Ahead(Numbers()) as ahead:
        assert [ahead[k] for k in (0, 3, 3, 1)] == [0, 3, 3, 1]


def test_an_error_reaches_the_step_that_asks_and_no_earlier_one():
    with Ahead(Numbers()) as ahead:
        assert ahead[4] == 4
        with pytest.raises(ValueError, match="no spot"):
            ahead[5]


def test_the_thread_ends_with_the_training():
    before = threading.active_count()
    with Ahead(Numbers()) as ahead:
        _ = ahead[0]
    assert threading.active_count() == before
