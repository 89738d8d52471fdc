"""Downloads resume, are checked, and leave no half-written file; tested against a local server."""

import hashlib
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from benchmark.core.errors import UnitBenchError
from benchmark.data.download import fetch
from benchmark.data.source import locate

CONTENT = np.random.default_rng(0).bytes(300_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT at /file; `ranges`: it supports Range; `cut`: it closes the connection after so many bytes."""

    ranges, cut = True, None

    def __init__(self):
        self.asked = []  # the Range of each request, None without one
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/file"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers["Range"]
        self.server.asked.append(asked)
        if self.path != "/file":
            return self.send_error(404)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked).group(1)) if asked and self.server.ranges else 0
        if start >= len(CONTENT):
            return self.send_error(416)
        body = CONTENT[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_file_arrives_whole_and_is_not_asked_for_again(server, tmp_path):
    path = fetch(server.url, tmp_path / "a" / "file", DIGEST)
    assert path.read_bytes() == CONTENT
    fetch(server.url, path, DIGEST)
    assert server.asked == [None]
    assert [p.name for p in path.parent.iterdir()] == ["file"]


def test_a_broken_transfer_is_an_error_that_the_next_call_resumes(server, tmp_path):
    server.cut = 100_000
    for have in (100_000, 200_000):
        with pytest.raises(UnitBenchError, match=f"broke off .{have} of 300000 bytes.; run again to resume"):
            fetch(server.url, tmp_path / "file", DIGEST)
        assert not (tmp_path / "file").exists()
    assert fetch(server.url, tmp_path / "file", DIGEST).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=100000-", "bytes=200000-"]


def test_a_server_without_ranges_sends_the_whole_file_again(server, tmp_path):
    server.ranges = False
    (tmp_path / "file.part").write_bytes(b"what came before")
    assert fetch(server.url, tmp_path / "file", DIGEST).read_bytes() == CONTENT
    assert server.asked == ["bytes=16-"]


def test_a_part_that_is_already_complete_is_only_checked(server, tmp_path):
    (tmp_path / "file.part").write_bytes(CONTENT)
    assert fetch(server.url, tmp_path / "file", DIGEST).read_bytes() == CONTENT


@pytest.mark.parametrize("part", [b"", b"not the beginning of this file", CONTENT + b"too long"])
def test_wrong_content_never_gets_the_files_name(server, tmp_path, part):
    (tmp_path / "file.part").write_bytes(part)
    digest = DIGEST if part else "0" * 64
    with pytest.raises(UnitBenchError, match="sha256 differs from the record"):
        fetch(server.url, tmp_path / "file", digest)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_server_lacks_is_named(server, tmp_path):
    url = server.url + "s"
    with pytest.raises(UnitBenchError, match=f"{url}: HTTP 404 Not Found; check the address"):
        fetch(url, tmp_path / "file", DIGEST)


def test_a_server_that_is_down_is_an_error_of_one_line(server, tmp_path):
    server.server_close()
    with pytest.raises(UnitBenchError, match="download broke off") as caught:
        fetch(server.url, tmp_path / "file", DIGEST)
    assert "\n" not in str(caught.value)


def test_only_http_is_fetched(tmp_path):
    (tmp_path / "secret").write_text("x")
    with pytest.raises(UnitBenchError, match="no http or https address"):
        fetch(f"file://{tmp_path}/secret", tmp_path / "file", DIGEST)


def test_an_altered_file_in_the_cache_is_refused(server, tmp_path):
    (tmp_path / "file").write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(UnitBenchError, match="altered: sha256 differs from the record"):
        fetch(server.url, tmp_path / "file", DIGEST)


@pytest.fixture
def entry():
    return {"path": "file", "sha256": DIGEST, "bytes": len(CONTENT)}


def test_without_a_local_copy_the_cache_is_filled(server, tmp_path, monkeypatch, entry):
    monkeypatch.delenv("UNITBENCH_DATA", raising=False)
    monkeypatch.setenv("UNITBENCH_CACHE", str(tmp_path / "cache"))
    path = locate("set", entry, server.url.removesuffix("/file"))
    assert path == tmp_path / "cache" / "set" / "file" and path.read_bytes() == CONTENT


def test_a_local_copy_is_used_and_checked(tmp_path, monkeypatch, entry):
    monkeypatch.setenv("UNITBENCH_DATA", str(tmp_path))
    file = tmp_path / "set" / "file"
    file.parent.mkdir()
    with pytest.raises(UnitBenchError, match=f"{file}: file not found; restore it"):
        locate("set", entry, "http://127.0.0.1:1")
    file.write_bytes(CONTENT[:1000])
    with pytest.raises(UnitBenchError, match=f"{file}: truncated: 1000 of 300000 bytes"):
        locate("set", entry, "http://127.0.0.1:1")
    file.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(UnitBenchError, match=f"{file}: altered: sha256 differs from the record"):
        locate("set", entry, "http://127.0.0.1:1")
    file.write_bytes(CONTENT)
    assert locate("set", entry, "http://127.0.0.1:1") == file


def test_a_data_folder_that_does_not_exist_is_an_error(tmp_path, monkeypatch, entry):
    monkeypatch.setenv("UNITBENCH_DATA", str(tmp_path / "typo"))
    with pytest.raises(UnitBenchError, match="no such folder"):
        locate("set", entry, "http://127.0.0.1:1")
