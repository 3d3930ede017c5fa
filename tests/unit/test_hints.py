"""What is said about an error is true for whoever replays the alert, which sends the same as before."""

from dataclasses import replace
from typing import Any

import pytest

from dev import samples
from shared.alerts import alert
from shared.ledger import keys, record
from shared.web import hints

SAME = "a replay sends the same texts"


def hint(*, ended: bool = True, stage: keys.Stage = keys.REFERENCE, **error: Any) -> str:
    """Return the hint about an error of an alert that has failed, or is tried again."""
    made = alert.check(samples.eight_fields(samples.event(1), "Rule 1", "High")).alert
    assert made
    entry = record.accept(made, source="defender", delivery="d", now=0.0)
    entry = replace(record.fail(entry, 1.0) if ended else entry, stage=stage)
    return hints.of(entry, error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"status": 400, "code": "InvalidInput"}, SAME),
        ({"status": 409, "code": "Conflict"}, SAME),
        ({"status": 404, "code": "ResourceNotFound"}, "a replay asks for the same three"),
        ({"status": 403, "code": "Forbidden"}, "Then replay the alert."),
        ({"status": 302, "code": "Redirect"}, "Then replay the alert."),
        ({"status": 503, "code": "Unavailable"}, "replay it once Defender answers again"),
        ({"status": 408, "code": "Slow"}, "replay it once Defender answers again"),
        ({"status": None, "code": "Timeout"}, "replay it once Defender answers again"),
        ({"status": 200, "code": "NoAlert"}, "only if there is none, replay"),
        ({"status": 201, "code": "TooLarge"}, "only if there is none, replay"),
    ],
)
def test_a_failed_alerts_hint_is_true_for_a_replay(error: dict[str, Any], words: str) -> None:
    """What was rejected is sent anew, what was not answered is replayed; nothing of it is tried by itself."""
    said = hint(**error)
    assert words in said
    assert "tried again" not in said


def test_what_graph_rejected_is_not_to_be_replayed_as_it_is() -> None:
    """An alert on entities with wrong texts is sent again."""
    assert SAME in hint(stage=keys.ENTITY, status=400, code="BadRequest")


@pytest.mark.parametrize("stage", keys.STAGES)
def test_what_is_tried_again_needs_nothing(stage: keys.Stage) -> None:
    """While it waits for its next try, a replay is not spoken of."""
    said = hint(ended=False, stage=stage, status=503, code="Unavailable")
    assert said.startswith("Nothing to do: it is tried again.")
    assert "replay" not in said


@pytest.mark.parametrize(
    "error", [{"status": 200, "code": "NoAlert"}, {"status": None, "code": "AnswerLost"}]
)
def test_what_may_have_been_created_is_looked_for_when_it_has_ended(error: dict[str, Any]) -> None:
    """Before, it is tried once more by itself, and a replay would be refused."""
    assert "replay" not in hint(ended=False, **error)
    assert "only if there is none, replay" in hint(**error)


@pytest.mark.parametrize("odd", [["a"], {"a": 1}, "200"])
@pytest.mark.parametrize("name", ["status", "code"])
def test_an_error_that_somebody_wrote_by_hand_blocks_no_list(name: str, odd: Any) -> None:
    """Whatever stands there, something is said about it."""
    error: dict[str, Any] = {"status": 400, "code": "InvalidInput", name: odd}
    assert hint(**error)
