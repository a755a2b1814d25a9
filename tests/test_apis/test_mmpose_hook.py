"""mmpose's unmodified inferencer with clips, and with everything else as it was."""

import importlib
import os
import subprocess
import sys
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest
import torch
from apis_helpers import moving_frames, read_video
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.structures import InstanceData
from mmpose.apis import MMPoseInferencer, Pose2DInferencer
from mmpose.apis.inferencers.base_mmpose_inferencer import BaseMMPoseInferencer
from mmpose.utils import register_all_modules

import diffpose_mm.apis.mmpose_hook as hook
from diffpose_mm.apis import DiffPoseInferencer

T = 5


@pytest.fixture(scope='module')
def inferencer(tiny_model):
    config, weights = tiny_model
    return MMPoseInferencer(
        pose2d=config, pose2d_weights=weights, device='cpu', det_model='whole_image'
    )


def by_hand(inferencer, clip, name):
    """Keypoints of the whole image in the middle of a clip, without any inferencer's loop."""
    height, width = clip[0].shape[:2]
    sample = dict(
        img=list(clip),
        img_path=name,
        bbox=np.array([[0, 0, width, height]], dtype=np.float32),
        bbox_score=np.ones(1, dtype=np.float32),
        **inferencer.inferencer.model.dataset_meta,
    )
    pipeline = Compose(inferencer.inferencer.cfg.test_dataloader.dataset.pipeline)
    (out,) = inferencer.inferencer.model.test_step(pseudo_collate([pipeline(sample)]))
    return out.pred_instances.keypoints[0]


def test_video_frames_are_posed_with_a_symmetric_window(inferencer, video):
    frames = read_video(video)
    results = list(inferencer(video))
    assert len(results) == len(frames) == 7
    for t, result in enumerate(results):
        clip = [frames[min(max(t + o, 0), 6)] for o in range(-2, 3)]
        expected = by_hand(inferencer, clip, f'{t}.jpg'.rjust(10, '0'))
        np.testing.assert_allclose(result['predictions'][0][0]['keypoints'], expected, atol=1e-4)
    alone = by_hand(inferencer, [frames[3]] * T, '3.jpg'.rjust(10, '0'))
    with_neighbours = np.array(results[3]['predictions'][0][0]['keypoints'])
    assert np.abs(alone - with_neighbours).max() > 0.1, 'the neighbours must matter in this test'


def test_the_second_run_over_a_video_gives_the_same(inferencer, video):
    first, second = (
        [r['predictions'][0][0]['keypoints'] for r in inferencer(video)] for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_pictures_are_posed_as_clips_of_themselves(inferencer, video, tmp_path):
    frame = read_video(video)[2]
    path = str(tmp_path / 'still.png')
    cv2.imwrite(path, frame)
    # The noise of a sample hangs on its name, so each is compared under its own.
    (from_array,) = inferencer(frame)
    (from_path,) = inferencer(path)
    for result, name in ((from_array, '0.jpg'.rjust(10, '0')), (from_path, path)):
        got = result['predictions'][0][0]['keypoints']
        np.testing.assert_allclose(got, by_hand(inferencer, [frame] * T, name), atol=1e-4)


def test_pictures_in_a_list_do_not_see_each_other(inferencer, video):
    frames = read_video(video)
    together = list(inferencer([frames[0], frames[6]]))
    expected = by_hand(inferencer, [frames[6]] * T, '1.jpg'.rjust(10, '0'))
    np.testing.assert_allclose(together[1]['predictions'][0][0]['keypoints'], expected, atol=1e-4)


def test_an_abandoned_video_leaves_nothing_behind(inferencer, video):
    frame = read_video(video)[5]
    running = inferencer(video)
    next(running)
    running.close()
    (result,) = inferencer(frame)
    expected = by_hand(inferencer, [frame] * T, '0.jpg'.rjust(10, '0'))
    np.testing.assert_allclose(result['predictions'][0][0]['keypoints'], expected, atol=1e-4)


def test_video_and_predictions_are_written_as_mmpose_writes_them(inferencer, video, tmp_path):
    assert len(list(inferencer(video, out_dir=str(tmp_path)))) == 7
    assert len(read_video(tmp_path / 'visualizations' / 'walk.avi')) == 7
    assert (tmp_path / 'predictions' / 'walk.json').is_file()


class Detector:
    """As mmdet's: finds a chair, and from the third frame on a person."""

    def __init__(self):
        self.frame = 0

    def __call__(self, inputs, return_datasamples):
        count = 2 if self.frame >= 2 else 1
        self.frame += 1
        instances = InstanceData(
            bboxes=torch.tensor([[60.0, 60, 80, 80], [20, 10, 60, 80]])[:count],
            scores=torch.tensor([0.9, 0.8])[:count],
            labels=torch.tensor([56, 0])[:count],
        )
        return dict(predictions=[type('Out', (), dict(pred_instances=instances))])


def test_a_frame_without_people_has_no_people(tiny_model, video, tmp_path):
    """Broken if the whole image is posed as mmpose does it, or label 0 has to be asked for."""
    inferencer = MMPoseInferencer(
        pose2d=tiny_model[0], pose2d_weights=tiny_model[1], device='cpu', det_model='whole_image'
    )
    detector = inferencer.inferencer.detector = Detector()
    inferencer.inferencer.det_cat_ids = (None,)  # what mmpose makes of no det_cat_ids
    drawn = dict(draw_bbox=True, draw_heatmap=True, out_dir=str(tmp_path))
    results = list(inferencer(video, **drawn))
    assert [len(r['predictions'][0]) for r in results] == [0, 0, 1, 1, 1, 1, 1]
    assert results[3]['predictions'][0][0]['bbox'] == ([20, 10, 60, 80],)
    assert len(read_video(tmp_path / 'visualizations' / 'walk.avi')) == 7

    path = str(tmp_path / 'still.png')
    cv2.imwrite(path, read_video(video)[2])
    for inputs in (path, read_video(video)[2]):
        detector.frame = 0
        (result,) = inferencer(inputs)
        assert result['predictions'] == [[]]
        detector.frame = 2
        (result,) = inferencer(inputs)
        assert len(result['predictions'][0]) == 1


def test_the_whole_image_on_request_is_a_person(inferencer, video):
    results = list(inferencer(video))
    assert [len(r['predictions'][0]) for r in results] == [1] * 7


def test_every_other_model_is_left_alone(video, monkeypatch):
    """A single-frame model of mmpose gives the same with and without the hook."""
    register_all_modules()
    config = dict(
        default_scope='mmpose',
        data_mode='topdown',
        dataset_type='CocoDataset',
        model=dict(
            type='TopdownPoseEstimator',
            data_preprocessor=dict(type='PoseDataPreprocessor', bgr_to_rgb=True),
            backbone=dict(
                type='ResNet', depth=18, stem_channels=8, base_channels=8, out_indices=(3,)
            ),
            head=dict(
                type='HeatmapHead',
                in_channels=64,
                out_channels=17,
                deconv_out_channels=(8,),
                deconv_kernel_sizes=(4,),
                loss=dict(type='KeypointMSELoss'),
                decoder=dict(
                    type='MSRAHeatmap', input_size=(96, 128), heatmap_size=(6, 8), sigma=1
                ),
            ),
            test_cfg=dict(),
        ),
        visualizer=dict(type='PoseLocalVisualizer', name='visualizer'),
        train_dataloader=dict(dataset=dict(type='CocoDataset')),
        test_dataloader=dict(
            dataset=dict(
                type='CocoDataset',
                pipeline=[
                    dict(type='LoadImage'),
                    dict(type='GetBBoxCenterScale'),
                    dict(type='TopdownAffine', input_size=(96, 128)),
                    dict(type='PackPoseInputs'),
                ],
            )
        ),
    )
    inferencer = MMPoseInferencer(pose2d=Config(config), device='cpu', det_model='whole_image')
    pipeline = inferencer.inferencer.pipeline
    inferencer.inferencer.det_cat_ids = (0,)

    def results():
        alone = list(inferencer(video))
        inferencer.inferencer.detector = Detector()
        detected = list(inferencer(video))
        inferencer.inferencer.detector = None
        return [*alone, *detected]

    hooked = results()
    assert inferencer.inferencer.pipeline is pipeline
    for owner, name in ((BaseMMPoseInferencer, 'preprocess'), (Pose2DInferencer, 'forward')):
        monkeypatch.setattr(owner, name, getattr(getattr(owner, name), hook._MARK))
    plain = results()
    assert [len(r['predictions'][0]) for r in plain] == [1] * 14, 'mmpose poses the whole image'
    assert hooked == plain


def test_names_of_this_package_are_known_and_others_go_to_mmpose():
    base = BaseMMPoseInferencer.__new__(BaseMMPoseInferencer)
    base.scope = 'mmpose'
    cfg, weights = base._load_model_from_metafile('DiffPose')
    assert cfg.filename.endswith('diffpose_posetrack18.py') and weights is None
    cfg, _ = base._load_model_from_metafile('strl_synthetic')
    assert cfg.filename.endswith('strl_synthetic.py')
    cfg, weights = base._load_model_from_metafile('td-hm_vipnas-mbv3_8xb64-210e_coco-256x192')
    assert 'vipnas' in cfg.filename and 'https://' in weights
    with pytest.raises(ValueError, match='Cannot find model: nothing in mmpose'):
        base._load_model_from_metafile('nothing')


def test_installing_again_does_not_wrap_again():
    wrapped = BaseMMPoseInferencer.preprocess, Pose2DInferencer.forward
    importlib.reload(hook).install_hook()
    assert (BaseMMPoseInferencer.preprocess, Pose2DInferencer.forward) == wrapped
    assert not any(hasattr(getattr(method, hook._MARK), hook._MARK) for method in wrapped)


def test_another_project_needs_nothing_but_mmpose(tiny_model, video, tmp_path):
    """A script elsewhere, which does not even name the package, gets windowed results."""
    config, weights = tiny_model
    script = tmp_path / 'script.py'
    script.write_text(
        'import sys\n'
        'from mmpose.apis import MMPoseInferencer\n'
        'config, weights, video = sys.argv[1:]\n'
        "inferencer = MMPoseInferencer(pose2d=config, pose2d_weights=weights, device='cpu',\n"
        "                              det_model='whole_image')\n"
        "results = list(inferencer(video, pred_out_dir='out'))\n"
        "print(len(results), results[3]['predictions'][0][0]['keypoints'][0])\n"
    )
    done = subprocess.run(
        [sys.executable, str(script), config, weights, video],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=dict(os.environ, OMP_NUM_THREADS='1'),
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith('7 ['), done.stdout
    assert (tmp_path / 'out' / 'walk.json').is_file()


def test_a_phones_video_is_upright_and_damage_keeps_numbers(tiny_model, tmp_path):
    """Broken if mmpose's own inferencer sees our clips lying on their side, or frames move up."""
    matrix = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    path = str(tmp_path / '2026-05-01T10:15:00.mp4')
    with av.open(f'file:{path}', 'w') as container:
        stream = container.add_stream('libx264', rate=120, options=dict(g='1', bf='0'))
        stream.width, stream.height, stream.pix_fmt = 120, 90, 'yuv420p'
        stream.codec_context.time_base = Fraction(1, 120)
        stream.set_display_matrix(matrix)
        for t, image in enumerate(moving_frames(8)):
            frame = av.VideoFrame.from_ndarray(image, format='bgr24')
            frame.pts = t
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(f'file:{path}') as container:
        places = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    data = bytearray(open(path, 'rb').read())
    position, size = places[3]
    data[position : position + size] = bytes(size)
    with open(path, 'wb') as file:
        file.write(data)
    theirs = MMPoseInferencer(*tiny_model, device='cpu', det_model='whole_image')
    ours = DiffPoseInferencer(*tiny_model, device='cpu', det_model='whole_image')
    found = list(theirs(path, out_dir=str(tmp_path / 'theirs')))
    expected = list(ours(path))
    assert len(found) == len(expected) == 8
    for t, (one, two) in enumerate(zip(found, expected)):
        assert len(one['predictions'][0]) == len(two['predictions'][0]) == (t != 3)
        if t != 3:
            assert one['predictions'][0][0]['bbox'] == ([0.0, 0.0, 90.0, 120.0],)
            np.testing.assert_allclose(
                one['predictions'][0][0]['keypoints'],
                two['predictions'][0][0]['keypoints'],
                atol=1e-3,
            )
    (written,) = (tmp_path / 'theirs' / 'visualizations').iterdir()
    assert read_video(written)[0].shape == (120, 90, 3)
