"""What the processes of a training on several devices run in tests: the loop, with a change.

They are new processes and import this file, so no patch of the process of the tests reaches them.
"""

import errno
import os
import signal
import sys
from pathlib import Path

import torch

from benchmark.model.masked import MaskedSpots
from benchmark.training import loop
from benchmark.units.patch import PatchUnit

train = loop.train
KILLED_AT = 20  # the step at which the second process is killed


class FewCrops(PatchUnit):
    """Crops of which a step takes 5: two devices take 3 and 2."""

    samples_per_step = 5


class Spare(MaskedSpots):
    """A module with weights that get no gradient, and so do not change."""

    def __init__(self, gene_mean, preset):
        super().__init__(gene_mean, preset)
        self.spare = torch.nn.Linear(3, 3)


def every_step(*arguments):
    """The loop with a point of the curve at every step."""
    loop.CHECK_EVERY = 1
    return train(*arguments)


def telling_its_process(*arguments):
    """The loop, which first writes the number of its process beside the checkpoint."""
    (arguments[3].checkpoint.parent / f"process-{os.getpid()}").touch()
    return train(*arguments)


def on_a_full_disk(*arguments):
    """The loop that cannot keep its checkpoint."""

    def no_space(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    loop.CHECK_EVERY, loop.CHECKPOINT_SECONDS, torch.save = 4, -1, no_space
    return train(*arguments)


def killed(*arguments):
    """The loop that keeps a checkpoint every 4 small steps, and whose second process is killed after 20."""
    loop.CHECK_EVERY, loop.CHECKPOINT_SECONDS, loop.TOKENS_PER_STEP = 4, -1, 64
    finite = loop.finite

    def then_killed(loss, k):
        if k >= KILLED_AT and os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        return finite(loss, k)

    loop.finite = then_killed
    return train(*arguments)


SRUN = f"""#!{sys.executable}
import os, subprocess, sys
options, program = {{}}, sys.argv[1:]
while program[0].startswith("--"):
    name, _, value = program.pop(0)[2:].partition("=")
    options[name] = value
nodes, each = int(options["nodes"]), int(options["ntasks-per-node"])
assert int(options["ntasks"]) == nodes * each
shared = {{"SLURM_NTASKS": nodes * each, "SLURM_NNODES": nodes, "SLURM_NTASKS_PER_NODE": each, "SLURM_JOB_ID": 4242}}
shared |= {{"SLURM_NODELIST": "127.0.0.1", "SLURM_JOB_NAME": "unitbench"}}
tasks = []
for task in range(nodes * each):
    own = {{"SLURM_PROCID": task, "SLURM_LOCALID": task % each, "SLURM_NODEID": task // each}}
    environment = os.environ | {{name: str(value) for name, value in (shared | own).items()}}
    tasks.append(subprocess.Popen(program, env=environment))
sys.exit(max(task.wait() for task in tasks))
"""


def srun(folder: Path) -> Path:
    """A stand-in of Slurm's `srun` in a folder: it starts the tasks of all nodes here, in an environment as Slurm's."""
    path = folder / "srun"
    path.write_text(SRUN, encoding="utf-8")
    path.chmod(0o755)
    return path
