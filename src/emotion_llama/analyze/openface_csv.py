"""Action units over time as a table that scripts for OpenFace 2.2 read.

Columns, in OpenFace's order and with the blank that it puts before each name but the first: frame, face_id, timestamp,
confidence, success, pose_Rx, pose_Ry, pose_Rz, AU01_r … AU45_r (0–5), AU01_c … AU45_c (0 or 1). Gaze, landmarks and the
place of the head are not measured and left out. A row is a frame in which the face was found, of those looked at;
`frame` counts from 1. `confidence` is how sure the face mesh was; a unit is present (`_c`) from the size that our words
call slight. A unit that the source of the action units does not measure is `nan`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from emotion_llama.analyze.writers import write_text
from emotion_llama.measurements import ACTION_UNITS, ActionUnitSeries
from emotion_llama.perception.au_tables import OPENFACE_ANGLES, OPENFACE_SIGNS
from emotion_llama.perception.describe import word_table

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import Result

INTENSITIES = tuple(unit for unit in ACTION_UNITS if unit != 28)
"""Units that OpenFace gives a size; of AU28 it tells only whether it is there."""

COLUMNS = (
    "frame", "face_id", "timestamp", "confidence", "success", *OPENFACE_ANGLES,
    *(f"AU{unit:02d}_r" for unit in INTENSITIES), *(f"AU{unit:02d}_c" for unit in ACTION_UNITS),
)  # fmt: skip


def write_openface(result: Result, path: Path) -> None:
    """Write one clip's table; without a face it has a heading and no rows. Raises `OutputError` naming the path."""
    material = result.material
    face = next((face.track for face in result.analysis.faces if face.main), 0)
    lines = [", ".join(COLUMNS)]
    if material.action_units is not None:
        series = material.action_units
        count = len(series.time_s)
        frames = material.frame_indices if material.frame_indices is not None else np.arange(count)
        scores = material.mesh_scores if material.mesh_scores is not None else series.confidence.max(axis=1)
        lines += [_line(series, at, int(frames[at]), face, float(scores[at])) for at in range(count)]
    write_text("\n".join(lines) + "\n", path)


def _line(series: ActionUnitSeries, at: int, frame: int, face: int, score: float) -> str:
    sizes = dict(zip(ACTION_UNITS, series.intensity[at], strict=True))
    sizes |= {unit: np.float32("nan") for unit in ACTION_UNITS if unit not in series.measured}
    found = int(series.confidence[at].any())
    angles = np.radians(series.pose_deg[at].astype(np.float64)) * OPENFACE_SIGNS
    least = word_table().action_unit_steps[0]
    present = ["nan" if np.isnan(sizes[unit]) else f"{float(sizes[unit] >= least):.1f}" for unit in ACTION_UNITS]
    cells = [str(frame + 1), str(face), f"{series.time_s[at]:.6f}", f"{score if found else 0:.4f}", str(found)]
    cells += [f"{angle:.6f}" for angle in angles]
    cells += [f"{sizes[unit]:.4f}" for unit in INTENSITIES]
    # no blank before a cell: with one, pandas takes nan for a text
    return ",".join(cells + present)
