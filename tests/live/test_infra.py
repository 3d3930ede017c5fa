"""The infrastructure under the tools that judge it: Microsoft's KQL parser on Node, and checkov."""

import hashlib
import json
import os
import re
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev import setup
from tests.checks import arm, kql

INFRA = setup.ROOT / "infra"
DOCUMENT = json.loads((INFRA / "azuredeploy.json").read_text("utf-8"))
EXCEPTIONS = INFRA / ".checkov.yaml"
CHECKOV = setup.TOOLS / "checkov"
CHECKOV_NEEDS = "checkov==3.3.30"
WRONG = {
    "syntax": "traces | wher message == ''",
    "table": "trace | take 1",
    "column": "traces | where mesage == ''",
    "type": "traces | where message + 1 > 2",
    "function": "traces | extend line = parse_jason(message)",
}
GOOD = "traces | extend l = parse_json( message ) | where l.step in ('a', 'b') or l.x == 'c' | project l.y.z"


def deployed(**given: Any) -> list[dict[str, Any]]:
    """Return the resources that a deployment makes, as a template of its own would hold them."""
    resources = arm.Template(DOCUMENT, given).resources()
    return [
        {name: value for name, value in each.items() if name not in ("id", "condition")} for each in resources
    ]


def queries() -> dict[str, str]:
    """Return every query of the alert rules and of the workbook, by where it stands."""
    by_name = {}
    for each in deployed(findEvents="true"):
        if each["type"] == "Microsoft.Insights/scheduledQueryRules":
            (condition,) = each["properties"]["criteria"]["allOf"]
            by_name[each["name"]] = condition["query"]
        if each["type"] == "Microsoft.Insights/workbooks":
            items = json.loads(each["properties"]["serializedData"])["items"]
            by_name |= {item["name"]: item["content"]["query"] for item in items if item["type"] == 3}
    return by_name


@pytest.fixture(scope="module")
def checkov() -> Path:
    """Install checkov into an environment of its own, because it pins what others need newer; kept in .tools.

    It is 200 MB and takes about a minute, once a machine.
    """
    stamp, wanted = CHECKOV / "ready", f"{CHECKOV_NEEDS} on {sys.version}"
    if not stamp.is_file() or stamp.read_text() != wanted:
        # With this environment's pip: not every Python has ensurepip.
        venv.create(CHECKOV, clear=True)
        pip = [sys.executable, "-m", "pip", "--python", str(CHECKOV / "bin" / "python"), "install"]
        quiet = ["--no-compile", "--quiet", "--disable-pip-version-check", "--no-input"]
        subprocess.run([*pip, *quiet, CHECKOV_NEEDS], check=True)  # noqa: S603 - our own Python
        stamp.write_text(wanted)
    return CHECKOV / "bin" / "checkov"


@pytest.fixture(scope="module")
def checked() -> dict[str, kql.Checked]:
    """Read our queries and some that are wrong, all at once: the parser takes seconds to start."""
    asked = {**queries(), **WRONG, "good": GOOD}
    return dict(zip(asked, kql.check(list(asked.values())), strict=True))


@pytest.mark.parametrize("mistake", WRONG)
def test_the_parser_of_kql_finds_mistakes(checked: dict[str, kql.Checked], mistake: str) -> None:
    """The parser reads: it tells what is wrong with the syntax, a table, a column, a type, a function."""
    assert checked[mistake].errors


def test_what_a_query_names_of_a_log_line_is_found(checked: dict[str, kql.Checked]) -> None:
    """Members of `parse_json(message)`, under whatever name, and the steps they are compared with."""
    assert checked["good"] == kql.Checked((), frozenset({"step", "x", "y"}), frozenset({"a", "b"}))


def test_the_fields_of_the_log_are_those_of_the_code() -> None:
    """What the journal writes of an alert and of an answer is known by step, and what a call adds is too."""
    fields = kql.log_fields()
    assert {"accepted", "taken", "answered", "settled", "refused", "tick"} <= set(fields)
    assert {"step", "alert", "source", "severity", "state", "status", "milliseconds"} <= fields["answered"]
    assert "milliseconds" not in fields["settled"]
    assert {"oldestSeconds", "waiting", "paused"} <= fields["tick"]
    assert {"error", "detail"} <= fields["dispatch stopped"]


def test_every_query_reads_what_the_app_logs(checked: dict[str, kql.Checked]) -> None:
    """Rules and workbook: no error, steps that are logged, and fields that lines of these steps have."""
    logged, ours = kql.log_fields(), {name: checked[name] for name in queries()}
    assert len(ours) == 19
    for name, query in ours.items():
        assert query.errors == (), name
        assert query.fields & {"step", "error"}, name
        assert query.steps <= set(logged), name
        known = frozenset[str]().union(*(logged[step] for step in query.steps or logged))
        problem = {"error", "detail"} if "error" in query.fields else set()  # of any step
        assert query.fields <= known | problem, name


def test_checkov_finds_nothing_but_what_is_explained(checkov: Path, tmp_path: Path) -> None:
    """Each exception has a reason above it and is still needed; nothing else is found, nothing is unread.

    In a private network fewer exceptions are needed.
    """
    given = {
        "alertEmail": "soc@contoso.example",
        "findEvents": "true",
        "packageUri": "https://soc.example/package.zip",
    }
    reported = findings(checkov, tmp_path, deployed(**given))
    text = EXCEPTIONS.read_text("utf-8")
    assert reported == set(yaml.safe_load(text)["skip-check"])
    private = findings(checkov, tmp_path, deployed(**given, network="private"))
    assert private == reported - {"CKV_AZURE_59", "CKV_AZURE_222"}
    groups = re.findall(r"((?:^  #.*\n)*)((?:^  - \w+\n)+)", text, re.MULTILINE)
    assert sum(ids.count("- ") for _, ids in groups) == len(reported)
    assert all(len(reason) > 60 for reason, _ in groups)


def findings(checkov: Path, folder: Path, resources: list[dict[str, Any]]) -> set[str]:
    """Return the ids of what checkov finds in a template and in main.bicep, both written into a folder.

    It takes half a minute, so it is asked once a change.
    """
    template = {name: DOCUMENT[name] for name in ("$schema", "contentVersion")} | {"resources": resources}
    (folder / "azuredeploy.json").write_text(json.dumps(template))
    (folder / "main.bicep").write_bytes((INFRA / "main.bicep").read_bytes())
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.iterdir()))).hexdigest()
    stored = CHECKOV / f"found-{digest}.json"
    if not stored.is_file():
        how = ["--skip-download", "--quiet", "--compact", "--soft-fail", "--output", "json"]
        completed = subprocess.run(  # noqa: S603 - installed above
            [checkov, "--framework", "arm", "bicep", "--directory", folder, *how],
            env={**os.environ, "LOG_LEVEL": "ERROR"},
            capture_output=True,
            check=True,
        )
        stored.write_bytes(completed.stdout)
    reports = json.loads(stored.read_bytes())
    reports = reports if isinstance(reports, list) else [reports]
    summaries = [each["summary"] for each in reports]
    assert sum(each["resource_count"] for each in summaries) >= len(resources)
    assert not sum(each["parsing_errors"] for each in summaries)
    return {check["check_id"] for each in reports for check in each["results"]["failed_checks"]}
