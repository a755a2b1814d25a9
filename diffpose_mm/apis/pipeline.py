"""The corridor of inference: each stage takes an iterator and gives one, and adds one thing.

    source -> numbered -> restored -> with_people -> tracked -> windowed -> posed -> merged
    -> drawn -> saved(sinks)

A frame collects what is known of it on the way. A stage knows nothing of the others, and keeps
what it has to remember in what it is given (a tracker, a poser, sinks).
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from mmpose.evaluation.functional import nearby_joints_nms
from mmpose.structures import PoseDataSample, merge_data_samples

from .frame_source import FrameSource, SourceFrame
from .output_keypoints import OutputKeypoints
from .people import PeopleFinder, Person
from .poser import Job, Poser
from .records import Result, dicts_to_sample
from .sink import Sink
from .tracker import Tracker
from .windows import Frame, FrameWindows, Window, still_window

Item = TypeVar('Item')


def batched(
    items: Iterable[Item], size: int, weight: Callable[[Item], int] = lambda item: 1
) -> Iterator[list[Item]]:
    """Lists of items of a total weight of ``size``, or of ``size`` items.

    What was read before an error comes before the error.
    """
    iterator = iter(items)
    batch: list[Item] = []
    error = None
    while error is None:
        try:
            batch.append(next(iterator))
        except StopIteration:
            break
        except Exception as caught:
            error = caught
        if len(batch) >= size or sum(map(weight, batch)) >= size:
            yield batch
            batch = []
    if batch:
        yield batch
    if error is not None:
        raise error


def numbered(source: FrameSource, fps: float | None = None) -> Iterator[Frame]:
    """The frames of a source, numbered without gaps: what the source leaves out is a fault.

    Args:
        source: The source.
        fps: Gives frames without a time one.

    Raises:
        ValueError: The numbers of the source do not rise.
    """
    expected = 0
    for item in source:
        shot = item if isinstance(item, SourceFrame) else SourceFrame(*item)
        number = expected if shot.number is None else shot.number
        if number < expected:
            raise ValueError(
                f'the source {source.name} gives frame {number} where {expected} or a later one '
                'was expected: numbers have to rise'
            )
        for missing in range(expected, number):
            yield Frame(missing, shot.name, None, None, 'is not among the frames of the input')
        time = number / fps if shot.time is None and fps else shot.time
        yield Frame(number, shot.name, shot.image, time, shot.fault)
        expected = number + 1


def restored(frames: Iterable[Frame], entries: Iterable[dict]) -> Iterator[Frame]:
    """Frames, the first of them with what an interrupted run has saved."""
    saved = iter(entries)
    for frame in frames:
        frame.saved = next(saved, None)
        if frame.saved is not None:
            frame.people = [Person.from_dict(person) for person in frame.saved['instances']]
        yield frame


def with_people(frames: Iterable[Frame], find: PeopleFinder, batch_size: int) -> Iterator[Frame]:
    """Frames with their people, who are looked for in ``batch_size`` frames at once."""
    for batch in batched(frames, batch_size):
        new = [frame for frame in batch if frame.saved is None and frame.fault is None]
        if new:
            images = [frame.image for frame in new if isinstance(frame.image, np.ndarray)]
            found = find([frame.index for frame in new], images)
            for frame, people in zip(new, found, strict=True):
                frame.people = people
        yield from batch


def tracked(frames: Iterable[Frame], tracker: Tracker) -> Iterator[Frame]:
    """Frames whose people have track ids."""
    for frame in frames:
        tracker(frame.people)
        yield frame


def windowed(frames: Iterable[Frame], offsets: Sequence[int], mode: str) -> Iterator[Window]:
    """The clip of every frame, as soon as it is complete; its people come along."""
    windows = FrameWindows(offsets, mode)
    for frame in frames:
        yield from windows.push(frame)
    yield from windows.flush()


def stills(frames: Iterable[Frame], offsets: Sequence[int]) -> Iterator[Window]:
    """Each frame as a clip of its own."""
    return (still_window(frame, offsets) for frame in frames)


def posed(
    windows: Iterable[Window],
    poser: Poser,
    batch_size: int,
    mode: str,
    keypoints: OutputKeypoints,
) -> Iterator[Result]:
    """The poses of each keyframe's people, in batches over people and frames."""
    for batch in batched(windows, batch_size, _num_new_people):
        # Restored frames come before all others, and never into a batch with them.
        poser.replay(_jobs(window for window in batch if window.frame.saved is not None))
        jobs = _jobs(window for window in batch if window.frame.saved is None)
        new = iter(
            [
                keypoints.convert(sample)
                for start in range(0, len(jobs), batch_size)
                for sample in poser(jobs[start : start + batch_size])
            ]
        )
        for window in batch:
            frame = window.frame
            if frame.saved is None:
                samples = list(islice(new, len(frame.people)))
            else:
                samples = [
                    dicts_to_sample([person], _metainfo(frame), len(keypoints))
                    for person in frame.saved['instances']
                ]
            yield Result(window, mode, samples)


def numbered_people(results: Iterable[Result], tracker: Tracker | None) -> Iterator[Result]:
    """Results whose samples have the track ids of their people.

    Args:
        results: The results.
        tracker: One that compares poses, which gives the people their numbers here.
    """
    for result in results:
        people = result.frame.people
        if tracker is not None:
            tracker(people, result.samples)
        for person, sample in zip(people, result.samples):
            if person.track_id is not None:
                sample.pred_instances.set_field(np.array([person.track_id]), 'track_ids')
        yield result


def merged(
    results: Iterable[Result], keypoints: OutputKeypoints, pose_nms: bool
) -> Iterator[Result]:
    """Results with all people of a frame in one sample; an empty one if there are none.

    Args:
        results: The results.
        keypoints: Those of the results.
        pose_nms: Leave out poses that lie on another one's joints.
    """
    for result in results:
        result.merged = _merge(result, keypoints, pose_nms)
        yield result


def drawn(results: Iterable[Result], draw: Callable[[Result], Any]) -> Iterator[Result]:
    """Results with their pictures."""
    for result in results:
        result.picture = draw(result)
        yield result


def saved(
    results: Iterable[Result], sinks: Sequence[Sink], live: bool
) -> Generator[Result, None, None]:
    """Results, after every sink has taken them.

    Args:
        results: The results.
        sinks: In the order in which they take a result.
        live: The input has no end but that of the run: files are completed however it ends.
    """
    finished = False
    try:
        for sink in sinks:
            sink.open()
        for result in results:
            for sink in sinks:
                sink.write(result)
            yield result
        for sink in sinks:
            sink.finish()
        finished = True
    except BaseException as error:
        if live and not finished:
            for sink in sinks:
                with suppress(OSError):
                    sink.finish()
        if isinstance(error, Exception):
            for sink in sinks:
                sink.failed()
        raise
    finally:
        for sink in sinks:
            # What went wrong first is what matters.
            with suppress(OSError):
                sink.close()


def _num_new_people(window: Window) -> int:
    return 0 if window.frame.saved is not None else len(window.frame.people)


def _jobs(windows: Iterable[Window]) -> list[Job]:
    return [(window, person) for window in windows for person in window.frame.people]


def _metainfo(frame: Frame) -> dict:
    shape = (frame.shape or (0, 0))[:2]
    return dict(img_path=frame.name, img_shape=shape, ori_shape=shape)


def _merge(result: Result, keypoints: OutputKeypoints, pose_nms: bool) -> PoseDataSample:
    if not result.samples:
        return dicts_to_sample([], _metainfo(result.frame), len(keypoints))
    sample = merge_data_samples(result.samples)
    if pose_nms:
        instances = sample.pred_instances
        poses = [
            dict(keypoints=points[keypoints.present], score=score)
            for points, score in zip(instances.keypoints, instances.bbox_scores)
        ]
        kept = nearby_joints_nms(poses, num_nearby_joints_thr=len(keypoints.present) // 3)
        sample.pred_instances = instances[kept]
    return sample
