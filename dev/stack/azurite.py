"""Azurite, Microsoft's emulator of Azure Storage: its table service, on a free port of this machine."""

import random
import signal
import tempfile
from pathlib import Path
from typing import Self

from dev import setup
from dev.stack.child import Child, ChildError

ACCOUNT = "devstoreaccount1"
# The key every Azurite has. It is printed in Microsoft's documentation and opens nothing but an emulator:
# https://learn.microsoft.com/azure/storage/common/storage-connect-azurite
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

_HOST = "127.0.0.1"
# Below the range from which Linux and macOS take clients' ports: while Azurite is stopped, nobody gets its
# port by accident, not even a client that keeps knocking there (TCP lets such a client meet itself).
_PORTS = range(20_000, 32_000)
_TRIES = 10


def any_port() -> int:
    """Return a port that is probably free."""
    return random.choice(_PORTS)


class Azurite:
    """The table service. `with Azurite() as azurite:` starts it; it can be stopped and started in between.

    With a `location` (a folder) the data is on disk and survives `stop()` and `start()`; without one it is in
    memory and gone after `stop()`. Once started, the port (and so `connection_string`) stays the same.
    """

    def __init__(self, location: Path | None = None) -> None:
        self.port = 0
        self._location = location
        self._child: Child | None = None
        self._logs: tempfile.TemporaryDirectory[str] | None = None

    @property
    def url(self) -> str:
        """Return the table service's address, account included."""
        return f"http://{_HOST}:{self.port}/{ACCOUNT}"

    @property
    def connection_string(self) -> str:
        """Return what goes into `AzureWebJobsStorage`."""
        account = f"AccountName={ACCOUNT};AccountKey={KEY}"
        return f"DefaultEndpointsProtocol=http;{account};TableEndpoint={self.url};"

    def start(self) -> None:
        """Start it and wait until it listens. Raise `ChildError` if it cannot, or runs already."""
        if self._child:
            raise ChildError("Azurite is running already")
        if not (setup.NODE.exists() and setup.AZURITE_TABLE.is_file()):
            raise ChildError("Azurite is not installed here: run `make setup`")
        ports = [self.port] if self.port else [any_port() for _ in range(_TRIES)]
        for port in ports:
            try:
                self._launch(port)
            except ChildError as error:
                self.stop()
                if port == ports[-1] or "EADDRINUSE" not in str(error):
                    raise
            else:
                self.port = port
                break

    def stop(self) -> None:
        """Stop it and wait: by SIGINT, because on other signals it loses writes that it has answered."""
        if self._child:
            self._child.stop()
            self._child = None
        if self._logs:
            self._logs.cleanup()
            self._logs = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _launch(self, port: int) -> None:
        self._logs = tempfile.TemporaryDirectory(prefix="azurite-")
        data = ("--location", self._location) if self._location else ("--inMemoryPersistence",)
        where = ("--tableHost", _HOST, "--tablePort", str(port))
        # The newest table SDK asks for an API version that this emulator does not know by name.
        how = ("--skipApiVersionCheck", "--disableTelemetry", "--silent")
        self._child = Child(
            (setup.NODE.resolve(), setup.AZURITE_TABLE, *where, *data, *how),
            log=Path(self._logs.name) / "azurite.log",
            stop_signal=signal.SIGINT,
        )
        # Its own word, not an answer on the port: that could come from somebody else's Azurite.
        self._child.wait_until(lambda child: b"successfully started" in child.output())
