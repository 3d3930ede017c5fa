"""The analytics rule for Sentinel: its alerts name their event, and its two forms are one rule."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.samples import event
from shared.mapping import mappings as mapping
from tests.checks import arm, kql
from tests.unit.test_playbooks import incident, packed

FOLDER = Path(__file__).parents[2] / "integrations" / "sentinel" / "analytics-rule"
RULE: dict[str, Any] = yaml.safe_load((FOLDER / "office-child-process.yaml").read_text("utf-8"))
TEMPLATE = json.loads((FOLDER / "azuredeploy.json").read_text("utf-8"))
(RESOURCE,) = arm.Template(TEMPLATE, {"WorkspaceName": "soc"}).resources()
DETAIL = "| extend DefenderEvent = strcat(DeviceId, '|', tostring(ReportId), '|', tostring(Timestamp))"


def _iso(span: str) -> str:
    """Return a span of YAML rules, such as 15m, as ARM writes it."""
    return f"PT{span.upper()}"


def test_the_template_and_the_yaml_are_one_rule() -> None:
    """Whichever is imported, the same query runs at the same times and gives the same alerts."""
    properties = RESOURCE["properties"]
    assert RESOURCE["id"].endswith(f"/{RULE['id']}")
    assert RESOURCE["kind"] == RULE["kind"] == "Scheduled"
    assert properties["displayName"] == RULE["name"]
    assert properties["techniques"] == RULE["relevantTechniques"]
    assert {"gt": "GreaterThan"}[RULE["triggerOperator"]] == properties["triggerOperator"]
    for name in ("queryFrequency", "queryPeriod"):
        assert properties[name] == _iso(RULE[name])
    same = (
        "description", "severity", "query", "triggerThreshold", "tactics", "entityMappings", "customDetails",
        "eventGroupingSettings",
    )  # fmt: skip
    assert {name: properties[name] for name in same} == {name: RULE[name] for name in same}


def test_the_query_is_sound_and_leaves_every_column_that_the_rule_names() -> None:
    """Microsoft's language service finds nothing wrong; the detail and the entities are columns at the end."""
    (checked,) = kql.check([RULE["query"]])
    assert checked.errors == ()
    assert DETAIL in RULE["query"]
    (last,) = re.findall(r"^\| project (.*)$", RULE["query"], re.MULTILINE)
    columns = set(last.split(", "))
    entities = {field["columnName"] for entity in RULE["entityMappings"] for field in entity["fieldMappings"]}
    assert {*entities, *RULE["customDetails"].values()} <= columns


def test_an_alert_of_the_rule_is_an_alert_in_defender() -> None:
    """What the query packs into the detail arrives as the three keys."""
    hit = event(1)
    assert RULE["customDetails"] == {"DefenderEvent": "DefenderEvent"}
    outcome = mapping.load().apply([incident(hit)], source="sentinel", defaults={}, max_alerts=100)
    (body,) = (alert.alert.body() for alert in outcome.alerts)
    assert [body[name] for name in ("machineId", "reportId", "eventTime")] == packed(hit).split("|")


@pytest.mark.parametrize("tactic", RULE["tactics"])
def test_a_tactic_is_one_that_sentinel_knows(tactic: str) -> None:
    """Sentinel refuses a rule with another word."""
    assert tactic in {
        "Reconnaissance", "ResourceDevelopment", "InitialAccess", "Execution", "Persistence", "PrivilegeEscalation",
        "DefenseEvasion", "CredentialAccess", "Discovery", "LateralMovement", "Collection", "CommandAndControl",
        "Exfiltration", "Impact", "ImpairProcessControl", "InhibitResponseFunction", "PreAttack",
    }  # fmt: skip
