# The whole workflow: prepare → check → pretrain → score → leaderboard → report, track. Each rule is one call of `unitbench`.
# Another experiment: snakemake --cores all --config experiment=config/default/her2st.yaml
import os
import shlex
import sys
from pathlib import Path

from benchmark.experiment.layout import open_run
from snakemake.settings.types import DeploymentMethod
from snakemake.utils import min_version

min_version("9.10")

RUN = open_run(config.get("experiment", "config/default/simulated.yaml"), Path(config.get("results", "results")))
OUT = RUN.results
EXPERIMENT = shlex.join(["--config", str(RUN.path), "--results", str(OUT.parent)])
JOB = f"{EXPERIMENT} --job {{wildcards.job}}"
CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method

# `python` is the one that runs Snakemake, or that of the rule's environment under --use-conda.
os.environ.update(PATH=f"{Path(sys.executable).parent}:{os.getenv('PATH')}")


wildcard_constraints:
    job=r"[^/.]+",


localrules:
    all,
    check,
    leaderboard,
    report,
    track,
    verdict,


rule all:
    input:
        OUT / "report.html",
        OUT / "mlflow.json",
        OUT / "verdict.txt",


# Its parameters are all of the config that the corpus depends on: another change of the file leaves it as it is.
rule prepare:
    output:
        RUN.corpus / "record.json",
    log:
        OUT / "logs/prepare.log",
    benchmark:
        OUT / "benchmarks/prepare.tsv"
    conda:
        "envs/unitbench.yaml"
    params:
        dataset=RUN.config.dataset.model_dump(),
    shell:
        f"python -m benchmark prepare {EXPERIMENT} > {{log}} 2>&1"


# Settings that no corpus of these slides can serve stop the run here, before any arm begins. It has no parameters: a
# rule that runs again for its parameters hides from Snakemake what changed in those that have its output as `ancient`.
rule check:
    input:
        RUN.corpus / "record.json",
    output:
        [RUN.checked(job) for job in RUN.jobs],
    log:
        OUT / "logs/check.log",
    benchmark:
        OUT / "benchmarks/check.tsv"
    conda:
        "envs/unitbench.yaml"
    shell:
        f"python -m benchmark check {EXPERIMENT} > {{log}} 2>&1"


rule pretrain:
    input:
        RUN.corpus / "record.json",
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
    threads: 1
    resources:
        gpu=1,
        attempt=lambda wildcards, attempt: attempt,
    params:
        settings=lambda wildcards: RUN.settings(wildcards.job),
        python="python",
    shell:
        f"{{params.python}} -m benchmark pretrain {JOB} --attempt {{resources.attempt}} > {{log}} 2>&1"


# The same for methods whose packages the main environment cannot hold, in theirs: conda's, or else a venv made once.
use rule pretrain as pretrain_in with:
    input:
        RUN.corpus / "record.json",
        lambda wildcards: ancient(RUN.checked(wildcards.job)),
        lambda wildcards: [] if CONDA else RUN.environment(wildcards.job).ready,
    wildcard_constraints:
        job=r"[^/.@]+@[^/.@]+",
    conda:
        lambda wildcards: str(RUN.environment(wildcards.job).file)
    params:
        python=lambda wildcards: "python" if CONDA else RUN.environment(wildcards.job).python,


for NEEDED in RUN.environments:

    rule:
        name:
            f"environment_{NEEDED.name}"
        output:
            NEEDED.ready,
        log:
            OUT / f"logs/environment.{NEEDED.name}.log",
        localrule: True
        conda:
            "envs/unitbench.yaml"
        params:
            recipe=NEEDED.recipe,
        shell:
            f"python -m benchmark environment {NEEDED.name} > {{log}} 2>&1"


rule score:
    input:
        RUN.arms("{job}"),
    output:
        RUN.scores("{job}"),
        RUN.maps("{job}"),
    log:
        OUT / "logs/score.{job}.log",
    benchmark:
        OUT / "benchmarks/score.{job}.tsv"
    conda:
        "envs/unitbench.yaml"
    threads: 1
    shell:
        f"python -m benchmark score {JOB} > {{log}} 2>&1"


rule leaderboard:
    input:
        [RUN.scores(job) for job in RUN.jobs],
        [RUN.maps(job) for job in RUN.jobs],
    output:
        multiext(str(OUT / "scores"), ".parquet", ".csv"),
        OUT / "leaderboard.csv",
        OUT / "leakage.csv",
        [OUT / name for name in ("ablation.csv", "effects.csv") if RUN.varied],
        OUT / "maps.parquet",
        OUT / "manifest.json",
    log:
        OUT / "logs/leaderboard.log",
    benchmark:
        OUT / "benchmarks/leaderboard.tsv"
    conda:
        "envs/unitbench.yaml"
    shell:
        f"python -m benchmark leaderboard {EXPERIMENT} > {{log}} 2>&1"


rule report:
    input:
        rules.leaderboard.output,
    output:
        report(OUT / "report.html", category="Leaderboard"),
        report(OUT / "overview.png", category="Leaderboard"),
        [report(OUT / "ablation.png", category="Leaderboard")] if RUN.varied else [],
    log:
        OUT / "logs/report.log",
    benchmark:
        OUT / "benchmarks/report.tsv"
    conda:
        "envs/unitbench.yaml"
    shell:
        f"python -m benchmark report {EXPERIMENT} > {{log}} 2>&1"


rule track:
    input:
        rules.leaderboard.output,
    output:
        OUT / "mlflow.json",
    log:
        OUT / "logs/track.log",
    benchmark:
        OUT / "benchmarks/track.tsv"
    conda:
        "envs/unitbench.yaml"
    shell:
        f"python -m benchmark track {EXPERIMENT} > {{log}} 2>&1"


# Prints the leaderboard and fails if an arm has failed, after everything else is written.
rule verdict:
    input:
        rules.leaderboard.output,
        rules.report.output,
        rules.track.output,
    output:
        OUT / "verdict.txt",
    log:
        OUT / "logs/verdict.log",
    conda:
        "envs/unitbench.yaml"
    shell:
        f"python -m benchmark verdict {EXPERIMENT} 2> {{log}}"
