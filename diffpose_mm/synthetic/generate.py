"""Writes the synthetic PoseTrack: videos, PoseTrack18 annotations, manifest.

Every video has a generator of its own, seeded by (seed, split, index), so the bytes do not depend
on the number of workers, and no video of one split shares a stream with one of the other.
"""

import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib import metadata
from pathlib import Path

import cv2
import numpy as np

from ..files import atomic_write, data_files
from ..posetrack.evaluator_fields import with_evaluator_fields
from ..posetrack.keypoints import PERSON_CATEGORY
from .difficulty import difficulty_named
from .labels import BLUR_PIXELS, BLUR_SHARE, annotate
from .render import render
from .scene import Scene

SPLITS = ('train', 'val')
MANIFEST = 'synthetic.json'
# Raise it whenever the same arguments give other pixels or labels.
GENERATOR_REVISION = 4


def video_seed(seed: int, split: str, index: int) -> np.random.SeedSequence:
    """The seed of one video: a child of ``seed`` that no other split or index can have."""
    return np.random.SeedSequence(seed, spawn_key=(SPLITS.index(split), index))


def make_scene(
    seed: int, split: str, index: int, size: tuple[int, int], frames: int, difficulty: str
) -> Scene:
    """The Scene that :func:`synthesize` draws as video ``index`` of ``split``."""
    rng = np.random.default_rng(video_seed(seed, split, index))
    return Scene.draw(rng, size, frames, difficulty_named(difficulty))


def video_id(split: str, index: int) -> str:
    """PoseTrack's six digits; val counts from 500000, so that ids are unique over both splits."""
    return f'{index + 500000 * SPLITS.index(split):06d}'


def video_name(split: str, index: int) -> str:
    """Name of the video's folder and of its json."""
    return f'{video_id(split, index)}_synthetic'


def generate_video(
    seed: int, split: str, index: int, size: tuple[int, int], frames: int, difficulty: str
) -> Iterator[tuple[np.ndarray, dict, list[dict]]]:
    """Yields image (h, w, 3) uint8 BGR, PoseTrack18 image record and annotations per frame."""
    scene = make_scene(seed, split, index, size, frames, difficulty)
    vid, name = video_id(split, index), video_name(split, index)
    for frame in render(scene):
        image_id = int(f'1{vid}{frame.index:04d}')
        people, ignored = annotate(scene, frame)
        for k, annotation in enumerate(people):
            annotation.update(image_id=image_id, id=image_id * 100 + k)
        people = [with_evaluator_fields(annotation) for annotation in people]
        record = dict(
            has_no_densepose=True,
            is_labeled=True,
            file_name=f'images/{split}/{name}/{frame.index:06d}.jpg',
            nframes=frames,
            frame_id=image_id,
            vid_id=vid,
            id=image_id,
            width=size[0],
            height=size[1],
            ignore_regions_x=[[round(float(x), 1) for x in r[:, 0]] for r in ignored],
            ignore_regions_y=[[round(float(y), 1) for y in r[:, 1]] for r in ignored],
        )
        yield frame.image, record, people


def _write_json(path: Path, content) -> None:
    """Writes all of it or nothing."""
    with atomic_write(path) as file:
        file.write(json.dumps(content, separators=(',', ':')))


def _write_video(job: dict) -> str:
    cv2.setNumThreads(0)
    root, split, index = Path(job['root']), job['split'], job['index']
    name = video_name(split, index)
    folder = root / 'images' / split / name
    part = folder.with_name(f'.{name}.part')
    for stale in (folder, part):
        shutil.rmtree(stale, ignore_errors=True)
    part.mkdir(parents=True)
    images, annotations = [], []
    quality = [cv2.IMWRITE_JPEG_QUALITY, job['jpeg_quality']]
    for image, record, people in generate_video(
        job['seed'], split, index, job['size'], job['frames'], job['difficulty']
    ):
        _, data = cv2.imencode('.jpg', image, quality)
        (part / Path(record['file_name']).name).write_bytes(data.tobytes())
        images.append(record)
        annotations.extend(people)
    os.replace(part, folder)
    # Last of all: a video whose json is there is complete.
    _write_json(
        root / 'annotations' / split / f'{name}.json',
        dict(images=images, annotations=annotations, categories=[PERSON_CATEGORY]),
    )
    return name


def statistics(annotations: list[dict]) -> dict:
    """Shares of occluded and blurred joints among the annotated ones, and person heights."""
    if not annotations:
        return dict(people=0, joints=0)
    seen = np.array([a['keypoints'][2::3] for a in annotations]) > 0
    occluded = np.array([a['occluded'] for a in annotations])[seen]
    blurred = np.array([a['blurred'] for a in annotations])[seen]
    tall = np.array([a['bbox'][3] / 1.3 for a in annotations])
    return dict(
        people=len(annotations),
        joints=int(seen.sum()),
        occluded=round(float(occluded.mean()), 4),
        blurred=round(float(blurred.mean()), 4),
        occluded_or_blurred=round(float((occluded | blurred).mean()), 4),
        joints_height_percentiles_5_50_95=[
            round(float(v), 1) for v in np.percentile(tall, (5, 50, 95))
        ],
    )


def _check(arguments: dict, workers: int) -> None:
    def whole(name, low, high):
        value = arguments[name]
        if not isinstance(value, (int, np.integer)) or not low <= value <= high:
            raise ValueError(f'{name} is {value!r}, must be a whole number from {low} to {high}')

    whole('train_videos', 0, 499999)
    whole('val_videos', 0, 499999)
    whole('frames', 1, 9999)
    whole('seed', 0, 2**63)
    whole('jpeg_quality', 1, 100)
    if arguments['train_videos'] + arguments['val_videos'] == 0:
        raise ValueError('train_videos and val_videos are both 0: there is nothing to write')
    size = arguments['size']
    if len(size) != 2 or not all(
        isinstance(v, (int, np.integer)) and 64 <= v <= 4096 for v in size
    ):
        raise ValueError(f'size is {size!r}, must be (width, height), each from 64 to 4096 pixels')
    difficulty_named(arguments['difficulty'])
    if not isinstance(workers, int) or workers < 1:
        raise ValueError(f'workers is {workers!r}, must be a whole number above 0')


def _claim(root: Path, header: dict) -> None:
    """Writes the manifest of a data set to be, or checks that the one there is the same."""
    path = root / MANIFEST
    if path.exists():
        try:
            found = json.loads(path.read_text())
            found = {name: found[name] for name in header}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f'{path} is not a manifest of this generator ({error!r}); choose another folder'
            ) from error
        for name in ('arguments', 'revision'):
            if found[name] != header[name]:
                raise ValueError(
                    f'{root} holds a synthetic data set made with {name} {found[name]}, which is '
                    f'not the {header[name]} asked for; choose another folder or delete that one'
                )
        return
    if root.exists() and data_files(root):
        raise ValueError(
            f'{root} is not empty and has no {MANIFEST}: it is not a synthetic data '
            'set; choose another folder'
        )
    root.mkdir(parents=True, exist_ok=True)
    _write_json(path, dict(header, complete=False))


def _version() -> str | None:
    try:
        return metadata.version('diffpose_mm')
    except metadata.PackageNotFoundError:
        return None


def synthesize(
    out: str | Path,
    train_videos: int,
    val_videos: int,
    frames: int,
    size: tuple[int, int] = (320, 240),
    seed: int = 0,
    difficulty: str = 'standard',
    workers: int = 1,
    jpeg_quality: int = 90,
    progress: bool = False,
) -> dict:
    """Writes a synthetic PoseTrack18 under ``out``.

    ``images/{train,val}/{video}/000000.jpg``, ``annotations/posetrack18_{train,val}.json`` (all
    videos of a split), ``annotations/{train,val}/{video}.json`` (PoseTrack's official folder) and
    ``synthetic.json`` (the manifest). A run that was cut short goes on where it stopped when called
    again with the same arguments.

    Args:
        out: root of the data set; new, empty, or one begun with the same arguments.
        train_videos, val_videos: how many videos; their seeds never meet.
        frames: frames a video.
        size: (width, height) of a frame, pixels.
        seed: the same seed gives the same bytes, whatever ``workers`` is.
        difficulty: one of DIFFICULTIES; the frame rate is part of it.
        workers: processes.
        jpeg_quality: 1 to 100.
        progress: show a progress bar.

    Returns:
        The manifest.

    Raises:
        ValueError: an argument out of range, or ``out`` holds something else.
    """
    size = tuple(size)
    arguments = dict(
        train_videos=train_videos,
        val_videos=val_videos,
        frames=frames,
        size=list(size),
        seed=seed,
        difficulty=difficulty,
        jpeg_quality=jpeg_quality,
    )
    _check(arguments, workers)
    root = Path(out)
    header = dict(arguments=arguments, revision=GENERATOR_REVISION)
    _claim(root, header)
    jobs = []
    for split, count in zip(SPLITS, (train_videos, val_videos)):
        (root / 'annotations' / split).mkdir(parents=True, exist_ok=True)
        (root / 'images' / split).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            name = video_name(split, index)
            if not (
                (root / 'annotations' / split / f'{name}.json').exists()
                and (root / 'images' / split / name).is_dir()
            ):
                jobs.append(dict(arguments, root=str(root), size=size, split=split, index=index))
    _run(jobs, workers, frames, train_videos + val_videos, progress)

    summary = {}
    for split, count in zip(SPLITS, (train_videos, val_videos)):
        merged = dict(images=[], annotations=[], categories=[PERSON_CATEGORY])
        for index in range(count):
            path = root / 'annotations' / split / f'{video_name(split, index)}.json'
            video = json.loads(path.read_text())
            merged['images'].extend(video['images'])
            # A video of an earlier release has no areas yet.
            merged['annotations'] += map(with_evaluator_fields, video['annotations'])
        _write_json(root / 'annotations' / f'posetrack18_{split}.json', merged)
        summary[split] = dict(
            videos=count, frames=len(merged['images']), **statistics(merged['annotations'])
        )
    manifest = dict(
        header,
        complete=True,
        version=_version(),
        frames_per_second=difficulty_named(difficulty).fps,
        libraries=dict(numpy=np.__version__, opencv=cv2.__version__),
        blurred_when=f'smear > {BLUR_SHARE} head size and > {BLUR_PIXELS} px of a 240-row frame',
        statistics=summary,
    )
    _write_json(root / MANIFEST, manifest)
    return manifest


def _run(jobs: list[dict], workers: int, frames: int, total: int, progress: bool) -> None:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn('synthetic PoseTrack, frames'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task('', total=total * frames, completed=(total - len(jobs)) * frames)
        if workers == 1 or len(jobs) < 2:
            for job in jobs:
                _write_video(job)
                bar.advance(task, frames)
            return
        # Forked workers need not import the package (and torch with it) again.
        method = 'fork' if sys.platform.startswith('linux') else 'spawn'
        context = multiprocessing.get_context(method)
        with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context) as pool:
            waiting = [pool.submit(_write_video, job) for job in jobs]
            try:
                for done in as_completed(waiting):
                    done.result()
                    bar.advance(task, frames)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
