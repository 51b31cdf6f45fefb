"""Names that the field uses, in the code alone: tables and columns keep theirs, so that nothing is rewritten."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0005_submission_ticket")]

    operations = [
        migrations.AlterModelTable(name="pulse", table="leaderboard_pulse"),
        migrations.RenameModel(old_name="Pulse", new_name="ProcessHeartbeat"),
        migrations.AlterField(
            model_name="batch",
            name="rung_at",
            field=models.DateTimeField(
                blank=True, db_column="rung_at", help_text="when hosts, or the scorer, were last told of it", null=True
            ),
        ),
        migrations.RenameField(model_name="batch", old_name="rung_at", new_name="notified_at"),
        migrations.AlterField(
            model_name="submission",
            name="rung_at",
            field=models.DateTimeField(
                blank=True, db_column="rung_at", help_text="when a worker was last told to check the image", null=True
            ),
        ),
        migrations.RenameField(model_name="submission", old_name="rung_at", new_name="notified_at"),
    ]
