"""Every setting, read once from the environment, and checked.

A secret is never in the repr. `docs/settings.md` explains each setting.
"""

import functools
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from shared import senders
from shared.clients import address
from shared.errors import Problem, SettingsError
from shared.senders import Sender

FindEvents = Literal["false", "trial", "true"]
NoEvent = Literal["fail", "entity"]
Grade = Literal["probable", "exact"]
_STORAGE_PREFIXES = ("AlertStorage", "AzureWebJobsStorage")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class StorageSettings:
    """Where the table is: either a connection string, or an endpoint and the identity that opens it.

    `client_id` names a user-assigned identity; `client_setting` is the setting for it.
    """

    connection_string: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    client_id: str | None = None
    client_setting: str = "AzureWebJobsStorage__clientId"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of the app, checked. Seconds are floats, bytes are whole numbers."""

    storage: StorageSettings = StorageSettings()
    client_id: str | None = None
    defender_api_url: str = "https://api.securitycenter.windows.com"
    defender_token_scope: str = "https://api.securitycenter.windows.com/.default"  # noqa: S105 - a scope
    defender_tenant_id: str | None = None
    defender_timeout_seconds: float = 30.0
    graph_api_url: str = "https://graph.microsoft.com"
    graph_token_scope: str = "https://graph.microsoft.com/.default"  # noqa: S105 - a scope
    find_events: FindEvents = "false"
    find_events_grade: Grade = "probable"
    find_events_calls: int = 15
    find_events_window_seconds: float = 60.0
    find_events_retry_minutes: tuple[float, ...] = (1.0, 3.0, 10.0)
    find_events_timeout_seconds: float = 60.0
    no_event: NoEvent = "fail"
    entity_alert_calls: int = 15
    entity_alert_window_seconds: float = 60.0
    rate_limit_calls: int = 15
    rate_limit_window_seconds: float = 60.0
    rate_limit_margin_seconds: float = 0.25
    rate_limit_scope: str = "default"
    alerts_table: str = "DefenderAlerts"
    inline_seconds: float = 8.0
    not_found_retry_minutes: tuple[float, ...] = (1.0, 5.0, 15.0)
    give_up_hours: float = 48.0
    retention_days: float = 30.0
    max_payload_bytes: int = 1_048_576
    max_alerts_per_delivery: int = 100
    mappings_path: Path | None = None
    public_base_url: str | None = None
    senders: tuple[Sender, ...] = ()
    console: bool = True


def read(environ: Mapping[str, str]) -> Settings:
    """Read and check the settings. Raise `SettingsError` that names every wrong one."""
    return _Reader(environ).settings()


@functools.cache
def current() -> Settings:
    """Return the settings of this process, read from its environment at the first call."""
    return read(os.environ)


class _Reader:
    """Reads one environment, and collects all problems."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._problems: list[Problem] = []

    def settings(self) -> Settings:
        default = Settings()
        values = Settings(
            storage=self._storage(),
            client_id=self._text("AZURE_CLIENT_ID", None),
            defender_api_url=self._url("DEFENDER_API_URL", default.defender_api_url),
            defender_token_scope=self._text("DEFENDER_TOKEN_SCOPE", default.defender_token_scope),
            defender_tenant_id=self._text("DEFENDER_TENANT_ID", None),
            defender_timeout_seconds=self._seconds("DEFENDER_TIMEOUT_SECONDS", 30.0, 1, 200),
            graph_api_url=self._url("GRAPH_API_URL", default.graph_api_url),
            graph_token_scope=self._text("GRAPH_TOKEN_SCOPE", default.graph_token_scope),
            find_events=self._word("FIND_EVENTS", FindEvents),
            find_events_grade=self._word("FIND_EVENTS_GRADE", Grade),
            find_events_calls=self._whole("FIND_EVENTS_CALLS", 15, 1, 15),
            find_events_window_seconds=self._seconds("FIND_EVENTS_WINDOW_SECONDS", 60.0, 0.5, 3600),
            find_events_retry_minutes=self._minutes("FIND_EVENTS_RETRY_MINUTES", "1,3,10"),
            find_events_timeout_seconds=self._seconds("FIND_EVENTS_TIMEOUT_SECONDS", 60.0, 1, 200),
            no_event=self._word("NO_EVENT", NoEvent),
            entity_alert_calls=self._whole("ENTITY_ALERT_CALLS", 15, 1, 15),
            entity_alert_window_seconds=self._seconds("ENTITY_ALERT_WINDOW_SECONDS", 60.0, 0.5, 3600),
            rate_limit_calls=self._whole("RATE_LIMIT_CALLS", 15, 1, 15),
            rate_limit_window_seconds=self._seconds("RATE_LIMIT_WINDOW_SECONDS", 60.0, 0.5, 3600),
            rate_limit_margin_seconds=self._seconds("RATE_LIMIT_MARGIN_SECONDS", 0.25, 0, 60),
            rate_limit_scope=self._matching(
                "RATE_LIMIT_SCOPE", "default", r"[A-Za-z0-9-]{1,63}", "1 to 63 letters, digits or hyphens"
            ),
            alerts_table=self._matching(
                "ALERTS_TABLE",
                default.alerts_table,
                r"[A-Za-z][A-Za-z0-9]{2,62}",
                "3 to 63 letters and digits, a letter first",
            ),
            inline_seconds=self._seconds("INLINE_SECONDS", 8.0, 0, 100),
            not_found_retry_minutes=self._minutes("NOT_FOUND_RETRY_MINUTES", "1,5,15"),
            give_up_hours=self._seconds("GIVE_UP_HOURS", 48.0, 0.01, 24 * 365),
            retention_days=self._seconds("RETENTION_DAYS", 30.0, 0.01, 3650),
            max_payload_bytes=self._whole("MAX_PAYLOAD_BYTES", 1_048_576, 1_024, 100 * 1_048_576),
            max_alerts_per_delivery=self._whole("MAX_ALERTS_PER_DELIVERY", 100, 1, 1_000),
            mappings_path=self._folder("MAPPINGS_PATH"),
            public_base_url=self._url("PUBLIC_BASE_URL", None),
            senders=self._senders("SENDERS"),
            console=self._flag("CONSOLE", default.console),
        )
        self._retained(values)
        if self._problems:
            raise SettingsError(self._problems)
        return values

    def _retained(self, values: Settings) -> None:
        if values.retention_days * 24 <= values.give_up_hours:
            self._wrong(
                "RETENTION_DAYS", f"{values.retention_days:g} days do not exceed GIVE_UP_HOURS; raise it"
            )

    def _wrong(self, name: str, detail: str) -> None:
        self._problems.append(Problem(name, detail))

    def _text(self, name: str, default: _T) -> str | _T:
        return self._environ.get(name, "").strip() or default

    def _number(self, name: str, convert: Callable[[str], _T], default: _T, low: float, high: float) -> _T:
        text = self._text(name, None)
        if text is None:
            return default
        try:
            value = convert(text)
        except ValueError:
            self._wrong(name, f"{text!r} is not a number")
            return default
        if not low <= value <= high:  # type: ignore[operator]  # int or float by construction
            self._wrong(name, f"{text} is outside {low:g} to {high:g}")
        return value

    def _seconds(self, name: str, default: float, low: float, high: float) -> float:
        return self._number(name, float, default, low, high)

    def _whole(self, name: str, default: int, low: int, high: int) -> int:
        return self._number(name, int, default, low, high)

    def _matching(self, name: str, default: str, pattern: str, accepted: str) -> str:
        text = self._text(name, default)
        if not re.fullmatch(pattern, text):
            self._wrong(name, f"{text!r} found; accepted: {accepted}")
        return text

    def _word(self, name: str, words: Any) -> Any:
        """Return one of the words of a `Literal`, the first if the setting is missing."""
        accepted = get_args(words)
        text = self._text(name, accepted[0]).lower()
        if text not in accepted:
            self._wrong(name, f"{text!r} found; accepted: {', '.join(accepted)}")
        return text

    def _minutes(self, name: str, default: str) -> tuple[float, ...]:
        # Set but empty means something here: a 404 fails at once.
        text = self._environ.get(name, default)
        try:
            minutes = tuple(float(part) for part in text.split(",") if part.strip())
        except ValueError:
            minutes = (-1.0,)
        if not all(0 < minute <= 24 * 60 for minute in minutes):
            self._wrong(name, f"{text!r} found; accepted: minutes from above 0 to 1440, separated by commas")
        return minutes

    def _flag(self, name: str, default: bool) -> bool:
        text = self._text(name, str(default)).lower()
        if text not in ("true", "false"):
            self._wrong(name, f"{text!r} found; accepted: true or false")
        return text == "true"

    def _folder(self, name: str) -> Path | None:
        text = self._text(name, None)
        return Path(text) if text else None

    def _url(self, name: str, default: _T) -> str | _T:
        """Return the base of a service's addresses: `https`, or `http` to loopback."""
        text = self._text(name, None)
        if text is None:
            return default
        try:
            address.check(text, name)
        except SettingsError as error:
            prefix = "" if "@" in text else f"{text!r} found: "  # a URL may hold a password
            for problem in error.problems:
                self._wrong(name, prefix + problem.detail)
        return text.rstrip("/")

    def _senders(self, name: str) -> tuple[Sender, ...]:
        text = self._text(name, None)
        try:
            return senders.read(text, self._environ) if text else ()
        except ValueError as error:  # the value may be a key instead of its fingerprint
            self._wrong(name, str(error))
            return ()

    def _storage(self) -> StorageSettings:
        for prefix in _STORAGE_PREFIXES:
            connection_string = self._text(prefix, None)
            if connection_string:
                return StorageSettings(connection_string=connection_string)
            account = self._text(f"{prefix}__accountName", None)
            endpoint = self._url(f"{prefix}__tableServiceUri", None) or (
                f"https://{account}.table.core.windows.net" if account else None
            )
            if endpoint:
                setting = f"{prefix}__clientId"
                client_id = self._text(f"{prefix}__clientId", None)
                return StorageSettings(endpoint=endpoint, client_id=client_id, client_setting=setting)
        # No error here: mapping and dry runs need no table; opening the table raises.
        return StorageSettings()
