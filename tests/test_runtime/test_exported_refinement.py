"""The runtime beside the torch path: starts from the first answer, and a calibrated spread."""

import json
import shutil

import numpy as np
import pytest
from runtime_helpers import CHECKPOINT, CONFIG, walk

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm_runtime import ExportedPoser, infer
from diffpose_mm_runtime.boxes import GivenBoxes
from diffpose_mm_runtime.spread_calibration import SpreadCalibration
from diffpose_mm_runtime.windows import as_frame

SETTINGS = dict(strength=0.3, temperature=0.5, first_weight=0.25, first_scores=True)
FITTED = dict(
    version=1,
    tables=[dict(sampling_steps=4, weights=[0.2, 2.8], inputs=[-3.0, 0.0], lengths=[1.0, 30.0])],
)


@pytest.mark.parametrize('calibrated', [False, True])
def test_frame_by_frame(calibrated, exported, tmp_path):
    """Broken if the runtime restarted, mixed, scored or calibrated otherwise than torch."""
    frames, boxes = walk(5)
    inferencer = DiffPoseInferencer(CONFIG, CHECKPOINT, device='cpu', det_model='whole_image')
    inferencer.model.test_cfg.update(SETTINGS)
    folder = exported
    if calibrated:
        inferencer.model.head.spread_calibration = SpreadCalibration(FITTED)
        folder = tmp_path / 'model'
        shutil.copytree(exported, folder)
        manifest = json.loads((folder / 'manifest.json').read_text())
        (folder / 'manifest.json').write_text(json.dumps(dict(manifest, spread_calibration=FITTED)))
    run = inferencer(iter(frames), num_hypotheses=3, sampling_steps=3, bboxes=boxes, batch_size=3)
    expected = [result['predictions'][0] for result in run]
    poser = ExportedPoser(folder, 'onnxruntime', 1, num_hypotheses=3, sampling_steps=3, **SETTINGS)
    shots = (as_frame(image, index) for index, image in enumerate(frames))
    found = list(infer(poser, shots, GivenBoxes(boxes), batch_size=3))
    for entry, people in zip(found, expected, strict=True):
        for ours, theirs in zip(entry['instances'], people, strict=True):
            for field in ('keypoints', 'keypoint_scores', 'keypoint_std'):
                np.testing.assert_allclose(ours[field], theirs[field], atol=2e-3, err_msg=field)


def test_settings_are_checked_before_anything_runs(exported):
    """Broken if a setting out of range were found out in the middle of a video."""
    with pytest.raises(ValueError, match='strength must lie in'):
        ExportedPoser(exported, strength=2)
    with pytest.raises(ValueError, match='temperature'):
        ExportedPoser(exported, temperature=0.5)
