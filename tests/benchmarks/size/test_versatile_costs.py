"""What the published Versatile Diffusion costs is measured on tiny networks as on large ones."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from benchmarks.size.versatile_costs import app

pytestmark = pytest.mark.slow  # three graphs are exported


@pytest.mark.parametrize(("command", "figures"), [("graphs", 15), ("flows", 5)])
def test_everything_is_measured(command: str, figures: int) -> None:
    result = CliRunner().invoke(app, [command, "--small"])
    assert result.exit_code == 0, result.exception
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
    values = {name: value for line in lines for name, value in line.items() if not isinstance(value, str | list)}
    assert len(values) == figures and all(values.values())
