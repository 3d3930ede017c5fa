"""Microsoft's own parser of KQL, in a Node process that stays for the queries to come."""

import json
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dev import setup


class Parser:
    """Reads queries against tables, by name with their columns as KQL lists them. Thread-safe; started when needed."""

    def __init__(self, tables: Mapping[str, str], script: Path | None = None) -> None:
        self._tables = tables
        self._scripts = [Path(__file__).with_suffix(".js"), setup.AZURITE, *([script] if script else [])]
        self._lock = threading.Lock()
        self._node: subprocess.Popen[str] | None = None

    def close(self) -> None:
        """End the process."""
        if self._node:
            self._node.communicate()

    def check(self, query: str) -> dict[str, Any]:
        """Return what a query is made of, as parser.js says it; it is sound if there are no `errors`."""
        with self._lock:
            lines: list[object] = [query]
            if self._node is None:
                lines.insert(0, self._tables)
                pipe = subprocess.PIPE
                command = [setup.NODE.resolve(), *self._scripts]
                self._node = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, encoding="utf-8")
            if not (self._node.stdin and self._node.stdout):
                raise RuntimeError("the parser has no pipes")
            self._node.stdin.writelines(json.dumps(line) + "\n" for line in lines)
            self._node.stdin.flush()
            parts: dict[str, Any] = json.loads(self._node.stdout.readline())
            return parts
