"""The Power Platform connector's definition, made from the contract: Swagger 2.0, what custom connectors take.

    python -m dev.connector

writes `integrations/power-platform/apiDefinition.swagger.json` from `shared/openapi.json`. Two operations of it,
the senders' own, with everything inlined: Swagger 2.0 ignores what stands beside a `$ref`, and the designer shows
what stands there. Patterns and formats are left out: the designer reads a `date-time` as a moment and writes it
anew, with fewer digits than Defender looks the event up by.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.checks.contract import Contract

TARGET = Path(__file__).parents[1] / "integrations" / "power-platform" / "apiDefinition.swagger.json"
DOCUMENTATION = "https://learn.microsoft.com/defender-endpoint/api/create-alert-by-reference"
PRIVACY = "https://www.microsoft.com/privacy/privacystatement"
HOST = "your-function-app.azurewebsites.net"
_SUMMARY = "x-ms-summary"
_VISIBILITY = "x-ms-visibility"
_IMPORTANT = ("status", "portalUrl", "detail")
_KEPT = ("type", "description", "enum", "required", "default")


def definition(contract: Contract) -> dict[str, Any]:
    """Return the connector's definition."""
    info = contract.definition["info"]
    return {
        "swagger": "2.0",
        "info": {
            "title": info["title"],
            "description": info["description"],
            "version": info["version"],
            "contact": {"name": info["title"], "url": DOCUMENTATION},
        },
        "host": HOST,
        "basePath": "/",
        "schemes": ["https"],
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "paths": {
            "/api/alerts": {"post": _create_alert(contract)},
            "/api/deliveries/{id}": {"get": _get_delivery(contract)},
        },
        "definitions": {},
        "parameters": {},
        "responses": {},
        "securityDefinitions": {"api_key": {"type": "apiKey", "in": "header", "name": "x-functions-key"}},
        "security": [{"api_key": []}],
        "tags": [],
        "x-ms-connector-metadata": [
            {"propertyName": "Website", "propertyValue": DOCUMENTATION},
            {"propertyName": "Privacy policy", "propertyValue": PRIVACY},
            {"propertyName": "Categories", "propertyValue": "Security;IT Operations"},
        ],
    }


def text(contract: Contract) -> str:
    """Return the file's text."""
    return json.dumps(definition(contract), indent=2, ensure_ascii=False) + "\n"


def _create_alert(contract: Contract) -> dict[str, Any]:
    (dry_run,) = (one for one in _operation(contract, "CreateAlert")["parameters"] if one["name"] == "dryRun")
    body = {
        "name": "body",
        "in": "body",
        "required": True,
        _SUMMARY: "Alert",
        "description": "The eight fields of the alert.",
        "schema": _plain(contract, {"$ref": "#/components/schemas/Alert"}),
    }
    return _action(contract, "CreateAlert", [body, {**_parameter(dry_run), _VISIBILITY: "advanced"}])


def _get_delivery(contract: Contract) -> dict[str, Any]:
    return _action(
        contract, "GetDelivery", [_parameter(contract.definition["components"]["parameters"]["DeliveryId"])]
    )


def _action(contract: Contract, name: str, parameters: list[dict[str, Any]]) -> dict[str, Any]:
    operation = _operation(contract, name)
    delivery = _plain(contract, {"$ref": "#/components/schemas/Delivery"})
    return {
        "operationId": name,
        "summary": operation["summary"],
        "description": operation["description"],
        _VISIBILITY: "important",
        "parameters": parameters,
        "responses": {
            "200": {"description": operation["responses"]["200"]["description"], "schema": delivery},
            "202": {
                "description": contract.definition["components"]["responses"]["Waiting"]["description"],
                "schema": delivery,
            },
            "default": {
                "description": "A problem document (RFC 9457): what is wrong, and what to do about it.",
                "schema": _plain(contract, {"$ref": "#/components/schemas/Problem"}),
            },
        },
    }


def _operation(contract: Contract, name: str) -> dict[str, Any]:
    (found,) = (one for _, _, one in contract.operations() if one["operationId"] == name)
    return found


def _parameter(parameter: Mapping[str, Any]) -> dict[str, Any]:
    schema = parameter["schema"]
    return {
        "name": parameter["name"],
        "in": parameter["in"],
        "required": parameter.get("required", False),
        _SUMMARY: schema["title"],
        "description": parameter["description"],
        **{name: schema[name] for name in ("type", "enum", "default") if name in schema},
    }


def _plain(contract: Contract, schema: Mapping[str, Any], name: str = "") -> dict[str, Any]:
    """Return a schema in Swagger's words: without references, unions with null, and what closes an object."""
    schema = _resolved(contract, schema)
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
            member: _plain(contract, inner, member) for member, inner in schema["properties"].items()
        }
    if "items" in schema:
        plain["items"] = _plain(contract, schema["items"])
    return plain


def _resolved(contract: Contract, schema: Mapping[str, Any]) -> dict[str, Any]:
    """Follow a reference, alone or as the one real alternative; what stands beside it wins."""
    found = dict(schema)
    inside = [*found.pop("allOf", []), *(one for one in found.pop("anyOf", []) if one != {"type": "null"})]
    if "$ref" in found:
        inside.append({"$ref": found.pop("$ref")})
    for one in inside:
        referred = contract.definition["components"]["schemas"][one["$ref"].rpartition("/")[2]]
        found = {**_resolved(contract, referred), **found}
    return found


if __name__ == "__main__":
    TARGET.write_text(text(Contract.read()), "utf-8")
