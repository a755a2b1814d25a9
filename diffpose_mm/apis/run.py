"""A run: what one call of the inferencer owns, and nobody else touches."""

import os.path as osp
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

from diffpose_mm_runtime.spread_calibration import spread_identity

from ..files import prepare_folder
from . import pipeline
from .drawing import PoseDrawer, has_display
from .live_sources import NetworkStream
from .options import InferenceOptions
from .output_keypoints import OutputKeypoints
from .parts import (
    check_resume,
    make_poser,
    make_sinks,
    people_finder,
    run_test_cfg,
    window_offsets,
)
from .prediction_log import PredictionLog
from .prefetch import prefetch
from .progress import frame_progress
from .records import Result, instances_to_dicts
from .sink import set_aside
from .sources import find_source
from .streaming import StreamState
from .tracker import Tracker

if TYPE_CHECKING:
    from .inferencer import DiffPoseInferencer


class Run:
    """The results of one call, to be iterated over once; several may be under way at once.

    Args:
        inferencer: Its model, detector and visualizer are used, and stay as they are.
        inputs: See :func:`find_source`.
        options: Of the call.

    Attributes:
        source: Where the frames come from.
        keypoints: What is given of each person.
        options: As given.
        mode: 'offline' or 'causal'.
        offsets: Of the window.
        state: What a stream remembers; None where frames are not streamed.
        files: What is written, of the predictions and of the drawn poses.
        num_frames: Frames given so far, those that cannot be read included.
        num_faults: Of these, frames that cannot be read.

    Raises:
        ValueError, TypeError: What is asked for does not go with the model or the input.
        OSError: The input cannot be opened, or an output not written.
    """

    def __init__(
        self, inferencer: 'DiffPoseInferencer', inputs: Any, options: InferenceOptions
    ) -> None:
        self.inferencer, self.options = inferencer, options
        # First everything that can be refused without opening anything.
        self.source = source = find_source(inputs, options.as_clip)
        if isinstance(source, NetworkStream):
            source.reconnect_at_end |= options.reconnect_at_end
        self.mode = options.mode or ('causal' if source.live else 'offline')
        self.offsets = window_offsets(inferencer, options)
        self.test_cfg = run_test_cfg(inferencer.model, options)
        self.batch_size = 1 if source.live else options.batch_size
        self.state = StreamState() if options.streaming and source.is_clip else None
        self.keypoints = OutputKeypoints(inferencer.model.dataset_meta, options.keypoints)
        self.poser = make_poser(
            inferencer, self.offsets, self.test_cfg, self.state, options.streaming
        )
        self.finder = people_finder(inferencer, options)
        # What a camera sees is shown where nothing else is made of it.
        live_view = source.live and not options.folders and has_display()
        self.show = live_view if options.show is None else options.show
        self.draw = self._drawer() if options.draws or self.show else None
        check_resume(source, options)
        is_logged = bool(options.pred_out_dir) and source.is_clip
        identity = self.identity() if is_logged else {}
        self.sinks = make_sinks(source, options, self.keypoints, identity)
        # Then what takes time, and can fail.
        self.finder.prepare()
        source.open()
        try:
            source.fps = source.fps or options.fps
            for folder in options.folders:
                prepare_folder(folder)
        except BaseException:
            source.close()
            raise
        self.files = [path for sink in self.sinks for path in sink.files]
        self.num_frames = self.num_faults = 0
        self._results = self._iterate()

    def drawn_file(self, index: int) -> str:
        """The file that frame ``index`` is drawn to: the video, or the picture's own."""
        files = self.sinks[-1].files
        return files[0] if self.source.is_clip else files[index]

    def __iter__(self) -> Iterator[dict]:
        """The results that are left."""
        return self

    def __next__(self) -> dict:
        """The next result, see :meth:`DiffPoseInferencer.__call__`."""
        return next(self._results)

    def close(self) -> None:
        """End the run; what was computed is kept. Called by the end of iteration as well."""
        self._results.close()
        self.source.close()

    def __enter__(self) -> 'Run':
        """The run itself, closed at the end of a with statement."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close."""
        self.close()

    def _iterate(self) -> Generator[dict, None, None]:
        source, options, keypoints = self.source, self.options, self.keypoints
        log = next((sink for sink in self.sinks if isinstance(sink, PredictionLog)), None)
        tracker = Tracker(
            options.tracking_thr,
            options.use_oks_tracking,
            sigmas=keypoints.dataset_meta.get('sigmas'),
            present=keypoints.present,
        )
        by_pose = tracker if source.is_clip and tracker.by_oks else None
        with ExitStack() as stack:
            stack.callback(source.close)
            if log is not None and log.replaces_other:
                for path in self.files:
                    if path != log.path and osp.isfile(path):
                        set_aside(path, 'does not belong to this input')

            def threaded(items: Any, depth: int = 4) -> Any:
                return stack.enter_context(closing(prefetch(items, depth)))

            fps = float(source.fps) if source.fps and not source.live else None
            frames = pipeline.numbered(source, fps if source.is_clip else None)
            if source.from_disk:
                frames = threaded(frames)
            if log is not None and log.done:
                frames = pipeline.restored(frames, log.restored())
            frames = pipeline.with_people(frames, self.finder, self.batch_size)
            if source.is_clip:
                if by_pose is None:
                    frames = pipeline.tracked(frames, tracker)
                windows = pipeline.windowed(frames, self.offsets, self.mode)
            else:
                windows = pipeline.stills(frames, self.offsets)
            if source.from_disk and self.finder.slow:
                # Detection goes on while poses are estimated.
                windows = threaded(windows, self.batch_size)
            results = pipeline.posed(windows, self.poser, self.batch_size, self.mode, keypoints)
            results = pipeline.numbered_people(results, by_pose)
            results = pipeline.merged(results, keypoints, options.pose_based_nms)
            if self.draw is not None:
                results = pipeline.drawn(results, self.draw)
            done = pipeline.saved(results, self.sinks, source.live)
            advance = stack.enter_context(self._progress())
            for result in stack.enter_context(closing(done)):
                self.num_frames += 1
                self.num_faults += result.frame.fault is not None
                yield self._as_dict(result)
                advance()
            if self.num_frames == self.num_faults:
                raise ValueError(f'{self.source.name}: no frame could be read')

    def _spread_identity(self) -> dict[str, str]:
        head = getattr(self.inferencer.model, 'head', None)
        calibration = getattr(head, 'spread_calibration', None)
        return spread_identity((self.test_cfg or {}).get('num_hypotheses', 1), calibration)

    def _drawer(self) -> PoseDrawer:
        return PoseDrawer(
            self.inferencer.visualizer,
            self.keypoints,
            self.options,
            self.show,
            self.source.name if self.source.is_clip else '',
        )

    @contextmanager
    def _progress(self) -> Iterator[Callable[[], None]]:
        if not self.inferencer.show_progress:
            yield lambda: None
            return
        name = self.source.name if self.source.is_clip else 'images'
        with frame_progress(name, self.source.count) as advance:
            yield advance

    def _as_dict(self, result: Result) -> dict:
        options = self.options
        samples: list = [result.merged] if options.merge_results else list(result.samples)
        pictures = None
        if self.draw is not None:
            pictures = [result.picture] if options.return_vis and result.picture is not None else []
        return dict(
            visualization=pictures,
            predictions=samples
            if options.return_datasamples
            else [instances_to_dicts(s.pred_instances, options.return_hypotheses) for s in samples],
            frames=[dict(result.frame_info(), img_path=result.frame.name)],
        )

    def identity(self) -> dict[str, Any]:
        """Everything that the predictions depend on, by content."""
        options = self.options
        return dict(
            **self.inferencer.identity,
            input=dict(name=self.source.name, **self.source.content()),
            people=self.finder.identity(),
            tracking=dict(
                by='oks' if options.use_oks_tracking else 'iou', thr=options.tracking_thr
            ),
            mode=self.mode,
            fps=options.fps,
            frame_offsets=list(self.offsets),
            sampling_steps=options.sampling_steps,
            num_hypotheses=options.num_hypotheses,
            return_hypotheses=options.return_hypotheses,
            **self._spread_identity(),
            pose_based_nms=options.pose_based_nms,
            streaming=self.state is not None,
            **({} if options.keypoints is None else dict(keypoints=options.keypoints)),
        )
