# The whole workflow: prepare → check → pretrain → score → leaderboard → report, track → show.
# Each rule is one call of `unitbench`. All paths are made in benchmark/experiment/layout.py.
# Another experiment: snakemake --cores all --config experiment=config/default/her2st.yaml
import os
import sys

from benchmark.experiment.layout import open_run
from snakemake.settings.types import DeploymentMethod
from snakemake.utils import min_version

min_version("9.10")

RUN = open_run(config.get("experiment", "config/default/simulated.yaml"), config.get("results", "results"))
OUT, WHAT = RUN.results, RUN.arguments
CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
# `python` is the one that runs Snakemake, or that of the rule's environment under --use-conda.
os.environ.update(PATH=f"{os.path.dirname(sys.executable)}:{os.getenv('PATH')}")


rule all:
    input:
        RUN.summary,


# Of each step but pretrain and show: its call, what it needs, what it makes. "{job}" stands for the name of a job.
STEPS = {
    "prepare": (f"prepare {WHAT}", [], RUN.record),
    "check": (f"check {WHAT}", RUN.record, [RUN.checked(job) for job in RUN.jobs]),
    "score.{job}": (f"score {WHAT} --job {{job}}", RUN.arms("{job}"), [RUN.scores("{job}"), RUN.maps("{job}")]),
    "leaderboard": (f"leaderboard {WHAT}", RUN.scored, RUN.tables),
    "report": (f"report {WHAT}", RUN.tables, [report(page, category="Leaderboard") for page in RUN.pages]),
    "track": (f"track {WHAT}", RUN.tables, OUT / "mlflow.json"),
} | {f"environment.{env.name}": (f"make-environment {env.name}", [], env.ready) for env in RUN.environments}

# Settings that a step depends on. The corpus depends on the dataset, not on the rest of the config. `check` must have
# none: if a rule runs again for its parameters, Snakemake misses changes of the rules with its output as `ancient`.
DEPENDS = {"prepare": RUN.config.dataset.model_dump()}
DEPENDS |= {f"environment.{env.name}": env.recipe for env in RUN.environments}

for STEP, (CALL, NEEDS, MAKES) in STEPS.items():

    rule:
        name:
            STEP.removesuffix(".{job}").replace(".", "_")
        input:
            NEEDS,
        output:
            MAKES,
        log:
            OUT / f"logs/{STEP}.log",
        benchmark:
            OUT / f"benchmarks/{STEP}.tsv"
        localrule: STEP not in ("prepare", "score.{job}")
        conda:
            "envs/unitbench.yaml"
        params:
            call=CALL,
            depends=DEPENDS.get(STEP),
        shell:
            "python -m benchmark {params.call} > {log} 2>&1"


rule pretrain:
    input:
        RUN.record,
        lambda wildcards: ancient(RUN.checked(wildcards.job)),
    output:
        RUN.arms("{job}"),
    log:
        OUT / "logs/pretrain.{job}.log",
    benchmark:
        OUT / "benchmarks/pretrain.{job}.tsv"
    wildcard_constraints:
        job=r"[^/.@]+",
    retries: 5
    conda:
        "envs/unitbench.yaml"
    resources:
        gpu=1,
        attempt=lambda wildcards, attempt: attempt,
    params:
        settings=lambda wildcards: RUN.settings(wildcards.job),
        python="python",
    shell:
        f"{{params.python}} -m benchmark pretrain {WHAT} --job {{wildcards.job}} "
        "--attempt {resources.attempt} > {log} 2>&1"


# The same in another environment, for methods that need one: conda's, or else a venv that is made once.
use rule pretrain as pretrain_in with:
    input:
        RUN.record,
        lambda wildcards: ancient(RUN.checked(wildcards.job)),
        lambda wildcards: [] if CONDA else RUN.environment(wildcards.job).ready,
    wildcard_constraints:
        job=r"[^/.@]+@[^/.@]+",
    conda:
        lambda wildcards: str(RUN.environment(wildcards.job).file)
    params:
        python=lambda wildcards: "python" if CONDA else RUN.environment(wildcards.job).python,


# Prints the leaderboard and fails if an arm has failed, after everything else is written.
rule show:
    input:
        RUN.tables,
        RUN.pages,
        OUT / "mlflow.json",
    output:
        RUN.summary,
    log:
        OUT / "logs/show.log",
    localrule: True
    conda:
        "envs/unitbench.yaml"
    shell:
        f"python -m benchmark show {WHAT} 2> {{log}}"
