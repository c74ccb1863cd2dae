"""A judge of attributes that has learnt a few pictures by heart."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from metrics import attribute_accuracy
from metrics.attribute_accuracy import Slots
from metrics.features import Images
from metrics.judge_network import Judge
from models.pixel_tensors import from_uint8


def attribute_judge(pictures: Images, rows: Sequence[Sequence[str]], slots: Slots, steps: int = 25) -> Judge:
    """Of pictures `(N, H, W, 3)` and what they show."""
    torch.manual_seed(0)
    network, targets = attribute_accuracy.open_judge(slots), attribute_accuracy.slot_indices(rows, slots)
    optimizer = torch.optim.AdamW(network.parameters(), 5e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        attribute_accuracy.attribute_loss(network, from_uint8(pictures), targets).backward()
        optimizer.step()
    return network.eval()
