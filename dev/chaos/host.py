"""A host of the campaign: the local host, with a wall clock of its own and retries after seconds.

python -m dev.chaos.host --wall-offset 18000 …     further arguments as for dev.stack.host
"""

import argparse
import functools
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shared.webhook.receive import Webhook

_WORKER_THREADS = 16
_RETRY_SECONDS = 2.0  # after an unavailable answer


def main() -> None:
    """Serve until SIGTERM or SIGINT, as `dev.stack.host` does."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--wall-offset", type=float, default=0.0, help="seconds that the wall clock is ahead")
    given, sys.argv[1:] = parser.parse_known_args()
    true_time = time.time
    # Before anything of ours is imported: whoever asks for the time by whatever name gets this host's.
    time.time = lambda: true_time() + given.wall_offset

    from dev.stack import host  # noqa: PLC0415 - after the clock was set
    from shared import app, settings  # noqa: PLC0415 - after the clock was set
    from shared.ledger import settlement  # noqa: PLC0415 - after the clock was set

    @functools.cache
    def webhook() -> "Webhook":
        """Return the webhook of this process, as `shared.app` puts it together but for its patience."""
        configured = settings.current()
        rules = settlement.Rules(
            configured.not_found_retry_minutes,
            configured.give_up_hours,
            unavailable_minutes=(_RETRY_SECONDS / 60,),
        )
        return app.assemble(configured, workers=_WORKER_THREADS, rules=rules)

    app.webhook = webhook
    host.main()


if __name__ == "__main__":
    main()
