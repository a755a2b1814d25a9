"""DiffPoseInferencer: MMPoseInferencer for models that look at clips."""

import copy
import hashlib
import logging
import os
import os.path as osp
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any

import mmengine
import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmpose.apis import Pose2DInferencer
from mmpose.evaluation.functional import nearby_joints_nms
from mmpose.structures import PoseDataSample, merge_data_samples
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Task as ProgressTask
from rich.text import Text
from torch import nn

from ..clip import check_frame_offsets
from ..configs import find_config
from ..engine.checkpoint import check_checkpoint, read_checkpoint
from ..files import prepare_folder, writing
from .frames import FrameSource, open_source, prefetch
from .people import WHOLE_IMAGE, GivenBoxes, Person, PersonDetector, Tracker, whole_image
from .poser import ClipPoser, StreamingPoser, StreamState
from .results import (
    PredictionLog,
    VideoFile,
    dicts_to_sample,
    instances_to_dicts,
)
from .windows import FrameWindows, Window, clip_offsets, loads_clips, still_window

TELL_EVERY = 30  # seconds between lines on progress, where there is no terminal


@dataclass
class _View:
    """A frame on its way through: who is in it, its window, its poses."""

    index: int
    name: str
    people: list[Person]
    entry: dict | None
    window: Window = None
    samples: list[PoseDataSample] = field(default_factory=list)


class DiffPoseInferencer(Pose2DInferencer):
    """mmpose's ``MMPoseInferencer`` with windows over frames, tracks and uncertainty.

    It is called in the same way and gives and writes the same; :meth:`__call__` says what it adds.
    A frame without people gives no people. The detector is built when it is first needed.

    Args:
        pose2d (str | Config): Config (path or object), or the name of one of this package's, as
            'diffpose_posetrack18'; 'diffpose' is short for it.
        pose2d_weights (str, optional): Its checkpoint. Defaults to None: random weights.
        pose3d, pose3d_weights: Stand here for ``MMPoseInferencer``'s order; not supported.
        device (str, optional): Defaults to a GPU if there is one.
        scope (str): Defaults to 'mmpose'.
        det_model (str | Config, optional): Config, name or alias of a detector of mmdet, or
            'whole_image'. Defaults to RTMDet-m for people, whose weights are downloaded.
        det_weights (str, optional): Its checkpoint; without ``det_model``, the config in it counts.
        det_cat_ids (int | Sequence[int], optional): Its labels for people. Defaults to 0, the
            person of COCO.
        show_progress (bool): Defaults to False.

    Raises:
        FileNotFoundError: There is no such config.
        CheckpointError: The checkpoint is missing, unreadable, or does not fit the config; the
            first differences are listed.
        ValueError: The config is not one of a top-down model of clips.
    """

    def __init__(
        self,
        pose2d: str | Config | None = None,
        pose2d_weights: str | None = None,
        pose3d: str | None = None,
        pose3d_weights: str | None = None,
        device: str | None = None,
        scope: str = 'mmpose',
        det_model: Any = None,
        det_weights: str | None = None,
        det_cat_ids: int | Sequence[int] | None = None,
        show_progress: bool = False,
    ) -> None:
        if pose2d is None or pose3d is not None or pose3d_weights is not None:
            raise ValueError('DiffPoseInferencer needs pose2d, and does no 3D')
        config = find_config(pose2d) if isinstance(pose2d, (str, os.PathLike)) else pose2d
        if pose2d_weights is not None:
            pose2d_weights = os.fspath(pose2d_weights)
            read_checkpoint(pose2d_weights)
        self._weights = pose2d_weights
        super().__init__(
            model=config,
            weights=pose2d_weights,
            device=device,
            scope=scope,
            det_model='whole_image',
            show_progress=show_progress,
        )
        self.run_name = dict(config=_name_of(pose2d), checkpoint=pose2d_weights)
        if self.cfg.get('data_mode') != 'topdown' or not loads_clips(self.pipeline):
            raise ValueError(
                f'{config} is not a top-down model of clips (its test pipeline has no LoadClip): '
                'use MMPoseInferencer'
            )
        self.detector = (
            None
            if isinstance(det_model, str) and det_model in WHOLE_IMAGE
            else PersonDetector(det_model, det_weights, det_cat_ids, device)
        )
        self.state = StreamState()
        self.video_file: VideoFile | None = None
        self.video_info: dict = dict(is_clip=False, live=False, fps=0.0)

    def _load_weights_to_model(
        self, model: nn.Module, checkpoint: dict | None, cfg: ConfigDict | None
    ) -> None:
        if self._weights is not None:
            # Before mmengine, which would list every key.
            check_checkpoint(model, self._weights)
        super()._load_weights_to_model(model, checkpoint, cfg)

    def __call__(
        self,
        inputs: Any,
        return_datasamples: bool = False,
        batch_size: int = 1,
        out_dir: str | None = None,
        *,
        as_clip: bool = False,
        mode: str | None = None,
        frame_offsets: Sequence[int] | None = None,
        streaming: bool = False,
        sampling_steps: int | None = None,
        num_hypotheses: int | None = None,
        return_hypotheses: bool = False,
        bboxes: Sequence | Mapping | None = None,
        bbox_thr: float = 0.3,
        nms_thr: float = 0.3,
        use_oks_tracking: bool = False,
        tracking_thr: float = 0.3,
        merge_results: bool = True,
        pose_based_nms: bool = False,
        return_vis: bool = False,
        show: bool | None = None,
        wait_time: float = 0,
        draw_bbox: bool = False,
        draw_heatmap: bool = False,
        draw_spread: bool = True,
        draw_hypotheses: bool = True,
        radius: int | None = 3,
        thickness: int | None = 1,
        kpt_thr: float = 0.3,
        skeleton_style: str = 'mmpose',
        black_background: bool = False,
        vis_out_dir: str = '',
        pred_out_dir: str = '',
        resume: bool = False,
        return_datasample: bool | None = None,
    ) -> Iterator[dict]:
        """Pose the people of all frames, one result a frame, as soon as it is known.

        Args:
            inputs: An image (path or array), a list of images, a folder of images, a video file,
                'webcam:0' or the index of a camera, or an iterator of frames (BGR arrays).
            return_datasamples: Give data samples in place of dicts.
            batch_size: Frames a pass of the detector, and people times frames a pass of the pose
                model. A camera is always taken frame by frame.
            out_dir: Writes to ``out_dir/visualizations`` and ``out_dir/predictions``.
            as_clip: The images of a list or folder are consecutive frames.
            mode: 'offline' (the whole window) or 'causal' (no frame after the keyframe; it stands
                in for them). Defaults to 'causal' for cameras, else 'offline'.
            frame_offsets: Of the window, in place of the config's; equally many.
            streaming: Each person-frame goes through the backbone once, and not with every window
                that it belongs to; see :class:`StreamingPoser`. Only for clips.
            sampling_steps, num_hypotheses: In place of the config's ``test_cfg``.
            return_hypotheses: Put ``hypotheses`` and ``hypothesis_scores`` into the predictions.
            bboxes: Boxes, see :class:`GivenBoxes`. No detector runs.
            bbox_thr, nms_thr: Of the detector.
            use_oks_tracking, tracking_thr: Track by keypoints in place of boxes; least similarity.
            merge_results: False gives one data sample a person.
            pose_based_nms: Leave out poses that lie on another one's joints.
            return_vis, show, wait_time, draw_bbox, draw_heatmap, radius, thickness, kpt_thr,
                skeleton_style, black_background, vis_out_dir, pred_out_dir: As in
                ``MMPoseInferencer``. None for ``radius`` and ``thickness`` goes by the size of
                the frame.
            draw_spread, draw_hypotheses: What :class:`ClipPoseVisualizer` adds, where there is
                more than one hypothesis.
            resume: Go on with the predictions of a video in ``pred_out_dir``; the frames that are
                there are given again, and drawn, without the model.
            return_datasample: Old name of ``return_datasamples``.

        Yields:
            dict: ``predictions``: a list of one list of people, each a dict with ``keypoints``,
            ``keypoint_scores``, ``keypoint_std``, ``bbox``, ``bbox_score``, in clips ``track_id``
            (image pixels); ``visualization``; ``frames``: a list of one dict with ``img_path``,
            ``frame_id``, ``frames_used`` (T frame numbers), ``replicated`` (which of them stand in
            for others) and ``mode``.

        Raises:
            ValueError: An argument out of range, with its name; inputs that cannot be used.
            OSError: A file that cannot be read or written. What was predicted before is kept.
        """
        if out_dir is not None:
            vis_out_dir = vis_out_dir or osp.join(out_dir, 'visualizations')
            pred_out_dir = pred_out_dir or osp.join(out_dir, 'predictions')
        if return_datasample is not None:
            return_datasamples = return_datasample
        if batch_size < 1:
            raise ValueError(f'batch_size={batch_size} has to be at least 1')
        for folder in filter(None, (pred_out_dir, _folder_of(vis_out_dir))):
            prepare_folder(folder)

        source = open_source(inputs, as_clip)
        mode = mode or ('causal' if source.live else 'offline')
        offsets = self._offsets(frame_offsets)
        windows = FrameWindows(offsets, mode)
        if streaming and use_oks_tracking:
            raise ValueError('streaming needs tracks before poses: use_oks_tracking=False')
        streaming = streaming and source.is_clip
        show = source.live and not (vis_out_dir or pred_out_dir) if show is None else show
        self._video_input = source.is_clip
        self.video_info = dict(
            fps=source.fps, name=source.name, is_clip=source.is_clip, live=source.live
        )
        batch_size = 1 if source.live else batch_size
        self.visualizer.draw_spread = draw_spread
        self.visualizer.draw_hypotheses = draw_hypotheses

        if resume and not (pred_out_dir and source.is_clip):
            raise ValueError('resume needs a video or a clip, and pred_out_dir')
        if resume and pose_based_nms:
            raise ValueError('resume does not know whom pose_based_nms left out: use one of them')
        boxes = None if bboxes is None else GivenBoxes(bboxes)
        find = _Finder(boxes, self.detector, bbox_thr, nms_thr)
        # Everything that the predictions depend on.
        run = dict(
            self.run_name,
            input=source.name,
            frames=source.count,
            people=str(find),
            tracking=[use_oks_tracking, tracking_thr],
            mode=mode,
            frame_offsets=offsets,
            sampling_steps=sampling_steps,
            num_hypotheses=num_hypotheses,
            return_hypotheses=return_hypotheses,
            streaming=streaming,
        )
        tracker = Tracker(
            tracking_thr, use_oks_tracking, sigmas=self.model.dataset_meta.get('sigmas')
        )
        poser: ClipPoser = ClipPoser(self.model, self.pipeline)
        if streaming:
            self.state.reset()
            poser = StreamingPoser(self.model, self.pipeline, offsets, state=self.state)

        drawn = dict(
            return_vis=return_vis,
            show=show,
            wait_time=wait_time,
            draw_bbox=draw_bbox,
            kpt_thr=kpt_thr,
            vis_out_dir=vis_out_dir,
            skeleton_style=skeleton_style,
            draw_heatmap=draw_heatmap,
            black_background=black_background,
        )
        with self._test_cfg(sampling_steps, num_hypotheses), self._progress(source) as advance:
            self.update_model_visualizer_settings(
                draw_heatmap=draw_heatmap, skeleton_style=skeleton_style
            )
            # Opened last: what is wrong with an argument must not cost what a former run left.
            log = None
            if pred_out_dir and source.is_clip:
                path = osp.join(pred_out_dir, osp.splitext(source.name)[0] + '.json')
                log = PredictionLog(path, run, resume)
            frames = prefetch(source) if source.from_disk else iter(source)
            shown = self._windows(frames, source, windows, find, tracker, batch_size, log)
            if source.from_disk and find.slow:
                # Detection goes on while poses are estimated.
                shown = prefetch(shown, depth=batch_size)
            try:
                for view in self._poses(shown, poser, batch_size, tracker):
                    merged = self._merged(view, pose_based_nms)
                    unit = min(view.window.frame.shape[:2]) / 240
                    vis = self.visualize(
                        [view.window.frame],
                        [merged],
                        window_name=source.name,
                        radius=max(round(2 * unit), 3) if radius is None else radius,
                        thickness=max(round(unit), 2) if thickness is None else thickness,
                        **drawn,
                    )
                    samples = [merged] if merge_results else view.samples
                    yield self._result(
                        view, samples, vis, mode, log, pred_out_dir,
                        return_datasamples, return_hypotheses,
                    )  # fmt: skip
                    advance()
                if log is not None:
                    log.finish()
                self._close_video()
            except (GeneratorExit, KeyboardInterrupt):
                # A camera has no end but this one.
                if source.live and log is not None:
                    log.finish()
                raise
            except Exception:
                if log is not None and log.done and osp.exists(log.lines_path):
                    print_log(
                        f'stopped after {log.done} frames, which are kept in {log.lines_path}: '
                        'resume continues from there',
                        logger='current',
                        level=logging.WARNING,
                    )
                raise
            finally:
                shown.close()
                if log is not None:
                    log.close()
                # What went wrong first is what matters.
                with suppress(OSError):
                    self._close_video()

    def _close_video(self) -> None:
        video, self.video_file = self.video_file, None
        if video is not None:
            video.close()

    def _offsets(self, frame_offsets: Sequence[int] | None) -> tuple[int, ...]:
        trained = clip_offsets(self.cfg)
        if frame_offsets is None:
            return trained
        offsets = check_frame_offsets(tuple(frame_offsets))
        if len(offsets) != len(trained) or offsets.index(0) != trained.index(0):
            raise ValueError(
                f'frame_offsets={tuple(frame_offsets)} do not fit the model, which was trained '
                f'with {trained}: equally many frames before and after the keyframe are needed'
            )
        return offsets

    @contextmanager
    def _test_cfg(self, sampling_steps: int | None, num_hypotheses: int | None) -> Iterator[None]:
        """The model's test_cfg with other values, for the time of one call."""
        before = self.model.test_cfg
        changes = dict(sampling_steps=sampling_steps, num_hypotheses=num_hypotheses)
        changes = {key: value for key, value in changes.items() if value is not None}
        head = self.model.head
        if changes and not hasattr(head, 'check_test_cfg'):
            kind = type(head).__name__
            raise ValueError(f'{", ".join(changes)}: a {kind} has no such setting')
        self.model.test_cfg = copy.deepcopy(before)
        self.model.test_cfg.update(changes)
        try:
            if changes:
                head.check_test_cfg(self.model.test_cfg)
            yield
        finally:
            self.model.test_cfg = before

    @contextmanager
    def _progress(self, source: FrameSource) -> Iterator[Callable[[], None]]:
        if not self.show_progress:
            yield lambda: None
            return
        columns = (
            TextColumn('{task.description}'),
            BarColumn(),
            MofNCompleteColumn(),
            _FramesPerSecond(),
            TextColumn('left'),
            TimeRemainingColumn(),
        )
        with Progress(*columns) as bar:
            name = source.name if source.is_clip else 'images'
            number = bar.add_task(name, total=source.count)
            (task,) = bar.tasks
            told = time.monotonic()

            def advance() -> None:
                nonlocal told
                bar.advance(number)
                # A bar that is written to a file is only seen when all is over.
                if not bar.console.is_terminal and time.monotonic() - told > TELL_EVERY:
                    told = time.monotonic()
                    print_log(
                        f'{name}: {task.completed:.0f} of {task.total or "?"} frames, '
                        f'{task.speed or 0:.1f} frames/s, {task.time_remaining or 0:.0f} s left',
                        logger='current',
                    )

            yield advance

    def _windows(
        self,
        frames: Iterator[tuple[str, np.ndarray]],
        source: FrameSource,
        windows: FrameWindows,
        find: '_Finder',
        tracker: Tracker,
        batch_size: int,
        log: PredictionLog | None,
    ) -> Iterator[_View]:
        """The windows of all frames, with the people of their keyframes."""
        done = log.done if log is not None else 0
        known = iter(log) if done else iter(())
        pending: dict[int, _View] = {}

        def complete(given: list[Window]) -> Iterator[_View]:
            for window in given:
                view = pending.pop(window.frame_id)
                view.window = window
                for person in view.people:
                    person.later = {
                        later.index: other.box
                        for later in pending.values()
                        for other in later.people
                        if person.track_id is not None and other.track_id == person.track_id
                    }
                yield view

        index = 0
        with closing(frames):
            while True:
                # Known frames join no batch: those of the others stay as they were.
                size = min(batch_size, done - index) if index < done else batch_size
                chunk, failed = _take(frames, size)
                if index < done:
                    entries: list = list(islice(known, len(chunk)))
                    people = [_people_of(entry) for entry in entries]
                else:
                    entries = [None] * len(chunk)
                    people = find(index, [frame for _, frame in chunk]) if chunk else []
                for (name, frame), found, entry in zip(chunk, people, entries):
                    view = _View(index, name, found, entry)
                    index += 1
                    if source.is_clip:
                        if not tracker.by_oks:
                            tracker(found)
                        pending[view.index] = view
                        yield from complete(windows.push(frame))
                    else:
                        view.window = still_window(frame, windows.offsets)
                        yield view
                if failed is not None:
                    raise failed
                if len(chunk) < size:
                    yield from complete(windows.flush())
                    return

    def _poses(
        self, views: Iterator[_View], poser: ClipPoser, batch_size: int, tracker: Tracker
    ) -> Iterator[_View]:
        """Pose the people of the windows in batches over people and frames; same order."""
        waiting: list[_View] = []
        people = 0
        failed = None
        while True:
            try:
                view = next(views, None)
            except Exception as error:
                # What was read before is not to be lost.
                view, failed = None, error
            if view is not None:
                waiting.append(view)
                people += 0 if view.entry else len(view.people)
            if view is None or people >= batch_size or len(waiting) >= batch_size:
                yield from self._pose(waiting, poser, batch_size, tracker)
                waiting, people = [], 0
            if failed is not None:
                raise failed
            if view is None:
                return

    def _pose(
        self, views: list[_View], poser: ClipPoser, batch_size: int, tracker: Tracker
    ) -> Iterator[_View]:
        known, jobs = (
            [
                (view.window, view.name, person)
                for view in views
                if (view.entry is not None) == is_known
                for person in view.people
            ]
            for is_known in (True, False)
        )
        poser.skip(known)  # known frames come before all others
        samples: list[PoseDataSample] = []
        for start in range(0, len(jobs), batch_size):
            samples += poser(jobs[start : start + batch_size])
        given = iter(samples)
        for view in views:
            if view.entry is None:
                view.samples = list(islice(given, len(view.people)))
            else:
                view.samples = [
                    dicts_to_sample([person], self._meta(view), self._num_keypoints)
                    for person in view.entry['instances']
                ]
            if self._video_input and tracker.by_oks:
                tracker(view.people, view.samples)
            for person, sample in zip(view.people, view.samples):
                if person.track_id is not None:
                    sample.pred_instances.set_field(np.array([person.track_id]), 'track_ids')
            yield view

    @property
    def _num_keypoints(self) -> int:
        return int(self.model.dataset_meta['num_keypoints'])

    @staticmethod
    def _meta(view: _View) -> dict:
        shape = view.window.frame.shape[:2]
        return dict(img_path=view.name, img_shape=shape, ori_shape=shape)

    def _merged(self, view: _View, pose_nms: bool) -> PoseDataSample:
        """All people of a frame in one data sample, and nobody in an empty one."""
        if not view.samples:
            return dicts_to_sample([], self._meta(view), self._num_keypoints)
        merged = merge_data_samples(view.samples)
        if pose_nms:
            instances = merged.pred_instances
            poses = [
                dict(keypoints=points, score=score)
                for points, score in zip(instances.keypoints, instances.bbox_scores)
            ]
            kept = nearby_joints_nms(poses, num_nearby_joints_thr=self._num_keypoints // 3)
            merged.pred_instances = instances[kept]
        return merged

    def visualize(
        self, inputs: list, preds: list[PoseDataSample], draw_bbox: bool = False, **kwargs: Any
    ) -> list[np.ndarray] | None:
        """As in mmpose, which cannot draw the boxes of nobody."""
        drawn: list = []
        for frame, pred in zip(inputs, preds):
            boxes = draw_bbox and len(pred.pred_instances) > 0
            result = super().visualize([frame], [pred], draw_bbox=boxes, **kwargs)
            if result is None:
                return None
            drawn += result
        return drawn

    def save_visualization(
        self, visualization: np.ndarray, vis_out_dir: str, img_name: str | None = None
    ) -> None:
        """As in mmpose; videos are encoded while the next frame is worked on."""
        if not self._video_input:
            with writing(osp.join(vis_out_dir, img_name or '')):
                super().save_visualization(visualization, vis_out_dir, img_name)
            return
        if self.video_file is None:
            folder = _folder_of(vis_out_dir)
            name = self.video_info['name'] if folder == vis_out_dir else osp.basename(vis_out_dir)
            self.video_file = VideoFile(osp.join(folder, name), self.video_info['fps'])
            self.video_info['output_file'] = self.video_file.path
        self.video_file.write(np.ascontiguousarray(visualization[..., ::-1]))

    def _result(
        self,
        view: _View,
        samples: list[PoseDataSample],
        visualization: list[np.ndarray] | None,
        mode: str,
        log: PredictionLog | None,
        pred_out_dir: str,
        return_datasamples: bool,
        return_hypotheses: bool,
    ) -> dict:
        window = view.window
        start = view.index - window.frame_id  # a picture is a clip of its own, from 0
        frames = dict(
            frame_id=view.index,
            frames_used=[start + i for i in window.frame_ids],
            replicated=list(window.replicated),
            mode=mode,
        )
        dicts = [instances_to_dicts(s.pred_instances, return_hypotheses) for s in samples]
        if log is not None and view.entry is None:
            log.append(dict(frames, instances=list(chain(*dicts))))
        elif pred_out_dir and not self._video_input:
            stem = osp.splitext(osp.basename(view.name))[0]
            path = osp.join(pred_out_dir, stem + '.json')
            with writing(path):
                mmengine.dump(list(chain(*dicts)), path, indent='  ')
        result: dict = defaultdict(list)
        result.update(
            visualization=visualization,
            predictions=list(samples) if return_datasamples else dicts,
            frames=[dict(frames, img_path=view.name)],
        )
        return result


class _Finder:
    """The people of a few frames, from wherever the user wants them."""

    def __init__(
        self,
        boxes: GivenBoxes | None,
        detector: PersonDetector | None,
        bbox_thr: float,
        nms_thr: float,
    ) -> None:
        self.boxes, self.detector = boxes, detector
        self.slow = boxes is None and detector is not None
        self.thresholds = bbox_thr, nms_thr

    def __str__(self) -> str:
        if self.boxes is not None:
            return f'given boxes {self.boxes.digest()}'
        return 'whole image' if self.detector is None else f'{self.detector} {self.thresholds}'

    def __call__(self, index: int, frames: list[np.ndarray]) -> list[list[Person]]:
        if self.boxes is not None:
            return [self.boxes(index + i, frame.shape) for i, frame in enumerate(frames)]
        if self.detector is None:
            return [whole_image(frame) for frame in frames]
        return self.detector(frames, *self.thresholds)


class _FramesPerSecond(ProgressColumn):
    def render(self, task: ProgressTask) -> Text:
        """Frames a second."""
        return Text(f'{task.speed or 0:.1f} frames/s')


def _take(items: Iterator, count: int) -> tuple[list, Exception | None]:
    """Up to ``count`` items, and what went wrong after them."""
    taken: list = []
    try:
        while len(taken) < count:
            taken.append(next(items))
    except StopIteration:
        pass
    except Exception as error:
        return taken, error
    return taken, None


def _people_of(entry: dict) -> list[Person]:
    return [
        Person(
            np.asarray(person['bbox'], dtype=np.float32).reshape(-1)[:4],
            float(person.get('bbox_score', 1.0)),
            person.get('track_id'),
        )
        for person in entry['instances']
    ]


def _name_of(config: str | os.PathLike | Config) -> str:
    """What tells a config from others: its path or, for an object, a digest of its content."""
    if isinstance(config, (str, os.PathLike)):
        return os.fspath(config)
    return f'Config {hashlib.sha1(repr(config).encode()).hexdigest()[:8]}'


def _folder_of(path: str) -> str:
    """The folder of an output, which may also be given as a file."""
    return (osp.dirname(path) or '.') if osp.splitext(path)[1] else path
