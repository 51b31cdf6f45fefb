"""From archives to a checked image and checked weights: rebuilt by `containers.intake`, kept by their digests."""

from pathlib import Path

from django.conf import settings

from containers.intake import ArchiveLimits, CheckedImage, check_archive, check_place_of_weights, check_weights
from leaderboard.core import blobs, unfinished
from leaderboard.models import AlgorithmImage, ImageProvenance, Submission, Weights
from leaderboard.submissions import uploads


def check(submission: Submission) -> tuple[AlgorithmImage, Weights | None]:
    """Check what a team handed in: each archive that it sent, and whether weights have their place in the image.

    Raises containers.intake.ImageRejected.
    """
    reused = None if submission.upload_file else submission.image
    image = reused or check_image(submission)
    weights = _check_weights(submission) if submission.weights_file else submission.weights
    if weights:
        check_place_of_weights(blobs.images.path(image.archive))
    return image, weights


def check_image(submission: Submission) -> AlgorithmImage:
    """Check the image archive that a team uploaded; keep the rebuilt one, and what it was before.

    Raises containers.intake.ImageRejected.
    """
    limits = _limits(submission)
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


def _check_weights(submission: Submission) -> Weights:
    with unfinished.folder(Path(settings.FILE_UPLOAD_TEMP_DIR)) as folder:
        rebuilt = folder / "weights.tar"
        source = uploads.path(submission.weights_file)
        checked = check_weights(source, rebuilt, limits=_limits(submission))
        blobs.weights.adopt(rebuilt, blobs.Blob(checked.blob, checked.size))
    weights, _ = Weights.objects.get_or_create(
        archive=checked.blob,
        defaults={
            "archive_bytes": checked.size,
            "unpacked_bytes": checked.unpacked_bytes,
            "files": checked.files,
        },
    )
    return weights


def _limits(submission: Submission) -> ArchiveLimits:
    limit = submission.limit
    return ArchiveLimits(archive_bytes=limit("max_archive_bytes"), inflated_bytes=limit("max_unpacked_bytes"))


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
