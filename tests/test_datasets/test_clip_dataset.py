"""Clips of the persons of a data set: neighbours, borders, skips, detector boxes."""

import json
import os.path as osp
from functools import partial

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate, worker_init_fn
from mmpose.registry import DATASETS
from torch.utils.data import DataLoader

from diffpose_mm.clip import RandomFrameOffsets
from diffpose_mm.datasets import (
    ClipDataset,
    LoadClip,
    PoseTrack18ClipDataset,
)
from diffpose_mm.videos import split_frame_name

ANN = 'annotations/posetrack18_val.json'


def numbers(info):
    return [split_frame_name(path)[1] for path in info['clip_paths']]


def keep_offsets(results):
    return dict(offsets=results['frame_offsets'])


def test_clips_are_in_temporal_order_with_the_keyframe_in_place(write_posetrack):
    data = PoseTrack18ClipDataset(
        ann_file=ANN, data_root=str(write_posetrack(nframes=9, persons=1)),
        frame_offsets=[0, -3, 1],
    )  # fmt: skip
    info = data.get_data_info(4)
    assert data.num_frames == 3
    assert info['frame_offsets'] == (-3, 0, 1)
    assert numbers(info) == [1, 4, 5]
    assert info['keyframe_index'] == 1
    assert info['clip_paths'][1] == info['img_path']
    assert info['clip_replicated'] == [False] * 3
    assert info['track_id'] == 0 and info['nframes'] == 9
    assert info['img_id'] == info['frame_id'] == 10_000_004
    assert all(osp.exists(path) for path in info['clip_paths'])


def test_borders_repeat_the_first_and_last_frame_and_say_so(write_posetrack):
    data = PoseTrack18ClipDataset(
        ann_file=ANN, data_root=str(write_posetrack(nframes=4, persons=1, num_videos=1))
    )
    assert numbers(data.get_data_info(0)) == [0, 0, 0, 1, 2]
    assert data.get_data_info(0)['clip_replicated'] == [True, True, False, False, False]
    assert numbers(data.get_data_info(3)) == [1, 2, 3, 3, 3]
    assert data.get_data_info(3)['clip_replicated'] == [False, False, False, True, True]


def test_one_frame_makes_a_clip(write_posetrack):
    data = PoseTrack18ClipDataset(
        ann_file=ANN, data_root=str(write_posetrack()), frame_offsets=(0,)
    )
    info = data.get_data_info(0)
    assert info['clip_paths'] == [info['img_path']] and info['keyframe_index'] == 0


@pytest.mark.parametrize(
    'offsets, message',
    [
        ((-1, 1), r'\(-1, 1\) leaves the keyframe outside the clip: add 0'),
        ((0, 0, 1), 'twice'),
        ((0, 0.5), 'integers'),
        ((), 'integers'),
        (3, 'integers'),
    ],
)
def test_offsets_that_make_no_clip_are_refused(offsets, message):
    with pytest.raises(ValueError, match='frame_offsets=.*' + message):
        PoseTrack18ClipDataset(ann_file='x.json', frame_offsets=offsets)


@pytest.mark.parametrize(
    'kwargs, message',
    [
        (dict(frame_sampler=dict(num_frames=5, max_offset=1)), 'max_offset=1 .*raise it'),
        (dict(frame_sampler=dict(num_frames=0, max_offset=1)), 'num_frames=0'),
        (dict(frame_sampler=dict(num_frames=3, max_offset=1), test_mode=True), 'test_mode=True'),
        (dict(frame_sampler=dict(num_frames=3, max_offset=1), frame_offsets=(0,)), 'leave one'),
        (dict(data_mode='bottomup'), 'data_mode="bottomup"'),
        (dict(bbox_file='boxes.json'), 'bbox_file'),
        (dict(), 'ann_file is not given'),
    ],
)
def test_arguments_that_contradict_each_other_are_refused(kwargs, message):
    with pytest.raises(ValueError, match=message):
        PoseTrack18ClipDataset(**kwargs)


@pytest.mark.parametrize('num_frames', [1, 2, 4, 5])
def test_random_offsets_keep_length_order_and_the_keyframes_place(num_frames):
    sampler, generator = RandomFrameOffsets(num_frames, 4), np.random.default_rng(0)
    drawn = [sampler(generator) for _ in range(300)]
    for offsets in drawn:
        assert len(set(offsets)) == num_frames
        assert list(offsets) == sorted(offsets)
        assert offsets.index(0) == num_frames // 2
    if num_frames > 1:
        assert {offset for offsets in drawn for offset in offsets} >= {-4, -3, -2, -1, 0}


def test_random_offsets_are_drawn_at_every_access(write_posetrack):
    """Drawn at load time, every epoch would see the same clips."""
    data = PoseTrack18ClipDataset(
        ann_file=ANN, data_root=str(write_posetrack(nframes=20, persons=1)),
        frame_sampler=dict(num_frames=5, max_offset=4),
    )  # fmt: skip
    torch.manual_seed(5)
    infos = [data.get_data_info(10) for _ in range(20)]
    assert len({info['frame_offsets'] for info in infos}) > 5
    for info in infos:
        assert numbers(info) == [10 + offset for offset in info['frame_offsets']]
        assert info['keyframe_index'] == 2 and data.num_frames == 5


def test_random_offsets_differ_between_epochs_and_follow_from_the_seed(write_posetrack):
    """mmengine gives a worker the same numpy seed in every epoch."""
    root = str(write_posetrack(nframes=6))

    def run():
        data = PoseTrack18ClipDataset(
            ann_file=ANN, data_root=root, pipeline=[keep_offsets],
            frame_sampler=dict(num_frames=5, max_offset=9),
        )  # fmt: skip
        torch.manual_seed(7)
        loader = DataLoader(
            data, batch_size=4, num_workers=1, collate_fn=pseudo_collate,
            worker_init_fn=partial(worker_init_fn, num_workers=1, rank=0, seed=7),
        )  # fmt: skip
        return [
            [tuple(offsets) for batch in loader for offsets in zip(*batch['offsets'])]
            for _ in range(2)
        ]

    first, second = run(), run()
    assert first == second
    assert first[0] != first[1]


def test_unlabelled_frames_are_neighbours_and_no_samples(write_posetrack):
    root = write_posetrack(nframes=9, persons=1, num_videos=1, labeled=lambda n: n % 4 == 0)
    data = PoseTrack18ClipDataset(ann_file=ANN, data_root=str(root))
    assert [data.get_data_info(i)['frame_number'] for i in range(len(data))] == [0, 4, 8]
    assert numbers(data.get_data_info(1)) == [2, 3, 4, 5, 6]
    assert not any(data.get_data_info(1)['clip_replicated'])


def test_crowds_and_persons_without_keypoints_or_box_area_are_no_samples(write_posetrack):
    def edit(data):
        a = data['annotations']
        a[0]['iscrowd'] = True
        a[1]['keypoints'] = [0] * 51
        a[1]['num_keypoints'] = 0
        del a[2]['keypoints']
        a[3]['bbox'][2] = 0
        del a[4]['bbox']
        del a[5]['num_keypoints'], a[5]['category_id'], a[5]['iscrowd']

    root = write_posetrack(nframes=4, persons=2, num_videos=1, edit=edit)
    data = PoseTrack18ClipDataset(ann_file=ANN, data_root=str(root))
    assert len(data) == 3
    assert data.get_data_info(0)['num_keypoints'] == 15


def detections(root, **extra):
    ids = [img['id'] for img in json.loads((root / ANN).read_text())['images']]
    box = dict(bbox=[1.0, 2.0, 20.0, 30.0], category_id=1)
    return [
        dict(box, image_id=ids[4], score=0.9),
        dict(box, image_id=ids[0], score=0.8),
        dict(box, image_id=ids[0], score=0.1),
        dict(box, image_id=ids[1], score=0.9),  # not labelled
        dict(box, image_id=12345, score=0.9),  # not listed
        dict(box, image_id=ids[0], score=0.9, category_id=3),
        dict(box, image_id=ids[0], score=0.9, bbox=[1, 2, 0, 5]),
        dict(box, image_name='images/val/000000_test/000008.jpg', score=0.7),
    ]


def test_detector_boxes_become_clips_of_labelled_frames(write_posetrack):
    root = write_posetrack(nframes=9, num_videos=1, labeled=lambda n: n % 4 == 0)
    (root / 'boxes.json').write_text(json.dumps(detections(root)))
    data = PoseTrack18ClipDataset(
        ann_file=ANN, bbox_file='boxes.json', data_root=str(root), test_mode=True,
        filter_cfg=dict(bbox_score_thr=0.4),
    )  # fmt: skip
    assert data.bbox_file == str(root / 'boxes.json')
    infos = [data.get_data_info(i) for i in range(len(data))]
    assert [info['img_id'] for info in infos] == [10_000_000, 10_000_004, 10_000_008]
    assert [info['id'] for info in infos] == [1, 0, 7]
    np.testing.assert_allclose([info['bbox_score'][0] for info in infos], [0.8, 0.9, 0.7])
    assert numbers(infos[1]) == [2, 3, 4, 5, 6]
    assert infos[0]['bbox'].tolist() == [[1, 2, 21, 32]]
    assert infos[0]['keypoints_visible'].shape == (1, 17)

    everywhere = PoseTrack18ClipDataset(
        ann_file=ANN, bbox_file='boxes.json', data_root=str(root), test_mode=True,
        labeled_only=False,
    )  # fmt: skip
    assert len(everywhere) == 5


def test_a_broken_keyframe_is_an_error_in_testing(write_posetrack):
    root = write_posetrack(persons=1)
    (root / 'images/val/000000_test/000002.jpg').write_bytes(b'')
    (root / 'images/val/000000_test/000004.jpg').unlink()
    data = PoseTrack18ClipDataset(
        ann_file=ANN, data_root=str(root), pipeline=[LoadClip()], test_mode=True
    )
    with pytest.raises(OSError, match=r'keyframe .*000002\.jpg is empty.*restore the file'):
        data[2]
    with pytest.raises(FileNotFoundError, match=r'keyframe .*000004\.jpg does not exist'):
        data[4]


def test_a_broken_keyframe_is_a_repeatable_skip_in_training(write_posetrack):
    root = write_posetrack(persons=1)
    (root / 'images/val/000000_test/000002.jpg').write_bytes(b'')

    def make():
        return PoseTrack18ClipDataset(ann_file=ANN, data_root=str(root), pipeline=[LoadClip()])

    first, second = make(), make()
    np.random.seed(0)
    taken = first[2]['img_path']
    np.random.seed(1)
    assert taken == second[2]['img_path'] != first.get_data_info(2)['img_path']


def test_jumping_frame_numbers_are_told_from_missing_files(write_posetrack):
    """Broken if a video whose numbers go 0 1 2 5 6 counts as one that lost two files."""

    def edit(data):
        jumped = [i for i in data['images'] if int(i['file_name'][-5]) in (3, 4)]
        ids = {image['id'] for image in jumped}
        data['images'] = [i | dict(nframes=5) for i in data['images'] if i not in jumped]
        data['annotations'] = [a for a in data['annotations'] if a['image_id'] not in ids]

    root = write_posetrack(num_videos=1, nframes=7, persons=1, edit=edit)
    for number in (1, 3, 4):
        (root / f'images/val/000000_test/{number:06d}.jpg').unlink()
    data = PoseTrack18ClipDataset(
        ann_file=ANN, data_root=str(root), pipeline=[LoadClip()], test_mode=True
    )
    assert len(data) == 5
    kinds = [kind for kind, *_ in data[2]['clip_faults']]
    assert kinds == ['missing', 'jump', 'jump']
    clip = data[2]
    assert [int(path[-5]) for path in clip['clip_paths']] == [0, 2, 2, 2, 2]


def test_a_skip_is_told_to_the_main_process_by_the_stand_in(write_posetrack):
    """Counts kept in a worker are seen by nobody."""
    root = write_posetrack(persons=1)
    (root / 'images/val/000000_test/000002.jpg').unlink()
    data = PoseTrack18ClipDataset(
        ann_file=ANN, data_root=str(root), pipeline=[LoadClip(), dict(type='PackClipInputs')]
    )
    lost = str(root / 'images/val/000000_test/000002.jpg')
    why = data[2]['data_samples'].metainfo['clip_skipped']
    assert why == [('missing', lost, 'does not exist')]
    assert 'clip_skipped' not in data[1]['data_samples'].metainfo


def test_images_in_the_wrong_place_stop_training_with_one_error(write_posetrack):
    data = PoseTrack18ClipDataset(
        ann_file=ANN, data_root=str(write_posetrack()), data_prefix=dict(img='elsewhere'),
        pipeline=[LoadClip()],
    )  # fmt: skip
    with pytest.raises(RuntimeError, match='1001 tries.*elsewhere.*check data_root'):
        data[0]


HORSE = dict(
    dataset_name='horse',
    keypoint_info={
        0: dict(name='nose', id=0),
        1: dict(name='left_ear', id=1, swap='right_ear'),
        2: dict(name='right_ear', id=2, swap='left_ear'),
    },
    skeleton_info={},
    joint_weights=[1.0] * 3,
    sigmas=[0.05] * 3,
)


def of_horses(data):
    """Three keypoints, and nothing that only PoseTrack's files have."""
    for img in data['images']:
        for name in ('nframes', 'frame_id', 'vid_id', 'is_labeled'):
            del img[name]
    for ann in data['annotations']:
        ann['keypoints'] = ann['keypoints'][:9]
        ann['num_keypoints'] = 3
        del ann['track_id']
    data['categories'] = [dict(id=1, name='horse', keypoints=['nose', 'left_ear', 'right_ear'])]


def test_any_keypoints_by_config_alone(write_posetrack):
    """Broken if videos of animals need a class of their own, or fields of PoseTrack."""
    root = write_posetrack(nframes=4, persons=1, edit=of_horses)
    data = DATASETS.build(
        dict(
            type='ClipDataset', metainfo=HORSE, ann_file=ANN, data_root=str(root),
            frame_offsets=(-1, 0, 1), test_mode=True,
            pipeline=[dict(type='LoadClip'), dict(type='GetBBoxCenterScale'),
                      dict(type='TopdownAffine', input_size=(24, 32)),
                      dict(type='PackClipInputs')],
        )
    )  # fmt: skip
    assert len(data) == 8 and data.metainfo['flip_indices'] == [0, 2, 1]
    info = data.get_data_info(3)
    assert numbers(info) == [2, 3, 3] and info['clip_replicated'] == [False, False, True]
    packed = data[3]
    assert packed['inputs'].shape == (3, 3, 32, 24)
    assert packed['data_samples'].gt_instances.keypoints.shape == (1, 3, 2)
    assert '.datasets.body.' in type(data).__module__


@pytest.mark.parametrize(
    'metainfo, message',
    [
        (None, 'metainfo has no dataset_name, keypoint_info'),
        ({k: v for k, v in HORSE.items() if k != 'sigmas'}, 'metainfo has no sigmas; give'),
    ],
)
def test_keypoints_that_are_not_described_are_one_error(metainfo, message):
    """Broken if mmpose's bare AssertionError is all that is said."""
    with pytest.raises(ValueError, match='ClipDataset: ' + message):
        ClipDataset(ann_file=ANN, metainfo=metainfo)


@pytest.mark.parametrize(
    'spoiled, message',
    [
        (lambda data: dict(annolist=[]), "has no list 'images'"),
        (lambda data: data['images'][0].pop('file_name'), "lacks 'file_name'"),
        (lambda data: data['annotations'].clear(), 'is empty'),
    ],
)
def test_errors_of_other_data_do_not_speak_of_posetrack(write_posetrack, spoiled, message):
    """Broken if who has videos of horses is sent to PoseTrack's converter."""

    def edit(data):
        of_horses(data)
        changed = spoiled(data)
        return changed if isinstance(changed, dict) else data

    root = write_posetrack(name='annotations/horses.json', edit=edit)
    with pytest.raises(ValueError, match=message) as error:
        ClipDataset(ann_file='annotations/horses.json', metainfo=HORSE, data_root=str(root))
    assert 'PoseTrack' not in str(error.value)


def test_videos_of_one_folder_keep_to_themselves(write_posetrack):
    """Broken if the clip of walk_0001 ends where the numbers of run_0009 do."""

    def edit(data):
        of_horses(data)
        for img in data['images']:
            video, number = int(img['file_name'][11:17]), int(img['file_name'][-10:-4])
            img['file_name'] = f'all/{("walk", "run")[video]}_{number + 3 * video:04d}.jpg'

    root = write_posetrack(nframes=3, persons=1, edit=edit)
    data = ClipDataset(ann_file=ANN, metainfo=HORSE, data_root=str(root), test_mode=True)
    infos = [data.get_data_info(i) for i in range(len(data))]
    assert {info['frame_range'] for info in infos} == {(0, 2), (3, 5)}
    assert len({video for video, _ in data.clip_keys()}) == 2
    for info in infos:
        name = osp.basename(info['img_path']).split('_')[0]
        assert all(f'/{name}_' in path for path in info['clip_paths'])
