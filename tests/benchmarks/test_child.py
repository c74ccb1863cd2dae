"""Child processes: the JSON that they print, why they failed, and one that answers line by line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from base.errors import BadInput
from benchmarks.child import Peer, last_object, run_module

ECHO = """
import json, sys
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    asked = json.loads(line)
    print(json.dumps({"error": "too hard"} if asked["do"] == "fail" else asked), flush=True)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that `python -m measured` runs."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "measured.py"


def test_lines_of_json_are_kept_however_it_ended(module: Path) -> None:
    module.write_text(r"""
import sys
print('noise\n{"what": "a", "ms": 1.25}\n{"GFLOP": {"KL": 3.5}}\n{"cut')
sys.exit(3)
""")
    ended = run_module("measured")
    assert ended.objects == [{"what": "a", "ms": 1.25}, {"GFLOP": {"KL": 3.5}}]
    assert ended.failed == "status 3"
    with pytest.raises(SystemExit, match="measured all: status 3"):
        last_object("measured", "all")


def test_a_child_that_hangs_keeps_what_it_printed(module: Path) -> None:
    module.write_text("""
import json, os, signal
print(json.dumps({"mode": os.environ["MODE"]}), flush=True)
signal.pause()
""")
    ended = run_module("measured", environment={"MODE": "quick"}, seconds=3)
    assert ended.objects == [{"mode": "quick"}] and ended.failed == "not ready after 3 s"


def test_the_last_line_of_json_counts(module: Path) -> None:
    module.write_text("print('{\"a\": 1}'); print('{\"a\": 2}'); print('done')")
    assert last_object("measured") == {"a": 2}
    module.write_text("print('done')")
    with pytest.raises(SystemExit, match="printed no JSON"):
        last_object("measured")


def test_an_environment_that_is_not_there_says_how_it_is_made(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not there; `make interop` installs it"):
        Peer(tmp_path / "python", tmp_path / "script.py")


def test_a_peer_answers_and_says_what_went_wrong(tmp_path: Path) -> None:
    script = tmp_path / "echo.py"
    script.write_text(ECHO)
    with Peer(Path(sys.executable), script) as peer:
        assert peer.ask("draw", folder="x") == {"do": "draw", "folder": "x"}
        with pytest.raises(BadInput, match="the peer failed: too hard"):
            peer.ask("fail")
    script.write_text("raise SystemExit(3)")
    with pytest.raises(BadInput, match="ended with status 3"):
        Peer(Path(sys.executable), script)
