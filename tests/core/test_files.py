"""Checksums: right for every file, and that of a large file is not computed twice."""

from __future__ import annotations

import hashlib
import os
import time

import pytest

from benchmark.core import files


@pytest.fixture
def large(tmp_path, monkeypatch):
    """A file of over 4 MiB that nobody has touched for a minute, and a cache of its own."""
    monkeypatch.setenv("UNITBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "LARGE", 10)
    path = tmp_path / "large"
    path.write_bytes(b"0123456789abcdef")
    minute_later = time.time_ns() + 60 * 10**9
    monkeypatch.setattr(files.time, "time_ns", lambda: minute_later)
    return path


def digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def test_a_large_file_is_read_once(large, monkeypatch):
    assert files.sha256(large) == digest(b"0123456789abcdef")
    monkeypatch.setattr(files, "_sha256", lambda path: pytest.fail("read again"))
    assert files.sha256(large) == digest(b"0123456789abcdef")


def test_a_changed_file_is_read_again_even_with_its_old_size_and_date(large):
    before = files.sha256(large), large.stat()
    large.write_bytes(b"0123456789abcdeF")
    os.utime(large, ns=(before[1].st_atime_ns, before[1].st_mtime_ns))
    assert files.sha256(large) == digest(b"0123456789abcdeF") != before[0]


def test_another_file_of_the_same_name_is_read(large, tmp_path):
    files.sha256(large)
    (tmp_path / "other").write_bytes(b"fedcba9876543210")
    (tmp_path / "other").replace(large)
    assert files.sha256(large) == digest(b"fedcba9876543210")


@pytest.mark.parametrize("kept", [b"", b"\xff" * 64, b"0" * 63])
def test_a_damaged_note_is_not_believed(large, tmp_path, kept):
    files.sha256(large)
    (note,) = (tmp_path / "cache/sha256").iterdir()
    note.write_bytes(kept)
    assert files.sha256(large) == digest(b"0123456789abcdef")


def test_a_cache_that_cannot_be_written_is_done_without(large, tmp_path):
    (tmp_path / "cache").write_text("a file, not a folder")
    assert files.sha256(large) == digest(b"0123456789abcdef")


def test_a_file_that_was_changed_just_now_is_not_noted(large, tmp_path, monkeypatch):
    monkeypatch.setattr(files.time, "time_ns", lambda: large.stat().st_ctime_ns + 10**9)
    files.sha256(large)
    assert not (tmp_path / "cache").exists()
