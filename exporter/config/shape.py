"""Which model reads which mapping of a document: what its keys are, and which of them are secrets."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Union

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from exporter.config.document import Place
from exporter.config.schema import Config, ProviderModels, SourceSettings
from exporter.errors import ConfigError

FILE = "_file"
"""Behind the name of a secret: a key whose value is the path of a file that holds it."""

Shape = Mapping[Place, tuple[type[BaseModel], ...]]
"""The models that read the mapping at each place; a source is read by two."""


def shape_of(value: Any, models: ProviderModels) -> Shape:
    """The shape of a whole configuration's values, as far as they have the form that a model reads."""
    shape: dict[Place, tuple[type[BaseModel], ...]] = {}
    for place, model in _readers(value, Config, (), models):
        shape[place] = (*shape.get(place, ()), model)
    return shape


def keys(models: tuple[type[BaseModel], ...]) -> tuple[str, ...]:
    """Every key that a mapping may have which these models read, in their order."""
    found: dict[str, None] = {}
    for model in models:
        plain = SourceSettings.COMMON if model is SourceSettings else tuple(_fields(model))
        found |= dict.fromkeys(plain) | dict.fromkeys(secret + FILE for secret in secret_keys(model))
    return tuple(found)


def secret_keys(model: type[BaseModel]) -> tuple[str, ...]:
    """The keys of a model whose values are secret and may come from a file.

    A field of the model's own that is called `…_file` is just that field.
    """
    fields = _fields(model)
    return tuple(name for name, kind in fields.items() if _is_one_secret(kind) and name + FILE not in fields)


def secret_places(shape: Shape) -> frozenset[Place]:
    """Every place at which a secret may stand."""
    return frozenset(
        (*place, name)
        for place, models in shape.items()
        for model in models
        for name, kind in _fields(model).items()
        if _is_secret(kind)
    )


def _readers(
    value: Any, model: type[BaseModel], place: Place, models: ProviderModels
) -> Iterator[tuple[Place, type[BaseModel]]]:
    if not isinstance(value, dict):
        return
    yield place, model
    for name, kind in _fields(model).items():
        choices = list(_models(kind))
        for inner, depth in choices:
            for where, part in _parts(value.get(name), (*place, name), depth):
                if not _is_of_another_type(part, inner, [each for each, _ in choices]):
                    yield from _readers(part, inner, where, models)
    if model is SourceSettings and (options := _options(value.get("provider"), models)):
        yield from _readers(value, options, place, models)


def _is_of_another_type(value: Any, model: type[BaseModel], choices: list[type[BaseModel]]) -> bool:
    """Whether a mapping says by its `type` that it is for another of the models that might read it."""
    given = value.get("type") if isinstance(value, dict) else None
    meant = [choice for choice in choices if given in typing.get_args(_fields(choice).get("type"))]
    return bool(meant) and model not in meant


def _options(provider: object, models: ProviderModels) -> type[BaseModel] | None:
    try:
        return models.options(provider) if isinstance(provider, str) and provider in models.names() else None
    except ConfigError:  # told by the schema
        return None


def _parts(value: Any, place: Place, depth: int) -> Iterator[tuple[Place, Any]]:
    """The value itself, or what lies so many lists and mappings deep in it."""
    if depth == 0:
        yield place, value
    elif isinstance(value, dict | list):
        for step, inner in enumerate(value) if isinstance(value, list) else value.items():
            yield from _parts(inner, (*place, step), depth - 1)


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def _is_secret(kind: Any) -> bool:
    """Whether a secret is the value, or lies somewhere in it."""
    return _is_one_secret(kind) or any(map(_is_secret, typing.get_args(kind)))


def _is_one_secret(kind: Any) -> bool:
    if _is_choice(kind):
        return any(map(_is_one_secret, typing.get_args(kind)))
    plain = typing.get_origin(kind) or kind  # Secret of Secret[int]
    return isinstance(plain, type) and issubclass(plain, Secret | SecretStr | SecretBytes)


def _models(kind: Any, depth: int = 0) -> Iterator[tuple[type[BaseModel], int]]:
    """Every model in a type, and how many lists and mappings lie around it."""
    if isinstance(kind, type) and not typing.get_args(kind) and issubclass(kind, BaseModel):
        yield kind, depth
    for argument in typing.get_args(kind):
        yield from _models(argument, depth if _is_choice(kind) else depth + 1)


def _is_choice(kind: Any) -> bool:
    return typing.get_origin(kind) in (Union, UnionType, Annotated)
