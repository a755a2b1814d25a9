"""The written synthetic PoseTrack: bytes, layout, hardness, resuming, refusals, readers."""

import hashlib
import json
import shutil

import cv2
import numpy as np
import pytest
from mmpose.registry import DATASETS

from diffpose_mm.synthetic import (
    annotate,
    generate,
    make_scene,
    statistics,
    synthesize,
    video_name,
    video_seed,
)
from diffpose_mm.synthetic.render import RenderedFrame, subframe_times
from diffpose_mm.tools.synthesize import PRESETS, main

SMALL = dict(train_videos=2, val_videos=1, frames=3, size=(160, 120), seed=5)


def digest(root):
    files = sorted(p for p in root.rglob('*') if p.is_file())
    return {str(p.relative_to(root)): hashlib.md5(p.read_bytes()).hexdigest() for p in files}


@pytest.fixture(scope='module')
def small(tmp_path_factory):
    root = tmp_path_factory.mktemp('synthetic') / 'set'
    return root, synthesize(root, **SMALL)


def test_bytes_do_not_depend_on_workers_but_on_the_seed(small, tmp_path):
    synthesize(tmp_path / 'two', **SMALL, workers=2)
    assert digest(tmp_path / 'two') == digest(small[0])
    synthesize(tmp_path / 'other', **{**SMALL, 'seed': 6})
    first = 'images/val/500000_synthetic/000000.jpg'
    assert digest(tmp_path / 'other')[first] != digest(small[0])[first]


def test_no_two_videos_of_either_split_share_a_seed(small):
    states = [
        tuple(video_seed(seed, split, index).generate_state(4))
        for seed in (0, 1)
        for split in ('train', 'val')
        for index in range(300)
    ]
    assert len(set(states)) == len(states)
    # By structure, not by luck: the split is part of the key from which the state comes.
    assert video_seed(7, 'train', 3).spawn_key != video_seed(7, 'val', 3).spawn_key
    files = digest(small[0])
    frames = [v for k, v in files.items() if k.endswith('.jpg')]
    assert len(set(frames)) == len(frames) == 9


def test_layout_and_records_are_posetracks(small):
    root, _ = small
    merged = json.loads((root / 'annotations/posetrack18_train.json').read_text())
    videos = [
        json.loads((root / f'annotations/train/{video_name("train", i)}.json').read_text())
        for i in range(2)
    ]
    assert merged['images'] == videos[0]['images'] + videos[1]['images']
    assert merged['annotations'] == videos[0]['annotations'] + videos[1]['annotations']
    assert merged['categories'][0]['keypoints'][:5] == [
        'nose',
        'head_bottom',
        'head_top',
        'left_ear',
        'right_ear',
    ]
    ids = [a['id'] for a in merged['annotations']]
    assert len(set(ids)) == len(ids) > 0
    for number, image in enumerate(videos[1]['images']):
        assert image['file_name'] == f'images/train/000001_synthetic/{number:06d}.jpg'
        assert (image['nframes'], image['vid_id'], image['is_labeled']) == (3, '000001', True)
        assert image['id'] == image['frame_id'] == 10000010000 + number
        assert cv2.imread(str(root / image['file_name'])).shape == (120, 160, 3)
    image_ids = {image['id'] for image in merged['images']}
    for person in merged['annotations']:
        assert person['image_id'] in image_ids and person['category_id'] == 1
        points = np.array(person['keypoints']).reshape(17, 3)
        assert not points[3:5].any(), 'ears are never annotated'
        assert not points[points[:, 2] == 0].any()
        seen = points[:, 2] == 1
        assert person['num_keypoints'] == seen.sum() >= 4
        assert (points[seen, :2] >= 0).all() and (points[seen, :2] <= (159, 119)).all()
        for flag in ('occluded', 'blurred'):
            assert len(person[flag]) == 17 and set(person[flag]) <= {0, 1}
            assert not np.array(person[flag])[~seen].any()
        # PoseTrack's box: 15 % beyond the joints on every side.
        low, high = points[seen, :2].min(0), points[seen, :2].max(0)
        expected = np.concatenate([low - 0.15 * (high - low), 1.3 * (high - low)])
        np.testing.assert_allclose(person['bbox'], expected, atol=0.03)


def test_mmpose_datasets_read_it_unchanged(small):
    root, manifest = small
    common = dict(
        data_root=str(root),
        ann_file='annotations/posetrack18_train.json',
        data_prefix=dict(img=''),
        pipeline=[],
    )
    still = DATASETS.build(dict(type='PoseTrack18Dataset', **common))
    assert len(still) == manifest['statistics']['train']['people']
    sample = still[0]
    assert sample['keypoints'].shape == (1, 17, 2)
    assert sample['keypoints_visible'].sum() == sample['num_keypoints']
    video = DATASETS.build(
        dict(
            type='PoseTrack18VideoDataset',
            frame_weights=[0.5, 0.25, 0.25],
            frame_sampler_mode='fixed',
            frame_indices=[-1, 0, 1],
            **common,
        )
    )
    sample = video[1]
    assert len(sample['img_path']) == 4
    assert all(cv2.imread(path) is not None for path in sample['img_path'])


def sample_val(videos, every=6):
    """Annotations of some frames of the demo's val videos, without drawing them."""
    people, heights = [], []
    for index in range(videos):
        scene = make_scene(0, 'val', index, (320, 240), 24, 'standard')
        times = subframe_times(scene)
        for frame in range(0, 24, every):
            geometry = scene.geometry(scene.light.times[frame : frame + 1])
            path = scene.keypoints(times[frame])[1]
            travel = np.linalg.norm(path.max(0) - path.min(0), axis=-1)
            rendered = RenderedFrame(
                frame, None, geometry, travel, float(scene.light.defocus[frame])
            )
            people.extend(annotate(scene, rendered)[0])
            for person in scene.people:
                distance = np.linalg.norm(person.position(scene.light.times[frame : frame + 1]))
                heights.append(scene.lens.focal * person.body.height / distance)
    return people, np.array(heights)


def test_standard_difficulty_is_hard_and_people_are_60_to_240_pixels_tall():
    people, heights = sample_val(12)
    facts = statistics(people)
    assert facts['joints'] > 1000
    assert facts['occluded'] >= 0.2
    assert facts['blurred'] >= 0.2
    # Time has something to give only if most joints can be seen.
    assert facts['occluded_or_blurred'] <= 0.7
    assert heights.min() >= 59.9 and heights.max() <= 240.1
    assert heights.min() < 90 and heights.max() > 190


def test_manifest_tells_arguments_and_statistics(small):
    root, manifest = small
    assert manifest == json.loads((root / 'synthetic.json').read_text())
    assert manifest['complete'] is True
    assert manifest['arguments'] == dict(
        train_videos=2,
        val_videos=1,
        frames=3,
        size=[160, 120],
        seed=5,
        difficulty='standard',
        jpeg_quality=90,
    )
    people = json.loads((root / 'annotations/posetrack18_val.json').read_text())['annotations']
    points = np.array([p['keypoints'] for p in people]).reshape(-1, 3)[:, 2]
    flags = np.array([p['occluded'] for p in people])
    facts = manifest['statistics']['val']
    assert facts['joints'] == points.sum() and facts['frames'] == 3
    assert facts['occluded'] == pytest.approx(flags.sum() / points.sum(), abs=1e-4)


def test_killed_run_is_continued_and_complete_videos_stay(small, tmp_path):
    root = tmp_path / 'set'
    shutil.copytree(small[0], root)
    kept = root / 'images/train/000000_synthetic/000000.jpg'
    before = kept.stat().st_mtime_ns
    # Killed while drawing one video, after the images but before the json of another.
    part = root / 'images/train/.000001_synthetic.part'
    shutil.move(root / 'images/train/000001_synthetic', part)
    (part / '000002.jpg').write_bytes(b'half')
    (root / 'annotations/train/000001_synthetic.json').unlink()
    (root / 'annotations/val/500000_synthetic.json').unlink()
    for split in ('train', 'val'):
        (root / f'annotations/posetrack18_{split}.json').unlink()
    synthesize(root, **SMALL)
    assert digest(root) == digest(small[0])
    assert kept.stat().st_mtime_ns == before


@pytest.mark.parametrize('change', [dict(seed=6), dict(frames=4), dict(difficulty='easy')])
def test_refuses_to_mix_two_data_sets(small, change):
    before = digest(small[0])
    with pytest.raises(ValueError, match='made with arguments .*choose another folder'):
        synthesize(small[0], **{**SMALL, **change})
    assert digest(small[0]) == before


def test_refuses_the_work_of_another_revision(small, monkeypatch):
    written_by = generate.GENERATOR_REVISION
    monkeypatch.setattr(generate, 'GENERATOR_REVISION', 99)
    with pytest.raises(ValueError, match=f'made with revision {written_by}, which is not the 99'):
        synthesize(small[0], **SMALL)


def test_refuses_folders_that_are_not_its_own(tmp_path):
    (tmp_path / 'thesis.txt').write_text('years of work')
    with pytest.raises(ValueError, match='not empty and has no synthetic.json'):
        synthesize(tmp_path, **SMALL)
    (tmp_path / 'synthetic.json').write_text('{"a"')
    with pytest.raises(ValueError, match='not a manifest'):
        synthesize(tmp_path, **SMALL)


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(train_videos=-1), 'train_videos is -1'),
        (dict(frames=0), 'frames is 0'),
        (dict(frames=10000), 'frames is 10000'),
        (dict(size=(320, 20)), 'size is'),
        (dict(size=(320, 240, 3)), 'size is'),
        (dict(seed=-3), 'seed is -3'),
        (dict(seed=0.5), 'seed is 0.5'),
        (dict(difficulty='brutal'), "difficulty is 'brutal'.*easy"),
        (dict(jpeg_quality=0), 'jpeg_quality is 0'),
        (dict(workers=0), 'workers is 0'),
        (dict(train_videos=0, val_videos=0), 'nothing to write'),
    ],
)
def test_bad_arguments_are_named_and_nothing_is_written(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        synthesize(tmp_path / 'set', **{**SMALL, **change})
    assert not (tmp_path / 'set').exists()


def test_command_line_writes_and_tells_the_hard_shares(tmp_path, capsys):
    out = str(tmp_path / 'set')
    main(
        [
            '--out',
            out,
            '--preset',
            'smoke',
            '--train-videos',
            '0',
            '--frames',
            '2',
            '--size',
            '160',
            '120',
            '--workers',
            '1',
        ]
    )
    text = capsys.readouterr().out
    assert 'val: 1 videos, 2 frames' in text and '% occluded' in text and '% blurred' in text
    with pytest.raises(SystemExit, match='synthesize: .*made with arguments'):
        main(['--out', out, '--preset', 'smoke'])


def test_full_preset_is_a_hundred_thousand_frames():
    train, val, frames = PRESETS['full']
    assert abs((train + val) * frames - 100000) < 100
