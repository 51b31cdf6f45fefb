"""What is said about a shape that is not the expected one."""

import pytest

from evaluation.masks.shape_hints import shape_hint

EXPECTED = (3, 512, 500, 351)


@pytest.mark.parametrize(
    ("order", "why"),
    [
        ((0, 3, 2, 1), "it looks like (F, D, W, H), the order of SimpleITK's arrays behind the findings"),
        ((3, 2, 1, 0), "it looks like (D, W, H, F), all axes reversed, as when SimpleITK saves an array"),
        ((1, 2, 3, 0), "it looks like (H, W, D, F), findings last"),
        ((3, 1, 2, 0), "it looks like (D, H, W, F), D first, findings last"),
        ((0, 3, 1, 2), "it looks like (F, D, H, W), D before H and W"),
        ((3, 0, 1, 2), "it looks like (D, F, H, W), D first"),
        ((0, 2, 1, 3), "it looks like (F, W, H, D): "),
    ],
)
def test_an_order_of_axes_is_recognised_with_the_way_back(order, why):
    found = tuple(EXPECTED[axis] for axis in order)
    hint = shape_hint(found, EXPECTED)
    assert hint.startswith(why)
    back = eval(hint.split("save np.transpose(mask, ")[1].split("))")[0] + ")")
    assert tuple(found[axis] for axis in back) == EXPECTED


def test_where_axes_are_equally_long_the_likeliest_order_is_named_with_a_caution():
    hint = shape_hint((3, 351, 512, 512), (3, 512, 512, 351))
    assert "(F, D, W, H)" in hint
    assert hint.endswith("(make sure that H and W, equally long, are not swapped)")


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ((2, 512, 500, 351), "the case has 3 findings, the file 2 channels: save one for each finding"),
        ((4, 512, 500, 351), "the case has 3 findings, the file 4 channels: is one of them the background?"),
        ((351, 500, 512, 2), "it looks like (D, W, H, F)"),
        ((351, 500, 512, 2), "the case has 3 findings, the file 2 channels"),
        ((512, 500, 351), "stack the 3 masks of the case, findings first"),
        ((351, 500, 512), "stack the 3 masks of the case, findings first, and the axes are in another order"),
        ((256, 256, 100), "the axis of the findings is missing"),
        ((3, 256, 250, 176), "saved on a resampled grid"),
        ((3, 512, 500, 350), "D differs from the CT: cropped, padded or resampled?"),
        ((3, 256, 250, 351), "H and W differ from the CT: cropped, padded or resampled?"),
        ((1, 3, 512, 500, 351), "drop the axes of length 1"),
        (
            (512, 500, 351, 1, 3),
            "drop the axes of length 1; without them it looks like (H, W, D, F), findings last",
        ),
    ],
)
def test_other_shapes_are_explained(found, said):
    assert said in shape_hint(found, EXPECTED)


def test_an_axis_of_one_voxel_that_was_dropped():
    assert shape_hint((2, 12, 12), (2, 1, 12, 12)).startswith("save all four axes")


def test_a_single_finding_without_its_axis():
    assert "another order" in shape_hint((351, 500, 512), (1, 512, 500, 351))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (EXPECTED, EXPECTED),
        ((7, 7, 7, 7), (7, 7, 7, 7)),
        ((5,), EXPECTED),
        ((5, 6), EXPECTED),
        ((5, 6, 7, 8), EXPECTED),
        ((2, 2, 2, 2, 2), EXPECTED),
    ],
)
def test_where_nothing_can_be_guessed_nothing_is_said(found, expected):
    assert shape_hint(found, expected) == ""
