# The whole workflow: prepare → pretrain → score → leaderboard → report, track. Each rule is one call of `unitbench`.
# Another experiment: snakemake --cores all --config experiment=config/her2st.yaml
from pathlib import Path

from benchmark.layout import open_run
from snakemake.utils import min_version

min_version("9.10")

RUN = open_run(config.get("experiment", "config/default.yaml"), Path(config.get("results", "results")))
OUT = RUN.results
CALL = f"python -m benchmark {{rule}} --config {RUN.path} --results {OUT.parent}"
JOB = CALL + " --method {wildcards.method} --fold {wildcards.fold} > {log} 2>&1"
SCORES = [RUN.scores(*job) for job in RUN.jobs]


wildcard_constraints:
    method=r"[^/]+",
    fold=r"[^/]+",


localrules:
    all,


rule all:
    input:
        OUT / "report.html",
        OUT / "mlflow.json",
        OUT / "verdict.txt",


rule prepare:
    input:
        RUN.path,
    output:
        RUN.corpus / "record.json",
    params:
        dataset=RUN.config.dataset.model_dump(),
    log:
        OUT / "logs/prepare.log",
    benchmark:
        OUT / "benchmarks/prepare.tsv"
    conda:
        "envs/unitbench.yaml"
    shell:
        CALL + " > {log} 2>&1"


rule pretrain:
    input:
        RUN.corpus / "record.json",
    output:
        RUN.arms("{method}", "{fold}"),
    params:
        version=lambda wildcards: RUN.version(wildcards.method),
        settings=lambda wildcards: RUN.settings(wildcards.method),
    log:
        OUT / "logs/pretrain.{method}.{fold}.log",
    benchmark:
        OUT / "benchmarks/pretrain.{method}.{fold}.tsv"
    conda:
        "envs/unitbench.yaml"
    threads: 1
    resources:
        gpu=1,
    shell:
        JOB


rule score:
    input:
        RUN.arms("{method}", "{fold}"),
    output:
        RUN.scores("{method}", "{fold}"),
        RUN.maps("{method}", "{fold}"),
    log:
        OUT / "logs/score.{method}.{fold}.log",
    benchmark:
        OUT / "benchmarks/score.{method}.{fold}.tsv"
    conda:
        "envs/unitbench.yaml"
    threads: 1
    shell:
        JOB


rule leaderboard:
    input:
        SCORES,
    output:
        multiext(str(OUT / "scores"), ".parquet", ".csv"),
        OUT / "leaderboard.csv",
        OUT / "maps.parquet",
        OUT / "manifest.json",
    log:
        OUT / "logs/leaderboard.log",
    conda:
        "envs/unitbench.yaml"
    shell:
        CALL + " > {log} 2>&1"


rule report:
    input:
        rules.leaderboard.output,
    output:
        report(OUT / "report.html", category="Leaderboard"),
    log:
        OUT / "logs/report.log",
    conda:
        "envs/unitbench.yaml"
    shell:
        CALL + " > {log} 2>&1"


rule track:
    input:
        rules.leaderboard.output,
    output:
        OUT / "mlflow.json",
    log:
        OUT / "logs/track.log",
    conda:
        "envs/unitbench.yaml"
    shell:
        CALL + " > {log} 2>&1"


# Prints the leaderboard and fails if an arm has failed, after everything else is written.
rule verdict:
    input:
        rules.leaderboard.output,
        rules.report.output,
        rules.track.output,
    output:
        OUT / "verdict.txt",
    shell:
        f"python -m benchmark verdict --config {RUN.path} --results {OUT.parent}"
