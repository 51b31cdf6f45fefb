"""What the masks of a run on public cases look like. The code of before, which still writes runs, knows nothing of it.

The order of the phases and the name of a field of people are words of pages: the database knows neither.
"""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0010_host_gpus")]
    operations = [
        migrations.AddField(
            "run",
            "hints",
            models.JSONField(
                blank=True,
                help_text="what its masks look like, on public cases; nothing until they were looked at",
                null=True,
            ),
        ),
        migrations.AddField(
            "run",
            "hints_asked_at",
            models.DateTimeField(
                blank=True, help_text="when a worker was last told to look at its masks", null=True
            ),
        ),
        migrations.AlterModelOptions("phase", {"ordering": ["closes_at", "pk"]}),
        migrations.AlterField("user", "email", models.EmailField("email address", max_length=254, unique=True)),
    ]
