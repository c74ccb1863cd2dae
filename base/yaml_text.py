"""YAML that remembers what was typed, so that a name such as `no` or `2024-05-01` stays one; it knows no configuration."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import PurePath
from typing import Any

import yaml
from pydantic import BaseModel

from base.errors import BadInput

_QUOTES = ("'", '"')
_KINDS = ((PurePath, str), (BaseModel, BaseModel), (Mapping, dict), (list, list), (tuple, list))


@dataclass(frozen=True)
class Scalar:
    """A number, truth value, date or nothing: what YAML makes of a word that somebody typed."""

    value: Any
    typed: str


def read(text: str, where: str) -> Any:
    """YAML → mappings, lists and text as they are, every other scalar as a `Scalar`. BadInput: not YAML, in one line."""
    try:
        return yaml.load(text, _Loader)  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark and "\n" in text.strip() else ""
        raise BadInput(f"{where} is not valid YAML{line}: {error.problem or error.context}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise BadInput(f"{where} is not valid YAML: {str(error).splitlines()[0]}") from error


def read_value(text: str, annotation: Any, where: str) -> Any:
    """What was typed for one value of type `annotation`, as `read` gives it.

    Where text is wanted it is the text itself, brackets, `@` and all, but for quotation marks around it. BadInput: as `read`.
    """
    kinds = _kinds(annotation)
    if not text.strip():
        return Scalar(None, "")
    if str not in kinds or text.strip().startswith(_QUOTES):
        return read(text, where)
    try:
        value = read(text, where)
    except BadInput:
        return text.strip()
    if isinstance(value, Mapping):
        return value if kinds & {dict, BaseModel} else text.strip()
    if isinstance(value, list):
        return value if list in kinds else text.strip()
    return value if isinstance(value, Scalar) else text.strip()


def plain(value: Any, annotation: Any = Any) -> Any:
    """What `read` gave → ordinary values: the text that was typed where `annotation` takes text and no such scalar."""
    kinds = _kinds(annotation)
    if isinstance(value, Scalar):
        return value.typed if _is_text(value, kinds) else value.value
    if isinstance(value, Mapping):
        return {plain(key, _key(annotation)): plain(inner, _inner(annotation, key)) for key, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner, _item(annotation)) for inner in value]
    return value


def inside(annotation: Any, key: str) -> Any:
    """The type of what lies below `key` in a value of type `annotation`; Any where that is not known."""
    return _inner(annotation, key)


def _is_text(scalar: Scalar, kinds: set[type]) -> bool:
    if isinstance(scalar.value, date):  # no configuration holds one: a name that looks like it
        return True
    if str not in kinds:
        return False
    if scalar.value is None:
        return type(None) not in kinds and scalar.typed != ""
    others: dict[type, set[type]] = {int: {int, float}, float: {float}, bool: {bool}}
    accepted = others.get(type(scalar.value), set())
    return not kinds & accepted


def _kinds(annotation: Any) -> set[type]:
    """What an annotation takes, in YAML's kinds: str, int, float, bool, NoneType, list, dict, BaseModel."""
    kinds: set[type] = set()
    for one in _alternatives(annotation):
        if typing.get_origin(one) is typing.Literal:
            kinds |= {type(choice) for choice in typing.get_args(one)}
        elif isinstance(kind := typing.get_origin(one) or one, type):
            kinds |= {next((into for known, into in _KINDS if issubclass(kind, known)), kind)}
    return kinds


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    """The members of a union, `Annotated` taken off."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _alternatives(typing.get_args(annotation)[0])
    if origin in (typing.Union, types.UnionType):
        return tuple(one for member in typing.get_args(annotation) for one in _alternatives(member))
    return (annotation,)


def _key(annotation: Any) -> Any:
    """Keys are text, but for mappings that say otherwise."""
    keys = [typing.get_args(one)[0] for one in _alternatives(annotation) if _mapping(one)]
    return keys[0] if keys else str if _kinds(annotation) & {BaseModel} else Any


def _inner(annotation: Any, key: Any) -> Any:
    for one in _alternatives(annotation):
        if isinstance(one, type) and issubclass(one, BaseModel) and (field := one.model_fields.get(_typed(key))):
            return field.annotation
        if _mapping(one):
            return typing.get_args(one)[1]
    return Any


def _item(annotation: Any) -> Any:
    for one in _alternatives(annotation):
        if typing.get_args(one) and issubclass(typing.get_origin(one) or object, list | tuple):
            return typing.get_args(one)[0]
    return Any


def _mapping(annotation: Any) -> bool:
    origin = typing.get_origin(annotation)
    return isinstance(origin, type) and issubclass(origin, Mapping) and len(typing.get_args(annotation)) == 2


def _typed(key: Any) -> str:
    return key.typed if isinstance(key, Scalar) else str(key)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader, whose scalars remember their text, and which takes no key twice, and nothing that holds itself."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.deep_construct = True  # PyYAML then refuses an alias within what it names: `a: &a [*a]`

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """As PyYAML's, which would forget all but the last value of such a key."""
        node = super().compose_mapping_node(anchor)
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in keys:
                    raise yaml.composer.ComposerError(None, None, f"key '{key.value}' stands twice", key.start_mark)
                keys.add(key.value)
        return node


def _remembering(construct: Callable[[yaml.SafeLoader, Any], Any]) -> Callable[[yaml.SafeLoader, Any], Any]:
    def constructed(loader: yaml.SafeLoader, node: Any) -> Any:
        try:
            return Scalar(construct(loader, node), node.value)
        except (ValueError, OverflowError):  # 2024-13-45 looks like a date
            return str(node.value)

    return constructed


for _kind in ("bool", "float", "int", "null", "timestamp"):
    _constructor = yaml.SafeLoader.yaml_constructors[f"tag:yaml.org,2002:{_kind}"]
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _remembering(_constructor))
