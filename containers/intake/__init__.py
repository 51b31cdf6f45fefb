"""Image intake: from a stranger's tarball to an image archive that the engine may load.

An engine's `load` believes too much. It moves tags that exist, takes layers it already has from other teams,
and reads another manifest than a naive parser does. So no upload reaches an engine. `check_archive` reads it
as hostile data (streamed, bounded, nothing extracted to a path from the archive), verifies every digest, and
writes a *new* archive that holds nothing but the verified layers, opened for the user that containers run as, a
configuration rebuilt from the few fields that matter, and no tag. `containers.sandbox.images.load_image` loads that
one, compares the id, and tags it by itself.

In reading order, from the journey to what it stands on:

    archive           check_archive, the journey from top to bottom
    beginnings        what an archive surely is by its first bytes, for an early refusal
    upload_archive    the uploaded file as an index of members that can be read by name
    layout            docker-archive or OCI layout -> one configuration and its layers
    image_config      the configuration: checked, rebuilt, summarised
    home              the home of the image's user, by its /etc/passwd
    program           can what the image names be started at all?
    named             the paths that its settings name, and where they lead in the image
    rebuilt_archive   the archive that is written anew
    image_filesystem  what the layers make together
    layers            one layer: inflated, hashed, checked entry by entry, opened, copied
    modes             which files are opened for the user that containers run as
    closed_files      what there is to say about files that only their owner could use
    layer_filesystem  what a layer becomes on disk, in names only: could an engine unpack it?
    tree              files in names only, and the one way in which a path leads through them
    compression       gzip, xz and zstd, in bounded pieces
    executables       what Linux on amd64 does not start, by a file's first bytes
    streams, tar      bounded bytes and tar headers, read as the engine's own library reads them
    strict_json       JSON without duplicate keys, surprises or depth
    weights           check_weights: an archive of model weights that comes beside an image
    weights_tree      what it unpacks to: folders, files, and links that stay inside
    weights_place     is their place free in the image?
    errors, limits    what is refused, and the bounds

Beside it, where a phase takes masks instead of an image:

    mask_child        an archive of masks, taken apart in a child process with limits
    mask_archive      the file of each case, and all that is wrong with the archive
    mask_members      the members of a zip or a tar

May import `protocol`. Knows no engine, no server and no broker.
"""

from containers.intake.archive import CheckedImage, check_archive
from containers.intake.beginnings import what_begins_so
from containers.intake.errors import ImageRejected
from containers.intake.limits import ArchiveLimits
from containers.intake.mask_archive import Problem, Unpacked
from containers.intake.mask_child import unpack_isolated
from containers.intake.mask_members import MasksRejected, check_masks_beginning
from containers.intake.upload_archive import BEGINNING_BYTES, check_beginning
from containers.intake.weights import CheckedWeights, check_beginning_of_weights, check_weights
from containers.intake.weights_place import check_place_of_weights

__all__ = [
    "BEGINNING_BYTES",
    "ArchiveLimits",
    "CheckedImage",
    "CheckedWeights",
    "ImageRejected",
    "MasksRejected",
    "Problem",
    "Unpacked",
    "check_archive",
    "check_beginning",
    "check_beginning_of_weights",
    "check_masks_beginning",
    "check_place_of_weights",
    "check_weights",
    "unpack_isolated",
    "what_begins_so",
]
