"""Bringing what an order names onto the host: its image into the engine, weights and volumes into the batch's folder.

What the server does not have, or what arrives damaged again and again, is a fault of ours by a name of its own.
"""

import tarfile
from pathlib import Path

from containers.host.blob_cache import DigestMismatch, Download
from containers.host.client import NotOnServer
from containers.host.resources import HostResources
from containers.host.weights_cache import unpack
from containers.intake.errors import ImageRejected
from containers.protocol.faults import HostFault
from containers.protocol.orders import Image, OrderCase, Weights
from containers.sandbox.images import ImageUnavailable, load_image


class InputUnavailable(HostFault):
    """A case's volume could not be fetched."""

    default_code = "input_unavailable"


def provide_image(host: HostResources, image: Image, archive: Path, download: Download) -> None:
    """Make sure that the engine has the image, under our tag: a killed worker may have loaded it and no more.

    `archive` is a path for the image's archive in the meantime. Raises ImageRejected if the engine cannot unpack the
    image, HostFault, and what `download` raises.
    """
    with host.image_lock:
        try:
            if not host.engine.has_image(image.id):
                archive.parent.mkdir(parents=True, exist_ok=True)
                # The archive lies on the disk as well while its content is unpacked, which is no smaller.
                host.image_cache.evict(room_bytes=2 * image.size)
                host.blob_cache.link(image.blob, image.size, archive, download)
            _load(host, archive, image)
        except (NotOnServer, DigestMismatch) as error:
            raise ImageUnavailable(str(error)) from error
        except ImageRejected:
            host.blob_cache.discard(image.blob)
            raise
        finally:
            archive.unlink(missing_ok=True)
        host.blob_cache.discard(image.blob)


def _load(host: HostResources, archive: Path, image: Image) -> None:
    """Load an image; when the disk gets full on the way, once more without all images that nobody uses."""
    tag = host.image_cache.tag(image.id)
    try:
        load_image(host.engine, archive, expected_id=image.id, tag=tag)
    except HostFault as fault:
        if fault.code != "disk_full":
            raise
        host.image_cache.clear()
        load_image(host.engine, archive, expected_id=image.id, tag=tag)


class WeightsUnavailable(HostFault):
    """The weights could not be fetched, or what came are none."""

    default_code = "weights_unavailable"


def provide_weights(host: HostResources, weights: Weights, target: Path, download: Download) -> None:
    """Put the unpacked weights at `target`, for one container: a copy that was used before, or a new one.

    Raises WeightsUnavailable, CacheFull, and what else `download` raises.
    """
    if host.weights_cache.take(weights.blob, target):
        return
    archive = target.with_name("weights.tar")
    try:
        # The archive lies on the disk as well while its content is unpacked, which is as large.
        host.weights_cache.evict(room_bytes=2 * weights.size)
        host.blob_cache.link(weights.blob, weights.size, archive, download)
        unpack(archive, target)
    except (NotOnServer, DigestMismatch, ValueError, tarfile.TarError) as error:
        raise WeightsUnavailable(f"The weights: {error}") from error
    finally:
        archive.unlink(missing_ok=True)


def provide_volume(host: HostResources, case: OrderCase, target: Path, download: Download) -> None:
    """Put a case's volume at `target`, as a hard link into the cache.

    Raises InputUnavailable, CacheFull, and what else `download` raises.
    """
    try:
        host.blob_cache.link(case.blob, case.size, target, download)
    except (NotOnServer, DigestMismatch) as error:
        raise InputUnavailable(str(error)) from error
