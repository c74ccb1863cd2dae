"""The page's modules in Node: a script of `site/` beside this file, JSON in, bytes out."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

SITE = Path(__file__).with_name("site")
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="no Node")


def node(script: str, given: Any) -> bytes:
    """What a script writes of what it is given."""
    done = subprocess.run(
        [NODE or "node", str(SITE / script)], input=json.dumps(given).encode(), capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return done.stdout
