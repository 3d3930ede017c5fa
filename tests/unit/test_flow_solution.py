"""The solutions for Power Platform: what their manifests name is in them, and is what `integrations/` says."""

import json
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path
from typing import Any

import pytest

from dev import flow_solution

INTEGRATIONS = Path(__file__).parents[2] / "integrations"
SOLUTIONS = {"connector": flow_solution.connector(), "flow": flow_solution.flow()}
NAMED = {"connector": ("Connectors/Connector", "connectorid"), "flow": ("Workflows/Workflow", "WorkflowId")}


def _manifest(files: dict[str, str], name: str) -> ET.Element:
    return ET.fromstring(files[name])  # noqa: S314 - our own


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_a_solution_is_whole(solution: str) -> None:
    """Its root component is the one it carries, every file that it names is there, and every file has a type."""
    files = SOLUTIONS[solution]
    (root,) = _manifest(files, "solution.xml").iter("RootComponent")
    place, identity = NAMED[solution]
    (component,) = _manifest(files, "customizations.xml").findall(place)
    carried = component.findtext(identity) or component.attrib[identity]
    assert root.attrib["id"].strip("{}") == carried.strip("{}")
    paths = [part.text for part in component.iter() if part.text and part.text.endswith(".json")]
    assert sorted(f"/{name}" for name in files if name.endswith(".json")) == sorted(map(str, paths))
    types = _manifest(files, "[Content_Types].xml")
    assert {entry.attrib["Extension"] for entry in types} == {name.rpartition(".")[2] for name in files}


def test_the_connector_in_it_is_the_one_of_this_project() -> None:
    """Definition, connection parameters and policy are those of `integrations/power-platform`."""
    inside = {name: json.loads(text) for name, text in SOLUTIONS["connector"].items() if "_5F" in name}
    folder = INTEGRATIONS / "power-platform"
    properties = _json(folder / "apiProperties.json")["properties"]
    assert list(inside.values()) == [
        _json(folder / "apiDefinition.swagger.json"),
        properties["connectionParameters"],
        properties["policyTemplateInstances"],
    ]


def test_the_flow_is_bound_to_the_connector() -> None:
    """Reference, connector and prefix are the same names in flow, manifest and connector; and the flow is off."""
    (flow,) = (json.loads(text) for name, text in SOLUTIONS["flow"].items() if name.startswith("Workflows/"))
    assert flow == _json(INTEGRATIONS / "power-automate" / "raise-defender-alert.json")
    (used,) = flow["properties"]["connectionReferences"].values()
    customizations = _manifest(SOLUTIONS["flow"], "customizations.xml")
    (reference,) = customizations.iter("connectionreference")
    assert (
        used["connection"]["connectionReferenceLogicalName"]
        == reference.attrib["connectionreferencelogicalname"]
    )
    assert str(reference.findtext("connectorid")).endswith(f"/{used['api']['name']}")
    (connector,) = _manifest(SOLUTIONS["connector"], "customizations.xml").iter("Connector")
    assert reference.findtext("customconnectorid/connectorid") == connector.findtext("connectorid")
    name = str(connector.findtext("name"))
    assert used["api"] == {"name": f"shared_{name.lower().replace('_', '-')}", "logicalName": name}
    for files in SOLUTIONS.values():
        prefix = _manifest(files, "solution.xml").findtext("SolutionManifest/Publisher/CustomizationPrefix")
        assert reference.attrib["connectionreferencelogicalname"].startswith(f"{prefix}_")
    assert customizations.findtext("Workflows/Workflow/StateCode") == "0"


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    """Built twice, a solution is the same archive, which opens."""
    (tmp_path / "again").mkdir()
    for one, other in zip(
        flow_solution.build(tmp_path), flow_solution.build(tmp_path / "again"), strict=True
    ):
        assert one.read_bytes() == other.read_bytes()
        with zipfile.ZipFile(one) as archive:
            assert archive.testzip() is None
