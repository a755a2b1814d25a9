"""Streaming: a person-frame goes through the backbone once; results are those of the full path."""

import numpy as np
import pytest
from apis_helpers import OFFSETS, assert_close_poses, moving_frames, write_tiny

from diffpose_mm.apis import ClipPoser, DiffPoseInferencer, StreamingPoser
from diffpose_mm.apis.people import Person
from diffpose_mm.apis.windows import iterate_windows

FIELDS = ('keypoints', 'keypoint_scores', 'keypoint_std', 'hypotheses', 'hypothesis_scores')


@pytest.fixture(scope='module', params=[False, True], ids=['plain', 'flip_test'])
def parts(request, tmp_path_factory):
    config, weights = write_tiny(tmp_path_factory.mktemp('stream'))
    inferencer = DiffPoseInferencer(config, weights, device='cpu', det_model='whole_image')
    model = inferencer.model
    model.test_cfg.update(
        flip_test=request.param, num_hypotheses=2, sampling_steps=2, output_heatmaps=True
    )
    return model, inferencer.pipeline


def jobs_of(boxes, mode='offline', track=0):
    frames = moving_frames(len(boxes))
    return [
        (window, f'{window.frame_id}.jpg', Person(np.array(box, np.float32), 0.5, track))
        for window, box in zip(iterate_windows(frames, OFFSETS, mode), boxes)
    ]


def assert_same(found, expected):
    np.testing.assert_allclose(
        found.pred_fields.heatmaps, expected.pred_fields.heatmaps, rtol=0, atol=1e-4
    )
    for name in ('input_center', 'input_scale', 'img_path', 'frame_offsets'):
        np.testing.assert_array_equal(found.metainfo[name], expected.metainfo[name])
    for field in FIELDS:
        assert_close_poses(found.pred_instances[field], expected.pred_instances[field])


@pytest.mark.parametrize('mode', ['offline', 'causal'])
@pytest.mark.parametrize('batch', [1, 3])
def test_with_a_fixed_crop_the_cached_path_is_the_full_path(parts, mode, batch):
    jobs = jobs_of([[20, 10, 70, 80]] * 8, mode)
    streaming = StreamingPoser(*parts, OFFSETS)
    found = [s for i in range(0, 8, batch) for s in streaming(jobs[i : i + batch])]
    for sample, expected in zip(found, ClipPoser(*parts)(jobs)):
        assert_same(sample, expected)
    assert streaming.state.backbone_passes == 8, 'each frame once'
    assert streaming.state.renewals == 0


def test_after_a_renewal_too_the_results_are_those_of_the_locked_crop(parts):
    boxes = [[10 + 4 * t, 10, 45 + 4 * t, 80] for t in range(12)]
    jobs = jobs_of(boxes)
    streaming = StreamingPoser(*parts, OFFSETS)
    plain = ClipPoser(*parts)
    locked = []
    for job in jobs:
        (found,) = streaming([job])
        crop = streaming.state.crops[0]
        locked.append(tuple(crop.box))
        (expected,) = plain([(job[0], job[1], Person(crop.box, 0.5))])
        assert_same(found, expected)
        np.testing.assert_array_equal(found.pred_instances.bboxes[0], job[2].box)
    assert streaming.state.renewals == len(set(locked)) - 1
    assert 1 <= streaming.state.renewals <= 4, 'held for a while, and not for ever'
    assert streaming.state.backbone_passes < 12 * 3


def test_the_crop_is_renewed_when_the_person_grows(parts):
    streaming = StreamingPoser(*parts, OFFSETS)
    streaming(jobs_of([[40, 30, 60, 60]])[:1])
    assert not streaming._fits(streaming.state.crops[0].box, np.array([45, 38, 55, 52]))
    assert streaming._fits(streaming.state.crops[0].box, np.array([41, 31, 61, 61]))


@pytest.mark.parametrize('padding', [1.0, 1.25])
def test_a_box_fits_its_own_crop_whatever_the_padding(parts, padding):
    streaming = StreamingPoser(*parts, OFFSETS)
    streaming._padding = padding
    for box in ([20, 10, 80, 85], [0, 0, 10, 90], [5, 40, 100, 60]):
        box = np.array(box, dtype=float)
        side = box[2:] - box[:2]
        assert streaming._fits(box, box)
        assert streaming._fits(box, box + 0.04 * np.tile(side, 2))
        assert not streaming._fits(box, box + 1.5 * max(side))


def test_people_do_not_share_a_crop(parts):
    streaming = StreamingPoser(*parts, OFFSETS)
    first = jobs_of([[10, 10, 45, 80]] * 6, track=3)
    second = jobs_of([[50, 10, 85, 80]] * 6, track=4)
    for pair in zip(first, second):
        for found, expected in zip(streaming(pair), ClipPoser(*parts)(pair)):
            assert_same(found, expected)
    assert streaming.state.backbone_passes == 12


def test_memory_is_bounded_and_reset_forgets(parts):
    streaming = StreamingPoser(*parts, OFFSETS)
    for job in jobs_of([[20, 10, 70, 80]] * 20):
        streaming([job])
        assert len(streaming.state.crops[0].tokens) <= 5
    for t, job in enumerate(jobs_of([[20, 10, 70, 80]] * 8, track=1)):
        window = job[0]
        object.__setattr__(window, 'frame_ids', tuple(i + 20 for i in window.frame_ids))
        streaming([job])
        assert (0 in streaming.state.crops) == (t < 1), 'a track that is gone is forgotten'
    streaming.state.reset()
    assert not streaming.state.crops and not streaming.state.backbone_passes


def test_models_that_cannot_stream_say_so(parts):
    model, pipeline = parts
    neck = model.neck
    try:
        model.neck = None
        with pytest.raises(ValueError, match='streaming needs a model whose neck embeds'):
            StreamingPoser(model, pipeline, OFFSETS)
    finally:
        model.neck = neck
