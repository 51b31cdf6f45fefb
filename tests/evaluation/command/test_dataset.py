"""Which files a dataset file names, and what is said of one that is not as it should be."""

import json

import numpy as np
import pytest

from evaluation.command.dataset import load_dataset
from evaluation.errors import EvaluationError
from tests.evaluation import builders

SHAPE = (2, 4, 5, 6)
NAMES = ("case_0001.nii.gz", "case_0002.nii.gz")
FINDINGS = {"0": "a nodule", "1": "emphysema"}
CATEGORIES = {"0": "2d", "1": "1c"}


@pytest.fixture
def references(tmp_path):
    """A folder with the references of two cases."""
    folder = tmp_path / "gt"
    folder.mkdir()
    for name in NAMES:
        builders.mask_file(folder / name, np.ones(SHAPE, np.uint8))
    return folder


@pytest.fixture
def load(tmp_path, references):
    """The dataset of a text, or of a value as JSON."""

    def load(content, split=None, ct_dir=None):
        path = tmp_path / "dataset.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return load_dataset(path, split, references, ct_dir)

    return load


def entry(**fields):
    return {"findings": FINDINGS, "categories": CATEGORIES, **fields}


def names(dataset):
    return [case.name for case in dataset.cases]


def about(dataset):
    """The warnings but those that nothing is known of the spacing."""
    return [warning for warning in dataset.warnings if "no known voxel spacing" not in warning]


class TestNames:
    @pytest.mark.parametrize(
        "fields",
        [
            {"name": NAMES[0]},
            {"seg_path": f"/data/masks/{NAMES[0]}"},
            {"seg_path": f"masks/{NAMES[0]}", "name": NAMES[1]},  # the script knows no other field
            {"seg_path": f"C:\\masks\\{NAMES[0]}"},
            {"seg_path": "masks/12_seg.nii.gz", "name": NAMES[0]},
            {"seg_path": "", "name": NAMES[0]},
            {"seg_path": None, "name": NAMES[0]},
            {"image_path": f"valid_1/{NAMES[0]}"},
            {"VolumeName": NAMES[0]},
            {"name": "case_0001", "seg_path": NAMES[0]},
        ],
    )
    def test_an_entry_is_found_by_the_base_name_of_its_path_or_by_its_name(self, load, fields):
        assert names(load({"test": [entry(**fields)]})) == [NAMES[0]]

    def test_an_entry_without_any_name_says_which_fields_it_has(self, load):
        with pytest.raises(
            EvaluationError, match="an entry has no name: expected a field `name` or `seg_path`, found f"
        ):
            load({"test": [entry(), entry(name=NAMES[0])]})

    def test_a_missing_reference_says_what_there_is(self, load, references):
        (references / NAMES[1]).rename(references / "case_0002_0000.nii.gz")
        with pytest.raises(
            EvaluationError, match=r"0002.nii.gz: the reference file is missing, but there is case_0002_0000"
        ):
            load([entry(name=NAMES[0]), entry(name=NAMES[1])])

    def test_a_link_to_data_that_was_not_fetched_is_no_reference(self, load, references):
        (references / NAMES[1]).unlink()
        (references / NAMES[1]).symlink_to("annex/objects/none")
        with pytest.raises(EvaluationError, match=r"0002.nii.gz: the reference file is a link whose target is missing"):
            load([entry(name=NAMES[0]), entry(name=NAMES[1])])
        with pytest.raises(EvaluationError, match=r"names, .*0002.nii.gz; the case_0002.nii.gz in it is a link whose"):
            load([entry(name=NAMES[1])])

    def test_a_folder_is_no_reference(self, load, references):
        (references / NAMES[1]).unlink()
        (references / NAMES[1]).mkdir()
        with pytest.raises(EvaluationError, match=r"0002.nii.gz: the reference file is a folder$"):
            load([entry(name=NAMES[0]), entry(name=NAMES[1])])

    @pytest.mark.parametrize("name", ["x" * 300 + ".nii.gz", "\udcff.nii.gz"])
    def test_a_name_that_no_file_can_have_is_that_of_a_missing_one(self, load, name):
        with pytest.raises(EvaluationError, match=r"the reference file is missing$|is not a plain file name"):
            load([entry(name=NAMES[0]), entry(name=name)])

    def test_a_missing_reference_that_has_two_names_is_called_by_both(self, load):
        with pytest.raises(
            EvaluationError, match=r"x.nii.gz: the reference file is missing \(nor is there y.nii.gz, by its"
        ):
            load([entry(name=NAMES[0]), entry(name="x.nii.gz", seg_path="masks/y.nii.gz")])

    def test_references_in_folders_of_their_own_are_pointed_out(self, load, references):
        for name in NAMES:
            (references / name[:6] / name[:9]).mkdir(parents=True)
            (references / name).rename(references / name[:6] / name[:9] / name)
        with pytest.raises(EvaluationError, match=r"is case_0/case_0001/case_0001.nii.gz meant as case_0001.nii.gz\?"):
            load([entry(name=NAMES[0])])

    def test_without_any_reference_the_nearest_name_is_told(self, load):
        with pytest.raises(EvaluationError, match=r"is case_0001.nii.gz meant as CASE_1.nii\?"):
            load([entry(name="CASE_1.nii", seg_path="masks/case_1_mask.nii.gz")])

    def test_a_case_of_another_split_is_known_by_all_of_its_names(self, load):
        found = load({"val": [entry(name=NAMES[0])], "test": [entry(name="x.nii.gz", seg_path="masks/y.nii.gz")]})
        assert found.elsewhere == {"x.nii.gz": "test", "y.nii.gz": "test"}


class TestEntries:
    def test_an_entry_without_findings_stands_for_all_channels_as_in_the_script(self, load):
        found = load({"test": [{"seg_path": NAMES[0]}]})
        assert found.cases[0].findings == ("0", "1")
        assert f"an entry without findings: every channel of the reference is scored: {NAMES[0]}" in found.warnings

    @pytest.mark.parametrize(
        ("fields", "said"),
        [
            ({"findings": ["a nodule"]}, r'findings must be an object \{"0": "...", "1": "..."\}, not a list'),
            ({"categories": "2d"}, "categories must be an object .* not a text"),
            ({"findings": {}}, "no findings"),
        ],
    )
    def test_fields_of_another_kind_are_named(self, load, fields, said):
        with pytest.raises(EvaluationError, match=f"{NAMES[0]}: {said}"):
            load([{**entry(name=NAMES[0]), **fields}])

    def test_keys_that_start_at_1_are_recognised(self, load):
        with pytest.raises(EvaluationError, match=r"has 2 findings, the dataset file lists key 2; the first key is 0"):
            load([{"name": NAMES[0], "findings": {"1": "a", "2": "b"}}])

    def test_the_same_entry_twice_is_scored_once(self, load):
        found = load([entry(name=NAMES[0]), entry(name=NAMES[1]), entry(name=NAMES[0])])
        assert names(found) == list(NAMES)
        assert any("more than once, and are scored once" in warning for warning in found.warnings)

    def test_two_entries_of_one_name_that_differ_are_an_error(self, load):
        with pytest.raises(EvaluationError, match="listed twice, with other findings"):
            load([entry(name=NAMES[0]), {**entry(name=NAMES[0]), "findings": {"0": "another"}, "categories": {}}])

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            ({"val": ["case_0001.nii.gz"]}, r"entry 1 of split 'val' is not an object but a text; expected \{"),
            ([{"name": NAMES[0]}, None], "entry 2 is not an object but null"),
            ({"case_0001": {"findings": FINDINGS}}, "but no key of it holds a list of entries"),
            (3, "not a number"),
            ("true", "not a truth value"),
        ],
    )
    def test_another_structure_is_explained(self, load, content, said):
        with pytest.raises(EvaluationError, match=said):
            load(content)


class TestRepeatedKeys:
    def test_two_splits_of_one_name_are_warned_of(self, load):
        text = '{{"val": [{}], "val": [{}]}}'
        found = load(text.format(json.dumps(entry(name=NAMES[0])), json.dumps(entry(name=NAMES[1]))))
        assert names(found) == [NAMES[1]]
        assert about(found) == [
            "these splits stand in the dataset file more than once, and only the last of each counts: val"
        ]

    @pytest.mark.parametrize("field", ["findings", "categories"])
    def test_two_findings_of_one_key_are_warned_of(self, load, field):
        whole = {"findings": '{"0": "2d", "1": "1c"}', "categories": '{"0": "2d", "1": "1c"}'}
        whole[field] = '{"0": "2d", "0": "2d", "1": "1c"}'
        fields = ", ".join(f'"{key}": {value}' for key, value in whole.items())
        found = load(f'[{{"name": "{NAMES[0]}", {fields}}}]')
        assert about(found) == [f"a key stands more than once in {field}, and only the last counts: '0' of {NAMES[0]}"]

    def test_two_fields_of_one_name_are_warned_of(self, load):
        found = load(f'[{{"name": "x", "findings": {{"0": "a", "1": "b"}}, "name": "{NAMES[0]}"}}]')
        assert (
            f"a key stands more than once in an entry, and only the last counts: 'name' of {NAMES[0]}" in found.warnings
        )


class TestVolumes:
    SPACING = (0.7, 0.7, 2.0)

    @pytest.fixture
    def ct_dir(self, tmp_path):
        """Two volumes as CT-RATE keeps them."""
        for name in NAMES:
            self.volume(tmp_path / "ct" / name[:6] / name[:9] / name)
        return tmp_path / "ct"

    def volume(self, path, spacing=SPACING, shape=SHAPE[1:]):
        path.parent.mkdir(parents=True, exist_ok=True)
        return builders.mask_file(path, np.zeros(shape, np.int16), pixdim=[1, *spacing, 0, 0, 0, 0])

    def load_both(self, load, ct_dir):
        return load([entry(name=name) for name in NAMES], ct_dir=ct_dir)

    def test_volumes_lie_anywhere_below_the_folder(self, load, ct_dir):
        found = self.load_both(load, ct_dir)
        assert [case.spacing_mm for case in found.cases] == [pytest.approx(self.SPACING)] * 2
        assert found.warnings == ()

    def test_links_are_followed_and_circles_of_them_end(self, load, tmp_path, ct_dir):
        linked = tmp_path / "linked"
        linked.mkdir()
        (linked / "volumes").symlink_to(ct_dir)
        (ct_dir / "again").symlink_to(ct_dir)
        assert self.load_both(load, linked).warnings == ()

    def test_the_volume_may_have_the_name_where_the_mask_is_found_by_its_path(self, load, ct_dir, references):
        (references / NAMES[0]).rename(references / "mask_7.nii.gz")
        found = load([entry(name=NAMES[0], seg_path="masks/mask_7.nii.gz")], ct_dir=ct_dir)
        assert (found.cases[0].name, found.warnings) == ("mask_7.nii.gz", ())
        assert found.cases[0].spacing_mm == pytest.approx(self.SPACING)

    @pytest.mark.parametrize("content", [b"", b"damaged", b"version https://git-lfs.github.com/spec/v1\n", None])
    def test_a_damaged_volume_costs_its_spacing_alone(self, load, ct_dir, content):
        path = ct_dir / "case_0" / "case_0001" / NAMES[0]
        path.write_bytes(path.read_bytes()[:60] if content is None else content)
        found = self.load_both(load, ct_dir)
        assert [case.spacing_mm is None for case in found.cases] == [True, False]
        warned = next(warning for warning in found.warnings if "unusable" in warning)
        assert warned.startswith(f"the CT volume is unusable, so its spacing is not known: {NAMES[0]}: ")
        assert "1 of 2 cases have no known voxel spacing" in found.warnings[-1]

    def test_the_spacing_of_the_entry_takes_the_place_of_a_damaged_volume(self, load, ct_dir):
        (ct_dir / "case_0" / "case_0001" / NAMES[0]).write_bytes(b"damaged")
        found = load([entry(name=NAMES[0], spacing=[1, 1, 3])], ct_dir=ct_dir)
        assert found.cases[0].spacing_mm == (1, 1, 3)

    def test_a_missing_volume_says_what_there_is(self, load, ct_dir):
        path = ct_dir / "case_0" / "case_0001" / NAMES[0]
        path.rename(path.with_name("case_0001_0000.nii.gz"))
        found = self.load_both(load, ct_dir)
        assert found.warnings[0] == f"no CT volume in {ct_dir}: {NAMES[0]} (but there is case_0001_0000.nii.gz)"

    def test_so_it_does_where_the_mask_is_found_by_its_path(self, load, ct_dir, references):
        path = ct_dir / "case_0" / "case_0001" / NAMES[0]
        path.rename(path.with_name("case_0001_0000.nii.gz"))
        (references / NAMES[0]).rename(references / "case_1_mask.nii.gz")
        found = load([entry(name=NAMES[0], seg_path="masks/case_1_mask.nii.gz")], ct_dir=ct_dir)
        said = f"no CT volume in {ct_dir}: case_1_mask.nii.gz (but there is case_0001_0000.nii.gz)"
        assert found.warnings[0] == said

    def test_of_two_volumes_the_one_that_lies_highest_is_used(self, load, ct_dir):
        self.volume(ct_dir / NAMES[0], (1, 1, 5))
        found = self.load_both(load, ct_dir)
        assert found.cases[0].spacing_mm == (1, 1, 5)
        (warned,) = found.warnings
        assert warned.startswith("several CT volumes of one name differ in shape or spacing; ")
        assert f"{ct_dir / NAMES[0]} is used, not {ct_dir}" in warned

    def test_two_volumes_of_other_content_are_warned_of_and_two_copies_are_not(self, load, ct_dir):
        original = ct_dir / "case_0" / "case_0001" / NAMES[0]
        (ct_dir / NAMES[0]).write_bytes(original.read_bytes())
        assert self.load_both(load, ct_dir).warnings == ()
        (ct_dir / NAMES[0]).write_bytes(original.read_bytes() + bytes(8))
        assert "several CT volumes of one name differ; " in self.load_both(load, ct_dir).warnings[0]

    def test_a_folder_that_is_too_large_is_said_so(self, load, ct_dir, monkeypatch):
        monkeypatch.setattr("evaluation.command.ct.MAX_ENTRIES", 1)
        found = self.load_both(load, ct_dir)
        assert found.warnings[0] == f"--ct_dir: {ct_dir} holds more than 1 files; the rest was not looked at"
        assert [case.spacing_mm is None for case in found.cases] == [False, True]

    def test_another_shape_is_an_error(self, load, ct_dir):
        self.volume(ct_dir / "case_0" / "case_0001" / NAMES[0], shape=(4, 5, 7))
        with pytest.raises(EvaluationError, match=r"the CT volume is \(4, 5, 7\), the reference \(4, 5, 6\)"):
            self.load_both(load, ct_dir)
