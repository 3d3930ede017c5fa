"""Counts the work on a delivery, so that no payload costs more than a delivery may."""


class TooManySteps(Exception):
    """The payload would cost more than a delivery may."""


class Budget:
    """A number of steps: values walked over, and the like."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        """Take some steps. Raises `TooManySteps` if there are not so many left."""
        self._left -= steps
        if self._left < 0:
            raise TooManySteps
