"""The clip dataset on random and on malformed annotations."""

import json
import os.path as osp

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from property_cases import cases, damaged

from diffpose_mm.datasets import PoseTrack18ClipDataset

PIPELINE = [
    dict(type='LoadClip'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=(24, 32), use_udp=True),
    dict(type='PackClipInputs'),
]


@cases(st.data())
def test_a_malformed_file_gives_sound_samples_or_one_error(tiny_posetrack, tmp_path_factory, data):
    """Broken if a wrong field is a KeyError, or if it gets into a crop as NaN."""
    content = json.loads((tiny_posetrack / 'annotations/posetrack18_val.json').read_text())
    file = tmp_path_factory.mktemp('annotations') / 'ann.json'
    file.write_text(json.dumps(data.draw(damaged(content))))
    try:
        dataset = PoseTrack18ClipDataset(
            ann_file=str(file), data_root=str(tiny_posetrack), pipeline=PIPELINE, test_mode=True
        )
        samples = [dataset[index] for index in range(len(dataset))]
    except FileNotFoundError as error:
        # Of an image, whose file_name is what was changed.
        assert 'keyframe' in str(error)
        return
    except ValueError as error:
        assert str(file) in str(error), error
        return
    for packed in samples:
        sample = packed['data_samples']
        assert np.isfinite(sample.gt_instances.bboxes).all()
        assert np.isfinite(sample.input_center).all() and (sample.input_scale > 0).all()
        assert len(sample.clip_paths) == len(sample.clip_replicated) == 5


@st.composite
def videos(draw):
    """Numbers of a video's frames, which of them are labelled, and what nframes says."""
    numbers = sorted(draw(st.sets(st.integers(0, 30), min_size=1, max_size=10)))
    labelled = draw(st.lists(st.booleans(), min_size=len(numbers), max_size=len(numbers)))
    assume(any(labelled))
    nframes = draw(st.sampled_from([len(numbers), numbers[-1] + 1, 31]))
    return numbers, labelled, nframes


@cases(
    st.lists(videos(), min_size=1, max_size=3),
    st.lists(st.integers(-6, 6).filter(bool), max_size=4, unique=True),
    st.sampled_from(['', 'x_']),
)
def test_clips_are_the_wanted_frames_up_to_the_ends_of_their_video(
    tmp_path_factory, made, neighbours, prefix
):
    """Numbers that jump, frames that are not listed, labelled ones here and there."""
    images, annotations = [], []
    for video, (numbers, labelled, nframes) in enumerate(made):
        for number, is_labeled in zip(numbers, labelled):
            image_id = 100 * video + number + 1
            images.append(
                dict(
                    id=image_id, nframes=nframes, is_labeled=is_labeled, width=99, height=99,
                    file_name=f'images/{video}/{prefix}{number:06d}.jpg',
                )
            )  # fmt: skip
            annotations.append(
                dict(id=image_id, image_id=image_id, bbox=[1, 1, 9, 9], keypoints=[1] * 51)
            )
    file = tmp_path_factory.mktemp('annotations') / 'ann.json'
    file.write_text(json.dumps(dict(images=images, annotations=annotations, categories=[])))
    offsets = [*neighbours, 0]
    dataset = PoseTrack18ClipDataset(
        ann_file=str(file), frame_offsets=offsets, pipeline=[], test_mode=True
    )
    expected = [
        (video, number) for video, (numbers, labelled, _) in enumerate(made)
        for number, is_labeled in zip(numbers, labelled) if is_labeled
    ]  # fmt: skip
    assert len(dataset) == len(expected)
    for index, (video, number) in enumerate(expected):
        numbers, _, nframes = made[video]
        first, last = min(0, numbers[0]), max(nframes - 1, numbers[-1])
        if nframes <= len(numbers):  # all frames are listed
            first, last = numbers[0], numbers[-1]
        sample = dataset[index]
        requested = [number + offset for offset in sorted(offsets)]
        used = [min(max(n, first), last) for n in requested]
        assert sample['clip_paths'] == [
            osp.join('images', str(video), f'{prefix}{n:06d}.jpg') for n in used
        ]
        assert sample['clip_replicated'] == [u != w for u, w in zip(used, requested)]
        assert sample['clip_paths'][sample['keyframe_index']] == sample['img_path']
        jumps = len(numbers) >= nframes
        assert sample['clip_jumped'] == [jumps and n not in numbers for n in used]
