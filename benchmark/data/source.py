"""Where the files of a dataset are: in a local copy under UNITBENCH_DATA, else in a cache filled from their source."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import cache_folder
from benchmark.data.download import check_file, fetch


def local_folder(folder: str) -> Path | None:
    """`UNITBENCH_DATA/<folder>`, or None if there is no local copy.

    Raises:
        UnitBenchError: UNITBENCH_DATA is set, but is not a folder.
    """
    if not (data := os.environ.get("UNITBENCH_DATA")):
        return None
    if not Path(data).is_dir():
        raise UnitBenchError(f"UNITBENCH_DATA={data}", "no such folder", "correct it or unset it")
    return path if (path := Path(data) / folder).is_dir() else None


def described_folder(folder: Path, where: object) -> Path:
    """The folder that a description names: an absolute one, or one below UNITBENCH_DATA.

    Args:
        where: the description, for the message.

    Raises:
        UnitBenchError: there is no such folder.
    """
    found = folder if folder.is_absolute() else local_folder(str(folder))
    if found is None or not found.is_dir():
        raise UnitBenchError(where, f"no folder {folder}", "set UNITBENCH_DATA to the folder that contains it")
    return found


def locate(folder: str, file: Mapping[str, Any], url: str) -> Path:
    """Path of a file, its checksum verified.

    Args:
        folder: of the dataset, under UNITBENCH_DATA or in the cache.
        file: its `path`, `sha256` and perhaps `bytes`, as in the record.
        url: the public source; the file is at `<url>/<path>`.

    Raises:
        UnitBenchError: it is missing from the local copy, truncated, altered, or its source does not give it.
    """
    local = local_folder(folder)
    if local is None:
        return fetch(f"{url}/{quote(file['path'])}", cache_folder() / folder / file["path"], file["sha256"])
    path = local / file["path"]
    if not path.is_file():
        raise UnitBenchError(path, "file not found", "restore it, or unset UNITBENCH_DATA to download it")
    return check_file(path, file["sha256"], file.get("bytes"))
