"""What Snakemake plans on a finished run after a change, without doing it.

Called as a program: `python -m tests.helpers.planned SNAKEFILE CONFIG < changes`. It first does the run with a stand-in
for the steps, which writes the files that they would. Then it prints the jobs of the plan after each change, as JSON.
One process imports everything, and a copy of it makes each plan, so a plan takes about a second.

A change is `{file: text}`; a text "copy of FILE" stands for the bytes of that file; null stands for a file that is
gone, and the file may be a pattern; under "path" a folder is put first on the path of modules.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path

IMPORTED = ("anndata", "snakemake.cli", "benchmark.experiment.frozen", "benchmark.datasets.h5ad_folder")
IMPORTED += ("benchmark.tasks.clustering", "benchmark.tasks.domain")
NOTHING = {"bytes": 0, "sha256": hashlib.sha256(b"").hexdigest()}
STAND_IN = """
import json, sys
from pathlib import Path

step = sys.argv[1] + (f".{sys.argv[sys.argv.index('--job') + 1]}" if "--job" in sys.argv else "")
for file, text in json.loads(Path("outputs.json").read_text())[step].items():
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    Path(file).write_text(text)
"""


def outputs(config: str) -> dict[str, dict[str, str]]:
    """The files that each step makes, with as much in them as a plan reads."""
    from benchmark.experiment.layout import open_run

    run = open_run(config)
    slide = [run.corpus / file for file in ("panels.npy", "slides/a.safetensors", "slides/a.h5ad")]
    made = {
        "prepare": {run.record: json.dumps({"slides": {"a": {}}}), **dict.fromkeys(slide, "")},
        "check": dict.fromkeys(map(run.checked, run.jobs), ""),
        "leaderboard": dict.fromkeys(run.tables, ""),
        "report": dict.fromkeys(run.pages, ""),
        "track": {run.tracked: "", run.database: ""},
        "show": {run.summary: ""},
    }
    for job, pairs in run.jobs.items():
        records, arms = [], {}
        for label, fold in pairs:
            record = {"method": label, "fold": fold, "amount": 0, "seed": 0, "key": "", "files": {"out.npz": NOTHING}}
            record |= {"unit": "none", "status": "ok", "reason": "", "seen": {}}
            records.append(record)
            folder = run.results / f"arms/{label}/{fold}/0-seed0"
            arms |= {folder / "arm.json": json.dumps(record), folder / "out.npz": ""}
        made[f"pretrain.{job}"] = arms | {run.arms(job): json.dumps(records)}
        made[f"score.{job}"] = {run.scores(job): "", run.maps(job): ""}
    return {step: {str(file): text for file, text in files.items()} for step, files in made.items()}


def apart(call: Callable[[], str]) -> str:
    """What the call returns, made in a copy of this process: what is kept there for its life is kept nowhere else."""
    with open("said.txt", "w+", encoding="utf-8") as file:
        if (child := os.fork()) == 0:
            file.write(call())
            file.flush()
            os._exit(0)
        os.waitpid(child, 0)
        file.seek(0)
        return file.read()


def call_snakemake(*words: str) -> str:
    """What Snakemake says."""
    from snakemake.cli import main

    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        try:
            main(list(words))
        except SystemExit as ended:
            print("exit code", ended.code)
    return said.getvalue()


def jobs(said: str) -> list[str]:
    """The jobs in the words of a dry run: "<rule>" or "<rule> <job>"."""
    assert "exit code 0" in said, said
    found = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)*)", said, re.MULTILINE)
    named = [(rule, re.search(r"wildcards: job=(\S+)", block)) for rule, block in found if rule != "all"]
    return sorted({f"{rule} {job[1]}" if job else rule for rule, job in named})


def main() -> None:
    for module in IMPORTED:
        import_module(module)
    snakefile, config = sys.argv[1:]
    words = ("--snakefile", snakefile, "--config", f"experiment={config}")
    Path("outputs.json").write_text(apart(lambda: json.dumps(outputs(config))), encoding="utf-8")
    assert not jobs(apart(lambda: call_snakemake("--cores", "2", "--quiet", "all", *words)))
    path, plans = list(sys.path), {}
    shutil.copytree("results", "whole")
    for name, change in json.load(sys.stdin).items():
        sys.path[:] = [*filter(None, [change.pop("path", "")]), *path]
        before = {file: Path(file).read_bytes() for file, text in change.items() if text is not None}
        for file, text in change.items():
            if text is None:
                (gone,) = Path().glob(file)
                gone.unlink()
            elif text.startswith("copy of "):
                shutil.copy(text.removeprefix("copy of "), file)
            else:
                Path(file).write_text(text, encoding="utf-8")
        plans[name] = jobs(apart(lambda: call_snakemake("-n", *words)))
        for file, content in before.items():
            Path(file).write_bytes(content)
        shutil.rmtree("results")
        shutil.copytree("whole", "results")
    print(json.dumps(plans))


if __name__ == "__main__":
    main()
