"""The clues that a source's file may name under `fields`, as the contract spells them."""

from collections.abc import Mapping
from types import MappingProxyType

READ_AS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "device": ("host",),
        "time": ("time",),
        "sha1": ("process_sha1", "file_sha1"),
        "sha256": ("process_sha256", "file_sha256"),
        "md5": ("process_md5", "file_md5"),
        "fileName": ("file_path",),
        "filePath": ("file_path",),
        "commandLine": ("command_line",),
        "processId": ("process_id",),
        "processName": ("process_path",),
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
