import filecmp
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import evaluation
from evaluation import CATEGORIES, kind_of
from leaderboard.demo.synthesis import SynthesisError, generate
from leaderboard.demo.synthesis.kinds import KINDS, SHARES
from leaderboard.demo.synthesis.plan import plan_cases
from tests.leaderboard.challenge.casesets.reading import CaseSet
from tests.leaderboard.demo.conftest import SPACING

SMALL = {"shape": (56, 56, 28), "spacing_mm": (6.0, 6.0, 10.0)}
NUMBERS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def same_files(first: Path, second: Path) -> bool:
    names = sorted(str(path.relative_to(first)) for path in first.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(second)) for path in second.rglob("*") if path.is_file())
    match, mismatch, errors = filecmp.cmpfiles(first, second, names, shallow=False)
    return len(match) == len(names) and not mismatch and not errors


def test_the_same_seed_gives_the_same_bytes_whatever_the_number_of_processes(tmp_path: Path) -> None:
    generate(tmp_path / "one", cases=3, seed=5, workers=1, **SMALL)  # type: ignore[arg-type]
    generate(tmp_path / "two", cases=3, seed=5, workers=2, **SMALL)  # type: ignore[arg-type]
    assert same_files(tmp_path / "one", tmp_path / "two")


def test_each_category_of_the_challenge_has_a_kind_of_lesion_and_a_share() -> None:
    assert {kind.category for kind in KINDS} == SHARES.keys() == CATEGORIES.keys()
    assert sum(SHARES.values()) == pytest.approx(1)
    assert sum(SHARES[code] for code in CATEGORIES if kind_of(code) is evaluation.Kind.FOCAL) == pytest.approx(0.79)


def test_another_seed_gives_another_set(tmp_path: Path) -> None:
    generate(tmp_path / "one", cases=2, seed=5, **SMALL)  # type: ignore[arg-type]
    generate(tmp_path / "two", cases=2, seed=6, **SMALL)  # type: ignore[arg-type]
    assert not same_files(tmp_path / "one", tmp_path / "two")


def test_progress_counts_every_case(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    generate(tmp_path, cases=2, seed=5, progress=lambda done, total: seen.append((done, total)), **SMALL)  # type: ignore[arg-type]
    assert seen == [(1, 2), (2, 2)]


def test_a_volume_too_small_for_lesions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match="too small"):
        generate(tmp_path, cases=1, shape=(32, 96, 48), spacing_mm=SPACING, seed=1)


def test_a_spacing_that_no_ct_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SynthesisError, match="none of a CT"):
        generate(tmp_path, cases=1, shape=(96, 96, 48), spacing_mm=(3.5, 3.5, 12.0), seed=1)


def test_a_range_of_shapes_keeps_slices_square() -> None:
    plans = plan_cases(20, shape=((64, 64, 30), (96, 96, 60)), spacing_mm=((3, 3, 5), (4, 4, 7)), seed=1)
    assert len({plan.shape for plan in plans}) > 10
    assert all(plan.shape[0] == plan.shape[1] for plan in plans)
    assert all(64 <= plan.shape[0] <= 96 and 30 <= plan.shape[2] <= 60 for plan in plans)


def test_volumes_are_int16_hounsfield_units_with_the_spacing_on_the_diagonal(generated: CaseSet) -> None:
    image = nib.load(generated.root / "images" / generated.entries[0]["name"])
    assert image.get_data_dtype() == np.int16  # type: ignore[attr-defined]
    assert image.shape == (80, 80, 40)  # type: ignore[attr-defined]
    np.testing.assert_allclose(image.affine, np.diag([-4.2, -4.2, 7.2, 1]), atol=1e-6)  # type: ignore[attr-defined]
    assert nib.aff2axcodes(image.affine) == ("L", "P", "S")  # type: ignore[attr-defined]


def test_masks_are_uint8_findings_first_with_an_identity_affine(generated: CaseSet) -> None:
    entry = generated.entries[0]
    image = nib.load(generated.root / "masks" / entry["name"])
    assert image.get_data_dtype() == np.uint8  # type: ignore[attr-defined]
    assert image.shape == (len(entry["findings"]), 80, 80, 40)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(image.affine, np.eye(4))  # type: ignore[attr-defined]


def test_the_dataset_tells_what_the_masks_hold(generated: CaseSet) -> None:
    for entry, key, _, channel in generated.findings():
        values = np.unique(channel[channel > 0])
        assert list(values) == list(range(1, entry["entity_counts"][key] + 1))
        assert int((channel > 0).sum()) == entry["pixels"][key]
        assert tuple(entry["shape"]) == channel.shape


def test_all_categories_occur_in_the_proportions_of_the_released_data(generated: CaseSet) -> None:
    codes = [code for entry in generated.entries for code in entry["categories"].values()]
    assert set(codes) == {f"1{letter}" for letter in "abcdef"} | {f"2{letter}" for letter in "abcdefgh"}
    assert 0.74 <= sum(code[0] == "2" for code in codes) / len(codes) <= 0.84
    assert 2.0 <= len(codes) / len(generated.entries) <= 2.7
    entities = [count for entry in generated.entries for count in entry["entity_counts"].values()]
    assert 3.2 <= np.mean(entities) <= 4.4


def test_lesions_have_at_least_ten_voxels_and_never_overlap(generated: CaseSet) -> None:
    for entry in generated.entries:
        mask = generated.mask(entry["name"])
        assert (mask > 0).sum(axis=0).max() == 1
        for channel in mask:
            assert np.bincount(channel.ravel())[1:].min() >= 10


def test_a_named_side_is_the_side_of_the_mask(generated: CaseSet) -> None:
    checked = 0
    for _, _, text, channel in generated.findings():
        sides = set(re.findall(r"\b(right|left)\b", text))
        left = np.nonzero(channel)[0] >= channel.shape[0] / 2  # index 0 grows to the patient's left
        if len(sides) == 1 and not re.search(r"both lungs|both upper|both lower", text):
            assert left.all() if sides == {"left"} else not left.any(), text
            checked += 1
        elif re.search("both|bilateral", text) or len(sides) == 2:
            assert 0 < left.mean() < 1, text
    assert checked > 40


def test_upper_lobe_lesions_lie_higher_than_lower_lobe_ones(generated: CaseSet) -> None:
    heights: dict[str, list[float]] = {"upper lobe": [], "lower lobe": []}
    for _, _, text, channel in generated.findings():
        named = set(re.findall(r"upper lobe|lower lobe|middle lobe|lungs?\b|lobes", text))
        if len(named) == 1 and named <= set(heights):
            heights[named.pop()].append(float(np.nonzero(channel)[2].mean()))
    assert min(map(len, heights.values())) > 5
    assert np.mean(heights["upper lobe"]) > np.mean(heights["lower lobe"]) + 5


def test_a_number_told_is_the_number_of_entities(generated: CaseSet) -> None:
    checked = 0
    for entry, key, text, _ in generated.findings():
        told = re.match(rf"({'|'.join(NUMBERS)}|\d+) (?!mm)", text) or re.search(r", (\w+) in number", text)
        if told:
            number = NUMBERS.index(told[1]) if told[1] in NUMBERS else int(told[1])
            assert number == entry["entity_counts"][key], text
            checked += 1
    assert checked > 20


def test_a_size_told_is_the_size_in_the_mask(generated: CaseSet) -> None:
    checked = 0
    for _, _, text, channel in generated.findings():
        told = re.search(r"(\d+)x(\d+) mm", text)
        if told:
            plane = channel[..., int(channel.astype(bool).sum(axis=(0, 1)).argmax())]
            extents = sorted((np.ptp(indices) + 1) * SPACING[0] for indices in np.nonzero(plane))
            assert [int(told[2]), int(told[1])] == pytest.approx(extents, abs=0.51), text
            checked += 1
    assert checked >= 6


def test_lesions_have_the_density_that_their_kind_has(generated: CaseSet) -> None:
    """Median HU inside the mask, by what the words say."""
    expected = {
        "calci": (150, 700),
        "ground-glass": (-700, -450),
        "effusion": (-40, 40),
        "pneumothorax": (-1024, -940),
        "emphysem": (-1010, -940),
        "consolidation": (-60, 60),
    }
    volumes = {entry["name"]: generated.volume(entry["name"]) for entry in generated.entries}
    seen = set()
    for entry, _, text, channel in generated.findings():
        for word, (low, high) in expected.items():
            if word in text:
                seen.add(word)
                assert low <= np.median(volumes[entry["name"]][channel > 0]) <= high, text
    assert seen == set(expected)


def test_no_two_findings_of_a_case_read_the_same(generated: CaseSet) -> None:
    for entry in generated.entries:
        assert len(set(entry["findings"].values())) == len(entry["findings"])


def test_sentences_vary(generated: CaseSet) -> None:
    texts = {text for _, _, text, _ in generated.findings()}
    assert len(texts) > 0.95 * len(generated.findings())
