import errno
import logging
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine import fileio

from diffpose_mm.datasets import LoadClip, PoseTrack18ClipDataset
from diffpose_mm.datasets.transforms import FrameCache
from diffpose_mm.images import damage_of

ANN = 'annotations/posetrack18_val.json'


@pytest.fixture
def video(write_posetrack):
    """Paths of five frames, 64x48."""
    root = write_posetrack(num_videos=1, nframes=5)
    return [str(root / f'images/val/000000_test/{number:06d}.jpg') for number in range(5)]


@pytest.fixture
def warnings_logged(monkeypatch):
    messages = []
    monkeypatch.setattr(
        'mmengine.logging.MMLogger.warning', lambda self, message: messages.append(message)
    )
    return messages


def clip(paths, keyframe=2, offsets=(-2, -1, 0, 1, 2)):
    return dict(
        clip_paths=list(paths), keyframe_index=keyframe, frame_offsets=offsets,
        clip_replicated=[False] * len(paths), img_path=paths[keyframe], id=1, img_id=2,
    )  # fmt: skip


def read(path):
    return cv2.imread(path)


def test_frames_come_decoded_in_the_order_of_their_paths(video):
    results = LoadClip()(clip(video))
    assert isinstance(results['img'], list)
    for frame, path in zip(results['img'], video):
        np.testing.assert_array_equal(frame, read(path))
        assert frame.dtype == np.uint8
    assert results['img_path'] == video[2]
    assert results['clip_paths'] == video
    assert results['clip_replicated'] == [False] * 5
    assert results['img_shape'] == results['ori_shape'] == (48, 64)


def test_each_frame_is_decoded_once_for_all_persons_and_windows(write_posetrack):
    root = write_posetrack(num_videos=2, nframes=8, persons=3)
    data = PoseTrack18ClipDataset(ann_file=ANN, data_root=str(root), pipeline=[LoadClip()])
    decodes = [sample['clip_decodes'] for sample in data]
    assert len(decodes) == 2 * 8 * 3 and sum(decodes) == 2 * 8


def test_without_a_cache_a_repeated_frame_is_still_decoded_once_a_clip(video):
    load = LoadClip(cache_mb=0)
    for _ in range(2):
        assert load(clip([video[0], video[0], video[0], video[1], video[2]]))['clip_decodes'] == 3


def test_the_cache_keeps_its_bound_and_the_frames_used_last():
    frame = np.zeros((10, 10, 3), np.uint8)
    cache = FrameCache(max_bytes=1000)
    for name in 'abc':
        cache.put(name, frame)
    cache.get('a')
    cache.put('d', frame)
    assert [name for name in 'abcd' if cache.get(name) is not None] == ['a', 'c', 'd']
    assert cache.num_bytes == 900 and len(cache) == 3
    cache.put('large', np.zeros(2000, np.uint8))
    cache.put('d', frame)
    assert cache.num_bytes == 900 and cache.get('large') is None


def test_the_cache_bounds_the_frames_of_a_long_video(write_posetrack):
    root = write_posetrack(num_videos=1, nframes=40, persons=1)
    load = LoadClip(cache_mb=8 * 64 * 48 * 3 / 2**20)
    data = PoseTrack18ClipDataset(ann_file=ANN, data_root=str(root), pipeline=[load])
    decodes = 0
    for sample in data:
        decodes += sample['clip_decodes']
        assert len(load._cache) <= 8
    assert decodes == 40


def test_frames_cannot_be_changed_in_the_cache(video):
    results = LoadClip()(clip(video))
    with pytest.raises(ValueError, match='read-only'):
        results['img'][0][:] = 0


def test_workers_get_a_copy_without_the_frames(video):
    load = LoadClip(num_frames=5, cache_mb=3)
    load(clip(video))
    copy = pickle.loads(pickle.dumps(load))
    assert copy.cache_mb == 3
    assert copy(clip(video))['clip_decodes'] == 5


def save(path, **kwargs):
    rng = np.random.default_rng(3)
    noise = rng.integers(0, 256, (48, 64, 3), dtype=np.uint8)
    flags = [item for pair in kwargs.items() for item in pair]
    cv2.imwrite(path, noise, [getattr(cv2, f) if isinstance(f, str) else f for f in flags])
    with open(path, 'rb') as file:
        return file.read()


@pytest.mark.parametrize('share', [0.05, 0.3, 0.6, 0.9, 0.995])
@pytest.mark.parametrize('progressive', [0, 1])
def test_truncated_jpegs_are_noticed(tmp_path, share, progressive):
    """cv2.imread gives a picture with a grey rest for them, and says nothing."""
    data = save(str(tmp_path / 'a.jpg'), IMWRITE_JPEG_PROGRESSIVE=progressive)
    assert damage_of(data) is None
    cut = data[: int(len(data) * share)]
    assert damage_of(cut) == 'is a truncated JPEG'
    assert damage_of(cut + bytes(len(data) - len(cut))) == 'is a truncated JPEG'


def test_truncated_pngs_and_empty_files_are_noticed(tmp_path):
    data = save(str(tmp_path / 'a.png'))
    assert damage_of(data) is None
    assert damage_of(data[: len(data) // 2]) == 'is a truncated PNG'
    assert damage_of(b'') == 'is empty'


def test_a_thumbnails_end_marker_does_not_count(tmp_path):
    data = save(str(tmp_path / 'a.jpg'))
    thumbnail = save(str(tmp_path / 'b.jpg'))
    segment = b'\xff\xe1' + (len(thumbnail) + 2).to_bytes(2, 'big') + thumbnail
    with_thumbnail = data[:2] + segment + data[2:]
    assert damage_of(with_thumbnail) is None
    assert damage_of(with_thumbnail[:-100]) == 'is a truncated JPEG'


def test_a_jpeg_whose_middle_is_overwritten_is_noticed(tmp_path):
    """Its end marker is in place, and cv2 says nothing."""
    data = save(str(tmp_path / 'a.jpg'))
    rng = np.random.default_rng(0)
    noticed = 0
    for start in rng.integers(700, len(data) - 1600, 50).tolist():
        damaged = data[:start] + rng.bytes(1500) + data[start + 1500 :]
        silent = cv2.imdecode(np.frombuffer(damaged, np.uint8), cv2.IMREAD_COLOR) is not None
        noticed += silent and damage_of(damaged) is not None
    assert noticed >= 45


def test_files_are_checked_without_being_kept(video, tmp_path):
    """Broken if a keyframe that cannot be read is found only when a test comes to it."""
    folder = tmp_path / 'images/val/000000_test'
    truncated(folder / '000001.jpg')
    missing(folder / '000003.jpg')
    load = LoadClip()
    assert load.check_files(video) == [
        ('broken', video[1], 'is a truncated JPEG'), ('missing', video[3], 'does not exist')
    ]  # fmt: skip
    assert load(clip([video[i] for i in (0, 2, 2, 2, 4)]))['clip_decodes'] == 3


def test_bytes_after_the_end_of_a_jpeg_are_no_damage(tmp_path):
    assert damage_of(save(str(tmp_path / 'a.jpg')) + b'\0\0 written by a camera') is None


def missing(path):
    path.unlink()


def empty(path):
    path.write_bytes(b'')


def truncated(path):
    path.write_bytes(path.read_bytes()[:-300])


def no_image(path):
    path.write_text('<html>404</html>')


def other_size(path):
    cv2.imwrite(str(path), np.zeros((20, 30, 3), np.uint8))


def a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    'damage, expected, reason',
    [
        (missing, 'missing', 'does not exist'),
        (empty, 'empty', 'is empty'),
        (truncated, 'broken', 'is a truncated JPEG'),
        (no_image, 'broken', 'is not an image that can be decoded'),
        (other_size, 'size', 'is 30x20 pixels but its keyframe is 64x48'),
        (a_folder, 'unreadable', 'cannot be read'),
    ],
)
def test_a_broken_neighbour_is_replaced_marked_counted_and_warned_of_once(
    video, tmp_path, warnings_logged, damage, expected, reason
):
    damage(tmp_path / video[4][len(str(tmp_path)) + 1 :])
    load = LoadClip()
    for _ in range(3):
        results = load(clip(video))
        assert results['clip_replicated'] == [False] * 4 + [True]
        ((kind, path, why),) = results['clip_faults']
        assert (kind, path) == (expected, video[4]) and reason in why
        assert results['clip_paths'] == [*video[:4], video[3]]
        np.testing.assert_array_equal(results['img'][4], read(video[3]))
    assert len(warnings_logged) == 1
    assert video[4] in warnings_logged[0] and reason in warnings_logged[0]


def test_a_broken_frame_is_replaced_by_the_nearest_in_time_not_in_place(video, tmp_path):
    """With offsets (-7, -2, 0, 1, 2) the second is nearer to the keyframe than to the first."""
    (tmp_path / 'images/val/000000_test/000001.jpg').unlink()
    results = LoadClip()(clip(video, offsets=(-7, -2, 0, 1, 2)))
    np.testing.assert_array_equal(results['img'][1], read(video[2]))

    # Of two that are equally near, the one nearer to the keyframe.
    results = LoadClip()(clip(video))
    np.testing.assert_array_equal(results['img'][1], read(video[2]))


def test_a_clip_whose_neighbours_are_all_missing_is_its_keyframe(video, tmp_path):
    for number in (0, 1, 3, 4):
        (tmp_path / f'images/val/000000_test/00000{number}.jpg').unlink()
    results = LoadClip()(clip(video))
    assert results['clip_paths'] == [video[2]] * 5
    assert results['clip_replicated'] == [True, True, False, True, True]
    assert results['clip_decodes'] == 1


def failing_disk(monkeypatch, error, paths):
    """Reading of some files fails as that of a network disk that is away."""
    get = fileio.get

    def fail(path, **kwargs):
        if path in paths:
            raise error
        return get(path, **kwargs)

    monkeypatch.setattr(fileio, 'get', fail)


@pytest.mark.parametrize('error', [
    OSError(errno.ESTALE, 'Stale file handle'), TimeoutError('timed out'),
    FileNotFoundError(errno.ENOENT, 'No such file'),
])  # fmt: skip
def test_a_disk_that_was_away_is_used_when_it_is_back(video, monkeypatch, error):
    """Broken if a second without the network costs a worker the file for the rest of its life."""
    load = LoadClip()
    with monkeypatch.context() as context:
        failing_disk(context, error, [video[4]])
        assert load(clip(video))['clip_replicated'][4]
    results = load(clip(video))
    assert results['clip_replicated'] == [False] * 5 and not results['clip_faults']
    np.testing.assert_array_equal(results['img'][4], read(video[4]))


@pytest.mark.parametrize('damage', [truncated, empty, no_image])
def test_broken_bytes_are_read_again_only_when_the_file_has_changed(video, monkeypatch, damage):
    """Broken if a restored file is not used, or if a broken one is decoded for every sample."""
    path = Path(video[4])
    good = path.read_bytes()
    damage(path)
    load = LoadClip()
    assert load(clip(video))['clip_faults']
    with monkeypatch.context() as context:
        failing_disk(context, AssertionError('was read again'), [video[4]])
        assert load(clip(video))['clip_faults']
    path.write_bytes(good)
    assert not load(clip(video))['clip_faults']


def test_many_broken_files_do_not_flood_the_log(tmp_path, video, warnings_logged):
    load = LoadClip()
    for number in range(100):
        load(clip([str(tmp_path / f'{number}.jpg'), video[0]], keyframe=1, offsets=(-1, 0)))
    assert len(warnings_logged) == 20
    assert 'further warnings are suppressed' in warnings_logged[-1]


def test_warnings_reach_mmengines_log(video, tmp_path, caplog):
    (tmp_path / 'images/val/000000_test/000000.jpg').unlink()
    from mmengine.logging import MMLogger

    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.WARNING):
        LoadClip()(clip(video))
    logger.removeHandler(caplog.handler)
    assert '000000.jpg does not exist' in caplog.text


def test_a_broken_keyframe_is_an_error_that_names_the_file(video, tmp_path):
    truncated(tmp_path / 'images/val/000000_test/000002.jpg')
    with pytest.raises(OSError, match=r'000002\.jpg is a truncated JPEG \(sample id 1, img_id 2\)'):
        LoadClip()(clip(video))


@pytest.mark.parametrize(
    'kwargs, results, message',
    [
        (dict(num_frames=3), clip(list('abcde')), '5 frames but num_frames=3'),
        (dict(), clip(list('abc'), keyframe=0, offsets=(0, 1, 2)) | dict(keyframe_index=3),
         'keyframe_index=3 lies outside a clip of 3 frames'),
        (dict(), clip(list('abc'), offsets=(0, 1)), 'frame_offsets'),
        (dict(), dict(id=1), 'needs clip_paths'),
        (dict(), dict(img=[np.zeros((2, 2, 3)), np.zeros((3, 2, 3))]), 'one size'),
        (dict(num_frames=3), dict(img=[np.zeros((2, 2, 3))] * 2), '2 frames but num_frames=3'),
    ],
)  # fmt: skip
def test_clips_of_the_wrong_make_are_refused(kwargs, results, message):
    with pytest.raises(ValueError, match=message):
        LoadClip(**kwargs)(results)


@pytest.mark.parametrize('kwargs', [dict(num_frames=0), dict(cache_mb=-1)])
def test_wrong_arguments_are_refused_by_name(kwargs):
    with pytest.raises(ValueError, match=next(iter(kwargs))):
        LoadClip(**kwargs)


def test_frames_in_memory_are_taken_as_they_are():
    """The inferencer has decoded its frames already."""
    frames = [np.full((4, 6, 3), i, np.uint8) for i in range(3)]
    results = LoadClip(num_frames=3)(dict(img=frames, img_path='v.mp4', keyframe_index=2))
    assert [frame[0, 0, 0] for frame in results['img']] == [0, 1, 2]
    assert results['frame_offsets'] == (-2, -1, 0)
    assert results['clip_replicated'] == [False] * 3
    assert results['img_path'] == 'v.mp4' and results['img_shape'] == (4, 6)


def test_a_single_picture_becomes_a_clip_of_itself(video):
    """MMPoseInferencer knows no neighbours: it gives an array or a path."""
    for source in (dict(img=read(video[0])), dict(img_path=video[0])):
        results = LoadClip(num_frames=3)(source)
        assert len(results['img']) == 3 and results['keyframe_index'] == 1
        assert results['clip_replicated'] == [True, False, True]
        np.testing.assert_array_equal(results['img'][2], read(video[0]))


def test_a_jpeg_that_claims_more_pixels_than_can_be_decoded_is_broken(video):
    """Broken if such a header, at which cv2 raises, ended the training."""
    with open(video[1], 'rb') as file:
        data = bytearray(file.read())
    size = data.find(b'\xff\xc0') + 5
    data[size : size + 4] = b'\xff\xdc\xff\xdc'
    with open(video[1], 'wb') as file:
        file.write(data)
    results = LoadClip()(clip(video))
    assert [fault[:2] for fault in results['clip_faults']] == [('broken', video[1])]
    assert LoadClip().check_files(video)[0][:2] == ('broken', video[1])
