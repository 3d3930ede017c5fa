"""The operator's list of alerts is in the order of time, however many there are."""

import functools
import random
from dataclasses import replace
from typing import Any
from unittest import mock
from urllib.parse import urlencode

import pytest

from dev.samples import eight_fields, event
from shared.alerts.alert import Alert
from shared.errors import RequestError
from shared.ledger import keys, record, rows
from shared.ledger.record import Delivery
from shared.operations import listing, ordered, page
from shared.settings import Settings
from shared.web import parameters
from tests.checks.virtual import AT_ONCE, ORIGIN, Host, World

MANY = 1_300


class Office:
    """The operator on a host of a world with many alerts, in deliveries of one to some, posted at random times."""

    def __init__(self, many: int) -> None:
        self.world, dice = World(), random.Random(7)
        self.host = Host(self.world, AT_ONCE)
        self.dispatcher = self.host.webhook(Settings()).dispatcher
        self.accepted: list[tuple[float, list[str]]] = []
        number = 0
        while number < many:
            names = [
                self._alert(number + more) for more in range(min(dice.choice((1, 1, 2, 40)), many - number))
            ]
            number += len(names)
            self._deliver(names, ago=dice.choice((0, 5, 5, 3_000, 90_000, 2_000_000)) + dice.random())
        self.accepted.sort(reverse=True)

    def _alert(self, number: int) -> Alert:
        severity = "High" if number % 10 == 0 else "Low"
        return Alert.from_body(eight_fields(event(number), f"Rule {number}", severity))

    def _deliver(self, alerts: list[Alert], ago: float) -> None:
        now = round(self.world.now - ago, 3)
        delivery = Delivery(keys.delivery_id(now), "splunk", now, tuple(alert.id for alert in alerts))
        entries = [record.accept(alert, source="splunk", delivery=delivery.id, now=now) for alert in alerts]
        again = tuple(self.accepted[0][1][:1] if self.accepted else ())  # one more, of another delivery
        delivery = Delivery(delivery.id, "splunk", now, delivery.alerts + again, duplicates=again)
        for entry in entries:
            self.world.table.commit(rows.insert(entry))
        self.world.table.commit([rows.insert_delivery(delivery)])
        self.accepted.append((now, [alert.id for alert in alerts]))

    def page(self, url: str) -> dict[str, Any]:
        """Return one page."""
        read = parameters.read(url, listing.ALERTS)
        return self.world.finish(
            self.host.submit(functools.partial(listing.alerts, self.dispatcher, read, ()))
        )

    def pages(self, **asked: Any) -> list[list[str]]:
        """Follow a list to its end; return the ids on each page."""
        shown: list[list[str]] = []
        continuation = None
        while continuation is not None or not shown:
            more: dict[str, str] = {"continuation": continuation} if continuation else {}
            url = f"{ORIGIN}/api/operations/alerts?{urlencode(asked | more)}"
            answer = self.page(url)
            shown.append([item["id"] for item in answer["alerts"]])
            continuation = answer["continuation"]
            assert len(shown) < 10_000
        return shown


@pytest.fixture(scope="module")
def office() -> Office:
    """Return an office of more alerts than one request reads."""
    return Office(MANY)


@pytest.mark.parametrize("top", [1, 50, 200])
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_thousands_are_listed_by_their_time(office: Office, order: str, top: int) -> None:
    """Each alert is listed once, in the order of its delivery, on full pages; the first page has the newest."""
    pages = office.pages(order=order, top=top)
    at = {alert: time for time, alerts in office.accepted for alert in alerts}
    ids = [alert for shown in pages for alert in shown]
    assert sorted(ids) == sorted(at)
    assert [at[alert] for alert in ids] == sorted(at.values(), reverse=order == "newest")
    assert len(pages[0]) == top


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_thousands_are_filtered_in_order(office: Office, order: str) -> None:
    """A filter leaves out the others, and the rest is in the order of time, with an end."""
    ids = [alert for shown in office.pages(order=order, severity="High") for alert in shown]
    at = {alert: time for time, alerts in office.accepted for alert in alerts}
    assert len(set(ids)) == len(ids) == MANY // 10
    assert [at[alert] for alert in ids] == sorted((at[alert] for alert in ids), reverse=order == "newest")


def test_more_than_are_filtered_at_once_are_filtered_by_delivery(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However few fit, a page reads at most 500 alerts; the next one goes on, and each alert is listed once."""
    monkeypatch.setattr(listing, "_THOUSANDS", 1)
    pages = office.pages(title="Rule 7")
    assert len(pages) >= MANY // 500
    assert sum(map(len, pages)) == 1
    ids = [alert for shown in office.pages(severity="High") for alert in shown]
    at = {alert: time for time, alerts in office.accepted for alert in alerts}
    assert [at[alert] for alert in ids] == sorted((at[alert] for alert in ids), reverse=True)
    assert len(set(ids)) == len(ids) == MANY // 10


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_a_list_goes_on_where_thousands_come_between_two_pages(order: str) -> None:
    """Nothing is left out, though the second page finds too many to read them whole."""
    office = Office(990)
    url = f"{ORIGIN}/api/operations/alerts?order={order}"
    first = office.page(url)
    for number in range(5_000, 6_100):
        office._deliver([office._alert(number)], ago=1_000.0)
    rest = office.page(f"{url}&top=200&continuation={first['continuation']}")
    seen = [item["id"] for item in (*first["alerts"], *rest["alerts"])]
    at = {alert: time for time, alerts in office.accepted for alert in alerts}
    assert [at[alert] for alert in seen] == sorted((at[alert] for alert in seen), reverse=order == "newest")
    ranked = sorted(at, key=lambda alert: at[alert], reverse=order == "newest")
    assert {at[alert] for alert in ranked[: len(set(seen))]} == {at[alert] for alert in seen}


def test_some_alerts_are_in_the_order_of_their_last_acceptance() -> None:
    """Up to a thousand are read whole: in order, page by page, whatever their deliveries."""
    office = Office(page.ROWS - 1)
    ids = [alert for shown in office.pages(top=70) for alert in shown]
    at = {alert: time for time, alerts in office.accepted for alert in alerts}
    assert [at[alert] for alert in ids] == sorted(at.values(), reverse=True)


@pytest.mark.parametrize(
    "place", ["alert-00|", "delivery-1|", "delivery-1|1000000", "refused-1", "1772700000.0"]
)
def test_a_continuation_of_another_list_is_refused(office: Office, place: str) -> None:
    """It is told by its name."""
    url = f"{ORIGIN}/api/operations/alerts?continuation={page.opaque(place)}"
    with pytest.raises(RequestError, match="continuation"):
        listing.alerts(office.dispatcher, parameters.read(url, listing.ALERTS), ())


@pytest.mark.parametrize("order", ["newest", "oldest"])
@pytest.mark.parametrize("place", ["................a", "0000.0000.0000.0a", "9999999999999999a"])
def test_a_continuation_without_a_time_is_refused_also_where_there_are_thousands(
    office: Office, monkeypatch: pytest.MonkeyPatch, place: str, order: str
) -> None:
    """It never becomes an internal error."""
    monkeypatch.setattr(page, "ROWS", 500)
    url = f"{ORIGIN}/api/operations/alerts?order={order}&continuation={page.opaque(place)}"
    with pytest.raises(RequestError, match="continuation"):
        office.page(url)


@pytest.mark.parametrize("time", ["1e400", "9e99", "9" * 60])
def test_a_continuation_beyond_all_time_costs_few_requests(office: Office, time: str) -> None:
    """The list begins with the newest, as from a time that is just ahead."""
    place = page.opaque(f"delivery-{time}")
    table = mock.Mock(wraps=office.world.table)
    listed = ordered.newest(
        table, (keys.DELIVERY, keys.DELIVERY_END), rows.read_delivery, top=1, continuation=place
    )
    assert listed.items[0].accepted == office.accepted[0][0]
    assert table.query.call_count < 20


@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_an_alert_to_which_two_searches_of_a_delivery_led_is_listed_once(order: str) -> None:
    """It stands in the place of the search that it names."""
    office = Office(page.ROWS)
    found, first, second = (office._alert(number) for number in (7_000, 7_001, 7_002))
    now = round(office.world.now - 1, 3)
    sent = Delivery(keys.delivery_id(now), "splunk", now, (first.id, second.id))
    for alert in (first, second):
        search = record.accept(alert, source="splunk", delivery=sent.id, now=now)
        ended = replace(search, stage=keys.SEARCH, state="matched", waits="", ended=now, link=found.id)
        office.world.table.commit(rows.note(ended, None))
    entry = record.accept(found, source="splunk", delivery=sent.id, now=now)
    office.world.table.commit([*rows.insert(replace(entry, link=second.id)), rows.insert_delivery(sent)])
    ids = [alert for shown in office.pages(order=order, top=1) for alert in shown]
    assert ids.count(found.id) == 1
    assert not {first.id, second.id} & set(ids)
