"""What a submission's image was before it was rebuilt; nothing is known of those that were checked before."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0007_audit")]

    operations = [
        migrations.CreateModel(
            name="ImageProvenance",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "image_id",
                    models.CharField(
                        db_index=True,
                        help_text="sha256 of the configuration as uploaded: the image's id at the team's",
                        max_length=80,
                    ),
                ),
                (
                    "diff_ids",
                    models.JSONField(default=list, help_text="sha256 of each layer's content as uploaded, in order"),
                ),
                (
                    "warnings",
                    models.JSONField(blank=True, default=list, help_text="what the check noticed, and what it opened"),
                ),
                (
                    "submission",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="provenance",
                        to="leaderboard.submission",
                    ),
                ),
            ],
        ),
    ]
