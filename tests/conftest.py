"""What several floors' tests share: one tiny bundle, exported once."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The diffusers folder of a tiny random student."""
    from models import folder
    from tests import tiny

    out = tmp_path_factory.mktemp("student") / "tiny"
    folder.save(tiny.student(), out)
    return out


@pytest.fixture(scope="session")
def tiny_bundle(tiny_student: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of that student; tests that alter files work on a copy."""
    from export.build import export

    out = tmp_path_factory.mktemp("bundle") / "tiny"
    export(str(tiny_student), out, trained=False)
    return out
