"""COCO-style annotation files of videos, read and checked; knows no data set.

Every image gets its place in a video: the number in its file name, and the numbers of the video's
first and last frame.
"""

import os.path as osp
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from logging import WARNING
from typing import Any

import numpy as np
from mmengine.logging import print_log

from ...files import data_files, read_json
from ...posetrack.records import check_records, repair_records
from ...videos import split_frame_name

# A numbering with more holes than frames is that of single pictures, or of every n-th frame.
_MIN_DENSITY = 0.5


@dataclass
class Annotations:
    """What the annotation files of a data set hold.

    Attributes:
        images: By id, in the order of the files: the record with ``width`` and ``height`` (infinite
            where the file gives none), ``frame_number``, ``frame_range`` (numbers of the video's
            first and last frame) and ``nframes``.
        annotations: The records of the persons.
        categories: Of the first file that has any.
        jumping: By the beginning of a video's ``file_name``s, the frame numbers that are listed,
            for videos whose numbers jump: they list as many frames as they have.
        irregular: By the same, frame number to ``file_name``, for videos whose names are not all
            made from one pattern (``9.jpg`` and ``10.jpg``, ``.jpg`` and ``.JPG``).
    """

    images: dict[Any, dict] = field(default_factory=dict)
    annotations: list[dict] = field(default_factory=list)
    categories: list = field(default_factory=list)
    jumping: dict[str, set[int]] = field(default_factory=dict)
    irregular: dict[str, dict[int, str]] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """How much there is, in words."""
        labeled = sum(bool(img.get('is_labeled', True)) for img in self.images.values())
        text = (
            f'the file lists {len(self.images)} frames, {labeled} of them labelled, and '
            f'{len(self.annotations)} persons'
        )
        for what in ('bbox', 'keypoints'):
            without = sum(not ann.get(what) for ann in self.annotations)
            if without:
                text += f', {without} of them without {what}'
        return text

    def category_id(self) -> int:
        """The id of the annotated category: 'person', or the only one, or 1."""
        ids = {
            category.get('name'): category['id']
            for category in self.categories
            if isinstance(category, dict) and isinstance(category.get('id'), int)
        }
        return ids.get('person', next(iter(ids.values())) if len(ids) == 1 else 1)


def annotation_files(ann_file: str) -> list[str]:
    """The file itself, or the data files with the ending .json of a folder, sorted.

    Raises:
        ValueError: The folder has none.
    """
    if not osp.isdir(ann_file):
        return [ann_file]
    names = data_files(ann_file, ('.json',))
    if not names:
        raise ValueError(f'ann_file {ann_file} is a folder without .json files')
    return [osp.join(ann_file, name) for name in names]


def read_annotations(
    ann_file: str,
    num_keypoints: int,
    first_frame: int = 0,
    frames_on_disk: Callable[[str], Iterable[str]] | None = None,
    hints: Mapping[str, str] | None = None,
) -> Annotations:
    """Read and check the annotations of a data set of videos.

    The range of a video's frame numbers is the ``frame_range`` of its images; else, where all its
    ``nframes`` frames are listed or on disk, from the lowest to the highest of their numbers; else
    the ``nframes`` numbers from ``first_frame`` on, widened to the numbers listed. Without
    ``nframes`` it is that of the frames on disk, or of those listed.

    Args:
        ann_file: A COCO-style file of all videos, or a folder with one for each.
        num_keypoints: K.
        first_frame: Number of a video's first frame in its file name.
        frames_on_disk: Gives the names of the files that lie in the folder of a ``file_name``.
        hints: Top-level key of a file in another layout to what can be done about it.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: A file is not a sound annotation file; the message names file, record, field
            and value.
    """
    found = Annotations()
    for file in annotation_files(ann_file):
        data = _read(file, hints or {})
        repair_records(data)
        check_records(f'ann_file {file}', data, num_keypoints, ('id', 'image_id'))
        for img in data['images']:
            _add_image(file, img, found.images)
        found.annotations.extend(data['annotations'])
        found.categories = found.categories or data.get('categories') or []
    for ann in found.annotations:
        if ann.get('image_id') not in found.images:
            raise ValueError(
                f'{ann_file}: annotation {ann.get("id")} belongs to image_id '
                f'{ann.get("image_id")}, which is not among "images"'
            )
    _set_frame_ranges(ann_file, found, first_frame, frames_on_disk)
    return found


def _read(file: str, hints: Mapping[str, str]) -> dict:
    try:
        data = read_json(file)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'ann_file {file} does not exist') from error
    except ValueError as error:
        raise ValueError(f'ann_file {file} is not a JSON file: {error}') from error
    hint = ''
    if isinstance(data, dict):
        missing = [key for key in ('images', 'annotations') if not isinstance(data.get(key), list)]
        if not missing:
            return data
        problem = f'has no list {" and no list ".join(map(repr, missing))}'
        hint = ''.join(f'; {text}' for key, text in hints.items() if key in data)
    else:
        problem = f'holds a {type(data).__name__}'
        if isinstance(data, list):
            hint = '; a list of detections goes into bbox_file'
    raise ValueError(
        f'ann_file {file} {problem}, so it is not an annotation file of the COCO style ("images", '
        f'"annotations", "categories"){hint}'
    )


def _add_image(file: str, img: dict, images: dict[Any, dict]) -> None:
    try:
        number = split_frame_name(img['file_name'])[1]
    except ValueError as error:
        raise ValueError(f'ann_file {file}: image {img["id"]}: {error}') from error
    other = images.get(img['id'])
    if other is not None and other['file_name'] != img['file_name']:
        raise ValueError(
            f'ann_file {file}: image id {img["id"]} is both {other["file_name"]} and '
            f'{img["file_name"]}; ids have to be unique over all videos'
        )
    # The official files give no size; without it boxes are simply not cut to the image.
    images[img['id']] = {
        'width': np.inf,
        'height': np.inf,
        **{name: value for name, value in img.items() if value is not None},
        'frame_number': number,
    }


def _set_frame_ranges(
    ann_file: str,
    found: Annotations,
    first_frame: int,
    frames_on_disk: Callable[[str], Iterable[str]] | None,
) -> None:
    """Give every image ``nframes`` and the first and last frame number of its video."""
    videos: dict[str, list[dict]] = defaultdict(list)
    for img in found.images.values():
        videos[split_frame_name(img['file_name'])[0]].append(img)
    outside = []
    for video, images in videos.items():
        listed = {img['frame_number']: img['file_name'] for img in images}
        ranges = _ranges_of(ann_file, video, images, listed, first_frame, frames_on_disk)
        if not all(low <= number <= high for number in listed for low, high in ranges):
            outside.append(video)
        first = min(min(low for low, _ in ranges), min(listed))
        last = max(max(high for _, high in ranges), max(listed))
        for img in images:
            img['frame_range'] = first, last
            img.setdefault('nframes', last - first + 1)
            if img['nframes'] <= len(listed) <= last - first:
                found.jumping[video] = set(listed)
        if not _regular(listed):
            found.irregular[video] = listed
    if outside:
        print_log(
            f'{ann_file}: {len(outside)} videos, the first being {min(outside)}, have frame '
            f'numbers outside {first_frame} .. {first_frame} + nframes - 1; their range was '
            f'widened (is first_frame={first_frame} right for these file names?)',
            'current',
            WARNING,
        )


def _ranges_of(
    ann_file: str,
    video: str,
    images: Sequence[Mapping],
    listed: Mapping[int, str],
    first_frame: int,
    frames_on_disk: Callable[[str], Iterable[str]] | None,
) -> set[tuple[int, int]]:
    """First and last frame number of a video, as each of its images has them."""
    stated = {tuple(img['frame_range']) for img in images if 'frame_range' in img}
    if stated:
        return stated
    lengths = {img['nframes'] for img in images if 'nframes' in img}
    if lengths and max(lengths) <= len(listed):
        return {(min(listed), max(listed))}
    numbers = set(listed)
    folder, name = osp.split(images[0]['file_name'])
    for other in frames_on_disk(folder) if frames_on_disk else ():
        try:
            head, number, _, extension = split_frame_name(osp.join(folder, other))
        except ValueError:
            continue
        if head == video and extension.lower() == osp.splitext(name)[1].lower():
            numbers.add(number)
    first, last = min(numbers), max(numbers)
    if lengths == {len(numbers)}:
        return {(first, last)}
    if lengths:
        return {(first_frame, first_frame + length - 1) for length in lengths}
    if len(numbers) < _MIN_DENSITY * (last - first + 1):
        raise ValueError(
            f'ann_file {ann_file}: only {len(numbers)} frames of the numbers {first} to {last} of '
            f'{video or "the images"} exist, so they are single pictures or every n-th frame of a '
            'video, and neighbours are found by number; number the frames one by one, or give '
            'the images "nframes", the length of their video'
        )
    return {(first, last)}


def _regular(listed: Mapping[int, str]) -> bool:
    """Whether all names have as many digits and the same extension."""
    return len({split_frame_name(name)[2:] for name in listed.values()}) == 1


def frame_path(path: str, number: int, listed: Mapping[int, str] | None = None) -> str:
    """The path of another frame of the same video.

    Args:
        path: A frame's path.
        number: The other frame's number.
        listed: Frame number to path, of a video whose names are not made from one pattern.
    """
    head, own, digits, extension = split_frame_name(path)
    if number == own:
        return path
    if listed:
        if number in listed:
            return listed[number]
        # 9.jpg and 10.jpg: numbers without leading zeros.
        widths = {split_frame_name(name)[2] for name in listed.values()}
        digits = 1 if len(widths) > 1 else digits
    return f'{head}{number:0{digits}d}{extension}'


def check_metainfo(name: str, metainfo: Any) -> None:
    """See that keypoints are described, before mmpose asserts it without a word.

    Raises:
        ValueError: Something is missing.
    """
    needed = ('dataset_name', 'keypoint_info', 'skeleton_info', 'joint_weights', 'sigmas')
    if isinstance(metainfo, Mapping) and 'from_file' in metainfo:
        return
    missing: Sequence[str] = [key for key in needed if key not in (metainfo or {})]
    if missing:
        raise ValueError(
            f'{name}: metainfo has no {", ".join(missing)}; give metainfo=dict(dataset_name=..., '
            'keypoint_info={0: dict(name=..., id=0, swap=...), ...}, skeleton_info={}, '
            'joint_weights=[...], sigmas=[...]), or metainfo=dict(from_file=FILE) with '
            'dataset_info in FILE'
        )
