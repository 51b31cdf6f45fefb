"""How often a look at the masks of a run was begun, and in which way a run failed; the code of before knows neither.

The sweeper fills in the latter for runs that failed before, also for those that the code of before still lets fail.
"""

from django.db import migrations, models
from django.db.models import Q


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0012_fairness")]

    operations = [
        migrations.AddField(
            "run",
            "hints_tries",
            models.PositiveSmallIntegerField(
                db_default=0, default=0, help_text="looks at its masks that were begun; after a few it is given up"
            ),
        ),
        migrations.AddField(
            "run",
            "failure_kind",
            models.CharField(
                blank=True,
                db_default="",
                help_text="in which way it failed, decided once, when it does",
                max_length=20,
            ),
        ),
        migrations.AddConstraint(
            "run",
            models.CheckConstraint(
                condition=Q(failure_kind="") | Q(state="failed"), name="only_failed_runs_have_a_kind_of_failure"
            ),
        ),
        # Words of the code: the database knows neither.
        migrations.AlterField(
            "run",
            "hints_asked_at",
            models.DateTimeField(
                blank=True, help_text="when a worker was last told to look at its masks, or began to", null=True
            ),
        ),
        migrations.AlterField(
            "turn",
            "kind",
            models.CharField(
                choices=[
                    ("check", "the check of an image"),
                    ("slot", "a slot of a GPU host"),
                    ("score", "a process that scores"),
                    ("look", "a look at the masks of a run"),
                ],
                max_length=5,
            ),
        ),
    ]
