"""A training on several devices: one process for each. What they have made comes back to the process that asked."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import platform
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import closing, suppress
from dataclasses import replace
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch.multiprocessing import start_processes
from torch.multiprocessing.spawn import ProcessException

from benchmark.core.apart import cause_of, out_of_memory_kills
from benchmark.core.errors import UnitBenchError
from benchmark.core.reasons import reason_of
from benchmark.training.budget import Budget, Training
from benchmark.training.checkpoint import Checkpoint, take_over

LOOK_EVERY = 0.1  # seconds between two looks whether the processes live
IMPORTS = "benchmark.training.loop", "lightning_fabric"  # of all processes, which are slow to import
# Files of the folder through which the processes speak to the one that asked.
TASK, PROGRESS, STATE, ERROR = "task.pickle", "progress.jsonl", "state.pt", "error-"

# A fork of this process cannot use the server that starts processes for this one, and makes one of its own.
os.register_at_fork(after_in_child=forkserver._forkserver.__init__)


def on_devices(
    train: Callable[..., Checkpoint], module: torch.nn.Module, unit: Any, corpus: Any, budget: Budget, *rest: Any
) -> None:
    """`train(module, unit, corpus, budget, *rest)` in a process for each device of `budget.training`.

    The processes are new ones, with a memory of their own: this one may have used threads or a GPU before. The module
    and the meter of the budget are then as the processes have left them.

    Raises:
        UnitBenchError: what one of the processes raised, or by what it ended; or something cannot be sent to them.
    """
    training = budget.training
    # Other nodes see the folder of the arm, and not this one's folder for temporary files.
    place = budget.checkpoint.parent if budget.checkpoint and training.nodes > 1 else None
    with TemporaryDirectory(prefix=".devices-", dir=place) as name:
        folder = Path(name)
        sent = replace(budget, progress=partial(_note, folder / PROGRESS))
        object.__setattr__(sent, "meter", budget.meter)
        try:
            task = pickle.dumps((train, (module, unit, corpus, sent, *rest), torch.get_num_threads()))
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            cause = f"it cannot be sent to the processes of several devices ({error})"
            remedy = "define what it is made of at the top of a module"
            raise UnitBenchError(f"training: {type(module).__name__} or its unit", cause, remedy) from error
        (folder / TASK).write_bytes(task)
        at = 0
        with closing((_with_srun if training.nodes > 1 else _here)(folder, training)) as looks:
            for _ in looks:
                at = _pass_on(folder / PROGRESS, at, budget.progress)
        take_over(folder / STATE, module, budget.meter)


def work(folder: Path) -> None:
    """What each process does. Fabric reads in the environment which of them it is."""
    try:
        train, arguments, threads = pickle.loads((folder / TASK).read_bytes())
        torch.set_num_threads(threads)
        os.environ["OMP_NUM_THREADS"] = str(threads)  # else Fabric would set another number
        train(*arguments).save(folder / STATE)
        torch.distributed.destroy_process_group()
    except Exception as error:
        known = isinstance(error, UnitBenchError)
        said = error if known else UnitBenchError("training", str(reason_of(error)), "see its traceback")
        path = folder / f"{ERROR}{platform.node()}-{os.getpid()}"
        path.write_bytes(pickle.dumps((said, traceback.format_exc())))
        os._exit(1)  # at a usual end, libraries would wait for the other processes


def _here(folder: Path, training: Training) -> Generator[None]:
    """Run the processes on this machine, in an environment as `torchrun` makes it. Yields from time to time."""
    from lightning_fabric.plugins.environments.lightning import find_free_network_port

    address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(find_free_network_port())}
    n, kills = training.devices, out_of_memory_kills()
    multiprocessing.get_context("forkserver").set_forkserver_preload([__name__, *IMPORTS])
    context = start_processes(_process, (folder, n, address), n, join=False, start_method="forkserver")
    try:
        while not context.join(LOOK_EVERY):
            yield
    except ProcessException as end:
        codes = [process.exitcode or 0 for process in context.processes]
        guilty = next(
            (rank for rank, code in enumerate(codes) if code < 0 and -code != signal.SIGTERM), end.error_index
        )
        why = cause_of(codes[guilty], out_of_memory_kills() > kills)
        raise _first_error(folder, codes[guilty]) or UnitBenchError(f"device {guilty + 1} of {n}", *why) from None
    finally:
        for process in context.processes:
            process.kill()
            process.join()
    yield


def _process(rank: int, folder: Path, n: int, address: dict[str, str]) -> None:
    own = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": n, "LOCAL_WORLD_SIZE": n, "GROUP_RANK": 0}
    os.environ |= {name: str(value) for name, value in own.items()} | address | {"TORCHELASTIC_RUN_ID": "unitbench"}
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work(folder)


def _end_with_parent() -> None:
    """Nobody waits for this process any more when the one that asked has ended, in whatever way."""
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


def _with_srun(folder: Path, training: Training) -> Generator[None]:
    """Run the processes on all nodes of the Slurm job that this process is a part of. Yields from time to time."""
    if not which("srun"):
        cause = f"{training.nodes} nodes, and there is no srun here"
        raise UnitBenchError("training.nodes", cause, "run in a Slurm job with so many nodes, or set nodes to 1")
    tasks = [f"--nodes={training.nodes}", f"--ntasks={training.n_devices}", f"--ntasks-per-node={training.devices}"]
    program = [sys.executable, "-m", "benchmark.training.devices", str(folder)]
    process = subprocess.Popen(["srun", "--overlap", "--kill-on-bad-exit=1", *tasks, *program])
    try:
        while process.poll() is None:
            yield
            with suppress(subprocess.TimeoutExpired):
                process.wait(LOOK_EVERY)
    finally:
        process.terminate()  # srun then ends its tasks
        process.wait()
    if process.returncode:
        cause = f"srun ended with exit code {process.returncode}"
        raise _first_error(folder, 1) or UnitBenchError("training", cause, "see what it has printed")
    yield


def _first_error(folder: Path, code: int) -> UnitBenchError | None:
    """What the first process has raised; those that wait for it then raise something too. None after a signal."""
    files = sorted(folder.glob(f"{ERROR}*"), key=lambda path: path.stat().st_mtime_ns)
    if code < 0 or not files:
        return None
    error, trace = pickle.loads(files[0].read_bytes())
    error.add_note(trace)
    return error


def _note(path: Path, fraction: float, text: str) -> None:
    """Progress of the first process."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps([fraction, text]) + "\n")


def _pass_on(path: Path, at: int, progress: Callable[[float, str], None]) -> int:
    """Report the whole lines from the byte `at` on. Returns the first byte after them."""
    if not path.exists():
        return at
    with path.open("rb") as file:
        file.seek(at)
        lines = [line for line in file if line.endswith(b"\n")]
    for line in lines:
        progress(*json.loads(line))
    return at + sum(map(len, lines))


if __name__ == "__main__":  # a task of srun
    work(Path(sys.argv[1]))
