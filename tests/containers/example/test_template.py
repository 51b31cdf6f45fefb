import ast
import re
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - its usual name

import evaluation
from containers.example.base import TEMPLATE
from leaderboard.demo.cases import BEST_FIRST, CRASHES_FRAGILE, HANGS_STUCK
from tests.containers.example.conftest import Demo, start


def chest_of(template: ModuleType, demo_set: Demo, name: str) -> Any:
    return template.Chest(sitk.ReadImage(str(demo_set.root / "images" / name)))


def mean_dice(demo_set: Demo, output: Path) -> float:
    """Mean over cases of the official Dice; a case without a mask counts 0."""
    scores = []
    for entry in demo_set.entries:
        case = evaluation.Case(
            name=entry["name"],
            findings=tuple(entry["findings"]),
            categories=entry["categories"],
            shape=tuple(entry["shape"]),
            spacing_mm=(3.5, 3.5, 6.0),
        )
        prediction = output / entry["name"]
        scored = evaluation.score_case(
            case, demo_set.root / "masks" / entry["name"], prediction if prediction.exists() else None
        )
        assert scored["status"] in {"scored", "missing"}, scored
        scores.append(float(scored["dice"]))
    return float(np.mean(scores))


def run(variant: str, folder: Path) -> tuple[int, str]:
    process = start(variant, folder)
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def swapped(text: str) -> str:
    return re.sub(r"right|left", lambda word: "left" if word[0] == "right" else "right", text)


def test_swapping_left_and_right_in_a_finding_moves_its_mask_to_the_other_side(
    template: ModuleType, demo_set: Demo
) -> None:
    checked = 0
    for entry in demo_set.entries[:5]:
        chest = chest_of(template, demo_set, entry["name"])
        for text in map(str.lower, entry["findings"].values()):
            if len(set(re.findall(r"\b(?:right|left|both|bilateral)\b", text))) != 1 or re.search(
                "both|bilateral", text
            ):
                continue
            middle = chest.hu.shape[2] / 2
            there, other = (np.nonzero(template.segment(chest, words))[2] for words in (text, swapped(text)))
            if len(there) and len(other):
                is_left = "left" in text
                assert ((there > middle) == is_left).all(), text
                assert ((other > middle) != is_left).all(), text
                checked += 1
    assert checked >= 4


def test_the_lobe_named_moves_the_mask(template: ModuleType, demo_set: Demo) -> None:
    chest = chest_of(template, demo_set, demo_set.entries[0]["name"])
    upper, lower = (template.region_of(chest, f"nodule in the right {lobe} lobe") for lobe in ("upper", "lower"))
    assert upper.any()
    assert lower.any()
    assert not (upper & lower).any()
    assert np.nonzero(upper)[0].mean() > np.nonzero(lower)[0].mean()


def test_a_ct_stored_from_right_to_left_gives_the_same_mask_in_its_own_order(
    template: ModuleType, demo_set: Demo, tmp_path: Path
) -> None:
    entry = demo_set.entries[2]
    image = nib.load(demo_set.root / "images" / entry["name"])
    flipped = nib.as_closest_canonical(image)
    nib.save(flipped, tmp_path / "flipped.nii.gz")
    straight = chest_of(template, demo_set, entry["name"])
    turned = template.Chest(sitk.ReadImage(str(tmp_path / "flipped.nii.gz")))
    assert turned.flips == (1, 2)
    text = entry["findings"]["0"]
    np.testing.assert_array_equal(template.segment(straight, text), template.segment(turned, text))


@pytest.mark.parametrize(
    ("text", "number", "size"),
    [
        ("6x5 mm semisolid nodule in the right lower lobe", 1, 6),
        ("three solid nodules in both lungs, the largest measuring 18 mm", 3, 18),
        ("16 pulmonary nodules in the left upper lobe", 16, None),
        ("ground-glass opacities in both lower lobes", None, None),
        ("bilateral pleural effusion, 21 mm thick on the right and 18 mm on the left", 2, None),
    ],
)
def test_number_and_size_are_read_from_the_words(
    template: ModuleType, text: str, number: int | None, size: int | None
) -> None:
    assert (template.number_of(text), template.size_of(text)) == (number, size)


def test_masks_come_out_as_the_contract_says(demo_set: Demo, tmp_path: Path) -> None:
    entries = demo_set.entries[:2]
    assert run("words", demo_set.give(entries, tmp_path / "run")) == (0, "")
    output = tmp_path / "run" / "output"
    assert sorted(path.name for path in output.iterdir()) == [entry["name"] for entry in entries]
    for entry in entries:
        image = nib.load(output / entry["name"])
        assert image.get_data_dtype() == np.uint8  # type: ignore[attr-defined]
        assert image.shape == (len(entry["findings"]), *entry["shape"])  # type: ignore[attr-defined]


def test_the_variants_rank_as_the_demo_expects(demo_set: Demo, tmp_path: Path) -> None:
    """`fragile` and `stuck` are `words` without their one case, so those runs need not be made."""
    dice = {}
    for variant in ("words", "side-only", "threshold"):
        assert run(variant, demo_set.give(demo_set.entries, tmp_path / variant)) == (0, "")
        dice[variant] = mean_dice(demo_set, tmp_path / variant / "output")
    for variant, word in (("fragile", CRASHES_FRAGILE), ("stuck", HANGS_STUCK)):
        output = tmp_path / "words" / "output"
        (lost,) = [e["name"] for e in demo_set.entries if word in " ".join(e["findings"].values()).lower()]
        (output / lost).rename(tmp_path / lost)
        dice[variant] = mean_dice(demo_set, output)
        (tmp_path / lost).rename(output / lost)
    assert dice["words"] >= 0.35
    assert sorted(dice, key=lambda variant: -dice[variant]) == list(BEST_FIRST)
    values = sorted(dice.values())
    assert min(np.diff(values)) > 0.01


def test_fragile_crashes_on_its_case_after_finishing_those_before(demo_set: Demo, tmp_path: Path) -> None:
    position = next(
        n for n, e in enumerate(demo_set.entries) if CRASHES_FRAGILE in " ".join(e["findings"].values()).lower()
    )
    entries = demo_set.entries[position - 1 : position + 2]
    code, errors = run("fragile", demo_set.give(entries, tmp_path / "run"))
    assert code == 1
    assert "KeyError" in errors
    assert [path.name for path in (tmp_path / "run" / "output").iterdir()] == [entries[0]["name"]]


def test_stuck_never_finishes_its_case(demo_set: Demo, tmp_path: Path) -> None:
    position = next(
        n for n, e in enumerate(demo_set.entries) if HANGS_STUCK in " ".join(e["findings"].values()).lower()
    )
    entries = demo_set.entries[position - 1 : position + 1]
    process = start("stuck", demo_set.give(entries, tmp_path / "run"))
    assert process.stdout is not None
    assert process.stdout.readline() == f"done {entries[0]['name']}\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=2)  # of a processor's time, too; the other cases take a tenth of it
    process.kill()
    process.communicate()
    assert [path.name for path in (tmp_path / "run" / "output").iterdir()] == [entries[0]["name"]]


def test_the_example_imports_nothing_of_ours() -> None:
    for path in (TEMPLATE / "segment.py", *TEMPLATE.glob("variants/*/*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not {name.split(".")[0] for name in names} & {"leaderboard", "evaluation", "containers"}, path
