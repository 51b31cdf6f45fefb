"""A team's own note on each of its submissions. The code of before, which still takes submissions, knows nothing of it."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0018_withdrawal_and_equal_entries")]
    operations = [
        migrations.AddField(
            "submission",
            "note",
            models.CharField(
                blank=True,
                db_default="",
                help_text="the team's own words, which nobody else reads",
                max_length=500,
            ),
        ),
    ]
