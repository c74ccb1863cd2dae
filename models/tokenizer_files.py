"""Tokenizers as transformers reads and writes them, whose own normalizer is kept; it knows nothing about networks.

`CLIPTokenizer.from_pretrained` takes vocabulary and merges of `tokenizer.json` and builds CLIP's own normalizer anew: with
another one it would silently read prompts otherwise than it was trained to. Such a tokenizer is a `PreTrainedTokenizerFast`
in `tokenizer_config.json` and `model_index.json`, the one name that transformers 4 and 5 both know.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tokenizers.normalizers import Normalizer
from transformers import CLIPTokenizer, PreTrainedTokenizerFast

from base.errors import BadInput
from base.files import write_text

FAST = "PreTrainedTokenizerFast"


def load(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a folder, of the class that `tokenizer_config.json` names: CLIP's own, or with its own normalizer."""
    config = folder / "tokenizer_config.json"
    named = json.loads(config.read_text(encoding="utf-8")).get("tokenizer_class") if config.is_file() else None
    kind = PreTrainedTokenizerFast if named in (FAST, PreTrainedTokenizerFast.__name__) else CLIPTokenizer
    return kind.from_pretrained(folder)


def check(folder: Path) -> None:
    """BadInput: the tokenizer's files are missing."""
    if not any((folder / name).is_file() for name in ("vocab.json", "tokenizer.json")):
        raise BadInput(f"{folder.parent} is incomplete: it has no {folder.name}/vocab.json")


def save(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """`tokenizer.json`, and `vocab.json` + `merges.txt` with it, which older transformers need.

    Where a pipeline's `model_index.json` lies above, its entry for this component gets the name of the class too.
    """
    tokenizer.save_pretrained(folder)
    tokenizer.backend_tokenizer.model.save(str(folder))
    if isinstance(tokenizer, CLIPTokenizer):
        return
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"), pretty=False)  # a line for each emoji would be ten
    _set(folder / "tokenizer_config.json", "tokenizer_class", FAST)
    if (index := folder.parent / "model_index.json").is_file():
        _set(index, folder.name, ["transformers", FAST])


def with_normalizer(tokenizer: PreTrainedTokenizerFast, normalizer: Normalizer) -> PreTrainedTokenizerFast:
    """The same vocabulary behind another normalizer."""
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.normalizer = normalizer
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_max_length=tokenizer.model_max_length,
        model_input_names=tokenizer.model_input_names,
        **tokenizer.special_tokens_map,
    )


def as_written(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The same vocabulary behind CLIP's own normalizer: accents, plurals and commas stay, as a caption is to be written."""
    if isinstance(tokenizer, CLIPTokenizer):
        return tokenizer
    return with_normalizer(tokenizer, CLIPTokenizer().backend_tokenizer.normalizer)


def _set(file: Path, key: str, value: Any) -> None:
    content = {**json.loads(file.read_text(encoding="utf-8")), key: value}
    write_text(file, json.dumps(content, indent=2) + "\n")
