"""A data set of clips out of videos and the poses of a teacher.

    OUT/images/VIDEO/000000.jpg          every frame, because neighbours are found by number
    OUT/annotations/SPLIT/VIDEO.json     COCO's form; scores: the teacher's, joint by joint

:class:`ClipDataset` reads it (``ann_file='annotations/SPLIT'``), and with ``WeightByScore`` each
joint counts as much as the teacher was sure of it.
"""

import json
import os
import os.path as osp
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np

from ..files import atomic_write, data_files, prepare_folder, read_json
from ..images import read_image
from .frame_source import FrameSource
from .label_rules import Label, LabelRules, judge
from .label_smoothing import smooth
from .pipeline import numbered

JPEG_QUALITY = 95
_IDS = 1_000_000


def labels_of(predictions: Sequence[dict]) -> list[Label]:
    """The people in a predictions file of a clip (docs/predictions.md)."""
    return [
        Label(
            frame=entry['frame_id'],
            track=person.get('track_id'),
            box=np.asarray(person['bbox'][0], float),
            keypoints=np.asarray(person['keypoints'], float),
            scores=np.clip(np.asarray(person['keypoint_scores'], float), 0, 1),
        )
        for entry in predictions
        for person in entry['instances']
    ]


class LabelSet:
    """The folder of such a data set; videos are added one by one, each whole or not at all.

    Args:
        folder: OUT.
        split: 'train', 'val', ...; a video belongs to one.
    """

    def __init__(self, folder: str, split: str) -> None:
        self.folder, self.split = folder, split

    def annotation_file(self, name: str) -> str:
        """The file of a video."""
        return osp.join(self.folder, 'annotations', self.split, f'{name}.json')

    def find(self, name: str, identity: dict) -> dict | None:
        """The ``info`` of a video that is there already, with the same teacher and rules.

        Raises:
            ValueError: It is there from another input or other settings, or in another split.
        """
        for split in self.splits():
            file = osp.join(self.folder, 'annotations', split, f'{name}.json')
            if not osp.isfile(file):
                continue
            if split != self.split:
                raise ValueError(
                    f'{file}: the video is in the split {split!r} already, and a video belongs to '
                    'one: remove the file, or leave the video out'
                )
            info = read_json(file).get('info', {})
            # What is compared has been through JSON on one side.
            if info.get('identity') != json.loads(json.dumps(identity)):
                raise ValueError(
                    f'{file} is there from another input of that name, another teacher or other '
                    'rules: remove it, or write to another folder'
                )
            return info
        return None

    def splits(self) -> list[str]:
        """The splits that there are."""
        folder = osp.join(self.folder, 'annotations')
        if not osp.isdir(folder):
            return []
        return sorted(name for name in os.listdir(folder) if osp.isdir(osp.join(folder, name)))

    def add(
        self,
        name: str,
        source: FrameSource,
        predictions: Sequence[dict],
        rules: LabelRules,
        identity: dict,
        advance: Any = lambda: None,
    ) -> tuple[list[Label], Counter[str]]:
        """Write the frames of a video, and then its annotations.

        Args:
            name: What the video is called in the data set.
            source: Its frames; opened and closed here.
            predictions: The teacher's, a complete predictions file.
            rules: What a label has to be like.
            identity: What the labels depend on.
            advance: Called after every frame.

        Returns:
            All people, judged, and the counts: frames, frames with labels, people, and what was
            left out, by reason.

        Raises:
            OSError: A file cannot be written.
        """
        labels = labels_of(predictions)
        counts = judge(labels, rules)
        meta = predictions[0]['meta'] if predictions else {}
        smooth(labels, rules.smooth * (meta.get('fps') or 0))
        kept = [label for label in labels if label.reason is None]
        folder = osp.join(self.folder, 'images', name)
        prepare_folder(folder)
        sizes: dict[int, tuple[int, int]] = {}
        source.open()
        try:
            for frame in numbered(source):
                if frame.image is not None:
                    file = osp.join(folder, f'{frame.index:06d}.jpg')
                    sizes[frame.index] = write_picture(file, frame.image)
                advance()
        finally:
            source.close()
        counts['frames'] = len(predictions)
        counts['frames with labels'] = len({label.frame for label in kept})
        counts['people'] = len(kept)
        data = annotations(name, self._video_id(), len(predictions), sizes, kept, meta)
        data['info'] = dict(
            description='labels of a teacher model, not of people', identity=identity,
            counts=dict(sorted(counts.items())), fps=meta.get('fps'), labels=provenance(labels),
        )  # fmt: skip
        file = self.annotation_file(name)
        prepare_folder(osp.dirname(file))
        with atomic_write(file) as out:
            json.dump(data, out)
        return labels, counts

    def _video_id(self) -> int:
        """One more than the highest that is taken."""
        taken = [0]
        for split in self.splits():
            folder = osp.join(self.folder, 'annotations', split)
            for file in data_files(folder, ('.json',)):
                images = read_json(osp.join(folder, file))['images']
                taken += [image['id'] // _IDS for image in images[:1]]
        return max(taken) + 1


def provenance(labels: Iterable[Label]) -> dict[str, float]:
    """How sure the teacher was of what was kept."""
    kept = [label for label in labels if label.reason is None]
    scores = [label.scores[label.labelled] for label in kept]
    return dict(
        joints=int(sum(map(len, scores))),
        mean_score=round(float(np.concatenate(scores).mean()), 4) if kept else 0.0,
    )


def annotations(
    name: str,
    video: int,
    num_frames: int,
    sizes: dict[int, tuple[int, int]],
    labels: Sequence[Label],
    meta: dict,
) -> dict:
    """What the annotation file of a video holds, ``info`` left out.

    Args:
        name: Of the video.
        video: Its number in the data set, from 1.
        num_frames: Of the video.
        sizes: Frame number to (width, height), of the frames that could be read.
        labels: The people that are kept.
        meta: Of the predictions: names of the joints, skeleton.
    """
    first = video * _IDS
    labelled = {label.frame for label in labels}
    images = [
        dict(
            id=first + frame,
            file_name=f'images/{name}/{frame:06d}.jpg',
            width=width,
            height=height,
            frame_id=first + frame,
            vid_id=name,
            frame_range=[0, num_frames - 1],
            is_labeled=frame in labelled,
        )
        for frame, (width, height) in sizes.items()
    ]
    people: list[dict] = []
    for label in labels:
        x1, y1, x2, y2 = label.box.tolist()
        visible = np.where(label.labelled, 2, 0)
        points = np.where(label.labelled[:, None], label.keypoints, 0)
        people.append(
            dict(
                id=first + len(people) + 1,
                image_id=first + label.frame,
                category_id=1,
                track_id=-1 if label.track is None else label.track,
                bbox=[x1, y1, x2 - x1, y2 - y1],
                area=(x2 - x1) * (y2 - y1),
                iscrowd=0,
                num_keypoints=int(label.labelled.sum()),
                keypoints=np.column_stack((points, visible)).round(3).ravel().tolist(),
                scores=np.where(label.labelled, label.scores, 0).round(4).tolist(),
            )
        )
    category = dict(
        id=1,
        name='person',
        keypoints=meta.get('keypoints', []),
        skeleton=[[a + 1, b + 1] for a, b in meta.get('skeleton', [])],
    )
    return dict(images=images, annotations=people, categories=[category])


def write_picture(path: str, image: Any) -> tuple[int, int]:
    """Write a frame as JPEG, whole or not at all; returns its (width, height)."""
    if isinstance(image, str):
        image = read_image(image)
    good, data = cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    if not good:
        raise OSError(f'{path}: OpenCV cannot encode a frame of shape {image.shape} as JPEG')
    with atomic_write(path, 'wb') as file:
        file.write(data.tobytes())
    return image.shape[1], image.shape[0]
