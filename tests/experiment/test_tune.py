"""Tuning: the same trials for all, inside the training donors, and the best of each fold in a config."""

from __future__ import annotations

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmark.core.config import Config, Tuning, read_config
from benchmark.core.errors import UnitBenchError
from benchmark.core.scores import COLUMNS, write_table
from benchmark.core.typed_values import build
from benchmark.experiment.arms import folds
from benchmark.experiment.layout import open_run
from benchmark.experiment.tune import inner, settings, tune, winners, written

SPACE = {"learning_rate": [1e-3, 3e-3, 9e-3], "hidden": [0.25, 0.5]}


def config(**more: object) -> Config:
    values = {
        "name": "outer",
        "dataset": {"name": "simulated"},
        "methods": [{"method": "context", "vary": {"side": [1, 4]}}, "pca"],
        "tasks": ["domain", "clustering"],
        "splits": {"donor_folds": 3, "random_repeats": 2},
        "budget": {"axis": "flops", "amounts": [0, 1e9]},
        "tuning": {"space": SPACE, "trials": 4, "amount": 1e8},
    }
    return build(Config, values | more, "test")


def test_trials_are_settings_of_the_space_and_the_first_is_the_methods_own():
    tried = settings(Tuning(space=SPACE, trials=4, amount=1.0))
    assert tried[0] == {} and len(tried) == 4
    assert len({tuple(trial.items()) for trial in tried}) == 4
    assert all(trial[name] in values for trial in tried[1:] for name, values in SPACE.items())
    assert len(settings(Tuning(space={"hidden": [0.1]}, trials=9, amount=1.0))) == 2  # no more than the space has


@given(n_donors=st.integers(4, 12), per_donor=st.integers(1, 3), outer=st.integers(2, 4))
def test_no_trial_learns_from_a_test_donor_or_is_scored_on_one(n_donors, per_donor, outer):
    groups = {f"slide{d}_{k}": f"donor{d}" for d in range(n_donors) for k in range(per_donor)}
    of = config(splits={"donor_folds": outer})
    for name, fold in folds(of, groups).items():
        if fold.transductive:
            continue
        tested = {groups[slide] for slide in fold.test}
        trials = settings(of.tuning)
        values = inner(of, list(of.methods[:2]), trials, name, sorted(tested))
        within = build(Config, values, "inner")
        found = folds(within, groups)
        seen = {groups[s] for inside in found.values() for s in (*inside.learn, *inside.fit, *inside.test)}
        assert not seen & tested and seen == set(groups.values()) - tested
        assert all(not set(inside.learn) & set(inside.test) for inside in found.values())
        tries = [entry.label.partition(".trial-")[0] for entry in within.methods]
        assert [tries.count(label) for label in dict.fromkeys(tries)] == [4, 4]


def rows(values: dict[str, list[float]]) -> pd.DataFrame:
    """k-NN and linear rows of a slide for each trial, and rows that tuning must not look at."""
    table = [
        {
            "method": name,
            "task": "domain",
            "setting": setting,
            "metric": metric,
            "slide": slide,
            "status": "ok",
            "value": v,
        }
        for name, (knn, linear) in values.items()
        for setting, metric, slide, v in (
            ("knn", "macro_f1", "a", knn),
            ("linear", "macro_f1", "a", linear),
            ("knn", "accuracy", "a", 1 - knn),
            ("knn", "macro_f1", "pooled", 1 - knn),
            ("majority", "macro_f1", "a", 1 - knn),
        )
    ]
    return pd.DataFrame(table)


def test_the_best_mean_of_both_probes_wins_and_the_first_of_equals():
    found = rows({"m.trial-0": [0.5, 0.5], "m.trial-1": [0.25, 0.875], "m.trial-2": [0.875, 0.25]})
    assert winners(found, ["m"], 3) == {"m": (1, 0.5625)}


def test_a_trial_without_a_score_stops_the_choice():
    with pytest.raises(UnitBenchError, match=r"m\.trial-1: it has no score"):
        winners(rows({"m.trial-0": [0.5, 0.5]}), ["m"], 2)


def test_the_config_that_is_written_reads_back_with_the_settings_of_each_fold(tmp_path):
    of = config()
    best = {"fold0": {"context.side-1": {"hidden": 0.25}, "context.side-4": {}}, "fold1": {"context.side-1": {}}}
    path = tmp_path / "tuned.yaml"
    path.write_text(written(of, best, ["a note"]))
    back = read_config(path)
    assert back.name == "outer_tuned" and back.tuning is None
    assert back.method("context.side-1").at("fold0").options == {"side": 1, "hidden": 0.25}
    assert back.method("context.side-1").at("fold1").options == {"side": 1}
    assert back.method("context.side-4") == of.method("context.side-4")
    assert [m.canonical for m in back.methods[1:]] == [m.canonical for m in of.methods[1:]]


def test_groups_left_out_must_exist():
    with pytest.raises(UnitBenchError, match="no such group"):
        folds(config(splits={"without": ["donor9"]}), {"a": "donor1", "b": "donor2"})


def test_each_fold_has_its_own_trials_and_its_own_best_setting(tmp_path, monkeypatch, capsys):
    values = config().model_dump(mode="json", exclude={"tuning"}) | {"splits": {"donor_folds": 2}}
    values |= {"tuning": {"space": SPACE, "trials": 2, "amount": 1e8}}
    (tmp_path / "outer.yaml").write_text(yaml.safe_dump(values))
    planned = []

    def stand_in(run, cores, resume):
        """A run whose second trial is the better one in its second call alone."""
        planned.extend(arm.name for arms in run.plan().values() for arm in arms)
        better = 0.75 if run.config.name == "fold1" else 0.25
        table = rows({m.label: [better if m.label.endswith("1") else 0.5] * 2 for m in run.config.methods})
        spent = [{"method": m.label, "metric": "flops", "value": 1e8} for m in run.config.methods]
        run.results.mkdir(parents=True)
        empty = {name: "" for name in COLUMNS} | {"value": 0.0}
        write_table(
            run.results / "scores.parquet", pd.DataFrame([empty | row for row in (*table.to_dict("records"), *spent)])
        )
        return 0

    monkeypatch.setattr("benchmark.experiment.tune.run_workflow", stand_in)
    assert tune(open_run(tmp_path / "outer.yaml", tmp_path), tmp_path / "tuned.yaml", "1") == 0
    assert len(planned) == 2 * 2 * 2 * 2  # outer folds, sides, trials, inner folds
    assert "fold0: 4e+08 FLOPs in 4 trials" in capsys.readouterr().out
    tuned = read_config(tmp_path / "tuned.yaml")
    trial = settings(Tuning(space=SPACE, trials=2, amount=1.0))[1]
    assert tuned.method("context.side-4").folds == {"fold1": trial}
    assert tuned.method("pca").folds == {}
    assert "*id" not in (tmp_path / "tuned.yaml").read_text()  # an alias of YAML: the file is to be read by people
