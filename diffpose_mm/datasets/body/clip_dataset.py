"""Videos of any keypoints as clips: a person in a keyframe, with the video's neighbouring frames.

The input of DiffPose (paper, section 3.1): T frames centred on the keyframe in which a person is
annotated or detected. mmpose makes samples of the annotations, this module adds the neighbours.
"""

import os.path as osp
from collections.abc import Mapping, Sequence
from logging import WARNING
from typing import Any

import numpy as np
from mmengine.fileio import join_path
from mmengine.logging import MessageHub, print_log
from mmengine.utils import is_abs
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

from ...clip import RandomFrameOffsets, check_frame_offsets, nearest
from ...files import data_files
from ...images import Fault
from ...keypoint_sets import keypoint_set
from ...videos import split_frame_name, videos_of
from ..worker_generator import WorkerGenerator
from .clip_annotations import Annotations, check_metainfo, frame_path, read_annotations
from .detections import PERSON, detection_samples, frame_info, read_detections
from .label_keypoints import check_label_keypoints, convert_labels


def _place(path: str) -> tuple[str, str, int]:
    """Folder, video and frame number of a frame, to sort by."""
    video, number, _, _ = split_frame_name(path)
    return osp.dirname(path), video, number


@DATASETS.register_module()
class ClipDataset(BaseCocoStyleDataset):
    """A COCO-style data set of videos, one clip for each person and keyframe.

    The file is COCO's, and its images are numbered frames: ``VIDEO/000007.jpg``. Neighbours are
    found by number in the keyframe's folder. The keypoints are those of ``metainfo``, in mmpose's
    form::

        dict(type='ClipDataset', metainfo=dict(from_file='horse.py'), ann_file=..., ...)

    Beside what mmpose's :class:`BaseCocoStyleDataset` gives (``img_path`` is the keyframe), a
    sample holds

    - ``clip_paths`` (list[str]): the T frames, oldest first;
    - ``keyframe_index`` (int): the keyframe's place among them;
    - ``clip_replicated`` (list[bool]): true where the video ends before the frame asked for and
      its first or last frame is repeated (border padding);
    - ``clip_jumped`` (list[bool]): true where the frame numbers of the video jump over the frame:
      the annotations list as many frames as the video has, and not this one;
    - ``frame_offsets`` (tuple[int]): the frames asked for, relative to the keyframe;
    - ``frame_number``, ``nframes``, ``frame_id``, ``vid_id``, ``track_id`` as far as the file has
      them;
    - ``keypoint_scores`` ((1, K) float32) where an annotation has ``scores``, one a keypoint: how
      sure whoever labelled it was (:class:`WeightByScore`).

    Images may have ``nframes``, the length of the video, or ``frame_range``, its first and last
    frame number; without them the frames on disk count, see :func:`read_annotations`. Persons of
    frames that are not labelled (``is_labeled`` false) are no samples, nor are detector boxes on
    such frames; the frames serve as neighbours.

    Args:
        ann_file (str): COCO-style annotation file of all videos, or a folder with one a video.
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
        label_keypoints (str, optional): Name of the set of keypoints that ``ann_file`` has, such as
            'coco17', where it is not that of ``metainfo``: shared ones are taken by name, the
            others are not annotated.
        **kwargs: The other arguments of mmpose's :class:`BaseCocoStyleDataset`, ``metainfo`` among
            them; ``data_mode`` can only be ``'topdown'``.

    Raises:
        FileNotFoundError: ``ann_file`` or ``bbox_file`` does not exist.
        ValueError: A file is not sound, no sample is left, ``metainfo`` is incomplete, or the
            offsets do not make a clip.
    """

    FIRST_FRAME = 0
    FILE_HINTS: Mapping[str, str] = {}
    """Top-level key of a file in another layout to what an error says about it."""

    def __init__(
        self,
        ann_file: str = '',
        frame_offsets: Sequence[int] | None = None,
        frame_sampler: dict[str, int] | None = None,
        first_frame: int | None = None,
        labeled_only: bool = True,
        bbox_file: str | None = None,
        label_keypoints: str | None = None,
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
        self._label_keypoints = label_keypoints
        self._file_summary = 'no file was read'
        self._generator = WorkerGenerator(salt=1)
        if not self.METAINFO or kwargs.get('metainfo') is not None:
            check_metainfo(name, kwargs.get('metainfo'))
        super().__init__(ann_file=ann_file, bbox_file=bbox_file, **kwargs)
        if self.test_mode and (label_keypoints is not None or osp.isdir(self.ann_file)):
            # mmpose's metrics would read the file, one file and with the keypoints that it has;
            # without it they take the samples' annotations.
            hub = MessageHub.get_current_instance()
            hub.pop_info(f'{self._metainfo["dataset_name"]}_ann_file', None)
        self._metainfo['box_source'] = 'detected' if self.bbox_file else 'ground_truth'

    @property
    def num_frames(self) -> int:
        """T, the number of frames of a clip."""
        return (
            len(self.frame_offsets)
            if self._random_offsets is None
            else self._random_offsets.num_frames
        )

    @property
    def keyframe_index(self) -> int:
        """The keyframe's place in a clip, from 0."""
        if self._random_offsets is None:
            return self.frame_offsets.index(0)
        return self._random_offsets.num_before

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
        head, number, _, _ = split_frame_name(data_info['img_path'])
        requested = [number + offset for offset in offsets]
        used = [nearest(n, range(first, last + 1), number) for n in requested]
        listed = self._irregular.get(head)
        data_info['clip_paths'] = [frame_path(data_info['img_path'], n, listed) for n in used]
        numbers = self._jumping.get(head, used)
        data_info['clip_jumped'] = [n not in numbers for n in used]
        data_info['clip_replicated'] = [n != m for n, m in zip(used, requested)]
        data_info['keyframe_index'] = offsets.index(0)
        data_info['frame_offsets'] = offsets
        # mmpose's own data sets leave it out; whoever compares poses by OKS needs it.
        data_info['sigmas'] = self._metainfo['sigmas']
        return data_info

    def __getitem__(self, idx: int) -> dict:
        """The sample.

        In training, a sample with an unreadable keyframe is replaced by another one (a function of
        ``idx``); ``clip_skipped`` in the metainfo of a packed one lists the faults of those that it
        replaces.

        Raises:
            RuntimeError: None of ``max_refetch`` replacements can be read.
        """
        if not self._fully_initialized:
            self.full_init()
        data, fault = self._prepare(idx)
        if data is not None:
            return data
        if self.test_mode:
            raise RuntimeError(
                f'the pipeline gave nothing for sample {idx} (keyframe '
                f'{self.get_data_info(idx)["img_path"]}), and a test sample cannot be skipped'
            )
        replacements = np.random.default_rng(idx % len(self)).integers(
            len(self), size=self.max_refetch
        )
        skipped = []
        for replacement in replacements.tolist():
            skipped.append(fault)
            data, fault = self._prepare(replacement)
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
        """Run the pipeline on a sample; where it gives nothing, the second value says why."""
        data_info = self.get_data_info(idx)
        data_info['dataset'] = self
        data = self.pipeline(data_info)
        if data is not None:
            return data, None
        faults = data_info.get('clip_faults')
        return None, faults[0] if faults else (
            'unreadable',
            data_info['img_path'],
            'gives no sample',
        )

    def keyframes(self) -> list[str]:
        """The files in which persons are annotated or detected, each once, in order."""
        if not self._fully_initialized:
            self.full_init()
        # Of mmengine's own class, as in clip_keys.
        get_data_info = super(BaseCocoStyleDataset, self).get_data_info
        return list(dict.fromkeys(get_data_info(idx)['img_path'] for idx in range(len(self))))

    def frames(self) -> list[tuple[Any, str]]:
        """Image id and path of every frame on which boxes count, by video and frame."""
        counted = [
            img
            for img in self._read_ann_file().images.values()
            if not self.labeled_only or img.get('is_labeled', True)
        ]
        counted.sort(key=lambda img: _place(img['img_path']))
        return [(img['id'], img['img_path']) for img in counted]

    def clip_keys(self) -> list[tuple[str, int]]:
        """The video and the keyframe's number of every sample, for samplers."""
        if not self._fully_initialized:
            self.full_init()
        # Of mmengine's own class: mmpose's copies the metainfo for every sample.
        get_data_info = super(BaseCocoStyleDataset, self).get_data_info
        infos = [get_data_info(idx) for idx in range(len(self))]
        videos = videos_of(info['img_path'] for info in infos)
        return [(video, info['frame_number']) for video, info in zip(videos, infos)]

    def load_data_list(self) -> list[dict]:
        """Read the samples, ordered by video and frame so that neighbours in the list share
        frames."""
        data_list = super().load_data_list()
        data_list.sort(key=lambda info: _place(info['img_path']))
        return data_list

    def parse_data_info(self, raw_data_info: dict) -> dict | None:
        """Parse one person's annotation, None if it has no keypoint or its box no area."""
        ann, img = raw_data_info['raw_ann_info'], raw_data_info['raw_img_info']
        keypoints, box = ann.get('keypoints'), ann.get('bbox')
        # Some persons have a box alone (PoseTrack21), others no keypoint that is annotated.
        if not keypoints or max(keypoints) == 0 or not box or min(box[2:]) <= 0:
            return None
        if ann.get('category_id') is None:
            ann['category_id'] = PERSON
        data_info = super().parse_data_info(raw_data_info)
        # A box beside the picture has no area left either.
        if data_info is None or (data_info['bbox'][0, 2:] <= data_info['bbox'][0, :2]).any():
            return None
        data_info.pop('segmentation')
        if not self.test_mode:
            # Only metrics use it, and it would travel from worker to worker with every sample.
            data_info.pop('raw_ann_info', None)
        data_info['track_id'] = -1 if ann.get('track_id') is None else ann['track_id']
        scores = ann.get('scores')
        if isinstance(scores, list) and len(scores) == self._metainfo['num_keypoints']:
            data_info['keypoint_scores'] = np.array([scores], np.float32)
        data_info.update(frame_info(img))
        return data_info

    def _join_prefix(self) -> None:
        super()._join_prefix()
        if self.bbox_file and self.data_root and not is_abs(self.bbox_file):
            self.bbox_file = join_path(self.data_root, self.bbox_file)

    def _load_annotations(self) -> tuple[list[dict], list[dict]]:
        found = self._read_ann_file()
        instance_list = []
        without_box = sum(
            any(a.get('keypoints') or ()) and not a.get('bbox') for a in found.annotations
        )
        if without_box:
            print_log(
                f'{self.ann_file}: {without_box} persons with keypoints have no bbox and give no '
                'samples',
                'current',
                WARNING,
            )
        for ann in found.annotations:
            img = found.images[ann['image_id']]
            if not img.get('is_labeled', True) or ann['image_id'] % self.sample_interval != 0:
                continue
            instance = self.parse_data_info(dict(raw_ann_info=ann, raw_img_info=img))
            if instance is not None:
                instance_list.append(instance)
        return instance_list, list(found.images.values())

    def _load_detection_results(self) -> list[dict]:
        found = self._read_ann_file()
        detections = read_detections(self.bbox_file, found.images, found.category_id())
        samples, dropped = detection_samples(
            detections, found.images, self._metainfo['num_keypoints'], self.labeled_only
        )
        self._file_summary += f', {len(detections)} detections'
        if dropped:
            reasons = ', '.join(f'{count} {reason}' for reason, count in dropped.items())
            self._file_summary += f', of which dropped: {reasons}'
            print_log(
                f'{self.bbox_file}: of {len(detections)} detections dropped: {reasons}', 'current'
            )
        return samples

    def _read_ann_file(self) -> Annotations:
        """The checked annotations; images have their ``img_id`` and ``img_path``."""
        name = type(self).__name__
        if not self.ann_file:
            raise ValueError(f'{name}: ann_file is not given')
        try:
            found = read_annotations(
                self.ann_file,
                self._metainfo['num_keypoints']
                if self._label_keypoints is None
                else len(keypoint_set(self._label_keypoints).keypoints),
                self.first_frame,
                self._frames_on_disk,
                self.FILE_HINTS,
            )
        except FileNotFoundError as error:
            raise FileNotFoundError(f'{name}: {error} (data_root={self.data_root!r})') from error
        by_id = self._metainfo['keypoint_id2name']
        own = [by_id[i] for i in sorted(by_id)]
        if self._label_keypoints is None:
            check_label_keypoints(f'ann_file {self.ann_file}', found.categories, own)
        else:
            convert_labels(found.annotations, self._label_keypoints, own)
        for img_id, img in found.images.items():
            img.update(img_id=img_id, img_path=self._path_of(img['file_name']))
        self._metainfo.setdefault('CLASSES', found.categories)
        self._file_summary = found.summary
        self._jumping = {self._path_of(video): n for video, n in found.jumping.items()}
        self._irregular = {
            self._path_of(video): {n: self._path_of(file) for n, file in listed.items()}
            for video, listed in found.irregular.items()
        }
        return found

    def _path_of(self, file_name: str) -> str:
        return osp.join(self.data_prefix['img'], file_name)

    def _frames_on_disk(self, folder: str) -> list[str]:
        folder = self._path_of(folder)
        return data_files(folder) if osp.isdir(folder) else []
