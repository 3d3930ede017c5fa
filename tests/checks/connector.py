"""The Power Platform connector's definition, made from the contract: Swagger 2.0, what custom connectors take.

    python -m tests.checks.connector

writes `integrations/power-platform/apiDefinition.swagger.json` from `shared/web/openapi.json`. It holds the two
operations of the senders, with everything inlined: Swagger 2.0 ignores what stands beside a `$ref`, and the
designer shows what stands there. Patterns and formats are left out: the designer reads a `date-time` as a moment
and writes it anew, with fewer digits than Defender looks the event up by.
"""

import json
from collections.abc import Mapping
from typing import Any

from dev.setup import ROOT

CONTRACT = ROOT / "shared" / "web" / "openapi.json"
TARGET = ROOT / "integrations" / "power-platform" / "apiDefinition.swagger.json"
DOCUMENTATION = "https://learn.microsoft.com/defender-endpoint/api/create-alert-by-reference"
PRIVACY = "https://www.microsoft.com/privacy/privacystatement"
HOST = "your-function-app.azurewebsites.net"
_SUMMARY = "x-ms-summary"
_VISIBILITY = "x-ms-visibility"
_IMPORTANT = ("status", "portalUrl", "detail")
_KEPT = ("type", "description", "enum", "required", "default")

Json = Mapping[str, Any]


def text() -> str:
    """Return the file's text."""
    return (
        json.dumps(definition(json.loads(CONTRACT.read_text("utf-8"))), indent=2, ensure_ascii=False) + "\n"
    )


def definition(contract: Json) -> dict[str, Any]:
    """Return the connector's definition, given an OpenAPI document."""
    info, components = contract["info"], contract["components"]
    create = contract["paths"]["/api/alerts"]["post"]
    (dry_run,) = (each for each in create["parameters"] if each["name"] == "dryRun")
    alert = {
        "name": "body",
        "in": "body",
        "required": True,
        _SUMMARY: "Alert",
        "description": "The eight fields of the alert.",
        "schema": _plain(components, components["schemas"]["Alert"]),
    }
    creating = [alert, {**_parameter(dry_run), _VISIBILITY: "advanced"}]
    delivery = [_parameter(components["parameters"]["DeliveryId"])]
    metadata = {"Website": DOCUMENTATION, "Privacy policy": PRIVACY, "Categories": "Security;IT Operations"}
    return {
        "swagger": "2.0",
        "info": {
            **{name: info[name] for name in ("title", "description", "version")},
            "contact": {"name": info["title"], "url": DOCUMENTATION},
        },
        "host": HOST,
        "basePath": "/",
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": {
            "/api/alerts": {"post": _action(components, create, creating)},
            "/api/deliveries/{id}": {
                "get": _action(components, contract["paths"]["/api/deliveries/{id}"]["get"], delivery)
            },
        },
        "definitions": {},
        "parameters": {},
        "responses": {},
        "securityDefinitions": {"api_key": {"type": "apiKey", "in": "header", "name": "x-functions-key"}},
        "security": [{"api_key": []}],
        "tags": [],
        "x-ms-connector-metadata": [
            {"propertyName": name, "propertyValue": value} for name, value in metadata.items()
        ],
    }


def _action(components: Json, operation: Json, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    delivery, problem = (_plain(components, components["schemas"][name]) for name in ("Delivery", "Problem"))
    wrong = "A problem document (RFC 9457): what is wrong, and what to do about it."
    return {
        **{name: operation[name] for name in ("operationId", "summary", "description")},
        _VISIBILITY: "important",
        "parameters": parameters,
        "responses": {
            "200": {"description": operation["responses"]["200"]["description"], "schema": delivery},
            "202": {"description": components["responses"]["Waiting"]["description"], "schema": delivery},
            "default": {"description": wrong, "schema": problem},
        },
    }


def _parameter(parameter: Json) -> dict[str, Any]:
    schema = parameter["schema"]
    return {
        "name": parameter["name"],
        "in": parameter["in"],
        "required": parameter.get("required", False),
        _SUMMARY: schema["title"],
        "description": parameter["description"],
        **{name: schema[name] for name in ("type", "enum", "default") if name in schema},
    }


def _plain(components: Json, schema: Json, name: str = "") -> dict[str, Any]:
    """Return a schema in Swagger's words: without references, unions with null, and what closes an object."""
    schema = resolved(components, schema)
    plain: dict[str, Any] = {key: schema[key] for key in _KEPT if key in schema}
    if isinstance(plain["type"], list):
        plain["type"] = next(kind for kind in plain["type"] if kind != "null")
        plain["x-nullable"] = True
    if name and "title" in schema:
        plain[_SUMMARY] = schema["title"]
    if name in _IMPORTANT:
        plain[_VISIBILITY] = "important"
    if "properties" in schema:
        plain["properties"] = {
            member: _plain(components, inner, member) for member, inner in schema["properties"].items()
        }
    if "items" in schema:
        plain["items"] = _plain(components, schema["items"])
    return plain


def resolved(components: Json, schema: Json) -> dict[str, Any]:
    """Follow a reference, alone or as the one real alternative; what stands beside it wins."""
    own = dict(schema)
    references = [own, *own.pop("allOf", []), *own.pop("anyOf", [])]
    for reference in [each["$ref"] for each in references if "$ref" in each]:
        own = {**resolved(components, components["schemas"][reference.rpartition("/")[2]]), **own}
    own.pop("$ref", None)
    return own


if __name__ == "__main__":
    TARGET.write_text(text(), "utf-8")
