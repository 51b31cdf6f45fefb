"""The clock, set forward by an offset. Nothing of the server reads one: no setting, no variable, no row."""

from datetime import datetime, timedelta

import pytest

from leaderboard.core import clock


class Ahead:
    """The server's clock from now on: the database's, and so much more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real, self._ahead = clock.now, timedelta()
        self.began = self._real()
        monkeypatch.setattr(clock, "now", self.now)

    def now(self) -> datetime:
        """The present instant of the challenge."""
        return self._real() + self._ahead

    def set_to(self, at: datetime) -> None:
        """Let the time pass until this instant, which is to come."""
        assert at > self.now(), f"{at} is over"
        self._ahead = at - self._real()

    def noon(self, days: int) -> datetime:
        """Noon (UTC) so many days after the challenge began."""
        return (self.began + timedelta(days=days)).replace(hour=12, minute=0, second=0, microsecond=0)
