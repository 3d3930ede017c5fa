"""Texts from an event's columns, and defaults for empty fields."""

import re
from collections.abc import Mapping, Sequence

from shared.alerts import untold
from shared.payload import candidates, hunting, names
from shared.payload.grouping import MACHINE, REPORT, Group, Text, order
from shared.payload.paths import Node
from shared.payload.values import texts as texts_of

_PLAIN = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
_SHORT, _LONG = 255, 4_096
_WHO = (
    "AccountUpn",
    "AccountName",
    "InitiatingProcessAccountUpn",
    "InitiatingProcessAccountName",
    "user.name",
)
_LINES: Mapping[str, tuple[str, ...]] = {
    "Account": _WHO,
    "File": ("FileName", "file.name", "process.name"),
    "Folder": ("FolderPath",),
    "Command line": ("ProcessCommandLine", "process.command_line"),
    "Initiating process": (
        "InitiatingProcessCommandLine",
        "InitiatingProcessFileName",
        "process.parent.command_line",
    ),
    "Registry": ("RegistryKey",),
    "Remote": ("RemoteUrl", "RemoteIP"),
    "SHA-256": ("SHA256",),
}


class Row:
    """An event's row of advanced hunting, with any spelling of its columns."""

    def __init__(self, group: Group, alert: Node) -> None:
        self._group = group
        self._row = Node(group.row, None, alert.reader)
        self._alert = alert
        place = next((finding.place for finding in group.keys.get(REPORT, {}).values()), None)
        name = str(place[1]) if place else ""
        prefix = name.rpartition(".")[0]
        self._prefix = prefix if _PLAIN.fullmatch(prefix) else ""

    def column(self, *columns: str) -> str | None:
        """Return the text of the first of these columns that has one."""
        for column in columns:
            for path in (f"{self._prefix}.{column}", column) if self._prefix else (column,):
                for node in self._row.find(path):
                    if texts := texts_of(node.value):
                        return texts[0]
        return None

    def table(self) -> str | None:
        """Return the table of advanced hunting that the row, or the record around it, names."""
        texts = self._group.texts.get("table", ())
        return hunting.table(self._row.value) or next(
            (
                table
                for _, _, text, _ in sorted(texts, key=order)
                if (table := hunting.table({"Table": text}))
            ),
            None,
        )

    def device(self) -> str | None:
        """Return the name of the device, the nearest to the event."""
        if name := self.column("DeviceName"):
            return name[:_SHORT]
        nearest = candidates.best("device", self._devices())
        return nearest[0][:_SHORT] if nearest else None

    def devices(self) -> list[str]:
        """Return the different names of devices that stand equally near to the event, so that none is its own."""
        texts = self._devices()
        unclear = texts and not self.column("DeviceName") and not candidates.best("device", texts)
        return sorted({text for _, _, text, _ in texts}) if unclear else []

    def _devices(self) -> Sequence[Text]:
        """Return the names of devices: those beside the device id, if there are any."""
        texts = self._group.texts.get("device", ())
        beside = {
            finding.place and finding.place[0] for finding in self._group.keys.get(MACHINE, {}).values()
        }
        return [text for text in texts if text[3] and text[3][0] in beside] or texts

    def default(self, name: str, values: Mapping[str, object]) -> str | None:
        """Return the default of a field that neither the payload nor the request's parameters give."""
        if name == "severity":
            return "Medium"
        if name == "category":
            return "SuspiciousActivity"
        if name == "recommendedAction":
            return untold.ACTION
        if name == "title":
            return self._title()
        return self._description(values)

    def _title(self) -> str:
        action, file = (
            self.column("ActionType", "action.type", "event.action"),
            self.column("FileName"),
        )
        if action:
            return f"{untold.EVENT}{action}: {file}" if file else untold.EVENT + action
        table = self.table()
        return f"{untold.EVENT}of {table}" if table else untold.TITLE

    def _description(self, values: Mapping[str, object]) -> str:
        device = self.device() or values.get(names.KEYS[0])
        title = values.get("title") if values.get("title") != untold.TITLE else None
        event = self.column("ActionType") or title or self.table() or "Event"
        lines = [f"{event} on {device}"] if device else []
        if time := values.get(names.KEYS[1]):
            lines.append(f"At: {time}")
        for label, columns in _LINES.items():
            if text := self.column(*columns):
                lines.append(f"{label}: {text[:_LONG]}")
        return "\n".join(lines) or untold.DESCRIPTION
