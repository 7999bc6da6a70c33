"""The built-in sample as a DICOM series, one file a slice, as a scanner writes it: to try what works on DICOM only. It names no patient."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.io.source import LPS_TO_RAS
from napari_liver_anomaly.placing import replacing_all

if TYPE_CHECKING:
    import pydicom

    from napari_liver_anomaly.volume import Volume

PIXEL_HU = 1024  # the scanner's zero
MADE_UP = "Digital phantom"


def write_study(volume: Volume, folder: str | Path) -> tuple[Path, ...]:
    """Write a made scan whose grid is upright as a CT series ``0001.dcm`` and on, from the head to the feet; all files, or none."""
    from pydicom.uid import CTImageStorage, generate_uid

    source = [volume.identity, "study"]
    study, series, frame = (generate_uid(entropy_srcs=[*source, what]) for what in ("study", "series", "frame"))
    places = [Path(folder) / f"{n:04}.dcm" for n in range(1, len(volume.voxels) + 1)]
    with replacing_all(places) as beside:
        for z, path in enumerate(beside):
            data = _slice(volume, z)
            data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid(entropy_srcs=[*source, str(z)])
            data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = study, series, frame
            data.save_as(path, enforce_file_format=True)
    return tuple(places)


def _slice(volume: Volume, z: int) -> pydicom.Dataset:
    """Make one slice, but for what names it and its series."""
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    z_mm, y_mm, x_mm = volume.geometry.spacing_mm
    corner = LPS_TO_RAS @ [*volume.geometry.position_mm((z, 0, 0)), 1]
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.PatientName = data.PatientID = data.PatientBirthDate = data.PatientSex = ""
    data.StudyDate = data.StudyTime = data.AccessionNumber = data.ReferringPhysicianName = data.StudyID = ""
    data.Modality, data.ImageType, data.Manufacturer = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], MADE_UP
    data.SeriesDescription, data.SeriesNumber, data.AcquisitionNumber, data.InstanceNumber = MADE_UP, 1, 1, z + 1
    data.PatientPosition, data.PositionReferenceIndicator, data.BodyPartExamined = "HFS", "", "ABDOMEN"
    data.SliceThickness, data.PixelSpacing, data.KVP, data.ConvolutionKernel = z_mm, [y_mm, x_mm], 120, "made"
    data.ImageOrientationPatient, data.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [float(mm) for mm in corner[:3]]
    data.RescaleSlope, data.RescaleIntercept, data.RescaleType = 1, -PIXEL_HU, "HU"
    data.Rows, data.Columns = volume.voxels.shape[1:]
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
    data.PixelData = np.clip(volume.voxels[z].astype(np.int32) + PIXEL_HU, 0, None).astype("<u2").tobytes()
    return data
