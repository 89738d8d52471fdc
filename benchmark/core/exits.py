"""How a command ends: its exit code, and one line for whatever a user can cause."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from typer import Abort

from benchmark.core.errors import UnitBenchError


def exit_code(command: Callable[[], int | None]) -> int:
    """Call a command. 0 done, 1 an arm or a job failed, 2 refused, 130 interrupted.

    Whatever a user can cause ends with one line. An error of the program shows its traceback, and says so.
    """
    try:
        return command() or 0
    except UnitBenchError as error:
        return _refuse(str(error))
    except BrokenPipeError:  # whoever reads the output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # no permission, no space: a traceback would not help
        remedy = "correct the path or free disk space"
        return _refuse(str(UnitBenchError(error.filename or "a file", error.strerror or str(error), remedy)))
    except (KeyboardInterrupt, Abort):
        print("unitbench: interrupted", file=sys.stderr)
        return 130
    except Exception as error:
        if hasattr(error, "format_message"):  # of typer: an unknown option, say. Without a word it has shown the help.
            return _refuse(f"{said.rstrip('.')}; see unitbench --help") if (said := error.format_message()) else 2
        traceback.print_exc()
        print("unitbench: an error of UnitBench or of a plugin; please report the lines above", file=sys.stderr)
        return 1


def _refuse(line: str) -> int:
    print(f"unitbench: {' '.join(line.split())}", file=sys.stderr)
    return 2
