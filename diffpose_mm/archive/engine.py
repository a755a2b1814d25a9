"""What poses the videos of an archive: finder, poser and settings, built once in each worker."""

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from diffpose_mm_runtime.streams import StreamState

from ..apis.boxes import GivenBoxes, read_boxes
from ..apis.options import InferenceOptions
from ..apis.output_keypoints import OutputKeypoints
from ..apis.people import PeopleFinder
from ..apis.poser import Poser
from .manifest import Entry


@dataclass(frozen=True)
class Settings:
    """What the cutting of a video depends on; the main process knows it without a model.

    Attributes:
        offsets: Of the window, oldest first.
        mode: 'offline' or 'causal'.
        batch_size: Frames a pass of the detector, people times frames a pass of the pose model.
        streaming: Whether crops are remembered from frame to frame.
        by_oks: Track by poses, when all are known, in place of boxes.
        tracking_thr: Least similarity of a match.
        sigmas, present: Of the keypoints, for OKS, see :class:`Tracker`.
    """

    offsets: tuple[int, ...]
    mode: str = 'offline'
    batch_size: int = 8
    streaming: bool = False
    by_oks: bool = False
    tracking_thr: float = 0.3
    sigmas: Sequence[float] | None = None
    present: Sequence[int] | None = None

    def with_options(self, options: Mapping[str, Any]) -> 'Settings':
        """The settings with those options of a manifest that they depend on."""
        names = dict(mode='mode', streaming='streaming', use_oks_tracking='by_oks')
        names['tracking_thr'] = 'tracking_thr'
        return replace(self, **{names[k]: v for k, v in options.items() if k in names})

    @property
    def look_back(self) -> int:
        """Frames before a keyframe that its window sees."""
        return -self.offsets[0]

    @property
    def look_ahead(self) -> int:
        """Frames after a keyframe that its window sees."""
        return self.offsets[-1] if self.mode == 'offline' else 0

    @property
    def lead(self) -> int:
        """Frames, at most, that a stretch is posed before its first: see the joiner."""
        span, size = self.look_back + self.look_ahead, self.batch_size
        return (-(-2 * span // size) + 1) * size if self.streaming else 0


@dataclass(frozen=True)
class Engine:
    """Poses people in videos; a test may put simpler parts in place of a network.

    Attributes:
        settings: See :class:`Settings`.
        finder: Finds the people.
        make_poser: Gives a poser for a video or a stretch of one; what a stream remembers of the
            frames before comes with it.
        keypoints: Those that are given of each person.
        identity: Everything that the results depend on, by content.
        configure: Gives the engine with options of a manifest in place of its own.
    """

    settings: Settings
    finder: PeopleFinder
    make_poser: Callable[[StreamState | None], Poser]
    keypoints: OutputKeypoints
    identity: Mapping[str, Any]
    configure: Callable[[Mapping[str, Any]], 'Engine'] | None = None

    def of_entry(self, entry: Entry) -> 'Engine':
        """The engine for one video: with its options and its boxes.

        Raises:
            ValueError: The options do not go with the model; the boxes cannot be read.
        """
        engine = self
        if entry.options:
            if self.configure is None:
                raise ValueError('this engine takes no options')
            engine = self.configure(entry.options)
        if entry.boxes:
            engine = replace(engine, finder=GivenBoxes(read_boxes(entry.boxes)))
        return engine


@dataclass(frozen=True)
class EngineSource:
    """Where a worker gets its engine: a function by name, and its arguments.

    Attributes:
        factory: 'module:function', which takes ``arguments`` and gives an :class:`Engine`.
        arguments: Anything that can be pickled.
    """

    factory: str
    arguments: Mapping[str, Any]

    def build(self, **more: Any) -> Engine:
        """Import the function and call it; ``more`` in place of the arguments of that name."""
        module, _, name = self.factory.partition(':')
        return getattr(importlib.import_module(module), name)(**{**self.arguments, **more})


def model_engine(
    config: str | None = None,
    checkpoint: str | None = None,
    device: str | None = None,
    det_model: str | None = None,
    det_checkpoint: str | None = None,
    cfg_options: Mapping[str, Any] | None = None,
    options: Mapping[str, Any] | None = None,
) -> Engine:
    """The engine of a model and a detector; an :class:`EngineSource` names it.

    Args:
        config, checkpoint, device, det_model, det_checkpoint: See :class:`DiffPoseInferencer`.
        cfg_options: Values that replace those of the config.
        options: Of :class:`InferenceOptions`.

    Raises:
        ValueError, OSError: They cannot be had, or do not go together.
    """
    from ..apis.inferencer import DiffPoseInferencer
    from ..configs import read_config
    from ..engine.launch import merge_cfg_options

    model: Any = config
    if config is not None and cfg_options:
        model = read_config(config)
        merge_cfg_options(model, dict(cfg_options))
    inferencer = DiffPoseInferencer(
        model, checkpoint, device=device, det_model=det_model, det_weights=det_checkpoint
    )
    return _configured(inferencer, dict(options or {}))


def _configured(inferencer: Any, fields: dict[str, Any]) -> Engine:
    from ..apis.parts import make_poser, people_finder, run_test_cfg, window_offsets

    options = InferenceOptions(**fields)
    offsets = window_offsets(inferencer, options)
    test_cfg = run_test_cfg(inferencer.model, options)
    keypoints = OutputKeypoints(inferencer.model.dataset_meta, options.keypoints)
    finder = people_finder(inferencer, options)
    finder.prepare()
    sigmas = keypoints.dataset_meta.get('sigmas')
    settings = Settings(
        offsets,
        options.mode or 'offline',
        options.batch_size,
        options.streaming,
        options.use_oks_tracking,
        options.tracking_thr,
        None if sigmas is None else tuple(map(float, sigmas)),
        tuple(map(int, keypoints.present)),
    )

    def poser(state: StreamState | None) -> Poser:
        remembered = (state or StreamState()) if options.streaming else None
        return make_poser(inferencer, offsets, test_cfg, remembered)

    poser(None)  # what does not go together is refused here
    identity = dict(
        **inferencer.identity,
        people=finder.identity(),
        mode=settings.mode,
        frame_offsets=list(offsets),
        streaming=options.streaming,
        sampling_steps=options.sampling_steps,
        num_hypotheses=options.num_hypotheses,
        tracking=dict(by='oks' if options.use_oks_tracking else 'iou', thr=options.tracking_thr),
        keypoints=keypoints.names,
    )
    return Engine(
        settings,
        finder,
        poser,
        keypoints,
        identity,
        lambda more: _configured(inferencer, {**fields, **more}),
    )
