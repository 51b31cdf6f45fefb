"""The one Django app of the project."""

import gc

from django.apps import AppConfig


class LeaderboardConfig(AppConfig):
    """People, phases, submissions, runs and standings."""

    name = "leaderboard"
    verbose_name = "ReXGrounding Challenge"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Every process of the server passes here: web, workers and commands."""
        from django import forms

        from leaderboard import checks
        from leaderboard.celery import app
        from leaderboard.core import blobs, text

        app.set_default()  # shared tasks belong to this app, whatever else was imported before
        checks.stop_if_unsafe()
        blobs.prepare()
        # Every form's: Django's own lets through what no mail can be sent to; the mail would fail then, not the form.
        forms.EmailField.default_validators = [*forms.EmailField.default_validators, text.check_address]
        # What was imported stays to the end: Python need not look through it again and again, nor when it ends. The
        # processes' first lines have kept it from looking meanwhile (manage.py, celery.py, wsgi.py).
        gc.freeze()
        gc.enable()
