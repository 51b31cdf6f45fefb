"""The bounds of an upload, and the running total that enforces the most dangerous of them."""

from dataclasses import dataclass
from typing import Final

from containers.intake.errors import ImageRejected
from containers.protocol.sizes import decimal_size

# Real images inflate by 2 to 5, text by 10; only a bomb goes far beyond. Below the floor the ratio does not
# matter: the bytes are few, and small images of long runs of zeros are honest.
_RATIO_FLOOR_BYTES: Final = 1 << 30


@dataclass(frozen=True)
class ArchiveLimits:
    """What an uploaded image archive may be.

    The defaults fit PyTorch images with weights (8 GB to 20 GB, 60 layers, 300,000 files) with room to spare.
    Layers: 125 is what the engine's overlay driver can mount at once.
    """

    archive_bytes: int = 20 << 30  # the file as uploaded
    inflated_bytes: int = 40 << 30  # the sum of the layers, and of a compressed archive
    inflation_ratio: int = 200  # inflated to uploaded bytes, above 1 GiB
    archive_members: int = 4096  # tar headers in the archive itself
    layers: int = 125
    layer_members: int = 1_000_000  # tar headers in all layers together
    compressed_parts: int = 2_000_000  # of one file: an eStargz or zstd:chunked layer has one for each file in it
    json_bytes: int = 1 << 20  # each of manifest, index and configuration
    json_depth: int = 32


class InflationLimit:
    """Counts inflated bytes, and refuses the archive when they pass what its size allows."""

    def __init__(self, limits: ArchiveLimits, archive_bytes: int) -> None:
        by_ratio = max(_RATIO_FLOOR_BYTES, archive_bytes * limits.inflation_ratio)
        self.limit = min(limits.inflated_bytes, by_ratio)
        self.total = 0

    def add(self, size: int) -> None:
        """Count further bytes. Raises ImageRejected."""
        self.total += size
        if self.total > self.limit:
            raise ImageRejected(
                "inflates_too_far",
                f"The image inflates to more than {decimal_size(self.limit)}, which is not allowed for an "
                "upload of its size. Leave data and caches out of the image, and save it again with docker "
                "save.",
            )
