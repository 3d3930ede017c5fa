"""The HTTP contract, `shared/web/openapi.json`, as a judge of answers: do they keep what the definition promises.

Strict where the definition is: an undocumented status, content type or member is a breach, and so is a
documented header that is missing.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

DEFINITION = Path(__file__).parents[2] / "shared" / "web" / "openapi.json"
METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_BASE = "urn:contract"


@dataclass(frozen=True)
class Contract:
    """Judges answers by `definition`, an OpenAPI 3.1 document."""

    definition: dict[str, Any]
    _registry: Registry[Any] = field(init=False)

    def __post_init__(self) -> None:
        resource = Resource.from_contents(self.definition, default_specification=DRAFT202012)
        object.__setattr__(self, "_registry", Registry().with_resource(_BASE, resource))

    @classmethod
    def read(cls) -> "Contract":
        """Return the contract of this project."""
        return cls(json.loads(DEFINITION.read_text("utf-8")))

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield every method (lower case), path and operation."""
        for path, item in self.definition["paths"].items():
            yield from ((method, path, item[method]) for method in METHODS if method in item)

    def breaches(
        self, method: str, path: str, status: int, headers: Mapping[str, str], body: str
    ) -> list[str]:
        """Return what is wrong with an answer. `path` is what was asked for, with or without origin."""
        template = self._template(re.sub(r"^https?://[^/]+", "", path).partition("?")[0])
        pointer = f"#/paths/{_escaped(template)}/{method.lower()}/responses/{status}"
        documented = self._at(pointer)
        if documented is None:
            return [f"{method} {template}: the status {status} is not documented"]
        if "$ref" in documented:
            pointer = documented["$ref"]
            documented = self._at(pointer)
        lower = {name.lower(): value for name, value in headers.items()}
        return [
            f"{method} {template} {status}: {breach}"
            for breach in (
                *self._header_breaches(pointer, documented, lower),
                *self._body_breaches(pointer, documented, lower.get("content-type", ""), body),
            )
        ]

    def schema_breaches(self, pointer: str, value: Any) -> list[str]:
        """Return what is wrong with a value by the schema at a JSON pointer (`#/components/schemas/Alert`)."""
        validator = Draft202012Validator({"$ref": _BASE + pointer}, registry=self._registry)
        return [f"{error.json_path}: {error.message[:300]}" for error in validator.iter_errors(value)]

    def _header_breaches(
        self, pointer: str, documented: Mapping[str, Any], headers: Mapping[str, str]
    ) -> Iterator[str]:
        for name, header in documented.get("headers", {}).items():
            at = header.get("$ref", f"{pointer}/headers/{_escaped(name)}")
            promised = self._at(at)
            if name.lower() not in headers:
                if promised.get("required"):
                    yield f"the header {name} is missing"
                continue
            text = headers[name.lower()]
            value = int(text) if promised["schema"].get("type") == "integer" and text.isdigit() else text
            yield from (f"{name}: {breach}" for breach in self.schema_breaches(f"{at}/schema", value))

    def _body_breaches(self, pointer: str, documented: Mapping[str, Any], kind: str, body: str) -> list[str]:
        if "content" not in documented:
            return [f"a body that is not documented: {body[:100]}"] if body else []
        if documented.get("x-also-empty") and not kind and not body:  # the host's own answer
            return []
        kind = kind.partition(";")[0].strip()
        if kind not in documented["content"]:
            return [f"the content type {kind!r} is not documented"]
        value = body if kind == "text/plain" else json.loads(body)
        return self.schema_breaches(f"{pointer}/content/{_escaped(kind)}/schema", value)

    def _template(self, path: str) -> str:
        """Return the documented path that fits, with the fewest parameters."""
        templates: list[str] = list(self.definition["paths"])
        fitting = [
            template
            for template in templates
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template.replace(".", r"\.")), path)
        ]
        if not fitting:
            raise LookupError(f"no documented path fits {path}")
        return min(fitting, key=lambda template: template.count("{"))

    def _at(self, pointer: str) -> Any:
        part: Any = self.definition
        for step in pointer.removeprefix("#/").split("/"):
            part = part.get(step.replace("~1", "/").replace("~0", "~")) if part is not None else None
        return part


def _escaped(step: str) -> str:
    return step.replace("~", "~0").replace("/", "~1")
