"""Configuration from the environment: what is taken, refused and handed on."""

from __future__ import annotations

from pathlib import Path

import pytest

from base.errors import BadInput
from base.shipped import SHIPPED_BUNDLE
from serving.serve_config import ServeConfig


def test_defaults_are_local_and_name_the_bundle_that_ships() -> None:
    config = ServeConfig.from_environment({"PATH": "/bin", "IPPO_RUNS": "elsewhere"})
    assert (config.host, config.port, config.bundle) == ("127.0.0.1", 3000, SHIPPED_BUNDLE)


def test_environment_changes_fields() -> None:
    config = ServeConfig.from_environment(
        {
            "IPPO_PORT": "8080",
            "IPPO_BUNDLE": "/models/x",
            "IPPO_PAGE": "false",
            "IPPO_BATCHES": "8,2",
            "IPPO_THREADS": "2",
        }
    )
    assert (config.port, config.bundle, config.page, config.threads) == (8080, Path("/models/x"), False, 2)
    assert config.batches == (1, 2, 8)  # one is always among them


def test_one_step_from_noise_has_batch_sizes_of_its_own() -> None:
    config = ServeConfig(batches=(8,), split_batches=(2,))
    assert config.sizes(fused=True) == (1, 8) and config.sizes(fused=False) == (1, 2)
    alone = ServeConfig(batches=(8,), reproducible=True)
    assert alone.sizes(fused=True) == alone.sizes(fused=False) == (1,)


def test_what_is_handed_on_is_the_same() -> None:
    config = ServeConfig.model_validate(
        {
            "port": 8080,
            "batches": (1, 2),
            "threads": 3,
            "max_wait_ms": 2.5,
            "format": "webp",
            "models": {"one": "/a", "two": "/b"},
            "api_keys": ("first-key", "second-key"),
            "admin_key": "admin-key",
            "cors": ("https://a.example", "https://b.example"),
        }
    )
    assert ServeConfig.from_environment(config.environment()) == config
    assert config.bundles == (("one", Path("/a")), ("two", Path("/b")))


def test_secrets_are_in_no_line_for_people() -> None:
    config = ServeConfig.from_environment({"IPPO_API_KEYS": "first-key,second-key", "IPPO_ADMIN_KEY": "admin-key"})
    assert "-key" not in config.describe() + repr(config) and "api_keys=***" in config.describe()
    with pytest.raises(BadInput) as refused:
        ServeConfig.from_environment({"IPPO_API_KEYS": "wrong key!"})
    assert "wrong key!" not in str(refused.value)


def test_command_line_before_environment_before_file(tmp_path: Path) -> None:
    file = tmp_path / "serve.yaml"
    file.write_text("port: 1111\nmax_queue: 11\nmax_images: 2\nmodels: {one: /a}\n")
    resolved = ServeConfig.resolve(file, {"IPPO_PORT": "2222", "IPPO_MAX_QUEUE": "22"}, ["port=3333"])
    assert (resolved.port, resolved.max_queue, resolved.max_images) == (3333, 22, 2)
    assert resolved.bundles == (("one", Path("/a")),)


def test_every_setting_is_listed_for_people() -> None:
    listed = ServeConfig.settings()
    assert all(f"IPPO_{name.upper()}" in listed for name in ServeConfig.model_fields)


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("IPPO_PROT", "1", "did you mean IPPO_PORT"),
        ("IPPO_PORT", "many", "port"),
        ("IPPO_PORT", "70000", "port"),
        ("IPPO_FORMAT", "gif", "format"),
        ("IPPO_BATCHES", "1,x", "batches"),
        ("IPPO_BATCHES", "0", "batches"),
        ("IPPO_MAX_IMAGES", "65", "max_images"),
        ("IPPO_MODELS", "/a", "NAME=FOLDER"),
        ("IPPO_MODELS", "a=/a,b=/b,c=/c", "models"),
        ("IPPO_API_KEYS", "long enough but not", "a key has at least 8"),
    ],
)
def test_bad_values_are_one_line(variable: str, value: str, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        ServeConfig.from_environment({variable: value})
    assert "\n" not in str(refused.value)


def test_more_images_in_a_request_than_the_queue_holds_is_refused() -> None:
    with pytest.raises(BadInput, match="max_queue"):
        ServeConfig.from_environment({"IPPO_MAX_QUEUE": "4"})


def test_described_in_one_line() -> None:
    line = ServeConfig(batches=(1, 2)).describe()
    assert "port=3000" in line and "batches=1,2" in line and "\n" not in line
