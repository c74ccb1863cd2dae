"""Engines are built once, checked when they are read, and made room for; two processes never build the same one."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.errors import BadInput
from runtime import cache
from runtime.cache import ENGINE, MANIFEST, EngineCache, digest

ROOT = Path(__file__).parents[2]
KEY = {"graph": "one_step", "tensorrt": "11.4.0", "profiles": [[1, 64, 64]]}


def _never() -> bytes:
    raise AssertionError("it was to be read, not built")


def test_an_engine_is_built_once(tmp_path: Path) -> None:
    engines = EngineCache(tmp_path)
    assert engines.get(KEY, lambda: b"engine") == b"engine"
    assert EngineCache(tmp_path).get(dict(reversed(KEY.items())), _never) == b"engine"
    manifest = json.loads((tmp_path / digest(KEY) / MANIFEST).read_text())
    assert manifest["key"] == KEY and len(manifest["sha256"]) == 64


NAMES = st.text(max_size=5)
JSON = (
    st.integers()
    | NAMES
    | st.booleans()
    | st.lists(st.integers(), max_size=3)
    | st.dictionaries(NAMES, NAMES, max_size=3)
)


@settings(max_examples=25, deadline=None)
@given(key=st.dictionaries(NAMES, JSON, min_size=1, max_size=4), data=st.data())
def test_whatever_changes_in_the_key_is_another_engine(key: dict[str, Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(key)))
    assert digest(dict(reversed(key.items()))) == digest(key)
    assert digest({**key, name: [key[name]]}) != digest(key)


@pytest.mark.parametrize("alter", ["engine", "cut", "manifest", "no JSON", "other key", "no engine"])
def test_what_was_altered_is_built_again_and_never_loaded(tmp_path: Path, alter: str) -> None:
    engines, entry = EngineCache(tmp_path), tmp_path / digest(KEY)
    engines.get(KEY, lambda: b"engine")
    manifest = json.loads((entry / MANIFEST).read_text())
    match alter:
        case "engine":
            (entry / ENGINE).write_bytes(b"enginE")
        case "cut":
            (entry / ENGINE).write_bytes(b"engin")
        case "manifest":
            (entry / MANIFEST).write_text(json.dumps({**manifest, "sha256": "0" * 64}))
        case "no JSON":
            (entry / MANIFEST).write_text("[]")
        case "other key":
            (entry / MANIFEST).write_text(json.dumps({**manifest, "key": {"graph": "another"}}))
        case "no engine":
            (entry / ENGINE).unlink()
    assert engines.get(KEY, lambda: b"built again") == b"built again"
    assert engines.get(KEY, _never) == b"built again"


def test_the_engine_used_longest_ago_makes_room(tmp_path: Path) -> None:
    engines = EngineCache(tmp_path, limit=4000)
    for place, name in enumerate("abc"):
        engines.get({"graph": name}, lambda: bytes(1000))
        os.utime(tmp_path / digest({"graph": name}) / MANIFEST, (place, place))
    assert engines.get({"graph": "a"}, _never) == bytes(1000)  # now the last one used
    engines.get({"graph": "d"}, lambda: bytes(2000))
    left = {json.loads(file.read_text())["key"]["graph"] for file in tmp_path.glob(f"*/{MANIFEST}")}
    assert left == {"a", "d"}
    engines.get({"graph": "huge"}, lambda: bytes(9000))
    assert len(list(tmp_path.glob(f"*/{MANIFEST}"))) == 1  # larger than the limit: kept alone


def test_a_failed_build_leaves_nothing_and_can_be_tried_again(tmp_path: Path) -> None:
    def fails() -> bytes:
        raise BadInput("no such layer")

    with pytest.raises(BadInput, match="no such layer"):
        EngineCache(tmp_path).get(KEY, fails)
    assert [file.suffix for file in tmp_path.iterdir()] == [".lock"]
    assert EngineCache(tmp_path).get(KEY, lambda: b"engine") == b"engine"


BUILDER = """
import sys
from pathlib import Path
from runtime.cache import EngineCache
def build():
    print("building", flush=True)
    sys.stdin.readline()
    return b"engine"
print("asking", flush=True)
print(EngineCache(Path(sys.argv[1])).get({"graph": "one_step"}, build).decode(), flush=True)
"""


@contextmanager
def _asking(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that builds only when it is told to."""
    command = [sys.executable, "-c", BUILDER, str(folder)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdout and process.stdout.readline() == "asking\n"
        yield process
        process.kill()


def test_of_two_processes_one_builds_and_the_other_waits(tmp_path: Path) -> None:
    with _asking(tmp_path) as first:
        assert first.stdout and first.stdout.readline() == "building\n"
        with _asking(tmp_path) as second:
            assert first.communicate("\n", timeout=60)[0] == "engine\n"
            assert second.communicate(timeout=60)[0] == "engine\n"  # it never said "building"


def test_a_killed_build_is_taken_over(tmp_path: Path) -> None:
    with _asking(tmp_path) as killed:
        assert killed.stdout and killed.stdout.readline() == "building\n"
        with _asking(tmp_path) as waiting:
            killed.send_signal(signal.SIGKILL)
            assert waiting.stdout and waiting.stdout.readline() == "building\n"
            assert waiting.communicate("\n", timeout=60)[0] == "engine\n"
    assert EngineCache(tmp_path).get({"graph": "one_step"}, _never) == b"engine"


def test_a_full_disk_costs_the_next_start_a_build(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.warns(UserWarning, match="the engine is not kept"):
            assert EngineCache(tmp_path).get(KEY, lambda: bytes(1000)) == bytes(1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [file.suffix for file in tmp_path.iterdir()] == [".lock"]


def test_the_folder_is_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPPO_CACHE", str(tmp_path / "mine"))
    assert cache.folder("trt") == tmp_path / "mine" / "trt"
    assert (tmp_path / "mine" / "trt").stat().st_mode & 0o777 == 0o700
    (tmp_path / "mine" / "trt").chmod(0o770)
    with pytest.raises(BadInput, match="can be written by others"):
        cache.folder("trt")
    monkeypatch.delenv("IPPO_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder("openvino") == tmp_path / "ippo" / "openvino"
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("IPPO_CACHE", str(tmp_path / "file"))
    with pytest.raises(BadInput, match=r"no cache folder .*; IPPO_CACHE names another"):
        cache.folder("trt")
