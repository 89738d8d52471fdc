"""Headless Chromium without a network: what a page looks like after its scripts, and what its console says."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape
from pathlib import Path
from typing import Any

import pytest

needs_browser = pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
QUIET += ["--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP * ~NOTFOUND"]
# The page is asked inside a frame, which may be narrower than the least window of a browser.
FRAME = """<pre id="asked"></pre><iframe width="{width}" height="900" style="border:0" src="{page}"></iframe>
<script>addEventListener("message", event => document.getElementById("asked").textContent = event.data)</script>"""
ASK = '<script>addEventListener("load", () => parent.postMessage(JSON.stringify((() => {%s})()), "*"))</script></body>'


def dom(page: Path, profile: Path) -> tuple[str, list[str]]:
    """The HTML of a page after its scripts, and the lines of its console.

    Args:
        profile: a folder for the browser's own files.
    """
    command = ["chromium", "--headless", *QUIET, "--enable-logging=stderr", "--dump-dom"]
    command += [f"--user-data-dir={profile}", "--virtual-time-budget=5000", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return done.stdout, re.findall(r":CONSOLE[:(].*", done.stderr)


def ask(page: Path, profile: Path, script: str, width: int = 1280, anchor: str = "") -> tuple[Any, list[str]]:
    """What a function body in JavaScript returns on a page, and the lines of the console.

    A copy of the page is asked, beside it so that its links hold.

    Args:
        width: of the page, in pixels.
        anchor: what stands behind its address, such as "#a=b".
    """
    copy, frame = (page.with_name(f"{name}-{page.name}") for name in ("asked", "frame"))
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", ASK % script), encoding="utf-8")
    frame.write_text(FRAME.format(width=width, page=copy.name + anchor), encoding="utf-8")
    try:
        html, console = dom(frame, profile)
    finally:
        copy.unlink()
        frame.unlink()
    (answer,) = re.findall(r'<pre id="asked">(.*?)</pre>', html, re.DOTALL)
    return json.loads(unescape(answer)), console
