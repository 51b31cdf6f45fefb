"""Asking the engine without being held up by it: a daemon that hangs takes a connection and never answers.

What a hello needs to know of the engine is asked in a thread of its own. Who waits for it waits for some seconds; then
a ping says whether the engine answers at all, for to look after full disks may rightly take a while.
"""

import threading
import time
from collections.abc import Callable
from typing import Final

from containers.sandbox.engine import Engine, EngineError

#: For what an engine answers at once, however busy it is.
PING_SECONDS: Final = 5.0
#: For a whole look at the engine, images removed for lack of space included.
LOOK_SECONDS: Final = 10.0
#: After this even an engine that answers to a ping is said to hang.
LONGEST_LOOK_SECONDS: Final = 60.0


def silence_of(engine: Engine) -> str | None:
    """That the engine does not answer now, if it does not; found out within seconds."""
    try:
        engine.ping(PING_SECONDS)
    except EngineError as error:
        return f"The container engine does not answer: {error}"
    return None


class EngineWatch:
    """Answers with one sentence on what is wrong. `look` may take as long as the engine pleases; for one thread."""

    def __init__(self, engine: Engine, look: Callable[[], str | None]) -> None:
        self._engine = engine
        self._look = look
        self._looking: _Look | None = None
        self._found: str | None = "The container engine was not looked at yet."

    def problem(self) -> str | None:
        """What `look` finds now or, while it is held up, why."""
        if silence := silence_of(self._engine):
            return silence
        looking = self._looking = self._looking or _Look(self._look)
        if looking.has_ended(LOOK_SECONDS):
            self._found, self._looking = looking.found, None
            return self._found
        if silence := silence_of(self._engine):  # it began to hang meanwhile
            return silence
        if looking.seconds > LONGEST_LOOK_SECONDS:
            return f"The container engine has been busy with one request for {looking.seconds:.0f} s."
        return self._found


class _Look:
    """One look, in a thread that nobody has to wait for: not even the end of the process."""

    def __init__(self, look: Callable[[], str | None]) -> None:
        self.found: str | None = "The look at the engine failed; the worker's log says why."
        self._look = look
        self._began = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="engine-watch", daemon=True)
        self._thread.start()

    @property
    def seconds(self) -> float:
        """For how long it has been going on."""
        return time.monotonic() - self._began

    def has_ended(self, seconds: float) -> bool:
        """Wait so long for its end, at most."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self.found = self._look()
