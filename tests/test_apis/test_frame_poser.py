"""Models of mmpose that look at single frames, run as models of clips are."""

import cv2
import numpy as np
import pytest
import torch
from apis_helpers import BOXES, assert_close_poses, moving_frames
from mmengine.config import Config
from mmpose.apis import inference_topdown
from mmpose.registry import MODELS

from diffpose_mm.apis import DiffPoseInferencer

CODEC = dict(type='UDPHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=1)


def single_frame_config(**changes):
    """A top-down model in mmpose's own classes and transforms, small."""
    pipeline = [
        dict(type='LoadImage'),
        dict(type='GetBBoxCenterScale'),
        dict(type='TopdownAffine', input_size=CODEC['input_size'], use_udp=True),
        dict(type='PackPoseInputs'),
    ]
    dataset = dict(
        type='CocoDataset', data_mode='topdown', ann_file='', pipeline=pipeline, test_mode=True,
        metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
    )  # fmt: skip
    return Config(
        dict(
            default_scope='mmpose',
            data_mode='topdown',
            dataset_type='CocoDataset',
            model=dict(
                type='TopdownPoseEstimator',
                data_preprocessor=dict(
                    type='PoseDataPreprocessor', mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True
                ),
                backbone=dict(
                    type='ResNet', depth=18, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1),
                    out_indices=(2,), stem_channels=8, base_channels=8,
                ),
                head=dict(
                    type='HeatmapHead', in_channels=32, out_channels=17, deconv_out_channels=(8, 8),
                    deconv_kernel_sizes=(4, 4), loss=dict(type='KeypointMSELoss'), decoder=CODEC,
                ),
                test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False),
            ),
            train_dataloader=dict(dataset=dataset),
            test_dataloader=dict(dataset=dataset),
            test_pipeline=pipeline,
            visualizer=dict(type='PoseLocalVisualizer', name='visualizer'),
        )
        | changes
    )  # fmt: skip


@pytest.fixture(scope='module')
def inferencer(tmp_path_factory):
    from mmengine.registry import init_default_scope

    init_default_scope('mmpose')
    cfg = single_frame_config()
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=1.5 / parameter[0].numel() ** 0.5)
    weights = tmp_path_factory.mktemp('plain') / 'weights.pth'
    torch.save(dict(state_dict=model.state_dict()), weights)
    return DiffPoseInferencer(cfg, str(weights), device='cpu', det_model='whole_image')


def test_poses_are_those_of_mmpose_frame_by_frame(inferencer, video):
    """Broken if boxes, crops, the flip test or the frames themselves were others than mmpose's."""
    inferencer.model.cfg = inferencer.cfg
    frames = moving_frames(7)
    results = list(inferencer(frames, as_clip=True, bboxes=BOXES, batch_size=3))
    assert len(results) == 7
    for frame, boxes, result in zip(frames, BOXES, results):
        expected = inference_topdown(inferencer.model, frame, np.array(boxes, np.float32))
        people = result['predictions'][0]
        assert len(people) == len(expected) == 2
        for person, sample in zip(people, expected):
            assert_close_poses(person['keypoints'], sample.pred_instances.keypoints[0])
            np.testing.assert_allclose(
                person['keypoint_scores'], sample.pred_instances.keypoint_scores[0], rtol=1e-4
            )
        assert result['frames'][0]['frames_used'] == [result['frames'][0]['frame_id']]


def test_files_of_pictures_and_videos_are_read(inferencer, video, tmp_path):
    """Broken if only arrays found their way into mmpose's pipeline."""
    results = list(inferencer(video, bboxes=BOXES, out_dir=str(tmp_path)))
    assert len(results) == 7
    assert {p.name for p in (tmp_path / 'predictions').iterdir()} == {'walk.json'}
    cv2.imwrite(str(tmp_path / 'shot.png'), moving_frames(1)[0])
    (result,) = inferencer(str(tmp_path / 'shot.png'), bboxes=[BOXES[0]])
    (same,) = inferencer(moving_frames(1)[0], bboxes=[BOXES[0]])
    assert np.allclose(
        result['predictions'][0][0]['keypoints'], same['predictions'][0][0]['keypoints']
    )


def test_what_needs_clips_or_hypotheses_is_refused(inferencer, video):
    with pytest.raises(ValueError, match='streaming: this model looks at single frames'):
        inferencer(video, bboxes=BOXES, streaming=True)
    with pytest.raises(ValueError, match='num_hypotheses: a HeatmapHead has no such setting'):
        inferencer(video, bboxes=BOXES, num_hypotheses=3)
    with pytest.raises(ValueError, match='frame_offsets=.* do not fit'):
        inferencer(video, bboxes=BOXES, frame_offsets=(-1, 0, 1))


def test_models_that_are_not_top_down_are_refused():
    with pytest.raises(ValueError, match='not a top-down model'):
        DiffPoseInferencer(
            single_frame_config(data_mode='bottomup'), device='cpu', det_model='whole_image'
        )
