"""A stand-in for conda: it does what `snakemake --use-conda` needs, offline, with py-rattler.

As a program it answers the calls of Snakemake. `set_up` makes its home, and a local channel in place of conda-forge.
The channel has two packages: `python`, which is the interpreter that runs this, with its packages; and an empty `pip`.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import json
import os
import platform
import sys
import sysconfig
import tarfile
from pathlib import Path

HOME = "CONDA_STAND_IN"  # the variable with the folder that `set_up` has filled
ACTIVATE = 'export CONDA_PREFIX="$1" PATH="$1/bin:$PATH"\necho "$1" >> {home}/activated.txt\n'


def set_up(home: Path) -> dict[str, str]:
    """Fill the empty folder `home`. Returns the variables that put `conda` on PATH and keep pip offline."""
    (home / "bin").mkdir(parents=True)
    (home / "bin/activate").write_text(ACTIVATE.format(home=home))
    (home / "bin/conda").write_text(f'#!/bin/sh\nexec "{sys.executable}" "{Path(__file__).resolve()}" "$@"\n')
    (home / "bin/conda").chmod(0o755)
    base, purelib = Path(sys.executable).resolve(), sysconfig.get_path("purelib")
    version = f"python{sysconfig.get_python_version()}"
    files = {
        "pyvenv.cfg": f"home = {base.parent}\nversion = {platform.python_version()}\n",
        f"lib/{version}/site-packages/main.pth": f"import site; site.addsitedir({purelib!r})\n",
    }
    links = {f"bin/{name}": str(base) for name in ("python", "python3", version)}
    note = {"share/pip.txt": "pip is one of the packages of python\n"}
    channel = home / "channel/noarch"
    packages = _write_package(channel, "python", platform.python_version(), files, links)
    packages |= _write_package(channel, "pip", "26.0", note, {})
    (channel / "repodata.json").write_text(json.dumps({"info": {"subdir": "noarch"}, "packages": packages}))
    offline = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}  # 0 switches isolation off
    return {HOME: str(home), "PATH": f"{home / 'bin'}:{os.environ['PATH']}", **offline}


def _write_package(folder: Path, name: str, version: str, files: dict[str, str], links: dict[str, str]) -> dict:
    """A conda package of these files and symbolic links, `{path: text}` and `{path: target}`.

    Returns:
        The entry of the package in the list of the channel.
    """
    folder.mkdir(parents=True, exist_ok=True)
    kinds = dict.fromkeys(files, "hardlink") | dict.fromkeys(links, "softlink")
    entries = [{"_path": path, "path_type": kind} for path, kind in kinds.items()]
    index = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": []}
    index |= {"noarch": "generic", "subdir": "noarch"}
    about = {
        "info/index.json": json.dumps(index),
        "info/paths.json": json.dumps({"paths": entries, "paths_version": 1}),
        "info/files": "".join(f"{entry['_path']}\n" for entry in entries),
    }
    with tarfile.open(folder / f"{name}-{version}-0.tar.bz2", "w:bz2") as archive:
        for path, text in (about | files).items():
            info = tarfile.TarInfo(path)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
        for path, target in links.items():
            info = tarfile.TarInfo(path)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    whole = Path(archive.name).read_bytes()
    return {Path(archive.name).name: index | {"size": len(whole), "sha256": hashlib.sha256(whole).hexdigest()}}


async def create(file: Path, prefix: Path, home: Path) -> None:
    """Solve the environment file on the local channel, and link the packages into `prefix`."""
    import rattler
    import yaml

    values = yaml.safe_load(file.read_text())
    assert values.keys() <= {"name", "channels", "dependencies"} and values["channels"] == ["conda-forge"], values
    channel = rattler.Channel(f"file://{home}/channel")
    records = await rattler.solve([channel], values["dependencies"], platforms=["noarch"])
    await rattler.install(records, prefix, cache_dir=home / "packages", show_progress=False)


def main(words: list[str]) -> None:
    home = Path(os.environ[HOME])
    match words:
        case ["--version"]:
            print("conda 25.1.0")
        case ["info", "--json"]:
            print(json.dumps({"conda_prefix": str(home), "platform": "linux-64"}))
        case ["config", "--get", "channel_priority", "--json"]:
            print(json.dumps({"get": {"channel_priority": "strict"}}))
        case ["env", "create", "--quiet", "--no-default-packages", *options]:
            parser = argparse.ArgumentParser()
            parser.add_argument("--file", type=Path)
            parser.add_argument("--prefix", type=Path)
            given = parser.parse_args(options)
            asyncio.run(create(given.file, given.prefix, home))
            os._exit(0)  # some threads of rattler may crash the interpreter when it ends
        case ["clean", "-y", "--tarballs", *_]:
            pass
        case _:
            sys.exit(f"the stand-in for conda does not know `conda {' '.join(words)}`")


if __name__ == "__main__":
    main(sys.argv[1:])
