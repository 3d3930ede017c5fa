"""Secrets in stored refused payloads: masked whatever form they come in, and nothing else is changed."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dev.samples import eight_fields, event
from shared.errors import WebhookError
from shared.ledger import keys, rows
from shared.settings import Settings
from shared.webhook import masking
from shared.webhook.masking import MASK
from tests.checks.virtual import Defender, Host, World

HIDDEN = "s3cr3t-Value.42"
FORMS = {
    "an object": '{"password": "%s", "host": "pc-1"}',
    "a number": '{"otp_token": 5%s, "host": "pc-1"}'.replace("%s", "42"),
    "an object below the name": '{"headers": {"Authorization": {"scheme": "x", "it": ["%s"]}}, "host": "pc-1"}',
    "a list below the name": '{"headers": {"cookie": ["a=%s"]}, "host": "pc-1"}',
    "dotted": '{"request.headers.x-functions-key": "%s"}',
    "name and value": '[{"name": "X-Api-Key", "value": "%s"}, {"name": "host", "value": "pc-1"}]',
    "value and name": '{"value": ["%s"], "key": "client_secret"}',
    "an element of XML made JSON": '{"@Name": "password", "#text": "%s"}',
    "two of a list": '[["Authorization", "Bearer %s"], ["host", "pc-1"]]',
    "raw headers": '{"rawHeaders": ["host", "pc-1", "Cookie", "a=%s", "accept", "*/*"]}',
    "JSON in a string": json.dumps({"body": json.dumps({"api_key": "%s", "host": "pc-1"})}),
    "JSON in JSON in a string": json.dumps({"a": json.dumps({"b": json.dumps({"sig": "%s"})})}),
    "a URL": '{"link": "https://app.contoso.example/api/alerts?code=%s&host=pc-1"}',
    "a URL in a text": '{"text": "see https://x.contoso.example/a?se=1&sig=%s for more"}',
    "a URL in a URL": '{"text": "https://x.contoso.example/?next=https%%3A%%2F%%2Fy%%3Fsig%%3D%s"}',
    "a user in a URL": '{"proxy": "https://siem:%s@proxy.contoso.example:8080"}',
    "a form": "host=pc-1&password=%s&title=a",
    "JSON in a form": "host=pc-1&payload=%%7B%%22token%%22%%3A%%22%s%%22%%7D",
    "headers in a text": '{"text": "POST /a HTTP/1.1\\nAuthorization: Basic %s\\nHost: pc-1"}',
    "cookies in a text": '{"text": "Cookie: a=1; b=%s; c=2\\nHost: pc-1"}',
    "key=value": '{"message": "user=a password=%s host=pc-1"}',
    "a connection string": '{"c": "AccountName=a;AccountKey=%s==;EndpointSuffix=x"}',
    "a bearer without a name": '{"message": "curl -H Bearer %sabcdefgh"}',
    "a dictionary of Python": "{'token': '%s', 'host': 'pc-1'}",
    "broken JSON": '{"host": "pc-1", "token": "%s", "text": "a "quoted" word"}',
    "JSON that ends early": '{"host": "pc-1", "headers": {"token": "%s',
    "a pair that ends early": '{"host": "pc-1", "h": [{"name": "token", "value": "%s',
    "JSON in a string that ends early": '{"body": "{\\"host\\": \\"pc-1\\", \\"token\\": \\"%s\\", \\"a',
    "without quotes": "{host: pc-1, token: %s, next: 1}",
    "XML": "<event><host>pc-1</host><Password>%s</Password></event>",
    "XML with names": '<Data Name="host">pc-1</Data><Data Name="Token">%s</Data>',
    "YAML": "host: pc-1\nsecret: %s\n",
    "lines of JSON": '{"host": "pc-1"}\n{"token": "%s"}\n',
    "a byte order mark": '\ufeff{"token": "%s"}',
    "a header and its value": '[{"header": "x-api-key", "value": "%s"}, {"header": "host", "value": "pc-1"}]',
    "members that end in name and value": '{"headerName": "x-api-key", "headerValue": "%s", "host": "pc-1"}',
    "letters for name and value": '[{"n": "token", "v": "%s"}, {"n": "host", "v": "pc-1"}]',
    "a title of two words": '[{"title": "API Key", "value": "%s"}, {"title": "host", "value": "pc-1"}]',
    "a type": '{"type": "password", "value": "%s", "host": "pc-1"}',
    "a name one level down": '{"entry": {"key": {"name": "password"}, "value": "%s"}, "host": "pc-1"}',
    "a label": '{"cs1": "%s", "cs1Label": "Password", "host": "pc-1"}',
    "a label of CEF": "CEF:0|a|b|c|d|e|5|shost=pc-1 cs1=%s cs1Label=Password msg=x",
    "capitals within": '{"apiKey": "%s", "host": "pc-1"}',
    "capitals within, of a secret": '{"clientSecret": "%s", "host": "pc-1"}',
    "capitals within, of a token": '{"accessToken": "%s", "host": "pc-1"}',
    "a number at its end": '{"apiKey2": "%s", "host": "pc-1"}',
    "a value by its name": '{"API_KEY_VALUE": "%s", "host": "pc-1"}',
    "a letter as its code": '{"\\u0074oken": "%s", "host": "pc-1"}',
    "another language": '{"Passwort": "%s", "host": "pc-1"}',
    "a list for basic authentication": '{"auth": ["siem", "%s"], "host": "pc-1"}',
    "a column": '{"columns": ["password", "host"], "rows": [["x", "pc-1"], ["%s", "pc-1"]]}',
    "a column that is an object": '{"columns": [{"name": "password"}, {"name": "host"}], "rows": [["%s", "pc-1"]]}',
    "a row of names": '[["host", "password", "a"], ["pc-1", "%s", 1]]',
    "names and values": '{"headers": ["Authorization", "Host"], "values": ["Bearer %s", "pc-1"]}',
    "XML: attributes": '<event host="pc-1"><login user="a" password="%s"/></event>',
    "XML: name and value": '<param name="api_key" value="%s"/><param name="host" value="pc-1"/>',
    "XML: name and value as elements": "<h><value>%s</value><name>Authorization</name></h><h>pc-1</h>",
    "XML: character data": "<event><password><![CDATA[%s]]></password><host>pc-1</host></event>",
    "XML: an element in an element": "<a><credentials><value>%s</value></credentials><host>pc-1</host></a>",
    "XML: a prefix": '<w:Password Type="x">%s</w:Password><host>pc-1</host>',
    "XML that ends early": "<host>pc-1</host><token>%s",
    "XML in JSON": '{"host": "pc-1", "xml": "<password>%s</password>"}',
    "XML in XML": "<data>&lt;password&gt;%s&lt;/password&gt;</data><host>pc-1</host>",
    "a part of a form": 'Content-Disposition: form-data; name="password"\r\n\r\n%s\r\n--b\r\nhost: pc-1\r\n--b--',
    "encoded twice": "payload=password%%253D%s%%2526a%%253D1&host=pc-1",
    "encoded three times": "payload=password%%25253D%s%%252526a%%25253D1&host=pc-1",
    "a URL in a URL in a URL": "https://x.contoso.example/?a=https%%253A//y/%%253Fsig%%253D%s pc-1",
    "a URL in HTML": "https://x.contoso.example/api?x=1&amp;code=%s&amp;host=pc-1",
    "a scheme in a text": '{"text": "sent Authorization: Basic %s== to pc-1"}',
    "a user of curl": '{"text": "curl -u admin:%s https://pc-1"}',
    "an option": '{"CommandLine": "tool.exe --password %s --host pc-1"}',
    "an option of PowerShell": "{\"CommandLine\": \"connect -Password '%s' -Host pc-1\"}",
    "a secure text of PowerShell": "{\"CommandLine\": \"ConvertTo-SecureString '%s' -AsPlainText; pc-1\"}",
    "a private key": '{"text": "-----BEGIN PRIVATE KEY-----\\n%s\\n-----END PRIVATE KEY-----", "host": "pc-1"}',
    "an address of Slack's": '{"url": "https://hooks.slack.com/services/T0/B0/%s", "host": "pc-1"}',
    "YAML: name and value": "headers:\n  - name: x-api-key\n    value: %s\n  - name: host\n    value: pc-1\n",
    "YAML: a block": "password: |\n  %s\nhost: pc-1\n",
    "YAML: a level down": "password:\n  value: %s\nhost: pc-1\n",
    "a tuple of Python": "[('Authorization', 'Bearer %s'), ('host', 'pc-1')]",
    "a path": '{"request.query.sig": "%s", "host": "pc-1"}',
    "a path in brackets": "query[sig]=%s&host=pc-1",
    "a table of commas": "user,password,host\nbob,%s,pc-1\n",
    "a table of commas and quotes": '"user","password","host"\r\n"bob, b","%s","pc-1"\r\n',
    "a table of semicolons": "a: b\n\nuser;api_key;host\nbob;%s;pc-1\n",
    "a table of tabs": '{"text": "user\\ttoken\\thost\\nbob\\t%s\\tpc-1"}',
    "a table of bars": "| user | API key | a |\n|---|---|---|\n| bob | %s | b |\n\npc-1",
    "a table of bars, two wide": "password | host\n--- | ---\n%s | pc-1\n",
    "names and values between bars": "| Name | Value |\n|---|---|\n| password | %s |\n| host | pc-1 |\n",
    "names and values between tabs": "password\t%s\nhost\tpc-1\n",
    "two words": "API key: %s\nhost: pc-1",
}  # fmt: skip


def _filled(form: str) -> str:
    return form % HIDDEN if "%s" in form else form


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_secret_is_masked_in_every_form(form: str) -> None:
    """The value is gone, the mask stands there, and what stands beside it stays."""
    payload = _filled(form)
    masked = masking.body(payload.encode()).decode()
    assert HIDDEN not in masked
    assert MASK in masked
    assert masked.count("pc-1") == payload.count("pc-1")
    assert masking.text(masked) == masked


@pytest.mark.parametrize("form", [form for form in FORMS.values() if form[0] in "[{\ufeff"])
def test_json_stays_json(form: str) -> None:
    """What could be parsed can be parsed afterwards, so that it can be replayed."""
    try:
        json.loads(_filled(form).lstrip("\ufeff"))
    except ValueError:
        return
    json.loads(masking.text(_filled(form)).lstrip("\ufeff"))


@pytest.mark.parametrize(
    "harmless",
    [
        '{"DeviceId": "8e27", "RegistryKey": "HKLM\\\\a", "code": 5, "key": "a", "ReportId": 1e5, "a": 1.50}',
        '{"alert": {"signature": "ET SCAN", "sid": "S-1-5-18", "TokenElevationType": "full", "session": "3"}}',
        '[{"key": "host", "value": "pc-1"}, {"name": "Category", "value": "CredentialAccess"}]',
        '{"CommandLine": "x.exe --mode=fast /c:1 https://contoso.example/?q=a%20b", "auth": "ok"}',
        '{ "spaces" :  [1,2 ] , "half": "\\ud83d" }\n\n',
        "title=Password+spray&host=pc-1",
        '{"name": "Password spray", "data": {"host": "pc-1"}, "text": "many accounts"}',
        '{"title": "Use of a stolen token", "text": "by pc-1", "value": 7}',
        '{"InitiatingProcessSessionId": 3, "type": "host", "value": "pc-1"}',
        '{"text": "Basic authentication of the user failed", "auth": "ok"}',
        '{"CommandLine": "net.exe user bob /add --mode fast -k key"}',
        '{"columns": ["host", "user"], "rows": [["pc-1", "bob"]]}',
        '<a href="https://contoso.example/x">pc-1 &amp; more</a>',
        '<Data Name="host">pc-1</Data>\n<!-- token -->',
        "token:\nhost: pc-1\n",
        "user,host,mode\nbob,pc-1,token\n",
        "The token, as said\nby Bob, of pc-1",
        "| host | user |\n|---|---|\n| pc-1 | token |\n",
    ],
)
def test_what_is_no_secret_stays_as_it_is(harmless: str) -> None:
    """Fields that only sound like secrets, numbers and white space are untouched, byte for byte."""
    assert masking.text(harmless) == harmless


def _json(scalars: list[str], names: list[str]) -> st.SearchStrategy[Any]:
    """Any JSON, some of whose texts and names are these."""
    return st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(scalars),
        lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(names), inner),
    )


_JSON = _json(["a=b", "sig=b"], ["password", "token"])
_TABLES = _json(["token", "Cookie", "host"], ["name", "value", "cs1", "cs1Label", "columns", "rows", "auth"])


@given(_TABLES)
def test_tables_and_names_that_are_none_can_be_masked(value: Any) -> None:
    """However names and values lie beside or within each other, JSON stays JSON."""
    json.loads(masking.text(json.dumps(value)))


@given(_JSON, st.integers(0, 400))
def test_masking_never_fails(value: Any, at: int) -> None:
    """Whatever is sent, whole or cut off anywhere, can be masked; JSON stays JSON."""
    json.loads(masking.text(json.dumps(value)))
    masking.text(json.dumps(value, ensure_ascii=False)[:at])
    masking.text(str(value))


@given(st.binary())
def test_any_bytes_can_be_masked(raw: bytes) -> None:
    """Bytes that are no UTF-8 stay what they are."""
    masking.body(raw)
    masking.body(b"token=" + raw)


def test_a_refused_payload_is_stored_without_its_secrets() -> None:
    """Body, parameters and what the problems quote: none of them reaches the table, and the payload is whole."""
    world = World()
    host = Host(world, arrive=Defender(world))
    webhook = host.webhook(Settings())
    body = json.dumps({"DeviceId": "pc-1", "headers": {"x-functions-key": HIDDEN}}).encode()
    query = {
        "sig": HIDDEN,
        "token": HIDDEN,
        "title": f"https://x.contoso.example/?sig={HIDDEN}",
        "code": HIDDEN,
    }

    def post() -> Any:
        return webhook.receive(body, query, "https://app.contoso.example")

    world.run(60)
    answered = host.ask(post)
    world.run(60)
    assert answered.result().status == 422
    (row,) = world.table.query(keys.REFUSED, keys.REFUSED_END)
    assert HIDDEN not in str(row.values)
    refused = rows.read_refused(row)
    assert (refused.bytes, b'"DeviceId": "pc-1"' in refused.payload) == (len(refused.payload), True)


@pytest.mark.parametrize(
    ("payload", "query"),
    [
        ({**eight_fields(event(1), "A rule", "High"), "eventTime": f"password={HIDDEN}"}, {}),
        ({}, {"dryRun": f"password={HIDDEN}"}),
    ],
    ids=["a problem", "the detail"],
)
def test_what_a_reason_quotes_is_masked(payload: dict[str, str], query: dict[str, str]) -> None:
    """The reason for which a payload is refused names what was found, and that may be a secret."""
    world = World()
    host = Host(world, arrive=Defender(world))
    webhook = host.webhook(Settings())
    body = json.dumps(payload).encode()

    def post() -> str:
        with pytest.raises(WebhookError) as caught:
            webhook.receive(body, query, "https://app.contoso.example")
        return json.dumps(caught.value.document())

    assert HIDDEN in world.finish(host.submit(post))
    (row,) = world.table.query(keys.REFUSED, keys.REFUSED_END)
    assert HIDDEN not in str(row.values)


def test_a_source_has_an_end(caplog: pytest.LogCaptureFixture) -> None:
    """Whoever claims a source of six thousand letters fills neither the log nor the table with it."""
    caplog.set_level("INFO", "defender-alert-webhook")
    world = World()
    host = Host(world, arrive=Defender(world))
    webhook = host.webhook(Settings())

    def post() -> None:
        with pytest.raises(WebhookError):
            webhook.receive(b"{}", {"source": "x" * 6_000}, "https://app.contoso.example")

    world.finish(host.submit(post))
    (row,) = world.table.query(keys.REFUSED, keys.REFUSED_END)
    assert len(rows.read_refused(row).source) <= 100
    assert max(len(line) for line in caplog.messages) < 400
