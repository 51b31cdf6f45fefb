"""What probably went wrong when a mask was saved in a shape that is not the expected one."""

from __future__ import annotations

from itertools import permutations

from evaluation.masks.run_lengths import Shape

AXES = "HWD"

# Orders of the axes that occur, the likeliest first: where axes are equally long, several explain the same shape.
_KNOWN_ORDERS = {
    "FDWH": "the order of SimpleITK's arrays behind the findings",
    "DWHF": "all axes reversed, as when SimpleITK saves an array (F, H, W, D)",
    "HWDF": "findings last",
    "DHWF": "D first, findings last",
    "FDHW": "D before H and W",
    "DFWH": "D first",
    "DFHW": "D first",
    "HWFD": "findings behind H and W",
}
_ORDERS = [*_KNOWN_ORDERS, *(order for order in map("".join, permutations("FHWD")) if order not in _KNOWN_ORDERS)]


def shape_hint(found: tuple[int, ...], expected: Shape) -> str:
    """What probably went wrong when a mask of the `expected` shape (F, H, W, D) was saved as `found`.

    A sentence without capital and full stop, or "" where nothing can be guessed.
    """
    squeezed = tuple(length for length in found if length != 1)
    if len(found) > 4 and len(squeezed) in (3, 4):
        rest = "" if squeezed == expected else _shape_hint(squeezed, expected)
        return "drop the axes of length 1" + (f"; without them {rest}" if rest else "")
    return _shape_hint(found, expected)


def _shape_hint(found: tuple[int, ...], expected: Shape) -> str:
    if len(found) == 3:
        return _three_axes_hint(found, expected)
    if len(found) != 4 or found == expected:
        return ""
    if found[1:] == expected[1:]:
        return _findings_hint(found[0], expected[0])
    lengths = dict(zip("FHWD", expected, strict=True))
    for order in _ORDERS:
        if found == tuple(lengths[axis] for axis in order):
            return _order_hint(order) + _caution(expected)
    for order in _ORDERS:
        f = order.index("F")
        if all(found[place] == lengths[axis] for place, axis in enumerate(order) if axis != "F"):
            return f"{_order_hint(order)}; {_findings_hint(found[f], expected[0])}"
    return _grid_hint(found, expected)


def _order_hint(order: str) -> str:
    why = f", {_KNOWN_ORDERS[order]}" if order in _KNOWN_ORDERS else ""
    back = tuple(order.index(axis) for axis in "FHWD")
    return f"it looks like ({', '.join(order)}){why}: with nibabel, save np.transpose(mask, {back})"


def _caution(expected: Shape) -> str:
    equal = [axis for axis, length in zip(AXES, expected[1:], strict=True) if expected[1:].count(length) > 1]
    return f" (make sure that {' and '.join(equal)}, equally long, are not swapped)" if equal else ""


def _three_axes_hint(found: tuple[int, ...], expected: Shape) -> str:
    if found == tuple(length for length in expected if length != 1):
        return "save all four axes, also one that is only 1 voxel long"
    if sorted(found) != sorted(expected[1:]):
        return "the axis of the findings is missing" if expected[0] > 1 else ""
    hint = f"the axis of the findings is missing: stack the {expected[0]} masks of the case, findings first"
    if expected[0] == 1:
        hint = "the axis of the findings is missing: save mask[np.newaxis]"
    if found != expected[1:]:
        hint += ", and the axes are in another order than the CT's H, W, D"
    return hint


def _findings_hint(found: int, expected: int) -> str:
    findings = "1 finding" if expected == 1 else f"{expected} findings"
    channels = "1 channel" if found == 1 else f"{found} channels"
    hint = f"the case has {findings}, the file {channels}"
    if found == expected + 1:
        return f"{hint}: is one of them the background?"
    return f"{hint}: save one for each finding, an empty one where there is nothing"


def _grid_hint(found: tuple[int, ...], expected: Shape) -> str:
    if found[0] != expected[0]:
        return ""
    other = [axis for axis, is_, should in zip(AXES, found[1:], expected[1:], strict=True) if is_ != should]
    if len(other) == 3:
        return "it seems to be saved on a resampled grid: bring the mask back to the CT's own grid (nearest neighbour)"
    differ = "differs" if len(other) == 1 else "differ"
    axes = " and ".join(other)
    return f"{axes} {differ} from the CT: cropped, padded or resampled? A mask covers the CT voxel by voxel"
