"""Files of public case sets that may be downloaded, the terms for them, and who accepted which version."""

import django.core.validators
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


# Files of hidden cases are never handed out, whatever code asks for it. Each side waits for a change of the other that
# is under way: the phase locks its case set, and a case set's row is locked before the trigger asks.
REFUSE_HIDDEN = """
CREATE OR REPLACE FUNCTION leaderboard_hidden_cases_stay_here() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME = 'leaderboard_phase' THEN
        PERFORM FROM leaderboard_caseset WHERE id = NEW.case_set_id AND allows_downloads FOR SHARE;
    ELSE
        PERFORM FROM leaderboard_phase WHERE case_set_id = NEW.id AND NOT cases_are_public;
    END IF;
    IF FOUND THEN
        RAISE EXCEPTION 'files of hidden cases cannot be downloaded' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER hidden_cases_stay_here BEFORE INSERT OR UPDATE ON leaderboard_phase
    FOR EACH ROW WHEN (NOT NEW.cases_are_public) EXECUTE FUNCTION leaderboard_hidden_cases_stay_here();
CREATE TRIGGER hidden_cases_stay_here BEFORE INSERT OR UPDATE ON leaderboard_caseset
    FOR EACH ROW WHEN (NEW.allows_downloads) EXECUTE FUNCTION leaderboard_hidden_cases_stay_here();
"""
ALLOW_HIDDEN = """
DROP TRIGGER hidden_cases_stay_here ON leaderboard_phase;
DROP TRIGGER hidden_cases_stay_here ON leaderboard_caseset;
DROP FUNCTION leaderboard_hidden_cases_stay_here();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('leaderboard', '0028_news'),
    ]

    operations = [
        migrations.AddField(
            model_name='case',
            name='reference_bytes',
            field=models.BigIntegerField(blank=True, help_text='its size, once it was copied to where it is handed out', null=True),
        ),
        migrations.AddField(
            model_name='caseset',
            name='allows_downloads',
            field=models.BooleanField(db_default=False, default=False, help_text='Its volumes and masks may be downloaded, by who accepts the terms.'),
        ),
        migrations.AddField(
            model_name='caseset',
            name='copied_at',
            field=models.DateTimeField(blank=True, editable=False, help_text='Since then all its files lie where they are handed out.', null=True),
        ),
        migrations.CreateModel(
            name='DataTerms',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('version', models.PositiveIntegerField(validators=[django.core.validators.MinValueValidator(1)])),
                ('text', models.TextField(help_text='What a person agrees to. Markdown.', max_length=20000)),
                ('published_at', models.DateTimeField()),
                ('case_set', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='terms', to='leaderboard.caseset')),
            ],
            options={
                'verbose_name': 'terms of data',
                'verbose_name_plural': 'terms of data',
                'ordering': ['case_set', '-version'],
            },
        ),
        migrations.CreateModel(
            name='DataAcceptance',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('accepted_at', models.DateTimeField()),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='data_acceptances', to=settings.AUTH_USER_MODEL)),
                ('terms', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='acceptances', to='leaderboard.dataterms')),
            ],
            options={
                'verbose_name': 'acceptance of terms of data',
                'verbose_name_plural': 'acceptances of terms of data',
                'ordering': ['-pk'],
            },
        ),
        migrations.AddConstraint(
            model_name='dataterms',
            constraint=models.UniqueConstraint(fields=('case_set', 'version'), name='one_text_per_version_of_terms'),
        ),
        migrations.AddConstraint(
            model_name='dataacceptance',
            constraint=models.UniqueConstraint(fields=('user', 'terms'), name='one_acceptance_of_terms_per_person'),
        ),
        migrations.RunSQL(REFUSE_HIDDEN, ALLOW_HIDDEN),
    ]
