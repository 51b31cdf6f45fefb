"""A phase can be archived: its masks and images are let go, scores and pages stay."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0002_operations")]

    operations = [
        migrations.AddField(
            model_name="phase",
            name="archived_at",
            field=models.DateTimeField(
                blank=True,
                editable=False,
                help_text="From this instant masks and images are not kept any more.",
                null=True,
            ),
        ),
    ]
