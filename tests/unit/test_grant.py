"""The scripts that grant the roles of Defender and Graph: run against a stub of `az` that answers as Graph does."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_powershell

from shared.clients import create_alert, graph
from shared.operations import permission

INFRA = Path(__file__).parents[2] / "infra"
SHELL = INFRA / "grant-defender-role.sh"
POWERSHELL = INFRA / "grant-defender-role.ps1"
TENANT = "72f988bf-0000-4000-8000-000000000000"
DEFENDER = "2e6c2b9a-1111-4111-8111-111111111111"
CLIENT = "5a4b3c2d-2222-4222-8222-222222222222"
PRINCIPAL = "9f8e7d6c-3333-4333-8333-333333333333"
ROLE_ID = "0f7000ec-157b-497f-b70e-ef0b0584f140"
OTHER = "00000000-4444-4444-8444-444444444444"
GRAPH = "3f7d3c0b-5555-4555-8555-555555555555"
GRAPH_APPLICATION = "00000003-0000-0000-c000-000000000000"
HUNTING_ID = "dd98c7f5-2d42-42d3-a0e4-633161547251"
CREATE_ID = "06870c4c-7370-4a2a-ad10-239a337af816"

# What the Azure CLI does, as far as the script asks: state.json says what the tenant has, calls.jsonl keeps what
# was called. Errors have the form of `az rest` (azure-cli, send_raw_request) around those of Microsoft Graph.
STUB = """#!{python}
import json, re, sys
from pathlib import Path
import jmespath

here = Path(__file__).parent
state = json.loads((here / "state.json").read_text())
given = sys.argv[1:]
options = dict(zip(given, given[1:]))

def show(value):
    found = jmespath.search(options.get("--query", "@"), value)
    if found is None:
        print(state["nothing"], end="")
    else:
        assert options["--output"] == "tsv"
        print(found)
    sys.exit(0)

def fail(reason, code, message):
    body = json.dumps({{"error": {{"code": code, "message": message, "innerError": {{"date": "2026-01-01"}}}}}})
    sys.exit(f"ERROR: {{reason}}({{body}})")

if given[:2] == ["account", "show"]:
    if not state["tenant"]:
        sys.exit("ERROR: Please run 'az login' to setup account.")
    show({{"tenantId": state["tenant"]}})
if given[:2] == ["cloud", "show"]:
    show({{"endpoints": {{"microsoftGraphResourceId": state["graph"]}}}})
assert given[0] == "rest", given
method, url = options["--method"], options["--url"]
with (here / "calls.jsonl").open("a") as calls:
    calls.write(json.dumps([method, url]) + "\\n")
print("WARNING: a new version of the Azure CLI is available", file=sys.stderr)
if method in state["forbidden"]:
    fail("Forbidden", "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
if state["broken"]:
    fail("Service Unavailable", "UnknownError", "")
assert url.startswith(state["graph"] + "v1.0/servicePrincipals"), url
path = url.removeprefix(state["graph"] + "v1.0/servicePrincipals")
by_app = re.fullmatch(r"\\(appId='(.+)'\\)(\\?\\$select=[\\w,]+)?", path)
by_id = re.fullmatch(r"/([\\w-]+)(/appRoleAssignments)?(\\?\\$select=[\\w,]+)?", path)
wanted = (by_app or by_id)[1]
found = [each for each in state["principals"] if wanted == each["appId" if by_app else "id"]]
if not found:
    fail("Not Found", "Request_ResourceNotFound", f"Resource '{{wanted}}' does not exist or one of its queried "
         "reference-property objects are not present.")
if by_app or not by_id[2]:
    show(found[0])
if method == "GET":
    show({{"value": state["assignments"] if state["shown"] else []}})
body = json.loads(options["--body"])
assert body["principalId"] == wanted, body
if any(each.items() >= body.items() for each in state["assignments"]):
    fail("Bad Request", "Request_BadRequest", "Permission being assigned already exists on the object")
state["assignments"].append({{"id": "assigned", **body}})
(here / "state.json").write_text(json.dumps(state))
show(state["assignments"][-1])
"""


def role(value: str = permission.ROLE, **more: Any) -> dict[str, Any]:
    """Return an application role as Graph lists it."""
    return {"id": ROLE_ID, "value": value, "isEnabled": True, "allowedMemberTypes": ["Application"], **more}


class Tenant:
    """A tenant behind a stub of the Azure CLI: what it has, and what was asked of it."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        for name in ("bash", "mktemp", "rm"):
            (folder / name).symlink_to(str(shutil.which(name)))
        (folder / "az").write_text(STUB.format(python=sys.executable))
        (folder / "az").chmod(0o755)
        defender = {
            "id": DEFENDER,
            "appId": permission.APPLICATION,
            "appRoles": [role("Alert.Read.All", id=OTHER), role()],
        }
        microsoft_graph = {
            "id": GRAPH,
            "appId": GRAPH_APPLICATION,
            "appRoles": [
                role("Mail.Read", id=OTHER),
                role(graph.ROLE, id=HUNTING_ID),
                role(create_alert.ROLE, id=CREATE_ID),
            ],
        }
        state = {
            "tenant": TENANT,
            "graph": "https://graph.microsoft.com/",
            "nothing": "",
            "forbidden": [],
            "broken": False,
            "shown": True,
            "assignments": [
                {"id": "other", "principalId": PRINCIPAL, "resourceId": DEFENDER, "appRoleId": OTHER}
            ],
            "principals": [defender, microsoft_graph, {"id": PRINCIPAL, "appId": CLIENT}],
        }
        (folder / "state.json").write_text(json.dumps(state | changes))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the script with nothing on its PATH but the stub and the tools it needs."""
        return subprocess.run(  # noqa: S603 - our own script
            [self.folder / "bash", SHELL, *arguments],
            env={"PATH": str(self.folder)},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )

    @property
    def assignments(self) -> list[dict[str, str]]:
        """What is granted, by now."""
        assignments: list[dict[str, str]] = json.loads((self.folder / "state.json").read_text())[
            "assignments"
        ]
        return assignments

    @property
    def methods(self) -> list[str]:
        """The methods of the calls to Graph, in their order."""
        return [json.loads(line)[0] for line in (self.folder / "calls.jsonl").read_text().splitlines()]


GRANTED = {"id": "assigned", "principalId": PRINCIPAL, "resourceId": DEFENDER, "appRoleId": ROLE_ID}
LAG = "up to 24 hours"
UNCHANGED = "Nothing was changed."


@pytest.mark.parametrize("identity", [CLIENT, PRINCIPAL])
def test_the_first_run_grants_the_role(tmp_path: Path, identity: str) -> None:
    """By client id or by object id: the role is found by its name, granted, and said to be."""
    tenant = Tenant(tmp_path)
    completed = tenant.run(identity)
    assert (completed.returncode, completed.stderr) == (0, "")
    assert tenant.assignments[1:] == [GRANTED]
    assert f"Granted: the identity {identity}" in completed.stdout
    assert "Alert.ReadWrite.All of WindowsDefenderATP" in completed.stdout
    assert TENANT in completed.stdout
    assert LAG in completed.stdout
    assert tenant.methods[-1] == "POST"


def test_the_second_run_changes_nothing(tmp_path: Path) -> None:
    """What is granted already is said to be, without another grant."""
    tenant = Tenant(tmp_path)
    tenant.run(CLIENT)
    completed = tenant.run(CLIENT)
    assert (completed.returncode, completed.stderr) == (0, "")
    assert (
        f"{CLIENT} has the role Alert.ReadWrite.All of WindowsDefenderATP already. {UNCHANGED}"
        in completed.stdout
    )
    assert LAG in completed.stdout
    assert tenant.methods.count("POST") == 1
    assert tenant.assignments[1:] == [GRANTED]


def test_the_same_role_of_another_application_is_another_role(tmp_path: Path) -> None:
    """Ids of roles are an application's own: what is granted on another one does not count."""
    elsewhere = {**GRANTED, "id": "elsewhere", "resourceId": OTHER}
    tenant = Tenant(tmp_path, assignments=[elsewhere])
    assert tenant.run(CLIENT).returncode == 0
    assert tenant.assignments == [elsewhere, GRANTED]


def test_granted_by_somebody_else_meanwhile_is_a_success(tmp_path: Path) -> None:
    """Graph's 400 "already exists" means that the role is there, even if the list before did not show it."""
    tenant = Tenant(tmp_path, assignments=[GRANTED], shown=False)
    completed = tenant.run(CLIENT)
    assert (completed.returncode, completed.stderr) == (0, "")
    assert f"already. {UNCHANGED}" in completed.stdout
    assert tenant.methods[-1] == "POST"
    assert tenant.assignments == [GRANTED]


@pytest.mark.parametrize("forbidden", [["POST"], ["GET", "POST"]])
def test_a_caller_without_the_right_learns_whom_to_ask(tmp_path: Path, forbidden: list[str]) -> None:
    """403 on granting, or on reading already: which rights and roles it takes, and the command to hand on."""
    tenant = Tenant(tmp_path, forbidden=forbidden)
    completed = tenant.run(CLIENT)
    assert (completed.returncode, completed.stdout) == (1, "")
    for word in ("AppRoleAssignment.ReadWrite.All", "Application.Read.All", "Privileged Role Administrator"):
        assert word in completed.stderr
    assert UNCHANGED in completed.stderr
    assert f"az login --tenant {TENANT}" in completed.stderr
    assert completed.stderr.endswith(f"{SHELL} {CLIENT}\n")
    assert tenant.assignments[1:] == []


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"principals": []},
            ["no enterprise application WindowsDefenderATP", "az login --tenant", UNCHANGED],
        ),
        (
            {
                "principals": [
                    {"id": DEFENDER, "appId": permission.APPLICATION, "appRoles": [role("Alerts.Write")]}
                ]
            },
            ["no application role named Alert.ReadWrite.All", UNCHANGED],
        ),
        (
            {
                "principals": [
                    {"id": DEFENDER, "appId": permission.APPLICATION, "appRoles": [role(isEnabled=False)]}
                ]
            },
            ["no application role named Alert.ReadWrite.All", UNCHANGED],
        ),
        (
            {
                "principals": [
                    {
                        "id": DEFENDER,
                        "appId": permission.APPLICATION,
                        "appRoles": [role(allowedMemberTypes=["User"])],
                    }
                ],
                "nothing": "None\n",
            },
            ["no application role named Alert.ReadWrite.All", UNCHANGED],
        ),
        (
            {"principals": [{"id": DEFENDER, "appId": permission.APPLICATION, "appRoles": [role()]}]},
            [f"no identity with the client id or object id {CLIENT}", "identityClientId", UNCHANGED],
        ),
        ({"tenant": None}, ["not signed in", "az login"]),
        ({"broken": True}, ["did not answer as expected", "Service Unavailable", UNCHANGED]),
    ],
)
def test_what_is_missing_is_named_with_what_to_do(
    tmp_path: Path, changes: dict[str, Any], words: list[str]
) -> None:
    """No Defender in the tenant, no such role, no such identity, no sign-in, no answer: one clear text each."""
    completed = Tenant(tmp_path, **changes).run(CLIENT)
    assert (completed.returncode, completed.stdout) == (1, "")
    assert all(word in completed.stderr for word in words), completed.stderr


SWITCHES = [
    ("--hunting", HUNTING_ID, "ThreatHunting.Read.All of Microsoft Graph", "also mail, identities"),
    ("--entity-alerts", CREATE_ID, "SecurityAlert.Create.All of Microsoft Graph", "reads and changes none"),
]


@pytest.mark.parametrize(("switch", "role_id", "role_name", "opens"), SWITCHES)
def test_a_role_of_graph_is_granted_by_its_switch(
    tmp_path: Path, switch: str, role_id: str, role_name: str, opens: str
) -> None:
    """It is that role and nothing else; what it opens is said, also when it is there already."""
    tenant = Tenant(tmp_path)
    granted = {"id": "assigned", "principalId": PRINCIPAL, "resourceId": GRAPH, "appRoleId": role_id}
    for words in (f"Granted: the identity {CLIENT}", f"already. {UNCHANGED}"):
        completed = tenant.run(switch, CLIENT)
        assert (completed.returncode, completed.stderr) == (0, "")
        assert tenant.assignments[1:] == [granted]
        for sentence in (words, role_name, opens, LAG):
            assert sentence in completed.stdout
        assert "GRAPH_API_URL" not in completed.stdout
    assert tenant.methods.count("POST") == 1


@pytest.mark.parametrize("switch", [switch for switch, *_ in SWITCHES])
def test_the_command_to_hand_on_has_the_switch(tmp_path: Path, switch: str) -> None:
    """Whoever may grant roles gets the command for the role that was meant."""
    completed = Tenant(tmp_path, forbidden=["POST"]).run(switch, CLIENT)
    assert completed.stderr.endswith(f"{SHELL} {switch} {CLIENT}\n")


@pytest.mark.parametrize("client", [graph, create_alert])
def test_the_app_names_the_command_for_a_missing_role(client: Any) -> None:
    """What Graph's 403 tells to run is this script with the switch of that role."""
    command, switch, identity = client.GRANT.split()
    assert (command, identity) == (f"infra/{SHELL.name}", "IDENTITY")
    assert any(switch == known and client.ROLE in name for known, _, name, _ in SWITCHES)
    assert client.ROLE in SHELL.read_text("utf-8")


@pytest.mark.parametrize("switch", [switch for switch, *_ in SWITCHES])
def test_in_azure_government_the_apps_settings_are_said(tmp_path: Path, switch: str) -> None:
    """Graph's host differs in GCC High and DoD, and nothing would tell the app."""
    completed = Tenant(tmp_path, graph="https://graph.microsoft.us/").run(switch, CLIENT)
    assert completed.returncode == 0
    for host in ("https://graph.microsoft.us", "https://dod-graph.microsoft.us", "GRAPH_TOKEN_SCOPE"):
        assert host in completed.stdout


def test_without_the_azure_cli_it_says_so(tmp_path: Path) -> None:
    """A machine without az is sent to the Cloud Shell."""
    tenant = Tenant(tmp_path)
    (tmp_path / "az").unlink()
    completed = tenant.run(CLIENT)
    assert completed.returncode == 1
    assert "Cloud Shell" in completed.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["defender-alerts"],
        [CLIENT, PRINCIPAL],
        ["--help"],
        [f"{CLIENT}'"],
        ["--hunting"],
        [CLIENT, "--hunting"],
        ["--hunting", "--hunting", CLIENT],
        ["--entity-alerts"],
        ["--entity-alerts", "--hunting", CLIENT],
        ["--hunting", "--entity-alerts", CLIENT],
    ],
)
def test_anything_but_one_id_is_explained(tmp_path: Path, arguments: list[str]) -> None:
    """Nothing is called unless there is one id, of the form that ids have."""
    completed = Tenant(tmp_path).run(*arguments)
    assert completed.returncode == 1
    assert "Usage:" in completed.stderr
    assert "identityClientId" in completed.stderr
    assert not (tmp_path / "calls.jsonl").exists()


def test_other_clouds_have_a_graph_of_their_own(tmp_path: Path) -> None:
    """In Azure Government the script calls the Graph that the Azure CLI names for it."""
    tenant = Tenant(tmp_path, graph="https://graph.microsoft.us/")
    assert tenant.run(CLIENT).returncode == 0
    calls = (tmp_path / "calls.jsonl").read_text()
    assert calls.count("https://graph.microsoft.us/v1.0/") == len(tenant.methods)


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """The file that catches errors goes again, whichever way the script ends."""
    tenant = Tenant(tmp_path, forbidden=["POST"])
    (tmp_path / "temporary").mkdir()
    mktemp = tmp_path / "mktemp"
    mktemp.unlink()
    mktemp.write_text(f"#!/bin/sh\nexec {shutil.which('mktemp')} -p {tmp_path / 'temporary'}\n")
    mktemp.chmod(0o755)
    assert tenant.run(CLIENT).returncode == 1
    assert list((tmp_path / "temporary").iterdir()) == []


def test_shellcheck_has_nothing_to_say() -> None:
    """The shell script is clean by shellcheck's own rules, all of them."""
    completed = subprocess.run(  # noqa: S603 - of the virtual environment
        [Path(sys.executable).with_name("shellcheck"), "--severity=style", SHELL],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert (completed.returncode, completed.stdout) == (0, "")
    assert SHELL.stat().st_mode & 0o111


def test_the_powershell_script_is_powershell() -> None:
    """It can be read to the end without an error; a missing brace would be one."""
    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    text = POWERSHELL.read_bytes()
    assert not parser.parse(text).root_node.has_error
    assert parser.parse(text.replace(b"}", b"", 1)).root_node.has_error


def test_both_scripts_grant_the_same() -> None:
    """Application, role, rights and advice are the same words in both, and those that the app itself uses."""
    texts = [SHELL.read_text("utf-8"), POWERSHELL.read_text("utf-8")]
    same = [
        f"'{permission.APPLICATION}'",
        f"'{permission.ROLE}'",
        "'WindowsDefenderATP'",
        "AppRoleAssignment.ReadWrite.All",
        "Application.Read.All",
        "Privileged Role Administrator",
        "already exists",
        "Authorization_RequestDenied",
        "GET /api/operations/status?refresh=true",
        "24 hours",
        f"'{GRAPH_APPLICATION}'",
        f"'{graph.ROLE}'",
        f"'{create_alert.ROLE}'",
        "creates alerts and incidents, and reads and changes none",
        "opens every table of advanced hunting to the app: events of devices, and also mail, identities",
        "POST /api/operations/try",
        "https://graph.microsoft.us",
        "https://dod-graph.microsoft.us",
    ]
    for text in texts:
        assert [words for words in same if words not in text] == []
        assert not {ROLE_ID, HUNTING_ID, CREATE_ID} & set(
            re.findall(r"[0-9a-f-]{36}", text)
        )  # found by their names
    assert permission.GRANT.split()[0] == f"infra/{SHELL.name}"
    assert re.search(r"\[guid\] \$Identity", texts[1])
