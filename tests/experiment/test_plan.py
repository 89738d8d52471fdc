"""A plan of a run: worked out by hand, the same arms as the workflow, budgets that fit, and what is refused."""

from __future__ import annotations

import math
import re
import subprocess
import sys

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from benchmark import cli
from benchmark.core.errors import UnitBenchError
from benchmark.experiment.afford import afford, scaled
from benchmark.experiment.devices import TABLE, Speeds
from benchmark.experiment.layout import open_run
from benchmark.experiment.plan import plan
from benchmark.experiment.planned import Prices, large_slides, lines
from benchmark.experiment.schedule import makespan, seconds_of
from benchmark.experiment.workflow import SNAKEFILE
from benchmark.training.budget import Meter
from tests.helpers.command import environment
from tests.helpers.measured import CONFIG, facts
from tests.helpers.paths import ROOT
from tests.helpers.planned import jobs


@pytest.fixture
def make(tmp_path, monkeypatch):
    """`make(**changes)`: the run of the config with these keys changed, in the working folder."""
    monkeypatch.chdir(tmp_path)

    def make(**changes):
        (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(CONFIG | changes))
        return open_run("tiny.yaml")

    return make


def planned(run, known=None):
    known = known or facts()
    return plan(run, known, Speeds(known))


def test_a_plan_worked_out_by_hand(make):
    costs = planned(make())
    # patch: 2 budgets in each of 3 folds; random has one. A job a fold holds both methods.
    assert len(costs.arms) == 9 and list(costs.jobs) == ["fold0-0", "fold1-0", "all-0"]
    trained = [cost for cost in costs.arms if cost.arm.amount]
    # 1.01e9 FLOPs are 10 steps of 1e8, which take 1 s each; 1% is left over, and 2% would be allowed.
    assert {(cost.flops, cost.steps, cost.spots, cost.training) for cost in trained} == {(1e9, 10, 500, 10)}
    assert trained[0].fraction == pytest.approx(1 / 1.01) and not trained[0].misses
    assert trained[0].memory == 7e8
    assert sum(cost.n_bytes for cost in costs.arms) == 3 * (1000 + 600 + 500) and costs.tables == 100
    # start 4, what arms share 3, training 10, and beside it 2 (trained), 1 (untrained), 0.5 (random)
    assert [job.fit for job in costs.jobs.values()] == [20.5] * 3
    # Donors held out: domain with 2 numbers of neighbours for 3 arms, the reconstruction of patch once for each budget.
    assert costs.jobs["fold0-0"].score == 5 + 0.25 * (3 * 2 + 2)
    # Within slides: 3 draws of domain alone, with 2 numbers of neighbours, for 3 arms.
    assert costs.jobs["all-0"].score == 5 + 0.125 * 3 * 2 * 3
    assert costs.core_seconds == 5 + 3 * 20.5 + 2 * 7 + 7.25 and costs.device_seconds == 3 * 20.5
    assert costs.lacking == []
    assert seconds_of(costs, 1) == costs.core_seconds
    assert seconds_of(costs, None) == 5 + 20.5 + 7.25


@pytest.mark.parametrize(
    ("budget", "flops", "steps", "seconds"),
    [
        ({"axis": "flops", "amounts": [1e9]}, 1e9, 10, 10),
        ({"axis": "spots", "amounts": [1000]}, 2e9, 20, 20),  # 50 spots a step
        ({"axis": "device_seconds", "amounts": [30]}, 3e9, 30, 30),  # 1 s a step
    ],
)
def test_each_axis_gives_steps_by_its_own_price(make, budget, flops, steps, seconds):
    costs = planned(make(budget=budget))
    assert {(cost.flops, cost.steps, cost.training) for cost in costs.arms if cost.arm.method == "patch"} == {
        (flops, steps, seconds)
    }


def test_an_arm_whose_step_is_too_large_for_its_budget_is_named(make):
    run = make(budget={"axis": "flops", "amounts": [1e9, 1.05e9]})
    costs = planned(run)
    # 1.05e9 is 10 or 11 steps of 1e8: both are nearly 5% away from it.
    assert {cost.arm.amount for cost in costs.arms if cost.misses} == {1.05e9}
    said = "\n".join(lines(run, costs, "here", 1, Prices()))
    assert "3 arms will fail, since one step is too large for their budget" in said
    assert "patch/fold0/1.05e+09-seed0 ends at 104.8% of it" in said


@given(st.floats(1, 1e4), st.floats(0.01, 1e3))
def test_as_many_steps_are_planned_as_the_meter_takes(amount, step):
    meter, n = Meter("flops", amount), 0
    if amount / step > 1e4:
        return
    while meter.has_room(step):
        meter.flops, n = step * (n + 1), n + 1
    assert abs(n - math.floor(amount / step + 0.5)) <= (abs(amount / step % 1 - 0.5) < 1e-9)


def test_what_was_never_measured_counts_as_nothing_and_is_listed(make):
    run, known = make(), facts()
    known._by_what.pop(("unit within", "", None))
    known._by_what.pop(("FLOP/s", "patch", True))
    costs = planned(run, known)
    assert costs.lacking == ["FLOP/s of training of patch", "scoring of splits within slides"]
    assert sum(cost.training for cost in costs.arms) == 0 and sum(cost.flops for cost in costs.arms) == 3e9
    said = "\n".join(lines(run, costs, "here", 1, Prices()))
    assert "core time: at least" in said and "not measured, counted as 0:\n  FLOP/s of training of patch" in said


def test_the_plan_has_the_jobs_and_arms_of_the_workflow(make):
    run = make(methods_per_job=1)
    costs = planned(run)
    words = (sys.executable, "-m", "snakemake", "--snakefile", SNAKEFILE, "-n", "--config", "experiment=tiny.yaml")
    said = subprocess.run(words, env=environment(), capture_output=True, text=True)
    found = jobs(said.stdout + said.stderr + "exit code 0" * (said.returncode == 0))
    assert sorted(f"pretrain {job}" for job in costs.jobs) == [job for job in found if job.startswith("pretrain")]
    assert {job: [cost.arm for cost in of.arms] for job, of in costs.jobs.items()} == run.plan()


def test_budgets_that_are_proposed_fit_and_larger_ones_do_not(make):
    run, known = make(), facts()
    speeds = Speeds(known)
    for hours in (0.1, 1, 24):
        found, costs = afford(run, known, speeds, hours, workers=2)
        assert found.config.budget.amounts[0] == 0 and not any(cost.misses for cost in costs.arms)
        assert seconds_of(costs, 2) <= hours * 3600
        more = plan(scaled(found, 1.11), known, speeds)
        assert seconds_of(more, 2) > hours * 3600


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1, max_size=12), st.integers(1, 5))
def test_the_clock_is_bounded_by_the_longest_chain_and_by_the_work(chains, workers):
    longest, work = max(map(sum, chains)), sum(map(sum, chains))
    takes = makespan(chains, workers)
    assert max(longest, work / workers) - 1e-6 <= takes <= work / workers + longest + 1e-6
    assert makespan(chains, 1) == pytest.approx(work) and makespan(chains, len(chains)) == pytest.approx(longest)


def test_two_workers_share_three_jobs():
    # One fits and scores the long job (3 + 3); the other fits and scores two of 2 + 1.
    assert makespan([(3, 3), (2, 1), (2, 1)], 2) == 6


def test_slides_that_need_more_than_the_memory(tissue):
    slide = tissue.names[0]
    n_bytes = 2 * 4 * tissue[slide].n_obs * tissue[slide].n_vars  # two float32 matrices of all spots and genes
    assert large_slides(tissue.subset([slide]), n_bytes) == {}
    assert large_slides(tissue.subset([slide]), n_bytes - 1) == {slide: n_bytes}


def test_prices_by_hand(make):
    run = make()
    costs = planned(run)  # 61.5 s on the device: 0.01708 h
    said = "\n".join(lines(run, costs, "here", 1, Prices("100 EUR", 500, "10 $")))
    assert "device for 0.0171 h: 1.71 EUR" in said
    assert "energy at 500 W: 0.00854 kWh, 0.09 USD" in said


def test_each_device_of_the_table_has_a_source_that_tells_its_speed():
    for row in yaml.safe_load(TABLE.read_text()):
        text = (ROOT / row["source"]).read_text()
        lines_of = [line for line in text.splitlines() if line.startswith(f"| {row['device'].split()[-1]} |")]
        told = [re.split(r" *\| *", line) for line in lines_of]
        assert any(
            line[2] == f"`{row['options']['preset']}`"
            and line[3] == str(row["options"]["side"])
            and float(line[6]) == pytest.approx(row["flop_per_second"] / 1e12)
            for line in told
        ), row


def test_another_device_changes_the_training_alone(make):
    methods = [{"method": "context", "options": {"side": 8}}, "random"]
    run, known = make(methods=methods), facts()
    costs = plan(run, known, Speeds(known, "h100"))
    # 1.01e9 FLOPs at the 0.12 TFLOP/s that docs/speed.md tells of tiny, the preset that is left out
    assert max(cost.training for cost in costs.arms) == pytest.approx(1.01e9 / 0.12e12)
    assert "FLOP/s of training of context" in plan(run, known, Speeds(known, "h200")).lacking


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["nope.yaml"], "nope.yaml: file not found"),
        (["--device", "H1000"], "--device 'H1000': no speed was measured on it; did you mean 'NVIDIA H100'?"),
        (["--fit", "0"], "--fit 0: no number of hours; give one above 0"),
        (["--fit", "nan"], "--fit nan: no number of hours"),
        (["--price", "2.5"], "--price '2.5': no price in euros or dollars; give one such as '2.50 EUR'"),
        (["--watts", "-1"], "--watts -1: no power of a device"),
        (["--kwh-price", "0.3 EUR"], "--kwh-price: the power of the device is not told; give --watts too"),
        (["--workers", "0"], "Invalid value for '--workers'"),
    ],
)
def test_each_bad_input_is_refused_in_one_line(make, monkeypatch, capsys, words, said):
    make()
    config = [] if words[0].endswith("yaml") else ["tiny.yaml"]
    monkeypatch.setattr(sys, "argv", ["unitbench", "plan", *config, *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    err = capsys.readouterr().err
    assert ended.value.code == 2 and err.count("\n") == 1 and said in err


def test_hours_that_cannot_be_kept_are_refused(make):
    run, known = make(), facts()
    speeds = Speeds(known)
    with pytest.raises(UnitBenchError, match=r"all but the training takes .* h with 1 workers"):
        afford(run, known, speeds, 0.01, 1)
    with pytest.raises(UnitBenchError, match="would miss its own: one step is too large for it"):
        afford(run, known, speeds, (seconds_of(planned(run), 1) - 25) / 3600, 1)
    with pytest.raises(UnitBenchError, match="no arm trains: every budget is 0"):
        afford(make(budget={"axis": "flops", "amounts": [0]}), known, speeds, 1, 1)
    known._by_what.pop(("FLOP/s", "patch", True))
    with pytest.raises(UnitBenchError, match="FLOP/s of training of patch was not measured"):
        afford(run, known, speeds, 1, 1)
