"""The parts of a run, made of what was asked for; what does not go together is refused here."""

import copy
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..clip import check_frame_offsets
from ..models.clip_neck import ClipNeck
from .boxes import GivenBoxes
from .detector import DetectedPeople
from .formats import FORMATS
from .frame_source import FrameSource
from .naming import check_outputs, unique_stems
from .options import InferenceOptions
from .output_keypoints import OutputKeypoints
from .people import PeopleFinder, WholeImage
from .picture_sinks import PictureFiles
from .poser import ClipPoser, FramePoser, Poser
from .prediction_log import PredictionLog
from .sink import RunInfo, Sink
from .streaming import StreamingPoser, StreamState
from .video_sink import VideoFile
from .windows import clip_offsets, loads_clips

if TYPE_CHECKING:
    from .inferencer import DiffPoseInferencer


def window_offsets(inferencer: 'DiffPoseInferencer', options: InferenceOptions) -> tuple[int, ...]:
    """The offsets of the run's windows, oldest first.

    Raises:
        ValueError: They do not fit the model.
    """
    trained = clip_offsets(inferencer.cfg)
    neck = getattr(inferencer.model, 'neck', None)
    if isinstance(neck, ClipNeck):
        place = trained.index(0)
        if (len(trained), place) != (neck.num_frames, neck.keyframe_index):
            raise ValueError(
                f'the config tests with frame_offsets={trained}, {len(trained)} frames with the '
                f'keyframe at {place}, but its neck merges num_frames={neck.num_frames} with '
                f'keyframe_index={neck.keyframe_index}: set them to the same'
            )
    if options.frame_offsets is None:
        return trained
    offsets = check_frame_offsets(tuple(options.frame_offsets))
    if len(offsets) != len(trained) or offsets.index(0) != trained.index(0):
        raise ValueError(
            f'frame_offsets={tuple(options.frame_offsets)} do not fit the model, which was trained '
            f'with {trained}: equally many frames before and after the keyframe are needed'
        )
    return offsets


def run_test_cfg(model: Any, options: InferenceOptions) -> Mapping[str, Any]:
    """The model's test_cfg with the values of a run; the model keeps its own.

    Raises:
        ValueError: The head has no such setting, or not such values.
    """
    changes = dict(sampling_steps=options.sampling_steps, num_hypotheses=options.num_hypotheses)
    changes = {key: value for key, value in changes.items() if value is not None}
    if changes and not hasattr(model.head, 'check_test_cfg'):
        kind = type(model.head).__name__
        raise ValueError(f'{", ".join(changes)}: a {kind} has no such setting')
    test_cfg = copy.deepcopy(model.test_cfg)
    test_cfg.update(changes, output_heatmaps=options.draw_heatmap)
    if changes:
        model.head.check_test_cfg(test_cfg)
    return test_cfg


def make_poser(
    inferencer: 'DiffPoseInferencer',
    offsets: Sequence[int],
    test_cfg: Mapping[str, Any],
    state: StreamState | None,
    streaming: bool | None = None,
) -> Poser:
    """What poses the people of a clip, or of pictures apart.

    Args:
        inferencer: Its model and pipeline are used.
        offsets: Of the window.
        test_cfg: In place of the model's.
        state: What a stream remembers; None where frames are not streamed.
        streaming: Whether that was asked for. Defaults to whether there is a state.

    Raises:
        ValueError: The model cannot be streamed.
    """
    model, steps = inferencer.model, inferencer.pipeline
    if not loads_clips(steps):
        if state is not None if streaming is None else streaming:
            raise ValueError(
                'streaming: this model looks at single frames (its test pipeline has no '
                'LoadClip), and there is nothing to keep from frame to frame'
            )
        return FramePoser(model, steps, test_cfg)
    if state is None:
        return ClipPoser(model, steps, test_cfg)
    return StreamingPoser(model, steps, offsets, state=state, test_cfg=test_cfg)


def people_finder(inferencer: 'DiffPoseInferencer', options: InferenceOptions) -> PeopleFinder:
    """Boxes that are given, else the detector, else the whole image."""
    if options.bboxes is not None:
        return GivenBoxes(options.bboxes)
    if inferencer.detector is None:
        return WholeImage()
    return DetectedPeople(
        inferencer.detector, options.bbox_thr, options.nms_thr, options.max_people
    )


def check_resume(source: FrameSource, options: InferenceOptions) -> None:
    """Raise ValueError if a run on this input cannot be gone on with."""
    if not options.resume:
        return
    if not (options.pred_out_dir and source.is_clip):
        raise ValueError('resume needs a video or a clip, and pred_out_dir')
    if not source.from_disk:
        raise ValueError(
            'resume needs an input that can be read again, a file, a list or a folder, and '
            f'{source.name} is none'
        )


def make_sinks(
    source: FrameSource,
    options: InferenceOptions,
    keypoints: OutputKeypoints,
    identity: dict[str, Any],
) -> list[Sink]:
    """The sinks of a run; nothing is written before they are opened.

    Raises:
        ValueError: An output would be written over an input; what is to be resumed is of another
            run.
    """
    info = RunInfo(
        source=source,
        keypoints=keypoints.names,
        absent=keypoints.absent,
        skeleton=[[int(a), int(b)] for a, b in keypoints.dataset_meta.get('skeleton_links') or ()],
        identity=identity,
        with_hypotheses=options.return_hypotheses,
        resume=options.resume,
        stems=() if source.is_clip else unique_stems(source.names),
    )
    sinks: list[Sink] = []
    if options.pred_out_dir:
        sinks += [FORMATS[name](options.pred_out_dir, info) for name in options.formats]
    if options.vis_out_dir:
        drawing = VideoFile if source.is_clip else PictureFiles
        sinks.append(drawing(options.vis_out_dir, info))
    outputs = [path for sink in sinks for path in sink.files]
    outputs += [sink.lines_path for sink in sinks if isinstance(sink, PredictionLog)]
    check_outputs(outputs, source.paths)
    return sinks
