"""The JSON schema of a whole configuration file (draft 2020-12), for editors and the reference pages.

It says what `load` takes: options stand flat beside a source's own keys and depend on its provider, a secret may come
from a file, and `${NAME}` may stand where anything but free text is asked. Descriptions are the docstrings of fields.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from exporter.config.environment import REFERENCE_PATTERN
from exporter.config.schema import Config, ProviderModels, SourceSettings
from exporter.config.shape import FILE, secret_keys
from exporter.config.values import duration_text

Schema = dict[str, Any]

_REFERENCE: Schema = {"$ref": "#/$defs/reference"}
_SPEECH = ("default", "deprecated", "description", "examples")
"""Keywords that speak to people and constrain nothing."""


def json_schema(models: ProviderModels) -> dict[str, object]:
    """The schema of the file, with the options of every provider of `models`. ConfigError as `models.options`."""
    options = {name: models.options(name) for name in models.names()}
    wanted: list[type[BaseModel]] = list(dict.fromkeys([Config, SourceSettings, *options.values()]))
    references, whole = models_json_schema([(model, "validation") for model in wanted], schema_generator=_Generator)
    parts: Schema = whole["$defs"]
    names = {model: references[model, "validation"]["$ref"].rpartition("/")[2] for model in wanted}
    made = {model: _open_to_references(parts.pop(name)) for model, name in names.items()}
    source = made[SourceSettings]
    provider = source["properties"]["provider"] | {"enum": list(options)}
    common = source["properties"] | {"provider": _or_reference(provider)}
    parts = {name: _open_to_references(part) for name, part in parts.items()}
    parts["reference"] = {
        "description": "A value from the environment: ${NAME} or ${NAME:-default}.",
        "pattern": REFERENCE_PATTERN,
        "type": "string",
    }
    parts[names[SourceSettings]] = {
        "allOf": [_branch(name, made[model]) for name, model in options.items()],
        "description": source["description"],
        "properties": {key: common[key] for key in SourceSettings.COMMON},
        "required": [key for key in source["required"] if key != "options"],
        "type": "object",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "cloudspend configuration",
        **made[Config],
        "$defs": dict(sorted(parts.items())),
    }


def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """What is said of each field of a model, in one line each."""
    said = {name: field.description for name, field in model.model_fields.items() if field.description}
    return _docstrings(model) | said


class _Generator(GenerateJsonSchema):
    """Pydantic's generator, with docstrings as descriptions, files for secrets, and no titles made from names."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002  pydantic's signature
        return False

    def encode_default(self, dft: Any) -> Any:
        return duration_text(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        made = super().model_schema(schema)
        model: type[BaseModel] = schema["cls"]
        made.pop("title", None)
        for name, text in _docstrings(model).items():
            if name in made.get("properties", {}):
                made["properties"][name].setdefault("description", text)
        for name in secret_keys(model):
            _or_from_file(made, name)
        return made


def _or_from_file(made: Schema, name: str) -> None:
    """Let `name_file` stand for the secret `name`, and never both."""
    properties: Schema = made["properties"]
    properties[name + FILE] = {
        "description": f"The path of a file that holds {name}, instead of {name} itself.",
        "minLength": 1,
        "type": "string",
    }
    both = {"required": [name, name + FILE]}
    required = made.get("required", [])
    rule: Schema = {"not": both}
    if name in required:
        required.remove(name)
        rule = {"oneOf": [{"required": [name]}, {"required": [name + FILE]}]}
    made.setdefault("allOf", []).append(rule)


def _branch(provider: str, options: Schema) -> Schema:
    """What else holds for a source of this provider. The keys that every source has are judged beside it."""
    named = {"properties": {"provider": {"const": provider}}, "required": ["provider"]}
    common = dict.fromkeys(SourceSettings.COMMON, True)
    return {"if": named, "then": options | {"properties": common | options.get("properties", {})}}


def _open_to_references(schema: Schema) -> Schema:
    """A schema in which every value but free text may be a reference to the environment instead."""
    opened = dict(schema)
    opened.pop("ge", None)  # pydantic leaves the limits of a timedelta behind, which JSON schema cannot say
    opened.pop("gt", None)
    if isinstance(opened.get("default", ""), dict | None):  # each key in it has its own
        del opened["default"]
    if "properties" in opened:
        opened["properties"] = {k: _or_reference(_open_to_references(one)) for k, one in opened["properties"].items()}
    for inside in ("items", "additionalProperties"):
        if isinstance(opened.get(inside), dict):
            opened[inside] = _or_reference(_open_to_references(opened[inside]))
    if "patternProperties" in opened:
        ones = opened["patternProperties"].items()
        opened["patternProperties"] = {keys: _or_reference(_open_to_references(one)) for keys, one in ones}
    for inside in ("anyOf", "oneOf"):
        if inside in opened:
            opened[inside] = [_open_to_references(one) for one in opened[inside]]
    return opened


def _or_reference(schema: Schema) -> Schema:
    if any(map(_is_particular, schema.get("anyOf", ()))):
        return schema | {"anyOf": [*schema["anyOf"], _REFERENCE]}
    if not _is_particular(schema):
        return schema
    speech = {key: schema[key] for key in _SPEECH if key in schema}
    return speech | {"anyOf": [{key: schema[key] for key in schema if key not in _SPEECH}, _REFERENCE]}


def _is_particular(schema: Schema) -> bool:
    """Whether a text such as `${NAME}` would not do."""
    return schema.get("type") in ("integer", "number", "boolean") or any(
        key in schema and schema[key] != "password" for key in ("const", "enum", "format", "maxLength", "pattern")
    )


def _docstrings(model: type[BaseModel]) -> dict[str, str]:
    """What stands below each field of a model and of the models it extends, in one line each."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if not issubclass(cls, BaseModel) or cls is BaseModel:
            continue
        try:
            (tree,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
        except (OSError, TypeError, SyntaxError):  # no source at hand: no descriptions
            continue
        body = tree.body if isinstance(tree, ast.ClassDef) else []
        for field, below in itertools.pairwise(body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = inspect.cleandoc(text).replace("\n", " ")
    return found
