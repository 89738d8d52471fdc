"""Download of a file: it resumes where it stopped, and the file gets its name only if its checksum is right."""

from __future__ import annotations

import http.client
import os
import shutil
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from rich.progress import wrap_file

from benchmark.core.errors import UnitBenchError
from benchmark.core.files import sha256

TIMEOUT = 60  # seconds without a byte
LOCAL_COPY = "or set UNITBENCH_DATA to a folder with a local copy"


def fetch(url: str, path: Path, digest: str) -> Path:
    """Download `url` to `path`, unless that file exists. Returns `path`, whose sha256 is `digest`.

    The bytes received so far are in `<path>.part`; a later call asks the server for the rest only.

    Raises:
        UnitBenchError: not an http(s) address, the server refuses, the transfer breaks off, or the checksum differs.
    """
    if path.is_file():
        return check_file(path, digest)
    if urlsplit(url).scheme not in ("http", "https"):
        raise UnitBenchError(url, "no http or https address", "correct the dataset's source")
    part = path.with_name(path.name + ".part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        _transfer(url, part)
    except HTTPError as error:
        raise UnitBenchError(url, f"HTTP {error.code} {error.reason}", f"check the address, {LOCAL_COPY}") from None
    except (OSError, http.client.HTTPException) as error:
        raise UnitBenchError(url, f"download broke off ({error})", f"run again to resume, {LOCAL_COPY}") from error
    if sha256(part) != digest:
        part.unlink()
        raise UnitBenchError(url, "sha256 differs from the record", f"run again to download it anew, {LOCAL_COPY}")
    os.replace(part, path)
    return path


def _transfer(url: str, part: Path) -> None:
    """Append the missing bytes to `part`, or write all of it if the server does not support ranges."""
    have = part.stat().st_size if part.exists() else 0
    request = Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urlopen(request, timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416 and have:  # the server has no more bytes: the checksum decides
            return
        raise
    with response:
        resumed = response.status == 206
        length = int(response.headers.get("Content-Length", 0))
        with (
            open(part, "ab" if resumed else "wb") as file,
            wrap_file(response, total=length or None, description=part.stem, transient=True) as source,
        ):
            shutil.copyfileobj(source, file)
        arrived, total = part.stat().st_size, length + have * resumed
        if length and arrived < total:  # a broken connection looks like the end of the file
            raise ConnectionError(f"{arrived} of {total} bytes")


def check_file(path: Path, digest: str, size: int | None = None) -> Path:
    """`path`, if its content has this sha256.

    Args:
        size: in bytes, if known: a file that is too short then gets a message that says so.

    Raises:
        UnitBenchError: the file is truncated or altered.
    """
    if size is not None and path.stat().st_size < size:
        raise UnitBenchError(path, f"truncated: {path.stat().st_size} of {size} bytes", "replace it or delete it")
    if sha256(path) != digest:
        raise UnitBenchError(path, "altered: sha256 differs from the record", "replace it or delete it")
    return path
