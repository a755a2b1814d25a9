"""PoseTrack as clips: a person in a keyframe, with the video's neighbouring frames.

The input of DiffPose (paper, section 3.1): T frames centred on the keyframe in which a person is
annotated or detected. mmpose reads the annotations, this module adds the neighbours.
"""

import json
import os
import os.path as osp
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from logging import WARNING
from typing import Any

import numpy as np
from mmengine.fileio import exists, get_text, join_path
from mmengine.logging import print_log
from mmengine.utils import is_abs
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.datasets.datasets.body import PoseTrack18Dataset
from mmpose.registry import DATASETS
from mmpose.structures.bbox import bbox_xywh2xyxy

from ...clip import RandomFrameOffsets, check_frame_offsets
from ...images import Fault
from ...posetrack.records import check_records
from ..worker_generator import WorkerGenerator
from .detections import read_detections

_NUMBERED = re.compile(r'(?P<prefix>.*?)(?P<number>\d+)(?P<suffix>\.[^.]*)?')


def split_frame_name(path: str) -> tuple[str, int, int, str]:
    """Take a numbered frame's path apart.

    Args:
        path (str): A frame, for example ``images/val/012834_mpii_test/000007.jpg``.

    Returns:
        tuple: What stands before the number, the number, how many digits it is written with, and
        the extension, so that ``f'{head}{number:0{digits}d}{extension}'`` is the path again.

    Raises:
        ValueError: The file name does not end in a number.
    """
    folder, name = osp.split(path)
    match = _NUMBERED.fullmatch(name)
    if match is None:
        raise ValueError(
            f'file_name "{path}" does not end in a frame number; the neighbours of a frame are '
            'found by number, so frames have to be named like 000007.jpg'
        )
    digits = match['number']
    return osp.join(folder, match['prefix']), int(digits), len(digits), match['suffix'] or ''


@DATASETS.register_module()
class PoseTrack18ClipDataset(PoseTrack18Dataset):
    """PoseTrack18 (https://arxiv.org/abs/1710.10000), one clip for each person and keyframe.

    Beside what mmpose's :class:`PoseTrack18Dataset` gives (``img_path`` is the keyframe), a sample
    holds

    - ``clip_paths`` (list[str]): the T frames, oldest first;
    - ``keyframe_index`` (int): the keyframe's place among them;
    - ``clip_replicated`` (list[bool]): true where the video ends before the wanted frame and its
      first or last frame stands in;
    - ``clip_jumped`` (list[bool]): true where the frame numbers of the video jump over the frame:
      the annotations list as many frames as the video has, and not this one;
    - ``frame_offsets`` (tuple[int]): the wanted frames relative to the keyframe;
    - ``frame_number``, ``nframes``, ``frame_id``, ``vid_id``, ``track_id`` as far as the file has
      them.

    Persons of frames that are not labelled (``is_labeled`` false) are no samples, nor are detector
    boxes on such frames; the frames serve as neighbours.

    Args:
        ann_file (str): COCO-style annotation file of all videos, or a folder with the official
            files, one a video.
        frame_offsets (Sequence[int], optional): The clip relative to its keyframe, 0 included;
            brought into temporal order. Defaults to ``(-2, -1, 0, 1, 2)``.
        frame_sampler (dict, optional): Arguments of :class:`RandomFrameOffsets`: offsets drawn at
            every access instead. Training only, and not together with ``frame_offsets``.
        first_frame (int, optional): Number of a video's first frame in its file name. Defaults to
            the class's ``FIRST_FRAME``.
        labeled_only (bool): Drop detector boxes on frames that are not labelled. Defaults to True.
        bbox_file (str, optional): Detections in a format of :func:`read_detections`; testing only.
            Relative to ``data_root``. ``filter_cfg=dict(bbox_score_thr=...)`` drops boxes of a
            lower score. ``metainfo['box_source']`` says whether boxes are ``'detected'``.
        **kwargs: The other arguments of mmpose's :class:`BaseCocoStyleDataset`; ``data_mode`` can
            only be ``'topdown'``.

    Raises:
        FileNotFoundError: ``ann_file`` or ``bbox_file`` does not exist.
        ValueError: A file is not PoseTrack's, no sample is left, or the offsets do not make a clip.
    """

    FIRST_FRAME = 0

    def __init__(
        self,
        ann_file: str = '',
        frame_offsets: Sequence[int] | None = None,
        frame_sampler: dict[str, int] | None = None,
        first_frame: int | None = None,
        labeled_only: bool = True,
        bbox_file: str | None = None,
        **kwargs: Any,
    ) -> None:
        name = type(self).__name__
        if kwargs.get('data_mode', 'topdown') != 'topdown':
            raise ValueError(
                f'{name}: data_mode="{kwargs["data_mode"]}"; a clip is cropped to one person, so '
                'data_mode has to be "topdown"'
            )
        self._random_offsets = None
        if frame_sampler is not None:
            if kwargs.get('test_mode', False):
                raise ValueError(
                    f'{name}: frame_sampler draws neighbours at random and is for training; with '
                    'test_mode=True give frame_offsets'
                )
            if frame_offsets is not None:
                raise ValueError(
                    f'{name}: frame_offsets and frame_sampler are both given: leave one out'
                )
            self._random_offsets = RandomFrameOffsets(**frame_sampler)
        self.frame_offsets = check_frame_offsets(
            (-2, -1, 0, 1, 2) if frame_offsets is None else frame_offsets
        )
        self.first_frame = self.FIRST_FRAME if first_frame is None else first_frame
        self.labeled_only = labeled_only
        self.num_skipped = 0
        self._jumping: dict[str, set[int]] = {}
        self._generator = WorkerGenerator(salt=1)
        super().__init__(ann_file=ann_file, bbox_file=bbox_file, **kwargs)
        self._metainfo['box_source'] = 'detected' if self.bbox_file else 'ground_truth'

    @property
    def num_frames(self) -> int:
        """T, the number of frames of a clip."""
        return (
            len(self.frame_offsets)
            if self._random_offsets is None
            else self._random_offsets.num_frames
        )

    def full_init(self) -> None:
        """Read the annotations.

        Raises:
            ValueError: No sample is left.
        """
        super().full_init()
        self._check_not_empty(len(self))

    def _serialize_data(self) -> tuple[np.ndarray, np.ndarray]:
        self._check_not_empty(len(self.data_list))
        return super()._serialize_data()

    def _check_not_empty(self, num_samples: int) -> None:
        if num_samples == 0:
            raise ValueError(
                f'{type(self).__name__} is empty: no usable person in ann_file={self.ann_file!r} '
                f'with bbox_file={self.bbox_file!r}, filter_cfg={self.filter_cfg}, '
                f'indices={self._indices} ({self._file_summary}); a person counts if it is on a '
                'labelled frame, is no crowd, and has a box and at least one annotated keypoint'
            )

    def get_data_info(self, idx: int) -> dict:
        """A sample's annotation together with the frames of its clip."""
        data_info = super().get_data_info(idx)
        if self._random_offsets is None:
            offsets = self.frame_offsets
        else:
            offsets = self._random_offsets(self._generator())
        first, last = data_info['frame_range']
        head, number, digits, extension = split_frame_name(data_info['img_path'])
        wanted = [number + offset for offset in offsets]
        used = [min(max(n, first), last) for n in wanted]
        data_info['clip_paths'] = [
            data_info['img_path'] if n == number else f'{head}{n:0{digits}d}{extension}'
            for n in used
        ]
        listed = self._jumping.get(osp.dirname(data_info['img_path']), used)
        data_info['clip_jumped'] = [n not in listed for n in used]
        data_info['clip_replicated'] = [not first <= n <= last for n in wanted]
        data_info['keyframe_index'] = offsets.index(0)
        data_info['frame_offsets'] = offsets
        # mmpose's own data sets leave it out; whoever compares poses by OKS needs it.
        data_info['sigmas'] = self._metainfo['sigmas']
        return data_info

    def __getitem__(self, idx: int) -> dict:
        """The sample, or in training a stand-in for one whose keyframe cannot be read.

        The stand-in depends on ``idx`` alone. ``num_skipped`` counts the samples skipped in this
        process, and ``clip_skipped`` in a packed stand-in's metainfo is why (a list of ``Fault``)
        those were skipped that it stands in for.

        Raises:
            RuntimeError: None of ``max_refetch`` stand-ins can be read.
        """
        if not self._fully_initialized:
            self.full_init()
        data, why = self._prepare(idx)
        if data is not None:
            return data
        if self.test_mode:
            raise RuntimeError(
                f'the pipeline gave nothing for sample {idx} (keyframe '
                f'{self.get_data_info(idx)["img_path"]}), and a test sample cannot be skipped'
            )
        stand_ins = np.random.default_rng(idx % len(self)).integers(
            len(self), size=self.max_refetch
        )
        skipped = []
        for stand_in in stand_ins.tolist():
            self.num_skipped += 1
            skipped.append(why)
            data, why = self._prepare(stand_in)
            if data is not None:
                if 'data_samples' in data:
                    data['data_samples'].set_metainfo(dict(clip_skipped=skipped))
                return data
        raise RuntimeError(
            f'no keyframe could be read in {self.max_refetch + 1} tries, the first being '
            f'{self.get_data_info(idx)["img_path"]}: check data_root={self.data_root!r} and '
            f'data_prefix={self.data_prefix}'
        )

    def _prepare(self, idx: int) -> tuple[Any, Fault | None]:
        """What the pipeline makes of a sample, and where that is nothing, why."""
        data_info = self.get_data_info(idx)
        data_info['dataset'] = self
        unknown = [('unreadable', data_info['img_path'], 'gives no sample')]
        data = self.pipeline(data_info)
        if data is not None:
            return data, None
        return None, (data_info.get('clip_faults') or unknown)[0]

    def keyframes(self) -> list[str]:
        """The files in which persons are annotated or detected, each once, in order."""
        if not self._fully_initialized:
            self.full_init()
        # Of mmengine's own class, as in clip_keys.
        get_data_info = super(BaseCocoStyleDataset, self).get_data_info
        return list(dict.fromkeys(get_data_info(idx)['img_path'] for idx in range(len(self))))

    def frames(self) -> list[tuple[Any, str]]:
        """Image id and path of every frame on which boxes count, by video and frame."""
        images, _ = self._read_ann_file()
        counted = [
            img for img in images.values() if not self.labeled_only or img.get('is_labeled', True)
        ]
        counted.sort(key=lambda img: (osp.dirname(img['img_path']), img['frame_number']))
        return [(img['id'], img['img_path']) for img in counted]

    def clip_keys(self) -> list[tuple[str, int]]:
        """The video (its folder) and the keyframe's number of every sample, for samplers."""
        if not self._fully_initialized:
            self.full_init()
        keys = []
        for idx in range(len(self)):
            # Of mmengine's own class: mmpose's copies the metainfo for every sample.
            data_info = super(BaseCocoStyleDataset, self).get_data_info(idx)
            keys.append((osp.dirname(data_info['img_path']), data_info['frame_number']))
        return keys

    def load_data_list(self) -> list[dict]:
        """Read the samples, ordered by video and frame so that neighbours in the list share
        frames."""
        data_list = super().load_data_list()
        data_list.sort(key=lambda info: (osp.dirname(info['img_path']), info['frame_number']))
        return data_list

    def parse_data_info(self, raw_data_info: dict) -> dict | None:
        """Parse one person's annotation, None if it has no keypoint or its box no area."""
        ann, img = raw_data_info['raw_ann_info'], raw_data_info['raw_img_info']
        keypoints, box = ann.get('keypoints'), ann.get('bbox')
        # PoseTrack21 boxes persons whom it gives no keypoints; others have all of them unannotated.
        if not keypoints or max(keypoints) == 0 or not box or min(box[2:]) <= 0:
            return None
        ann.setdefault('category_id', 1)
        data_info = super().parse_data_info(raw_data_info)
        # A box beside the picture has no area left either.
        if data_info is None or (data_info['bbox'][0, 2:] <= data_info['bbox'][0, :2]).any():
            return None
        data_info.pop('segmentation')
        if not self.test_mode:
            # Only metrics use it, and it would travel from worker to worker with every sample.
            data_info.pop('raw_ann_info', None)
        data_info['track_id'] = -1 if ann.get('track_id') is None else ann['track_id']
        data_info.update(self._frame_info(img))
        return data_info

    def _join_prefix(self) -> None:
        super()._join_prefix()
        if self.bbox_file and self.data_root and not is_abs(self.bbox_file):
            self.bbox_file = join_path(self.data_root, self.bbox_file)

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        images, annotations = self._read_ann_file()
        instance_list = []
        for ann in annotations:
            img = images[ann['image_id']]
            if not img.get('is_labeled', True) or ann['image_id'] % self.sample_interval != 0:
                continue
            instance = self.parse_data_info(dict(raw_ann_info=ann, raw_img_info=img))
            if instance is not None:
                instance_list.append(instance)
        return instance_list, list(images.values())

    def _load_detection_results(self) -> list[dict]:
        images, _ = self._read_ann_file()
        detections = read_detections(self.bbox_file, images)
        num_keypoints = self._metainfo['num_keypoints']
        data_list, dropped, unknown = [], Counter(), []
        for id_, det in enumerate(detections):
            img_id, xywh = det.image_id, det.bbox
            if det.category_id != 1:
                dropped['of another category than 1 (person)'] += 1
            elif img_id not in images:
                unknown.append(img_id)
            elif self.labeled_only and not images[img_id].get('is_labeled', True):
                dropped['on unlabelled frames'] += 1
            elif min(xywh[2:]) <= 0:
                dropped['without area'] += 1
            else:
                img = images[img_id]
                data_list.append(
                    {
                        'img_id': img_id,
                        'img_path': img['img_path'],
                        'bbox': bbox_xywh2xyxy(np.array(xywh, dtype=np.float32).reshape(1, 4)),
                        'bbox_score': np.array([det.score], dtype=np.float32),
                        'track_id': det.track_id,
                        'keypoints': np.zeros((1, num_keypoints, 2), dtype=np.float32),
                        'keypoints_visible': np.ones((1, num_keypoints), dtype=np.float32),
                        'id': id_,
                        **self._frame_info(img),
                    }
                )
        if unknown:
            dropped[f'on frames that ann_file does not list (such as {unknown[0]})'] = len(unknown)
        self._file_summary += f', {len(detections)} detections'
        if dropped:
            reasons = ', '.join(f'{count} {why}' for why, count in dropped.items())
            self._file_summary += f', of which dropped: {reasons}'
            print_log(
                f'{self.bbox_file}: of {len(detections)} detections dropped: {reasons}', 'current'
            )
        return data_list

    @staticmethod
    def _frame_info(img: dict) -> dict:
        info = {key: img[key] for key in ('frame_number', 'frame_range', 'nframes')}
        info.update({key: img[key] for key in ('frame_id', 'vid_id') if key in img})
        return info

    def _read_ann_file(self) -> tuple[dict[int, dict], list[dict]]:
        """The checked images by id, with their place in the video, and the annotations."""
        if not self.ann_file:
            raise ValueError(f'{type(self).__name__}: ann_file is not given')
        if osp.isdir(self.ann_file):
            files = sorted(
                osp.join(self.ann_file, f) for f in os.listdir(self.ann_file) if f.endswith('.json')
            )
            if not files:
                raise ValueError(f'ann_file {self.ann_file} is a folder without .json files')
        else:
            files = [self.ann_file]

        images: dict[int, dict] = {}
        annotations: list[dict] = []
        for file in files:
            data = self._read_json('ann_file', file)
            self._check_structure(file, data)
            num_keypoints = self._metainfo['num_keypoints']
            check_records(f'ann_file {file}', data, num_keypoints, ('id', 'image_id'))
            for img in data['images']:
                self._add_image(file, img, images)
            annotations.extend(data['annotations'])
            self._metainfo.setdefault('CLASSES', data.get('categories', []))
        for ann in annotations:
            if ann.get('image_id') not in images:
                raise ValueError(
                    f'{self.ann_file}: annotation {ann.get("id")} belongs to image_id '
                    f'{ann.get("image_id")}, which is not among "images"'
                )
        self._set_frame_ranges(images)
        labeled = sum(bool(img.get('is_labeled', True)) for img in images.values())
        self._file_summary = (
            f'the file lists {len(images)} frames, {labeled} of them labelled, and '
            f'{len(annotations)} persons'
        )
        return images, annotations

    def _read_json(self, field: str, path: str) -> Any:
        if not exists(path):
            raise FileNotFoundError(
                f'{type(self).__name__}: {field} {path} does not exist '
                f'(data_root={self.data_root!r})'
            )
        try:
            return json.loads(get_text(path))
        except ValueError as error:  # of which bad JSON and bad UTF-8 are kinds
            raise ValueError(
                f'{type(self).__name__}: {field} {path} is not a JSON file: {error}'
            ) from error

    def _check_structure(self, file: str, data: Any) -> None:
        if isinstance(data, dict):
            missing = [
                key for key in ('images', 'annotations') if not isinstance(data.get(key), list)
            ]
            if not missing:
                return
            found = f'has no list {" and no list ".join(map(repr, missing))}'
        else:
            found = f'holds a {type(data).__name__}'
        hint = ''
        if isinstance(data, list):
            hint = '; a list of detections goes into bbox_file'
        elif 'annolist' in data:
            hint = (
                "; this is PoseTrack17's own layout, which `mim run diffpose_mm prepare_posetrack "
                '--year 17` converts'
            )
        raise ValueError(
            f'ann_file {file} {found}, so it is not a PoseTrack file of the COCO style ("images", '
            f'"annotations", "categories"){hint}'
        )

    def _add_image(self, file: str, img: dict, images: dict[int, dict]) -> None:
        for field in ('id', 'file_name', 'nframes'):
            if field not in img:
                raise ValueError(
                    f'ann_file {file}: image {img.get("id", img.get("file_name"))} has no field '
                    f'"{field}"; PoseTrack gives every frame an id, a file_name and nframes, the '
                    'length of its video (an ordinary COCO file has no videos to take clips from)'
                )
        try:
            number = split_frame_name(img['file_name'])[1]
        except ValueError as error:
            raise ValueError(f'ann_file {file}: image {img["id"]}: {error}') from error
        # The official files give no size; without it boxes are simply not cut to the image.
        images[img['id']] = {
            'width': np.inf,
            'height': np.inf,
            **{field: value for field, value in img.items() if value is not None},
            'img_id': img['id'],
            'img_path': osp.join(self.data_prefix['img'], img['file_name']),
            'nframes': int(img['nframes']),
            'frame_number': number,
        }

    def _set_frame_ranges(self, images: dict[int, dict]) -> None:
        """Give every image the first and last frame number of its video."""
        ranges: dict[str, tuple[int, int]] = {}
        listed: dict[str, set[int]] = defaultdict(set)
        short = set()
        for img in images.values():
            video, number = osp.dirname(img['img_path']), img['frame_number']
            # A converted PoseTrack17 tells it, for its videos begin anywhere and leave out frames.
            first, last = img.get('frame_range') or (
                self.first_frame,
                self.first_frame + img['nframes'] - 1,
            )
            if not first <= number <= last:
                short.add(video)
            known = ranges.get(video, (first, last))
            ranges[video] = min(known[0], number), max(known[1], number, last)
            listed[video].add(number)
        for img in images.values():
            video = osp.dirname(img['img_path'])
            img['frame_range'] = first, last = ranges[video]
            if img['nframes'] <= len(listed[video]) <= last - first:
                self._jumping[video] = listed[video]
        if short:
            print_log(
                f'{self.ann_file}: {len(short)} videos, the first being {min(short)}, have frame '
                f'numbers outside {self.first_frame} .. {self.first_frame} + nframes - 1; their '
                f'range was widened (is first_frame={self.first_frame} right for these file '
                'names?)',
                'current',
                WARNING,
            )


@DATASETS.register_module()
class PoseTrack21ClipDataset(PoseTrack18ClipDataset):
    """PoseTrack21
    (https://openaccess.thecvf.com/content/CVPR2022/html/Doring_PoseTrack21_A_Dataset_for_CVPR_2022_paper.html).

    The frames, names and keypoints of PoseTrack18, annotated anew; give the folder
    ``posetrack_data/train`` or ``posetrack_data/val`` as ``ann_file``. Persons with a box alone are
    no samples.
    """


@DATASETS.register_module()
class PoseTrack17ClipDataset(PoseTrack18ClipDataset):
    """PoseTrack17 (https://arxiv.org/abs/1710.10000), as ``mim run diffpose_mm prepare_posetrack``
    converts it to the COCO style of PoseTrack18.

    Its frames are counted from 1 and their names have eight digits (the digits are taken from the
    keyframe). Where an image has ``frame_range``, the first and last frame number of its video,
    that counts.
    """

    FIRST_FRAME = 1
