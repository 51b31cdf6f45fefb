"""WSGI entry point, for gunicorn."""

import os
import socket

from django.core.wsgi import get_wsgi_application

from leaderboard import checks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
checks.stop_if_uncollected()
application = get_wsgi_application()

from leaderboard.core import process_heartbeat  # noqa: E402 - it needs the settings

process_heartbeat.beat_in_background(f"{process_heartbeat.WEB}@{socket.gethostname()}")
