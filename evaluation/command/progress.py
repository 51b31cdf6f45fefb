"""How far a long work is: one line that counts on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from contextlib import suppress

SHORT_SECONDS = 2.0  # a work done sooner passes in silence
LINES = 10  # without a terminal: one for each tenth of the work,
SILENT_SECONDS = 30.0  # one after as long without any,
FREQUENT_SECONDS = 2.0  # but none sooner than this after the one before
LIVE_SECONDS = 0.2  # the same on a terminal
CLEAR_LINE = "\r\x1b[K"


def tell(line: str) -> None:
    """A line on standard error; that nobody reads it any more stops no work."""
    with suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


class Progress:
    """Tells how much is done, and about how long the rest will take."""

    def __init__(self, what: str, *, quiet: bool = False) -> None:
        self._what, self._quiet = what, quiet
        self._start = self._told = time.monotonic()
        self._tenth = 0
        self._live = sys.stderr.isatty()

    def show(self, done: int, total: int) -> None:
        """Call it after each step and, during long steps, from time to time."""
        if self._quiet or total == 0:
            return
        now = time.monotonic()
        if self._live:
            self._show_live(done, total, now)
            return
        tenth = done * LINES // total
        waited = now - self._told
        if waited >= SILENT_SECONDS or (tenth > self._tenth and waited >= FREQUENT_SECONDS):
            self._tenth, self._told = tenth, now
            tell(self._line(done, total, now))

    def _show_live(self, done: int, total: int, now: float) -> None:
        if done == total:
            self._write(CLEAR_LINE + (self._line(done, total, now) + "\n" if now - self._start > SHORT_SECONDS else ""))
        elif now - self._told >= LIVE_SECONDS:
            self._told = now
            self._write(CLEAR_LINE + self._line(done, total, now))

    def interrupt(self) -> None:
        """Make room for another line on the terminal."""
        if self._live and not self._quiet:
            self._write("\n")

    def _line(self, done: int, total: int, now: float) -> str:
        seconds = now - self._start
        line = f"{self._what}: {done} of {total}, {_duration(seconds)}"
        if 0 < done < total and seconds > 0:
            line += f", {_rate(done / seconds)}, {_duration(seconds / done * (total - done))} left"
        return line

    @staticmethod
    def _write(text: str) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()


def _rate(per_second: float) -> str:
    for seconds, unit in ((1, "second"), (60, "minute")):
        if per_second * seconds >= 1:
            return f"{per_second * seconds:.1f} a {unit}"
    return f"{per_second * 3600:.1f} an hour"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
