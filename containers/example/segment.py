"""An algorithm for the ReXGrounding Challenge: read the finding, look where it says, for what it says.

It knows no deep learning. It estimates lungs and lobes from the CT itself, takes kind, side, lobe, number and size
from the words, and keeps what fits. Replace `segment` with your model and keep the rest.
"""

# mypy: disable-error-code="no-untyped-call"
# SimpleITK carries no annotations

import json
import re
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813 - its usual name
from numpy.typing import NDArray

INPUT, OUTPUT = Path("/input"), Path("/output")
MODEL = Path("/opt/ml/model")  # weights that come apart from the image; this algorithm has none
Mask = NDArray[np.bool_]
Place = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


class Chest:
    """A CT as arrays [z, y, x] with x to the patient's left, y to the back, z to the head."""

    def __init__(self, image: sitk.Image) -> None:
        image = sitk.Cast(image, sitk.sitkFloat32)
        self.hu = sitk.GetArrayFromImage(image)
        self.flips = tuple(axis for axis in range(3) if image.GetDirection()[4 * (2 - axis)] < 0)
        self.hu = np.flip(self.hu, self.flips)
        self.mm = image.GetSpacing()[::-1]
        self.voxel_mm3 = float(np.prod(self.mm))
        self.smooth = filtered(sitk.DiscreteGaussian, self.hu, 0.6)
        self.find_lungs()

    def find_lungs(self) -> None:
        """Air that does not reach the sides of the volume; what it encloses belongs to the lung too."""
        parts = components(self.smooth < -500)
        outside = np.unique(np.concatenate([parts[:, side].ravel() for side in (0, -1)] + [parts[:, :, 0].ravel()]))
        air = (parts > 0) & ~np.isin(parts, outside)
        body = np.flatnonzero((~np.isin(parts, outside)).any(axis=(0, 1)))
        x = np.arange(self.hu.shape[2])
        middle, trachea = (body[0] + body[-1]) / 2, 0.045 * len(body)
        self.lungs = {"right": air & (x < middle - trachea), "left": air & (x > middle + trachea)}
        self.air = self.lungs["right"] | self.lungs["left"]
        self.place: dict[str, Place] = {}
        self.cavity = np.zeros_like(air)
        for side, lung in self.lungs.items():
            self.place[side] = box_coordinates(lung, mirrored=side == "right")
            enclosed = between(lung, 0) & (between(lung, 1) | between(lung, 2))
            self.lungs[side] = lung | enclosed
            self.cavity |= self.lungs[side]

    @cached_property
    def even(self) -> NDArray[np.float32]:
        """The CT without noise but with its edges."""
        return filtered(sitk.Median, self.hu, (1, 1, 1))

    def level(self, side: str) -> NDArray[np.float64]:
        """0 on a lung's axis, 1 on its outer surface, which closes towards the apex."""
        lateral, back, height = self.place[side]
        rise = np.clip((height - 0.57) / 0.43, 0, 0.99)
        return (((lateral - 0.5) / 0.5) ** 2 + ((back - 0.5) / 0.5) ** 2) / (1 - rise**2)

    def lobe(self, side: str, name: str) -> Mask:
        """A lobe, from how fissures usually run; everything on that side for an unknown name."""
        _, back, height = self.place[side]
        lower: Mask = height < 0.71 * back + 0.10
        half: Mask = (np.arange(self.hu.shape[2]) < self.hu.shape[2] / 2) == (side == "right")
        if name == "lower":
            return lower & half
        if name == "middle":
            return ~lower & (height < 0.5) & half
        if name == "upper":
            return ~lower & ((height >= 0.5) | (side == "left")) & half
        return np.broadcast_to(half, self.hu.shape)


def filtered(function: Callable[..., Any], array: NDArray[Any], *args: Any) -> NDArray[Any]:
    """A filter of SimpleITK over a numpy array."""
    return sitk.GetArrayFromImage(function(sitk.GetImageFromArray(array), *args))


def components(mask: Mask) -> NDArray[np.uint32]:
    """The number of its connected component at each voxel, 0 outside; corners connect."""
    return filtered(sitk.ConnectedComponent, mask.astype(np.uint8), True)


def reshaped(function: Callable[..., Any], mask: Mask, radius: tuple[int, int, int], kernel: int) -> Mask:
    """A morphological filter of SimpleITK over a mask; `radius` in voxels along x, y, z."""
    result: Mask = filtered(function, mask.astype(np.uint8), radius, kernel) > 0
    return result


def opened(mask: Mask, radius: tuple[int, int, int] = (1, 1, 0)) -> Mask:
    """Without what is thinner than twice the radius."""
    return reshaped(sitk.BinaryMorphologicalOpening, mask, radius, sitk.sitkCross)


def closed(mask: Mask, radius: tuple[int, int, int] = (1, 1, 1)) -> Mask:
    """With gaps filled that are narrower than twice the radius."""
    return reshaped(sitk.BinaryMorphologicalClosing, mask, radius, sitk.sitkBall)


def grown(seed: Mask, mask: Mask) -> Mask:
    """`seed` and its neighbours in `mask`: what an opening has worn off."""
    return seed | (reshaped(sitk.BinaryDilate, seed, (1, 1, 1), sitk.sitkCross) & mask)


def between(mask: Mask, axis: int) -> Mask:
    """Voxels with some of the mask before and behind them along an axis."""
    ahead = np.maximum.accumulate(mask, axis=axis)
    return ahead & np.flip(np.maximum.accumulate(np.flip(mask, axis), axis=axis), axis)


def box_coordinates(mask: Mask, *, mirrored: bool) -> Place:
    """(medial 0 .. lateral 1, front 0 .. back 1, base 0 .. apex 1) in the mask's bounding box, as open grids."""
    places: list[NDArray[np.float64]] = []
    for axis in range(3):
        filled = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        low, high = (filled[0], filled[-1]) if len(filled) else (0, mask.shape[axis])
        shape = [-1 if other == axis else 1 for other in range(3)]
        places.append(((np.arange(mask.shape[axis]) - low) / max(high - low, 1)).reshape(shape))
    height, back, lateral = places
    return (1 - lateral if mirrored else lateral), back, height


# ---- the words ----------------------------------------------------------------------------------------------------

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
LOBE = re.compile(r"(right|left|both) ((?:(?:upper|middle|lower|and|,) ?)+) ?lobes?")
SEGMENTS = {  # word: (lateral, back, height) ranges of a lung in which the lesion's centre lies
    "posterobasal": ((0, 1), (0.6, 1), (0, 0.6)),
    "laterobasal": ((0.3, 1), (0.35, 0.85), (0, 0.6)),
    "mediobasal": ((0, 0.65), (0.35, 0.85), (0, 0.6)),
    "anterobasal": ((0, 1), (0, 0.6), (0, 0.6)),
    "anteromediobasal": ((0, 1), (0, 0.6), (0, 0.6)),
    "lingular": ((0, 1), (0, 1), (0, 0.6)),
    "apical": ((0, 1), (0, 1), (0.7, 1)),
    "anterior segment": ((0, 1), (0, 0.65), (0.35, 0.9)),
    "posterior segment": ((0, 1), (0.4, 1), (0.35, 0.9)),
    "superior segment": ((0, 1), (0, 1), (0.4, 1)),
}


def sides_of(text: str) -> list[str]:
    """The sides that the words name; both where they name none."""
    named = [side for side in ("right", "left") if re.search(rf"\b{side}\b", text)]
    return ["right", "left"] if not named or re.search(r"\bboth lungs\b|\bbilateral", text) else named


def region_of(chest: Chest, text: str) -> Mask:
    """Where the words say to look."""
    region = np.zeros(chest.hu.shape, dtype=bool)
    named = LOBE.findall(text)
    for which, names in named:
        for side in ("right", "left") if which == "both" else (which,):
            for name in re.findall("upper|middle|lower", names):
                region |= chest.lobe(side, name)
    if not named:
        for side in sides_of(text):
            region |= chest.lobe(side, "")
    return region


def number_of(text: str) -> int | None:
    """How many lesions: the number in words, else one for a singular noun and unknown (None) for a plural."""
    if re.search(r"\bbilateral|\bhemithoraces", text):
        return 2
    counted = re.search(rf"\b({'|'.join(NUMBERS[1:])})\b", text)
    if counted:
        return NUMBERS.index(counted[1]) + 1
    digits = re.search(r"\b(\d+) (?!mm)", text)
    if digits:
        return int(digits[1])
    plural = re.search(
        r"(nodules|opacities|areas|bands|atelectases|consolidations|cysts|bullae|bronchi|clusters|foci|thickenings)\b",
        text,
    )
    return None if plural else 1


def size_of(text: str) -> int | None:
    """The (largest) lesion's long axis in mm, or None. Of fluid and air in the pleura a thickness is told instead."""
    if re.search("effusion|pneumothorax", text):
        return None
    sizes = [int(size) for size in re.findall(r"(\d+)(?:x\d+)? mm", text)]
    return max(sizes, default=None)


# ---- the kinds: candidate voxels by what radiologists mean by a word ------------------------------------------------


def nodules(chest: Chest, above: int = -250) -> Mask:
    """Solid voxels in compact groups."""
    dense = (chest.hu > above) & chest.cavity
    return grown(opened(dense), dense)


def consolidation(chest: Chest) -> Mask:
    """Air spaces that are full."""
    return closed(opened((chest.smooth > -350) & chest.cavity, (1, 1, 1)))


def ground_glass(chest: Chest, low: int = -725, high: int = -330) -> Mask:
    """Hazy lung through which vessels are still seen."""
    return opened((chest.smooth > low) & (chest.smooth < high) & chest.cavity, (1, 1, 1))


def bands(chest: Chest) -> Mask:
    """Dense voxels that an opening wears off: lines and thin sheets."""
    dense = (chest.hu > -560) & chest.cavity
    return dense & ~opened(dense, (2, 2, 1))


def clusters(chest: Chest) -> Mask:
    """Many small densities close together."""
    return closed((chest.hu > -620) & (chest.hu < 0) & chest.cavity, (1, 1, 0))


def low_air(chest: Chest) -> Mask:
    """Lung with less tissue than it should have: emphysema."""
    return (chest.smooth < -922) & chest.cavity


def cysts(chest: Chest) -> Mask:
    """Air inside a thin wall, the wall included."""
    return closed(grown((chest.hu < -945) & chest.cavity, chest.hu > -800))


def tubes(chest: Chest) -> Mask:
    """Bronchi: dark inside, bright around."""
    bright = (chest.hu > -650) & chest.cavity
    return grown(bright, (chest.hu < -900) & chest.cavity)


def pneumothorax(chest: Chest) -> Mask:
    """Air without tissue, at the front of the chest."""
    front = np.zeros(chest.hu.shape, dtype=bool)
    for side, (_, back, _) in chest.place.items():
        front |= chest.lobe(side, "") & (back < 0.5)
    return grown(opened((chest.even < -935) & chest.cavity & front), (chest.hu < -920) & chest.cavity)


def effusion(chest: Chest) -> Mask:
    """Fluid: between fat and muscle, behind the lung, inside the chest that the healthy part of the lung spans."""
    fluid = np.zeros(chest.hu.shape, dtype=bool)
    for side, (_, back, height) in chest.place.items():
        behind = (chest.level(side) < 1.02) & (back > 0.5) & (height > -0.05) & (height < 0.8)
        fluid |= behind & chest.lobe(side, "") & (chest.even > -150) & (chest.even < 30)
    return closed(opened(fluid))


def honeycomb(chest: Chest) -> Mask:
    """Walls and cysts side by side: rough lung under the pleura."""
    rough = (chest.hu > -700) | (chest.hu < -930)
    rim = np.zeros(chest.hu.shape, dtype=bool)
    for side, (_, back, height) in chest.place.items():
        inside = (chest.level(side) > 0.4) & (chest.level(side) < 1) & (back > 0.4) & (height < 0.7)
        rim |= inside & chest.lobe(side, "")
    return closed(opened(rough & rim, (1, 1, 0)))


def pleura(chest: Chest) -> Mask:
    """What is dense along the inner side of the chest wall."""
    rim = np.zeros(chest.hu.shape, dtype=bool)
    for side, (lateral, _, height) in chest.place.items():
        level = chest.level(side)
        rim |= (level > 0.65) & (level < 0.98) & (height > 0.1) & (lateral > 0.3) & chest.lobe(side, "")
    return rim & (chest.even > -300)


RULES: list[tuple[str, Callable[[Chest], Mask]]] = [  # the first word found decides
    ("honeycomb", honeycomb),
    ("pneumothorax", pneumothorax),
    ("effusion", effusion),
    ("pleural thick", pleura),
    ("emphysem", low_air),
    ("mosaic", lambda chest: ground_glass(chest, -800, -690)),
    ("micronod", clusters),
    ("septal", clusters),
    ("bronchi", tubes),
    ("cyst", cysts),
    ("bulla", cysts),
    ("ground-glass", ground_glass),
    ("consolidation", consolidation),
    ("atelecta", bands),
    ("fibrotic", bands),
    ("calcif", lambda chest: nodules(chest, 100)),
    ("semisolid", lambda chest: nodules(chest, -620)),
    ("part-solid", lambda chest: nodules(chest, -620)),
    ("", nodules),
]


def segment(chest: Chest, text: str) -> Mask:
    """The mask [z, y, x] of one finding."""
    text = text.lower()
    candidates = next(rule for word, rule in RULES if word in text)(chest)
    return pick(chest, candidates & region_of(chest, text), text)


def pick(chest: Chest, candidates: Mask, text: str) -> Mask:
    """Of the candidates' connected parts, those that fit number, size and segment best."""
    parts = components(candidates)
    points, labels = np.argwhere(parts), parts[parts > 0]
    voxels = np.bincount(labels, minlength=1)
    by_part = np.split(points[np.argsort(labels, kind="stable")], np.cumsum(voxels)[:-1])
    score = voxels.astype(float)
    wanted, size = number_of(text), size_of(text)
    for part in np.argsort(-voxels)[:60]:
        if voxels[part]:
            score[part] *= segment_fit(chest, by_part[part], text) * size_fit(chest, by_part[part], size, wanted)
    best = [part for part in np.argsort(-score) if voxels[part] * chest.voxel_mm3 > 100 or voxels[part] >= 10]
    return np.isin(parts, best[: wanted or 12]) & candidates


def segment_fit(chest: Chest, points: NDArray[np.intp], text: str) -> float:
    """How well a lesion at these voxels fits the lung segment that the words name: 1, or less."""
    if number_of(text) != 1:
        return 1.0
    z, y, x = points.mean(axis=0).astype(int)
    lateral, back, height = chest.place["right" if x < chest.hu.shape[2] / 2 else "left"]
    centre = (lateral.ravel()[x], back.ravel()[y], height.ravel()[z])
    for word, ranges in SEGMENTS.items():
        if word in text:
            return 1.0 if all(low <= at <= high for at, (low, high) in zip(centre, ranges, strict=True)) else 0.1
    return 1.0


def size_fit(chest: Chest, points: NDArray[np.intp], size: int | None, wanted: int | None) -> float:
    """1 for a part as long as the words say, less the more it differs; of several only the largest has a size."""
    if size is None:
        return 1.0
    _, y, x = points.T
    long = max((np.ptp(y) + 1) * chest.mm[1], (np.ptp(x) + 1) * chest.mm[2])
    if wanted != 1:
        return 1.0 if long < 1.3 * size else 0.1
    return float(np.exp(-3 * abs(np.log(long / size))))


# ---- the contract: /input/cases.json and /input/images in, one mask per case out, in order -------------------------


def write_mask(path: Path, masks: list[Mask], flips: tuple[int, ...]) -> None:
    """uint8, gzip, findings first. SimpleITK's arrays run backwards: (D, W, H, F) becomes (F, H, W, D) in the file."""
    array = np.stack([np.flip(mask, flips) for mask in masks], axis=-1).astype(np.uint8)
    partial = path.with_name("partial-" + path.name)
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=False), str(partial), useCompression=True)
    partial.rename(path)  # the final name appears only once the file is complete


def main(segment: Callable[[Chest, str], Mask] = segment) -> None:
    """Write one mask per case, in the order of cases.json."""
    for case in json.loads((INPUT / "cases.json").read_text()):
        chest = Chest(sitk.ReadImage(str(INPUT / "images" / case["name"])))
        findings = [case["findings"][str(number)] for number in range(len(case["findings"]))]
        write_mask(OUTPUT / case["name"], [segment(chest, text) for text in findings], chest.flips)
        print("done", case["name"], flush=True)


if __name__ == "__main__":
    main()
