"""A SANA student through the same training, export, generator and backends as every other."""

from __future__ import annotations

import pytest
import yaml
from accelerate.state import AcceleratorState

from export.write_bundle import ExportOptions, export
from metrics.sharpness import psnr
from models import folder as folders
from runtime import backend
from runtime.backend import BackendOptions
from runtime.bundle import Bundle
from runtime.generator import Generator, Request
from runtime.openvino import OpenVinoBackend
from runtime.tokenize import PromptTokenizer
from tests.models import tiny_sana
from tests.training.conftest import write_set
from training import launch

PROMPTS = ["a Red heart", "", "blue star and more of it than fits"]
RATE = {"rate": 1e-2, "warmup": 0}
LOOP = {"steps": 2, "batch": 4, "validate_every": 2, "log_every": 1, "checkpoint_minutes": 0}
CONSISTENCY = {"consistency": {"steps": 4, "guidance": 2.0}, "adversarial": {"discriminator": RATE, "width": 8}}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A LoRA teacher, its student by consistency and LADD together, and the student's bundle."""
    AcceleratorState._reset_state()  # a process has one precision, but for its tests
    root = tmp_path_factory.mktemp("sana")
    data = write_set(root / "squares")
    base = tiny_sana.write(root / "base")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPPO_RUNS", str(root / "runs"))
        for method, values in {
            "teacher": {"base": str(base), "lora": {"rank": 2}, "optimizer": RATE},
            "student": {
                "teacher": "teacher",
                "pairs": {"count": 4, "steps": 2},
                "optimizer": RATE,
                "warmup_optimizer": RATE,
                **CONSISTENCY,
                "captions": ["text"],
            },
        }.items():
            config = root / f"{method}.yaml"
            config.write_text(yaml.safe_dump({"run": method, "data": str(data), "loop": LOOP, **values}))
            launch.launch(method, config)
    return export(str(root / "runs/student/model"), root / "tiny", ExportOptions(trained=False, inputs=PROMPTS))


def test_the_graphs_take_text_and_its_mask(bundle: Bundle) -> None:
    assert bundle.manifest.conditioning == ("encoder_hidden_states", "encoder_attention_mask")
    assert bundle.manifest.tokens == tiny_sana.LENGTH
    assert bundle.manifest.graphs["denoiser"] == "transformer/model.onnx"


def test_the_tokens_are_those_of_training(bundle: Bundle) -> None:
    expected = folders.load(bundle.folder).conditioner.tokenize(PROMPTS).numpy()
    found = PromptTokenizer(bundle)
    assert (found.ids(PROMPTS) == expected).all() and found.dropped(PROMPTS[-1]) > 0
    assert (found.ids(["a RED heart "]) == expected[:1]).all()


@pytest.mark.parametrize("name", ["eager", "ort", "openvino"])
@pytest.mark.parametrize("steps", [1, 4])
def test_every_backend_draws_what_the_pipeline_draws(name: str, steps: int, bundle: Bundle) -> None:
    options = BackendOptions(threads=1)
    runner = OpenVinoBackend(bundle, options, "f32") if name == "openvino" else backend.load(name, bundle, options)
    found = Generator(bundle, runner).generate([Request(text, seed) for seed, text in enumerate(PROMPTS)], steps)
    expected = folders.load(bundle.folder).generate(PROMPTS, range(3), steps)
    assert psnr(found, expected) > 45
