"""The files: what a phase takes, how large, with which first bytes; what is here already; and whether there is room."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from containers import intake
from containers.protocol.sizes import decimal_size
from leaderboard.core import blobs, disk_space, unfinished
from leaderboard.core.refusal import Refused
from leaderboard.models import AlgorithmImage, Phase, ResumableUpload, Submission, Weights
from leaderboard.states import SubmissionKind

MAX_PDF_BYTES = 10_000_000
PDF_BEGINNING_BYTES = 5
Part = ResumableUpload.Part
NO_DISK_SPACE = "The server is short of disk space; nothing was charged, the organisers have been told."


class NoSpace(Refused):
    """The disk of the store is too full for an upload."""


class TooLarge(Refused):
    """A file is larger than the phase takes."""


def check_disk_space(size: int = 0) -> None:
    """Refuse an upload of `size` further bytes for which the disk has no space."""
    if not disk_space.allows_upload(size):
        raise NoSpace(f"{NO_DISK_SPACE} {disk_space.shortage()}")


@contextmanager
def refusing_a_full_disk() -> Iterator[None]:
    """Refuse, where others took the room meanwhile: what was looked at before a write may be gone when it comes."""
    try:
        yield
    except OSError as error:
        if not unfinished.is_out_of_space(error):
            raise
        disk_space.log_shortage()
        raise NoSpace(f"{NO_DISK_SPACE} {disk_space.shortage()}") from error


def check_upload(size: int, phase: Phase, entry: str | None = None, part: str = Part.IMAGE) -> None:
    """Refuse an archive that is empty, or too large for the phase; of which entry, may not be known yet."""
    if part == Part.WEIGHTS:
        check_weights_fit(entry)
        _check_size(size, phase.max_archive_bytes, phase, _WEIGHTS)
    elif entry == Submission.Entry.MASKS or (entry is None and not phase.takes_images):
        _check_size(size, phase.max_masks_bytes, phase, _MASKS)
    else:
        most = phase.max_archive_bytes if entry else phase.max_upload_bytes
        _check_size(size, most, phase, _IMAGE)


def check_weights_fit(entry: str | None) -> None:
    """Refuse weights beside masks; of which entry, may not be known yet."""
    if entry == Submission.Entry.MASKS:
        raise Refused("Weights belong to an image: masks come without any.")


class _Archive(NamedTuple):
    what: str
    write_it: str
    make_it_smaller: str


_IMAGE = _Archive(
    "an image",
    "Write the image with: docker save IMAGE | gzip > image.tar.gz",
    "Leave build tools and caches out of the image, and compress the archive with gzip, xz or zstd.",
)
_WEIGHTS = _Archive(
    "weights",
    "Write the weights with: tar -czf weights.tar.gz -C FOLDER .",
    "Leave out what the algorithm does not need (the optimizer's state, other epochs), and compress it.",
)
_MASKS = _Archive("masks", "Put one .nii.gz for each case into a zip.", "Save them as gzipped uint8.")


def _check_size(size: int, most: int, phase: Phase, archive: _Archive) -> None:
    if size == 0:
        raise Refused(f"The file is empty. {archive.write_it}")
    if size > most:
        raise TooLarge(
            f"The file has {decimal_size(size)}; the {phase.name} takes up to {decimal_size(most)} of {archive.what}. "
            f"{archive.make_it_smaller}"
        )


def check_beginning(
    beginning: bytes, phase: Phase, entry: Submission.Entry | None = None, part: str = Part.IMAGE
) -> None:
    """Refuse by its first bytes a file that cannot be what the phase takes, so that nobody uploads the rest in vain.

    `entry`: what the team says that it is, where that is known.
    """
    if part == Part.WEIGHTS:
        _check_beginning_of_weights(beginning)
        return
    taken = entries_of(phase)
    refusals = {kind: why for kind in taken if (why := _why_not(kind, beginning))}
    tried = [entry] if entry in taken else taken
    if not all(kind in refusals for kind in tried):
        return
    other = next((kind for kind in taken if kind not in refusals), None)
    if other is not None:
        raise Refused(f"By its first bytes this is an archive of {_PLURAL[other]}. Say so above.")
    raise Refused(refusals[tried[0]])


_OTHERS = {
    ("image", "masks"): "By its first bytes this is an archive of masks, not an image.",
    ("image", "files of a container"): (
        "By its first bytes this holds the files of a container, not an image: docker export writes files without the "
        f"image's configuration. {_IMAGE.write_it}"
    ),
    ("masks", "image"): "By its first bytes this is the archive of an image, not of masks.",
    ("masks", "files of a container"): "By its first bytes this holds the files of a container, not masks.",
    ("weights", "image"): f"By its first bytes this is the archive of an image, not of weights. {_WEIGHTS.write_it}",
}
"""What is said of one thing that was sent as another."""


def sent_as_another(phase: Phase) -> dict[str, str]:
    """What the form says at once of a file, by what is wanted and what it surely is: `image: masks`."""
    taken = [str(entry) for entry in entries_of(phase)]
    return {
        f"{wanted}: {found}": f"{words} Say so above." if found in taken and wanted in taken else words
        for (wanted, found), words in _OTHERS.items()
    }


def _check_beginning_of_weights(beginning: bytes) -> None:
    if other := _OTHERS.get(("weights", str(intake.what_begins_so(beginning)))):
        raise Refused(other)
    try:
        intake.check_beginning_of_weights(beginning)
    except intake.ImageRejected as rejection:
        raise Refused(str(rejection)) from rejection


def _why_not(entry: Submission.Entry, beginning: bytes) -> str:
    """Why a file that begins so is no such entry; empty if it may be one."""
    if other := _OTHERS.get((str(entry), str(intake.what_begins_so(beginning)))):
        return other
    try:
        if entry == Submission.Entry.MASKS:
            intake.check_masks_beginning(beginning)
        else:
            intake.check_beginning(beginning)
    except (intake.ImageRejected, intake.MasksRejected) as rejection:
        return str(rejection)
    return ""


def check_entry(said: str, phase: Phase, kind: str = SubmissionKind.SCORED) -> Submission.Entry:
    """What is handed in, as the team says. Raises Refused.

    What needs no saying: the only thing that the phase takes; and an image, as of drafts that were begun, and sent,
    when it took nothing else.
    """
    taken = entries_of(phase)
    if not said:
        return taken[0]
    if said == Submission.Entry.MASKS and kind == SubmissionKind.TRY_OUT:
        raise Refused("Only an image can be tried out: of masks every problem is told before they count.")
    if said in taken:
        return Submission.Entry(said)
    if said not in Submission.Entry.values:
        raise Refused("Say what you hand in: an image, or masks.")
    raise Refused(f"The {phase.name} takes {phase.get_takes_display()}, not {_PLURAL[Submission.Entry(said)]}.")


_PLURAL = {Submission.Entry.IMAGE: "images", Submission.Entry.MASKS: "masks"}


def entries_of(phase: Phase) -> list[Submission.Entry]:
    """What the phase takes."""
    taken = {Submission.Entry.IMAGE: phase.takes_images, Submission.Entry.MASKS: phase.takes_masks}
    return [entry for entry, is_taken in taken.items() if is_taken]


def entry_said(words: Mapping[str, object], phase: Phase) -> Submission.Entry | None:
    """What a draft says so far of its file; None where nothing is known yet."""
    try:
        return check_entry(str(words.get("entry", "")), phase)
    except Refused:
        return None


def check_image_is_here(source: Submission, submission: Submission) -> AlgorithmImage:
    """The image of an earlier submission, for one of the same team; Refused where it cannot be used again."""
    if source.team_id != submission.team_id:
        raise Refused(_IMAGE_IS_GONE)
    return check_image_fits(source, submission.phase)


def check_image_fits(source: Submission, phase: Phase) -> AlgorithmImage:
    """The image of an earlier submission, for another one of its team in this phase; Refused where it does not do."""
    image = source.image
    if image is None or not blobs.images.freshen(image.archive):
        raise Refused(_IMAGE_IS_GONE)
    _check_unpacked("The image has", image.unpacked_bytes, phase)
    return image


def may_go_to(source: Submission, phase: Phase) -> bool:
    """Whether the phase takes the image of an earlier submission: then it is offered."""
    image = source.image
    fits = image is not None and image.unpacked_bytes <= phase.max_unpacked_bytes
    return fits and phase.takes_images and image is not None and blobs.images.exists(image.archive)


_IMAGE_IS_GONE = "The image of that submission is not here any more. Upload it again."


def check_weights_are_here(source: Submission, submission: Submission) -> Weights:
    """The weights of an earlier submission, for one of the same team; Refused where they cannot be used again."""
    weights = source.weights
    if weights is None or not _is_here(source, submission, blobs.weights, weights.archive):
        raise Refused("The weights of that submission are not here any more. Send them again.")
    _check_unpacked("The weights have", weights.unpacked_bytes, submission.phase)
    return weights


def _is_here(source: Submission, submission: Submission, store: blobs.Store, archive: str) -> bool:
    return source.team_id == submission.team_id and store.freshen(archive)


def _check_unpacked(what_has: str, size: int, phase: Phase) -> None:
    most = phase.max_unpacked_bytes
    if size > most:
        raise Refused(f"{what_has} {decimal_size(size)} unpacked; the {phase.name} takes up to {decimal_size(most)}.")


def check_pdf(size: int, phase: Phase) -> None:
    """Refuse a PDF that the phase does not ask for, or that is empty or too large."""
    if phase.pdf == Phase.Asked.NO:
        raise Refused(f"The {phase.name} asks for no PDF.")
    if size == 0:
        raise Refused("The PDF is empty.")
    if size > MAX_PDF_BYTES:
        raise TooLarge(
            f"The PDF has {decimal_size(size)}; up to {decimal_size(MAX_PDF_BYTES)} are taken. Make its pictures "
            "smaller."
        )


def check_pdf_beginning(beginning: bytes) -> None:
    """Refuse by its first bytes what is no PDF."""
    if beginning[:PDF_BEGINNING_BYTES] != b"%PDF-":
        raise Refused("The file is no PDF: a PDF begins with “%PDF-”.")
