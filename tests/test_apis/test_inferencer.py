"""DiffPoseInferencer: what MMPoseInferencer does, and what it does not."""

import cv2
import numpy as np
import pytest
from apis_helpers import (
    BOXES,
    all_points,
    assert_close_poses,
    moving_frames,
    read_json,
    read_video,
    write_tiny,
)
from mmpose.apis import MMPoseInferencer

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm.engine.checkpoint import CheckpointError


def test_it_gives_and_writes_what_mmpose_does(inferencer, tiny_model, video, tmp_path):
    theirs = MMPoseInferencer(*tiny_model, device='cpu', det_model='whole_image')
    picture = str(tmp_path / 'still.png')
    cv2.imwrite(picture, moving_frames(1)[0])
    for inputs in (video, picture, moving_frames(2)):
        ours = list(inferencer(inputs, out_dir=str(tmp_path / 'ours')))
        expected = list(theirs(inputs, out_dir=str(tmp_path / 'theirs')))
        assert len(ours) == len(expected)
        for mine, other in zip(ours, expected):
            for person, same in zip(mine['predictions'][0], other['predictions'][0]):
                assert set(same) <= set(person)
                np.testing.assert_allclose(person['keypoints'], same['keypoints'], atol=1e-3)
                assert person['bbox'] == same['bbox']
    for folder in ('visualizations', 'predictions'):
        names = [
            sorted(p.name for p in (tmp_path / whose / folder).iterdir())
            for whose in ('ours', 'theirs')
        ]
        assert names[0] == names[1]
    mine, other = (
        read_json(tmp_path / whose / 'predictions' / 'walk.json') for whose in ('ours', 'theirs')
    )
    assert [f['frame_id'] for f in mine] == [f['frame_id'] for f in other] == list(range(7))
    np.testing.assert_allclose(
        mine[3]['instances'][0]['keypoints'], other[3]['instances'][0]['keypoints'], atol=1e-3
    )
    assert len(read_video(tmp_path / 'ours' / 'visualizations' / 'walk.avi')) == 7


def test_datasamples_and_pictures_on_request(inferencer, video):
    result = next(
        inferencer(video, return_datasamples=True, return_vis=True, draw_bbox=True, bboxes=BOXES)
    )
    (sample,) = result['predictions']
    assert sample.pred_instances.keypoints.shape == (2, 17, 2)
    assert result['visualization'][0].shape == (90, 120, 3)
    apart = next(inferencer(video, return_datasamples=True, merge_results=False, bboxes=BOXES))
    assert [len(s.pred_instances) for s in apart['predictions']] == [1, 1]


def test_heatmaps_are_drawn_on_request(inferencer, video):
    result = next(inferencer(video, draw_heatmap=True, return_vis=True))
    assert result['visualization'][0].shape == (180, 120, 3)


def test_causal_sees_no_later_frame(inferencer, video):
    clip = read_video(video)
    whole = all_points(inferencer(video, mode='causal'))
    for end in (1, 4):
        part = all_points(inferencer(iter(clip[:end]), mode='causal'))
        np.testing.assert_allclose(part[-1], whole[end - 1], atol=1e-3)
    result = list(inferencer(video, mode='causal'))[5]
    assert result['frames'][0]['frames_used'] == [3, 4, 5, 5, 5]
    assert result['frames'][0]['mode'] == 'causal'


def test_other_offsets_are_used_and_told(inferencer, video):
    result = list(inferencer(video, frame_offsets=(-4, -2, 0, 1, 2)))[4]
    assert result['frames'][0]['frames_used'] == [0, 2, 4, 5, 6]
    with pytest.raises(ValueError, match=r'frame_offsets=\(-1, 0, 1\) do not fit the model'):
        next(inferencer(video, frame_offsets=(-1, 0, 1)))


def test_hypotheses_spread_and_steps(inferencer, video):
    before = dict(inferencer.model.test_cfg)
    plain = next(inferencer(video))['predictions'][0][0]
    assert 'keypoint_std' not in plain
    run = inferencer(
        video, num_hypotheses=3, sampling_steps=2, return_hypotheses=True, return_vis=True
    )
    person = next(run)['predictions'][0][0]
    run.close()
    assert np.array(person['hypotheses']).shape == (3, 17, 2)
    np.testing.assert_allclose(
        np.array(person['hypotheses']).std(0), person['keypoint_std'], atol=1e-2
    )
    assert dict(inferencer.model.test_cfg) == before, 'changed for one call only'
    with pytest.raises(ValueError, match='num_hypotheses must be an integer of at least 1'):
        next(inferencer(video, num_hypotheses=0))
    with pytest.raises(ValueError, match='sampling_steps must be an integer from 1 to 1000'):
        next(inferencer(video, sampling_steps=1001))


def test_streaming_is_close_to_the_plain_path_at_a_fraction_of_the_passes(inferencer, video):
    fixed = [[[20, 10, 80, 85]]] * 7
    plain = all_points(inferencer(video, bboxes=fixed))
    run = inferencer(video, bboxes=fixed, streaming=True)
    assert_close_poses(plain, all_points(run))
    assert run.state.backbone_passes == run.state.person_frames == 7


def test_a_single_frame_heatmap_model_works_too(tmp_path, video):
    model = write_tiny(tmp_path, 'heatmap_synthetic.py')
    inferencer = DiffPoseInferencer(*model, device='cpu', det_model='whole_image')
    results = list(inferencer(video, out_dir=str(tmp_path / 'out')))
    assert results[4]['frames'][0]['frames_used'] == [4]
    with pytest.raises(ValueError, match='num_hypotheses: a .*HeatmapHead has no such setting'):
        next(inferencer(video, num_hypotheses=2))


def test_a_checkpoint_of_another_model_is_refused_with_the_differences(
    tiny_model, tmp_path, capsys
):
    other = write_tiny(tmp_path, 'strl_synthetic.py')
    with pytest.raises(CheckpointError, match='only in the model.*head.pose_decoder') as error:
        DiffPoseInferencer(tiny_model[0], other[1], device='cpu')
    assert 'only in the checkpoint' in str(error.value)
    assert 'missing keys' not in ''.join(capsys.readouterr()), 'not all of them, and once'


@pytest.mark.parametrize('kwargs', [dict(), dict(mode='causal', streaming=True)])
def test_consensus_is_one_of_the_hypotheses(inferencer, video, monkeypatch, kwargs):
    """Broken if test_cfg.aggregate does not reach the head on every way to a pose."""
    monkeypatch.setitem(inferencer.model.test_cfg, 'aggregate', 'consensus')
    for result in inferencer(
        video, bboxes=BOXES, num_hypotheses=3, sampling_steps=2, return_hypotheses=True, **kwargs
    ):
        for person in result['predictions'][0]:
            off = np.abs(np.array(person['hypotheses']) - np.array(person['keypoints']))
            assert off.max((1, 2)).min() < 1e-3 < off.max()


@pytest.mark.parametrize('kwargs', [dict(batch_size=0), dict(mode='live'), dict(resume=True)])
def test_arguments_out_of_range_are_named(inferencer, video, kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        next(inferencer(video, **kwargs))
    with pytest.raises(TypeError, match='batchsize'):
        inferencer(video, batchsize=2)
