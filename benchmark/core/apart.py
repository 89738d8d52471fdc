"""A function run in a process of its own: whatever it does to its process, this one stays as it was."""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import selectors
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from benchmark.core.errors import UnitBenchError

MOST_OUTPUT = 1_000_000  # bytes that the function may print; the rest is dropped
CHUNK = 65536
HEADER = 8  # bytes with the length of the result
LOOK_EVERY = 0.5  # seconds between two looks whether the process lives
PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Ended(UnitBenchError):
    """The process ended without a result: by an exit, a signal, a limit, or an error that was not meant for users.

    `traceback`: of the error, "" where there was none.
    """

    def __init__(self, where: object, cause: str, remedy: str = "", traceback: str = ""):
        super().__init__(where, cause, remedy)
        self.traceback = traceback


def apart(
    where: str,
    function: Callable[..., Any],
    *args: Any,
    news: Callable[..., None] | None = None,
    seconds: float | None = None,
    memory: float | None = None,
) -> Any:
    """What `function(*args)` returns, a JSON value. It runs in a fork of this process, which ends with it.

    Modules that are imported here are imported there. Nothing that the function changes comes back, and what it starts
    ends with it. Fork before anything uses a GPU or several threads.

    Args:
        where: what runs, for messages.
        news: called here, with JSON values, whenever the function calls its last argument, which is added to `args`.
        seconds: the most that it may take.
        memory: the most bytes of its own data, where the system can limit them.

    Raises:
        UnitBenchError: the function raised one.
        Ended: it gave no result.
    """
    fork = multiprocessing.get_context("fork")
    sys.stdout.flush()
    sys.stderr.flush()
    results, result = os.pipe()
    outputs, output = os.pipe()
    kills = out_of_memory_kills()
    send = partial(_send, result)
    work = partial(function, *args, *([lambda *values: send({"news": values})] if news else []))
    process = fork.Process(target=_work, args=(work, send, output, os.getpid(), memory))
    process.start()
    os.close(result)
    os.close(output)
    answer, ended = None, False
    try:
        answer, ended = _listen(process, results, outputs, seconds, news)
    finally:
        _end(process, patience=1 if ended else 0)
        os.close(results)
        os.close(outputs)
    if answer is not None:
        return _value(where, answer)
    if not ended:
        raise Ended(where, f"did not end within {seconds:g} s", "give it more time, or mend what hangs")
    raise Ended(where, *cause_of(process.exitcode or 0, out_of_memory_kills() > kills))


def _listen(
    process: BaseProcess, results: int, outputs: int, seconds: float | None, news: Callable[..., None] | None
) -> tuple[dict[str, Any] | None, bool]:
    """The answer, or None, and whether the process has ended by itself. News are passed on, what is printed is printed.

    A message begins with its length: what the function has started may keep the pipe open, or write more.
    """
    deadline = time.monotonic() + (float("inf") if seconds is None else seconds)
    received, printer = b"", _Printer(outputs)
    with selectors.DefaultSelector() as selector:
        selector.register(results, selectors.EVENT_READ)
        selector.register(outputs, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            alive = process.is_alive()
            ready = [key.fd for key, _ in selector.select(min(LOOK_EVERY, max(0.0, deadline - time.monotonic())))]
            for pipe in ready:
                chunk = os.read(pipe, CHUNK)
                if not chunk:
                    selector.unregister(pipe)
                elif pipe == results:
                    received += chunk
                else:
                    printer.show(chunk)
            while len(received) >= HEADER and len(received) >= (end := HEADER + int.from_bytes(received[:HEADER])):
                message, received = json.loads(received[HEADER:end]), received[end:]
                if "news" not in message:
                    printer.show_rest()
                    return message, True
                if news:
                    news(*message["news"])
            if results not in selector.get_map() or not (alive or ready):
                printer.show_rest()
                return None, True
    return None, False


class _Printer:
    """Prints what comes out of a pipe, up to `MOST_OUTPUT` bytes."""

    def __init__(self, pipe: int):
        os.set_blocking(pipe, False)
        self._pipe, self._printed = pipe, 0

    def show(self, chunk: bytes) -> None:
        if self._printed >= MOST_OUTPUT:
            return
        self._printed += len(chunk)
        sys.stdout.write(chunk.decode("utf-8", errors="replace"))
        if self._printed >= MOST_OUTPUT:
            sys.stdout.write("\n[more output is left out]\n")
        sys.stdout.flush()

    def show_rest(self) -> None:
        """What is in the pipe now."""
        with suppress(BlockingIOError):
            while chunk := os.read(self._pipe, CHUNK):
                self.show(chunk)


def _end(process: BaseProcess, patience: float) -> None:
    """End the process, after so many seconds, and all that it has started."""
    process.join(patience)
    assert process.pid
    with suppress(ProcessLookupError):  # it leads no group yet, or none is left of it
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()


def _work(
    function: Callable[[], Any], send: Callable[[dict[str, Any]], None], output: int, parent: int, memory: float | None
) -> None:
    """The new process: leads a group of its own, dies with its parent, prints into a pipe, answers with JSON."""
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before the call
            os._exit(1)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    sys.stdout, sys.stderr = (os.fdopen(fd, "w", encoding="utf-8", buffering=1, closefd=False) for fd in (1, 2))
    if memory is not None:
        _limit(memory)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))  # libraries change it on the way
    try:
        answer = {"value": function()}
    except UnitBenchError as error:
        answer = {"refused": [error.where, error.cause, error.remedy], "class": type(error).__name__}
    except Exception as error:
        answer = {"error": f"{type(error).__name__}: {error}", "traceback": traceback.format_exc()}
    sys.stdout.flush()
    sys.stderr.flush()
    send(answer)
    os._exit(0)


def _send(pipe: int, message: dict[str, Any]) -> None:
    text = json.dumps(message).encode()
    content = len(text).to_bytes(HEADER) + text
    while content:
        content = content[os.write(pipe, content) :]


def _limit(memory: float) -> None:
    """Let the process have at most so many bytes more than it has now."""
    import resource

    try:
        pages = int(Path("/proc/self/statm").read_text().split()[5])  # data and stack
        most = pages * resource.getpagesize() + int(memory)
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    except (OSError, ValueError):  # no such limit here
        pass


def _value(where: str, answer: dict[str, Any]) -> Any:
    from benchmark.core.files import WriteError

    if "refused" in answer:
        raise (WriteError if answer["class"] == "WriteError" else UnitBenchError)(*answer["refused"])
    if "error" in answer:
        raise Ended(where, " ".join(answer["error"].split()), traceback=answer["traceback"])
    return answer["value"]


def cause_of(code: int, out_of_memory: bool) -> tuple[str, str]:
    """What happened and what to do, from the exit code of a process without a result."""
    if code == -signal.SIGKILL and out_of_memory:
        return "the kernel killed its process: the machine has run out of memory", "give it more memory"
    if code < 0:
        return f"its process was ended by signal {-code} ({signal.Signals(-code).name})", "mend what ends it"
    return f"its process ended with exit code {code}, in the middle of its work", "raise an error instead"


def out_of_memory_kills() -> int:
    """How many processes the kernel has killed for memory; 0 where it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
