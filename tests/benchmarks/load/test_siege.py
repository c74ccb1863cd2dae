"""A tiny siege, a tiny load and a bulk run that is killed: the commands whose full size `make` runs."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from base.errors import BadInput
from benchmarks.load.closed_loop import closed_loop, installed
from benchmarks.load.killed import killed
from benchmarks.load.siege import siege

COUNTS = {"kills": 4, "loris": 4, "bodies": 4, "floods": 4}


@pytest.mark.slow
def test_a_server_holds_out_and_nothing_is_left(tiny_bundle: Path) -> None:
    found = siege(str(tiny_bundle), "a cat", COUNTS)
    assert found["counts"] == COUNTS and set(found["seconds"]) == set(COUNTS)
    assert found["after"]["tasks"] <= found["before"]["tasks"]
    assert found["after"]["handles"] <= found["before"]["handles"]


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("locust") is None, reason="no locust"
)  # found, not imported: gevent changes what imports it
@pytest.mark.skipif(not installed(), reason="no wrk")
def test_load_measures_every_bar(tiny_bundle: Path) -> None:
    from benchmarks.load.http_load import measure

    bars = measure(str(tiny_bundle), "a cat", seconds=4, clients=4, overload=2)
    told = json.dumps([bar.what for bar in bars])
    for word in (
        "ready",
        "first image",
        "HTTP over bare",
        "throughput",
        "processor time",
        "p99 / p50",
        "overload",
        "PSS",
    ):
        assert word in told
    bad = next(bar for bar in bars if "answers but" in bar.what)
    assert bad.value == 0


def test_without_wrk_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInput, match=r"^no wrk: it makes the load; install it \(apt-get install wrk\)$"):
        closed_loop("http://127.0.0.1:1", {}, 1, 1)


def test_bulk_that_is_killed_has_the_same_bytes(tiny_bundle: Path, tmp_path: Path) -> None:
    found = killed(tiny_bundle, 440, tmp_path, "--backend", "ort")
    assert found["images"] == found["requested"] == 440 and found["same"]
