"""Hypotheses and spread are drawn on the frame."""

import numpy as np
import pytest
from mmengine.structures import InstanceData
from mmpose.registry import VISUALIZERS
from mmpose.structures import PoseDataSample
from mmpose.visualization import PoseLocalVisualizer

META = dict(
    skeleton_links=[(0, 1), (1, 2)],
    skeleton_link_colors=np.array([[255, 0, 0], [255, 0, 0]]),
    keypoint_colors=np.full((3, 3), 200),
)


def drawn(visualizer, **fields):
    keypoints = np.array([[[30.0, 30], [60, 60], [90, 30]]])
    fields.setdefault('keypoint_scores', np.ones((1, 3)))
    instances = InstanceData(keypoints=keypoints, **fields)
    sample = PoseDataSample(pred_instances=instances, gt_instances=InstanceData())
    visualizer.set_dataset_meta(META)
    image = np.zeros((120, 120, 3), np.uint8)
    visualizer.add_datasample('x', image, sample, draw_gt=False)
    assert not image.any()
    return visualizer.get_image()


def build(**kwargs):
    # mmengine keeps one visualizer a name.
    name = f'visualizer {sorted(kwargs.items())}'
    return VISUALIZERS.build(dict(type='ClipPoseVisualizer', name=name, **kwargs))


def test_without_hypotheses_as_mmpose_draws():
    """Broken if the predictions of ordinary models look otherwise."""
    np.testing.assert_array_equal(drawn(build()), drawn(PoseLocalVisualizer()))


def test_hypotheses_are_faint_skeletons():
    """Broken if hypotheses are not on the frame, or hide the pose."""
    plain = drawn(build())
    hypotheses = np.array([[[[30.0, 80], [60, 110], [90, 80]]]])
    scores = np.ones((1, 1, 3))
    image = drawn(build(), hypotheses=hypotheses, hypothesis_scores=scores)
    changed = (image != plain).any(-1)
    assert changed[80:111, 30:91].sum() > 50 and not changed[:78].any()
    assert 0 < image[changed].max() < 128
    assert (drawn(build(draw_hypotheses=False), hypotheses=hypotheses) == plain).all()
    unsure = drawn(build(), hypotheses=hypotheses, hypothesis_scores=0 * scores)
    assert (unsure == plain).all()


def test_spread_is_an_ellipse_in_image_pixels():
    """Broken if the ellipse's axes are not the standard deviations."""
    plain = drawn(build())
    deviation = np.array([[[20.0, 8], [0.1, 0.1], [0, 0]]])
    image = drawn(build(), keypoint_std=deviation)
    ys, xs = np.nonzero((image != plain).any(-1))
    assert xs.min() == pytest.approx(30 - 20, abs=1.5) and xs.max() == pytest.approx(50, abs=1.5)
    assert ys.min() == pytest.approx(30 - 8, abs=1.5) and ys.max() == pytest.approx(38, abs=1.5)
    assert (drawn(build(draw_spread=False), keypoint_std=deviation) == plain).all()


def test_tracks_have_their_numbers_at_the_head():
    """Broken if nobody can tell which line of the trajectories is whose."""
    plain = drawn(build())
    image = drawn(build(), track_ids=np.array([3]))
    ys, xs = np.nonzero((image != plain).any(-1))
    assert len(ys) > 20 and ys.max() <= 32 and 28 <= xs.min() and xs.max() <= 50
    assert (drawn(build(), track_ids=np.array([8])) != image).any()
    assert (drawn(build(draw_track_ids=False), track_ids=np.array([3])) == plain).all()
    unsure = drawn(build(), track_ids=np.array([3]), keypoint_scores=np.zeros((1, 3)))
    assert (unsure == plain).all()


def test_boxes_of_nobody_can_be_drawn():
    """Broken if a frame without people stops a video."""
    sample = PoseDataSample(
        pred_instances=InstanceData(
            keypoints=np.zeros((0, 3, 2)), keypoint_scores=np.zeros((0, 3)), bboxes=np.zeros((0, 4))
        )
    )
    visualizer = build()
    visualizer.set_dataset_meta(META)
    image = np.full((20, 30, 3), 7, np.uint8)
    visualizer.add_datasample('x', image, sample, draw_gt=False, draw_bbox=True)
    assert (visualizer.get_image() == 7).all()
