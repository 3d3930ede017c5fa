"""`make demo`: runs the main job on this machine, in about ninety seconds.

Several senders post real kinds of payloads to two hosts of the app, which share one window. Every line shown
is taken from an answer and compared with the simulator's own log; a mismatch is shown, and the exit code is 1.
"""

import argparse
import secrets
import signal
import sys

import requests

from dev.demo.acts import SEARCHES, afterwards, each_sender, fill, known
from dev.demo.run import CALLS, Demo
from dev.demo.screen import Screen
from dev.stack.child import ChildError
from dev.stack.stack import Stack


def main() -> None:
    """Run the demo. Exits 1 after a mismatch, or if the stack does not start."""
    parser = argparse.ArgumentParser(prog="make demo", description=main.__doc__)
    parser.add_argument("--window", type=float, default=60.0, help="seconds; Defender's is %(default)s")
    window = parser.parse_args().window
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    deliveries = [*each_sender(), *fill(CALLS), *afterwards()]
    senders = {each.sender for each in deliveries} | {each["sender"] for each in SEARCHES}
    keys = {sender: secrets.token_urlsafe(24) for sender in senders}
    # Nobody wants to watch it search for a quarter of an hour.
    settings = dict.fromkeys(("NOT_FOUND_RETRY_MINUTES", "FIND_EVENTS_RETRY_MINUTES"), "")
    settings |= {"FIND_EVENTS": "true", "NO_EVENT": "entity"}
    screen = Screen(CALLS)
    screen.say("Starting Azurite, the Defender simulator with its token endpoint, and two hosts …")
    try:
        with Stack(
            hosts=2, calls=CALLS, window=window, keys=keys, settings=settings, known_events="registered"
        ) as stack:
            stack.simulator("POST", "events", {"known": known(deliveries)})
            demo = Demo(stack, window, screen)
            with screen.status:
                demo.run()
    except (ChildError, requests.RequestException) as error:
        sys.exit(f"make demo: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(1 if demo.mismatches else 0)


if __name__ == "__main__":
    main()
