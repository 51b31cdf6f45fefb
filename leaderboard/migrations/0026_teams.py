"""Invitations, handing over, approval of teams by organisers, and whose a join link is."""


import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('leaderboard', '0025_notices'),
    ]

    operations = [
        migrations.AddField(
            model_name='phase',
            name='requires_approval',
            field=models.BooleanField(db_default=False, default=False, help_text='A team prepares drafts at once, and hands in once an organiser has approved it (“Team approvals”).', verbose_name='teams are approved by organisers'),
        ),
        migrations.AddField(
            model_name='team',
            name='join_link_is_on',
            field=models.BooleanField(db_default=True, default=True, help_text='A captain switches it off and on.', verbose_name='can be joined by its link'),
        ),
        migrations.AddField(
            model_name='team',
            name='join_link_made_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='team',
            name='join_link_made_by',
            field=models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL),
        ),
        migrations.CreateModel(
            name='Handover',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('offered_at', models.DateTimeField()),
                ('offered_by', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('team', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='handover', to='leaderboard.team')),
                ('to', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.CreateModel(
            name='Invitation',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('email', models.EmailField(max_length=254, verbose_name='to')),
                ('token_hash', models.CharField(max_length=64, unique=True)),
                ('state', models.CharField(choices=[('open', 'open'), ('accepted', 'accepted'), ('declined', 'declined'), ('revoked', 'withdrawn')], default='open', max_length=8)),
                ('created_at', models.DateTimeField()),
                ('sent_at', models.DateTimeField(help_text='when the last message with a link was written')),
                ('sends', models.PositiveSmallIntegerField(default=1)),
                ('expires_at', models.DateTimeField()),
                ('ended_at', models.DateTimeField(blank=True, null=True)),
                ('accepted_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('invited_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('team', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='invitations', to='leaderboard.team')),
            ],
            options={
                'ordering': ['created_at', 'pk'],
                'constraints': [models.UniqueConstraint(models.F('team'), django.db.models.functions.text.Lower('email'), condition=models.Q(('state', 'open')), name='one_open_invitation_per_address'), models.CheckConstraint(condition=models.Q(models.Q(('ended_at', None), ('state', 'open')), models.Q(models.Q(('state', 'open'), _negated=True), models.Q(('ended_at', None), _negated=True)), _connector='OR'), name='an_invitation_ends_once')],
            },
        ),
        migrations.CreateModel(
            name='TeamApproval',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('state', models.CharField(choices=[('waiting', 'waits for the organisers'), ('approved', 'approved'), ('refused', 'not approved')], default='waiting', max_length=8)),
                ('asked_at', models.DateTimeField()),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('reason', models.TextField(blank=True, help_text='which the team reads')),
                ('asked_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('decided_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('phase', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='approvals', to='leaderboard.phase')),
                ('team', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='approvals', to='leaderboard.team')),
            ],
            options={
                'ordering': ['-asked_at', '-pk'],
                'constraints': [models.UniqueConstraint(fields=('team', 'phase'), name='one_approval_per_phase'), models.CheckConstraint(condition=models.Q(models.Q(('decided_at', None), ('state', 'waiting')), models.Q(models.Q(('state', 'waiting'), _negated=True), models.Q(('decided_at', None), _negated=True)), _connector='OR'), name='an_approval_is_decided_at_an_instant')],
            },
        ),
    ]
