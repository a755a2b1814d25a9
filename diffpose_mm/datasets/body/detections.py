"""Files of detected persons, for testing: COCO results, mmpose's detections on PoseTrack, MOT text.

COCO's results format (https://cocodataset.org/#format-results) is a JSON list with an object for
each box, and mmpose's detections are written in it. The text format is that of the MOT challenge
(https://arxiv.org/abs/1603.00831, section 4): a line for each box, a file for each video.
"""

import json
import math
import os
import os.path as osp
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from logging import WARNING
from typing import Any

from mmengine.fileio import exists, get_text
from mmengine.logging import print_log

FORMATS = (
    'a JSON list of {"image_id", "category_id": 1, "bbox": [x, y, width, height], "score"} as COCO '
    'results and mmpose have it, MOT text with lines "frame,id,x,y,width,height,score", or a '
    'folder of such texts, VIDEO.txt or VIDEO/det/det.txt'
)
MOT_FIELDS = ('frame', 'id', 'x', 'y', 'width', 'height', 'score', 'category')


@dataclass
class Detection:
    """A detected person.

    Attributes:
        image_id: Of the frame; it may be one that the annotations do not have.
        bbox: x, y, width, height in image pixels.
        score: The detector's.
        category_id: 1 is a person.
        track_id: The same in all frames of a video, or -1.
    """

    image_id: Any
    bbox: tuple[float, ...]
    score: float
    category_id: int = 1
    track_id: int = -1


def read_detections(path: str, images: Mapping[Any, Mapping]) -> list[Detection]:
    """Read a file of detections; its content tells which format it is in.

    MOT text counts frames from 1: its frame 1 is the first frame of the video, whatever number that
    has in its file name. Boxes are taken as they are written. One text is for a data set of one
    video; for more, ``path`` is a folder with ``VIDEO.txt``, ``VIDEO/det.txt`` or
    ``VIDEO/det/det.txt`` for each, VIDEO being the folder in which the video's frames lie. A line
    has 6 to 10 values. The 7th is the score; it is 1 where it is missing or -1. In a line of
    exactly 9, as the challenge's ground truth has, the 8th is the category. Id -1 is no track.

    Args:
        path: A file, or a folder of texts.
        images: By image id, each with ``file_name``, ``frame_number`` and ``frame_range``, the
            numbers of the video's first and last frame.

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
    try:
        text = get_text(path)
    except UnicodeDecodeError as error:
        raise ValueError(f'bbox_file {path} is not text ({error}); it may be {FORMATS}') from error
    if path.endswith('.json') or text.lstrip()[:1] in ('[', '{'):
        return list(_parse_json(path, text, images))
    videos = _videos(images)
    if len(videos) != 1:
        raise ValueError(
            f'bbox_file {path} is one text, but ann_file has {len(videos)} videos; give a folder '
            f'with a text for each, such as {next(iter(videos), "VIDEO")}.txt'
        )
    ((video, (first, ids)),) = videos.items()
    return list(_parse_mot(path, text, video, first, ids))


def _parse_json(path: str, text: str, images: Mapping) -> Iterator[Detection]:
    try:
        content = json.loads(text)
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
        for field in (id_field, 'category_id', 'bbox', 'score'):
            if field not in det:
                raise ValueError(
                    f"{where} has no field '{field}'; it needs image_id (or image_name), "
                    'category_id, bbox and score'
                )
        image_id, bbox = det[id_field], det['bbox']
        if not isinstance(image_id, (int, str)):
            raise ValueError(f'{where}: {id_field} is {image_id!r}, not a number or name')
        if not isinstance(bbox, list) or len(bbox) < 4:
            raise ValueError(f'{where}: bbox is {bbox!r}, not x, y, width, height')
        track_id = -1 if det.get('track_id') is None else det['track_id']
        if not isinstance(track_id, int):
            raise ValueError(f'{where}: track_id is {track_id!r}, not a whole number')
        yield Detection(
            ids_by_name.get(image_id, image_id) if id_field == 'image_name' else image_id,
            tuple(_number(value, f'{where}: bbox') for value in bbox[:4]),
            _number(det['score'], f'{where}: score'),
            det['category_id'],
            track_id,
        )


def _read_texts(path: str, videos: Mapping[str, tuple[int, Mapping]]) -> list[Detection]:
    detections, absent = [], []
    for video, (first, ids) in videos.items():
        places = f'{video}.txt', osp.join(video, 'det.txt'), osp.join(video, 'det', 'det.txt')
        files = [file for file in (osp.join(path, place) for place in places) if osp.isfile(file)]
        if files:
            text = get_text(files[0])
            detections += _parse_mot(files[0], text, video, first, ids)
        else:
            absent.append(video)
    if len(absent) == len(videos):
        raise ValueError(
            f'bbox_file {path} is a folder without a text for any of the {len(videos)} videos of '
            f'ann_file; looked for {next(iter(videos), "VIDEO")}.txt and the like. It may be '
            f'{FORMATS}'
        )
    if absent:
        print_log(
            f'{path}: {len(absent)} of {len(videos)} videos have no text and so no detections, the '
            f'first being {absent[0]}',
            'current',
            WARNING,
        )
    others = {osp.splitext(name)[0] for name in os.listdir(path)} - set(videos)
    if others:
        print_log(
            f'{path}: {len(others)} entries, the first being {min(others)}, are of no video of '
            'ann_file: not read',
            'current',
            WARNING,
        )
    return detections


def _parse_mot(
    path: str, text: str, video: str, first: int, ids: Mapping[int, Any]
) -> Iterator[Detection]:
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
            ids.get(int(frame) + first - 1, f'frame {int(frame)} of {video}'),
            (row['x'], row['y'], row['width'], row['height']),
            1.0 if score == -1 else score,
            int(row.get('category', 1)),
            int(track),
        )


def _videos(images: Mapping[Any, Mapping]) -> dict[str, tuple[int, dict[int, Any]]]:
    """By name: the number of the first frame, and the image ids by frame number."""
    videos: dict[str, tuple[int, dict[int, Any]]] = {}
    for image_id, image in images.items():
        name = osp.basename(osp.dirname(image['file_name']))
        videos.setdefault(name, (image['frame_range'][0], {}))[1][image['frame_number']] = image_id
    return dict(sorted(videos.items()))


def _number(value: Any, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f'{where} is {value!r}, not a number')
    return number
