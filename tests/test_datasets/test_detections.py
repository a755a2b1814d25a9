"""Files of detections: every format gives the same boxes, and what is wrong is named."""

import json
from functools import partial

import pytest

from diffpose_mm.datasets.body import (
    PoseTrack17ClipDataset,
    PoseTrack18ClipDataset,
    clip_dataset,
    detections,
)
from diffpose_mm.datasets.body.detections import Detection, read_detections

ANN = 'annotations/posetrack18_val.json'
FOLDER = 'images/val/000000_test'


def images_of(root):
    """What a data set knows of its frames."""
    images = {}
    for img in json.loads((root / ANN).read_text())['images']:
        number = int(img['file_name'][-10:-4])
        images[img['id']] = dict(img, frame_number=number, frame_range=(0, img['nframes'] - 1))
    return images


def test_formats_agree(write_posetrack, tmp_path):
    """The same boxes as COCO results, by image name, as MOT text and as folders of MOT texts."""
    root = write_posetrack(num_videos=2, nframes=4)
    images = images_of(root)
    boxes = [(v, n, (1.5 + v, 2.25, 20.0, 30.0 + n), 0.5 + n / 10) for v in (0, 1) for n in (0, 3)]
    expected = [
        Detection(10_000_000 + 10_000 * v + n, box, score, track_id=7) for v, n, box, score in boxes
    ]
    coco = [
        dict(image_id=det.image_id, category_id=1, bbox=list(det.bbox), score=det.score, track_id=7)
        for det in expected
    ]
    by_name = [
        dict({k: v for k, v in det.items() if k != 'image_id'}, image_name=images[i]['file_name'])
        for det, i in ((det, det['image_id']) for det in coco)
    ]
    for name, content in (('coco.json', coco), ('results', coco), ('names.json', by_name)):
        (tmp_path / name).write_text(json.dumps(content))
        assert read_detections(str(tmp_path / name), images) == expected

    for layout in ('{}.txt', '{}/det.txt', '{}/det/det.txt'):
        folder = tmp_path / layout.replace('/', '_')
        for video in (0, 1):
            file = folder / layout.format(f'{video:06d}_test')
            file.parent.mkdir(parents=True, exist_ok=True)
            lines = [
                f'{n + 1},7,{",".join(map(str, box))},{score},-1,-1,-1'
                for v, n, box, score in boxes
                if v == video
            ]
            file.write_text('\n'.join(lines) + '\n\n')
        assert read_detections(str(folder), images) == expected


@pytest.mark.parametrize(
    'line, score, category, track',
    [
        ('2,-1,1,2,3,4', 1.0, 1, -1),
        ('2,5,1,2,3,4,-1', 1.0, 1, 5),
        (' 2, 5, 1, 2, 3, 4, 0.25 ', 0.25, 1, 5),
        ('2,5,1,2,3,4,1,3,0.8', 1.0, 3, 5),
        ('2,5,1,2,3,4,0.5,-1,-1,-1', 0.5, 1, 5),
    ],
)
def test_a_line_of_mot_text(line, score, category, track, write_posetrack, tmp_path):
    """Each number of values that trackers, detectors and the challenge write; frames from 1."""
    images = images_of(write_posetrack(num_videos=1, nframes=3))
    (tmp_path / 'det.txt').write_text(line)
    expected = Detection(10_000_001, (1, 2, 3, 4), score, category, track)
    assert read_detections(str(tmp_path / 'det.txt'), images) == [expected]


@pytest.mark.parametrize('kind, first, digits', [
    (PoseTrack18ClipDataset, 0, 6),
    (PoseTrack17ClipDataset, 1, 8),
])  # fmt: skip
def test_frame_1_is_the_videos_first(kind, first, digits, write_posetrack):
    """MOT text counts from 1, whatever the number of a video's first file is."""
    root = write_posetrack(num_videos=1, nframes=4, first=first, digits=digits)
    (root / 'det.txt').write_text('1,3,1,2,20,30,0.9\n4,4,1,2,20,30,0.8\n')
    data = kind(ann_file=ANN, bbox_file='det.txt', data_root=str(root), test_mode=True)
    infos = [data.get_data_info(i) for i in range(len(data))]
    assert [info['frame_number'] for info in infos] == [first, first + 3]
    assert [info['track_id'] for info in infos] == [3, 4]
    assert data.metainfo['box_source'] == 'detected'


def test_box_source_of_annotated_boxes(write_posetrack):
    """Without a file of detections the boxes are annotated, and results must say so."""
    root = write_posetrack(num_videos=1)
    data = PoseTrack18ClipDataset(ann_file=ANN, data_root=str(root), test_mode=True)
    assert data.metainfo['box_source'] == 'ground_truth'


def test_what_does_not_fit_is_told(write_posetrack, monkeypatch):
    """Videos without a text, texts without a video, frames beyond a video: counted, with names."""
    said = []
    for module in (detections, clip_dataset):
        monkeypatch.setattr(module, 'print_log', lambda message, *_: said.append(message))
    root = write_posetrack(num_videos=3, nframes=3)
    (root / 'mot').mkdir()
    for name in ('000000_test', '000009_other'):
        (root / f'mot/{name}.txt').write_text('1,-1,1,2,20,30,0.9\n4,-1,1,2,20,30,0.9\n')
    data = PoseTrack18ClipDataset(
        ann_file=ANN, bbox_file='mot', data_root=str(root), test_mode=True
    )
    assert len(data) == 1
    log = '\n'.join(said)
    assert '2 of 3 videos have no text and so no detections, the first being 000001_test' in log
    assert '1 entries, the first being 000009_other, are of no video' in log
    assert '1 on frames that ann_file does not list (such as frame 4 of 000000_test)' in log


def test_unknown_ids_are_in_the_summary(write_posetrack):
    """A file of another data set leaves nothing to test; the error says how many and which."""
    root = write_posetrack(num_videos=1, nframes=3)
    det = dict(image_id=77, category_id=1, bbox=[1, 2, 3, 4], score=1)
    (root / 'other.json').write_text(json.dumps([det, det]))
    with pytest.raises(ValueError, match=r'2 on frames that ann_file does not list \(such as 77\)'):
        PoseTrack18ClipDataset(
            ann_file=ANN, bbox_file='other.json', data_root=str(root), test_mode=True
        )


def test_a_track_id_of_null_is_none(write_posetrack):
    """Broken if a metric, which counts with numbers, met the null that some files have."""
    root = write_posetrack(num_videos=1, nframes=3)
    content = json.loads((root / ANN).read_text())
    for annotation in content['annotations']:
        annotation['track_id'] = None
    (root / ANN).write_text(json.dumps(content))
    (root / 'boxes.json').write_text(det(track_id=None, bbox=[1, 2, 30, 40]))
    for bbox_file in None, 'boxes.json':
        data = PoseTrack18ClipDataset(
            ann_file=ANN, bbox_file=bbox_file, data_root=str(root), test_mode=True
        )
        assert {data.get_data_info(i)['track_id'] for i in range(len(data))} == {-1}


def det(**fields):
    content = dict(image_id=10_000_000, category_id=1, bbox=[1, 2, 3, 4], score=0.5)
    return json.dumps([content, {**content, **fields}])


@pytest.mark.parametrize(
    'name, text, message',
    [
        ('a.json', '[{"image_id": 1', 'a.json is not a JSON file'),
        ('a.json', '', 'a.json is not a JSON file'),
        ('a.json', '{"annotations": []}', 'a.json has to hold a list'),
        ('a.json', '[[1, 2, 3, 4]]', 'a.json has to hold a list'),
        ('a.json', '[{"bbox": [1, 2, 3, 4]}]', "detection 0 has no field 'image_id'"),
        ('a.json', det(image_id=[1]), r'detection 1: image_id is \[1\]'),
        ('a.json', det(bbox=[1, 2, 3]), r'detection 1: bbox is \[1, 2, 3\]'),
        ('a.json', det(bbox=[1, 2, 3, None]), 'detection 1: bbox is None, not a number'),
        ('a.json', det(bbox=[1, 2, 3, float('nan')]), 'detection 1: bbox is nan'),
        ('a.json', det(track_id='7a'), "detection 1: track_id is '7a', not a whole number"),
        ('a.json', det(score='high'), "detection 1: score is 'high', not a number"),
        ('a.txt', '1,-1,1,2,3,4,1\n1 -1 1 2 3 4 1\n', 'a.txt, line 2 has 1 values.*6 to 10'),
        ('a.txt', '1,-1,1,2,3,4,1\n\n1,-1,1,2,three,4,1\n', "line 3: width is 'three'"),
        ('a.txt', '1,-1,1,2,3,4,inf', "line 1: score is 'inf', not a number"),
        ('a.txt', '0,-1,1,2,3,4,1', 'line 1: frame is 0 .*whole numbers from 1'),
        ('a.txt', '1.5,-1,1,2,3,4,1', 'line 1: frame is 1.5'),
        ('a.txt', '1,0.5,1,2,3,4,1', 'id 0.5'),
    ],
)
def test_faults_are_named(name, text, message, write_posetrack, tmp_path):
    """One error with file, line or number of the detection, and field."""
    images = images_of(write_posetrack(num_videos=1, nframes=3))
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_detections(str(tmp_path / name), images)


def test_files_that_do_not_fit_the_videos(write_posetrack, tmp_path):
    """A picture, one text for two videos, a folder without texts, nothing at all."""
    root = write_posetrack(num_videos=2, nframes=3)
    images = images_of(root)
    with pytest.raises(ValueError, match='000000.jpg is not text'):
        read_detections(str(root / FOLDER / '000000.jpg'), images)
    (tmp_path / 'det.txt').write_text('1,-1,1,2,3,4,1')
    with pytest.raises(ValueError, match='one text, but ann_file has 2 videos.*000000_test.txt'):
        read_detections(str(tmp_path / 'det.txt'), images)
    with pytest.raises(ValueError, match='without a text for any of the 2 videos'):
        read_detections(str(root / FOLDER), images)
    with pytest.raises(FileNotFoundError, match='nowhere does not exist; it may be a JSON list'):
        read_detections(str(tmp_path / 'nowhere'), images)


def in_mot_layout(root, name=lambda video: f'SEQ{video}/img1'):
    """Rename the frames of a data set as the MOT challenge has them: SEQ/img1/000001.jpg."""
    content = json.loads((root / ANN).read_text())
    for image in content['images']:
        old = root / image['file_name']
        video, number = int(old.parent.name[:6]), int(old.stem)
        image['file_name'] = f'train/{name(video)}/{number + 1:06d}.jpg'
        (root / image['file_name']).parent.mkdir(parents=True, exist_ok=True)
        old.rename(root / image['file_name'])
    (root / ANN).write_text(json.dumps(content))


@pytest.mark.parametrize('place', ['mot/{}.txt', 'train/{}/det/det.txt', 'train/{}/gt/gt.txt'])
def test_boxes_in_the_layout_of_the_mot_challenge_are_on_their_own_frames(
    write_posetrack, place, monkeypatch
):
    """Broken if SEQ1/img1 and SEQ2/img1 are one video: boxes would be on the other's frames."""
    root = write_posetrack(num_videos=3, nframes=4, persons=1)
    in_mot_layout(root)
    for video in range(3):
        file = root / place.format(f'SEQ{video}')
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [f'{n},{video},{10 * video + n},5,20,30,1,1,0.9' for n in range(1, 5)]
        file.write_text('\n'.join(lines))
        (file.parent / 'seqinfo.ini').write_text('[Sequence]')
    said = []
    monkeypatch.setattr(detections, 'print_log', lambda message, *_: said.append(message))
    data = PoseTrack18ClipDataset(
        ann_file=ANN, bbox_file=place.split('/')[0], data_root=str(root), test_mode=True
    )
    infos = [data.get_data_info(i) for i in range(len(data))]
    assert len(infos) == 12 and len({video for video, _ in data.clip_keys()}) == 3
    for info in infos:
        assert f'train/SEQ{info["track_id"]}/img1/' in info['img_path']
        assert info['bbox'][0, 0] == 10 * info['track_id'] + int(info['img_path'][-10:-4])
    assert any('annotated, not detected' in line for line in said) == ('gt.txt' in place)


def test_a_name_that_several_videos_have_is_of_none(write_posetrack, tmp_path):
    """Broken if img1.txt is taken for the boxes of every SEQ/img1."""
    root = write_posetrack(num_videos=2, nframes=3)
    in_mot_layout(root)
    (root / 'boxes').mkdir()
    (root / 'boxes/img1.txt').write_text('1,1,1,2,20,30,0.9')
    make = partial(PoseTrack18ClipDataset, ann_file=ANN, data_root=str(root), test_mode=True)
    with pytest.raises(ValueError, match='without a text for any of the 2 videos.*SEQ0.txt'):
        make(bbox_file='boxes')
    with pytest.raises(ValueError, match='one text, but ann_file has 2 videos.*SEQ0.txt'):
        make(bbox_file='boxes/img1.txt')


def test_names_of_videos_may_have_dots_and_folders_above(write_posetrack, monkeypatch):
    """Broken if clip.v1 is cut to clip, or if s0/cam1 and s1/cam1 share a text."""
    root = write_posetrack(num_videos=2, nframes=2, persons=1)
    in_mot_layout(root, lambda video: f's{video}/cam.v1')
    for video in range(2):
        (root / f'mot/s{video}/cam.v1/det').mkdir(parents=True)
        text = root / f'mot/s{video}/cam.v1/det/det.txt'
        text.write_text(f'\ufeff1,{video},1,2,20,30,0.9\r\n', encoding='utf-8')
    (root / 'mot/Thumbs.db').write_bytes(b'of Windows')
    (root / 'mot/._s0.txt').write_bytes(b'of macOS')
    said = []
    monkeypatch.setattr(detections, 'print_log', lambda message, *_: said.append(message))
    data = PoseTrack18ClipDataset(
        ann_file=ANN, bbox_file='mot', data_root=str(root), test_mode=True
    )
    infos = [data.get_data_info(i) for i in range(len(data))]
    assert [f's{info["track_id"]}/' in info['img_path'] for info in infos] == [True, True]
    assert said == []


def test_the_folder_of_one_sequence_is_its_detections(write_posetrack):
    """A sequence of the MOT challenge as it was unpacked: det/det.txt beside img1."""
    root = write_posetrack(num_videos=1, nframes=3, persons=1)
    in_mot_layout(root)
    (root / 'train/SEQ0/det').mkdir()
    (root / 'train/SEQ0/det/det.txt').write_text('2,-1,1,2,20,30,0.9')
    data = PoseTrack18ClipDataset(
        ann_file=ANN, bbox_file='train/SEQ0', data_root=str(root), test_mode=True
    )
    assert data.get_data_info(0)['img_path'].endswith('SEQ0/img1/000002.jpg')


@pytest.mark.parametrize(
    'annotated, in_file, persons',
    [
        (1, [1, 1, 2, 3], 2),
        (1, [0, 0, 1, 2], 2),  # counted from 0, where 1 is a bicycle
        (0, [0, 0, 1, 2], 2),
        (0, [1, 1, 2, 3], 2),  # COCO's numbers beside annotations counted from 0
        (5, [5, 1, 2, 5], 2),
        (5, [1, 1, 2, 3], 2),
        (1, [1.0, 1.0, 2.0, 3.0], 2),
    ],
)
def test_a_person_is_one_whatever_number_its_category_has(
    write_posetrack, annotated, in_file, persons
):
    """Broken if a file that counts from 0 loses its persons, or has bicycles tested as persons."""
    root = write_posetrack(num_videos=1, nframes=4, persons=1)
    content = json.loads((root / ANN).read_text())
    content['categories'] = [dict(id=annotated, name='person')]
    (root / ANN).write_text(json.dumps(content))
    boxes = [
        dict(image_id=float(10_000_000 + n), category_id=c, bbox=[1, 2, 20, 30], score=0.5)
        for n, c in enumerate(in_file)
    ]
    (root / 'boxes.json').write_text('\ufeff' + json.dumps(boxes), encoding='utf-8')
    data = PoseTrack18ClipDataset(
        ann_file=ANN, bbox_file='boxes.json', data_root=str(root), test_mode=True
    )
    assert len(data) == persons
    category = 0 if 0 in in_file else annotated if annotated in in_file else 1
    frames = [n for n, c in enumerate(in_file) if c == category]
    assert [data.get_data_info(i)['frame_number'] for i in range(len(data))] == frames
    (root / 'mot.txt').write_text('2,-1,1,2,20,30,0.9')
    data = PoseTrack18ClipDataset(
        ann_file=ANN, bbox_file='mot.txt', data_root=str(root), test_mode=True
    )
    assert len(data) == 1
