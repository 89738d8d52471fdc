"""A Slurm cluster of one node on this machine: Debian's packages, loopback only, no accounting; gone at the end."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
SECONDS = 60  # for the node to be ready
# Memory and GPUs are claims: a first run asks for more memory than a small machine has, and the jobs run on the CPU.
CONF = """\
ClusterName=unitbench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=2
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 Gres=gpu:2 CPUs=2 RealMemory=1000000 State=UNKNOWN
PartitionName=all Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """The programs of a cluster that are not installed."""
    return [name for name in PROGRAMS if not shutil.which(name, path=PATH)]


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """Start the cluster. What is inside works with the environment that is given; after it no process is left.

    Raises:
        RuntimeError: a daemon ended, or the node is not ready in time.
    """
    folder = Path(tempfile.mkdtemp(prefix="unitbench-slurm-"))
    folder.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}/bin:{PATH}", "SLURM_CONF": str(folder / "slurm.conf")}
    daemons: list[subprocess.Popen] = []
    try:
        daemons += _start(folder, environment)
        _wait(daemons, folder, environment)
        yield environment
    finally:
        _end(daemons, environment["SLURM_CONF"])
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, environment: dict[str, str]) -> Iterator[subprocess.Popen]:
    host = os.uname().nodename.partition(".")[0]
    (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder, ports=_ports(2)))
    # The executor drops SLURM_CONF before it calls `srun` in a job: a real cluster has its file in /etc/slurm.
    (folder / "bin").mkdir()
    srun = folder / "bin/srun"
    srun.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {shutil.which("srun", path=PATH)} "$@"\n')
    srun.chmod(0o755)
    (folder / "gres.conf").write_text("Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n")
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(os.urandom(1024))
    munge = [f"--{name}-file={folder}/munge.{name}" for name in ("key", "log", "pid", "seed")]
    for words in (
        ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *munge],
        ["slurmctld", "-D", "-i"],
        ["slurmd", "-D", "-N", host],
    ):
        with open(folder / f"{words[0]}.out", "w") as out:
            yield subprocess.Popen(words, env=environment, stdout=out, stderr=out, start_new_session=True)
        time.sleep(1)


def _ports(n: int) -> list[int]:
    """Ports that are free."""
    with ExitStack() as open_ones:
        sockets = [open_ones.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(n)]
        return [each.getsockname()[1] for each in sockets]


def _wait(daemons: list[subprocess.Popen], folder: Path, environment: dict[str, str]) -> None:
    """Until `sinfo` says that the node is idle."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        words = ["sinfo", "--noheader", "--format=%T"]
        if subprocess.run(words, env=environment, capture_output=True, text=True).stdout.strip() == "idle":
            return
        if any(daemon.poll() is not None for daemon in daemons):
            break
        time.sleep(0.5)
    said = "\n".join(file.read_text()[-1500:] for file in sorted(folder.glob("*.out")))
    raise RuntimeError(f"the cluster is not ready:\n{said}")


def _end(daemons: list[subprocess.Popen], conf: str) -> None:
    """End the daemons, and the jobs that they started: all processes with our `SLURM_CONF`, this one aside."""
    for daemon in reversed(daemons):
        daemon.terminate()
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid != os.getpid() and process.environ().get("SLURM_CONF") == conf:
                process.send_signal(signal.SIGKILL)
    for daemon in daemons:
        daemon.wait()
