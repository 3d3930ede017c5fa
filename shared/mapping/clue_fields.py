"""The clues that a source's file may name under `fields`, as the contract spells them."""

from collections.abc import Mapping
from types import MappingProxyType

HOST = "host"
NAMES = ("file_name", "process_name")
"""The fields that have a file's name and no path."""

_HASHES = ("process_hash", "actor_hash", "file_hash", "hash")

READ_AS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "device": (HOST,),
        "time": ("time",),
        "sha1": _HASHES,
        "sha256": _HASHES,
        "md5": _HASHES,
        "fileName": ("file_name",),
        "filePath": ("file_path", "file_name"),
        "commandLine": ("command_line",),
        "processId": ("process_id",),
        "processName": ("process_path", "process_name"),
        "parentName": ("parent_name",),
        "remoteIp": ("remote_ip",),
        "remoteUrl": ("remote_url",),
        "remotePort": ("remote_port",),
        "registryKey": ("registry_key",),
        "registryValue": ("registry_value",),
        "accountName": ("account",),
        "accountDomain": ("account_domain",),
        "accountSid": ("account_sid",),
        "accountUpn": ("account_upn",),
        "outcome": ("outcome",),
    }
)
"""For each clue that a source's file may name, under which names of `tables/clues.json` it is read."""
