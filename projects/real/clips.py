"""Clips of people of real videos, whole and damaged alike for every model.

A clip is a square around a person in five frames, twice the person's box wide. It is cut from the
video once, damaged, and then is the picture that each model gets, with the person's box in it: what
a model crops out of it is its own affair.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from diffpose_mm.apis.people import Person
from diffpose_mm.apis.poser import ClipPoser, FramePoser, Job
from diffpose_mm.apis.windows import Frame, Window

SIDE = 512
PADDING = 2.0
# Damages state lengths as shares of the picture's width; a model's crop is 1.25 boxes wide.
SHARE = 1.25 / PADDING
DAMAGES = {
    'whole': [],
    'occluded': [
        dict(
            type='ClipMovingOccluder',
            prob=1.0,
            keyframe_share=1.0,
            size=(0.2 * SHARE, 0.5 * SHARE),
            speed=(0.02 * SHARE, 0.15 * SHARE),
            kinds=('bar', 'piece'),
        )
    ],
    'blurred': [
        dict(
            type='ClipMotionBlur',
            prob=1.0,
            keyframe_share=1.0,
            duration=(1, 8),
            length=(0.05 * SHARE, 0.2 * SHARE),
        )
    ],
    'defocused': [
        dict(
            type='ClipDefocus',
            prob=1.0,
            keyframe_share=1.0,
            duration=(1, 8),
            radius=(0.01 * SHARE, 0.04 * SHARE),
        )
    ],
}
"""The defaults of the package's transforms, always, at the keyframe."""


@dataclass
class RealClip:
    """A person in the keyframe of a clip.

    Attributes:
        video: Name.
        job: The window of SIDE x SIDE frames and the person's box, as a poser takes them.
        joints: (17, 2) of the teacher on the whole clip, pixels of the frames.
        labelled: (17, ) bool, where the teacher was sure.
        occluded: (17, ) bool, the labelled joints under the occluder.
        size: The box's longer side, pixels of the frames.
    """

    video: str
    job: Job
    joints: np.ndarray
    labelled: np.ndarray
    occluded: np.ndarray
    size: float


def read_clips(
    root: str, offsets: Sequence[int], damage: str, seed: int, every: int, pictures: str | None
) -> Iterator[RealClip]:
    """The clips of a set of pseudo-labels, damaged.

    Args:
        root: What `pseudo_label` wrote, split val.
        offsets: Of the frames.
        damage: A name in DAMAGES.
        seed: Of the damage, which follows from it and the person alone.
        every: Only every so many people of the set.
        pictures: Folder of pictures that occluders are cut of; None takes the clip itself.
    """
    init_default_scope('mmpose')
    steps = [dict(step, seed=seed) for step in DAMAGES[damage]]
    for step in steps:
        if step['type'] == 'ClipMovingOccluder':
            step['pictures'] = pictures
    dataset = DATASETS.build(
        dict(
            type='ClipDataset',
            data_root=root,
            metainfo=dict(from_file='configs/_base_/datasets/coco.py'),
            ann_file='annotations/val',
            data_prefix=dict(img=''),
            frame_offsets=tuple(offsets),
            test_mode=True,
            pipeline=[
                dict(type='LoadClip'),
                dict(type='GetBBoxCenterScale', padding=PADDING),
                dict(type='TopdownAffine', input_size=(SIDE, SIDE), use_udp=True),
                *steps,
            ],
        )
    )
    for i in range(0, len(dataset), every):
        yield make_clip(dataset[i])


def make_clip(results: dict) -> RealClip:
    """A clip of what the pipeline gives."""
    center, scale = results['input_center'], results['input_scale']
    box = (results['bbox'][0].reshape(2, 2) - center) / scale * (SIDE - 1) + (SIDE - 1) / 2
    frames = tuple(
        Frame(1000 + offset, f'{results["id"]}/{offset}', image)
        for offset, image in zip(results['frame_offsets'], results['img'])
    )
    window = Window(frames, tuple(results['clip_replicated']), results['keyframe_index'])
    visible = np.asarray(results['keypoints_visible'], float)[0] > 0
    return RealClip(
        video=str(results['vid_id']),
        job=(window, Person(box.ravel().astype(np.float32), 1.0, 0)),
        joints=results['transformed_keypoints'][0],
        labelled=visible,
        occluded=np.asarray(results.get('keypoints_occluded', np.zeros(len(visible), bool))),
        size=float((box[1] - box[0]).max()),
    )


def without_time(clip: RealClip) -> Job:
    """The same with every neighbour replaced by the keyframe."""
    window, person = clip.job
    frames = tuple(
        Frame(frame.index, frame.name, window.frame.image, people=frame.people)
        for frame in window.frames
    )
    return Window(frames, window.replicated, window.keyframe_index), person


def pose(poser: ClipPoser | FramePoser, jobs: Sequence[Job], batch: int = 8) -> np.ndarray:
    """Joints of the people, (N, 17, 2) in pixels of the frames."""
    found = []
    for start in range(0, len(jobs), batch):
        for sample in poser(jobs[start : start + batch]):
            found.append(np.asarray(sample.pred_instances.keypoints)[0])
    return np.stack(found)
