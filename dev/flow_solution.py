"""Builds the solutions that Power Platform imports, in `dist/`: the custom connector, and the child flow.

    python -m dev.flow_solution

There are two, because an environment registers a custom connector before it can bind a flow's connection to it: import
`defender-alert-connector.zip` first, then `defender-alert-flow.zip`. Both are unmanaged, and the same bytes whenever
they are built of the same files: the JSON of `integrations/`, and the XML around it, in `dev/solutions/`.
"""

import argparse
import json
from pathlib import Path
from string import Template
from typing import Any
from xml.sax.saxutils import escape

from dev import package, setup

INTEGRATIONS = setup.ROOT / "integrations"
CONNECTOR = (
    "Connector/daw_5Fdefenderalertwebhook_{}.json"  # the underscore is written so, as the platform writes it
)
FLOW = "Workflows/RaiseDefenderAlert-B3B8A6D2-90E7-4C0E-8D43-61F2A9C5E704.json"


def main() -> None:
    """Build both solutions and say where they are."""
    parser = argparse.ArgumentParser(description="Build the solutions for Power Platform, into dist/.")
    parser.add_argument("--into", type=Path, default=setup.ROOT / "dist", metavar="FOLDER")
    into = parser.parse_args().into
    into.mkdir(parents=True, exist_ok=True)
    for path in build(into):
        print(path)
    print("Import the connector first, make a connection, then import the flow: integrations/power-automate")


def build(into: Path) -> list[Path]:
    """Write both solutions into a folder; return their paths in the order of their import."""
    solutions = {"connector": connector(), "flow": flow()}
    return [
        package.write(
            into / f"defender-alert-{kind}.zip", {name: text.encode() for name, text in files.items()}
        )
        for kind, files in solutions.items()
    ]


def connector() -> dict[str, str]:
    """Return the files of the connector's solution, by their names in it."""
    folder = INTEGRATIONS / "power-platform"
    definition = _read(folder / "apiDefinition.swagger.json")
    properties = _read(folder / "apiProperties.json")["properties"]
    files = {
        CONNECTOR.format("openapidefinition"): definition,
        CONNECTOR.format("connectionparameters"): properties["connectionParameters"],
        CONNECTOR.format("policytemplateinstances"): properties["policyTemplateInstances"],
    }
    return _solution("connector", files, color=properties["iconBrandColor"], **definition["info"])


def flow() -> dict[str, str]:
    """Return the files of the flow's solution, by their names in it. The flow is off until somebody turns it on."""
    return _solution("flow", {FLOW: _read(INTEGRATIONS / "power-automate" / "raise-defender-alert.json")})


def _read(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def _solution(kind: str, files: dict[str, Any], **values: Any) -> dict[str, str]:
    """Return the XML of a solution with values in the places that name them, and its files as JSON."""
    escaped = {name: escape(str(value)) for name, value in values.items()}
    manifests = sorted((setup.ROOT / "dev" / "solutions" / kind).glob("*.xml"))
    return {
        **{path.name: Template(path.read_text("utf-8")).substitute(escaped) for path in manifests},
        **{name: json.dumps(content, indent=2) + "\n" for name, content in files.items()},
    }


if __name__ == "__main__":
    main()
