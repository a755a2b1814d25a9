"""Official downloads of PoseTrack17, 18 and 21: converted, checked, trained and evaluated on."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from official_posetrack import (
    NAME_OF_ID,
    ORDER18,
    WRITERS,
    load,
    make_truth,
    write_posetrack17,
    write_posetrack18,
)

from diffpose_mm.datasets import PoseTrack17ClipDataset, PoseTrack18ClipDataset
from diffpose_mm.datasets.transforms import LoadClip
from diffpose_mm.evaluation import (
    PoseTrackAP,
    evaluate_poses,
    load_ground_truth,
    predicted_poses,
    write_submission,
)
from diffpose_mm.evaluation.posetrack_protocol import JOINTS, TruePoses
from diffpose_mm.posetrack import prepare
from diffpose_mm.tools.prepare_posetrack import main

CONFIGS = Path(__file__).parents[2] / 'configs'


SAMPLE = Path(__file__).parents[3] / 'shared/data/posetrack18_sample'


def persons_of(content):
    """Frame number of each video, in order, with its persons: joints by name, head, box, track."""
    found = []
    for image in sorted(content['images'], key=lambda image: image['file_name']):
        people = []
        for ann in (a for a in content['annotations'] if a['image_id'] == image['id']):
            triplets = np.reshape(ann['keypoints'], (17, 3))
            joints = {n: t[:2].tolist() for n, t in zip(ORDER18, triplets) if t.any()}
            assert all(t[2] == 1 for t in triplets if t.any())
            assert ann['num_keypoints'] == len(joints)
            people.append((joints, ann['bbox_head'], ann['track_id'], ann['bbox']))
        found.append((image['is_labeled'], people, image['ignore_regions_x']))
    return found


@pytest.mark.parametrize('form', ['17 json', '17 mat', '18', '21'])
def test_all_forms_hold_the_same_truth(form, tmp_path):
    """Broken if a form is misread: joints, left and right, head boxes, regions, labels, tracks."""
    truth = make_truth()
    year = int(form[:2])
    if year == 17:
        write_posetrack17(tmp_path / 'src', truth, form=form[3:])
    else:
        write_posetrack18(tmp_path / 'src', truth, year=year)
    report = prepare(year, tmp_path / 'src', tmp_path / 'out', splits=['val'])
    assert not any(report.found.values())
    frames = [frame for video in truth for frame in video]
    found = persons_of(load(tmp_path / 'out', year))
    for frame, (labelled, people, regions) in zip(frames, found, strict=True):
        assert labelled is frame['labelled']
        assert regions == ([[x for x, _ in frame['region']]] if frame['region'] else [])
        for person, (joints, head, track, box) in zip(frame['people'], people, strict=True):
            assert joints == person['joints'] and track == person['track']
            x1, y1, x2, y2 = person['head']
            assert head == [x1, y1, x2 - x1, y2 - y1]
            points = np.array(list(joints.values()))
            extent = np.ptp(points, axis=0)
            np.testing.assert_allclose(box[2:], 1.3 * extent)
            np.testing.assert_allclose(np.add(box[:2], np.divide(box[2:], 2)),
                                       points.min(0) + extent / 2)  # fmt: skip
    facts = report.facts['val']
    assert facts['frames'] == 14 and facts['labelled_frames'] == 8
    assert facts['persons'] == facts['samples'] == 16
    assert facts['keypoints'] == sum(len(p['joints']) for f in frames for p in f['people'])


def test_joints_of_posetrack17_keep_their_side(tmp_path):
    """Broken if left and right, or neck and nose, change places against mmpose's PoseTrack18."""
    truth = make_truth(videos=1, persons=1)
    joints = {name: [40 + 5 * i, 20 + 3 * i] for i, name in NAME_OF_ID.items()}
    for frame in truth[0]:
        for person in frame['people']:
            person['joints'] = joints
    write_posetrack17(tmp_path / 'src', truth)
    prepare(17, tmp_path / 'src', tmp_path / 'out', splits=['val'])
    dataset = PoseTrack17ClipDataset(
        ann_file='annotations/posetrack17_val.json', data_root=str(tmp_path / 'out'), test_mode=True
    )
    names = dataset.metainfo['keypoint_id2name']
    info = dataset.get_data_info(0)
    for place, (x, y) in enumerate(info['keypoints'][0].tolist()):
        if names[place].endswith('ear'):
            assert (x, y, info['keypoints_visible'][0, place]) == (0, 0, 0)
        else:
            assert [x, y] == joints[names[place]], names[place]
    # The official table of poseval, with which the metric works, is a third witness.
    assert list(NAME_OF_ID.values()) == list(JOINTS)


def true_poses(truth):
    """The truth as the metric's arrays, made here without any file."""
    frames = [frame for video in truth for frame in video]
    people = [(i, person) for i, frame in enumerate(frames) for person in frame['people']]
    names = NAME_OF_ID.values()
    points = np.array([[p['joints'].get(n, (0, 0)) for n in names] for _, p in people])
    corners = np.array([p['head'] for _, p in people], dtype=float)
    return TruePoses(
        frame=np.array([i for i, _ in people]),
        points=points.astype(float),
        present=np.array([[n in p['joints'] for n in names] for _, p in people]),
        head_size=0.6 * np.hypot(*(corners[:, 2:] - corners[:, :2]).T),
        ignore_regions=[[np.array(f['region'], float)] if f['region'] else [] for f in frames],
    )


@pytest.mark.parametrize('year', [17, 18, 21])
def test_a_download_trains_and_evaluates(year, tmp_path):
    """The config's data sets on a converted download: clips of the frames on disk, unlabelled ones
    among them; the metric gives 100 for the truth, and for errors what it gives on the official
    files themselves (for 2017, whose form it does not read, on the truth as arrays)."""
    truth = make_truth(seed=year)
    files = WRITERS[year](tmp_path / 'src', truth, ('train', 'val'))
    prepare(year, tmp_path / 'src', tmp_path / 'out')
    cfg = Config.fromfile(CONFIGS / f'diffpose_posetrack{year}.py')
    assert cfg.dataset_type == f'PoseTrack{year}ClipDataset'
    common = dict(data_root=str(tmp_path / 'out'), pipeline=[], _scope_='mmpose')
    from mmpose.registry import DATASETS

    train = DATASETS.build({**cfg.train_dataloader.dataset, **common})
    test = DATASETS.build({**cfg.test_dataloader.dataset, **common, 'bbox_file': None})
    assert len(train) == len(test) == 16

    first = test.get_data_info(0)  # the first labelled frame, number 2 of a video from 0
    clip = LoadClip()(first)
    assert [int(frame.mean().round()) for frame in clip['img']] == [10, 30, 50, 70, 90]
    assert not any(clip['clip_replicated'])

    metric = PoseTrackAP(
        ann_file=str(tmp_path / f'out/annotations/posetrack{year}_val.json'), nms_mode='none'
    )
    metric.dataset_meta = test.metainfo
    rng = np.random.default_rng(year)
    for spread in (0, 6):
        poses = {}
        for i in range(len(test)):
            info = test.get_data_info(i)
            keypoints = info['keypoints'] + rng.normal(0, spread, (1, 17, 2))
            scores = info['keypoints_visible'] * rng.uniform(0.3, 1, (1, 17)).round(2)
            keypoints[scores == 0] = 0
            metric.process(None, [dict(id=i, img_id=info['img_id'], pred_instances=dict(
                keypoints=keypoints, keypoint_scores=scores))])  # fmt: skip
            poses.setdefault(info['img_id'], []).append(
                dict(keypoints=keypoints[0], keypoint_scores=scores[0])
            )
        result = metric.evaluate(len(test))
        ground_truth = load_ground_truth(tmp_path / f'out/annotations/posetrack{year}_val.json')
        if year == 17:
            official = true_poses(truth)
        else:
            ground_truth = load_ground_truth(files[-1].parent)
            official = ground_truth.poses
        direct = evaluate_poses(official, predicted_poses(poses, ground_truth, ORDER18))['all']
        assert result['posetrack/AP'] == direct.mean
        for group, ap in direct.groups.items():
            assert result[f'posetrack/{group} AP'] == ap
        assert (result['posetrack/AP'] == 100) == (spread == 0)
        assert result['posetrack/AP'] > 20


def test_official_evaluation_of_2017_files_gives_the_same(tmp_path):
    """The official code on the official form against the metric on the converted file, 20 times."""
    reason = 'poseval is not installed; projects/poseval_parity/README.md says how'
    helpers = pytest.importorskip('poseval.eval_helpers', reason=reason)
    official_ap = pytest.importorskip('poseval.evaluateAP', reason=reason).evaluateAP
    convert = pytest.importorskip('poseval.convert', reason=reason)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        root = tmp_path / str(seed)
        files = write_posetrack17(root / 'src', make_truth(videos=4, frames=9, seed=seed))
        prepare(17, root / 'src', root / 'out', splits=['val'])
        content = load(root / 'out', 17)
        poses = {}
        for ann in content['annotations']:
            triplets = np.reshape(ann['keypoints'], (17, 3))
            scores = triplets[:, 2] * rng.uniform(0.1, 1, 17)
            points = (triplets[:, :2] + rng.normal(0, 6, (17, 2))) * (scores > 0)[:, None]
            pose = dict(keypoints=points, keypoint_scores=scores, score=1.0)
            poses.setdefault(ann['image_id'], []).append(pose)
        ground_truth = load_ground_truth(root / 'out/annotations/posetrack17_val.json')
        write_submission(root / 'submission', poses, ground_truth)
        frames = helpers.load_data_dir(['', f'{files[0].parent}/', f'{root}/submission/'])
        theirs = np.ravel(official_ap(*frames, None, False, False)[0])
        ours = evaluate_poses(ground_truth.poses, predicted_poses(poses, ground_truth))['all']
        np.testing.assert_array_equal(np.append(ours.ap, ours.mean), theirs)
        assert 20 < ours.mean < 90

        for file in files:
            (video,) = convert.Video.from_old(json.loads(file.read_text()))
            video = video.to_new()
            images = [image['id'] for image in content['images'] if image['video'] == file.stem]
            for image, image_id in zip(video['images'], images, strict=True):
                people = [
                    [a for a in anns if a['image_id'] == i]
                    for anns, i in (
                        (video['annotations'], image['id']),
                        (content['annotations'], image_id),
                    )
                ]
                for a, b in zip(*people, strict=True):
                    for field in ('keypoints', 'bbox_head', 'track_id'):
                        assert a[field] == b[field]
                    np.testing.assert_allclose(a['bbox'], b['bbox'])


def test_submissions_are_named_as_the_official_files(tmp_path):
    """Official evaluation pairs files by name, and those of PoseTrack17 are not the folders'."""
    files = write_posetrack17(tmp_path / 'src', make_truth())
    prepare(17, tmp_path / 'src', tmp_path / 'out', splits=['val'])
    ground_truth = load_ground_truth(tmp_path / 'out/annotations/posetrack17_val.json')
    written = write_submission(tmp_path / 'submission', {}, ground_truth)
    assert [path.name for path in written] == [path.name for path in files]


def test_frames_named_otherwise_get_numbered_links(tmp_path):
    """PoseTrack17 has videos that begin late, leave out numbers, and have names that do not end in
    a number: their neighbours are still those of their time."""
    names = ['00000058.jpg', '00000059_crop.jpg', '00000060.jpg', '00000062_crop.jpg',
             '00000063.jpg', '00000064.jpg', '00000065.jpg']  # fmt: skip
    write_posetrack17(tmp_path / 'src', make_truth(videos=1), names=names)
    report = prepare(17, tmp_path / 'src', tmp_path / 'out', splits=['val'])
    assert {kind for kind, places in report.found.items() if places} == {'frame numbers jump'}
    dataset = PoseTrack17ClipDataset(
        ann_file='annotations/posetrack17_val.json', data_root=str(tmp_path / 'out'), test_mode=True
    )
    first = dataset.get_data_info(0)  # the third frame is the first that is labelled
    assert [Path(p).name for p in first['clip_paths']] == [f'{n:08d}.jpg' for n in range(58, 63)]
    assert not any(first['clip_replicated'])
    assert [f.mean().round() for f in LoadClip()(first)['img']][:3] == [10, 30, 50]
    early = PoseTrack17ClipDataset(
        ann_file='annotations/posetrack17_val.json', data_root=str(tmp_path / 'out'),
        test_mode=True, frame_offsets=[-4, -1, 0],
    ).get_data_info(0)  # fmt: skip
    assert [Path(p).name for p in early['clip_paths']] == [f'{n:08d}.jpg' for n in (58, 59, 60)]
    assert early['clip_replicated'] == [True, False, False]
    originals = [i.get('original_file_name') for i in load(tmp_path / 'out', 17)['images']]
    assert [Path(name).name for name in originals] == names

    # Without links the names stay, and those that the data set cannot read are told.
    report = prepare(17, tmp_path / 'src', tmp_path / 'bare', splits=['val'], link=False)
    assert len(report.found['frame name without a number']) == 2 and report.needs_attention
    assert not (tmp_path / 'bare/images').exists()


def test_a_broken_file_keeps_its_split_from_being_written(tmp_path, capsys):
    """Half a validation set would give a number that looks like a result."""
    src, out = tmp_path / 'src', tmp_path / 'out'
    files = write_posetrack18(src, make_truth(), ('train', 'val'))
    arguments = ['--year', '18', '--src', str(src), '--out', str(out)]
    main(arguments)
    before = (out / 'annotations/posetrack18_val.json').read_bytes()
    good = files[-1].read_bytes()
    files[-1].write_bytes(good[:1000])
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 1
    printed = capsys.readouterr().out
    assert 'broken file: 1' in printed and f'val/{files[-1].name}' in printed
    assert 'posetrack18_train.json;' in printed and 'posetrack18_val.json' not in printed
    assert (out / 'annotations/posetrack18_val.json').read_bytes() == before

    with pytest.raises(SystemExit):
        main([*arguments, '--skip-broken'])
    assert {i['video'] for i in load(out, 18)['images']} == {files[-2].stem}
    files[-1].write_bytes(good)
    main(arguments)
    assert (out / 'annotations/posetrack18_val.json').read_bytes() == before


def test_an_image_id_of_two_videos_breaks_the_second(tmp_path):
    """The metric and the data set tell frames apart by their ids."""
    files = write_posetrack18(tmp_path / 'src', make_truth())
    shutil.copy(files[0], files[0].with_name('999999_copy.json'))
    report = prepare(18, tmp_path / 'src', tmp_path / 'out', splits=['val'])
    (place,) = report.found['broken file']
    assert '999999_copy' in place and files[0].stem in place
    assert report.written == []


def tree(root):
    return {
        str(path.relative_to(root)): (
            os.readlink(path) if path.is_symlink() else path.stat().st_mtime_ns,
            b'' if path.is_dir() else hashlib.sha256(path.read_bytes()).digest(),
        )
        for path in sorted(root.rglob('*'))
    }


@pytest.mark.parametrize('year', [17, 21])
def test_the_download_is_only_read_and_a_rerun_gives_the_same_bytes(year, tmp_path):
    src, out = tmp_path / 'src', tmp_path / 'out'
    WRITERS[year](src, make_truth(), ('train', 'val'))
    before = tree(src)
    prepare(year, src, out)
    first = {name: value[1] for name, value in tree(out).items()}
    assert {f'annotations/posetrack{year}_{s}.json' for s in ('train', 'val')} <= set(first)
    prepare(year, src, out)
    assert {name: value[1] for name, value in tree(out).items()} == first
    assert tree(src) == before
    assert not [name for name in first if name.endswith('.part')]


def test_links_go_where_the_images_are_and_replace_nothing(tmp_path):
    src, out = tmp_path / 'src', tmp_path / 'out'
    write_posetrack18(src, make_truth(videos=1))
    moved = tmp_path / 'elsewhere'
    moved.mkdir()
    (src / 'images').rename(moved / 'images')
    report = prepare(18, src, out, splits=['val'])
    assert report.needs_attention and report.found['images not found']
    assert not report.found['keyframe missing or unreadable']
    for folder in (moved, moved / 'images'):
        assert not prepare(18, src, out, images=folder, splits=['val']).needs_attention
    link = out / 'images/val/000000_mpii_test'
    assert link.resolve() == (moved / 'images/val/000000_mpii_test').resolve()
    link.unlink()
    link.mkdir()
    with pytest.raises(ValueError, match='exists and is not a link'):
        prepare(18, src, out, images=moved, splits=['val'])


def test_a_link_to_a_picture_that_is_gone_is_a_missing_picture(tmp_path):
    """Broken if one dangling link ends the work on all videos."""
    write_posetrack18(tmp_path / 'src', make_truth(videos=1))
    frame = tmp_path / 'src/images/val/000000_mpii_test/000003.jpg'
    frame.unlink()
    frame.symlink_to('nowhere.jpg')
    report = prepare(18, tmp_path / 'src', tmp_path / 'out', splits=['val'])
    (place,) = report.found['keyframe missing or unreadable']
    assert '000003.jpg is missing' in place


@pytest.mark.parametrize('inner', ['.', 'posetrack_data', 'posetrack_data/annotations'])
def test_a_download_is_found_from_any_of_its_folders(inner, tmp_path):
    """Archives are unpacked in different places; each of them is a fair --src."""
    write_posetrack17(tmp_path / 'src', make_truth(videos=1))
    report = prepare(17, tmp_path / 'src' / inner, tmp_path / 'out', splits=['val'])
    assert report.facts['val']['samples'] == 8 and not any(report.found.values())


def test_wrong_folders_are_one_line(tmp_path):
    """The user mends these: no traceback."""
    write_posetrack18(tmp_path / 'src', make_truth(videos=1))
    for arguments, message in (
        (['--src', 'nowhere', '--out', 'out'], '--src nowhere is not a folder'),
        (['--src', str(tmp_path / 'src'), '--out', 'out'], 'split "train"'),
        (['--src', str(tmp_path / 'src'), '--out', str(tmp_path / 'src/out')], 'lies in --src'),
    ):
        with pytest.raises(SystemExit, match=message):
            main(['--year', '18', *arguments])


@pytest.mark.skipif(not SAMPLE.exists(), reason='no sample of PoseTrack18')
def test_real_posetrack18_keeps_its_truth(tmp_path):
    """Three real files: the metric reads the same from the converted file as from themselves; and
    their boxes are what PoseTrack17's are made like, 1.3 times the extent of the joints."""
    prepare(18, SAMPLE, tmp_path, splits=['val'])
    ours = load_ground_truth(tmp_path / 'annotations/posetrack18_val.json')
    theirs = load_ground_truth(SAMPLE / 'annotations/val')
    assert list(ours.videos) == list(theirs.videos)
    for name in ('frame', 'points', 'present', 'head_size'):
        np.testing.assert_array_equal(getattr(ours.poses, name), getattr(theirs.poses, name))
    for a, b in zip(ours.poses.ignore_regions, theirs.poses.ignore_regions, strict=True):
        np.testing.assert_equal(a, b)
    annotations = load(tmp_path, 18)['annotations']
    assert len(annotations) == 14
    for ann in annotations:
        triplets = np.reshape(ann['keypoints'], (17, 3))
        points = triplets[triplets.any(1), :2]
        low, high = points.min(0), points.max(0)
        box = [*(low - 0.15 * (high - low)), *(1.3 * (high - low))]
        np.testing.assert_allclose(ann['bbox'], box, atol=1e-6)
    dataset = PoseTrack18ClipDataset(
        ann_file='annotations/posetrack18_val.json', data_root=str(tmp_path), test_mode=True
    )
    assert len(dataset) == 14
    assert LoadClip()(dataset.get_data_info(0))['img'][2].shape == (1080, 1920, 3)
