"""Counting the work on a delivery, so that no payload takes too much."""


class TooManySteps(Exception):
    """The payload takes more work than a delivery may."""


class Budget:
    """A number of steps: values walked over, and the like."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def spend(self, steps: int) -> None:
        """Use some steps. Raise `TooManySteps` if too few are left."""
        self._left -= steps
        if self._left < 0:
            raise TooManySteps
