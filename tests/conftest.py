"""What several floors' tests share: one tiny bundle, exported once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from models.pipeline import Pipeline


@pytest.fixture(scope="session", autouse=True)
def _cache_of_the_tests(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled graphs go into a folder of this run's own; what the user has compiled is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPPO_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


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


@pytest.fixture(scope="session")
def pixel_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a tiny class-to-image student of the pixel family."""
    return _pixels(tmp_path_factory.mktemp("pixels"), tiny_classes=True)


@pytest.fixture(scope="session")
def unconditional_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a tiny student without inputs."""
    return _pixels(tmp_path_factory.mktemp("unconditional"), tiny_classes=False)


@pytest.fixture(scope="session")
def attribute_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a tiny student that is asked for attributes."""
    from tests import tiny

    return _exported(tiny.attribute_student(), tmp_path_factory.mktemp("attributes"))


def _pixels(out: Path, tiny_classes: bool) -> Path:
    from tests import tiny

    return _exported(tiny.pixel_student(classes=tiny.CLASSES if tiny_classes else ()), out)


def _exported(student: Pipeline, out: Path) -> Path:
    from export.build import export
    from models import folder

    folder.save(student, out / "student")
    return export(str(out / "student"), out / "tiny", trained=False).folder
