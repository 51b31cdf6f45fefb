"""Is the place of the weights free in an image? Asked of an image that was checked before, in its rebuilt archive.

A host mounts the weights at contract.MODEL_DIR. An engine mounts at the target of a link in that place, and nothing
over a file; and files of the image below it would be hidden by what is mounted, which is not what anybody wants.
"""

from pathlib import Path
from typing import Final

from containers.intake import tar
from containers.intake.errors import ImageRejected
from containers.intake.image_filesystem import ImageFilesystem, Unknown
from containers.intake.layer_filesystem import LayerFilesystem, TextLimit
from containers.intake.layout import find_image
from containers.intake.limits import ArchiveLimits
from containers.intake.tree import OPAQUE, Folder, Leaf, Node, folders_above
from containers.intake.upload_archive import UploadArchive
from containers.protocol import contract

_PLACE: Final = contract.MODEL_DIR.lstrip("/")
_PLACES: Final = (*folders_above(_PLACE), _PLACE)


def check_place_of_weights(archive: Path) -> None:
    """Refuse an image that occupies it. archive: one that `check_archive` wrote. Raises ImageRejected."""
    limits, text_limit = ArchiveLimits(), TextLimit()
    entry_limit = tar.EntryLimit(limits.layer_members, what="The layers of the image hold", advice="")
    image = ImageFilesystem()
    with archive.open("rb") as file:
        upload = UploadArchive(file.fileno(), archive.stat().st_size, limits)
        for number, layer in enumerate(find_image(upload).layers, start=1):
            what = f"Layer {number}"
            filesystem = LayerFilesystem(entry_limit, what, text_limit)
            for member in tar.members(upload.open(layer.member), entry_limit, what=what):
                filesystem.add(member)
            _expect_folders(filesystem.root, what)
            image.merge(_on_the_way(filesystem.root))
    try:
        found = image.find(contract.MODEL_DIR)
    except Unknown:  # a folder of it lies where a lower layer has a link
        found = Leaf.SPECIAL
    if _holds_something(found):
        raise _occupied(f"The image holds files below {contract.MODEL_DIR}, which the weights would hide.")


def _expect_folders(layer: Folder, what: str) -> None:
    here: Node = layer
    for place in _PLACES:
        found = here.get(place.rpartition("/")[2], Leaf.DELETED) if isinstance(here, dict) else Leaf.DELETED
        if found is Leaf.DELETED:
            return
        if not isinstance(found, dict):
            kind = "a link" if isinstance(found, str) else "a file"
            raise _occupied(f"{what} of the image holds /{place} as {kind}.")
        here = found


def _on_the_way(layer: Folder) -> Folder:
    """What a layer holds on the way to the place, and there: what lies elsewhere may be uncertain, as it often is."""
    kept: Folder = {}
    here, copy = layer, kept
    for place in _PLACES:
        name = place.rpartition("/")[2]
        copy |= {known: here[known] for known in (OPAQUE, name) if known in here}
        below = here.get(name)
        if place == _PLACE or not isinstance(below, dict):
            break
        made: Folder = {}
        copy[name] = made
        here, copy = below, made
    return kept


def _holds_something(found: Node | None) -> bool:
    waiting = [found]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting.extend(node.values())
        elif node is not None and node is not Leaf.DELETED:
            return True
    return False


def _occupied(what: str) -> ImageRejected:
    return ImageRejected(
        "weights_path_reserved",
        f"{what} The server mounts the weights at {contract.MODEL_DIR}: there, and at the folders above it, an image "
        "that comes with weights holds folders and nothing else. Build it without that.",
    )
