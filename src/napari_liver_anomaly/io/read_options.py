"""What the user decided about questions of reading: one field for each question that can be asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self

from napari_liver_anomaly.settings import Settings, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.errors import Answer


@dataclass(frozen=True, kw_only=True, slots=True)
class MaskOptions(Settings):
    """Answers to what a given liver mask can ask, or all those of a folder together."""

    liver_label: str = setting(
        "ask", word="LABEL", help="Which labels of a liver mask are the liver: 1, 1+2, a name that the file gives, or all."
    )
    given_liver: Literal["ask", "accept"] = setting("ask", help="Whether a given liver mask is taken although it is unlike one.")


@dataclass(frozen=True, kw_only=True, slots=True)
class ReadOptions(MaskOptions):
    """Answers to what reading a scan and finding its liver can ask; each question is asked while its field has its default value."""

    series: int = setting(0, low=0, high=100000, help="Number of the DICOM series to read, when a folder holds several; 0 asks.")
    acquisition: int = setting(
        0, low=0, high=100000, help="Number of the acquisition (phase) to read, when a series holds several; 0 asks."
    )
    volume: int = setting(0, low=0, high=100000, help="Number of the volume to read, when a file holds several; 0 asks.")
    position: Literal["ask", "sform", "qform"] = setting(
        "ask", help="Which of two positions in a NIfTI file counts when they disagree."
    )
    orientation: Literal["ask", "unverified"] = setting(
        "ask", help="Whether to read a file that does not say where left and right are; results are then marked unverified."
    )
    values: Literal["ask", "hounsfield"] = setting(
        "ask", help="Whether values that do not look like Hounsfield units are taken for such."
    )
    voxel_size: Literal["ask", "accept"] = setting(
        "ask", help="Whether a voxel size is taken although the header looks as if it had lost it."
    )
    brightness: Literal["ask", "accept"] = setting(
        "ask", help="Whether slices are read as one scan although their brightness differs as between two phases."
    )
    tilt: Literal["ask", "straighten"] = setting(
        "ask", help="Whether tilted or unevenly spaced slices are resampled to a straight, even stack."
    )
    gaps: Literal["ask", "fill"] = setting("ask", help="Whether missing slices are filled in from their neighbours.")
    incomplete: Literal["ask", "accept"] = setting(
        "ask", help="Whether a DICOM series is read although some of its files seem to be lost."
    )
    links: Literal["ask", "follow"] = setting(
        "ask", help="Whether links in a folder of DICOM files are followed to files that lie elsewhere."
    )
    found_liver: Literal["ask", "accept"] = setting(
        "ask", help="Whether a liver found by the program is taken although it is unlike one."
    )

    def with_answer(self, answer: Answer) -> Self:
        """Add one answer to those given so far.

        Parameters
        ----------
        answer : Answer
            As a finding offers it.

        Returns
        -------
        ReadOptions
            The same, but for the field that the answer sets.

        Raises
        ------
        WrongSetting
            When there is no such field, or it cannot have that value.
        """
        return self.from_dict(self.to_dict() | {answer.option: answer.value})


@dataclass(frozen=True, kw_only=True, slots=True)
class EarlierOptions(ReadOptions):
    """Answers to what the files of a follow-up can ask."""

    lesion_label: str = setting(
        "ask", word="LABEL", help="Which labels of a lesion mask are lesions: 2, 2+3, a name that the file gives, or all."
    )


ASK_ALL = ReadOptions()
ASK_ALL_EARLIER = EarlierOptions()
