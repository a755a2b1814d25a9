"""Files of detected persons, for testing: COCO results, mmpose's detections on PoseTrack, MOT text.

COCO's results format (https://cocodataset.org/#format-results) is a JSON list with an object for
each box, and mmpose's detections are written in it. The text format is that of the MOT challenge
(https://arxiv.org/abs/1603.00831, section 4): a line for each box, a file for each video.
"""

import codecs
import math
import os.path as osp
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from logging import WARNING
from typing import Any

import numpy as np
from mmengine.fileio import exists, get
from mmengine.logging import print_log
from mmpose.structures.bbox import bbox_xywh2xyxy

from ...files import data_files, read_json
from ...posetrack.records import whole_number
from ...videos import forward_slashes, video_names, videos_of

FORMATS = (
    'a JSON list of {"image_id", "category_id": 1, "bbox": [x, y, width, height], "score"} as COCO '
    'results and mmpose have it, MOT text with lines "frame,id,x,y,width,height,score", or a '
    'folder of such texts, VIDEO.txt or VIDEO/det/det.txt'
)
_ANNOTATED = '/gt/gt.txt'
_TEXTS = ('.txt', '.TXT', '/det.txt', '/det/det.txt', _ANNOTATED)
PERSON = 1
# Category of what is no person in a file that has another number for persons.
_OTHER = -1
MOT_FIELDS = ('frame', 'id', 'x', 'y', 'width', 'height', 'score', 'category')


@dataclass
class Detection:
    """A detected person.

    Attributes:
        image_id: Of the frame; it may be one that the annotations do not have.
        bbox: x, y, width, height in image pixels.
        score: The detector's.
        category_id: 1 is a person, whatever number a file has for it.
        track_id: The same in all frames of a video, or -1.
    """

    image_id: Any
    bbox: tuple[float, ...]
    score: float
    category_id: int = 1
    track_id: int = -1


@dataclass
class _Video:
    """A video, and the names that a text of its detections may have, the likeliest first."""

    name: str
    first_frame: int
    ids: dict[int, Any] = field(default_factory=dict)
    stems: list[str] = field(default_factory=list)


def read_detections(
    path: str, images: Mapping[Any, Mapping], person_category: int = PERSON
) -> list[Detection]:
    """Read a file of detections; its content tells which format it is in.

    MOT text counts frames from 1: its frame 1 is the first frame of the video, whatever number that
    has in its file name. Boxes are taken as they are written. A line has 6 to 10 values. The 7th is
    the score; it is 1 where it is missing or -1. In a line of exactly 9, as the challenge's ground
    truth has, the 8th is the category. Id -1 is no track.

    One text is for a data set of one video; for more, ``path`` is a folder with ``VIDEO.txt``,
    ``VIDEO/det.txt``, ``VIDEO/det/det.txt`` or else ``VIDEO/gt/gt.txt`` for each. VIDEO is the
    folder in which the video's frames lie, with as many of the folders before it as tell the videos
    apart and without the ``img1`` of the MOT challenge; or the ``video`` of its images.

    Args:
        path: A file, or a folder of texts.
        images: By image id, each with ``file_name``, ``frame_number`` and ``frame_range``, the
            numbers of the video's first and last frame, and optionally ``video``, a name.
        person_category: The ``category_id`` of persons in the annotations. Where a JSON file counts
            categories from 0, which COCO does not, its 0 is a person; where it has nothing of
            ``person_category``, its 1 is.

    Returns:
        The detections in the order of the file, of texts in the order of the videos' names.

    Raises:
        FileNotFoundError: ``path`` does not exist.
        ValueError: It is in none of the formats; the message names file, line and field.
    """
    if not exists(path):
        raise FileNotFoundError(f'bbox_file {path} does not exist; it may be {FORMATS}')
    if osp.isdir(path):
        return _read_texts(path, _videos(images))
    if path.lower().endswith('.json') or _looks_like_json(path):
        return _with_persons(path, list(_parse_json(path, images)), person_category)
    text = _read_text(path)
    videos = _videos(images)
    if len(videos) != 1:
        name = next((video.name for video in videos), 'VIDEO')
        raise ValueError(
            f'bbox_file {path} is one text, but ann_file has {len(videos)} videos; give a folder '
            f'with a text for each, such as {name}.txt'
        )
    return list(_parse_mot(path, text, videos[0]))


def detection_samples(
    detections: Sequence[Detection],
    images: Mapping[Any, Mapping],
    num_keypoints: int,
    labeled_only: bool,
) -> tuple[list[dict], dict[str, int]]:
    """Make mmpose's samples of the detections that can be tested.

    Args:
        detections: Of all frames.
        images: By image id.
        num_keypoints: K of the dummy keypoints (1, K, 2).
        labeled_only: Drop those on frames that are not labelled.

    Returns:
        The samples, and why how many detections were dropped.
    """
    samples, dropped, unlisted = [], Counter(), []
    for id_, det in enumerate(detections):
        image = images.get(det.image_id)
        if det.category_id != PERSON:
            dropped['of another category than person'] += 1
        elif image is None:
            unlisted.append(det.image_id)
        elif labeled_only and not image.get('is_labeled', True):
            dropped['on unlabelled frames'] += 1
        elif min(det.bbox[2:]) <= 0:
            dropped['without area'] += 1
        else:
            box = np.array(det.bbox, dtype=np.float32).reshape(1, 4)
            samples.append(
                {
                    'img_id': det.image_id,
                    'img_path': image['img_path'],
                    'bbox': bbox_xywh2xyxy(box),
                    'bbox_score': np.array([det.score], dtype=np.float32),
                    'track_id': det.track_id,
                    'keypoints': np.zeros((1, num_keypoints, 2), dtype=np.float32),
                    'keypoints_visible': np.ones((1, num_keypoints), dtype=np.float32),
                    'id': id_,
                    **frame_info(image),
                }
            )
    if unlisted:
        reason = f'on frames that ann_file does not list (such as {unlisted[0]})'
        dropped[reason] = len(unlisted)
    return samples, dropped


def frame_info(image: Mapping) -> dict:
    """What a sample says of its keyframe's place in the video."""
    info = {key: image[key] for key in ('frame_number', 'frame_range', 'nframes')}
    info.update({key: image[key] for key in ('frame_id', 'vid_id') if key in image})
    return info


def _looks_like_json(path: str) -> bool:
    marks = codecs.BOM_UTF8 + codecs.BOM_UTF16 + bytes(4)
    return get(path).lstrip(marks + b' \r\n\t')[:1] in (b'[', b'{')


def _read_text(path: str) -> str:
    try:
        return get(path).decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise ValueError(f'bbox_file {path} is not text ({error}); it may be {FORMATS}') from error


def _with_persons(path: str, detections: list[Detection], annotated: int) -> list[Detection]:
    """Give persons, whatever number a file has for them, ``PERSON``."""
    categories = {det.category_id for det in detections}
    if 0 in categories:
        category = 0
        if annotated != 0:
            print_log(
                f'{path} has detections of category 0, so it counts categories from 0; its 0 is '
                'taken for a person',
                'current',
                WARNING,
            )
    else:
        category = annotated if annotated in categories else PERSON
    if category == PERSON:
        return detections
    return [
        replace(det, category_id=PERSON if det.category_id == category else _OTHER)
        for det in detections
    ]


def _parse_json(path: str, images: Mapping) -> Iterator[Detection]:
    try:
        content = read_json(path)
    except ValueError as error:
        raise ValueError(f'bbox_file {path} is not a JSON file: {error}') from error
    if not isinstance(content, list) or not all(isinstance(det, dict) for det in content):
        raise ValueError(
            f'bbox_file {path} has to hold a list of detections, each with image_id, category_id, '
            'bbox and score'
        )
    ids_by_name = {image['file_name']: image_id for image_id, image in images.items()}
    for index, det in enumerate(content):
        where = f'bbox_file {path}: detection {index}'
        id_field = 'image_name' if 'image_name' in det else 'image_id'
        for name in (id_field, 'category_id', 'bbox', 'score'):
            if name not in det:
                raise ValueError(
                    f"{where} has no field '{name}'; it needs image_id (or image_name), "
                    'category_id, bbox and score'
                )
        image_id, bbox = whole_number(det[id_field]), det['bbox']
        if not isinstance(image_id, (int, str)):
            raise ValueError(f'{where}: {id_field} is {image_id!r}, not a number or name')
        if not isinstance(bbox, list) or len(bbox) < 4:
            raise ValueError(f'{where}: bbox is {bbox!r}, not x, y, width, height')
        track_id = -1 if det.get('track_id') is None else whole_number(det['track_id'])
        category_id = whole_number(det['category_id'])
        if not isinstance(category_id, int):
            raise ValueError(f'{where}: category_id is {category_id!r}, not a whole number')
        if not isinstance(track_id, int):
            raise ValueError(f'{where}: track_id is {track_id!r}, not a whole number')
        yield Detection(
            ids_by_name.get(forward_slashes(str(image_id)), image_id)
            if id_field == 'image_name'
            else image_id,
            tuple(_number(value, f'{where}: bbox') for value in bbox[:4]),
            _number(det['score'], f'{where}: score'),
            category_id,
            track_id,
        )


def _read_texts(path: str, videos: list[_Video]) -> list[Detection]:
    detections, without, annotated = [], [], []
    for video in videos:
        # One video may be the folder itself.
        names = [*video.stems, *([''] if len(videos) == 1 else [])]
        places = [f'{name}{end}'.strip('/') for end in _TEXTS for name in names]
        files = [osp.join(path, place) for place in places]
        files = [file for file in files if osp.isfile(file)]
        if not files:
            without.append(video.name)
            continue
        if files[0].endswith(_ANNOTATED):
            annotated.append(video.name)
        detections += _parse_mot(files[0], _read_text(files[0]), video)
    if len(without) == len(videos):
        name = next((video.name for video in videos), 'VIDEO')
        raise ValueError(
            f'bbox_file {path} is a folder without a text for any of the {len(videos)} videos of '
            f'ann_file; looked for {name}.txt and the like. It may be {FORMATS}'
        )
    if without:
        print_log(
            f'{path}: {len(without)} of {len(videos)} videos have no text and so no detections, '
            f'the first being {without[0]}',
            'current',
            WARNING,
        )
    if annotated:
        print_log(
            f'{path}: {len(annotated)} videos, the first being {annotated[0]}, have no det/det.txt '
            'but gt/gt.txt: their boxes are annotated, not detected',
            'current',
            WARNING,
        )
    tops = {stem.split('/')[0] for video in videos for stem in video.stems}
    entries = {
        name if osp.isdir(osp.join(path, name)) else osp.splitext(name)[0]
        for name in data_files(path)
    }
    others = entries - tops
    if others and len(videos) > 1:
        print_log(
            f'{path}: {len(others)} entries, the first being {min(others)}, are of no video of '
            'ann_file: not read',
            'current',
            WARNING,
        )
    return detections


def _parse_mot(path: str, text: str, video: _Video) -> Iterator[Detection]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        where = f'bbox_file {path}, line {number}'
        values = line.split(',')
        if not 6 <= len(values) <= 10:
            raise ValueError(
                f'{where} has {len(values)} values separated by commas, not 6 to 10: '
                f'{line[:80]!r}. A bbox_file may be {FORMATS}'
            )
        names = MOT_FIELDS if len(values) == 9 else MOT_FIELDS[:7]
        row = {name: _number(value, f'{where}: {name}') for name, value in zip(names, values)}
        frame, track = row['frame'], row['id']
        if frame < 1 or frame % 1 or track % 1:
            raise ValueError(
                f'{where}: frame is {values[0]} and id {values[1]}; frames are whole numbers from '
                '1, ids whole numbers'
            )
        score = row.get('score', -1.0)
        yield Detection(
            video.ids.get(
                int(frame) + video.first_frame - 1, f'frame {int(frame)} of {video.name}'
            ),
            (row['x'], row['y'], row['width'], row['height']),
            1.0 if score == -1 else score,
            int(row.get('category', 1)),
            int(track),
        )


def _videos(images: Mapping[Any, Mapping]) -> list[_Video]:
    """The videos of a data set in the order of their names."""
    records = list(images.items())
    folders = videos_of(image['file_name'] for _, image in records)
    videos: dict[str, _Video] = {}
    names = video_names(folders)
    for folder, (image_id, image) in zip(folders, records):
        if folder not in videos:
            videos[folder] = _Video(names[folder], image['frame_range'][0])
            stems = [names[folder], str(image.get('video') or '')]
            parts = folder.split('/')
            ends = [len(parts)]
            if names[folder].split('__')[-1] != parts[-1]:
                ends.append(len(parts) - 1)  # img1
            for end in ends:
                stems += ['/'.join(parts[start:end]) for start in range(end - 1, -1, -1)]
            videos[folder].stems = [stem for stem in dict.fromkeys(stems) if stem]
        videos[folder].ids[image['frame_number']] = image_id
    # What could be of several videos (img1.txt) is of none.
    counts = Counter(stem for video in videos.values() for stem in video.stems)
    for video in videos.values():
        video.stems = [stem for stem in video.stems if counts[stem] == 1]
    return sorted(videos.values(), key=lambda video: video.name)


def _number(value: Any, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f'{where} is {value!r}, not a number')
    return number
