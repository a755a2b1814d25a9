"""Figures say what they are given."""

import json

import cv2
import numpy as np
import pytest

from diffpose_mm.visualization import (
    PosePanel,
    denoising_strip,
    overlay_heatmap,
    pose_sheet,
    read_scalars,
    training_curve,
)
from diffpose_mm.visualization.figures import PREDICTED_COLOR, TRUE_COLOR


def share(path, color):
    """Share of the picture's pixels that are of a colour, be it a darker shade."""
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    picture = cv2.imread(str(path))[..., ::-1].astype(float)
    length = np.linalg.norm(picture, axis=-1)
    alike = picture @ rgb / np.maximum(length, 1) / np.linalg.norm(rgb)
    return ((alike > 0.98) & (length > 90)).mean()


def test_pose_sheet_draws_both_poses(tmp_path):
    """Broken if the truth or the prediction is missing, or what has no score is drawn."""
    image = np.zeros((60, 80, 3), np.uint8)
    points = np.array([[[10.0, 10], [30, 50], [70, 30]]])
    panel = PosePanel(image, points, np.ones((1, 3)), points[..., ::-1] + 3, np.ones((1, 3)))
    links = [(0, 1), (1, 2)]
    both, unsure = tmp_path / 'both.png', tmp_path / 'unsure.png'
    pose_sheet(str(both), [panel] * 4, links)
    unscored = PosePanel(image, points, np.zeros((1, 3)), panel.true, np.array([[1, 1, 0]]))
    pose_sheet(str(unsure), [unscored] * 4, links)
    assert share(both, TRUE_COLOR) > 0.002 and share(both, PREDICTED_COLOR) > 0.002
    # What is left is the legend's.
    assert share(unsure, PREDICTED_COLOR) < 0.2 * share(both, PREDICTED_COLOR)
    assert share(unsure, TRUE_COLOR) < 0.8 * share(both, TRUE_COLOR)
    with pytest.raises(ValueError, match='at least one'):
        pose_sheet(str(both), [], links)


def test_denoising_strip_has_a_column_a_step(tmp_path):
    """Broken if steps are left out, or a call with unequal lists draws something anyway."""
    rng = np.random.default_rng(0)
    image = np.full((64, 48, 3), 90, np.uint8)
    heatmaps = [rng.random((3, 16, 12)) for _ in range(5)]
    widths = []
    for steps in (2, 5):
        path = tmp_path / f'{steps}.png'
        some = heatmaps[:steps]
        denoising_strip(str(path), image, range(steps), some, some, 1, 'nose', heatmaps[0])
        widths.append(cv2.imread(str(path)).shape[1])
    assert widths[1] > 1.7 * widths[0]
    with pytest.raises(ValueError, match='2 steps need as many'):
        denoising_strip(str(path), image, [1, 0], heatmaps[:2], heatmaps[:1], 1)


def test_overlay_shows_where_the_heatmap_is():
    image = np.full((64, 48, 3), 100, np.uint8)
    heatmap = np.zeros((16, 12))
    heatmap[4, 9] = 1
    laid = overlay_heatmap(image, heatmap).astype(int)
    # Heatmap pixel (9, 4) covers the input pixels around (37.5, 17.5).
    y, x = np.unravel_index((laid[..., 0] - laid[..., 2]).argmax(), (64, 48))
    assert abs(x - 37.5) <= 1 and abs(y - 17.5) <= 1
    assert (laid[50:] == 55).all()


def test_training_curve(tmp_path):
    """Broken if mmengine's log cannot be drawn, with and without validation."""
    log = tmp_path / 'scalars.json'
    train = [dict(loss=1 / (i + 1), iter=i + 1, acc_pose=i / 10) for i in range(10)]
    val = [{'posetrack/AP': 12.0, 'step': 1}]
    log.write_text('\n'.join(map(json.dumps, [*train, *val])) + '\n\n')
    entries = read_scalars(str(log))
    assert len(entries) == 11
    path = tmp_path / 'curve.png'
    training_curve(str(path), entries)
    assert cv2.imread(str(path)).std() > 10
    training_curve(str(path), train)
    with pytest.raises(ValueError, match='no training curve'):
        training_curve(str(path), val)
