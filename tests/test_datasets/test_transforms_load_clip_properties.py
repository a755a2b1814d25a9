"""LoadClip on random clips with random damage, and what is done to a clip afterwards."""

import cv2
import numpy as np
import pytest
from hypothesis import strategies as st
from mmengine.dataset import Compose
from mmpose.datasets.transforms import GetBBoxCenterScale, RandomBBoxTransform, TopdownAffine
from property_cases import cases

from diffpose_mm.datasets import ClipRandomFlip, LoadClip
from diffpose_mm.images import damage_of

SIZE = (16, 12)
NUM_FRAMES = 9
STATES = [*['good'] * 5, 'missing', 'empty', 'cut', 'noise', 'folder', 'larger']
KINDS = dict(
    missing='missing', empty='empty', cut='broken', noise='broken', folder='unreadable',
    larger='size',
)  # fmt: skip
OFFSETS = st.lists(st.integers(-7, 7).filter(bool), min_size=2, max_size=5, unique=True).map(
    lambda offsets: sorted([*offsets, 0])
)


def picture(number, size=SIZE):
    return np.full((size[1], size[0], 3), 20 * number + 5, np.uint8)


def write_video(folder, states, cut):
    """Numbered frames of one grey each, in their states."""
    for number, state in enumerate(states):
        path = folder / f'{number:06d}.jpg'
        size = (SIZE[0] + 4, SIZE[1]) if state == 'larger' else SIZE
        data = cv2.imencode('.jpg', picture(number, size))[1].tobytes()
        if state == 'folder':
            path.mkdir()
        elif state != 'missing':
            cut_at = max(int(cut * len(data)), 1)
            written = dict(empty=b'', cut=data[:cut_at], noise=b'\7' * 99)
            path.write_bytes(written.get(state, data))


@cases(
    st.lists(st.sampled_from(STATES), min_size=NUM_FRAMES, max_size=NUM_FRAMES),
    st.lists(st.tuples(st.integers(0, NUM_FRAMES - 1), OFFSETS), min_size=4, max_size=12),
    st.floats(0.01, 0.99),
    st.sampled_from([0, 0.001, 256]),
)
def test_a_clip_is_its_frames_and_the_nearest_good_ones(
    tmp_path_factory, states, clips, cut, cache_mb
):
    """Whatever was loaded before, every place holds the wanted frame or the nearest in time."""
    folder = tmp_path_factory.mktemp('video')
    write_video(folder, states, cut)
    load = LoadClip(cache_mb=cache_mb)
    for keyframe, offsets in clips:
        used = [min(max(keyframe + offset, 0), NUM_FRAMES - 1) for offset in offsets]
        outside = [u != keyframe + offset for u, offset in zip(used, offsets)]
        results = dict(
            clip_paths=[str(folder / f'{n:06d}.jpg') for n in used],
            keyframe_index=offsets.index(0), frame_offsets=tuple(offsets),
            clip_replicated=list(outside),
        )  # fmt: skip
        if states[keyframe] not in ('good', 'larger'):
            with pytest.raises(OSError, match=f'keyframe .*{keyframe:06d}.jpg'):
                load(results)
            continue
        bad = [states[n] not in ('good', 'larger') or (states[n] != states[keyframe]) for n in used]
        results = load(results)
        good = [i for i in range(len(used)) if not bad[i]]
        for i, number in enumerate(used):
            distances = [(abs(offsets[j] - offsets[i]), abs(offsets[j]), j) for j in good]
            place = min(distances)[2] if bad[i] else i
            grey = int(results['img'][i][0, 0, 0])
            assert abs(grey - (20 * used[place] + 5)) <= 1, (i, number, grey)
            assert results['img'][i].shape == results['img'][offsets.index(0)].shape
            assert results['clip_paths'][i].endswith(f'{used[place]:06d}.jpg')
            assert results['clip_replicated'][i] == (outside[i] or bad[i])
        sizes = {'good', 'larger'}
        expected = [
            'size' if states[n] in sizes else KINDS[states[n]] for n, b in zip(used, bad) if b
        ]
        assert [kind for kind, *_ in results['clip_faults']] == expected
        assert results['img_path'].endswith(f'{keyframe:06d}.jpg')


@cases(st.integers(0, 2**32 - 1), st.integers(1, 5), st.floats(0, 1), st.floats(0, 180))
def test_all_frames_of_a_clip_are_flipped_and_warped_alike(seed, num_frames, flip, rotation):
    """Each frame of a clip comes out as it does alone, and joints move with their frame."""
    rng = np.random.default_rng(seed)
    width, height = rng.integers(8, 80, 2).tolist()
    frames = list(rng.integers(0, 256, (num_frames, height, width, 3), dtype=np.uint8))
    keypoints = rng.uniform(0, (width, height), (1, 17, 2)).astype(np.float32)
    box = np.array([[0.1 * width, 0.1 * height, 0.9 * width, 0.8 * height]], np.float32)
    steps = Compose([
        LoadClip(), GetBBoxCenterScale(), ClipRandomFlip(prob=float(flip)),
        RandomBBoxTransform(rotate_factor=rotation), TopdownAffine((48, 64), use_udp=True),
    ])  # fmt: skip

    def run(images):
        np.random.seed(seed % 2**31)
        return steps(
            dict(
                img=[image.copy() for image in images], keyframe_index=0, bbox=box.copy(),
                bbox_score=np.ones(1, np.float32), keypoints=keypoints.copy(),
                keypoints_visible=np.ones((1, 17), np.float32), flip_indices=list(range(17)),
            )
        )  # fmt: skip

    clip = run(frames)
    assert len(clip['img']) == num_frames
    for image, frame in zip(clip['img'], frames):
        alone = run([frame])
        np.testing.assert_array_equal(image, alone['img'][0])
        np.testing.assert_array_equal(clip['transformed_keypoints'], alone['transformed_keypoints'])


@cases(st.integers(0, 2**32 - 1), st.integers(1, 90), st.integers(1, 90), st.integers(5, 100),
       st.booleans(), st.data())  # fmt: skip
def test_a_jpeg_is_sound_and_any_part_of_it_is_not(seed, width, height, quality, progressive, data):
    """Broken if a cut is taken for a picture, or a sound picture for a broken one."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    if data.draw(st.booleans()):
        pixels = cv2.blur(pixels, (5, 5))
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_PROGRESSIVE, int(progressive)]
    flags += [cv2.IMWRITE_JPEG_RST_INTERVAL, data.draw(st.sampled_from([0, 1, 7]))]
    content = cv2.imencode('.jpg', pixels, flags)[1].tobytes()
    assert damage_of(content) is None
    cut = content[: data.draw(st.integers(0, len(content) - 1))]
    padding = data.draw(st.integers(0, len(content) - len(cut)))
    damage = damage_of(cut + bytes(padding))
    # Less than two bytes, or two that are none of a JPEG, say nothing of what the file was.
    assert damage is not None or len(cut) < 2
