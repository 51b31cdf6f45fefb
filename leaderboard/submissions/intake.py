"""From an uploaded archive to a checked image: verified and rebuilt by `containers.intake`, kept by its digest."""

from pathlib import Path

from django.conf import settings

from containers.intake import ArchiveLimits, CheckedImage, check_archive
from leaderboard.core import blobs, unfinished
from leaderboard.models import AlgorithmImage, ImageProvenance, Submission
from leaderboard.submissions import uploads


def check_image(submission: Submission) -> AlgorithmImage:
    """Check the archive that a team uploaded; keep the rebuilt one, and what it was before.

    Raises containers.intake.ImageRejected.
    """
    phase = submission.phase
    limits = ArchiveLimits(archive_bytes=phase.max_archive_bytes, inflated_bytes=phase.max_unpacked_bytes)
    with unfinished.folder(Path(settings.FILE_UPLOAD_TEMP_DIR)) as folder:
        rebuilt = folder / "image.tar"
        checked = check_archive(uploads.path(submission.upload_file), rebuilt, limits=limits)
        blobs.images.adopt(rebuilt, blobs.Blob(checked.blob, checked.size))
    ImageProvenance.objects.update_or_create(
        submission=submission,
        defaults={
            "image_id": checked.original_image_id,
            "diff_ids": checked.original_diff_ids,
            "file_bytes": checked.file_bytes,
            "warnings": checked.warnings,
        },
    )
    return _row(checked)


def _row(checked: CheckedImage) -> AlgorithmImage:
    image, _ = AlgorithmImage.objects.get_or_create(
        image_id=checked.image_id,
        defaults={
            "archive": checked.blob,
            "archive_bytes": checked.size,
            "unpacked_bytes": checked.uncompressed_bytes,
            "layers": checked.layers,
            "warnings": list(checked.warnings),
            "config": checked.config,
        },
    )
    if image.archive != checked.blob and not blobs.images.exists(image.archive):
        # Of an archived phase, and rebuilt by an older version of the check: the old archive is gone.
        image.archive, image.archive_bytes = checked.blob, checked.size
        image.save(update_fields=["archive", "archive_bytes"])
    return image
