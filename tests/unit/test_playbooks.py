"""The workflows under `integrations/`: they keep their platforms' rules, and do what they say.

Each workflow is run by `tests/checks/workflow.py` with a sample of its trigger. What it posts goes to the real
webhook in a virtual world, and what it tells is what the webhook answered.
"""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dev.samples import Event, eight_fields, event, hunting_reply, splunk_plain
from shared.ledger import keys, rows
from shared.settings import Settings
from shared.web.reply import Reply
from shared.webhook import receive
from tests.checks import arm
from tests.checks.contract import Contract
from tests.checks.expressions import Call
from tests.checks.virtual import ORIGIN, Defender, Host, World, answer_with
from tests.checks.workflow import Answer, Run, Workflow

INTEGRATIONS = Path(__file__).parents[2] / "integrations"
CONTRACT = Contract.read()
PLAYBOOKS = sorted(INTEGRATIONS.glob("sentinel/*-trigger/azuredeploy.json"))
TEMPLATES = PLAYBOOKS + sorted(INTEGRATIONS.glob("logic-apps/*/azuredeploy.json"))
HUNTING = INTEGRATIONS / "logic-apps" / "hunting" / "azuredeploy.json"
FLOW = INTEGRATIONS / "power-automate" / "raise-defender-alert.json"
WORKFLOWS = [*TEMPLATES, FLOW]
ENTITIES = {
    "account", "host", "ip", "url", "azureresource", "cloudapplication", "dnsresolution", "file", "filehash",
    "hostlogonsession", "iotdevice", "malware", "networkconnection", "process", "registrykey", "registryvalue",
    "securitygroup", "mailbox", "mailcluster", "mailmessage", "submissionmail",
}  # fmt: skip
"""What the Azure-Sentinel repository lets a playbook name as entities."""
ARM_FUNCTIONS = {
    "concat", "empty", "guid", "if", "listKeys", "not", "parameters", "reference", "resourceGroup", "resourceId",
    "subscriptionResourceId", "variables",
}  # fmt: skip
WINDOW = {"windowStartTime": "2026-03-04T05:00:00Z", "windowEndTime": "2026-03-04T05:15:00Z"}
"""The outputs of a trigger that is a sliding window."""
WEBHOOK = "https://app.example/api/alerts"
KEY = "the-key"
INCIDENT_ID = (
    "/subscriptions/5f3c1a52-0d5f-4c0c-9a5e-7a6f0f5b8a11/resourceGroups/soc/providers"
    "/Microsoft.OperationalInsights/workspaces/soc/providers/Microsoft.SecurityInsights/Incidents/9a905d98"
)


def name(path: Path) -> str:
    """Return the folder of a workflow, for the names of tests."""
    return path.parent.name


def template(path: Path) -> dict[str, Any]:
    """Return a template."""
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return content


def resources(path: Path, kind: str) -> list[dict[str, Any]]:
    """Return the resources of a type in a template."""
    return [resource for resource in template(path)["resources"] if resource["type"] == kind]


def definition(path: Path) -> dict[str, Any]:
    """Return the one workflow definition in a file."""
    if path == FLOW:
        content: dict[str, Any] = template(path)["properties"]["definition"]
        return content
    (workflow,) = resources(path, "Microsoft.Logic/workflows")
    inside: dict[str, Any] = workflow["properties"]["definition"]
    return inside


def actions(scope: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return all actions, also those inside of others, by their names."""
    nested = dict(scope)
    for action in scope.values():
        nested |= actions(action.get("actions", {})) | actions(action.get("else", {}).get("actions", {}))
    return nested


# The rules of the Azure-Sentinel repository, and of templates


@pytest.mark.parametrize("path", PLAYBOOKS, ids=name)
def test_a_playbook_keeps_the_rules_of_the_repository(path: Path) -> None:
    """PlaybookName; one workflow of that name in the group's location; connections named by variables that exist."""
    document = template(path)
    assert document["parameters"]["PlaybookName"]["defaultValue"]
    (workflow,) = resources(path, "Microsoft.Logic/workflows")
    assert workflow["name"] == "[parameters('PlaybookName')]"
    assert workflow["location"] == "[resourceGroup().location]"
    connections = resources(path, "Microsoft.Web/connections")
    assert connections
    for connection in connections:
        (variable,) = re.findall(r"^\[variables\('(\w+)'\)\]$", connection["name"])
        assert document["variables"][variable]


@pytest.mark.parametrize("path", PLAYBOOKS, ids=name)
def test_a_playbook_has_its_metadata(path: Path) -> None:
    """Title, description, a date, support, author, entities of the list; prerequisites, tags and gallery tags."""
    metadata = template(path)["metadata"]
    for needed in ("title", "description", "lastUpdateTime", "prerequisites", "postDeployment", "tags"):
        assert metadata[needed], needed
    datetime.fromisoformat(metadata["lastUpdateTime"])
    assert metadata["support"]["tier"].strip()
    assert metadata["author"]["name"].strip()
    assert {entity.lower() for entity in metadata["entities"]} <= ENTITIES
    (workflow,) = resources(path, "Microsoft.Logic/workflows")
    assert workflow["tags"]["hidden-SentinelTemplateName"]
    assert re.fullmatch(r"\d+\.\d+", workflow["tags"]["hidden-SentinelTemplateVersion"])


@pytest.mark.parametrize("path", PLAYBOOKS, ids=name)
def test_a_playbook_speaks_to_sentinel_by_its_identity(path: Path) -> None:
    """The connection is made for a managed identity, the workflow has one and uses it."""
    (connection,) = resources(path, "Microsoft.Web/connections")
    assert connection["properties"]["parameterValueType"] == "Alternative"
    assert connection["properties"]["api"]["id"].endswith("'azuresentinel')]")
    (workflow,) = resources(path, "Microsoft.Logic/workflows")
    for used in workflow["properties"]["parameters"]["$connections"]["value"].values():
        assert used["connectionProperties"] == {"authentication": {"type": "ManagedServiceIdentity"}}
    assert workflow["dependsOn"] == [
        "[resourceId('Microsoft.Web/connections', variables('SentinelConnectionName'))]"
    ]


@pytest.mark.parametrize("path", PLAYBOOKS, ids=name)
def test_a_playbook_listens_where_sentinel_calls(path: Path) -> None:
    """The trigger subscribes over the connection, at the connector's path for incidents or for alerts."""
    (trigger,) = definition(path)["triggers"].values()
    assert trigger["type"] == "ApiConnectionWebhook"
    assert trigger["inputs"] == {
        "body": {"callback_url": "@{listCallbackUrl()}"},
        "host": {"connection": {"name": "@parameters('$connections')['azuresentinel']['connectionId']"}},
        "path": {"incident-trigger": "/incident-creation", "alert-trigger": "/subscribe"}[path.parent.name],
    }


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_a_template_is_whole(path: Path) -> None:
    """Every expression can be read, every function is one of ARM's; what is declared is used, what is used declared."""
    for document in _with_nested(template(path)):
        assert document["$schema"].endswith("/2019-04-01/deploymentTemplate.json#")
        own = {**document, "resources": [_without_template(each) for each in document["resources"]]}
        used_functions = {node.name for node in arm.nodes(own) if isinstance(node, Call)}
        assert used_functions <= ARM_FUNCTIONS
        for kind in ("parameters", "variables"):
            used = {str(arguments[0]) for arguments in arm.calls(own, kind)}
            assert used == set(document.get(kind, {}))
        for declared in document["parameters"].values():
            assert declared["metadata"]["description"].endswith(".")
            assert declared.get("defaultValue", "-") in declared.get(
                "allowedValues", [declared.get("defaultValue", "-")]
            )


def _without_template(resource: dict[str, Any]) -> dict[str, Any]:
    """Return a resource; a nested deployment without its template, whose names are its own."""
    properties = {name: value for name, value in resource["properties"].items() if name != "template"}
    return {**resource, "properties": properties}


def _with_nested(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a template and those of its nested deployments."""
    nested = (each for each in document["resources"] if each["type"].endswith("/deployments"))
    return [document, *(each["properties"]["template"] for each in nested)]


@pytest.mark.parametrize("path", PLAYBOOKS, ids=name)
def test_a_playbook_gets_its_role_where_sentinels_group_is_named(path: Path) -> None:
    """Without the parameter no role is assigned, so that anybody can deploy; with it, the one that it needs."""
    given = {"FunctionAppName": "app"}
    types = [resource["type"] for resource in arm.Template(template(path), given).resources()]
    assert sorted(types) == ["Microsoft.Logic/workflows", "Microsoft.Web/connections"]
    resources_of = arm.Template(template(path), {**given, "SentinelResourceGroup": "soc"}).resources()
    (nested,) = (each for each in resources_of if each["type"] == "Microsoft.Resources/deployments")
    assert nested["resourceGroup"] == "soc"
    properties = nested["properties"]
    assert properties["expressionEvaluationOptions"] == {"scope": "Inner"}
    assert "identity.principalId" in properties["parameters"]["PrincipalId"]["value"]
    (assigned,) = arm.Template(properties["template"], {"PrincipalId": "a-principal"}).resources()
    assert assigned["properties"]["principalType"] == "ServicePrincipal"
    assert assigned["properties"]["principalId"] == "a-principal"
    role = assigned["properties"]["roleDefinitionId"]
    assert role.endswith(
        "/roleDefinitions/3e150937-b8fe-4cfb-8069-0eaf05ecd056"
    )  # Microsoft Sentinel Responder


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_the_key_is_read_at_deployment_into_a_secure_parameter(path: Path) -> None:
    """Nobody types the key, no file and no run history shows it, and it opens one function, not the app."""
    (workflow,) = resources(path, "Microsoft.Logic/workflows")
    inside = workflow["properties"]["definition"]
    assert workflow["identity"] == {"type": "SystemAssigned"}
    assert inside["parameters"]["FunctionKey"] == {"type": "SecureString"}
    ((function, _),) = arm.calls(workflow["properties"]["parameters"]["FunctionKey"], "listKeys")
    assert isinstance(function, Call)
    assert function.arguments[1:] == (
        "Microsoft.Web/sites/functions",
        Call("parameters", ("FunctionAppName",)),
        "CreateAlertFunction",
    )
    # `listKeys` of a function gives names and values, without an object around them.
    assert workflow["properties"]["parameters"]["FunctionKey"]["value"].endswith(
        ", '2022-09-01')[parameters('FunctionKeyName')]]"
    )
    posting = actions(inside["actions"])["Create_alerts"]
    assert json.dumps(inside).count("parameters('FunctionKey')") == 1
    assert posting["inputs"]["headers"]["x-functions-key"] == "@parameters('FunctionKey')"
    assert posting["runtimeConfiguration"]["secureData"]["properties"] == ["inputs", "outputs"]


@pytest.mark.parametrize("path", TEMPLATES, ids=name)
def test_every_call_is_made_the_documented_way(path: Path) -> None:
    """HTTP actions, not the Functions action; only the hunt does not wait for alerts; other calls use the identity."""
    for title, action in actions(definition(path)["actions"]).items():
        assert action["type"] != "Function"
        if action["type"] == "Http":
            assert ("operationOptions" in action) == (title == "Create_alerts" and path == HUNTING)
            if title != "Create_alerts":
                assert action["inputs"]["authentication"]["type"] == "ManagedServiceIdentity"


def test_a_caller_of_the_logic_app_is_not_kept_waiting() -> None:
    """Both responses are asynchronous: one that is not is cut off after two minutes, and they must not differ."""
    responses = [
        action
        for action in actions(
            definition(INTEGRATIONS / "logic-apps" / "webhook" / "azuredeploy.json")["actions"]
        ).values()
        if action["type"] == "Response"
    ]
    assert [action["operationOptions"] for action in responses] == ["Asynchronous"] * 2


def test_the_hunting_query_keeps_every_digit() -> None:
    """The three keys reach the end of the query, the two that tools round as text; the readme shows the same query."""
    query = template(HUNTING)["parameters"]["Query"]["defaultValue"]
    assert query.splitlines()[-1].startswith(
        "| project DeviceId, ReportId = tostring(ReportId), Timestamp = tostring(Timestamp), "
    )
    assert f"```kusto\n{query}\n```" in (INTEGRATIONS / "logic-apps" / "readme.md").read_text("utf-8")


def test_no_event_falls_between_two_hunts() -> None:
    """The trigger makes up for missed intervals; each query begins before its own, and the workflow sets both ends."""
    (trigger,) = definition(HUNTING)["triggers"].values()
    assert trigger["type"] == "SlidingWindow"
    cloud = Cloud(rows=hunting_reply())
    assert run(HUNTING, None, cloud).status == "Succeeded"
    assert workflow(HUNTING).run(None, cloud).status == "Succeeded"  # without a window: up to now
    assert cloud.spans == [
        "2026-03-04T01:00:00.0000000Z/2026-03-04T05:15:00Z",
        "2026-03-04T01:06:07.0000000Z/2026-03-04T05:06:07.0000000Z",
    ]


def test_a_hunt_posts_all_that_it_finds_and_waits_for_none_of_it() -> None:
    """More rows than one delivery takes are posted by the hundred, and the run ends while its alerts wait."""
    found = [event(number) for number in range(1, 231)]
    assert Settings().max_alerts_per_delivery == 100
    cloud = Cloud(rows=hunting_reply(*found))
    assert run(HUNTING, None, cloud).status == "Succeeded"
    assert cloud.polls == 0
    stored = cloud.world.table.query(keys.ALERT, keys.ALERT_END)
    assert {rows.read(row).alert.body()["reportId"] for row in stored} == {hit.report_id for hit in found}


# Samples of what the triggers give, after the shapes of real ones


def packed(of: Event) -> str:
    """Return the Custom Detail in which an analytics rule packs the three keys of an event."""
    return f"{of.machine_id}|{of.report_id}|{of.event_time}"


def incident(*events: Event, status: str = "New") -> dict[str, Any]:
    """Return the body of Sentinel's incident trigger: one alert, its events in a Custom Detail."""
    details = {"DefenderEvent": [packed(hit) for hit in events], "Account": ["j.doe"]} if events else {}
    return {
        "objectSchemaType": "Incident",
        "objectEventType": "Create",
        "workspaceInfo": {
            "SubscriptionId": "5f3c1a52-0d5f-4c0c-9a5e-7a6f0f5b8a11",
            "ResourceGroupName": "soc",
            "WorkspaceName": "soc",
        },
        "workspaceId": "88a7ab6c-a07c-51e8-aa02-6fdfa6b42d49",
        "object": {
            "id": INCIDENT_ID,
            "name": "9a905d98",
            "etag": '"92af6cc0-ec0b-50f9-b0f0-6cfea82c843e"',
            "type": "Microsoft.SecurityInsights/Incidents",
            "properties": {
                "title": "Encoded PowerShell <on a server>",
                "severity": "High",
                "status": status,
                "labels": [],
                "createdTimeUtc": "2026-03-04T05:10:00.6138145Z",
                "lastModifiedTimeUtc": "2026-03-04T05:10:00.6138145Z",
                "incidentNumber": 9,
                "incidentUrl": "https://portal.azure.com/#asset/Microsoft_Azure_Security_Insights/Incident/9",
                "additionalData": {"alertsCount": 1, "tactics": ["Execution"]},
                "relatedAnalyticRuleIds": [],
                "alerts": [
                    {
                        "id": f"{INCIDENT_ID.rpartition('/')[0]}/Entities/4e83c13b",
                        "name": "4e83c13b",
                        "type": "Microsoft.SecurityInsights/Entities",
                        "kind": "SecurityAlert",
                        "properties": {
                            "systemAlertId": "4e83c13b",
                            "tactics": ["Execution"],
                            "alertDisplayName": "Encoded PowerShell <on a server>",
                            "description": "powershell.exe was started with an encoded command.",
                            "severity": "High",
                            "status": "New",
                            "vendorName": "Microsoft",
                            "productName": "Azure Sentinel",
                            "startTimeUtc": "2026-03-04T05:00:00Z",
                            "endTimeUtc": "2026-03-04T05:05:00Z",
                            "timeGenerated": "2026-03-04T05:09:58.8010707Z",
                            "additionalData": {"Custom Details": json.dumps(details)},
                        },
                    }
                ],
                "relatedEntities": [],
            },
        },
    }


def alert(*events: Event, status: str = "New") -> dict[str, Any]:
    """Return the body of Sentinel's alert trigger."""
    details = {"DefenderEvent": [packed(hit) for hit in events]} if events else {}
    return {
        "WorkspaceSubscriptionId": "5f3c1a52-0d5f-4c0c-9a5e-7a6f0f5b8a11",
        "WorkspaceResourceGroup": "soc",
        "WorkspaceId": "88a7ab6c-a07c-51e8-aa02-6fdfa6b42d49",
        "SystemAlertId": "4e83c13b",
        "AlertDisplayName": "Encoded PowerShell <on a server>",
        "AlertType": "88a7ab6c_rule",
        "Description": "powershell.exe was started with an encoded command.",
        "Severity": "High",
        "Status": status,
        "Intent": "Execution",
        "ProviderName": "ASI Scheduled Alerts",
        "VendorName": "Microsoft",
        "StartTimeUtc": "2026-03-04T05:00:00Z",
        "EndTimeUtc": "2026-03-04T05:05:00Z",
        "TimeGenerated": "2026-03-04T05:09:58.8010707Z",
        "Entities": [{"$id": "2", "HostName": "pc-001", "Type": "host"}],
        "ExtendedProperties": {"Custom Details": json.dumps(details), "Query": "DeviceProcessEvents"},
    }


# The world in which they run


class Cloud:
    """The webhook, Graph and Sentinel, as a workflow meets them. `says` is Defender's answer to each call.

    `problems` is the content type under which the workflow engine gets our problem documents: whether it reads
    `application/problem+json` as JSON is not documented, so both must do. `webhook`, if given, answers instead.
    """

    def __init__(
        self,
        says: Callable[[int, Mapping[str, str]], Any] = lambda _, __: answer_with(200),
        *,
        problems: str = "application/problem+json",
        webhook: Answer | str | None = "ours",
        incident: Answer | None = None,
        rows: Any = None,
    ) -> None:
        self.world = World()
        self.host = Host(self.world, arrive=Defender(self.world, says))
        self.webhook = self.host.webhook(Settings())
        self.comments: list[dict[str, Any]] = []
        self.spans: list[str] = []
        self.follows = True  # False for an action with `DisableAsyncPattern`
        self.polls = 0
        self._problems = problems
        self._webhook = webhook
        self._incident = incident
        self._rows = rows

    def __call__(self, action: str, inputs: Mapping[str, Any]) -> Answer | None:
        """Answer an action that leaves the workflow."""
        if action in ("Create_alerts", "Create_an_alert"):
            return self._post(inputs) if self._webhook == "ours" else self._webhook  # type: ignore[return-value]
        if action == "Hunt":
            assert inputs["uri"] == "https://graph.microsoft.com/v1.0/security/runHuntingQuery"
            assert set(inputs["body"]) == {"Query", "Timespan"}
            self.spans.append(inputs["body"]["Timespan"])
            return Answer(200, body=json.dumps(self._rows).encode())
        if action == "Get_incident":
            assert inputs["path"].endswith("/workspaces/88a7ab6c-a07c-51e8-aa02-6fdfa6b42d49/alerts/4e83c13b")
            return self._incident or Answer(
                200, body=json.dumps({"id": INCIDENT_ID, "properties": {}}).encode()
            )
        assert action == "Add_comment_to_incident"
        assert (inputs["method"], inputs["path"]) == ("post", "/Incidents/Comment")
        assert inputs["body"]["incidentArmId"] == INCIDENT_ID
        assert len(inputs["body"]["message"]) < 30_000
        self.comments.append(inputs["body"])
        return Answer(200, body=b"{}")

    @property
    def comment(self) -> str:
        """The one comment."""
        (only,) = self.comments
        return str(only["message"])

    def _post(self, inputs: Mapping[str, Any]) -> Answer:
        """Post as the HTTP action does: wait at `Location` while the answer is 202."""
        if "host" in inputs:
            assert inputs["host"]["operationId"] == "CreateAlert"
            body = {key.removeprefix("body/"): value for key, value in inputs["parameters"].items()}
            query: dict[str, str] = {}
        else:
            assert (inputs["method"], inputs["uri"]) == ("POST", WEBHOOK)
            assert inputs["headers"] == {"content-type": "application/json", "x-functions-key": KEY}
            body, query = inputs["body"], inputs["queries"]
        sent = json.dumps(body).encode()
        path = "/api/alerts"
        answer = self._ask("POST", path, lambda: self.webhook.receive(sent, query, ORIGIN))
        while answer.status == 202 and self.follows:
            path = answer.headers["Location"].removeprefix(ORIGIN)
            self.polls += 1
            self.host.spawn(self.webhook.dispatch)
            self.world.run(float(answer.headers["Retry-After"]))
            delivery = path.rpartition("/")[2]
            answer = self._ask("GET", path, lambda: self.webhook.status(delivery, ORIGIN))  # noqa: B023 - at once
        kind = self._problems if "problem" in answer.content_type else answer.content_type
        return Answer(answer.status, kind, answer.body.encode())

    def _ask(self, method: str, path: str, use_case: Callable[[], Reply]) -> Reply:
        asked = self.host.ask(use_case)
        self.world.run(60.0)
        answer = asked.result(timeout=0)
        headers = {"content-type": answer.content_type, **answer.headers}
        assert CONTRACT.breaches(method, path, answer.status, headers, answer.body) == []
        return answer


def workflow(path: Path) -> Workflow:
    """Return a workflow with the values its template would give it."""
    given: dict[str, Any] = {}
    if path != FLOW:
        declared = template(path)["parameters"]
        (resource,) = resources(path, "Microsoft.Logic/workflows")
        for parameter, value in resource["properties"]["parameters"].items():
            own = re.fullmatch(r"\[parameters\('(\w+)'\)\]", str(value["value"]))
            given[parameter] = declared[own[1]]["defaultValue"] if own else value["value"]
        given |= {"WebhookUrl": WEBHOOK, "FunctionKey": KEY}
    return Workflow(definition(path), given)


def run(path: Path, trigger_body: Any, cloud: Cloud) -> Run:
    """Run a workflow once."""
    every = actions(definition(path)["actions"])
    (posting,) = (every[title] for title in ("Create_alerts", "Create_an_alert") if title in every)
    cloud.follows = posting.get("operationOptions") != "DisableAsyncPattern"
    return workflow(path).run(trigger_body, cloud, WINDOW)


TRIGGERS = {"incident-trigger": incident, "alert-trigger": alert}
FIRST, SECOND = event(1), event(2)
KINDS = pytest.mark.parametrize("kind", ["application/problem+json", "application/json"])


@pytest.mark.parametrize("path", PLAYBOOKS, ids=name)
def test_every_event_of_a_playbooks_trigger_becomes_an_alert(path: Path) -> None:
    """Digit for digit, and the comment links to each alert."""
    cloud = Cloud(lambda _, body: answer_with(200, raw=json.dumps({"id": f"da{body['reportId']}"}).encode()))
    done = run(path, TRIGGERS[path.parent.name](FIRST, SECOND), cloud)
    assert done.status == "Succeeded"
    sent = {
        (arrival.body["machineId"], arrival.body["eventTime"], arrival.body["reportId"])
        for arrival in _arrivals(cloud)
    }
    assert sent == {FIRST.key, SECOND.key}
    assert {arrival.body["severity"] for arrival in _arrivals(cloud)} == {"High"}
    for hit in (FIRST, SECOND):
        assert f'<a href="https://security.microsoft.com/alerts/da{hit.report_id}">open</a>' in cloud.comment
    assert "Defender alert: created" in cloud.comment
    assert "2 alert(s)" in cloud.comment
    assert "&lt;on a server>" in cloud.comment
    assert "<on" not in cloud.comment


@pytest.mark.parametrize("path", PLAYBOOKS, ids=name)
def test_a_playbook_waits_until_its_alerts_have_ended(path: Path) -> None:
    """An event that Defender finds at the third call only is asked for at `Location` until it is created."""
    cloud = Cloud(lambda before, _: answer_with(404 if before < 2 else 200))
    done = run(path, TRIGGERS[path.parent.name](FIRST), cloud)
    assert done.status == "Succeeded"
    assert cloud.polls > 1
    assert "Defender alert: created" in cloud.comment


@KINDS
@pytest.mark.parametrize("path", PLAYBOOKS, ids=name)
def test_a_playbook_tells_why_an_alert_failed(path: Path, kind: str) -> None:
    """Defender's words and what to do about it are in the comment, and the run shows red."""
    cloud = Cloud(lambda _, __: answer_with(400), problems=kind)
    done = run(path, TRIGGERS[path.parent.name](FIRST), cloud)
    assert done.status == "Failed"
    assert "No alert was created" in cloud.comment
    assert "It is 400." in cloud.comment
    assert "Correct the field that Defender names" in cloud.comment


@KINDS
@pytest.mark.parametrize("path", PLAYBOOKS, ids=name)
def test_a_playbook_tells_the_remedy_where_no_event_is_named(path: Path, kind: str) -> None:
    """A rule without the Custom Detail: the comment says which query would carry it."""
    cloud = Cloud(problems=kind)
    done = run(path, TRIGGERS[path.parent.name](), cloud)
    assert done.status == "Failed"
    assert "No event could be turned into an alert" in cloud.comment
    assert (
        "DefenderEvent = strcat(DeviceId, '|', tostring(ReportId), '|', tostring(Timestamp))" in cloud.comment
    )
    assert "1 event(s) refused" in cloud.comment


@pytest.mark.parametrize("path", PLAYBOOKS, ids=name)
def test_a_playbook_tells_what_was_left_out(path: Path) -> None:
    """Of two events one is no endpoint event: the other is an alert, and the comment tells of both."""
    foreign = Event(SECOND.machine_id, SECOND.event_time, "20778.5", SECOND.device)
    cloud = Cloud()
    done = run(path, TRIGGERS[path.parent.name](FIRST, foreign), cloud)
    assert done.status == "Succeeded"
    assert "Defender alert: partial" in cloud.comment
    assert "1 alert(s)" in cloud.comment
    assert "1 event(s) refused" in cloud.comment
    assert "reportId: " in cloud.comment


@pytest.mark.parametrize("path", PLAYBOOKS, ids=name)
def test_a_playbook_tells_that_nothing_was_to_be_raised(path: Path) -> None:
    """A closed incident, a resolved alert: no call, and the comment says why."""
    status = {"incident-trigger": "Closed", "alert-trigger": "Resolved"}[path.parent.name]
    cloud = Cloud()
    assert run(path, TRIGGERS[path.parent.name](FIRST, status=status), cloud).status == "Succeeded"
    assert _arrivals(cloud) == []
    assert "Defender alert: ignored" in cloud.comment
    assert "0 alert(s)" in cloud.comment


@pytest.mark.parametrize(
    "answer",
    [
        None,
        Answer(401),
        Answer(502, "text/html", b"<html>Bad Gateway</html>"),
        Answer(500, "text/plain", b"oops"),
    ],
    ids=["time-out", "wrong key", "gateway", "text"],
)
@pytest.mark.parametrize("path", PLAYBOOKS, ids=name)
def test_a_playbook_tells_that_the_webhook_did_not_answer(path: Path, answer: Answer | None) -> None:
    """Whatever comes instead of our answer, the incident says that there was none, and the run shows red."""
    cloud = Cloud(webhook=answer)
    done = run(path, TRIGGERS[path.parent.name](FIRST), cloud)
    assert done.status == "Failed"
    assert f"no answer (HTTP {answer.status if answer else ''})" in cloud.comment


def test_an_alert_without_an_incident_is_raised_all_the_same() -> None:
    """There is nothing to comment on: the run history has the outcome, and the run is not a failure."""
    (path,) = (playbook for playbook in PLAYBOOKS if name(playbook) == "alert-trigger")
    cloud = Cloud(incident=Answer(404))
    done = run(path, alert(FIRST), cloud)
    assert done.status == "Succeeded"
    assert cloud.comments == []
    assert "Defender alert: created" in done.actions["No_incident"].outputs


@KINDS
def test_what_is_posted_to_the_logic_app_is_posted_on(kind: str) -> None:
    """The caller gets our answer with its status: created, and why not."""
    path = INTEGRATIONS / "logic-apps" / "webhook" / "azuredeploy.json"
    done = run(path, splunk_plain(FIRST, "A search"), Cloud())
    assert done.actions["Respond"].inputs["body"]["status"] == "created"
    refused = run(path, {"result": {"DeviceName": "pc"}, "sid": "1"}, Cloud(problems=kind))
    assert refused.status == "Failed"
    assert refused.actions["Respond"].status == "Skipped"
    assert refused.actions["Respond_with_the_problem"].inputs["statusCode"] == 422
    assert refused.actions["Respond_with_the_problem"].inputs["body"]
    silent = run(path, {}, Cloud(webhook=None))
    assert silent.actions["Respond_with_the_problem"].inputs["statusCode"] == 502


def test_what_a_hunt_finds_becomes_alerts() -> None:
    """Graph's reply goes on as it is; title, severity and category are those of the template.

    The token is one for Graph, wherever that is.
    """
    path = HUNTING
    hunting, creating = (
        actions(definition(path)["actions"])[title]["inputs"] for title in ("Hunt", "Create_alerts")
    )
    assert hunting["authentication"]["audience"] == "@parameters('GraphUrl')"
    assert creating["queries"]["source"] == "advanced-hunting"
    cloud = Cloud(rows=hunting_reply(FIRST, SECOND))
    assert run(path, None, cloud).status == "Succeeded"
    sent = {
        (arrival.body["machineId"], arrival.body["eventTime"], arrival.body["reportId"])
        for arrival in _arrivals(cloud)
    }
    assert sent == {FIRST.key, SECOND.key}
    first = _arrivals(cloud)[0].body
    assert (first["title"], first["severity"], first["category"]) == (
        "Encoded PowerShell",
        "Medium",
        "Execution",
    )
    assert first["recommendedAction"].startswith("Ask the user")


def test_a_hunt_that_finds_nothing_posts_nothing() -> None:
    """An empty reply costs no execution of the function app."""
    path = HUNTING
    done = run(path, None, Cloud(rows={"schema": [], "results": []}, webhook=None))
    assert done.status == "Succeeded"
    assert "Create_alerts" not in done.actions


@KINDS
def test_the_flow_hands_back_what_became_of_its_alert(kind: str) -> None:
    """Created with the link; failed with Defender's reason; refused with the field's."""
    fields = eight_fields(FIRST, "From a flow")
    done = run(FLOW, fields, Cloud())
    assert done.actions["Respond"].inputs["body"] == {
        "status": "created",
        "portalurl": "https://security.microsoft.com/alerts/da200",
        "detail": "",
        "deliveryid": done.actions["Create_an_alert"].outputs["body"]["id"],
    }
    failed = run(FLOW, fields, Cloud(lambda _, __: answer_with(400), problems=kind))
    body = failed.actions["Respond_with_the_problem"].inputs["body"]
    assert body["status"] == "failed"
    assert "Correct the field that Defender names" in body["detail"]
    refused = run(FLOW, {**fields, "reportId": "20776.5"}, Cloud(problems=kind))
    assert "reportId: " in refused.actions["Respond_with_the_problem"].inputs["body"]["detail"]
    silent = run(FLOW, fields, Cloud(webhook=None))
    assert "did not answer" in silent.actions["Respond_with_the_problem"].inputs["body"]["detail"]


def test_the_flow_answers_its_parent_within_two_minutes() -> None:
    """Power Automate gives a child flow 120 s: it tries three times, and takes the 202 of an alert that waits."""
    call = definition(FLOW)["actions"]["Create_an_alert"]
    again = call["inputs"]["retryPolicy"]
    assert again == {"type": "fixed", "count": 2, "interval": "PT10S"}
    answered = receive.TABLE_SECONDS + 5  # for what a cold start and the way there take
    assert (again["count"] + 1) * answered + again["count"] * 10 < 120
    done = run(FLOW, eight_fields(FIRST, "From a flow"), Cloud(lambda _, __: answer_with(404)))
    body = done.actions["Respond"].inputs["body"]
    assert (body["status"], body["portalurl"]) == ("waiting", "")
    assert len(body["deliveryid"]) > 20


def test_the_flow_uses_the_connector() -> None:
    """Its operation and every parameter are the connector's; it asks for the eight fields."""
    swagger = json.loads((INTEGRATIONS / "power-platform" / "apiDefinition.swagger.json").read_text("utf-8"))
    action = swagger["paths"]["/api/alerts"]["post"]
    call = definition(FLOW)["actions"]["Create_an_alert"]["inputs"]
    assert call["host"]["operationId"] == action["operationId"]
    fields = action["parameters"][0]["schema"]["required"]
    assert list(call["parameters"]) == [f"body/{field}" for field in fields]
    trigger = definition(FLOW)["triggers"]["manual"]["inputs"]["schema"]
    assert trigger["required"] == fields
    for field, shown in trigger["properties"].items():
        parameter = action["parameters"][0]["schema"]["properties"][field]
        assert (shown["title"], shown["description"]) == (parameter["x-ms-summary"], parameter["description"])
        assert shown.get("enum") == parameter.get("enum")
    assert call["host"]["connectionName"] in template(FLOW)["properties"]["connectionReferences"]


@pytest.mark.parametrize("path", WORKFLOWS, ids=name)
def test_every_path_in_every_expression_leads_somewhere(path: Path) -> None:
    """Each `?['member']` met that member in a sample trigger or in a real answer; a misspelt one never would."""
    fields: dict[str, Any] = eight_fields(FIRST, "A title")
    posted = {"incident-trigger": incident(FIRST), "alert-trigger": alert(FIRST)}.get(name(path), fields)
    refused = {"incident-trigger": incident(), "alert-trigger": alert()}.get(
        name(path), {**fields, "reportId": "?"}
    )
    closed = {
        "incident-trigger": incident(FIRST, status="Closed"),
        "alert-trigger": alert(FIRST, status="Resolved"),
    }.get(name(path), fields)
    nothing = json.dumps(
        {"id": None, "status": "ignored", "reason": "Resolved.", "alerts": [], "refused": []}
    )
    runs = (
        run(path, posted, Cloud(rows=hunting_reply(FIRST))),
        run(path, posted, Cloud(lambda _, __: answer_with(400), rows=hunting_reply(FIRST))),
        run(path, refused, Cloud(rows=hunting_reply())),
        run(path, closed, Cloud(rows=hunting_reply(FIRST))),
        run(path, closed, Cloud(webhook=Answer(200, body=nothing.encode()), rows=hunting_reply(FIRST))),
    )
    accesses = workflow(path).accesses()
    assert accesses
    assert accesses - {text for run in runs for text in run.accessed} == set()


def _arrivals(cloud: Cloud) -> list[Any]:
    defender = cloud.host.arrive
    assert isinstance(defender, Defender)
    return defender.arrivals
