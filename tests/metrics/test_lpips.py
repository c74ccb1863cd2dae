"""LPIPS against a case worked out by hand, and its files."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from metrics import lpips
from metrics.lpips import SCALE, SHIFT, Lpips


def passing(trunk: str) -> Lpips:
    """Two channels that hand the normalised red and green on through every layer; head k weighs them by k·(1, ½)."""
    layers = sum(not isinstance(step, str) for step in lpips.LAYOUTS[trunk])
    network = Lpips(trunk, [2] * layers).eval()
    with torch.no_grad():
        for module in network.features:
            if isinstance(module, torch.nn.Conv2d):
                module.weight.zero_()
                module.bias.zero_()
                middle = module.kernel_size[0] // 2
                for channel in range(2):
                    module.weight[channel, channel, middle, middle] = 1
        for head in range(5):
            network.get_submodule(f"lin{head}").weight.copy_((head + 1) * torch.tensor([1, 0.5]).view(1, 2, 1, 1))
    return network


def plain(red: float, green: float, side: int = 64) -> Tensor:
    """One image whose colours after LPIPS's normalisation are these."""
    colours = [red * SCALE[0] + SHIFT[0], green * SCALE[1] + SHIFT[1], 0.3]
    return torch.tensor(colours).view(1, 3, 1, 1).expand(1, 3, side, side)


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
@pytest.mark.parametrize("side", [16, 64, 80])
def test_a_case_by_hand(trunk: str, side: int) -> None:
    """Columns (.6, .8) and, after the ReLU, (1, 0): squared differences .16 and .64, .16 + .32 under head 1.

    The five heads weigh 1 + 2 + 3 + 4 + 5 times that: 15 · .48 = 7.2. Lengths do not matter: (1.2, 1.6) is (.6, .8).
    """
    network = passing(trunk)
    first, twice, second = plain(0.6, 0.8, side), plain(1.2, 1.6, side), plain(1.5, -0.5, side)
    with torch.no_grad():
        assert network(first, second).tolist() == pytest.approx([7.2], abs=1e-4)
        assert network(second, first).tolist() == pytest.approx([7.2], abs=1e-4)
        assert network(first, twice).tolist() == pytest.approx([0], abs=1e-6)
        half = torch.cat([plain(0.6, 0.8, 128)[..., :64], plain(1.5, -0.5, 128)[..., :64]], dim=-1)
        both = torch.cat([plain(0.6, 0.8, 128), half]), torch.cat([plain(1.5, -0.5, 128), plain(0.6, 0.8, 128)])
        assert network(*both).tolist() == pytest.approx([7.2, 3.6], rel=0.1)  # pools blur the seam


@pytest.mark.parametrize(("trunk", "weights"), [("alex", 2_469_696), ("vgg", 14_714_688)])
def test_the_trunks_have_the_sizes_of_alexnet_and_vgg16(trunk: str, weights: int) -> None:
    widths = {"alex": (64, 192, 384, 256, 256), "vgg": (64, 64, 128, 128, *(256,) * 3, *(512,) * 6)}[trunk]
    network = Lpips(trunk, widths)
    assert sum(weight.numel() for weight in network.features.parameters()) == weights
    heads = [network.get_submodule(f"lin{head}").in_channels for head in range(5)]
    assert heads == {"alex": [64, 192, 384, 256, 256], "vgg": [64, 128, 256, 512, 512]}[trunk]


def foreign(folder: Path, network: Lpips) -> tuple[Path, Path]:
    """Files as torchvision's and LPIPS's."""
    state = network.state_dict()
    trunk = {name: value for name, value in state.items() if name.startswith("features")}
    heads = {
        name.replace(".weight", ".model.1.weight"): value for name, value in state.items() if name.startswith("lin")
    }
    torch.save(trunk | {"classifier.1.weight": torch.zeros(4, 4)}, folder / "trunk.pth")
    torch.save(heads, folder / "heads.pth")
    return folder / "trunk.pth", folder / "heads.pth"


@pytest.mark.parametrize("trunk", ["alex", "vgg"])
def test_foreign_files_become_a_folder(trunk: str, tmp_path: Path) -> None:
    source = Lpips(trunk, range(2, 7) if trunk == "alex" else range(2, 15)).eval()
    lpips.convert(*foreign(tmp_path, source), tmp_path / "lpips")
    again = lpips.load(tmp_path / "lpips")
    first, second = torch.rand(2, 2, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        assert again.trunk == trunk
        assert torch.equal(again(first, second), source(first, second))


def test_heads_of_another_trunk_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir(), (tmp_path / "b").mkdir()  # type: ignore[func-returns-value]
    trunk, _ = foreign(tmp_path / "a", passing("alex"))
    _, heads = foreign(tmp_path / "b", Lpips("alex", [2, 3, 2, 2, 2]))
    with pytest.raises(ValueError, match=r"lin1.weight is \(1, 3, 1, 1\), wanted \(1, 2, 1, 1\)"):
        lpips.convert(trunk, heads, tmp_path / "out")
    with pytest.raises(ValueError, match="has 0 convolutions"):
        lpips.convert(heads, heads, tmp_path / "out")
    with pytest.raises(ValueError, match="holds no lpips"):
        lpips.load(tmp_path / "out")


def test_diversity_is_the_mean_over_all_pairs_of_seeds() -> None:
    network = passing("alex")
    colours = [
        (plain(0.6, 0.8)[0].permute(1, 2, 0).numpy() + 1) * 127.5,
        (plain(1.5, -0.5)[0].permute(1, 2, 0).numpy() + 1) * 127.5,
    ]
    one, other = (np.rint(colour).astype(np.uint8) for colour in colours)
    groups = np.stack([np.stack([one, one, one]), np.stack([one, one, other])])
    assert lpips.diversity(network, groups) == pytest.approx(7.2 * (0 + 2 / 3) / 2, rel=0.01)
