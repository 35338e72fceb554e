"""How AWS speaks: JSON 1.1 for Cost Explorer and Organizations, forms and XML for sts.

Names, types, patterns and enumerations of every request, and the shape of every reply, are checked with the service
models of the installed botocore, so that the simulator speaks as the real client understands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from exporter.simulator.server import Refused, Reply, Request

SERVICES = ("ce", "sts", "organizations")
_JSON = {"Content-Type": "application/x-amz-json-1.1"}
_XML = {"Content-Type": "text/xml"}


@cache
def model(service: str) -> Any:
    """Botocore's model of a service."""
    import botocore.loaders
    from botocore.model import ServiceModel

    return ServiceModel(botocore.loaders.create_loader().load_service_model(service, "service-2"), service)


@cache
def _targets() -> Mapping[str, str]:
    return {model(name).metadata["targetPrefix"]: name for name in SERVICES if model(name).protocol == "json"}


def asked(request: Request) -> tuple[str, str]:
    """Service and operation of a request; `("", "")` where it names none that is simulated."""
    prefix, _, operation = request.headers.get("x-amz-target", "").partition(".")
    service = _targets().get(prefix, "")
    if not prefix:
        service, operation = "sts", _form(request).get("Action", "")
    known = service and operation in model(service).operation_names
    return (service, operation) if known else ("", "")


def parameters(request: Request, service: str, operation: str) -> dict[str, Any]:
    """What the request asks for. Raises Refused where the model does not allow it."""
    from botocore.validate import ParamValidator

    shape = model(service).operation_model(operation).input_shape
    given = _form(request) if service == "sts" else request.json()
    found = {
        name: int(value) if service == "sts" and shape.members[name].type_name == "integer" else value
        for name, value in given.items()
        if service != "sts" or name in shape.members
    }
    report = ParamValidator().validate(found, shape)
    if report.has_errors():
        raise refused(service, "ValidationException", report.generate_report())
    problem = _outside(found, shape)
    if problem:
        raise refused(service, "ValidationException", problem)
    return found


def reply(service: str, operation: str, document: Mapping[str, Any]) -> Reply:
    """A good answer. AssertionError where botocore's model does not know its shape."""
    from botocore.validate import ParamValidator

    shape = model(service).operation_model(operation).output_shape
    report = ParamValidator().validate(document, shape)
    unknown = document.keys() - shape.members.keys()
    if report.has_errors() or unknown:  # a mistake of the simulator's
        raise AssertionError(report.generate_report() or f"{operation} has no {unknown}")
    if service != "sts":
        return Reply(200, json.dumps(document, default=_instant).encode(), _JSON)
    inner = _elements(document)
    xml = f"<{operation}Response><{operation}Result>{inner}</{operation}Result></{operation}Response>"
    return Reply(200, xml.encode(), _XML)


def refusal(
    service: str, code: str, message: str, status: int = 400, headers: Mapping[str, str] | None = None
) -> Reply:
    """How a service says no."""
    if service == "sts":
        error = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        body = f"<ErrorResponse><Error><Type>Sender</Type>{error}</Error></ErrorResponse>"
        return Reply(status, body.encode(), _XML | dict(headers or {}))
    return Reply(status, json.dumps({"__type": code, "Message": message}).encode(), _JSON | dict(headers or {}))


def refused(service: str, code: str, message: str, status: int = 400) -> Refused:
    """The same, to raise."""
    return Refused(refusal(service, code, message, status))


def _form(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def _outside(value: Any, shape: Any) -> str:
    """What breaks an enumeration or a pattern: botocore's own validator does not look, the services do."""
    if shape.type_name == "structure":
        return next(filter(None, (_outside(value[name], shape.members[name]) for name in value)), "")
    if shape.type_name == "list":
        return next(filter(None, (_outside(each, shape.member) for each in value)), "")
    if shape.type_name != "string":
        return ""
    if shape.enum and value not in shape.enum:
        return f"Value {value!r} failed to satisfy constraint: Member must satisfy enum value set: {shape.enum}"
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(pattern, value):
        return f"Value {value!r} failed to satisfy constraint: Member must satisfy pattern: {pattern}"
    return ""


def _elements(document: Mapping[str, Any]) -> str:
    written = []
    for name, value in document.items():
        inner = _elements(value) if isinstance(value, Mapping) else escape(str(_instant(value)))
        written.append(f"<{name}>{inner}</{name}>")
    return "".join(written)


def _instant(value: Any) -> Any:
    return f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value
