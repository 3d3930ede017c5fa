"""The infrastructure's files: that they hold together, and say what they promise. Nothing here compiles them."""

import copy
import itertools
import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import tree_sitter
import tree_sitter_bicep
import yaml

from dev import lock
from shared import settings
from shared.operations import permission
from tests.checks import arm
from tests.checks.expressions import GROUP, SUBSCRIPTION, ExpressionError, Mark, strings

ROOT = Path(__file__).parents[2]
INFRA = ROOT / "infra"
DOCUMENT = json.loads((INFRA / "azuredeploy.json").read_text("utf-8"))
FORM = json.loads((INFRA / "createUiDefinition.json").read_text("utf-8"))["parameters"]
BICEP = (INFRA / "main.bicep").read_text("utf-8")
AZD = yaml.safe_load((ROOT / "azure.yaml").read_text("utf-8"))
# Where this repository lives is not known to it: one line of the README holds this in its place.
PLACEHOLDER = re.compile(r"OWNER(/|%2F)REPOSITORY")

EVERYTHING = {
    "alertEmail": "soc@contoso.example",
    "findEvents": "true",
    "packageUri": "https://soc.example/package.zip",
    "storageLog": True,
}
NOTHING = {"healthTest": False}
ROLES = {  # https://learn.microsoft.com/azure/role-based-access-control/built-in-roles
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "Microsoft.Storage/storageAccounts",  # Storage Blob Data Owner
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "Microsoft.Storage/storageAccounts",  # … Table Data Contributor
    "3913510d-42f4-4e42-8a64-420c390055eb": "Microsoft.Insights/components",  # Monitoring Metrics Publisher
}
NOT_ON_FLEX = {  # "Flex Consumption plan deprecations" in Microsoft's app settings reference
    "alwaysOn",
    "ftpsState",
    "functionAppScaleLimit",
    "functionsRuntimeScaleMonitoringEnabled",
    "linuxFxVersion",
    "netFrameworkVersion",
    "preWarmedInstanceCount",
    "use32BitWorkerProcess",
    "ENABLE_ORYX_BUILD",
    "FUNCTIONS_EXTENSION_VERSION",
    "FUNCTIONS_WORKER_RUNTIME",
    "SCM_DO_BUILD_DURING_DEPLOYMENT",
    "WEBSITE_CONTENTSHARE",
    "WEBSITE_RUN_FROM_PACKAGE",
}


def deployed(given: dict[str, Any] | None = None, **options: str) -> list[dict[str, Any]]:
    """Return the resources that a deployment with these parameters makes."""
    return arm.Template(DOCUMENT, given, **options).resources()


def only(resources: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the only resource of a type."""
    (resource,) = (each for each in resources if each["type"] == kind)
    return resource


def before(resources: list[dict[str, Any]], resource_id: str) -> set[str]:
    """Return the ids of all that is there before a resource is made."""
    needs = {each["id"]: set(each.get("dependsOn", ())) for each in resources}
    earlier: set[str] = set()
    pending = [resource_id]
    while pending:
        new = needs.get(pending.pop(), set()) - earlier
        earlier |= new
        pending += new
    return earlier


def made(resources: list[dict[str, Any]]) -> set[str]:
    """Return the ids of resources, and of the subnets that are part of a network."""
    subnets = (
        f"{each['id']}/subnets/{subnet['name']}"
        for each in resources
        for subnet in each.get("properties", {}).get("subnets", ())
    )
    return {*(each["id"] for each in resources), *subnets}


def references(value: Any) -> set[str]:
    """Return the ids of the resources whose run-time properties stand in a value."""
    return {reference for text in strings(value) for reference in re.findall(r"<([^>]+)>", text)}


def setting(resources: list[dict[str, Any]], name: str) -> str:
    """Return an app setting."""
    entries = only(resources, "Microsoft.Web/sites")["properties"]["siteConfig"]["appSettings"]
    values: dict[str, str] = {each["name"]: each["value"] for each in entries}
    return values[name]


def elements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every element of the form with the expression that stands for its value."""
    for element in FORM["basics"]:
        yield f"basics('{element['name']}')", element
    for step in FORM["steps"]:
        for element in step["elements"]:
            yield f"steps('{step['name']}').{element['name']}", element


def bicep() -> tree_sitter.Node:
    """Return the root of main.bicep's syntax tree."""
    return (
        tree_sitter.Parser(tree_sitter.Language(tree_sitter_bicep.language())).parse(BICEP.encode()).root_node
    )


def nodes(kind: str) -> list[str]:
    """Return the text of every node of a kind in main.bicep."""
    return [each.text.decode() for each in bicep().children if each.type == kind and each.text]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("plain", "plain"),
        ("[[not an expression]", "[not an expression]"),
        ("[format('{{{0}}} it''s {1}', 'a', 2)]", "{a} it's 2"),
        ("[variables('clouds')['Commercial'].api]", "https://api.securitycenter.windows.com"),
        ("[if(empty(parameters('alertEmail')), createArray(), createArray('x'))]", []),
        ("[reference(variables('siteId')).defaultHostName]", None),
        ("[string(createObject('a', createArray(1, true())))]", ExpressionError),
        ("[variables('no such')]", ExpressionError),
        ("[parameters('no such')]", ExpressionError),
        ("[resourceId('Microsoft.Web/sites')]", ExpressionError),
        ("[concat('a',)]", ExpressionError),
        ("[variables('roles').noSuchRole]", ExpressionError),
    ],
)
def test_expressions_are_understood(expression: str, value: object) -> None:
    """The reader evaluates what is right, and finds what is wrong: the tests below lean on it."""
    template = arm.Template(DOCUMENT)
    if value is ExpressionError:
        with pytest.raises(ExpressionError):
            template.value(expression)
    elif value is None:
        assert isinstance(template.value(expression), Mark)
    else:
        assert template.value(expression) == value


@pytest.mark.parametrize("kind", ["parameters", "variables"])
def test_everything_declared_is_used_and_everything_used_declared(kind: str) -> None:
    """No parameter or variable is left over, none is missing, and each is named by a literal."""
    used = list(arm.calls(DOCUMENT, kind))
    assert {name for (name,) in used} == set(DOCUMENT[kind])
    assert all(isinstance(name, str) for (name,) in used)


def test_every_parameter_explains_itself_and_has_a_default() -> None:
    """A deployment needs no answer, and every question can be understood."""
    for declared in DOCUMENT["parameters"].values():
        assert declared["metadata"]["description"].endswith(".")
        assert "defaultValue" in declared


def test_every_expression_can_be_evaluated() -> None:
    """Whatever is chosen, in public Azure and in Azure Government, every name and function is there."""
    choices = {
        name: declared.get("allowedValues", [False, True])
        for name, declared in DOCUMENT["parameters"].items()
        if "allowedValues" in declared or declared["type"] == "bool"
    }
    cases: tuple[dict[str, Any], ...] = (EVERYTHING, {"alwaysReadyInstances": 2})
    for name, values in choices.items():
        for value, more, cloud in itertools.product(values, cases, arm.CLOUDS):
            template = arm.Template(DOCUMENT, {**more, name: value}, cloud=cloud)
            assert len(template.resources()) > 10
            assert template.value(DOCUMENT["outputs"])


@pytest.mark.parametrize(
    "given", [EVERYTHING, NOTHING, {}, {"network": "privateStorage"}, {"network": "private"}]
)
def test_every_reference_is_to_something_deployed_before(given: dict[str, Any]) -> None:
    """Nothing depends on what is not in the template, and properties are read of what is there by then."""
    resources, declared = deployed(given), copy.deepcopy(DOCUMENT)
    for each in declared["resources"]:
        each.pop("condition", None)
    known, there = made(arm.Template(declared, given).resources()), made(resources)
    assert len({each["id"] for each in resources}) == len(resources)
    for each in resources:
        assert set(each.get("dependsOn", ())) <= known
        assert references({**each, "dependsOn": []}) <= before(resources, each["id"]) & there
        ids = {text for text in strings(each) if text.startswith(f"{GROUP}/providers/")}
        assert ids <= known
        assert ids - set(each.get("dependsOn", ())) <= there
    assert references(arm.Template(DOCUMENT, given).value(DOCUMENT["outputs"])) <= there


def test_first_the_identity_then_its_roles_then_the_app() -> None:
    """The app starts when its identity has its roles, so that its first tokens carry them; code comes last."""
    resources = deployed(EVERYTHING)
    app, code = only(resources, "Microsoft.Web/sites"), only(resources, "Microsoft.Web/sites/extensions")
    roles = [each for each in resources if each["type"] == "Microsoft.Authorization/roleAssignments"]
    identity = only(resources, "Microsoft.ManagedIdentity/userAssignedIdentities")
    assert {identity["id"], *(each["id"] for each in roles)} <= before(resources, app["id"])
    assert all(identity["id"] in before(resources, each["id"]) for each in roles)
    assert app["id"] in before(resources, code["id"])
    assert app["identity"] == {"type": "UserAssigned", "userAssignedIdentities": {identity["id"]: {}}}


def test_the_identity_has_the_least_roles() -> None:
    """Three roles, each on the one resource it is for, under names that are the same at every deployment."""
    roles = {}
    for each in deployed():
        if each["type"] == "Microsoft.Authorization/roleAssignments":
            role = each["properties"]["roleDefinitionId"]
            prefix = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/"
            roles[role.removeprefix(prefix)] = each["scope"].rpartition("/")[0]
            assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", each["name"])
            assert each["properties"]["principalId"].endswith(">.principalId")
            assert each["properties"]["principalType"] == "ServicePrincipal"
    assert roles == ROLES
    names = [each["name"] for each in deployed() if "scope" in each]
    assert len(set(names)) == len(names)


def test_no_key_opens_anything() -> None:
    """Storage and telemetry take the identity only; no expression lists keys; the package's address is secret."""
    resources = deployed(EVERYTHING)
    storage = only(resources, "Microsoft.Storage/storageAccounts")["properties"]
    assert storage["allowSharedKeyAccess"] is False
    assert storage["allowBlobPublicAccess"] is False
    assert storage["supportsHttpsTrafficOnly"] is True
    assert storage["minimumTlsVersion"] == "TLS1_2"
    assert only(resources, "Microsoft.Insights/components")["properties"]["DisableLocalAuth"] is True
    workspace = only(resources, "Microsoft.OperationalInsights/workspaces")["properties"]
    assert workspace["features"]["disableLocalAuth"] is True
    policy = only(resources, "Microsoft.Web/sites/basicPublishingCredentialsPolicies")
    assert policy["properties"] == {"allow": False}
    text = json.dumps(DOCUMENT)
    assert "listKeys" not in text
    assert "AccountKey" not in text
    assert "SharedAccessSignature" not in text
    assert DOCUMENT["parameters"]["packageUri"]["type"] == "securestring"
    assert "packageUri" not in json.dumps(DOCUMENT["outputs"])


def test_the_plan_is_flex_consumption() -> None:
    """Linux, Python, its scale where Flex Consumption reads it, and nothing that it refuses."""
    resources = deployed({"alwaysReadyInstances": 2, "httpConcurrency": 8})
    plan, app = only(resources, "Microsoft.Web/serverfarms"), only(resources, "Microsoft.Web/sites")
    assert (plan["sku"], plan["properties"]) == (
        {"name": "FC1", "tier": "FlexConsumption"},
        {"reserved": True},
    )
    config = app["properties"]["functionAppConfig"]
    assert app["kind"] == "functionapp,linux"
    assert app["properties"]["httpsOnly"] is True
    assert app["properties"]["serverFarmId"] == plan["id"]
    assert config["runtime"] == {"name": "python", "version": "3.13"}
    assert config["scaleAndConcurrency"] == {
        "instanceMemoryMB": 2048,
        "maximumInstanceCount": 5,
        "alwaysReady": [{"name": "http", "instanceCount": 2}],
        "triggers": {"http": {"perInstanceConcurrency": 8}},
    }
    where = config["deployment"]["storage"]
    assert where["type"] == "blobContainer"
    assert where["value"].endswith(">.primaryEndpoints.blobapp-package")
    assert where["authentication"]["type"] == "UserAssignedIdentity"
    assert not NOT_ON_FLEX & set(strings(app))
    default = only(deployed(), "Microsoft.Web/sites")["properties"]["functionAppConfig"]
    assert default["scaleAndConcurrency"]["alwaysReady"] == []
    assert default["scaleAndConcurrency"]["triggers"] == {"http": {"perInstanceConcurrency": 16}}


def test_the_host_opens_its_storage_by_identity() -> None:
    """By account name in public Azure; elsewhere by endpoint, because the host knows one suffix only."""
    public, government = deployed(), deployed(cloud="AzureUSGovernment")
    account = only(public, "Microsoft.Storage/storageAccounts")["name"]
    assert setting(public, "AzureWebJobsStorage__accountName") == account
    with pytest.raises(KeyError):
        setting(government, "AzureWebJobsStorage__accountName")
    suffix = f"{account}.blob.core.usgovcloudapi.net"
    assert setting(government, "AzureWebJobsStorage__blobServiceUri") == f"https://{suffix}"
    for resources in (public, government):
        assert setting(resources, "AzureWebJobsStorage__credential") == "managedidentity"
        client = setting(resources, "AzureWebJobsStorage__clientId")
        assert client == setting(resources, "AZURE_CLIENT_ID")
        assert client.endswith(">.clientId")


def test_the_log_takes_the_identity_where_azure_offers_it() -> None:
    """Only public Azure takes telemetry by Entra ID: elsewhere, the setting and the closed door would lose the log."""
    public, government = deployed(), deployed(cloud="AzureUSGovernment")
    name = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING"
    assert setting(public, name) == f"ClientId={setting(public, 'AZURE_CLIENT_ID')};Authorization=AAD"
    with pytest.raises(KeyError):
        setting(government, name)
    doors = [only(each, "Microsoft.Insights/components")["properties"] for each in (public, government)]
    assert [each["DisableLocalAuth"] for each in doors] == [True, False]


@pytest.mark.parametrize("cloud", DOCUMENT["parameters"]["defenderCloud"]["allowedValues"])
def test_each_defender_cloud_has_a_host_and_an_audience_that_fit(cloud: str) -> None:
    """The app itself finds nothing wrong with the pair, and the docs tell the same pair."""
    resources = deployed({"defenderCloud": cloud})
    read = settings.read(
        {name: setting(resources, name) for name in ("DEFENDER_API_URL", "DEFENDER_TOKEN_SCOPE")}
    )
    url, scope = read.defender_api_url, read.defender_token_scope
    now = datetime.now(UTC)
    assert not permission.wrong(None, api_url=url, scope=scope, client_id=None, tenant_id=None, now=now)
    assert scope.endswith("/.default")
    near = re.sub(r"//(us|eu|uk|au|swa|ina|aea)\.", "//eu.", url)
    assert f"| `{near}` | `{scope}` |" in (ROOT / "docs" / "settings.md").read_text("utf-8")
    own = {"defenderApiUrl": "https://api.example", "defenderTokenScope": "https://aud.example/.default"}
    assert setting(deployed({"defenderCloud": cloud, **own}), "DEFENDER_API_URL") == "https://api.example"
    assert (
        setting(deployed({"defenderCloud": cloud, **own}), "DEFENDER_TOKEN_SCOPE")
        == own["defenderTokenScope"]
    )


def test_the_clouds_are_those_of_the_list() -> None:
    """Every cloud that can be chosen is defined, and none is defined that cannot be chosen."""
    assert list(DOCUMENT["variables"]["clouds"]) == DOCUMENT["parameters"]["defenderCloud"]["allowedValues"]


def test_each_cloud_signs_in_to_the_graph_it_is_searched_in() -> None:
    """GCC High and DoD have a Graph of their own each, GCC has the commercial one; PowerShell's words fit them."""
    graphs = {
        "Global": "https://graph.microsoft.com",
        "USGov": "https://graph.microsoft.us",
        "USGovDoD": "https://dod-graph.microsoft.us",
    }
    offered = re.findall(r"ValidateSet\((.*)\)", (INFRA / "grant-defender-role.ps1").read_text("utf-8"))
    assert offered == [", ".join(f"'{name}'" for name in graphs)]
    for cloud in DOCUMENT["parameters"]["defenderCloud"]["allowedValues"]:
        template = arm.Template(DOCUMENT, {"defenderCloud": cloud})
        name = template.value(DOCUMENT["outputs"])["graphEnvironment"]["value"]
        assert setting(template.resources(), "GRAPH_API_URL") == graphs[name]
        assert setting(template.resources(), "GRAPH_TOKEN_SCOPE") == f"{graphs[name]}/.default"
        assert (name == "Global") == (".com" in graphs[name])
        assert {"High": "USGov", "DoD": "USGovDoD"}.get(cloud.split()[-1], "Global") == name


def test_code_is_installed_only_if_there_is_an_address() -> None:
    """`onedeploy` fetches the package from packageUri, and builds it in Azure if asked to."""
    assert not [each for each in deployed() if each["type"] == "Microsoft.Web/sites/extensions"]
    for build in (False, True):
        code = only(deployed({**EVERYTHING, "remoteBuild": build}), "Microsoft.Web/sites/extensions")
        assert code["name"].endswith("/onedeploy")
        assert code["properties"] == {"packageUri": EVERYTHING["packageUri"], "remoteBuild": build}


def test_the_deploy_button_installs_the_newest_release() -> None:
    """The repository that the template was read from has it; an address of one's own goes before it."""
    link = "https://raw.githubusercontent.com/contoso/webhook/main/infra/azuredeploy.json"
    release = "https://github.com/contoso/webhook/releases/latest/download/"
    for given, name in (
        ({}, "defender-alert-webhook-3.13.zip"),
        ({"pythonVersion": "3.12"}, "defender-alert-webhook-3.12.zip"),
        ({"remoteBuild": True}, "source.zip"),
    ):
        code = only(deployed(given, link=link), "Microsoft.Web/sites/extensions")
        assert code["properties"]["packageUri"] == release + name
    code = only(deployed(EVERYTHING, link=link), "Microsoft.Web/sites/extensions")
    assert code["properties"]["packageUri"] == EVERYTHING["packageUri"]
    elsewhere = deployed(link="https://files.contoso.example/azuredeploy.json")
    assert not [each for each in elsewhere if each["type"] == "Microsoft.Web/sites/extensions"]
    written = (ROOT / "dev" / "package.py").read_text("utf-8")
    assert 'f"defender-alert-webhook-{version}.zip"' in written
    assert '"source.zip"' in written


def test_only_who_is_listed_reaches_the_app() -> None:
    """With addresses or tags of Azure, all others are refused, but not the health test; without, nobody is."""
    site = only(deployed({"allowedAddresses": "203.0.113.0/24, LogicApps"}), "Microsoft.Web/sites")
    config = site["properties"]["siteConfig"]
    assert config["ipSecurityRestrictionsDefaultAction"] == "Deny"
    assert [
        (each["ipAddress"], each["tag"], each["priority"]) for each in config["ipSecurityRestrictions"]
    ] == [
        ("ApplicationInsightsAvailability", "ServiceTag", 99),
        ("203.0.113.0/24", "Default", 100),
        ("LogicApps", "ServiceTag", 101),
    ]
    assert {each["action"] for each in config["ipSecurityRestrictions"]} == {"Allow"}
    silent = only(deployed({"allowedAddresses": "2001:db8::/32", **NOTHING}), "Microsoft.Web/sites")
    (rule,) = silent["properties"]["siteConfig"]["ipSecurityRestrictions"]
    assert (rule["ipAddress"], rule["tag"]) == ("2001:db8::/32", "Default")
    everybody = only(deployed(), "Microsoft.Web/sites")["properties"]["siteConfig"]
    assert everybody["ipSecurityRestrictions"] == []
    assert everybody["ipSecurityRestrictionsDefaultAction"] == "Allow"


@pytest.mark.parametrize(
    ("cloud", "zones"),
    [
        ("AzureCloud", ["blob.core.windows.net", "table.core.windows.net", "azurewebsites.net"]),
        (
            "AzureUSGovernment",
            ["blob.core.usgovcloudapi.net", "table.core.usgovcloudapi.net", "azurewebsites.us"],
        ),
    ],
)
def test_a_private_network_has_all_that_the_app_needs_in_it(cloud: str, zones: list[str]) -> None:
    """Doors to blobs, table and app, each found by its name in the network; the app starts when its storage is."""
    resources = deployed({"network": "private"}, cloud=cloud)
    by_type: dict[str, list[dict[str, Any]]] = {}
    for each in resources:
        by_type.setdefault(each["type"].removeprefix("Microsoft.Network/"), []).append(each)
    named = [f"privatelink.{zone}" for zone in zones]
    assert [each["name"] for each in by_type["privateDnsZones"]] == named
    endpoints = by_type["privateEndpoints"]
    doors = [each["properties"]["privateLinkServiceConnections"][0]["properties"] for each in endpoints]
    assert [each["groupIds"] for each in doors] == [["blob"], ["table"], ["sites"]]
    app, storage = (only(resources, f"Microsoft.{kind}") for kind in ("Web/sites", "Storage/storageAccounts"))
    assert [each["privateLinkServiceId"] for each in doors] == [storage["id"], storage["id"], app["id"]]
    groups = by_type["privateEndpoints/privateDnsZoneGroups"]
    for endpoint, group, zone in zip(endpoints, groups, by_type["privateDnsZones"], strict=True):
        assert group["name"] == f"{endpoint['name']}/default"
        assert endpoint["id"] in group["dependsOn"]
        (config,) = group["properties"]["privateDnsZoneConfigs"]
        assert config["properties"]["privateDnsZoneId"] == zone["id"]
    (network,) = by_type["virtualNetworks"]
    for name, link in zip(named, by_type["privateDnsZones/virtualNetworkLinks"], strict=True):
        assert link["name"].startswith(f"{name}/")
        assert link["properties"]["virtualNetwork"]["id"] == network["id"]
    subnets = {each["name"]: each["properties"] for each in network["properties"]["subnets"]}
    assert subnets["app"]["delegations"][0]["properties"]["serviceName"] == "Microsoft.App/environments"
    assert {each["addressPrefix"] for each in subnets.values()} == {"10.87.0.0/26", "10.87.0.64/26"}
    assert app["properties"]["virtualNetworkSubnetId"] == f"{network['id']}/subnets/app"
    assert {each["properties"]["subnet"]["id"] for each in endpoints} == {
        f"{network['id']}/subnets/endpoints"
    }
    earlier = before(resources, app["id"])
    assert {each["id"] for each in [*groups[:2], *by_type["privateDnsZones/virtualNetworkLinks"]]} <= earlier
    assert [each["properties"]["publicNetworkAccess"] for each in (app, storage)] == ["Disabled"] * 2
    assert not any(
        each["type"] == "Microsoft.Insights/webtests" for each in resources
    )  # it comes from outside


def test_the_storage_account_alone_can_be_private() -> None:
    """Senders of the internet still reach the app, and so does the health test; by default there is no network."""
    resources = deployed({"network": "privateStorage"})
    kinds = [each["type"] for each in resources]
    assert kinds.count("Microsoft.Network/privateEndpoints") == 2
    assert kinds.count("Microsoft.Network/privateDnsZones") == 2
    assert kinds.count("Microsoft.Insights/webtests") == 1
    doors = [
        only(of, kind)["properties"]["publicNetworkAccess"]
        for of in (resources, deployed())
        for kind in ("Microsoft.Web/sites", "Microsoft.Storage/storageAccounts")
    ]
    assert doors == ["Enabled", "Disabled", "Enabled", "Enabled"]
    assert not any("Microsoft.Network" in each["type"] for each in deployed())
    assert only(deployed(), "Microsoft.Web/sites")["properties"]["virtualNetworkSubnetId"] is None


def test_the_secrets_of_signatures_are_settings_again_at_each_deployment() -> None:
    """Each pair is a setting of its name, whatever signs the secret has; the parameter is never shown."""
    reference = "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s)"
    given = {"senderSecrets": f" HOOK_SECRET=whsec_QUJDRA==  GITHUB_SECRET={reference} "}
    assert setting(deployed(given), "HOOK_SECRET") == "whsec_QUJDRA=="
    assert setting(deployed(given), "GITHUB_SECRET") == reference
    signs = '{{"hooks": {{"keys": ["0123456789"], "signature": "standard", "secret": "{}"}}}}'
    resources = deployed({**given, "senders": signs.format("HOOK_SECRET")})
    entries = only(resources, "Microsoft.Web/sites")["properties"]["siteConfig"]["appSettings"]
    read = settings.read({each["name"]: each["value"] for each in entries})
    assert read.senders[0].signature
    assert len(entries) == len({each["name"] for each in entries})
    assert (
        len(only(deployed(), "Microsoft.Web/sites")["properties"]["siteConfig"]["appSettings"])
        == len(entries) - 2
    )
    assert DOCUMENT["parameters"]["senderSecrets"]["type"] == "securestring"
    assert "senderSecrets" not in json.dumps(DOCUMENT["outputs"])
    # Without this, a reference would be resolved by an identity that the app does not have.
    app = only(resources, "Microsoft.Web/sites")
    assert app["properties"]["keyVaultReferenceIdentity"] in app["identity"]["userAssignedIdentities"]


@pytest.mark.parametrize("given", ["GITHUB_SECRET", "GITHUB_SECRET=a secret"])
def test_a_secret_without_a_name_stops_the_deployment(given: str) -> None:
    """A forgotten sign, or a blank within a secret: no setting has a secret for its name, where names are shown."""
    with pytest.raises(ExpressionError):
        deployed({"senderSecrets": given})


def test_the_host_refuses_what_the_app_would() -> None:
    """A body that is far too large is not read into memory; one that is a little too large gets the app's 413."""
    for given in (2048, 1_048_576):
        limit = int(setting(deployed({"maxPayloadBytes": given}), "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"))
        assert given < limit <= given + 100_000


def test_requests_to_the_storage_account_can_be_logged() -> None:
    """If asked for, of blobs (code, keys) and of the table, into the workspace."""
    kind = "Microsoft.Insights/diagnosticSettings"
    assert not [each for each in deployed() if each["type"] == kind]
    resources = deployed({"storageLog": True})
    found = [each for each in resources if each["type"] == kind]
    account = only(resources, "Microsoft.Storage/storageAccounts")["name"]
    scopes = [
        f"Microsoft.Storage/storageAccounts/{account}/{each}Services/default" for each in ("blob", "table")
    ]
    assert [each["scope"] for each in found] == scopes
    workspace = only(resources, "Microsoft.OperationalInsights/workspaces")["id"]
    for each in found:
        assert each["properties"]["workspaceId"] == workspace
        assert {log["category"] for log in each["properties"]["logs"]} == {
            "StorageRead",
            "StorageWrite",
            "StorageDelete",
        }


def test_the_template_offers_what_can_be_packaged() -> None:
    """Every Python of the template has a package, and the default is the same."""
    declared = DOCUMENT["parameters"]["pythonVersion"]
    assert tuple(declared["allowedValues"]) == lock.PYTHONS
    assert declared["defaultValue"] == lock.PYTHONS[0]


def test_alert_rules_tell_somebody_if_there_is_an_address() -> None:
    """Failed alerts, a long wait, no permission, a 503, a flood, 422s, a failing health test: all are seen."""
    resources = deployed(EVERYTHING)
    group = only(resources, "Microsoft.Insights/actionGroups")
    assert group["properties"]["emailReceivers"][0]["emailAddress"] == EVERYTHING["alertEmail"]
    rules = [each for each in resources if each["type"] == "Microsoft.Insights/scheduledQueryRules"]
    assert [rule["properties"]["actions"]["actionGroups"] for rule in rules] == [[group["id"]]] * 8
    health = only(resources, "Microsoft.Insights/metricAlerts")
    assert health["properties"]["actions"] == [{"actionGroupId": group["id"]}]
    silent = deployed()
    assert not [each for each in silent if each["type"] == "Microsoft.Insights/actionGroups"]
    assert group["id"] not in json.dumps([{**each, "dependsOn": []} for each in silent])


def rules(given: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the rules over the log, by what stands behind the app's name in theirs."""
    app = only(deployed(), "Microsoft.Web/sites")["name"]
    return {
        each["name"].removeprefix(f"{app}-"): each["properties"]
        for each in deployed(given)
        if each["type"] == "Microsoft.Insights/scheduledQueryRules"
    }


def minutes(duration: str) -> int:
    """Return the minutes of a duration in ISO 8601."""
    (text,) = re.findall(r"^PT(\d+)M$", duration)
    return int(text)


def test_the_rules_ask_what_they_are_named_for() -> None:
    """Each reads the log that came late as well: its window is longer than the time between two evaluations.

    Its query is not checked against the workspace's tables, which a component made just now does not have.
    """
    found = rules({"oldestWaitingMinutes": 45, "findEvents": "trial"})
    conditions = {name: rule["criteria"]["allOf"][0] for name, rule in found.items()}
    always = {"failed", "oldest-waiting", "no-permission", "table", "flood", "refused"}
    assert set(rules({})) == always
    assert set(found) == always | {"searches", "hunting"}
    assert "line.stage == 'search'" in conditions["searches"]["query"]
    assert "line.stage == 'search' and toint(line.status) in (401, 403)" in conditions["hunting"]["query"]
    assert "tostring(line.stage) != 'search'" in conditions["failed"]["query"]
    assert "tostring(line.stage) != 'search'" in conditions["no-permission"]["query"]
    assert "line.state == 'failed'" in conditions["failed"]["query"]
    assert "in (401, 403)" in conditions["no-permission"]["query"]
    assert "line.step == 'table'" in conditions["table"]["query"]
    assert "by sender" in conditions["flood"]["query"]
    assert "refused > 0 and created == 0" in conditions["refused"]["query"]
    oldest = conditions["oldest-waiting"]
    assert (oldest["threshold"], oldest["timeAggregation"]) == (45, "Maximum")
    assert f"{oldest['metricMeasureColumn']} = " in oldest["query"]
    for rule in found.values():
        assert minutes(rule["evaluationFrequency"]) < minutes(rule["windowSize"])
        assert rule["skipQueryValidation"] is True
    at_once = {"numberOfEvaluationPeriods": 1, "minFailingPeriodsToAlert": 1}
    assert all(condition["failingPeriods"] == at_once for condition in conditions.values())
    assert all(condition["operator"] == "GreaterThan" for condition in conditions.values())
    assert all(rule["enabled"] for rule in found.values())


def test_a_mail_leads_to_the_page_and_names_the_error() -> None:
    """Each address in a rule's words has its host, and each part of the page that it names is one."""
    script = (ROOT / "shared" / "web" / "console" / "main.js").read_text("utf-8")
    (parts,) = re.findall(r"const PARTS = \{(.+)\};", script)
    described = rules({"findEvents": "true"})
    for each in (*described.values(), only(deployed(), "Microsoft.Insights/metricAlerts")["properties"]):
        words = str(each["description"])
        assert words.count("/api/") == len(
            re.findall(r"https://<[^>]+/sites/[^>]+>\.defaultHostName/api/", words)
        )
        assert all(part in re.findall(r"\w+", parts) for part in re.findall(r"console#(\w+)", words)), words
    for name in ("failed", "searches"):
        assert "console#alerts?status=failed" in described[name]["description"]
        assert "code = tostring(line.code)" in described[name]["criteria"]["allOf"][0]["query"]


def test_the_operators_page_says_what_to_do_about_each_rule() -> None:
    """The table names every rule as its mail does, in the template's order."""
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    table = page.partition("\n## When a mail comes\n")[2].partition("\n## ")[0]
    titles = [
        each["displayName"].removeprefix("Defender alert webhook: ")
        for each in rules({"findEvents": "true"}).values()
    ]
    assert re.findall(r"^\| (?!rule )(.+?) \| .+ \| .+ \|$", table, re.MULTILINE) == [
        *titles,
        "`<app>-health`",
    ]


def test_the_health_test_asks_the_health_function() -> None:
    """The address is the one that HealthFunction serves, and 200 is well; the test can be left out.

    It fails when two of its three places say so, within a window that holds a run of each.
    """
    resources = deployed()
    test = only(resources, "Microsoft.Insights/webtests")
    route = json.loads((ROOT / "HealthFunction" / "function.json").read_text("utf-8"))["bindings"][0]
    assert route["authLevel"] == "anonymous"
    assert test["properties"]["Request"]["RequestUrl"].endswith(f"/api/{route['route']}")
    assert (test["kind"], test["properties"]["Kind"]) == ("standard", "standard")
    assert test["properties"]["ValidationRules"]["ExpectedHttpStatusCode"] == 200
    assert len({each["Id"] for each in test["properties"]["Locations"]}) == 3
    alert = only(resources, "Microsoft.Insights/metricAlerts")["properties"]
    assert alert["criteria"]["webTestId"] == test["id"]
    assert alert["criteria"]["failedLocationCount"] == 2
    assert minutes(alert["windowSize"]) * 60 > test["properties"]["Frequency"]
    assert alert["scopes"] == [test["id"], alert["criteria"]["componentId"]]
    kinds = {each["type"] for each in deployed(NOTHING)}
    assert not kinds & {"Microsoft.Insights/webtests", "Microsoft.Insights/metricAlerts"}


def test_the_workbook_shows_quota_backlog_and_outcomes() -> None:
    """What is deployed is the workbook as a JSON text, every query of it over the log of this app."""
    resources = deployed({"rateLimitCalls": 7, "findEventsCalls": 3})
    workbook = json.loads(only(resources, "Microsoft.Insights/workbooks")["properties"]["serializedData"])
    shown = {each["name"]: each["content"] for each in workbook["items"]}
    assert {"outcomes", "quota", "backlog", "oldest", "searches"} <= set(shown)
    assert "allowed = 7" in shown["quota"]["query"]
    assert "allowed = 3" in shown["searching"]["query"]
    assert "line.stage == 'search'" in shown["searches"]["query"]
    queries = [content for content in shown.values() if "query" in content]
    assert all(
        content["query"].startswith("traces | where message startswith '{\"step\"'") for content in queries
    )
    assert all(content["timeContextFromParameter"] == "TimeRange" for content in queries)
    assert workbook["fallbackResourceIds"] == [only(resources, "Microsoft.Insights/components")["id"]]


def test_the_host_logs_our_lines_whole_and_no_key() -> None:
    """No line of the log is sampled away, and the host does not write a URL, which may hold a key, beside them."""
    log = json.loads((ROOT / "host.json").read_text("utf-8"))["logging"]
    assert "Trace" in log["applicationInsights"]["samplingSettings"]["excludedTypes"].split(";")
    assert log["applicationInsights"]["enableDependencyTracking"] is False
    assert log["logLevel"]["default"] == "Information"
    assert log["logLevel"]["Microsoft.AspNetCore.Hosting.Diagnostics"] == "Warning"


def test_names_are_within_azures_limits() -> None:
    """With the longest name allowed, everything that is named after the app still has a valid name."""
    resources = deployed({**EVERYTHING, "appName": "a" * DOCUMENT["parameters"]["appName"]["maxLength"]})
    limits = {
        "Microsoft.Web/sites": 60,
        "Microsoft.Web/serverfarms": 60,
        "Microsoft.OperationalInsights/workspaces": 63,
    }
    assert all(len(each["name"]) <= limits.get(each["type"], 127) for each in resources)
    assert re.fullmatch(r"[a-z0-9]{3,24}", only(resources, "Microsoft.Storage/storageAccounts")["name"])
    previews = {  # there is no stable version that takes categories
        each["type"] for each in resources if not re.fullmatch(r"\d{4}-\d\d-\d\d", each["apiVersion"])
    }
    assert previews == {"Microsoft.Insights/diagnosticSettings"}
    assert len(only(resources, "Microsoft.Insights/actionGroups")["properties"]["groupShortName"]) <= 12


def test_the_form_fills_parameters_of_the_template() -> None:
    """Every output of the form is a parameter, made of an element that exists; every element is used."""
    assert set(FORM["outputs"]) <= set(DOCUMENT["parameters"])
    text = " ".join(FORM["outputs"].values())
    filled = dict(elements())
    silent = {"Microsoft.Common.TextBlock"}
    for expression, element in filled.items():
        assert (expression in text) == (element["type"] not in silent)
    used = re.findall(r"basics\('\w+'\)|steps\('\w+'\)\.\w+", re.sub(r"\[if\(equals\(.*?\)\.\w+", "", text))
    assert set(used) <= set(filled)
    assert len(used) == len(set(used))


def test_the_form_offers_what_the_template_allows() -> None:
    """Choices, limits and what is chosen at first are the template's own."""
    filled, checked = dict(elements()), 0
    for name, output in FORM["outputs"].items():
        declared = DOCUMENT["parameters"][name]
        if output == "[location()]":
            continue
        (element,) = (
            filled[each]
            for each in filled
            if output in (f"[{each}]", f"[int({each})]", where_shown(filled, each))
        )
        if element["type"] == "Microsoft.Common.DropDown":
            offered = {each["label"]: each["value"] for each in element["constraints"]["allowedValues"]}
            assert [str(value) for value in declared["allowedValues"]] == list(offered.values())
            assert offered[element["defaultValue"]] == str(declared["defaultValue"])
            assert output.startswith("[int(") == (declared["type"] == "int")
            checked += 1
        else:
            assert element.get("defaultValue", "") == declared["defaultValue"]
            assert (element["type"] == "Microsoft.Common.PasswordBox") == (name == "senderSecrets")
            assert element.get("min", 0) >= declared.get("minValue", 0)
            assert element.get("max", 0) <= declared.get("maxValue", element.get("max", 0))
            checked += 1
    assert checked == len(FORM["outputs"]) - 1


def where_shown(filled: dict[str, dict[str, Any]], expression: str) -> str:
    """Return the output of an element that is shown for some answers only: its first value where it is hidden."""
    element = filled[expression]
    hidden = re.fullmatch(r"\[not\((equals\(.+\))\)\]", str(element["visible"]))
    return f"[if({hidden[1]}, '{element['defaultValue']}', {expression})]" if hidden else ""


def test_the_form_asks_for_addresses_of_a_network_only_where_there_is_one() -> None:
    """For a public network the question is hidden, and the template gets its default whatever was written there."""
    hidden = {each["name"]: each["visible"] for _, each in elements() if each["visible"] is not True}
    assert hidden == {"networkAddresses": "[not(equals(steps('watch').network, 'public'))]"}
    default = DOCUMENT["parameters"]["networkAddresses"]["defaultValue"]
    expected = f"[if(equals(steps('watch').network, 'public'), '{default}', steps('watch').networkAddresses)]"
    assert FORM["outputs"]["networkAddresses"] == expected


def test_the_form_deploys_again_into_the_same_group() -> None:
    """Unless the form allows it, the portal refuses a group that is not empty: no upgrade by the button then."""
    assert FORM["config"]["basics"]["resourceGroup"] == {"allowExisting": True}


def test_the_form_accepts_its_own_defaults() -> None:
    """What a text box holds at first is valid, and so is a good answer; a bad one is not."""
    good = {
        "alertEmail": "soc@contoso.example",
        "allowedAddresses": "203.0.113.0/24, 2001:db8::/32,LogicApps",
        "networkAddresses": "10.1.2.0/25",
        "senders": '{"github": {"keys": ["0123456789"]}}',
        "senderSecrets": "GITHUB_SECRET=x=y HOOK_SECRET=whsec_QUJDRA==",
        "packageUri": "https://x.example/a.zip?sig=b",
        "retentionDays": "3650",
    }
    bad = {
        "alertEmail": "soc",
        "allowedAddresses": "203.0.113.7; x",
        "networkAddresses": "10.1.2.0/26",
        "senders": "github",
        "senderSecrets": "a secret",
        "packageUri": "http://x.example/a.zip",
        "retentionDays": "2",
    }
    kinds = ("Microsoft.Common.TextBox", "Microsoft.Common.PasswordBox")
    boxes = {each["name"]: each for _, each in elements() if each["type"] in kinds}
    assert set(boxes) == set(good)
    for name, box in boxes.items():
        rule = re.compile(box["constraints"]["regex"])
        assert rule.search(box.get("defaultValue", ""))
        assert rule.search(good[name])
        assert not rule.search(bad[name])


def test_every_question_of_the_form_has_a_tooltip() -> None:
    """Check boxes have one as well: the question alone does not say what follows."""
    asked = [each for _, each in elements() if each["type"] != "Microsoft.Common.TextBlock"]
    assert [each["name"] for each in asked if not each.get("toolTip")] == []


def test_main_bicep_is_bicep() -> None:
    """It can be read to the end without an error."""
    assert "module webhook 'azuredeploy.json'" in BICEP
    assert not bicep().has_error
    assert len(nodes("module_declaration")) == 1


def test_main_bicep_passes_all_that_the_template_takes() -> None:
    """Each parameter of azuredeploy.json is one of main.bicep, of the same type, default and choices, and is passed."""
    (module,) = nodes("module_declaration")
    passed = dict(re.findall(r"^    (\w+): (.+)$", module, re.MULTILINE))
    assert list(passed) == list(DOCUMENT["parameters"])
    assert set(re.findall(r"webhook\.outputs\.(\w+)", BICEP)) <= set(DOCUMENT["outputs"])
    # Only these are not passed as they are. For null Azure takes the template's own default.
    changed = {name: value for name, value in passed.items() if value != name}
    assert changed == {"appName": "empty(appName) ? null : appName", "tags": "allTags"}
    written = dict(re.findall(r"^((?:(?:@|  |\]).*\n)*param (\w+) .*)$", BICEP, re.MULTILINE))
    declared = {name: text for text, name in written.items()}
    assert list(declared) == ["environmentName", "location", *list(passed)[1:]]
    for name, parameter in list(DOCUMENT["parameters"].items())[1:]:
        kind = {"securestring": "string", "object": "string"}.get(parameter["type"], parameter["type"])
        default = "" if name in changed else parameter["defaultValue"]
        secret = "@secure()\n" if parameter["type"] == "securestring" else ""
        # Bicep passes a value on to a parameter with allowed values only if it allows the same ones.
        offered = "".join(f"  {literal(value)}\n" for value in parameter.get("allowedValues", ()))
        choices = f"@allowed([\n{offered}])\n" if offered else ""
        assert declared[name] == f"{secret}{choices}param {name} {kind} = {literal(default)}"


def literal(value: str | float) -> str:
    """Return a value as Bicep writes it."""
    return f"'{value}'" if isinstance(value, str) else json.dumps(value)


def test_azd_gives_each_parameter_by_one_rule() -> None:
    """`retentionDays` is WEBHOOK_RETENTION_DAYS; where azd's environment has it not, or empty, the default counts.

    azd takes a variable from the machine where its environment has none: hence the beginning of the names.
    """
    given = json.loads((INFRA / "main.parameters.json").read_text("utf-8"))["parameters"]
    expected = {"environmentName": "${AZURE_ENV_NAME}", "location": "${AZURE_LOCATION}"}
    for name, parameter in list(DOCUMENT["parameters"].items())[1:]:
        default = "" if name in {"appName", "tags"} else parameter["defaultValue"]
        text = default if isinstance(default, str) else json.dumps(default)
        assert not set(text) & set("{}$\\")  # azd would read them as its own
        variable = "WEBHOOK_" + re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).upper()
        expected[name] = f"${{{variable}={text}}}" if text else f"${{{variable}}}"
    assert given == {name: {"value": value} for name, value in expected.items()}
    # azd writes the outputs into the same environment.
    outputs = re.findall(r"^output (\w+) ", BICEP, re.MULTILINE)
    assert not set(outputs) & set(re.findall(r"\$\{(\w+)", str(given)))


def test_azd_finds_what_it_deploys_to() -> None:
    """The service is the tag of the app, the hooks run scripts that are there, with outputs of main.bicep."""
    (service,) = AZD["services"]
    assert only(deployed(), "Microsoft.Web/sites")["tags"] == {"azd-service-name": service}
    assert AZD["services"][service] == {"project": ".", "language": "python", "host": "function"}
    assert (ROOT / AZD["infra"]["path"] / f"{AZD['infra']['module']}.bicep").is_file()
    outputs = set(re.findall(r"^output (\w+) ", BICEP, re.MULTILINE))
    for hook in AZD["hooks"]["postprovision"].values():
        scripts = re.findall(r"\./infra/\S+", hook["run"])
        assert len(scripts) == 3
        assert all((ROOT / each).stat().st_mode & 0o111 or each.endswith(".ps1") for each in scripts)
        assert "unting" in hook["run"].splitlines()[1]
        assert set(re.findall(r"\$(?:env:)?([A-Z_]+)", hook["run"])) <= outputs
        assert hook["continueOnError"] is True


def test_one_line_holds_the_address_of_this_repository() -> None:
    """Nobody has to search where to put it: if anywhere, the placeholder stands in one line of the README."""
    ours = f"safe.directory={ROOT}"  # whoever owns the checkout
    listed = subprocess.run(  # noqa: S603 - our own words
        ["git", "-c", ours, "ls-files", "--cached", "--others", "--exclude-standard", "-z"],  # noqa: S607 - of the PATH
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    )
    files = [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]
    assert INFRA / "azuredeploy.json" in files
    lines = [
        (path.relative_to(ROOT).as_posix(), line)
        for path in files
        if path != Path(__file__)
        for line in path.read_text("utf-8", errors="replace").splitlines()
        if PLACEHOLDER.search(line)
    ]
    assert [path for path, _ in lines] in ([], ["README.md"])


def wrong_buttons(page: str) -> list[str]:
    """Return the Deploy to Azure links of a page that do not open our template with its form."""
    raw = r"https%3A%2F%2Fraw\.githubusercontent\.com%2F[\w.%-]+%2Finfra%2F"
    right = rf"https://portal\.azure\.com/#create/Microsoft\.Template/uri/({raw})azuredeploy\.json"
    right += r"/createUIDefinitionUri/\1createUiDefinition\.json"
    return [
        link
        for link in re.findall(r"https://portal\.azure\.com/#create/[^\s)]+", page)
        if not re.fullmatch(right, link)
    ]


def test_the_deploy_button_opens_the_template_with_its_form() -> None:
    """The button in the README names both files where they are in the repository."""
    where = "https%3A%2F%2Fraw.githubusercontent.com%2Fcontoso%2Fwebhook%2Fmain%2Finfra%2F"
    start = "https://portal.azure.com/#create/Microsoft.Template/uri/"
    right = f"{start}{where}azuredeploy.json/createUIDefinitionUri/{where}createUiDefinition.json"
    wrong = [
        right.replace("UiDef", "UIDef"),
        right.replace("%2Finfra", "/infra", 1),
        f"{start}{where}main.bicep",
    ]
    assert wrong_buttons(f"[button]({right}) and {' '.join(wrong)}") == wrong
    page = (ROOT / "README.md").read_text("utf-8")
    assert page.count(start) == 1
    assert wrong_buttons(page) == []
