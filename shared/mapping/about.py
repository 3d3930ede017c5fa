"""What a source says about its own alert, for an alert without an event.

An id is only read under names that products use for one alert alone: that of a rule would make of all its alerts one.
"""

from shared.alerts import vocabulary
from shared.mapping.event import Event
from shared.mapping.fields import Draft
from shared.mapping.outcome import About
from shared.payload.paths import Node
from shared.payload.values import texts

_IDS = (
    "kibana.alert.uuid",
    "signal.uuid",
    "SystemAlertId",
    "properties.systemAlertId",
    "composite_id",
    "event.CompositeId",
    "SECURITY_SIGNAL_ID",
    "notable_event_id",
)
_MAX_ID, _MAX_TEXTS = 200, 50


def of(document: Node, event: Event, draft: Draft) -> About:
    """Return what is said about the alert of an event. It has no id if there are several events of the alert."""
    said = [text for (text, _), _ in draft.candidates("category")][:_MAX_TEXTS]
    origin = draft.origins.get("severity")
    severities = [text for (text, at), _ in draft.candidates("severity") if at == origin]
    alone = event.part is not None and any(event.part.value is node.value for node in (document, event.alert))
    return About(
        own_id=_own_id(event.alert) if alone else "",
        techniques=vocabulary.techniques(said),
        informational=any(map(vocabulary.is_informational, severities)),
    )


def _own_id(alert: Node) -> str:
    ids = [text for name in _IDS for node in alert.find(name) for text in texts(node.value)]
    return ids[0] if ids and len(ids[0]) <= _MAX_ID else ""
