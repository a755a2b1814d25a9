import json
import os.path as osp
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate, worker_init_fn
from mmpose.datasets.datasets.body import PoseTrack18Dataset
from mmpose.registry import DATASETS
from torch.utils.data import DataLoader

from diffpose_mm.clip import RandomFrameOffsets
from diffpose_mm.datasets import (
    LoadClip,
    PoseTrack17ClipDataset,
    PoseTrack18ClipDataset,
    PoseTrack21ClipDataset,
)
from diffpose_mm.videos import split_frame_name

ANN = 'annotations/posetrack18_val.json'
SAMPLE = Path(__file__).parents[3] / 'shared/data/posetrack18_sample'
needs_sample = pytest.mark.skipif(not SAMPLE.exists(), reason='the PoseTrack18 sample is missing')


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


def test_official_files_without_image_sizes_leave_boxes_uncut(write_posetrack):
    def edit(data):
        for img in data['images']:
            del img['width'], img['height']
        data['annotations'][0]['bbox'] = [-5, -5, 500, 400]

    data = PoseTrack18ClipDataset(ann_file=ANN, data_root=str(write_posetrack(edit=edit)))
    assert data.get_data_info(0)['bbox'].tolist() == [[0, 0, 495, 395]]


@pytest.mark.parametrize('test_mode', [False, True])
def test_a_sample_holds_what_mmpose_reads(write_posetrack, test_mode):
    """Ids, boxes and keypoints have to be mmpose's own, or metrics and losses differ."""
    kwargs = dict(ann_file=ANN, data_root=str(write_posetrack()), test_mode=test_mode)
    ours, theirs = PoseTrack18ClipDataset(**kwargs), PoseTrack18Dataset(**kwargs)
    assert len(ours) == len(theirs) == 24
    for i in range(len(ours)):
        a, b = ours.get_data_info(i), theirs.get_data_info(i)
        for key in set(b) - {'segmentation', 'raw_ann_info'}:
            np.testing.assert_equal(a[key], b[key], err_msg=key)
        assert isinstance(a['img_path'], str)
        assert ('raw_ann_info' in a) == test_mode


def test_a_folder_of_one_file_a_video_is_read_as_one(write_posetrack):
    """PoseTrack18 and 21 are published that way."""
    root = write_posetrack()
    whole = json.loads((root / ANN).read_text())
    (root / 'annotations/val').mkdir()
    for vid_id in ('000000', '000001'):
        images = [img for img in whole['images'] if img['vid_id'] == vid_id]
        ids = {img['id'] for img in images}
        part = dict(whole, images=images)
        part['annotations'] = [a for a in whole['annotations'] if a['image_id'] in ids]
        (root / f'annotations/val/{vid_id}_test.json').write_text(json.dumps(part))
    one = PoseTrack18ClipDataset(ann_file=ANN, data_root=str(root))
    many = PoseTrack21ClipDataset(ann_file='annotations/val', data_root=str(root))
    assert len(many) == len(one)
    for i in range(len(one)):
        np.testing.assert_equal(many.get_data_info(i), one.get_data_info(i))


def test_posetrack17_counts_frames_from_one_in_eight_digits(write_posetrack):
    root = write_posetrack(nframes=5, persons=1, num_videos=1, first=1, digits=8)
    data = PoseTrack17ClipDataset(ann_file=ANN, data_root=str(root))
    assert numbers(data.get_data_info(0)) == [1, 1, 1, 2, 3]
    assert data.get_data_info(0)['clip_replicated'] == [True, True, False, False, False]
    assert numbers(data.get_data_info(4)) == [3, 4, 5, 5, 5]
    assert data.get_data_info(4)['clip_paths'][0].endswith('/00000003.jpg')


@pytest.mark.parametrize(
    'path, parts',
    [
        ('a/b_1/000012.jpg', ('a/b_1/', 12, 6, '.jpg')),
        ('00000001.png', ('', 1, 8, '.png')),
        ('v/frame_7.jpeg', ('v/frame_', 7, 1, '.jpeg')),
        ('v2/x1y0099', ('v2/x1y', 99, 4, '')),
    ],
)
def test_frame_names_are_taken_apart(path, parts):
    assert split_frame_name(path) == parts
    head, number, digits, extension = parts
    assert f'{head}{number:0{digits}d}{extension}' == path


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


def spoil(key, field, value=None):
    def edit(data):
        if value is None:
            del data[key][0][field]
        else:
            data[key][0][field] = value

    return edit


@pytest.mark.parametrize(
    'edit, message',
    [
        (spoil('images', 'file_name'), "image 10000000 lacks 'file_name'"),
        (spoil('images', 'file_name', 'a/b.jpg'), 'image 10000000.*000007.jpg'),
        (spoil('annotations', 'image_id', 7), 'annotation 1000000000 .*image_id 7'),
        (spoil('annotations', 'keypoints', [1] * 45), "45 values in 'keypoints', not 3 x 17"),
        (lambda data: data['images'], 'holds a list.*bbox_file'),
        (lambda data: dict(annolist=[]), "no list 'images'.*PoseTrack17"),
        (lambda data: dict(images=data['images']), "no list 'annotations'"),
        (
            lambda data: dict(data, annotations=[]),
            'is empty.*12 frames, 12 of them labelled.*a person counts',
        ),
    ],
)
def test_files_that_are_not_posetracks_are_refused_by_name_and_field(
    write_posetrack, edit, message
):
    root = write_posetrack(edit=edit)
    with pytest.raises(ValueError, match=f'(?s){message}') as error:
        PoseTrack18ClipDataset(ann_file=ANN, data_root=str(root))
    assert ANN in str(error.value)


def test_missing_and_unreadable_files_are_refused_by_name(write_posetrack):
    root = write_posetrack()
    make = partial(PoseTrack18ClipDataset, data_root=str(root))
    with pytest.raises(FileNotFoundError, match=r'ann_file .*nowhere\.json does not exist'):
        make(ann_file='nowhere.json')
    with pytest.raises(FileNotFoundError, match='bbox_file .*nowhere'):
        make(ann_file=ANN, bbox_file='nowhere.json', test_mode=True)
    with pytest.raises(ValueError, match=r'ann_file .*000000\.jpg is not a JSON file'):
        make(ann_file='images/val/000000_test/000000.jpg')
    with pytest.raises(ValueError, match='folder without .json'):
        make(ann_file='images/val')
    (root / 'boxes.json').write_text('[{"image_id": 10000000, "bbox": [1, 2, 3, 4]}]')
    with pytest.raises(ValueError, match="boxes.json: detection 0 has no field 'category_id'"):
        make(ann_file=ANN, bbox_file='boxes.json', test_mode=True)
    (root / 'boxes.json').write_text('{}')
    with pytest.raises(ValueError, match='boxes.json has to hold a list'):
        make(ann_file=ANN, bbox_file='boxes.json', test_mode=True)
    (root / 'boxes.json').write_text('[]')
    with pytest.raises(ValueError, match='is empty.*boxes.json'):
        make(ann_file=ANN, bbox_file='boxes.json', test_mode=True)


def test_frame_numbers_outside_the_video_widen_its_range(write_posetrack):
    """Otherwise the neighbours of such a keyframe would all be the last frame."""

    def edit(data):
        for img in data['images']:
            img['nframes'] = 2

    data = PoseTrack18ClipDataset(ann_file=ANN, data_root=str(write_posetrack(edit=edit)))
    assert numbers(data.get_data_info(6)) == [1, 2, 3, 4, 5]


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


def test_datasets_are_registered_where_the_inferencer_looks():
    """MMPoseInferencer picks its person detector by the module path of the dataset."""
    for name in ('PoseTrack17ClipDataset', 'PoseTrack18ClipDataset', 'PoseTrack21ClipDataset'):
        assert '.datasets.body.' in DATASETS.get(name).__module__


@needs_sample
def test_real_posetrack18_replaces_the_neighbours_that_are_not_there():
    data = PoseTrack18ClipDataset(
        ann_file='annotations/test_posetrack18_val.json', data_root=str(SAMPLE),
        pipeline=[LoadClip(num_frames=5)], test_mode=True,
    )  # fmt: skip
    assert len(data) == 14
    sample = data[0]
    assert sample['clip_replicated'] == [True, True, False, True, True]
    assert [kind for kind, *_ in sample['clip_faults']] == ['missing'] * 2
    assert sample['clip_paths'] == [sample['img_path']] * 5
    assert sample['img_shape'] == (1080, 1920)
    assert [len(sample['img']), sample['keyframe_index']] == [5, 2]


@needs_sample
def test_real_posetrack18_is_read_as_mmpose_reads_it():
    kwargs = dict(ann_file='annotations/test_posetrack18_val.json', data_root=str(SAMPLE))
    ours, theirs = PoseTrack18ClipDataset(**kwargs), PoseTrack18Dataset(**kwargs)
    ours, theirs = (
        {data.get_data_info(i)['id']: data.get_data_info(i) for i in range(len(data))}
        for data in (ours, theirs)
    )
    assert ours.keys() == theirs.keys()
    for id_, info in theirs.items():
        for key in ('img_id', 'img_path', 'bbox', 'keypoints', 'keypoints_visible', 'area'):
            np.testing.assert_equal(ours[id_][key], info[key])


@needs_sample
def test_real_posetrack18_detections_are_read():
    data = PoseTrack18ClipDataset(
        ann_file='annotations/test_posetrack18_val.json', data_root=str(SAMPLE), test_mode=True,
        bbox_file='annotations/test_posetrack18_human_detections.json',
        filter_cfg=dict(bbox_score_thr=0.4),
    )  # fmt: skip
    assert 14 < len(data) < 278
    assert {data.get_data_info(i)['nframes'] for i in range(len(data))} == {140, 101, 149}
