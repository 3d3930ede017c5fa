"""Signatures: what products sign is accepted, and nothing else; the published examples are their makers' own."""

import base64
import hashlib
import hmac
import json
import logging
import re
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import azure.functions as func
import pytest

from CreateAlertFunction import main
from dev.samples import eight_fields, event
from shared import app, senders
from shared.errors import Unsigned
from shared.ledger import keys
from shared.senders import Signature
from shared.settings import Settings
from shared.web import signature
from tests.checks.virtual import ORIGIN, Defender, Host, World

KEY = "a-made-up-function-key"
SENDER = senders.fingerprint({"x-functions-key": KEY}, {})
SECRET = "a made-up secret"
BODY = json.dumps(eight_fields(event(1), "A rule", "High")).encode()
NOW = 1_614_265_330
GITHUB = {"header": "X-Hub-Signature-256", "prefix": "sha256="}
GRAFANA = {"header": "X-Grafana-Alerting-Signature"}
TIMED = {**GRAFANA, "timestamp": "X-Grafana-Alerting-Timestamp"}
PAGERDUTY = {"header": "X-PagerDuty-Signature", "prefix": "v1="}
STANDARD = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_BODY = b'{"test": 2432232314}'
PAGERDUTY_SECRET = "lDQHScfUeXUKaQRNF+8XIiDKZ7XX3itBAYzwU0TARw8lJqRnkKl2iB1anSb0Z+IK"
"""The key of the published test, which is a text and not base64, whatever it looks like."""


def _scheme(scheme: Any, secret: str) -> Signature:
    """Return what `SENDERS` makes of a scheme and a secret."""
    rights = {"keys": [SENDER], "signature": scheme, "secret": "MADE_UP_SECRET"}
    (listed,) = senders.read(json.dumps({"a": rights}), {"MADE_UP_SECRET": secret})
    assert listed.signature
    return listed.signature


def _accepts(scheme: Any, secret: str, headers: Mapping[str, str], body: bytes, now: float = NOW) -> bool:
    try:
        signature.check(_scheme(scheme, secret), headers, body, now)
    except Unsigned:
        return False
    return True


def _hex(secret: str, signed: bytes) -> str:
    return hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()


def _standard(secret: str, identity: str, stamp: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{identity}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def test_the_example_of_standard_webhooks_is_accepted() -> None:
    """Secret, id, time, body and signature as the specification's own libraries publish them."""
    assert _accepts("standard", STANDARD_SECRET, STANDARD, STANDARD_BODY)
    assert _accepts("standard", STANDARD_SECRET.removeprefix("whsec_"), STANDARD, STANDARD_BODY)
    upper = {name.title(): value for name, value in STANDARD.items()}
    assert _accepts("standard", STANDARD_SECRET, upper, STANDARD_BODY)


def test_the_example_of_github_is_accepted() -> None:
    """The values by which GitHub's documentation tells everybody to test an implementation."""
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    secret = "It's a Secret to Everybody"
    for written in (digest, digest.upper()):
        assert _accepts(GITHUB, secret, {"X-Hub-Signature-256": f"sha256={written}"}, b"Hello, World!")
    assert not _accepts(GITHUB, secret, {"X-Hub-Signature-256": f"sha256={digest}"}, b"Hello, World")


def test_the_example_of_pagerduty_is_accepted(pagerduty: bytes) -> None:
    """Key, body and signature of the test in PagerDuty's own client library."""
    good = "v1=0c0b9495b893a39e70d1fea2fe11fbe0a825f88b9f67846f6cc07dd2bc5476cd"
    bad = "v1=7020c8a7ec668a9b7012bc3dd82e483394b038f4230acc6785efbf2a7d8bcaf5"
    for header, accepted in ((good, True), (bad, False), (f"{bad},{good}", True), (f"{good}, v2=00", True)):
        sent = {"x-pagerduty-signature": header}
        assert _accepts(PAGERDUTY, PAGERDUTY_SECRET, sent, pagerduty) == accepted


@pytest.fixture
def pagerduty() -> bytes:
    """Return the body of PagerDuty's published test, put together as its library sends it: JSON without blanks."""
    api, site = "https://api.pagerduty.com", "https://acme.pagerduty.com"

    def item(kind: str, path: str, identity: str, summary: str, page: str = "") -> dict[str, str]:
        page = page or f"{site}/{path}/{identity}"
        own = f"{api}/{path}/{identity}"
        return {
            "html_url": page,
            "id": identity,
            "self": own,
            "summary": summary,
            "type": f"{kind}_reference",
        }

    incident = {
        "id": "PGR0VU2",
        "type": "incident",
        "self": f"{api}/incidents/PGR0VU2",
        "html_url": f"{site}/incidents/PGR0VU2",
        "number": 2,
        "status": "triggered",
        "title": "A little bump in the road",
        "service": item("service", "services", "PF9KMXH", "API Service"),
        "assignees": [item("user", "users", "PTUXL6G", "User 123")],
        "escalation_policy": item("escalation_policy", "escalation_policies", "PUS0KTE", "Default"),
        "teams": [item("team", "teams", "PFCVPS0", "Engineering")],
        "priority": item("priority", "priorities", "PSO75BM", "P1", f"{site}/account/incident_priorities"),
        "urgency": "high",
        "conference_bridge": {"conference_number": 1000, "conference_url": "https://example.com"},
        "resolve_reason": None,
    }
    occurred = {
        "id": "01BWDWL3NYY7LUFPZCC28QUCMK",
        "event_type": "incident.priority_updated",
        "resource_type": "incident",
        "occurred_at": "2021-04-26T17:36:27.458Z",
        "agent": item("user", "users", "PLH1HKV", "Tenex Engineer"),
        "client": None,
        "data": incident,
    }
    return json.dumps({"event": occurred}, separators=(",", ":")).encode()


def test_the_example_of_grafana_is_accepted() -> None:
    """Secret, body and clock of the test in Grafana's own library, which publishes no digest: `openssl` made these."""
    alone = "3bcebf43c85d20bba6e3b6ba278af1d2ba3ab0d57de271b0ad30b833e851c5a6"
    timed = "ac18a483a582b60a883e974541afe25aa1026136163e94665649743324183ef1"
    assert _accepts(GRAFANA, "secret", {"X-Grafana-Alerting-Signature": alone}, b"test message")
    sent = {"X-Grafana-Alerting-Signature": timed, "X-Grafana-Alerting-Timestamp": "0"}
    assert _accepts(TIMED, "secret", sent, b"test message", 0)
    assert not _accepts(TIMED, "secret", {**sent, "X-Grafana-Alerting-Signature": alone}, b"test message", 0)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"webhook-id": ""}, "webhook-id: this header is missing"),
        ({"webhook-timestamp": ""}, "webhook-timestamp: this header is missing"),
        ({"webhook-signature": ""}, "webhook-signature: this header is missing"),
        ({"webhook-id": "msg_1"}, "no signature in it fits"),
        ({"webhook-timestamp": "1614265331"}, "no signature in it fits"),
        ({"webhook-timestamp": "1614265330.0"}, "whole seconds"),
        ({"webhook-timestamp": "-1"}, "whole seconds"),
        ({"webhook-timestamp": "٣"}, "whole seconds"),
        ({"webhook-timestamp": "1614265631"}, "301 s away"),
        ({"webhook-timestamp": "1614265029"}, "301 s away"),
        ({"webhook-signature": STANDARD["webhook-signature"].removeprefix("v1,")}, "no signature"),
        ({"webhook-signature": STANDARD["webhook-signature"].replace("v1,", "v2,")}, "no signature"),
        ({"webhook-signature": STANDARD["webhook-signature"].lower()}, "no signature"),
        ({"webhook-signature": "v1,é\ud83d"}, "no signature"),
        ({"webhook-id": "é\ud83d"}, "no signature"),
    ],
)
def test_whatever_is_changed_the_request_is_refused_and_the_header_named(
    changed: dict[str, str], says: str
) -> None:
    """Id, time and signature each count, and the answer names the header to look at."""
    scheme = _scheme("standard", STANDARD_SECRET)
    with pytest.raises(Unsigned, match=re.escape(says)) as caught:
        signature.check(scheme, {**STANDARD, **changed}, STANDARD_BODY, NOW)
    assert caught.value.status == 401
    assert STANDARD_SECRET not in caught.value.detail


@pytest.mark.parametrize(("apart", "accepted"), [(-301, False), (-300, True), (300, True), (301, False)])
@pytest.mark.parametrize("scheme", ["standard", TIMED])
def test_a_signed_time_may_be_five_minutes_away(scheme: Any, apart: int, accepted: bool) -> None:
    """In either direction, for each scheme that has a time: an old request cannot be sent again."""
    stamp = str(NOW + apart)
    if scheme == "standard":
        headers = {**STANDARD, "webhook-timestamp": stamp}
        headers["webhook-signature"] = _standard(STANDARD_SECRET, headers["webhook-id"], stamp, BODY)
    else:
        headers = {
            TIMED["timestamp"]: stamp,
            TIMED["header"]: _hex(STANDARD_SECRET, stamp.encode() + b":" + BODY),
        }
    assert _accepts(scheme, STANDARD_SECRET, headers, BODY) == accepted


def test_one_fitting_signature_of_several_is_enough() -> None:
    """While a secret is changed, a sender signs with both."""
    good = STANDARD["webhook-signature"]
    other = _standard("whsec_AAAA", STANDARD["webhook-id"], STANDARD["webhook-timestamp"], STANDARD_BODY)
    for header, accepted in ((f"{other} {good}", True), (f"v1a,x {good}", True), (f"{other} {other}", False)):
        sent = {**STANDARD, "webhook-signature": header}
        assert _accepts("standard", STANDARD_SECRET, sent, STANDARD_BODY) == accepted


def _post(world: World, rights: dict[str, Any], headers: dict[str, str], key: str = KEY) -> func.HttpResponse:
    """Post one alert to the function with a key, whose sender has these rights."""
    listed = senders.read(json.dumps(rights), {"MADE_UP_SECRET": SECRET})
    webhook = Host(world, arrive=Defender(world)).webhook(Settings(senders=listed))
    asked = func.HttpRequest(
        "POST", f"{ORIGIN}/api/alerts", headers={"x-functions-key": key, **headers}, params={}, body=BODY
    )
    with patch.object(app, "webhook", lambda: webhook):
        answer: func.HttpResponse = world.finish(
            Host(world, arrive=Defender(world)).submit(lambda: main(asked))
        )
    return answer


RIGHTS = {"github": {"keys": [SENDER], "signature": GITHUB, "secret": "MADE_UP_SECRET"}}


def test_a_signed_request_becomes_an_alert() -> None:
    """With the sender's key and the signature of these bytes it is accepted as any other."""
    world = World()
    signed = {"X-Hub-Signature-256": f"sha256={_hex(SECRET, BODY)}"}
    assert _post(world, RIGHTS, signed).status_code == 200
    assert len(world.table.query(keys.ALERT, keys.ALERT_END)) == 1
    assert len(world.table.query("", "~")) > 1


@pytest.mark.parametrize("headers", [{}, {"X-Hub-Signature-256": f"sha256={_hex(SECRET, BODY + b' ')}"}])
def test_an_unsigned_request_is_401_counted_and_not_stored(
    headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """The key alone is not enough: nothing is in the table, and one line of the log says who tried."""
    caplog.set_level(logging.INFO, "defender-alert-webhook")
    world = World()
    answer = _post(world, RIGHTS, headers)
    document = json.loads(answer.get_body())
    assert answer.status_code == document["status"] == 401
    assert document["type"].endswith(":unsigned")
    assert document["detail"].startswith("X-Hub-Signature-256: ")
    assert not world.table.query("", "~")
    (line,) = [json.loads(message) for message in caplog.messages]
    assert (line["step"], line["error"], line["sender"]) == ("unsigned", "Unsigned", SENDER)


def test_only_the_sender_that_is_listed_must_sign_unless_all_others_must() -> None:
    """Another key posts without a signature, except where the entry `*` asks for one."""
    assert _post(World(), RIGHTS, {}, "another-key").status_code == 200
    rights = {"*": {"signature": GITHUB, "secret": "MADE_UP_SECRET"}}
    assert _post(World(), rights, {}, "another-key").status_code == 401


@pytest.mark.parametrize(
    ("rights", "environ", "says"),
    [
        ({"signature": "standard"}, {}, "signature and secret are there together"),
        ({"secret": "S"}, {"S": "x"}, "signature and secret are there together"),
        ({"signature": "standard", "secret": "S"}, {}, "a: secret: accepted: the name of a setting"),
        ({"signature": "standard", "secret": "S"}, {"S": " "}, "a: secret: accepted: the name of a setting"),
        ({"signature": "standard", "secret": 1}, {"1": "x"}, "a: secret: accepted: the name of a setting"),
        (
            {"signature": GITHUB, "secret": "S"},
            {"S": "@Microsoft.KeyVault(SecretUri=https://x)"},
            "resolved",
        ),
        ({"signature": "standard", "secret": "S"}, {"S": "whsec_the-secret"}, "a: secret: the setting"),
        ({"signature": "standard", "secret": "S"}, {"S": "whsec_"}, "a: secret: the setting"),
        ({"signature": "standard", "secret": "S"}, {"S": "whsec_AAAA AAAA"}, "a: secret: the setting"),
        ({"signature": "standard", "secret": "S"}, {"S": "whsec_QUJD=="}, "a: secret: the setting"),
        ({"signature": "the-secret", "secret": "S"}, {"S": "x"}, "a: signature: accepted"),
        ({"signature": {"prefix": "v1="}, "secret": "S"}, {"S": "x"}, "a: signature: accepted"),
        ({"signature": {**GITHUB, "hash": "md5"}, "secret": "S"}, {"S": "x"}, "a: signature: accepted"),
        ({"signature": {"header": "two words"}, "secret": "S"}, {"S": "x"}, "a: signature: header"),
        ({"signature": {"header": ""}, "secret": "S"}, {"S": "x"}, "a: signature: header"),
        ({"signature": {"header": "X", "prefix": "a,b"}, "secret": "S"}, {"S": "x"}, "a: signature: prefix"),
        ({"signature": {"header": "X", "timestamp": ""}, "secret": "S"}, {"S": "x"}, "signature: timestamp"),
    ],
)
def test_a_scheme_or_a_secret_that_cannot_work_is_a_wrong_setting(
    rights: dict[str, Any], environ: dict[str, str], says: str
) -> None:
    """It is said at once, and what may be a secret is never said."""
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        senders.read(json.dumps({"a": {"keys": ["0123456789"], **rights}}), environ)
    assert "the-secret" not in str(caught.value)


def test_a_secret_is_in_no_repr() -> None:
    """Settings are printed in places where a secret must not be."""
    listed = senders.read(json.dumps(RIGHTS), {"MADE_UP_SECRET": SECRET})
    assert SECRET not in repr(Settings(senders=listed))
