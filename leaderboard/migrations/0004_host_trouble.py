"""A host says what is wrong with it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0003_phase_archived_at")]

    operations = [
        migrations.AddField(
            model_name="host",
            name="trouble",
            field=models.TextField(
                blank=True, db_default="", help_text="why it offers less than it has, or nothing, as it said"
            ),
        ),
    ]
