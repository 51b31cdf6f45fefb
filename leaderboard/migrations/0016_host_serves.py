"""A host may run the programs of phases of public cases only, or of hidden cases only."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("leaderboard", "0015_drafts"),
    ]

    operations = [
        migrations.AddField(
            model_name="host",
            name="serves",
            field=models.CharField(
                choices=[
                    ("every", "every phase"),
                    ("public", "phases of public cases"),
                    ("hidden", "phases of hidden cases"),
                ],
                db_default="every",
                default="every",
                help_text="which phases' programs it runs",
                max_length=10,
            ),
        ),
    ]
