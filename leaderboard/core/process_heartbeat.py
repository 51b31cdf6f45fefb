"""Signs of life: each process of the server that works unseen writes down, again and again, that it is there.

A row per process and not a key in the broker: it must tell of a broker that is away. Celery's own heartbeats and
remote control are off.
"""

import logging
import threading
import time

from django.conf import settings
from django.db import Error as DatabaseError
from django.db import connection

from leaderboard.core import clock
from leaderboard.models import ProcessHeartbeat

logger = logging.getLogger(__name__)
BEAT_SECONDS = min(15.0, settings.LEASE_SECONDS / 4)
SWEEPER = "sweeper"
WEB = "web"  # serves everything; else there is a process for each role (deploy/gunicorn_settings.py)
HOSTS = "hosts"
BOARD = "board@"  # and a phase's key: when its boards were looked at last


def beat(name: str) -> None:
    """Write down that the process `name` is alive."""
    ProcessHeartbeat.objects.update_or_create(name=name[:120], defaults={"at": clock.now()})


def beat_in_background(name: str) -> None:
    """Beat until this process ends; a database that is away is waited for."""
    threading.Thread(target=_beat_on, args=(name,), name="heartbeat", daemon=True).start()


def _beat_on(name: str) -> None:
    while True:
        try:
            beat(name)
        except DatabaseError as error:
            logger.warning("no sign of life could be written: %s", error)
        finally:
            connection.close()
        time.sleep(BEAT_SECONDS)
