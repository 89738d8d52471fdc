"""Where the pages of the site lie: names of files that every file system takes, and links between pages."""

from __future__ import annotations

import re

from benchmark.core.files import fingerprint

LONGEST = 60


def file_name(name: str) -> str:
    """A name of a file or folder for a name that anybody chose. Two names never share one, upper and lower case apart.

    Lower-case letters, digits, "_" and "-" stay. If that changes the name, its fingerprint follows.
    """
    plain = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")[:LONGEST]
    return plain if plain and plain == name else f"{plain}-{fingerprint(name)}".strip("-")


def method_page(plugin: str) -> str:
    """From the top of the site, as the others are."""
    return f"methods/{file_name(plugin)}.html"


def dataset_page(dataset: str) -> str:
    return f"datasets/{file_name(dataset)}.html"


def run_folder(run: str) -> str:
    return f"runs/{file_name(run)}"
