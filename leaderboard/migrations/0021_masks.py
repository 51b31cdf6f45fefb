"""A phase says what it takes: images, or archives of masks where its cases are public."""

import django.core.validators
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('leaderboard', '0020_weights'),
    ]

    operations = [
        migrations.AddField(
            model_name='phase',
            name='takes',
            field=models.CharField(choices=[('images', 'images'), ('masks', 'archives of masks'), ('both', 'images, and archives of masks')], db_default='images', default='images', help_text='What teams hand in. Archives of masks only where the cases are public: no container writes them.', max_length=6),
        ),
        migrations.AddField(
            model_name='phase',
            name='masks_are_ranked',
            field=models.BooleanField(db_default=True, default=True, help_text='Rank entries of masks with the images. Else they stand apart, unranked. Marked in any case.'),
        ),
        migrations.AddField(
            model_name='phase',
            name='max_masks_bytes',
            field=models.BigIntegerField(db_default=10000000000, default=10000000000, validators=[django.core.validators.MinValueValidator(1048576)], verbose_name='largest archive of masks, packed and unpacked, bytes'),
        ),
        migrations.AddField(
            model_name='submission',
            name='entry',
            field=models.CharField(choices=[('image', 'Image'), ('masks', 'Masks')], db_default='image', default='image', help_text='what was handed in: an image that we run, or the masks themselves', max_length=5),
        ),
        migrations.AddConstraint(
            model_name='phase',
            constraint=models.CheckConstraint(condition=models.Q(('takes', 'images'), ('cases_are_public', True), _connector='OR'), name='hidden_cases_take_images'),
        ),
    ]
