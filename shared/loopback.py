"""Which hosts are this machine itself: plain http is allowed there, and no proxy is used."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Return whether a host name or an address, without a port, never leaves this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
