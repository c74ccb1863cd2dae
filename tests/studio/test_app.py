"""The studio's server as it starts."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import sys
from fastapi.testclient import TestClient
from studio.app import application
with TestClient(application(), base_url="http://127.0.0.1") as client:
    assert "ippo studio" in client.get("/").text
print(sorted({"torch", "diffusers", "transformers"} & set(sys.modules)))
"""


def test_the_first_page_waits_for_no_torch() -> None:
    result = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=300)
    assert result.stdout.splitlines()[-1:] == ["[]"], result.stderr
