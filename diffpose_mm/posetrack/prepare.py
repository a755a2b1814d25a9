"""Turns an official PoseTrack download into a folder that the configs can be pointed at.

``OUT/annotations/posetrack{17,18,21}_{train,val}.json`` in the COCO style, ``OUT/images`` as links
into the download, ``OUT/prepare_report.json``. The download is only read.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from ..files import atomic_write, data_files
from .evaluator_fields import with_evaluator_fields
from .folders import FrameFolders
from .keypoints import PERSON_CATEGORY
from .official_files import BrokenFileError, Video, read_video
from .report import Report

# Folders that hold train/ and val/ with one annotation file a video, relative to a download.
_ANNOTATIONS = ('posetrack_data/annotations', 'annotations', 'posetrack_data', '.')
_FRAME = re.compile(r'(?P<number>\d+).*\.[^.]+')
_PLAIN_FRAME = re.compile(r'\d{6}(\d\d)?\.[^.]+')


def find_annotations(src: Path, split: str) -> list[Path]:
    """The annotation files of a split in a download, sorted by name.

    Args:
        src: the folder of the download, or its folder ``posetrack_data`` or ``annotations``.
        split: ``'train'`` or ``'val'``.

    Returns:
        ``*.json``, and ``*.mat`` where no json of the same name lies beside it.

    Raises:
        FileNotFoundError: There are none.
    """
    tried = [src / folder / split for folder in _ANNOTATIONS]
    for folder in tried:
        names = data_files(folder) if folder.is_dir() else []
        files = {}
        for ending in ('.mat', '.json'):
            files |= {Path(n).stem: folder / n for n in names if n.lower().endswith(ending)}
        if files:
            return [files[name] for name in sorted(files)]
    raise FileNotFoundError(
        f'no annotation files of the split "{split}", one .json or .mat a video, in '
        f'{", ".join(str(path) for path in tried)}; --src is the folder that was unpacked, '
        '--splits names the splits it holds'
    )


def prepare(
    year: int,
    src: str | Path,
    out: str | Path,
    images: str | Path | None = None,
    splits: Sequence[str] = ('train', 'val'),
    link: bool = True,
    skip_broken: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Convert and check a download.

    The same download gives the same bytes. Files are replaced whole or not at all; a split with a
    broken annotation file is not written, and an older file of it stays.

    Args:
        year: 17, 18 or 21.
        src: the download; only read.
        out: folder to write to; not in ``src``.
        images: folder that holds the ``images/...`` that the annotations name. Defaults to where
            the download has it.
        splits: of ``'train'`` and ``'val'``.
        link: link the images into ``out``.
        skip_broken: leave out videos whose annotation file is broken, and write the others.
        progress: called with split, videos done, videos in all.

    Returns:
        Report: what was found; also in ``out/prepare_report.json``.

    Raises:
        FileNotFoundError: ``src`` or the annotations of a split do not exist.
        ValueError: ``out`` lies in ``src``, or something else is where a link has to be.
    """
    src, out = Path(src), Path(out)
    if not src.is_dir():
        raise FileNotFoundError(f'--src {src} is not a folder')
    if out.resolve().is_relative_to(src.resolve()):
        raise ValueError(
            f'--out {out} lies in --src {src}, which is left as it is: choose another '
            'folder; images are linked there, not copied'
        )
    files = {split: find_annotations(src, split) for split in splits}
    report = Report()
    root = _image_root(src, files, images)
    if root is None:
        report.add(
            'images not found',
            'no folder "images" in '
            f'{images or src}; the frames named by the annotations were not looked for',
        )
    (out / 'annotations').mkdir(parents=True, exist_ok=True)

    for split, paths in files.items():
        report.count(split, videos=0, broken_files=0)
        folders = FrameFolders(root)
        videos = []
        for number, path in enumerate(paths):
            if progress:
                progress(split, number, len(paths))
            first_id = {'train': 1, 'val': 2}[split] * 10**9 + (number + 1) * 10**5
            try:
                videos.append(read_video(path, year, first_id, report))
            except BrokenFileError as error:
                report.add('broken file', f'{split}/{error}')
                continue
            _place_frames(videos[-1], year, folders, out if link and root else None, report)
            _check_video(videos[-1], split, folders, report)
        if progress:
            progress(split, len(paths), len(paths))
        _renumber(videos, split, report)
        broken = len(paths) - len(videos)
        report.count(split, videos=len(videos), broken_files=broken)
        if broken and not skip_broken:
            continue
        target = out / 'annotations' / f'posetrack{year}_{split}.json'
        _write_json(
            target,
            dict(
                images=[image for video in videos for image in video.images],
                annotations=[
                    with_evaluator_fields(person)
                    for video in videos
                    for person in video.annotations
                ],
                categories=[PERSON_CATEGORY],
            ),
        )
        report.written.append(str(target.relative_to(out)))
    _write_json(out / 'prepare_report.json', dict(year=year, **report.as_dict()), indent=1)
    return report


def _image_root(src: Path, files: dict[str, list[Path]], images: str | Path | None) -> Path | None:
    """The folder that ``images/...`` is relative to, None if there is none."""
    if images is not None:
        images = Path(images)
        candidates = [images, images.parent] if images.name == 'images' else [images]
    else:
        # .../posetrack_data/annotations/val/X.json -> the folders above, the download's included
        candidates = [src, src / 'posetrack_data']
        candidates += list(next(iter(files.values()))[0].parents)[1:4]
    return next((path.resolve() for path in candidates if (path / 'images').is_dir()), None)


def _place_frames(
    video: Video, year: int, folders: FrameFolders, out: Path | None, report: Report
) -> None:
    """Give PoseTrack17 its frame range and numbered names; link the folders into ``out``."""
    for folder, images in _by_folder(video).items():
        listed = [os.path.basename(image['file_name']) for image in images]
        on_disk = folders.frames(folder)
        # Listed first: where two pictures have one number, that is the one annotated.
        names = list(dict.fromkeys([*listed, *on_disk]))
        plain = all(_PLAIN_FRAME.fullmatch(name) for name in names)
        plain = plain and len({len(name) for name in names}) == 1
        numbers = {name: _number_of(name) for name in names}
        in_names = [number for number in numbers.values() if number is not None]
        if year == 17 and in_names:
            for image in images:
                image.update(frame_range=[min(in_names), max(in_names)], nframes=len(set(in_names)))
        if out is not None and on_disk:
            if plain:
                _link(out / folder, folders.root / folder)
            else:
                _link_numbered(
                    out / folder,
                    folders.root / folder,
                    {n: numbers[n] for n in names if n in on_disk},
                )
        for image, name in zip(images, listed):
            if not plain and out is not None and numbers[name] is not None:
                image['original_file_name'] = image['file_name']
                image['file_name'] = _numbered(folder, name, numbers[name])
                folders.original[image['file_name']] = image['original_file_name']
            elif numbers[name] is None or not re.search(r'\d\.[^.]+$', name):
                report.add('frame name without a number', f'{video.name}: {image["file_name"]}')


def _by_folder(video: Video) -> dict[str, list[dict]]:
    by_folder: dict[str, list[dict]] = {}
    for image in video.images:
        by_folder.setdefault(os.path.dirname(image['file_name']), []).append(image)
    return by_folder


def _number_of(name: str) -> int | None:
    match = _FRAME.fullmatch(name)
    return int(match['number']) if match and len(match['number']) < 10 else None


def _numbered(folder: str, name: str, number: int) -> str:
    return f'{folder}/{number:08d}{os.path.splitext(name)[1]}'


def _link_numbered(folder: Path, source: Path, numbers: dict[str, int | None]) -> None:
    if folder.is_symlink():
        folder.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    taken = set()
    for name, number in numbers.items():
        if number is not None and number not in taken:
            taken.add(number)
            _link(Path(_numbered(str(folder), name, number)), source / name)


def _link(link: Path, target: Path) -> None:
    """Make or renew a symbolic link.

    Raises:
        ValueError: Something else is there.
    """
    if link.is_symlink():
        if os.readlink(link) == str(target):
            return
        link.unlink()
    elif link.exists():
        raise ValueError(
            f'{link} exists and is not a link: remove it, or leave the images alone with --no-links'
        )
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)


def _check_video(video: Video, split: str, folders: FrameFolders, report: Report) -> None:
    """Add sizes to the frames and everything that is wrong with them and the persons."""
    persons: dict[int, list[dict]] = {image['id']: [] for image in video.images}
    for person in video.annotations:
        persons[person['image_id']].append(person)
    _check_range(video, folders, report)
    labeled = sum(image['is_labeled'] for image in video.images)
    if not labeled:
        report.add('video without a labelled frame', video.name)
    samples = 0
    for image in video.images:
        place = f'{video.name}: {image["file_name"]}'
        _check_image(image, bool(persons[image['id']]), place, folders, report)
        tracks = Counter(person.get('track_id', -1) for person in persons[image['id']])
        for track, count in tracks.items():
            if count > 1 and track != -1:
                report.add('duplicate track id', f'{place}: track {track}, {count} persons')
        for person in persons[image['id']]:
            _check_person(person, image, f'{place}: annotation {person["id"]}', report)
            samples += image['is_labeled'] and person['num_keypoints'] > 0
    report.count(
        split,
        frames=len(video.images),
        labelled_frames=labeled,
        labelled_frames_without_persons=sum(
            image['is_labeled'] and not persons[image['id']] for image in video.images
        ),
        persons=len(video.annotations),
        samples=samples,
        keypoints=sum(person['num_keypoints'] for person in video.annotations),
        ignore_regions=sum(len(image['ignore_regions_x']) for image in video.images),
    )


def _check_range(video: Video, folders: FrameFolders, report: Report) -> None:
    """Lengths of the video and jumps of the numbers, folder by folder."""
    for folder, images in _by_folder(video).items():
        annotated = {image['nframes'] for image in images}
        on_disk = len(folders.frames(folder))
        lengths = annotated | {len(images)} | ({on_disk} if on_disk else set())
        if len(lengths) > 1:
            disk = f', {on_disk} on disk' if on_disk else ''
            report.add(
                'frame count',
                f'{video.name}: nframes {", ".join(map(str, sorted(annotated)))}, '
                f'{len(images)} listed{disk}',
            )
        numbers = [_number_of(os.path.basename(image['file_name'])) for image in images]
        for before, after in zip(numbers, numbers[1:]):
            if None not in (before, after) and after != before + 1:
                report.add('frame numbers jump', f'{video.name}: {before} to {after}')


def _check_image(
    image: dict, has_persons: bool, place: str, folders: FrameFolders, report: Report
) -> None:
    if folders.root is None:
        return
    problem = folders.problem(image)
    if problem:
        kind = 'keyframe' if image['is_labeled'] and has_persons else 'neighbour'
        report.add(f'{kind} missing or unreadable', f'{place} {problem}')
    size = folders.size(os.path.dirname(image['file_name']))
    if size is None:
        return
    annotated = image.setdefault('width', size[0]), image.setdefault('height', size[1])
    if annotated != size:
        report.add(
            'image of another size',
            f'{place}: annotated {annotated[0]} x {annotated[1]}, is {size[0]} x {size[1]}',
        )


def _check_person(person: dict, image: dict, place: str, report: Report) -> None:
    width, height = image.get('width'), image.get('height')
    if not person['num_keypoints']:
        report.add('person without keypoints', place)
    elif not image['is_labeled']:
        report.add('person on an unlabelled frame', place)
    head = person.get('bbox_head')
    if not head or not any(head[2:]):
        report.add('person without a head box', place)
    box = person.get('bbox')
    if person['num_keypoints'] and (not box or min(box[2:]) <= 0):
        report.add('box without area', place)
    elif (
        box
        and width
        and (box[0] >= width or box[1] >= height or box[0] + box[2] <= 0 or box[1] + box[3] <= 0)
    ):
        report.add(
            'box outside the image', f'{place}: {[round(v, 1) for v in box]} in {width} x {height}'
        )
    if width:
        for number, name in enumerate(PERSON_CATEGORY['keypoints']):
            x, y, visible = person['keypoints'][3 * number : 3 * number + 3]
            if (x or y or visible) and not (0 <= x <= width and 0 <= y <= height):
                report.add(
                    'joint outside the image',
                    f'{place}: {name} at {x:.1f}, {y:.1f} in {width} x {height}',
                )


def _renumber(videos: list[Video], split: str, report: Report) -> None:
    """Make ids unique over all videos; a video with a known image id is broken."""
    file_of_image: dict[int, str] = {}
    for video in list(videos):
        twice = next((i['id'] for i in video.images if i['id'] in file_of_image), None)
        if twice is None:
            file_of_image.update((image['id'], video.name) for image in video.images)
        else:
            report.add(
                'broken file',
                f'{split}/{video.name}: image id {twice} is also in {file_of_image[twice]}',
            )
            videos.remove(video)
    persons = [person for video in videos for person in video.annotations]
    next_id = max((person['id'] for person in persons), default=0) + 1
    ids = set()
    for person in persons:
        if person['id'] in ids:
            report.add(
                'duplicate annotation id',
                f'{split}: {person["id"]} of image {person["image_id"]} is now {next_id}',
            )
            person['id'] = next_id
            next_id += 1
        ids.add(person['id'])


def _write_json(path: Path, content: dict, indent: int | None = None) -> None:
    """Write all of it or nothing."""
    with atomic_write(path) as file:
        file.write(json.dumps(content, indent=indent))
