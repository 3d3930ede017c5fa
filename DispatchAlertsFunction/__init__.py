"""Every 30 seconds: sends the backlog, and clears away what is past its retention."""

import azure.functions as func

from shared import app


def main(timer: func.TimerRequest) -> None:  # noqa: ARG001 - the binding's name
    """Send the backlog for up to 55 s, while there is one."""
    app.webhook().dispatch()
