"""Which devices can have the event of a payload, and what is at the other end of a connection.

An id of a device goes before a name, and a name before an address. Who is called the device goes before who reports
or carries an agent; if the event is of the network, both ends of the connection do as well. A host that only brought
the event counts if there is no other.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from shared.alerts.text import shown as written
from shared.payload import clue_values as values
from shared.payload import names
from shared.payload.clue_readings import Best, Readings, are_beside
from shared.payload.clues import Host
from shared.payload.paths import shown

_DEVICES = ("host", "agent", "reporter")
_NETBIOS = 15
_MAX_URL = 2_048
_SOURCE, _DESTINATION = "source", "destination"
_PORTS = {_SOURCE: ("source_port",), _DESTINATION: ("remote_port", "destination_port")}

Hosts = tuple[Host, ...]


def read(readings: Readings, *, logon: bool, program: bool) -> tuple[Hosts, dict[str, str]]:
    """Return the devices, likeliest first, and the facts of the other end.

    `logon`: the event is one, and so recorded where somebody logs on; `program`: something is said of a program.
    """
    both = all(_end(readings, side) or readings.best(side, values.address) for side in _PORTS)
    hosts = _identified(readings) or _named(readings, "host")
    if not hosts and (program or not both):
        hosts = _beside(readings)
    explicit = bool(hosts)
    if not hosts and not any(values.host(reading.text) for reading in readings.of("host")):  # two that differ
        hosts = (
            _of_ends(readings, (_DESTINATION,) if logon else (_SOURCE, _DESTINATION))
            or _beside(readings)
            or _addressed(readings, "address")
            or _named(readings, "transport")
        )
    remote, side = readings.best("remote_ip", values.address), ""
    if not remote:
        side = _far(readings, hosts, explicit=explicit, logon=logon)
        remote = readings.best(side, values.address) if side else readings.best("address", _public)
    facts = _facts(readings, side, remote, hosts, program=program)
    return hosts if program or logon or not both or not explicit else _with_source(readings, hosts), facts


def _with_source(readings: Readings, hosts: Hosts) -> Hosts:
    """Return devices with the one that initiated a connection: a firewall calls itself the host."""
    place = readings.places["hosts"]
    source = [
        host for host in _of_ends(readings, (_SOURCE,)) if not any(_is_same(host, own) for own in hosts)
    ]
    readings.places["hosts"] = f"{place}, {readings.places['hosts']}" if source else place
    return (*hosts, *source)


def _facts(
    readings: Readings, side: str, other: Best | None, hosts: Hosts, *, program: bool
) -> dict[str, str]:
    url = readings.take("remote_url", _url)
    if not url and other and not program:  # else it is likely a link to the alert
        url = readings.take("remote_url", _url, "url")
    return {
        "remote_ip": readings.note("remote_ip", other) if other else "",
        "remote_port": readings.take("remote_port", values.port, *_PORTS.get(side, ("remote_port",))),
        "remote_url": "" if url.lower() in {host.value for host in hosts} else url,
    }


def _far(readings: Readings, hosts: Hosts, *, explicit: bool, logon: bool) -> str:
    """Return which end of a connection is the other one than the device, "" if that is not known."""
    own = {values.address(reading.text) for reading in readings.of("host_address")}
    ends = {side: best.value for side in _PORTS if (best := readings.best(side, values.address))}
    source, destination = ends.get(_SOURCE), ends.get(_DESTINATION)
    if source == destination:
        return ""
    others = [
        side
        for side, address in ends.items()
        if address not in own and not (len(hosts) == 1 and _end(readings, side) == hosts[0])
    ]
    if not source or not destination or len(others) == 1:
        return others[0] if len(others) == 1 and (logon or _is_told(readings, ends, others[0])) else ""
    if logon:
        return _SOURCE
    if values.is_private(source) != values.is_private(destination):
        return _DESTINATION if values.is_private(source) else _SOURCE
    return _SOURCE if explicit and _is_inbound(readings) else _DESTINATION


def _is_told(readings: Readings, ends: Mapping[str, str], side: str) -> bool:
    """Tell whether an end is of a connection: a private address alone is likely the device's own."""
    if len(ends) > 1 or not values.is_private(ends[side]):
        return True
    return _is_inbound(readings) if side == _SOURCE else readings.has(*_PORTS[side])


def _is_inbound(readings: Readings) -> bool:
    direction = readings.best("direction")
    return direction is not None and names.word(direction.value) in names.table("clues")["inbound"]


def _end(readings: Readings, side: str) -> Host | None:
    """Return the device at an end of a connection, by its name if that is there."""
    for best in _best_end(readings, side):
        return values.host(best.value)
    return None


def _best_end(readings: Readings, side: str) -> Iterator[Best]:
    for identity in ("name", "address"):
        if best := readings.best(side, _host_of(identity)):
            yield best


def _of_ends(readings: Readings, order: tuple[str, ...]) -> Hosts:
    """Return the devices at both ends of a connection."""
    devices = [best for side in order for best in list(_best_end(readings, side))[:1]]
    if devices:
        readings.places["hosts"] = ", ".join(shown(best.place) for best in devices)
    return tuple(dict.fromkeys(host for best in devices if (host := values.host(best.value))))


def _beside(readings: Readings) -> Hosts:
    """Return the device that carries an agent or reports, or has the address of the event's own end."""
    return _named(readings, "agent") or _named(readings, "reporter") or _addressed(readings, "host_address")


def named(readings: Readings) -> Hosts:
    """Return all devices that are called so: by their ids, if any has one, else by their names; else the ends."""
    by_name = ((field, values.host) for field in (*_DEVICES, _SOURCE, _DESTINATION))
    for field, form in (("device_id", values.device), *by_name, ("end_id", values.device)):
        places = {
            host: shown(reading.place) for reading in readings.of(field) if (host := form(reading.text))
        }
        if places:
            readings.places["named"] = ", ".join(places.values())
            return tuple(places)
    return ()


def unread(readings: Readings) -> tuple[str, ...]:
    """Return the texts that should be the device and name none, each with its place."""
    by_field = {
        "device_id": values.device,
        "entra_id": values.entra,
        **dict.fromkeys(_DEVICES, values.host),
        "host_address": values.address,
    }
    texts = {
        f"{written(reading.text)} at {shown(reading.place)}": None
        for field, form in by_field.items()
        for reading in readings.of(field)
        if values.text(reading.text) and not form(reading.text)
    }
    return tuple(texts)


def _identified(readings: Readings) -> Hosts:
    """Return the device of an id of Defender or Entra."""
    for field, host in (("device_id", values.device), ("entra_id", values.entra)):
        best = readings.best(field, _value_of(host))
        if best and (device := host(best.value)):
            readings.note("hosts", best)
            return (device,)
    return ()


def _named(readings: Readings, field: str) -> Hosts:
    """Return the host of the best name, by its whole name if another reading has that."""
    hosts = [(host, reading) for reading in readings.of(field) if (host := values.host(reading.text))]
    hosts = [pair for pair in hosts if pair[0].identity == "name"] or hosts
    best = [pair for pair in hosts if pair[1].rank == hosts[0][1].rank]
    same = [pair for pair in hosts if all(_is_same(pair[0], host) for host, _ in best)]
    if not same:
        return ()
    whole = {host.value for host, _ in same if "." in host.value}
    host, reading = max(same, key=lambda pair: "." in pair[0].value) if len(whole) == 1 else best[0]
    readings.note("hosts", Best(host.value, reading.place))
    domain = readings.best("dns_domain", lambda text: text.strip(" .").lower() if "." in text else "")
    if (
        domain
        and host.identity == "name"
        and "." not in host.value
        and are_beside(domain.place, reading.place)
    ):
        return (replace(host, value=f"{host.value}.{domain.value}"),)
    return (host,)


def _addressed(readings: Readings, field: str) -> Hosts:
    best = readings.best(field, _value_of(values.private))
    return (Host("address", readings.note("hosts", best)),) if best else ()


def _is_same(host: Host, other: Host) -> bool:
    """Say whether two names are of one host, as far as they say: short and whole, or cut by NetBIOS."""
    short, whole = sorted((host.value, other.value), key=len)
    label = whole.partition(".")[0]
    cut = "." not in short and len(short) == _NETBIOS and short == label[:_NETBIOS]
    return short in (whole, label) or cut


def _value_of(host: Callable[[str], Host | None]) -> Callable[[str], str]:
    def form(text: str) -> str:
        device = host(text.strip())
        return device.value if device else ""

    return form


def _host_of(identity: str) -> Callable[[str], str]:
    def form(text: str) -> str:
        host = values.host(text)
        return host.value if host and host.identity == identity else ""

    return form


def _public(text: str) -> str:
    address = values.address(text)
    return address if address and not values.is_private(address) else ""


def _url(text: str) -> str:
    text = values.text(text)
    usual = (
        len(text) <= _MAX_URL
        and not any(space in text for space in " \t\n")
        and "." in text
        and text[:1] != "/"
    )
    return text if usual and not values.address(text) else ""
