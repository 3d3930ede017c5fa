"""The Power Platform connector keeps the rules for custom connectors, and says what the contract says.

The rules are those of Microsoft's connector documentation ("Coding standards for connectors" and the schemas and
templates of the PowerPlatformConnectors repository).
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV2SpecValidator

from tests.checks import connector
from tests.checks.contract import Contract

FOLDER = Path(__file__).parents[2] / "integrations" / "power-platform"
CONTRACT = Contract.read()
SWAGGER: dict[str, Any] = json.loads((FOLDER / "apiDefinition.swagger.json").read_text("utf-8"))
PROPERTIES: dict[str, Any] = json.loads((FOLDER / "apiProperties.json").read_text("utf-8"))["properties"]
README = (FOLDER / "readme.md").read_text("utf-8")
ROOT_KEYS = {
    "swagger", "info", "host", "basePath", "schemes", "consumes", "produces", "paths", "definitions",
    "parameters", "responses", "security", "securityDefinitions", "tags", "externalDocs",
}  # fmt: skip
CATEGORIES = {
    "AI", "Business Management", "Business Intelligence", "Collaboration", "Commerce", "Communication",
    "Content and Files", "Finance", "Data", "Human Resources", "Internet of Things", "IT Operations",
    "Lifestyle and Entertainment", "Marketing", "Productivity", "Sales and CRM", "Security", "Social Media", "Website",
}  # fmt: skip
ACTIONS = [
    (method, path, action) for path, item in SWAGGER["paths"].items() for method, action in item.items()
]
SAME_FIELDS = {
    "body": "#/components/schemas/Alert",
    "response": "#/components/schemas/Delivery",
    "problem": "#/components/schemas/Problem",
}


def members(schema: dict[str, Any], path: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield every member of a schema, at every depth: path, name, schema."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}.{name}", name, inner
        yield from members(inner, f"{path}.{name}")
    if "items" in schema:
        yield from members(schema["items"], f"{path}[]")


def labelled() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every parameter and every member of bodies and answers."""
    for _, path, action in ACTIONS:
        for parameter in action["parameters"]:
            yield f"{path} {parameter['name']}", parameter
            for where, _, member in members(parameter.get("schema", {}), f"{path} body"):
                yield where, member
        for status, response in action["responses"].items():
            for where, _, member in members(response["schema"], f"{path} {status}"):
                yield where, member


def test_it_is_made_from_the_contract() -> None:
    """The file is what the generator writes: after a change of the contract, run `python -m tests.checks.connector`."""
    assert (FOLDER / "apiDefinition.swagger.json").read_text("utf-8") == connector.text()


def test_it_is_valid_swagger_with_known_keys() -> None:
    """Swagger 2.0 by its schema, and nothing at the root that Power Platform refuses."""
    assert list(OpenAPIV2SpecValidator(SWAGGER).iter_errors()) == []
    assert {key for key in SWAGGER if not key.startswith("x-")} <= ROOT_KEYS
    assert SWAGGER["schemes"] == ["https"]


def test_its_operations_are_a_part_of_the_contract() -> None:
    """Every action is an operation of the contract: path, method, id and words; every answer of it is known there."""
    for method, path, action in ACTIONS:
        operation = CONTRACT.definition["paths"][path][method]
        assert {name: action[name] for name in ("operationId", "summary", "description")} == {
            name: operation[name] for name in ("operationId", "summary", "description")
        }
        assert set(action["responses"]) - {"default"} == {
            status for status in operation["responses"] if status.startswith("2")
        }
    assert {action["operationId"] for _, _, action in ACTIONS} == {"CreateAlert", "GetDelivery"}


def test_its_members_are_those_of_the_contract() -> None:
    """The same members with the same types and words in body, answer and problem, at every depth."""

    def expected(schema: Any, where: str) -> Iterator[tuple[str, Any, Any]]:
        definition = connector.resolved(CONTRACT.definition["components"], schema)
        kinds = definition["type"] if isinstance(definition["type"], list) else [definition["type"]]
        yield where, next(kind for kind in kinds if kind != "null"), definition.get("enum")
        for name, inner in definition.get("properties", {}).items():
            yield from expected(inner, f"{where}.{name}")
        if "items" in definition:
            yield from expected(definition["items"], f"{where}[]")

    def actual(schema: dict[str, Any], where: str) -> Iterator[tuple[str, Any, Any]]:
        yield where, schema["type"], schema.get("enum")
        for name, inner in schema.get("properties", {}).items():
            yield from actual(inner, f"{where}.{name}")
        if "items" in schema:
            yield from actual(schema["items"], f"{where}[]")

    post = SWAGGER["paths"]["/api/alerts"]["post"]
    definitions = {
        "body": post["parameters"][0]["schema"],
        "response": post["responses"]["200"]["schema"],
        "problem": post["responses"]["default"]["schema"],
    }
    for name, reference in SAME_FIELDS.items():
        here = list(actual(definitions[name], name))
        assert here == list(expected({"$ref": reference}, name))
        assert len(here) > 4


def test_title_and_description() -> None:
    """A title without the words API and Connector, up to 30 characters; a description of 30 to 500, another text."""
    info = SWAGGER["info"]
    assert not re.search(r"\b(api|connector)\b", info["title"], re.IGNORECASE)
    assert len(info["title"]) <= 30
    assert 30 <= len(info["description"]) <= 500
    assert info["description"] != info["title"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", info["version"])


def test_metadata() -> None:
    """Website, privacy policy and known categories, each once."""
    metadata = {entry["propertyName"]: entry["propertyValue"] for entry in SWAGGER["x-ms-connector-metadata"]}
    assert list(metadata) == ["Website", "Privacy policy", "Categories"]
    assert metadata["Website"].startswith("https://")
    assert metadata["Privacy policy"].startswith("https://")
    assert set(metadata["Categories"].split(";")) <= CATEGORIES


def test_operations() -> None:
    """Ids in Pascal case, unique; summaries in sentence case without a stop; descriptions that end with one."""
    ids = [action["operationId"] for _, _, action in ACTIONS]
    assert len(ids) == len(set(ids))
    for _, _, action in ACTIONS:
        assert re.fullmatch(r"([A-Z][a-z]+)+", action["operationId"])
        assert re.fullmatch(r"[A-Z][a-z' ]+", action["summary"])
        assert len(action["summary"]) <= 80
        assert action["description"].endswith(".")
        assert action["description"] != action["summary"]


def test_every_answer_has_a_schema() -> None:
    """A success and a default answer for every action, each with a description and the members it shows."""
    for _, _, action in ACTIONS:
        assert {"200", "default"} <= set(action["responses"])
        for response in action["responses"].values():
            assert response["description"]
            assert response["schema"]["properties"]


def test_every_label_is_in_title_case_with_a_description() -> None:
    """What the designer shows of a parameter or a member reads well, and is explained."""
    labels = list(labelled())
    assert len(labels) > 40
    for where, label in labels:
        assert re.fullmatch(r"[A-Z][a-z]*( [A-Z][a-z]*)*", label["x-ms-summary"]), where
        assert label["description"].rstrip().endswith((".", "…")), where
        assert label["description"] != label["x-ms-summary"], where


def test_visibility() -> None:
    """Only the three known words; what is internal and required would need a default."""
    for where, label in [*labelled(), *((path, action) for _, path, action in ACTIONS)]:
        assert label.get("x-ms-visibility", "important") in {"important", "advanced", "internal"}, where
        if label.get("x-ms-visibility") == "internal" and label.get("required") is True:
            assert "default" in label, where


def test_no_digit_is_lost_in_the_designer() -> None:
    """No member is a number or a moment to Power Automate that Defender looks an event up by."""
    body = SWAGGER["paths"]["/api/alerts"]["post"]["parameters"][0]["schema"]["properties"]
    assert {field["type"] for field in body.values()} == {"string"}
    assert all("format" not in label for _, label in labelled())


def test_the_key_is_a_secret_of_the_connection() -> None:
    """One key in a header, kept as a secure string; what the definition names is what the connection asks for."""
    assert SWAGGER["securityDefinitions"] == {
        "api_key": {"type": "apiKey", "in": "header", "name": "x-functions-key"}
    }
    assert SWAGGER["security"] == [{"api_key": []}]
    parameters = PROPERTIES["connectionParameters"]
    assert parameters["api_key"]["type"] == "securestring"
    assert parameters["api_key"]["uiDefinition"]["constraints"]["clearText"] is False
    for parameter in parameters.values():
        shown = parameter["uiDefinition"]
        assert all(shown[name] for name in ("displayName", "description", "tooltip"))
        assert shown["constraints"]["required"] == "true"


def test_the_host_is_the_connections() -> None:
    """The policy puts the host of the connection in place, and each parameter it names exists."""
    (policy,) = PROPERTIES["policyTemplateInstances"]
    assert policy["templateId"] == "dynamichosturl"
    template = policy["parameters"]["x-ms-apimTemplateParameter.urlTemplate"]
    names = re.findall(r"@connectionParameters\('(\w+)'\)", template)
    assert names == ["host"]
    assert set(names) <= set(PROPERTIES["connectionParameters"])
    assert template.startswith("https://")
    # The policy replaces host and base path: the paths must be whole without it.
    assert SWAGGER["basePath"] == "/"


def test_brand() -> None:
    """The brand colour of independent connectors, and what the connector can do."""
    assert PROPERTIES["iconBrandColor"] == "#da3b01"
    assert PROPERTIES["capabilities"] == ["actions"]


@pytest.mark.parametrize(
    "heading",
    [
        "## Publisher: ",
        "## Prerequisites",
        "## Supported Operations",
        "## Obtaining Credentials",
        "## Known Issues and Limitations",
        "## Deployment Instructions",
    ],
)
def test_the_readme_has_what_is_required(heading: str) -> None:
    """The headings of the template, and a paragraph for every operation."""
    assert f"\n{heading}" in README
    assert README.startswith(f"# {SWAGGER['info']['title']}\n")
    for _, _, action in ACTIONS:
        assert f"\n### {action['summary']}\n" in README
