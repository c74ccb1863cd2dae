"""Typed, frozen configuration from YAML and dotted overrides; it knows nothing about what is configured."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from base import yaml_text
from base.errors import BadInput
from base.files import write_text

_COMPARED = 40
"""Characters of a name that are looked at: a name can be a whole prompt."""


class Config(BaseModel):
    """Base of every configuration. Unknown keys are refused with the nearest known name."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)
    number_is: ClassVar[str] = ""
    """The key that a number in place of all keys stands for; empty: none."""

    @model_validator(mode="before")
    @classmethod
    def _number_alone(cls, value: Any) -> Any:
        return {cls.number_is: value} if cls.number_is and _is_number(value) else value

    @classmethod
    def load(cls, path: str | Path, overrides: Iterable[str] = ()) -> Self:
        """Read `path` (YAML), apply `a.b=value` overrides (YAML too), validate. Where text is wanted, what was typed counts."""
        file = Path(path)
        if file.is_dir():
            held = ", ".join(sorted(one.name for one in file.glob("*.yaml")))
            raise BadInput(f"{file} is a folder" + (f": give one of {held}" if held else ", no configuration file"))
        if not file.is_file():
            raise BadInput(f"no configuration file {file}")
        try:
            values = yaml_text.read(file.read_text(encoding="utf-8-sig"), str(file)) or {}
        except UnicodeDecodeError:
            raise BadInput(f"{file} is not valid YAML: it is no UTF-8 text") from None
        except OSError as error:
            raise BadInput(f"{file} cannot be read: {error.strerror or error}") from None
        if not isinstance(values, dict):
            raise BadInput(f"{file} must hold a mapping of keys to values")
        for override in overrides:
            _override(values, override, cls)
        return cls.parse(yaml_text.plain(values, cls), str(file))

    @classmethod
    def parse(cls, values: Mapping[str, Any], where: str) -> Self:
        """Validate a mapping; `where` names its origin in the error."""
        _refuse_unknown(cls, values, where)
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            origin = ": ".join(filter(None, (where, ".".join(str(part) for part in first["loc"]))))
            if isinstance(reason := first.get("ctx", {}).get("error"), BadInput):
                raise BadInput(f"{origin}: {reason}") from error
            said = first["msg"].removeprefix("Value error, ")
            if first["type"] == "model_type":  # pydantic names the class
                said = "accepted are keys and their values"
            got = "" if isinstance(first["input"], Mapping) else f", got {first['input']!r}"
            raise BadInput(f"{origin}: {said}{got}") from error

    def write(self, path: Path) -> None:
        """Write the resolved configuration as YAML, atomically."""
        write_text(path, yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False))


def closest(name: str, known: Iterable[str], likeness: float = 0.5) -> str | None:
    """The known name most like `name`, whatever the case of its letters; None where none is as like as `likeness`, of 1."""
    by_letters = {other.casefold(): other for other in known}
    close = difflib.get_close_matches(name[:_COMPARED].casefold(), by_letters, n=1, cutoff=likeness)
    return by_letters[close[0]] if close else None


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a refusal: `; did you mean 'x'?` for the closest known name, or else the list of what is accepted."""
    names = sorted(known)
    close = closest(name, names)
    return f"; did you mean '{close}'?" if close else f"; accepted: {', '.join(names)}"


def _override(values: dict[Any, Any], override: str, kind: Any) -> None:
    dotted, sign, text = override.partition("=")
    if not sign or not dotted:
        raise BadInput(f"override '{override}' is not of the form key=value")
    *parents, last = dotted.split(".")
    for parent in parents:
        values, kind = values.setdefault(parent, {}), yaml_text.inside(kind, parent)
        if not isinstance(values, dict):
            raise BadInput(f"override '{override}': '{parent}' has no keys below it")
    kind = yaml_text.inside(kind, last)
    value, held = yaml_text.read_value(text, kind, f"override '{override}'"), values.get(last)
    if isinstance(held, dict) and isinstance(value, yaml_text.Scalar) and _is_number(value.value) and value.value:
        for inner in _alternatives(kind):
            if isinstance(inner, type) and issubclass(inner, Config) and inner.number_is:
                held[inner.number_is] = value  # the other keys stay; 0 may mean that none of them counts
                return
    values[last] = value


def _refuse_unknown(config: type[BaseModel], values: Mapping[str, Any], where: str) -> None:
    for key, value in values.items():
        field = config.model_fields.get(str(key))
        if field is None:
            raise BadInput(f"{where}: unknown key '{key}'{nearest(str(key), config.model_fields)}")
        for inner in _alternatives(field.annotation):
            if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(value, Mapping):
                _refuse_unknown(inner, value, f"{where}: {key}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _alternatives(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)
