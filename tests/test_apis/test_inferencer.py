"""DiffPoseInferencer: what MMPoseInferencer does, and what it does not."""

import json
import os
import os.path as osp
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import cv2
import numpy as np
import pytest
import torch
from apis_helpers import assert_close_poses, moving_frames, read_video, write_tiny, write_video
from mmengine.config import Config
from mmengine.structures import InstanceData
from mmengine.utils import get_installed_path
from mmpose.apis import MMPoseInferencer

from diffpose_mm.apis import DiffPoseInferencer, frames, results
from diffpose_mm.apis import inferencer as inference
from diffpose_mm.apis.people import PersonDetector
from diffpose_mm.engine.checkpoint import CheckpointError

BOXES = [[[10 + 4 * t, 10, 45 + 4 * t, 80], [60, 5, 100, 85]] for t in range(7)]


@pytest.fixture(scope='module')
def inferencer(tiny_model):
    return DiffPoseInferencer(*tiny_model, device='cpu', det_model='whole_image')


def points(result):
    return np.array([person['keypoints'] for person in result['predictions'][0]])


def all_points(results):
    return [points(result) for result in results]


def read_json(path):
    with open(path) as file:
        return json.load(file)


# like MMPoseInferencer


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


def test_people_given_one_by_one_are_all_in_the_file_of_their_picture(inferencer, tmp_path):
    """Broken if each person overwrites the one before."""
    for merge in (True, False):
        list(
            inferencer(
                moving_frames(2),
                bboxes=[BOXES[0], []],
                merge_results=merge,
                pred_out_dir=str(tmp_path),
            )  # fmt: skip
        )
        for name, boxes in (('000000.json', BOXES[0]), ('000001.json', [])):
            people = read_json(tmp_path / name)
            assert [person['bbox'][0] for person in people] == boxes


def test_heatmaps_are_drawn_on_request(inferencer, video):
    result = next(inferencer(video, draw_heatmap=True, return_vis=True))
    assert result['visualization'][0].shape == (180, 120, 3)


# boxes, batches, tracks


def test_boxes_are_honoured_and_batches_change_nothing(inferencer, video):
    single = list(inferencer(video, bboxes=BOXES))
    batched = list(inferencer(video, bboxes=BOXES, batch_size=5))
    for t, (one, many) in enumerate(zip(single, batched)):
        assert [person['bbox'][0] for person in one['predictions'][0]] == BOXES[t]
        assert_close_poses(points(one), points(many))
    assert all(r['frames'][0]['frame_id'] == t for t, r in enumerate(batched))


def test_the_model_sees_batches_of_people_times_frames(inferencer, video, monkeypatch):
    sizes = []
    step = inferencer.model.test_step
    monkeypatch.setattr(
        inferencer.model, 'test_step', lambda d: (sizes.append(len(d['inputs'])), step(d))[1]
    )
    list(inferencer(video, bboxes=BOXES, batch_size=4))
    assert sum(sizes) == 14 and max(sizes) == 4


def test_tracks_follow_people_and_given_numbers_are_kept(inferencer, video):
    swapped = [boxes if t % 2 else boxes[::-1] for t, boxes in enumerate(BOXES)]
    for oks in (False, True):
        results = list(
            inferencer(video, bboxes=swapped, use_oks_tracking=oks, tracking_thr=-1 if oks else 0.3)
        )
        numbers = [[p['track_id'] for p in r['predictions'][0]] for r in results]
        assert all(sorted(n) == [0, 1] for n in numbers)
        if not oks:
            assert numbers == [[0, 1] if t % 2 == 0 else [1, 0] for t in range(7)]
    given = [dict(bboxes=boxes, track_ids=[7, 9]) for boxes in BOXES]
    results = list(inferencer(video, bboxes=given))
    assert all([p['track_id'] for p in r['predictions'][0]] == [7, 9] for r in results)


def test_frames_without_people_have_no_people(inferencer, video, tmp_path):
    boxes = {2: BOXES[2], 3: BOXES[3]}
    results = list(inferencer(video, bboxes=boxes, out_dir=str(tmp_path), draw_bbox=True))
    assert [len(r['predictions'][0]) for r in results] == [0, 0, 2, 2, 0, 0, 0]
    assert len(read_video(tmp_path / 'visualizations' / 'walk.avi')) == 7
    (sample,) = next(inferencer(video, bboxes=boxes, return_datasamples=True))['predictions']
    assert sample.pred_instances.keypoints.shape == (0, 17, 2)


class StubDetector:
    """Finds a cat, and a person twice, from frame 2 on."""

    def __init__(self):
        self.sizes, self.seen = [], 0

    def __call__(self, frames, batch_size, return_datasamples):
        self.sizes.append(len(frames))
        outputs = []
        for _ in frames:
            count = 3 if self.seen >= 2 else 0
            x = 10.0 + 4 * self.seen
            boxes = torch.tensor([[x, 10, x + 35, 80], [x + 1, 10, x + 35, 80], [60, 60, 80, 80]])[
                :count
            ]
            instances = InstanceData(
                bboxes=boxes,
                scores=torch.tensor([0.8, 0.9, 0.9])[:count],
                labels=torch.tensor([0, 0, 15])[:count],
            )
            outputs.append(type('Out', (), dict(pred_instances=instances)))
            self.seen += 1
        return dict(predictions=outputs)


def test_the_detector_sees_batches_and_its_labels_and_duplicates_are_sorted_out(
    inferencer, video, monkeypatch
):
    detector = PersonDetector('any')
    detector._inferencer = StubDetector()
    monkeypatch.setattr(inferencer, 'detector', detector)
    before = threading.active_count()
    results = list(inferencer(video, batch_size=4))
    assert detector._inferencer.sizes == [4, 3]
    assert threading.active_count() == before, 'detection runs beside the poses, and ends with them'
    assert [len(r['predictions'][0]) for r in results] == [0, 0, 1, 1, 1, 1, 1]
    people = [r['predictions'][0][0] for r in results[2:]]
    assert {p['track_id'] for p in people} == {0}
    np.testing.assert_allclose([p['bbox_score'] for p in people], 0.9, atol=1e-6)


def test_a_video_left_in_the_middle_ends_its_threads(inferencer, video, monkeypatch):
    detector = PersonDetector('any')
    detector._inferencer = StubDetector()
    monkeypatch.setattr(inferencer, 'detector', detector)
    before = threading.active_count()
    run = inferencer(video)
    next(run)
    assert threading.active_count() > before
    run.close()
    assert threading.active_count() == before


def test_a_detector_of_mmdet_is_built_from_its_config_or_checkpoint(tiny_model, tmp_path):
    """RTMDet cut down, random weights: the plumbing from frames to boxes."""
    config = Config.fromfile(
        osp.join(get_installed_path('mmdet'), '.mim/configs/rtmdet/rtmdet_tiny_8xb32-300e_coco.py')
    )
    config.model.backbone.update(widen_factor=0.125, deepen_factor=0.167, init_cfg=None)
    config.model.neck.update(in_channels=[32, 64, 128], out_channels=16)
    config.model.bbox_head.update(in_channels=16, feat_channels=16)
    inferencer = DiffPoseInferencer(
        *tiny_model, device='cpu', det_model=config, det_cat_ids=list(range(80))
    )
    detector = inferencer.detector
    detector._inferencer = detector._build()
    for layer in detector._inferencer.model.bbox_head.rtm_reg:
        layer.bias.data.fill_(2)  # else most boxes would be inside out
    results = list(inferencer(moving_frames(3), batch_size=3, bbox_thr=0.9999))
    assert [r['predictions'] for r in results] == [[[]]] * 3
    results = list(inferencer(moving_frames(2), batch_size=2, bbox_thr=0.0))
    assert all(len(r['predictions'][0]) > 0 for r in results)

    # A checkpoint of mmdet holds its config.
    path, weights = str(tmp_path / 'det.pth'), detector._inferencer.model.state_dict()
    torch.save(dict(state_dict=weights, meta=dict(cfg=config.pretty_text)), path)
    again = PersonDetector(None, path, list(range(80)), 'cpu')._build().model.state_dict()
    assert again.keys() == weights.keys()
    assert all(torch.equal(again[key], weights[key]) for key in weights)


def test_given_boxes_need_no_detector(tiny_model, video):
    inferencer = DiffPoseInferencer(*tiny_model, device='cpu')
    assert len(next(inferencer(video, bboxes=BOXES))['predictions'][0]) == 2


def test_a_detector_that_cannot_be_built_is_named_with_what_else_to_do(tiny_model, video):
    inferencer = DiffPoseInferencer(*tiny_model, device='cpu', det_model='no-such-detector')
    with pytest.raises(ValueError, match="det_model='no-such-detector'.*bboxes=.*whole_image"):
        next(inferencer(video))


# windows, steps, hypotheses


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
    assert np.array(plain['keypoint_std']).max() == 0
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
    cached = all_points(inferencer(video, bboxes=fixed, streaming=True))
    assert_close_poses(plain, cached)
    assert inferencer.state.backbone_passes == inferencer.state.person_frames == 7


def test_a_single_frame_heatmap_model_works_too(tmp_path, video):
    model = write_tiny(tmp_path, 'heatmap_synthetic.py')
    inferencer = DiffPoseInferencer(*model, device='cpu', det_model='whole_image')
    results = list(inferencer(video, out_dir=str(tmp_path / 'out')))
    assert results[4]['frames'][0]['frames_used'] == [4]
    with pytest.raises(ValueError, match='num_hypotheses: a .*HeatmapHead has no such setting'):
        next(inferencer(video, num_hypotheses=2))


# inputs


def test_a_folder_is_pictures_or_a_clip(inferencer, tmp_path):
    images = moving_frames(4)
    for t, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f'{8 + t}.png'), image)
    (tmp_path / 'notes.txt').write_text('not an image')
    apart = list(inferencer(str(tmp_path)))
    assert [r['frames'][0]['frames_used'] for r in apart] == [[t] * 5 for t in range(4)]
    assert 'track_id' not in apart[0]['predictions'][0][0]
    clip = list(inferencer(tmp_path, as_clip=True))
    assert clip[1]['frames'][0]['frames_used'] == [0, 0, 1, 2, 3], '10.png comes after 9.png'
    assert clip[1]['predictions'][0][0]['track_id'] == 0


def test_iterators_are_clips_and_are_not_read_ahead_when_causal(inferencer):
    read = []

    def camera():
        for t, frame in enumerate(moving_frames(5)):
            read.append(t)
            yield frame

    for t, _ in enumerate(inferencer(camera(), mode='causal')):
        assert read[-1] == t


def test_a_webcam_is_causal_and_says_so(inferencer, video, monkeypatch, tmp_path):
    capture = cv2.VideoCapture
    monkeypatch.setattr(
        frames.cv2, 'VideoCapture', lambda s: capture(video if isinstance(s, int) else s)
    )
    for inputs in ('webcam', 'webcam:1', 0):
        results = list(inferencer(inputs, out_dir=str(tmp_path / str(inputs)[-1]), batch_size=8))
        assert len(results) == 7
        assert results[3]['frames'][0] == dict(
            img_path='3.jpg'.rjust(10, '0'),
            frame_id=3,
            frames_used=[1, 2, 3, 3, 3],
            replicated=[False, False, False, True, True],
            mode='causal',
        )
    assert (tmp_path / 'm' / 'visualizations' / 'webcam.mp4').is_file()
    run = inferencer('webcam', pred_out_dir=str(tmp_path))
    for _ in range(3):
        next(run)
    run.close()
    assert len(read_json(tmp_path / 'webcam.json')) == 3, 'a camera ends when the user ends it'


# bad input: everything before it is kept


def test_names_that_are_not_there(inferencer, tiny_model):
    with pytest.raises(FileNotFoundError, match='input nowhere.mp4 does not exist'):
        next(inferencer('nowhere.mp4'))
    with pytest.raises(FileNotFoundError, match='nowhere.py does not exist.*diffpose_posetr'):
        DiffPoseInferencer('nowhere.py')
    with pytest.raises(CheckpointError, match=r'nowhere.pth does not exist'):
        DiffPoseInferencer(tiny_model[0], 'nowhere.pth')
    with pytest.raises(OSError, match='webcam 77 cannot be opened'):
        next(inferencer('webcam:77'))


def test_a_checkpoint_of_another_model_is_refused_with_the_differences(
    tiny_model, tmp_path, capsys
):
    other = write_tiny(tmp_path, 'strl_synthetic.py')
    with pytest.raises(CheckpointError, match='only in the model.*head.pose_decoder') as error:
        DiffPoseInferencer(tiny_model[0], other[1], device='cpu')
    assert 'only in the checkpoint' in str(error.value)
    assert 'missing keys' not in ''.join(capsys.readouterr()), 'not all of them, and once'


def test_a_config_of_no_clips_is_refused(tiny_model):
    cfg = Config.fromfile(tiny_model[0])
    pipeline = cfg.test_dataloader.dataset.pipeline
    pipeline[0] = dict(type='LoadImage')
    with pytest.raises(ValueError, match='not a top-down model of clips'):
        DiffPoseInferencer(cfg, device='cpu', det_model='whole_image')


def test_files_of_another_kind(inferencer, tmp_path):
    text = tmp_path / 'text.mp4'
    text.write_text('this is no video\n' * 50)
    with pytest.raises(ValueError, match=r'text.mp4 \(850 bytes\) is not an image or video'):
        next(inferencer(str(text)))
    picture = tmp_path / 'text.jpg'
    picture.write_text('this is no picture')
    with pytest.raises(ValueError, match='text.jpg is not an image that can be decoded'):
        next(inferencer(str(picture)))
    with pytest.raises(ValueError, match='holds no images'):
        (tmp_path / 'empty').mkdir()
        next(inferencer(str(tmp_path / 'empty')))
    with pytest.raises(ValueError, match='empty list'):
        next(inferencer([]))
    with pytest.raises(TypeError, match='inputs of type float'):
        next(inferencer(3.5))


def test_a_broken_picture_in_a_folder_is_left_out_and_in_a_list_named(inferencer, tmp_path):
    for t, image in enumerate(moving_frames(3)):
        cv2.imwrite(str(tmp_path / f'{t}.jpg'), image)
    whole = (tmp_path / '1.jpg').read_bytes()
    (tmp_path / '1.jpg').write_bytes(whole[: len(whole) // 2])
    assert len(list(inferencer(str(tmp_path)))) == 2
    run = inferencer([str(tmp_path / f'{t}.jpg') for t in range(3)], out_dir=str(tmp_path / 'out'))
    next(run)
    with pytest.raises(ValueError, match='1.jpg is a truncated JPEG'):
        next(run)
    assert (tmp_path / 'out' / 'predictions' / '0.json').is_file()


def index_first(data):
    """An mp4 with its index in front of the frames, as for streaming; so it may break off."""
    atoms, at = {}, 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], 'big')
        atoms[data[at + 4 : at + 8]] = data[at : at + size]
        at += size
    index = bytearray(atoms.pop(b'moov'))
    table = index.index(b'stco') + 8
    for entry in range(int.from_bytes(index[table : table + 4], 'big')):
        place = table + 4 + 4 * entry
        offset = int.from_bytes(index[place : place + 4], 'big') + len(index)
        index[place : place + 4] = offset.to_bytes(4, 'big')
    return atoms.pop(b'ftyp') + bytes(index) + b''.join(atoms.values())


@pytest.mark.parametrize('name', ['long.avi', 'long.mp4'])
def test_a_truncated_video_gives_what_is_readable(inferencer, tmp_path, monkeypatch, name):
    """Broken if a download that broke off is refused, or nobody is told where it ends."""
    noise = np.random.default_rng(0).integers(0, 255, (20, 48, 64, 3), dtype=np.uint8)
    path = write_video(tmp_path / name, noise)
    data = open(path, 'rb').read()
    with open(path, 'wb') as file:
        file.write((index_first(data) if name.endswith('mp4') else data)[: len(data) // 2])
    said = []
    monkeypatch.setattr(frames, 'print_log', lambda text, **_: said.append(text))
    results = list(inferencer(path, out_dir=str(tmp_path)))
    assert 5 <= len(results) <= 12
    assert len(read_json(tmp_path / 'predictions' / 'long.json')) == len(results)
    announced = cv2.VideoCapture(path).get(cv2.CAP_PROP_FRAME_COUNT)
    if name.endswith('mp4'):
        assert announced == 20
    if announced > 12:
        assert any(f'ends after {len(results)} of the {announced:.0f} frames' in s for s in said)


def test_an_mp4_without_its_index_is_said_to_be_cut_short(inferencer, tmp_path):
    path = write_video(tmp_path / 'long.mp4', moving_frames(20))
    data = open(path, 'rb').read()
    with open(path, 'wb') as file:
        file.write(data[: len(data) // 2])
    with pytest.raises(ValueError, match='long.mp4 .* cut short .*mp4 without the index'):
        next(inferencer(path))


def test_a_video_that_ends_early_is_told(inferencer, video, monkeypatch):
    said = []
    monkeypatch.setattr(frames, 'print_log', lambda text, **_: said.append(text))

    class Announces20:
        def __init__(self, path):
            self.real = cv2.VideoCapture(path)

        def __getattr__(self, name):
            return getattr(self.real, name)

        def get(self, what):
            return 20 if what == cv2.CAP_PROP_FRAME_COUNT else self.real.get(what)

    real = frames._capture
    monkeypatch.setattr(frames, '_capture', lambda path: (real(path), Announces20(path))[1])
    assert len(list(inferencer(video))) == 7
    assert 'ends after 7 of the 20 frames' in said[0]


def test_a_video_of_one_frame_is_a_still(inferencer, tmp_path):
    path = write_video(tmp_path / 'one.avi', moving_frames(1))
    (result,) = inferencer(path, out_dir=str(tmp_path))
    assert result['frames'][0]['frames_used'] == [0] * 5
    assert len(read_json(tmp_path / 'predictions' / 'one.json')) == 1


def test_a_change_of_size_splits_the_windows_and_not_the_files(inferencer, tmp_path):
    small, large = moving_frames(4), moving_frames(3, width=160, height=100)
    results = list(inferencer([*small, *large], as_clip=True, out_dir=str(tmp_path)))
    assert results[3]['frames'][0]['frames_used'] == [1, 2, 3, 3, 3]
    assert results[4]['frames'][0]['frames_used'] == [4, 4, 4, 5, 6]
    assert len(read_video(tmp_path / 'visualizations' / 'frames.mp4')) == 7
    streamed = list(inferencer([*small, *large], as_clip=True, streaming=True))
    assert_close_poses(points(streamed[5]), points(results[5]))


@pytest.mark.parametrize(
    'change',
    [
        lambda x: np.dstack([x, np.full(x.shape[:2], 255, np.uint8)]),
        lambda x: x.astype(np.float32) / 255,
        lambda x: x.astype(np.float64),
        lambda x: x.astype(np.uint16) * 257,
        lambda x: x[:, ::-1][:, ::-1],
    ],
    ids=['alpha', 'unit floats', 'floats', '16 bit', 'strided'],
)
def test_other_arrays_of_the_same_picture_give_the_same(inferencer, change):
    frame = moving_frames(1)[0]
    np.testing.assert_allclose(
        points(next(inferencer(change(frame)))), points(next(inferencer(frame))), atol=1e-3
    )


def test_grey_arrays_are_read_and_others_refused(inferencer):
    grey = cv2.cvtColor(moving_frames(1)[0], cv2.COLOR_BGR2GRAY)
    expected = points(next(inferencer(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))))
    for image in (grey, grey[..., None]):
        np.testing.assert_array_equal(points(next(inferencer(image))), expected)
    for image, message in (
        (np.zeros((5, 5, 2), np.uint8), r'inputs\[0\] has shape \(5, 5, 2\)'),
        (np.zeros((0, 5, 3), np.uint8), r'shape \(0, 5, 3\)'),
        (np.full((5, 5, 3), np.nan), 'values from nan'),
        (np.full((5, 5, 3), -1.0), 'values from -1'),
        (np.full((5, 5, 3), 'a'), 'an image holds numbers'),
    ):
        with pytest.raises(ValueError, match=message):
            next(inferencer(image))


def test_boxes_that_make_no_sense(inferencer, video):
    for boxes, message in (
        ([[[50, 10, 20, 80]]], r'bboxes of frame 0, box 0 is \[50.*x1 < x2'),
        ([[[1, 2, 3]]], r'have shape \(1, 3\)'),
        ([[[1, 2, float('nan'), 4]]], 'box 0 is'),
        ([[['a', 2, 3, 4]]], 'are not numbers'),
        ([dict(bboxes=[[1, 2, 9, 9]], track_ids=[1, 2])], '2 track_ids for 1 boxes'),
        ([dict(bboxes=[[1, 2, 9, 9]] * 2, track_ids=[1, 1])], 'name a person twice'),
        ([dict(boxes=[[1, 2, 9, 9]])], 'it takes bboxes, scores, track_ids'),
        ([None], 'bboxes of frame 0 are None'),
        ([[dict(x=1)]], 'bboxes of frame 0: an instance has no bbox'),
        ([dict(bboxes=[[1, 2, 9, 9]], track_ids=['a'])], "track_ids have to be numbers .*'a'"),
        ([[]], r'has 1 entries, but the input has a frame 1'),
    ):
        with pytest.raises(ValueError, match=message):
            list(inferencer(video, bboxes=boxes))
    with pytest.raises(TypeError, match='bboxes has to be a list'):
        next(inferencer(video, bboxes=5))


def test_boxes_outside_the_frame_are_left_out_and_those_across_its_edge_kept(inferencer, video):
    boxes = {0: [[500, 10, 600, 80], [-20, -10, 40, 80]]}
    (person,) = next(inferencer(video, bboxes=boxes))['predictions'][0]
    assert person['bbox'][0] == [-20, -10, 40, 80]


def test_a_folder_that_cannot_be_written_is_told_before_anything_runs(inferencer, video, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(OSError, match='cannot write to the output folder'):
        next(inferencer(video, out_dir=str(tmp_path / 'file' / 'out')))


@pytest.fixture
def nobody():
    """An empty folder of everyone's, in which this process may not write for the time of a test."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o555)
        user = os.geteuid()
        if user == 0:  # whom modes do not stop
            os.seteuid(65534)
        try:
            yield folder
        finally:
            os.seteuid(user)
            os.chmod(folder, 0o755)


def test_a_folder_without_permission_is_told_before_anything_runs(inferencer, nobody):
    for folder in (nobody, osp.join(nobody, 'new')):
        with pytest.raises(OSError, match=f'output folder {folder}.*: Permission denied; give'):
            next(inferencer(moving_frames(2), as_clip=True, out_dir=folder))


@pytest.fixture
def short_files():
    """Gives a function after which no file can grow beyond some bytes: writes fail for real."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize('name', ['walk.avi', 'walk.mp4'])
def test_a_video_that_could_not_be_written_whole_is_told(inferencer, tmp_path, short_files, name):
    """OpenCV says nothing, so the last frame is read back. The predictions are complete."""
    noise = np.random.default_rng(0).integers(0, 255, (7, 96, 128, 3), dtype=np.uint8)
    path = write_video(tmp_path / name, noise)
    short_files(os.path.getsize(path) // 2)
    with pytest.raises(OSError, match=f'{name} is incomplete: not all of its 7 frames'):
        list(inferencer(path, out_dir=str(tmp_path)))
    assert len(read_json(tmp_path / 'predictions' / 'walk.json')) == 7


def test_pictures_that_cannot_be_written_are_named(inferencer, tmp_path, short_files):
    noise = np.random.default_rng(0).integers(0, 255, (90, 120, 3)).astype(np.uint8)
    short_files(3000)
    with pytest.raises(OSError, match=r'cannot write .*visualizations.*jpg: File too large'):
        next(inferencer(noise, out_dir=str(tmp_path)))
    short_files(100)
    with pytest.raises(OSError, match=r'cannot write .*predictions.*json: File too large'):
        next(inferencer(noise, pred_out_dir=str(tmp_path / 'predictions')))


def test_a_disk_that_fills_up_stops_the_run_and_keeps_it(inferencer, video, tmp_path, monkeypatch):
    usage, seen = results.shutil.disk_usage, []

    def fills(folder):
        seen.append(folder)
        return usage(folder)._replace(free=0) if len(seen) > 3 else usage(folder)

    said = []
    monkeypatch.setattr(results.shutil, 'disk_usage', fills)
    monkeypatch.setattr(inference, 'print_log', lambda text, **_: said.append(text))
    with pytest.raises(OSError, match='cannot write video .*walk.avi: No space left on device'):
        for _ in inferencer(video, out_dir=str(tmp_path)):
            time.sleep(0.02)
    assert re.match(r'stopped after \d frames, which are kept in .*walk.jsonl: resume', said[-1])
    assert len((tmp_path / 'predictions' / 'walk.jsonl').read_text().splitlines()) >= 4
    monkeypatch.undo()
    assert len(list(inferencer(video, out_dir=str(tmp_path), resume=True))) == 7
    assert len(read_video(tmp_path / 'visualizations' / 'walk.avi')) == 7


def test_a_folder_removed_during_the_run_ends_it(tmp_path):
    """Broken if frames queue up for ever before a thread that is gone."""
    (tmp_path / 'gone').mkdir()
    video, raised = results.VideoFile(str(tmp_path / 'gone' / 'a.avi'), 25), []

    def encode():
        try:
            for frame in moving_frames(50):
                video.write(frame)
                shutil.rmtree(tmp_path / 'gone', ignore_errors=True)
        except OSError as error:
            raised.append(str(error))

    thread = threading.Thread(target=encode, daemon=True)
    thread.start()
    thread.join(timeout=10)
    assert re.match('cannot write video .*a.avi: .*No such file.*gone', raised[0])


def test_a_container_that_cannot_be_written_becomes_mp4(inferencer, video, tmp_path):
    shutil.copy(video, tmp_path / 'walk.webm')
    list(inferencer(str(tmp_path / 'walk.webm'), out_dir=str(tmp_path / 'out')))
    assert len(read_video(tmp_path / 'out' / 'visualizations' / 'walk.mp4')) == 7


def test_a_full_disk_is_told_with_what_is_kept(inferencer, video, tmp_path):
    (tmp_path / 'walk.jsonl').symlink_to('/dev/full')
    with pytest.raises(OSError, match=r'cannot write to .*walk.jsonl: No space left.*0 frames'):
        next(inferencer(video, pred_out_dir=str(tmp_path)))


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


# long runs


def test_a_killed_run_is_gone_on_with_where_it_stopped(inferencer, video, tmp_path, monkeypatch):
    whole, part = str(tmp_path / 'whole'), str(tmp_path / 'part')
    expected = all_points(inferencer(video, bboxes=BOXES, out_dir=whole))
    run = inferencer(video, bboxes=BOXES, out_dir=part)
    for _ in range(4):
        next(run)
    run.close()
    lines = osp.join(part, 'predictions', 'walk.jsonl')
    entries = [json.loads(line) for line in open(lines)]
    assert [e['frame_id'] for e in entries[1:]] == [0, 1, 2, 3]
    with open(lines, 'a') as file:
        file.write('{"frame_id": 4, "instan')  # killed while it wrote

    posed = []
    step = inferencer.model.test_step
    monkeypatch.setattr(
        inferencer.model, 'test_step', lambda d: (posed.append(len(d['inputs'])), step(d))[1]
    )
    results = list(inferencer(video, bboxes=BOXES, out_dir=part, resume=True, batch_size=2))
    assert sum(posed) == 6, 'two people in each of the three frames that were missing'
    for found, same in zip(all_points(results), expected):
        assert_close_poses(found, same)
    mine, other = (
        read_json(osp.join(folder, 'predictions', 'walk.json')) for folder in (part, whole)
    )
    assert [f['frames_used'] for f in mine] == [f['frames_used'] for f in other]
    assert [[p['track_id'] for p in f['instances']] for f in mine] == [[0, 1]] * 7
    assert len(read_video(osp.join(part, 'visualizations', 'walk.avi'))) == 7
    assert not osp.exists(lines)

    posed.clear()
    assert len(list(inferencer(video, bboxes=BOXES, out_dir=part, resume=True))) == 7
    assert not posed, 'a finished run has nothing left to do'
    with pytest.raises(ValueError, match='another run.*sampling_steps: None then, 2 now'):
        next(inferencer(video, bboxes=BOXES, out_dir=part, resume=True, sampling_steps=2))
    assert len(read_json(osp.join(part, 'predictions', 'walk.json'))) == 7


KILLED = """
import os, signal, sys, time
from diffpose_mm.tools import infer
modes = dict(offline=[], causal=['--mode', 'causal'], streaming=['--streaming'])
for name, more in modes.items():
    out, lines = os.path.join(sys.argv[1], name), int(sys.argv[2])
    child = os.fork()
    if child == 0:
        infer.main([*sys.argv[3:], '--out', out, *more])
        os._exit(0)
    path = os.path.join(out, 'predictions', 'walk.jsonl')
    while not os.path.exists(path) or open(path).read().count('\\n') <= lines:
        assert os.waitpid(child, os.WNOHANG) == (0, 0), 'ended by itself'
        time.sleep(0.002)
    os.kill(child, signal.SIGKILL)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
"""


def test_a_run_that_was_killed_is_the_same_run(inferencer, tiny_model, tmp_path):
    """A real SIGKILL in the middle; broken if crops, tracks or noise depend on where it was."""
    video = write_video(tmp_path / 'walk.avi', moving_frames(36, width=200))
    boxes = [[[10 + 4 * t, 10, 45 + 4 * t, 80], [60 + t % 9, 5, 100, 85]] for t in range(36)]
    (tmp_path / 'boxes.json').write_text(json.dumps(boxes))
    config, weights = tiny_model
    done = subprocess.run(
        [
            *(sys.executable, '-c', KILLED, str(tmp_path), '6', video, '--config', config),
            *('--checkpoint', weights, '--boxes', str(tmp_path / 'boxes.json'), '--device', 'cpu'),
        ],
        capture_output=True,
        text=True,
        env=dict(os.environ, OMP_NUM_THREADS='1'),
    )
    assert done.returncode == 0, done.stderr
    same = DiffPoseInferencer(config, weights, device='cpu', det_model='whole_image')
    options = dict(bboxes=boxes, batch_size=8)
    for name, more in dict(
        offline={}, causal=dict(mode='causal'), streaming=dict(streaming=True)
    ).items():
        part, whole = tmp_path / name / 'predictions', tmp_path / name / 'whole'
        lines = (part / 'walk.jsonl').read_bytes().splitlines(keepends=True)
        assert 6 < len(lines) < 36
        complete = lines if lines[-1].endswith(b'\n') else lines[:-1]
        assert [json.loads(line)['frame_id'] for line in complete[1:]] == list(
            range(len(complete) - 1)
        )
        list(same(video, pred_out_dir=str(part), resume=True, **options, **more))
        list(same(video, pred_out_dir=str(whole), **options, **more))
        mine, other = (read_json(folder / 'walk.json') for folder in (part, whole))
        assert len(mine) == 36 and not (part / 'walk.jsonl').exists()
        for found, expected in zip(mine, other):
            assert found['frames_used'] == expected['frames_used']
            for one, two in zip(found['instances'], expected['instances']):
                assert (one['track_id'], one['bbox']) == (two['track_id'], two['bbox'])
                assert_close_poses(one['keypoints'], two['keypoints'])


def test_progress_is_told_without_a_terminal_too(tiny_model, video, monkeypatch):
    """Broken if the log of a long run says nothing until it is over."""
    inferencer = DiffPoseInferencer(
        *tiny_model, device='cpu', det_model='whole_image', show_progress=True
    )
    said = []
    monkeypatch.setattr(inference, 'TELL_EVERY', 0)
    monkeypatch.setattr(inference, 'print_log', lambda text, **_: said.append(text))
    assert len(list(inferencer(video))) == 7
    assert re.fullmatch(r'walk.avi: 3 of 7 frames, [\d.]+ frames/s, \d+ s left', said[2])


def test_decoding_detection_poses_and_writing_overlap(inferencer, tmp_path, monkeypatch):
    """Each is made to take a while; broken if one never runs while another does."""
    running, together = set(), set()

    def during(stage, work):
        running.add(stage)
        together.update(frozenset((stage, other)) for other in set(running))
        time.sleep(0.03)
        try:
            return work()
        finally:
            running.discard(stage)

    detector = PersonDetector('any')
    detector._inferencer = StubDetector()
    monkeypatch.setattr(inferencer, 'detector', detector)
    path = write_video(tmp_path / 'walk.avi', moving_frames(14))
    decode, find, write = frames._frames_of, StubDetector.__call__, results.VideoFile._write

    def decoding(capture):
        items = decode(capture)
        while (frame := during('decode', lambda: next(items, None))) is not None:
            yield frame

    step = inferencer.model.test_step
    monkeypatch.setattr(frames, '_frames_of', decoding)
    monkeypatch.setattr(
        StubDetector, '__call__', lambda *a, **k: during('detect', lambda: find(*a, **k))
    )
    monkeypatch.setattr(
        inferencer.model, 'test_step', lambda data: during('pose', lambda: step(data))
    )
    monkeypatch.setattr(results.VideoFile, '_write', lambda *a: during('write', lambda: write(*a)))
    assert len(list(inferencer(path, out_dir=str(tmp_path / 'out')))) == 14
    for pair in (('decode', 'detect'), ('decode', 'pose'), ('detect', 'pose'), ('write', 'pose')):
        assert frozenset(pair) in together, f'{pair[0]} never ran during {pair[1]}'


def test_other_values_in_a_config_are_another_run(tiny_model, video, tmp_path):
    """Broken if --cfg-options may change between the two halves of a video."""

    def predict(steps, **more):
        cfg = Config.fromfile(tiny_model[0])
        cfg.model.test_cfg.sampling_steps = steps
        model = DiffPoseInferencer(cfg, tiny_model[1], device='cpu', det_model='whole_image')
        return len(list(model(video, pred_out_dir=str(tmp_path), **more)))

    assert predict(1) == predict(1, resume=True) == 7
    with pytest.raises(ValueError, match="another run.*config: 'Config .*' then, 'Config .*' now"):
        predict(2, resume=True)


def test_a_run_with_other_arguments_is_not_gone_on_with(inferencer, video, tmp_path):
    run = inferencer(video, pred_out_dir=str(tmp_path))
    next(run)
    run.close()
    for other, message in (
        (dict(mode='causal'), 'another run.*mode.*offline.*then.*causal.*now'),
        (dict(bboxes=BOXES), "another run.*people: 'whole image' then, 'given boxes .*' now"),
        (dict(pose_based_nms=True), 'resume does not know whom'),
    ):
        with pytest.raises(ValueError, match=message):
            next(inferencer(video, pred_out_dir=str(tmp_path), resume=True, **other))
    assert osp.exists(tmp_path / 'walk.jsonl')
    before = (tmp_path / 'walk.jsonl').read_text()
    with pytest.raises(ValueError, match='num_hypotheses'):
        next(inferencer(video, pred_out_dir=str(tmp_path), num_hypotheses=0))
    assert (tmp_path / 'walk.jsonl').read_text() == before, 'a slip costs nothing'


def test_an_error_in_the_middle_keeps_what_was_computed(inferencer, tmp_path):
    def camera():
        yield from moving_frames(4)
        raise OSError('the cable is out')

    with pytest.raises(OSError, match='the cable is out'):
        list(inferencer(camera(), mode='causal', out_dir=str(tmp_path), batch_size=3))
    lines = (tmp_path / 'predictions' / 'frames.jsonl').read_text().splitlines()
    assert len(lines) == 1 + 4
    assert len(read_video(tmp_path / 'visualizations' / 'frames.mp4')) == 4


def test_a_long_video_holds_only_a_window_of_frames(inferencer):
    import weakref

    alive = []

    def camera():
        for frame in moving_frames(60, width=40, height=30):
            frame = frame.copy()
            alive.append(weakref.ref(frame))
            yield frame

    most = 0
    for _ in inferencer(camera(), batch_size=2):
        most = max(most, sum(ref() is not None for ref in alive))
    assert most <= 5 + 2 * 2 + 2
