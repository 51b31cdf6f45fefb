"""Turns between teams that no clock decides, history in the order of its events, masks bound to their attempt."""

import django.db.models.deletion
from django.db import migrations, models

REMEMBER = """
INSERT INTO leaderboard_turn (kind, team_id, number)
SELECT 'slot', team_id, row_number() OVER (ORDER BY max(started_at))
FROM leaderboard_run JOIN leaderboard_submission ON leaderboard_submission.id = submission_id
WHERE started_at IS NOT NULL GROUP BY team_id
"""


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0011_case_hints")]

    operations = [
        migrations.CreateModel(
            name="Turn",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("check", "the check of an image"),
                            ("slot", "a slot of a GPU host"),
                            ("score", "a process that scores"),
                        ],
                        max_length=5,
                    ),
                ),
                ("number", models.BigIntegerField(help_text="the higher, the later")),
                (
                    "team",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="turns",
                        to="leaderboard.team",
                    ),
                ),
            ],
            options={
                "constraints": [models.UniqueConstraint(fields=("kind", "team"), name="one_last_turn_per_kind")],
            },
        ),
        # The team whose last run began longest ago stays the first in the queue.
        migrations.RunSQL(REMEMBER, migrations.RunSQL.noop),
        migrations.AlterModelOptions(name="statechange", options={"ordering": ["pk"]}),
        migrations.AlterModelOptions(name="submission", options={"ordering": ["-pk"]}),
        migrations.AlterModelOptions(
            name="auditentry", options={"ordering": ["-pk"], "verbose_name_plural": "audit entries"}
        ),
        migrations.AlterField(
            model_name="submission",
            name="accepted_at",
            field=models.DateTimeField(help_text="when the upload was complete: decides the deadline"),
        ),
        # Nothing is known of what an attempt uploaded that began under the code before.
        migrations.AddField(
            model_name="attempt",
            name="received",
            field=models.JSONField(
                blank=True, null=True, help_text="the masks that it uploaded: digest and bytes, by file name"
            ),
        ),
        # Null: it has not said hello to this code yet.
        migrations.AddField(
            model_name="host",
            name="hello_at",
            field=models.DateTimeField(blank=True, null=True, help_text="when it last said what it offers"),
        ),
    ]
