"""What may be given as input, and what is wrong with it."""

import cv2
import numpy as np
import pytest
from apis_helpers import (
    BOXES,
    assert_close_poses,
    moving_frames,
    points,
    read_json,
    read_video,
    write_video,
)

from diffpose_mm import video_reader
from diffpose_mm.apis import DiffPoseInferencer, live_sources
from diffpose_mm.engine.checkpoint import CheckpointError


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
        live_sources.cv2, 'VideoCapture', lambda s: capture(video if isinstance(s, int) else s)
    )
    for inputs in ('webcam', 'webcam:1', 0):
        results = list(inferencer(inputs, out_dir=str(tmp_path / str(inputs)[-1]), batch_size=8))
        assert len(results) == 7
        assert results[3]['frames'][0].pop('time') > 0
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


def test_names_that_are_not_there(inferencer, tiny_model):
    with pytest.raises(FileNotFoundError, match='input nowhere.mp4 does not exist'):
        next(inferencer('nowhere.mp4'))
    with pytest.raises(FileNotFoundError, match='nowhere.py does not exist.*diffpose_posetr'):
        DiffPoseInferencer('nowhere.py')
    with pytest.raises(CheckpointError, match=r'nowhere.pth does not exist'):
        DiffPoseInferencer(tiny_model[0], 'nowhere.pth')
    with pytest.raises(OSError, match='webcam 77 cannot be opened'):
        next(inferencer('webcam:77'))


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


def test_a_broken_picture_among_others_is_a_gap(inferencer, tmp_path):
    """Broken if one bad picture ends a run, or shifts the numbers of those after it."""
    for t, image in enumerate(moving_frames(4)):
        cv2.imwrite(str(tmp_path / f'{t}.jpg'), image)
    whole = (tmp_path / '1.jpg').read_bytes()
    (tmp_path / '1.jpg').write_bytes(whole[: len(whole) // 2])
    paths = [str(tmp_path / f'{t}.jpg') for t in range(4)]
    for inputs in (str(tmp_path), paths):
        run = inferencer(inputs, out_dir=str(tmp_path / 'out'), bboxes=BOXES)
        results = list(run)
        assert [r['frames'][0]['frame_id'] for r in results] == [0, 1, 2, 3]
        assert '1.jpg is a truncated JPEG' in results[1]['frames'][0]['fault']
        assert results[1]['predictions'] == [[]]
        boxes = [r['predictions'][0][0]['bbox'][0] for r in (results[0], *results[2:])]
        assert boxes == [BOXES[0][0], BOXES[2][0], BOXES[3][0]]
        assert (run.num_frames, run.num_faults) == (4, 1)
        assert not (tmp_path / 'out' / 'predictions' / '1.json').exists()
    clip = list(inferencer(str(tmp_path), as_clip=True, out_dir=str(tmp_path / 'clip')))
    assert clip[2]['frames'][0]['frames_used'] == [0, 2, 2, 3, 3]
    assert clip[2]['frames'][0]['replicated'] == [False, True, False, False, True]
    (path,) = (tmp_path / 'clip' / 'predictions').iterdir()
    entries = read_json(path)
    assert [e['frame_id'] for e in entries] == [0, 1, 2, 3]
    assert [e['frame_id'] for e in entries if 'fault' in e] == [1]
    (video,) = (tmp_path / 'clip' / 'visualizations').iterdir()
    assert len(read_video(video)) == 4, 'numbers in the drawn video are those of the predictions'


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
    monkeypatch.setattr(video_reader, 'print_log', lambda text, **_: said.append(text))
    results = list(inferencer(path, out_dir=str(tmp_path)))
    assert 5 <= len(results) <= 12
    assert len(read_json(tmp_path / 'predictions' / 'long.json')) == len(results)
    announced = cv2.VideoCapture(path).get(cv2.CAP_PROP_FRAME_COUNT)
    if name.endswith('mp4'):
        assert announced == 20
    if announced > 12:
        frames = f'ends after {len(results)} of the {announced:.0f} frames'
        seconds = f'ends at {results[-1]["frames"][0]["time"]:.1f} s of the {announced / 10:.1f} s'
        assert any(frames in text or seconds in text for text in said)


def test_an_mp4_without_its_index_is_said_to_be_cut_short(inferencer, tmp_path):
    path = write_video(tmp_path / 'long.mp4', moving_frames(20))
    data = open(path, 'rb').read()
    with open(path, 'wb') as file:
        file.write(data[: len(data) // 2])
    with pytest.raises(ValueError, match='long.mp4 .* cut short .*mp4 without the index'):
        next(inferencer(path))


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
