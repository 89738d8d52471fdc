# The whole workflow: prepare → check → pretrain → score → leaderboard → report, track → show.
# Each rule is one call of `unitbench`. All paths are made in benchmark/experiment/layout.py.
# Another experiment: snakemake --cores all --config experiment=config/default/her2st.yaml
import os
import sys
from functools import partial

from benchmark.experiment.cluster import memory, minutes, told
from benchmark.experiment.depends import depends
from benchmark.experiment.frozen import begin
from benchmark.experiment.shared import share
from snakemake.settings.types import DeploymentMethod
from snakemake.utils import min_version

min_version("9.10")

SHARED = share(workflow, config.get("results", "results"))
# The run works from a copy of the config, so an edit of the config while it works changes the next run alone.
RUN = begin(
    config.get("experiment", "config/default/simulated.yaml"),
    config.get("results", "results"),
    workflow.is_main_process,
)
OUT, WHAT = RUN.results, RUN.arguments
CONDA = DeploymentMethod.CONDA in workflow.deployment_settings.deployment_method
# A storage provider puts its prefix before a path, so an absolute one must name the provider itself.
AT = storage.fs if SHARED else str
# `python` is the one that runs Snakemake, or that of the rule's environment under --use-conda.
os.environ.update(PATH=f"{os.path.dirname(sys.executable)}:{os.getenv('PATH')}")
# A process that was killed leaves no words of its own.
KILLED = (
    ' || {{ code=$?; [ $code -le 128 ] || echo "the process was ended by SIG$(kill -l $code)'
    '; where that is SIGKILL, give it more memory" >> {log:q}; exit $code; }}'
)


rule all:
    input:
        RUN.made,


# Of each step but pretrain and show: its call, what it needs, what it makes. "{job}" stands for the name of a job.
STEPS = {
    "prepare": ("prepare", [], RUN.record),
    "check": ("check", RUN.record, [RUN.checked(job) for job in RUN.jobs]),
    "score.{job}": ("score --job {job}", RUN.arms("{job}"), [RUN.scores("{job}"), RUN.maps("{job}")]),
    "leaderboard": ("leaderboard", RUN.scored, RUN.tables),
    "report": ("report", RUN.tables, [report(page, category="Leaderboard") for page in RUN.pages]),
    "track": ("track", [*RUN.tables, *RUN.pages], RUN.tracked),
}
# What a step depends on beside its inputs. `check` must have nothing: if a rule runs again for its parameters,
# Snakemake misses changes of the rules with its output as `ancient`. The name of its output tells its settings instead.
DEPENDS = {step: depends(RUN, step) for step in ("prepare", "leaderboard", "report", "track", "show")}
DEPENDS["score.{job}"] = lambda wildcards: depends(RUN, "score", wildcards.job)
for env in RUN.environments:
    STEPS[f"environment.{env.name}"] = (f"make-environment {env.name}", [], AT(str(env.ready)))
    DEPENDS[f"environment.{env.name}"] = env.recipe

SENT = ("prepare", "score.{job}")  # to the cluster, where there is one, beside the jobs of pretrain

for STEP, (CALL, NEEDS, MAKES) in STEPS.items():

    rule:
        name:
            STEP.removesuffix(".{job}").replace(".", "_")
        input:
            NEEDS,
        output:
            MAKES,
        # `local` keeps a storage provider from copying. An input or output may not be `local`: its job would not be sent.
        log:
            local(str(OUT / f"logs/{STEP}.log")),
        benchmark:
            local(str(OUT / f"benchmarks/{STEP}.tsv"))
        retries: None if STEP in SENT else 0  # None: as the profile says
        localrule: STEP not in SENT
        conda:
            "envs/unitbench.yaml"
        resources:
            mem_mb=partial(memory, RUN, STEP.removesuffix(".{job}")),
            runtime=partial(minutes, RUN, STEP.removesuffix(".{job}")),
        params:
            call=CALL if STEP.startswith("environment.") else f"{CALL} {WHAT}",
            depends=DEPENDS.get(STEP),
        shell:
            f"python -m benchmark {{params.call}} > {{log:q}} 2>&1 {KILLED}"


rule pretrain:
    input:
        RUN.record,
        lambda wildcards: ancient(RUN.checked(wildcards.job)),
    output:
        RUN.arms("{job}"),
    log:
        local(str(OUT / "logs/pretrain.{job}.log")),
    benchmark:
        local(str(OUT / "benchmarks/pretrain.{job}.tsv"))
    wildcard_constraints:
        job=r"[^/.@]+",
    retries: 0 if workflow.remote_exec else 5  # not within a job of a cluster, which has no more memory to give
    conda:
        "envs/unitbench.yaml"
    threads: RUN.config.training.devices
    resources:
        gpu=RUN.config.training.devices * RUN.config.training.nodes,
        nodes=RUN.config.training.nodes,
        mem_mb=partial(memory, RUN, "pretrain"),
        runtime=partial(minutes, RUN, "pretrain"),
        attempt=lambda wildcards, attempt: told(attempt, workflow.remote_exec),
    params:
        depends=lambda wildcards: depends(RUN, "pretrain", wildcards.job),
        python="python",
        what=WHAT,
    shell:
        "{params.python:q} -m benchmark pretrain {params.what} --job {wildcards.job:q} "
        f"--attempt {{resources.attempt}} > {{log:q}} 2>&1 {KILLED}"


# The same in another environment, for methods that need one: conda's, or else a venv that is made once.
use rule pretrain as pretrain_in with:
    input:
        RUN.record,
        lambda wildcards: ancient(RUN.checked(wildcards.job)),
        lambda wildcards: [] if CONDA else AT(str(RUN.environment(wildcards.job).ready)),
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
        RUN.tracked,
    output:
        RUN.summary,
    log:
        local(str(OUT / "logs/show.log")),
    retries: 0
    localrule: True
    conda:
        "envs/unitbench.yaml"
    params:
        what=WHAT,
        depends=DEPENDS["show"],
    shell:
        f"python -m benchmark show {{params.what}} 2> {{log:q}} {KILLED}"
