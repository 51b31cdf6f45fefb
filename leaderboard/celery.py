"""The control side's Celery app.

Messages carry an id and nothing else: PostgreSQL holds the truth, and a message lost or delivered twice only costs
time (leaderboard/processes/sweeper.py sends it again). GPU hosts have an app of their own, containers/host/worker.py,
which knows neither these tasks nor this database.
"""

import gc
import os

from celery import Celery

from containers.protocol.task_queue import survive_lost_acknowledgements

gc.disable()  # until all is imported (apps.py)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "leaderboard.settings")
# Django's checks, which Celery would repeat in each worker, load every page and the whole API: no task needs them, and
# `manage.py migrate` checks.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

survive_lost_acknowledgements()
app = Celery("leaderboard")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["leaderboard.processes"])
