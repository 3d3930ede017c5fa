"""Builds the solutions that Power Platform imports, in `dist/`: the custom connector, and the child flow.

    python -m dev.flow_solution

There are two, because an environment registers a custom connector before it can bind a flow's connection to it: import
`defender-alert-connector.zip` first, then `defender-alert-flow.zip`. Both are unmanaged, and the same bytes whenever
they are built of the same files of `integrations/`.
"""

import argparse
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from dev import setup

INTEGRATIONS = setup.ROOT / "integrations"
PREFIX = "daw"
CONNECTOR = f"{PREFIX}_5Fdefenderalertwebhook"  # the underscore is written so, as the platform writes it
CONNECTOR_ID = "6c1f7f4e-5d0b-4a58-9a3c-2f0f6d1c7b21"
REFERENCE = f"{PREFIX}_defenderalertwebhook"
FLOW = "Raise a Defender alert"
FLOW_ID = "b3b8a6d2-90e7-4c0e-8d43-61f2a9c5e704"
_NOTHING_OLDER = (1980, 1, 1, 0, 0, 0)  # the first moment a zip can name
_EMPTY = (
    "Entities", "Roles", "Workflows", "FieldSecurityProfiles", "Templates", "EntityMaps", "EntityRelationships",
    "OrganizationSettings", "optionsets", "CustomControls", "EntityDataProviders",
)  # fmt: skip
_XSI = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
_HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
_TYPES = (
    _HEAD + '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/octet-stream" />'
    '<Default Extension="json" ContentType="application/octet-stream" /></Types>\n'
)


def main() -> None:
    """Build both solutions and say where they are."""
    parser = argparse.ArgumentParser(
        description="Build the solutions that Power Platform imports, into dist/."
    )
    parser.add_argument("--into", type=Path, default=setup.ROOT / "dist", metavar="FOLDER")
    into = parser.parse_args().into
    into.mkdir(parents=True, exist_ok=True)
    for path in build(into):
        print(path)
    print(
        "Import the connector first, make a connection, then import the flow (integrations/power-automate)."
    )


def build(into: Path) -> list[Path]:
    """Write both solutions into a folder; return their paths in the order of their import."""
    return [
        _write(into / "defender-alert-connector.zip", connector()),
        _write(into / "defender-alert-flow.zip", flow()),
    ]


def connector() -> dict[str, str]:
    """Return the files of the connector's solution, by their names in it."""
    folder = INTEGRATIONS / "power-platform"
    definition = _read(folder / "apiDefinition.swagger.json")
    properties = _read(folder / "apiProperties.json")["properties"]
    files = {
        "openapidefinition": definition,
        "connectionparameters": properties["connectionParameters"],
        "policytemplateinstances": properties["policyTemplateInstances"],
    }
    named = {kind: f"Connector/{CONNECTOR}_{kind}.json" for kind in files}
    element = _element(
        "Connector",
        {
            "connectorid": CONNECTOR_ID,
            "description": definition["info"]["description"],
            "displayname": definition["info"]["title"],
            "iconbrandcolor": properties["iconBrandColor"],
            "name": CONNECTOR,
            "connectortype": "1",
            **{kind: f"/{name}" for kind, name in named.items()},
        },
    )
    root = f'<RootComponent type="372" id="{{{CONNECTOR_ID}}}" schemaName="{CONNECTOR}" behavior="0" />'
    return {
        "[Content_Types].xml": _TYPES,
        "solution.xml": _solution("DefenderAlertConnector", "Defender Alert Webhook: connector", root),
        "customizations.xml": _customizations(f"<Connectors>{element}</Connectors>"),
        **{name: json.dumps(files[kind], indent=2) + "\n" for kind, name in named.items()},
    }


def flow() -> dict[str, str]:
    """Return the files of the flow's solution, by their names in it. The flow is off until somebody turns it on."""
    name = f"Workflows/RaiseDefenderAlert-{FLOW_ID.upper()}.json"
    content = _read(INTEGRATIONS / "power-automate" / "raise-defender-alert.json")
    ((_, used),) = content["properties"]["connectionReferences"].items()
    settings = {
        "JsonFileName": f"/{name}", "Type": "1", "Subprocess": "0", "Category": "5", "Mode": "0", "Scope": "4",
        "OnDemand": "0", "TriggerOnCreate": "0", "TriggerOnDelete": "0", "AsyncAutodelete": "0",
        "SyncWorkflowLogOnFailure": "0", "StateCode": "0", "StatusCode": "1", "RunAs": "1", "IsTransacted": "1",
        "IntroducedVersion": "1.0.0.0", "IsCustomizable": "1", "BusinessProcessType": "0",
        "IsCustomProcessingStepAllowedForOtherPublishers": "1", "ModernFlowType": "0", "PrimaryEntity": "none",
    }  # fmt: skip
    workflow = _element("Workflow", settings, f' WorkflowId="{{{FLOW_ID}}}" Name="{FLOW}"')
    named = f'<LocalizedNames><LocalizedName languagecode="1033" description="{FLOW}" /></LocalizedNames>'
    workflow = workflow.replace("</Workflow>", f"{named}</Workflow>")
    reference = _element(
        "connectionreference",
        {
            "connectionreferencedisplayname": "Defender Alert Webhook",
            "connectorid": f"/providers/Microsoft.PowerApps/apis/{used['api']['name']}",
        },
        f' connectionreferencelogicalname="{REFERENCE}"',
    )
    bound = f"<customconnectorid><connectorid>{CONNECTOR_ID}</connectorid></customconnectorid>" + "".join(
        f"<{name}>{value}</{name}>"
        for name, value in (
            ("iscustomizable", 1),
            ("promptingbehavior", 0),
            ("statecode", 0),
            ("statuscode", 1),
        )
    )
    reference = reference.replace("</connectionreference>", f"{bound}</connectionreference>")
    root = f'<RootComponent type="29" id="{{{FLOW_ID}}}" behavior="0" />'
    inside = f"<connectionreferences>{reference}</connectionreferences>"
    return {
        "[Content_Types].xml": _TYPES,
        "solution.xml": _solution("DefenderAlertFlow", "Defender Alert Webhook: flow", root),
        "customizations.xml": _customizations(inside, workflow),
        name: json.dumps(content, indent=2) + "\n",
    }


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def _element(name: str, members: Mapping[str, str], attributes: str = "") -> str:
    inside = "".join(f"<{member}>{escape(value)}</{member}>" for member, value in members.items())
    return f"<{name}{attributes}>{inside}</{name}>"


def _solution(unique: str, title: str, root: str) -> str:
    names = f'<LocalizedNames><LocalizedName description="{title}" languagecode="1033" /></LocalizedNames>'
    publisher = (
        "<Publisher><UniqueName>defenderalertwebhook</UniqueName>"
        '<LocalizedNames><LocalizedName description="Defender Alert Webhook" languagecode="1033" /></LocalizedNames>'
        '<Descriptions /><EMailAddress xsi:nil="true" /><SupportingWebsiteUrl xsi:nil="true" />'
        f"<CustomizationPrefix>{PREFIX}</CustomizationPrefix>"
        "<CustomizationOptionValuePrefix>27340</CustomizationOptionValuePrefix><Addresses /></Publisher>"
    )
    return (
        f'{_HEAD}<ImportExportXml version="9.2.0.0" SolutionPackageVersion="9.2" languagecode="1033" {_XSI}>'
        f"<SolutionManifest><UniqueName>{unique}</UniqueName>{names}<Descriptions /><Version>1.0.0.0</Version>"
        f"<Managed>0</Managed>{publisher}<RootComponents>{root}</RootComponents><MissingDependencies />"
        "</SolutionManifest></ImportExportXml>\n"
    )


def _customizations(inside: str, workflow: str = "") -> str:
    empty = "".join(f"<{name}>{workflow if name == 'Workflows' else ''}</{name}>" for name in _EMPTY)
    languages = "<Languages><Language>1033</Language></Languages>"
    return f"{_HEAD}<ImportExportXml {_XSI}>{empty}{inside}{languages}</ImportExportXml>\n"


def _write(path: Path, files: Mapping[str, str]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, _NOTHING_OLDER)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return path


if __name__ == "__main__":
    main()
