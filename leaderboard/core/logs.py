"""How records are written to a log that people read in a terminal and programs read line by line."""

import logging


class OneRecordFormatter(logging.Formatter):
    """Nothing that somebody else wrote can pass for a record of its own, or drive a terminal.

    Lines that follow a record's first one (a traceback, a name with a line break) are indented; control characters and
    changes of direction are written as escapes.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        return "\n    ".join(_visible(line) for line in super().format(record).splitlines())


def _visible(line: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)
