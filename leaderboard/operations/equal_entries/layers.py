"""Which layers of an image are its own: kept as rows by which another image's are found.

Two images begin alike as far as the names of their layers *with all below* (chain ids) are equal. Docker's own words
for them are DiffID and ChainID.
"""

import hashlib
from collections.abc import Sequence

from django.db.models import Q, QuerySet

from leaderboard.models import ImageLayer, ImageProvenance, LayerUse, Submission

# The tar archives without a member, of one record and of two blocks.
EMPTY = frozenset(f"sha256:{hashlib.sha256(bytes(size)).hexdigest()}" for size in (1024, 10240))


def chain_ids(diff_ids: Sequence[str]) -> list[str]:
    """The name of each layer with all below it."""
    chain: list[str] = []
    for diff_id in diff_ids:
        below = chain[-1] if chain else ""
        chain.append("sha256:" + hashlib.sha256(f"{below} {diff_id}".encode()).hexdigest() if below else diff_id)
    return chain


def keep(provenance: ImageProvenance) -> None:
    """Write down the layers of a submission's image that hold something; again, nothing happens."""
    places = _with_files(provenance)
    known = [ImageLayer(chain_id=chain_id, diff_id=diff_id) for chain_id, diff_id in places]
    ImageLayer.objects.bulk_create(known, ignore_conflicts=True)
    rows = ImageLayer.objects.in_bulk([chain_id for chain_id, _ in places], field_name="chain_id")
    uses = [
        LayerUse(submission_id=provenance.submission_id, layer=rows[chain_id], is_top=number == len(places))
        for number, (chain_id, _) in enumerate(places, start=1)
    ]
    LayerUse.objects.bulk_create(uses, ignore_conflicts=True)


def _with_files(provenance: ImageProvenance) -> list[tuple[str, str]]:
    """The chain id and the content of each layer whose files have a byte, as far as that is known."""
    diff_ids = provenance.diff_ids
    sizes = provenance.file_bytes or [1] * len(diff_ids)
    named = zip(chain_ids(diff_ids), diff_ids, sizes, strict=True)
    return [(chain_id, diff_id) for chain_id, diff_id, size in named if size and diff_id not in EMPTY]


def sharing(diff_id: str) -> QuerySet[Submission]:
    """The submissions whose images have this layer, whatever lies below it."""
    return Submission.objects.filter(layer_uses__layer__diff_id=diff_id)


def own_in_others(submission: Submission, others: Q) -> str:
    """The content of the topmost layer that is the submission's own and in an image of `others` too; or nothing."""
    of_mine = LayerUse.objects.filter(submission=submission).order_by("-pk")
    mine = list(of_mine.values_list("layer", "layer__diff_id"))  # from the top
    if not mine:
        return ""
    places, contents = [place for place, _ in mine], [diff_id for _, diff_id in mine]
    above_other_layers = ImageLayer.objects.filter(diff_id__in=contents).exclude(pk__in=places)
    uses = LayerUse.objects.filter(
        Q(layer__in=list(above_other_layers.values_list("pk", flat=True)))
        | Q(layer=places[0])  # an image that begins with all of this one
        | Q(layer__in=places, is_top=True)  # one of which this begins with all
    )
    theirs = uses.filter(submission__in=Submission.objects.filter(others))
    found = set(theirs.values_list("layer__diff_id", flat=True).distinct())
    return next((diff_id for diff_id in contents if diff_id in found), "")
