"""The page that reads the API's description, in the site's own looks: no script, no other host."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe


def _described() -> dict[str, Any]:
    from leaderboard.api.site import described  # not above: every process would load it as it starts

    return described()


@dataclass(frozen=True)
class Field:
    """A parameter or a field of a body or an answer."""

    name: str
    type: str
    required: bool
    description: str
    place: str = ""


@dataclass(frozen=True)
class Shape:
    """A named kind of object."""

    name: str
    description: str
    fields: list[Field]


@dataclass(frozen=True)
class Operation:
    """An operation of the API as the page shows it."""

    id: str
    method: str
    path: str
    summary: str
    description: str
    scope: str
    parameters: list[Field]
    body: str
    answer: str
    statuses: list[tuple[str, str]]

    @property
    def shapes(self) -> list[str]:
        """The objects that it takes and answers, in this order, each once."""
        words = f"{self.body} {self.answer}".split()
        return [word for word in dict.fromkeys(words) if word in _described()["components"]["schemas"]]


@require_safe
def reference(request: HttpRequest) -> HttpResponse:
    """Every operation with what it takes and answers."""
    context = {
        "parts": _parts(),
        "shapes": _shapes(),
        "per_minute": settings.API_REQUESTS_PER_MINUTE,
        "site_url": settings.SITE_URL,
    }
    return render(request, "api/reference.html", context)


@cache
def _parts() -> list[tuple[str, list[Operation]]]:
    parts: dict[str, list[Operation]] = {}
    for path, methods in _described()["paths"].items():
        for method, told in methods.items():
            parts.setdefault(told["tags"][0], []).append(_operation(method, path, told))
    return list(parts.items())


def _operation(method: str, path: str, told: dict[str, Any]) -> Operation:
    summary, _, rest = told.get("description", told["summary"]).partition("\n")
    answers = {status: one for status, one in told["responses"].items() if status.startswith("2")}
    return Operation(
        id=told["operationId"],
        method=method.upper(),
        path=path,
        summary=summary.replace("`", ""),
        description=rest.strip().replace("`", ""),
        scope=told.get("x-scope") or "",
        parameters=[_parameter(one) for one in told.get("parameters", [])],
        body=_of_content(told.get("requestBody", {})),
        answer=next(_of_content(one) for one in answers.values()),
        statuses=[(status, one.get("description", "")) for status, one in told["responses"].items()],
    )


def _parameter(one: dict[str, Any]) -> Field:
    return Field(one["name"], _type(one["schema"]), one["required"], one.get("description", ""), one["in"])


def _of_content(told: dict[str, Any]) -> str:
    """What a body or an answer consists of."""
    for media_type, one in told.get("content", {}).items():
        return _type(one["schema"]) if media_type == "application/json" else media_type
    return ""


@cache
def _shapes() -> list[Shape]:
    shapes = _described()["components"]["schemas"]
    return [Shape(name, one.get("description", ""), list(_fields(one))) for name, one in sorted(shapes.items())]


def _fields(shape: dict[str, Any]) -> Iterator[Field]:
    required = shape.get("required", ())
    for name, one in shape.get("properties", {}).items():
        yield Field(name, _type(one), name in required, one.get("description", ""))


def _type(schema: dict[str, Any]) -> str:
    """A schema in a few words: `integer`, `list of Step`, `text or null`, `"main" | "overall"`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(f"“{one}”" for one in schema["enum"])
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "prefixItems" in schema:
        return "list of two numbers"
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    words = {"string": schema.get("format", "text"), "object": "object"}
    kind = str(schema.get("type", "anything"))
    return str(words.get(kind, kind))
