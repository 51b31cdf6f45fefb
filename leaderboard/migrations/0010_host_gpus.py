"""A host says which GPUs it offers."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("leaderboard", "0009_accounts")]

    operations = [
        migrations.AddField(
            model_name="host",
            name="gpus",
            field=models.JSONField(
                blank=True, help_text="its GPUs, their driver and CUDA version, if the host said so", null=True
            ),
        ),
    ]
