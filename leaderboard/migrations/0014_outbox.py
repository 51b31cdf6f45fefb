"""The outbox: messages are rows before they are sent."""

from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('leaderboard', '0013_looks_and_failure_kinds'),
    ]

    operations = [
        migrations.CreateModel(
            name='OutgoingMail',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('to', models.CharField(max_length=320)),
                ('sender', models.CharField(max_length=320)),
                ('subject', models.CharField(max_length=500)),
                ('body', models.TextField(blank=True)),
                ('state', models.CharField(choices=[('waiting', 'waits'), ('sent', 'sent'), ('given_up', 'given up')], default='waiting', max_length=8)),
                ('created_at', models.DateTimeField()),
                ('due_at', models.DateTimeField(help_text='when it is tried, or tried again')),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('tries', models.PositiveIntegerField(default=0)),
                ('answer', models.CharField(blank=True, help_text='what kept the last try from sending it', max_length=300)),
                ('is_refused', models.BooleanField(default=False, help_text='the mail server answered, and did not want this very message')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('state', 'waiting')), fields=['due_at'], name='waiting_mails')],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('ended_at', None), ('state', 'waiting')), models.Q(('body', ''), ('ended_at__isnull', False), models.Q(('state', 'waiting'), _negated=True)), _connector='OR'), name='a_mail_that_ended_says_nothing')],
            },
        ),
    ]
