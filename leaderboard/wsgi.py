"""WSGI entry point, for gunicorn."""

import gc
import os
import socket

import django

from leaderboard import checks

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
checks.stop_if_uncollected()
gc.disable()  # until all is imported (apps.py)
django.setup(set_prefix=False)

from leaderboard.core import process_heartbeat  # noqa: E402 - they need the settings
from leaderboard.web.bodies import WholeBodies  # noqa: E402
from leaderboard.web.door import Handler  # noqa: E402

application = WholeBodies(Handler())
# Which requests come here (deploy/gunicorn_settings.py). A process that nobody gave a role serves all of them.
process_heartbeat.beat_in_background(f"{os.environ.get('WEB_ROLE') or process_heartbeat.WEB}@{socket.gethostname()}")
