"""What a team says of its entry, and the files that come with it: of each phase what it takes and asks for."""

import json
from typing import Any

from django import forms

from containers.intake import BEGINNING_BYTES
from containers.protocol import contract
from leaderboard.core.refusal import Refused
from leaderboard.core.text import one_line
from leaderboard.models import Phase, Submission, Team
from leaderboard.states import SubmissionKind
from leaderboard.submissions import admission, drafts, uploads
from leaderboard.templatetags.show import gigabytes

NONE, SOME = "none", "some"
NOTHING_EXTERNAL = "none"


class StatementInput(forms.CheckboxInput):
    """A box beside a statement, which is its value: what is sent is what was on the page when the box was ticked."""

    def __init__(self, statement: str) -> None:
        super().__init__(check_test=lambda value: value == statement)
        self.statement = statement

    def format_value(self, value: Any) -> str:
        """The statement, ticked or not."""
        return self.statement

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """The statement that was ticked, in one line; nothing if none was."""
        return one_line(data.get(name, ""))


class SubmissionForm(forms.Form):
    """A team's entry into a phase, or what it only tries out."""

    kind = forms.ChoiceField(
        choices=SubmissionKind.choices,
        required=False,  # a form that does not ask is one of a run
        error_messages={"invalid_choice": "Choose whether it is to be scored or tried out."},
    )
    entry = forms.ChoiceField(
        choices=Submission.Entry.choices,
        initial=Submission.Entry.IMAGE,
        widget=forms.RadioSelect,
        label="What you hand in",
        error_messages={"required": "Say what you hand in.", "invalid_choice": "Choose one of the two."},
    )
    track = forms.ChoiceField(
        choices=Submission.Track.choices,
        initial=Submission.Track.MAIN,
        widget=forms.RadioSelect,
        label="Track",
        error_messages={"invalid_choice": "Choose one of the two tracks."},
    )
    algorithm = forms.CharField(
        max_length=Submission._meta.get_field("algorithm").max_length,
        label="Name on the board",
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )
    method = forms.CharField(
        min_length=admission.MIN_METHOD_CHARACTERS,
        max_length=admission.MAX_METHOD_CHARACTERS,
        label="Description",
        help_text=(
            "Architecture, training, inference, ensembles. Markdown, "
            f"at least {admission.MIN_METHOD_CHARACTERS} characters."
        ),
        widget=forms.Textarea(attrs={"rows": 8}),
        error_messages={
            "min_length": "Describe the method in at least %(limit_value)d characters; you wrote %(show_value)d.",
        },
    )
    external = forms.ChoiceField(
        choices=((NONE, "None"), (SOME, "Yes, as follows")),
        widget=forms.RadioSelect,
        label="Did any data or model from outside the challenge go in?",
        error_messages={
            "required": "Choose one. If you used a pre-trained model, say which.",
            "invalid_choice": "Choose one of the two answers.",
        },
    )
    external_data = forms.CharField(
        max_length=admission.MAX_EXTERNAL_DATA_CHARACTERS,
        required=False,
        label="Data sets and pre-trained models",
        help_text="Each with its source, public or private.",
        widget=forms.Textarea(attrs={"rows": 4}),
    )
    paper_url = forms.URLField(
        required=False,
        assume_scheme="https",
        label="Paper",
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
    )
    code_url = forms.URLField(
        required=False,
        assume_scheme="https",
        label="Code",
        widget=forms.URLInput(attrs={"placeholder": "https://"}),
    )
    image = forms.FileField(
        label="Image archive",
        # A hint for the file dialogue; what a file is, its first bytes say.
        widget=forms.FileInput(attrs={"accept": ".tar,.gz,.tgz,.xz,.txz,.zst,.tzst,.oci"}),
        allow_empty_file=True,  # admission says what is wrong with an empty file, and what to do
        error_messages={
            "required": "Choose the archive of your image.",
            "max_length": "The file’s name is too long.",
        },
    )

    weights = forms.ChoiceField(
        required=False,
        widget=forms.RadioSelect,
        label="Weights",
        initial=drafts.NONE,
        help_text=(
            f"Your program finds them in {contract.MODEL_DIR}, read-only. Later runs can use them again, so that a "
            "changed line of code does not send them once more."
        ),
        error_messages={"invalid_choice": "Choose one of the answers."},
    )
    weights_file = forms.FileField(
        required=False,
        label="Archive of weights",
        widget=forms.FileInput(attrs={"accept": ".tar,.gz,.tgz,.xz,.txz,.zst,.tzst"}),
        allow_empty_file=True,
        error_messages={"max_length": "The file’s name is too long."},
    )

    commitment = forms.CharField(required=False, label="Open source")
    pdf = forms.FileField(
        label="PDF of the method",
        help_text=f"Up to {gigabytes(admission.MAX_PDF_BYTES)}. Only your team and the organisers can download it.",
        widget=forms.FileInput(attrs={"accept": ".pdf,application/pdf", "data-max-bytes": admission.MAX_PDF_BYTES}),
        allow_empty_file=True,
        error_messages={"max_length": "The file’s name is too long."},
    )

    def __init__(
        self,
        *args: Any,
        phase: Phase,
        team: Team,
        refusal: str = "",
        refused: str = uploads.IMAGE,
        has_file: bool = True,
        has_pdf: bool = False,
        **kwargs: Any,
    ) -> None:
        """What comes with the form or was here before.

        `refusal`: why the server stopped reading the file of the field `refused`, if it did; `has_file`: whether the
        archives come with it; `has_pdf`: whether the draft has a PDF already.
        """
        super().__init__(*args, **kwargs)
        self.fields["image"].required = has_file
        said = self.data.get("weights", "") if self.is_bound else (self.initial or {}).get("weights", "")
        self.fields["weights"].choices = _weights_choices(team, str(said))  # type: ignore[attr-defined]
        self.phase = phase
        self._has_file = has_file
        self._ask_what_the_phase_takes()
        self._ask_what_the_phase_asks(has_pdf=has_pdf)
        self.refusal = refusal
        if refusal and refused in self.fields:
            self.fields[refused].required = True
            self.fields[refused].error_messages["required"] = refusal

    def _ask_what_the_phase_takes(self) -> None:
        image = self.fields["image"]
        if len(admission.entries_of(self.phase)) == 1:
            del self.fields["entry"]
        else:
            self.fields["entry"].required = self._has_file  # without one, the image is here
            image.label = "Archive of the image or of the masks"
        if not self.phase.takes_images:
            image.label = "Archive of masks"
            image.error_messages["required"] = "Choose the archive of your masks."
            del self.fields["weights"], self.fields["weights_file"]
        if self.phase.takes_masks:
            image.widget.attrs["accept"] += ",.zip"

    def _ask_what_the_phase_asks(self, *, has_pdf: bool) -> None:
        if self.phase.pdf == Phase.Asked.NO:
            del self.fields["pdf"]
        else:
            self.fields["pdf"].required = self.phase.pdf == Phase.Asked.REQUIRED and not has_pdf
            self.fields["pdf"].error_messages["required"] = f"The {self.phase.name} asks for a PDF of the method."
        if self.phase.commitment == Phase.Asked.NO:
            del self.fields["commitment"]
        else:
            self.statement = one_line(self.phase.commitment_text)
            self.fields["commitment"].widget = StatementInput(self.statement)

    def clean_commitment(self) -> str:
        """What the team committed to. What the page said has to be what the phase says now."""
        ticked: str = self.cleaned_data["commitment"]
        if ticked and ticked != self.statement:
            raise forms.ValidationError("The organisers changed the text meanwhile. Load the page again, and read it.")
        if not ticked and self.phase.commitment == Phase.Asked.REQUIRED:
            raise forms.ValidationError(f"The {self.phase.name} is open to teams that commit to this.")
        return ticked

    def clean_pdf(self) -> Any:
        """Refuse a PDF that is empty or too large; how it begins was looked at as it came."""
        pdf = self.cleaned_data["pdf"]
        try:
            if pdf is not None:
                admission.check_pdf(pdf.size, self.phase)
        except Refused as refusal:
            raise forms.ValidationError(str(refusal)) from None
        return pdf

    @property
    def sent_as_another(self) -> str:
        """What the page says at once of a file that is another thing than it is wanted for."""
        return json.dumps(admission.sent_as_another(self.phase))

    @property
    def wants_upload_of_weights(self) -> bool:
        """Whether an archive of weights was chosen to come with the image."""
        return self.is_of_an_image and self.is_bound and self.data.get("weights") == drafts.UPLOAD

    @property
    def is_of_an_image(self) -> bool:
        """Whether an image is handed in, or is to be, and not masks."""
        return admission.entry_said(self.data, self.phase) != Submission.Entry.MASKS

    def clean_kind(self) -> str:
        """A run, unless told."""
        return self.cleaned_data["kind"] or SubmissionKind.SCORED

    def clean_image(self) -> Any:
        """Refuse a file that the phase does not take."""
        file = self._of_a_size("image")
        try:
            beginning = getattr(file, "beginning", b"")
            if len(beginning) >= BEGINNING_BYTES:  # what is smaller is here, and read whole
                admission.check_beginning(beginning, self.phase, admission.entry_said(self.data, self.phase))
        except Refused as refusal:
            raise forms.ValidationError(str(refusal)) from None
        return file

    def clean_weights_file(self) -> Any:
        """Refuse weights that the phase does not take, or that are missing."""
        if not self.is_of_an_image:
            return None
        if self.wants_upload_of_weights and self._has_file and not self.cleaned_data["weights_file"]:
            raise forms.ValidationError("Choose the archive of your weights.")
        return self._of_a_size("weights_file", admission.Part.WEIGHTS)

    def _of_a_size(self, field: str, part: str = admission.Part.IMAGE) -> Any:
        file = self.cleaned_data[field]
        if file is None:
            return None
        try:
            admission.check_upload(file.size, self.phase, admission.entry_said(self.data, self.phase), part)
        except Refused as refusal:
            raise forms.ValidationError(str(refusal)) from None
        return file

    def clean(self) -> dict[str, Any]:
        """“None” is an answer, silence is not."""
        cleaned = super().clean() or self.cleaned_data
        if self.refusal and not self.errors:  # of a file that this form has no field for
            self.add_error(None, self.refusal)
        if not self.is_of_an_image:
            cleaned["weights"] = drafts.NONE  # were chosen before masks were
        elif cleaned.get("weights_file"):
            self._clean_weights(cleaned)
        if cleaned.get("external") == NONE:
            cleaned["external_data"] = NOTHING_EXTERNAL
        elif cleaned.get("external") == SOME and not cleaned.get("external_data", "").strip():
            self.add_error("external_data", "Name every external data set and pre-trained model, with its source.")
        return cleaned

    def _clean_weights(self, cleaned: dict[str, Any]) -> None:
        """A file is an answer, too."""
        if cleaned.get("weights") in ("", drafts.NONE):
            cleaned["weights"] = drafts.UPLOAD
        elif cleaned.get("weights") != drafts.UPLOAD:
            self.add_error("weights", "Choose one of both: an archive, or the weights of an earlier run.")


def _weights_choices(team: Team, said: str) -> list[tuple[str, str]]:
    earlier = drafts.reusable_weights(team, said)
    return [
        (drafts.NONE, "In the image, if there are any"),
        (drafts.UPLOAD, "In an archive of their own"),
        *(
            (str(one.pk), f"Those of submission {one.pk}: {one.weights_name}, {gigabytes(one.weights_bytes)}")
            for one in earlier
        ),
    ]
