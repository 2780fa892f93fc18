from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('hubspot_sync', '0007_own_writes_owed'),
    ]

    operations = [
        migrations.AddField(
            model_name='feedposition',
            name='erasures_missed_at',
            field=models.DateTimeField(null=True, verbose_name='requests to forget somebody may have been lost'),
        ),
    ]
