"""The manifest tells how the arms were made, and whether all were made alike."""

from __future__ import annotations

import pytest

from benchmark.experiment.manifest import differences, groups_of

ALIKE = {"commit": "aaa", "unitbench": "0.1", "torch": "2.9", "device": "cpu", "precision": "fp32"}
PCA, RANDOM = ({"method": name, "plugin": "unitbench 0.1", "code": name, **ALIKE} for name in ("pca", "random"))


def test_arms_that_were_fitted_alike_are_one_entry():
    newer = PCA | {"commit": "bbb"}
    assert groups_of([PCA, RANDOM, PCA, newer]) == [
        {**ALIKE, "code": "pca", "methods": ["pca"], "arms": 2},
        {**ALIKE, "code": "pca", "commit": "bbb", "methods": ["pca"], "arms": 1},
        {**ALIKE, "code": "random", "methods": ["random"], "arms": 1},
    ]


def test_arms_of_other_methods_have_other_code_and_differ_in_nothing():
    assert differences([PCA, RANDOM, PCA]) == []
    assert differences([]) == []


@pytest.mark.parametrize("name", ["code", "commit", "unitbench", "torch", "device", "precision"])
def test_it_says_in_what_the_arms_of_a_run_differ(name):
    assert differences([PCA, RANDOM, PCA | {name: "another"}]) == [name]
    assert differences([PCA, {key: value for key, value in PCA.items() if key != name}]) == [name]
