"""What tests ask for by name. The servers are real; none of them is started before a test asks."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis

from dev.simulator.simulator import Simulator
from dev.stack.azurite import Azurite
from dev.stack.stack import Stack
from dev.virtual.world import World
from tests.checks.strict_table import StrictTable

World.tables = StrictTable

# The same examples in every run, and no test that fails because the machine is slow.
hypothesis.register_profile(
    "house", deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis.load_profile("house")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse an argument that names no file. The processes of `-n` would say only that no tests ran."""
    for argument in config.args:
        if not (config.invocation_params.dir / argument.partition("::")[0]).exists():
            raise pytest.UsageError(f"file or directory not found: {argument}")


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Run one Azurite for all tests, in memory. A test that stops it takes one of its own."""
    with Azurite() as running:
        yield running


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Run a Defender simulator within the test's process; it knows every event, its window is empty."""
    with Simulator(known_events="all") as running:
        yield running


@pytest.fixture(scope="module")
def start_stack(azurite: Azurite) -> Iterator[Callable[..., Stack]]:
    """Start stacks on the one Azurite, each with a partition of its own; they end with the module."""
    with ExitStack() as running:

        def start(**arguments: Any) -> Stack:
            scope = {"RATE_LIMIT_SCOPE": f"stack-{secrets.token_hex(8)}"}
            settings = scope | arguments.pop("settings", {})
            return running.enter_context(Stack(azurite=azurite, settings=settings, **arguments))

        yield start


@pytest.fixture(scope="module")
def stack(start_stack: Callable[..., Stack]) -> Stack:
    """Run a stack of one host: Defender knows every event and takes 15 calls a minute."""
    return start_stack()


@pytest.fixture
def table_name() -> str:
    """Name a table that nobody has used yet."""
    return "T" + secrets.token_hex(8)
