"""Microsoft Sentinel: incidents and alerts as its triggers, API and tables give them, or their entities.

The events of an alert stand in its Custom Details, packed (`DefenderEvent`) or as lists of equal length; the device
may stand in a host entity.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from shared.errors import Problem
from shared.mapping.event import Event
from shared.payload import names, texts
from shared.payload.paths import Node
from shared.payload.values import texts as texts_of

_COLUMNS = dict(zip(names.KEYS, ("DeviceId", "Timestamp", "ReportId"), strict=True))
_DEVICES = ("MdatpDeviceId", "MdeDeviceId", "AdditionalData.MdatpDeviceId", "Host.MdatpDeviceId")
_BROKEN = (
    "The Custom Detail DefenderEvent holds {}, which is not DeviceId|ReportId|Timestamp. One of the three is empty in"
    " this row: rows of other tables than Device*, and rows that a summarize made, have not all of them. Let the query"
    " of the rule end with\n| where isnotempty(DeviceId) and isnotempty(ReportId)\n| extend DefenderEvent ="
    " strcat(DeviceId, '|', tostring(ReportId), '|', tostring(Timestamp))"
)
_UNEVEN = (
    "The Custom Details hold several events in arrays of different length, so nobody knows which ReportId belongs to"
    " which DeviceId and Timestamp. Pack the three into one Custom Detail named DefenderEvent:\n| extend DefenderEvent"
    " = strcat(DeviceId, '|', tostring(ReportId), '|', tostring(Timestamp))\nor let the rule create an alert for each"
    " event (Event grouping)."
)


def are_entities(value: Any) -> bool:
    """Say whether a list holds the entities of one incident or alert."""
    return isinstance(value, list) and bool(value) and all(map(_is_entity, value))


def _is_entity(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    kind = item.get("type")
    return (
        "friendlyName" in item
        or ("$id" in item and "Type" in item)
        or (isinstance(kind, str) and "SecurityInsights/Entities" in kind)
    )


def events(document: Node) -> Iterator[Event]:
    """Yield the events of an incident, an alert, a row, or a list of entities."""
    if isinstance(document.value, list):
        yield Event(document, reference=_devices(document.elements()), within=(document.inside({}),))
        return
    around = document.first("object.properties", "properties") or document
    if around.find("friendlyName") and not around.find("AlertDisplayName", "SystemAlertId"):
        yield Event(around, reference=_devices([document]), within=(around.inside({}),))
        return
    alerts = [node for holder in around.find("alerts") for node in holder.elements()] or [around]
    shared = [*around.find("relatedEntities"), *(document.find("Hosts", "Entities", "relatedEntities"))]
    for alert in alerts:
        yield from _events_of(alert.first("properties") or alert, shared)


def _events_of(alert: Node, shared: Sequence[Node]) -> Iterator[Event]:
    more = alert.first("ExtendedProperties", "AdditionalData")
    custom = (more.first("CustomDetails") if more else None) or alert.first("CustomDetails")
    devices = _devices(alert.find("Entities")) or _devices(shared)
    holders = [node for node in (custom, more, *alert.find("QueryResult", "QueryResultRow"), alert) if node]
    packed = custom.first("DefenderEvent", "DefenderEvents") if custom else None
    if packed:
        yield from _packed(alert, packed, custom or alert)
        return
    best = max(holders, key=lambda node: sum(bool(_key(node, name)) for name in names.KEYS))
    keys = {name: node for name in names.KEYS if (node := _key(best, name))}
    if best is alert:
        keys.pop("eventTime", None)
    values = {name: _several(node) for name, node in keys.items()}
    lengths = {len(nodes) for name, nodes in values.items() if _is_list(keys[name])}
    if len(lengths) > 1:
        yield Event(alert, (custom or alert,), problems=(Problem("payload", _UNEVEN),))
        return
    for index in range(max(lengths, default=1)):
        reference = {
            name: nodes[index] if _is_list(keys[name]) else nodes[0]
            for name, nodes in values.items()
            if nodes
        }
        yield Event(
            alert,
            _within(alert, custom, more),
            {**devices, **reference} if "machineId" not in reference else reference,
        )


def _within(alert: Node, custom: Node | None, more: Node | None) -> Sequence[Node]:
    """Return where the columns of the event's row stand."""
    return [node for node in (custom, more) if node] or [alert.inside({})]


def _key(where: Node, name: str) -> Node | None:
    """Return a key of the event under one of its known names, directly in an object."""
    if isinstance(where.value, str):
        inner = where.reader.inside(where.value)
        where = Node(inner, where.place, where.reader)
    if not isinstance(where.value, dict):
        return None
    index = where.reader.index(where.value)
    known = next((index[word] for word in map(names.word, names.table("keys")[name]) if word in index), None)
    return where.inside(where.value[known], known) if known else None


def _several(node: Node) -> list[Node]:
    """Return the values of a key: the elements of a list, also of one in a text."""
    return [element for element in node.elements() if texts_of(element.value)]


def _is_list(node: Node) -> bool:
    return node.elements() != [node]


def _packed(alert: Node, packed: Node, custom: Node) -> Iterator[Event]:
    for node in packed.elements():
        for text in texts_of(node.value):
            parts = texts.halves(text) or {}
            reference = {
                name: node.inside(parts[column]) for name, column in _COLUMNS.items() if parts.get(column)
            }
            empty = [name for name in names.KEYS if name not in reference]
            about = "payload" if len(empty) == len(names.KEYS) else next(iter(empty), "")
            problems = (Problem(about, _BROKEN.format(text[:200])),) if about else ()
            yield Event(alert, (custom.inside({}),), reference, problems=problems)


def _devices(entities: Sequence[Node]) -> dict[str, Node]:
    """Return the device id of the hosts among some entities, or a list of them where they differ."""
    ids = [
        node
        for holder in entities
        for entity in holder.elements()
        for node in (entity.first("properties") or entity).find(*_DEVICES)
    ]
    different = list(dict.fromkeys(text for node in ids for text in texts_of(node.value)))
    if not different:
        return {}
    return {"machineId": ids[0] if len(different) == 1 else Node(different, ids[0].place, ids[0].reader)}
