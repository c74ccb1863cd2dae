"""Checkpoints: tensors as safetensors, the rest as JSON, written atomically; it knows nothing of what they mean.

torch is imported where tensors are: the studio asks for the newest checkpoint, and its page need not wait for torch.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from base.errors import BadInput
from base.files import atomic_folder

if TYPE_CHECKING:
    import torch

_NAME = "checkpoint-"


def at(run: Path, step: int) -> Path:
    """Where the checkpoint of a run after `step` steps lies."""
    return run / f"{_NAME}{step}"


def write(folder: Path, tensors: dict[str, torch.Tensor], facts: dict[str, Any]) -> None:
    """Write tensors of any shape and facts as a checkpoint folder, atomically: it is complete, or it is not there."""
    from safetensors.torch import save_file

    whole = {name: tensor.detach().contiguous().clone() for name, tensor in tensors.items()}
    with atomic_folder(folder) as hidden:
        save_file(whole, hidden / "state.safetensors")
        (hidden / "state.json").write_text(json.dumps(facts))


def read(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """The tensors, of any shape, by name, and the facts of a checkpoint. BadInput: it is damaged."""
    from safetensors.torch import load_file

    try:
        return load_file(folder / "state.safetensors"), json.loads((folder / "state.json").read_text())
    except Exception as error:
        raise BadInput(
            f"checkpoint {folder} cannot be read ({error}); delete it to go on from the one before"
        ) from error


def newest(run: Path) -> Path | None:
    """The latest complete checkpoint of a run."""
    return max(_all(run), key=lambda path: int(path.name.removeprefix(_NAME)), default=None)


def drop_older(run: Path, keep: Path) -> None:
    """Remove all checkpoints of a run but `keep`."""
    for path in _all(run):
        if path != keep:
            shutil.rmtree(path, ignore_errors=True)


def _all(run: Path) -> list[Path]:
    """Those that a training wrote: what somebody put beside them, `checkpoint-500-good`, is theirs to keep."""
    return [path for path in run.glob(f"{_NAME}*") if path.name.removeprefix(_NAME).isdecimal()]


def optimizer_state(optimizer: torch.optim.Optimizer, prefix: str) -> dict[str, torch.Tensor]:
    """An optimizer's tensors as `prefix.<parameter index>.<name>`, each of its parameter's shape or a scalar."""
    import torch

    state = optimizer.state_dict()["state"]
    return {
        f"{prefix}.{index}.{name}": torch.as_tensor(value)
        for index, values in state.items()
        for name, value in values.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, prefix: str, tensors: dict[str, torch.Tensor]) -> None:
    """Load what `optimizer_state` gave, of any shapes, back into the same optimizer."""
    from training.run.sharding import alike

    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in tensors.items():
        if key.startswith(prefix + "."):
            index, name = key.removeprefix(prefix + ".").split(".", 1)
            own = weights[int(index)] if int(index) < len(weights) else tensor
            state.setdefault(int(index), {})[name] = alike(tensor, own)
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
