"""The texts of an alert for what its source does not tell: with an event of Defender, and without one."""

EVENT = "Defender event "
"""Begins the title that names an event only by its action or its table."""
ACTION = (
    "Look at the event in the timeline of the device in Microsoft Defender. If nobody expects it, isolate the device"
    " and start an investigation."
)
DESCRIPTION = "An event in Microsoft Defender for Endpoint."
TITLE = "Event in Microsoft Defender for Endpoint"

_WITHOUT_EVENT = {
    TITLE: "Alert without a title",
    ACTION: "Look at the device, the user or the address in Microsoft Defender, and at the alert at its source.",
}


def without_event(text: str) -> str:
    """Return a title, a description or an action as an alert has it that has no event: it claims none of Defender."""
    if text in _WITHOUT_EVENT:
        return _WITHOUT_EVENT[text]
    if text.startswith(DESCRIPTION):
        return f"The source tells no more of it.{text.removeprefix(DESCRIPTION)}"
    return f"Event {text.removeprefix(EVENT)}" if text.startswith(EVENT) else text
