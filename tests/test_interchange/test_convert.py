import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from interchange_cases import clip, person, two_people, write_clip

from diffpose_mm import optional_modules
from diffpose_mm.interchange import (
    POSE_FORMATS,
    PoseTable,
    TableBuilder,
    convert,
    read_poses,
    write_formats,
    write_poses_json,
)

ROOT = Path(__file__).resolve().parents[2]
PLAIN = [name for name, made in POSE_FORMATS.items() if not made.modules]


def test_all_formats_of_one_video(tmp_path):
    """Broken if two formats wrote to the same place, or one wrote elsewhere than it says."""
    said = []
    written = write_formats(two_people(), PLAIN, tmp_path, 'walk', said.append)
    paths = [path for name in PLAIN for path in POSE_FORMATS[name].paths(tmp_path, 'walk')]
    assert written == paths and len(set(paths)) == len(paths)
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    assert any(line.startswith('openpose does not hold: ') for line in said)


@pytest.mark.parametrize('name', [n for n in PLAIN if POSE_FORMATS[n].read])
def test_what_can_be_read_is_recognised(tmp_path, name):
    """Broken if poses could be read back only by those who know the right word."""
    (path,) = write_formats(two_people(), [name], tmp_path, 'walk', lambda line: None)
    expected, table = two_people(), read_poses(path)
    order = np.lexsort([table.track, table.frame])
    own = np.lexsort([expected.track, expected.frame])
    assert table.frame[order].tolist() == expected.frame[own].tolist()
    assert table.track[order].tolist() == expected.track[own].tolist()
    places = [expected.keypoints.index(joint) for joint in table.keypoints]
    assert set(expected.keypoints) - set(table.keypoints) <= set(expected.absent)
    found = expected.points[own][:, places]
    np.testing.assert_allclose(table.points[order], found, atol=1e-3)  # digits of CVAT


def test_losses_are_said_before_anything_is_written(tmp_path):
    """Broken if a user who stops at a warning found half of the files."""
    seen = []
    write_formats(
        two_people(), ['openpose', 'mot'], tmp_path, 'walk',
        lambda line: seen.append((line.split()[0], list(tmp_path.iterdir()))),
    )  # fmt: skip
    assert seen == [('openpose', []), ('mot', [])]


def test_a_format_that_cannot_be_written_keeps_others_from_half_of_it(tmp_path):
    """Broken if an error at the second format came after the first had been written."""
    table = two_people(image_size=None)
    with pytest.raises(ValueError, match='coco needs the size of the frames.*--image-size'):
        write_formats(table, ['csv', 'coco'], tmp_path, 'walk')
    builder = TableBuilder(['paw', 'tail'])
    builder.add_frame(0, 0.0)
    builder.add_pose([[1, 2], [3, 4]])
    with pytest.raises(ValueError, match='format openpose: none of the keypoints paw, tail'):
        write_formats(builder.table(), ['csv', 'openpose'], tmp_path, 'walk')
    with pytest.raises(ValueError, match="format 'trc' has to be one of json, csv"):
        write_formats(table, ['csv', 'trc'], tmp_path, 'walk')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name', PLAIN)
def test_cost_is_that_of_the_poses(tmp_path, monkeypatch, name):
    """Broken if a long video took hours, since each pose had all poses looked through."""
    whole = PoseTable.present.fget
    looks = []
    monkeypatch.setattr(PoseTable, 'present', property(lambda t: looks.append(t) or whole(t)))
    counts = []
    for frames in (8, 24):
        looks.clear()
        table = two_people(num_frames=frames, times=[i / 10 for i in range(frames)])
        write_formats(table, [name], tmp_path / str(frames), 'walk', lambda line: None)
        counts.append(len(looks))
    assert counts[0] == counts[1]


@pytest.mark.parametrize(
    'name, words',
    [
        ('parquet', 'pyarrow, which is not installed: pip install pyarrow'),
        ('slp', 'sleap_io, which is not installed: pip install sleap-io'),
        ('nwb', 'pynwb and ndx_pose, which are not installed: pip install pynwb ndx-pose'),
        ('rrd', 'rerun, which is not installed: pip install rerun-sdk'),
        ('deeplabcut', 'pandas and tables, which are not installed: pip install pandas tables'),
    ],
)
def test_missing_library_names_the_command(tmp_path, monkeypatch, name, words):
    """Broken if somebody without it got a traceback, or a run was lost to it."""
    monkeypatch.setattr(optional_modules.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ModuleNotFoundError) as error:
        write_formats(two_people(), ['csv', name], tmp_path, 'walk')
    assert str(error.value) == f'format {name} needs {words}'
    assert not list(tmp_path.iterdir())


def test_formats_are_documented():
    """Broken if somebody could not find out what a format loses, or what it needs."""
    text = (ROOT / 'docs/interchange.md').read_text()
    rows = dict(re.findall(r'^\| `([a-z-]+)` \| (.*) \|$', text, re.MULTILINE))
    needed = set(re.findall(r'`pip install ([a-z- ]+)`', text))
    assert set(POSE_FORMATS) <= set(rows)
    assert {made.packages for made in POSE_FORMATS.values()} - {''} <= needed
    extra = (ROOT / 'requirements/interchange.txt').read_text().splitlines()
    assert {name for packages in needed for name in packages.split()} <= set(extra)


def test_people_without_numbers(tmp_path):
    """Broken if frame-wise people became tracks without a word."""
    frames = clip([[person([[1, 2], [3, 4]], [1, 1], track=None)]] * 2)
    table = read_poses(write_clip(tmp_path / 'walk.json', frames))
    said = []
    write_formats(table, ['csv', 'deeplabcut-csv'], tmp_path, 'walk', said.append)
    assert [line.split(':')[0] for line in said if 'without a number' in line] == ['deeplabcut-csv']
    rows = list(csv.DictReader((tmp_path / 'walk.csv').open()))
    assert {row['track_id'] for row in rows} == {''}


def test_a_rate_gives_times_to_those_who_have_none(tmp_path):
    """Broken if a rate on the command line replaced the times of the file."""
    write_poses_json(two_people(), tmp_path / 'walk.json')
    assert read_poses(tmp_path / 'walk.json', fps=10).fps == 25
    (path,) = write_formats(two_people(), ['deeplabcut-csv'], tmp_path, 'walk', lambda line: None)
    table = read_poses(path, fps=10, image_size=(64, 48))
    np.testing.assert_allclose(table.times, np.arange(8) / 10)
    assert table.image_size == (64, 48)


@pytest.mark.parametrize(
    'name, text, format_name',
    [
        ('a.json', '[{"frame_id": 0, "instances": []}]', 'json'),
        ('a.json', '{"meta_info": {}, "instance_info": []}', 'json'),
        ('a.json', ' {"images": [], "annotations": []}', 'coco'),
        ('a.jsonl', '', 'json'),
        ('a.csv', 'frame_id,x', 'csv'),
        ('a.csv', 'scorer,net', 'deeplabcut-csv'),
        ('a.json', '[{"data": {"image": "a"}, "predictions": []}]', 'label-studio'),
        ('a.json', '[\n {"id": 4, "annotations": []}]', 'label-studio'),
        ('a.xml', '<annotations/>', 'cvat'),
        ('a.H5', '', 'deeplabcut'),
        ('a.parquet', '', 'parquet'),
    ],
)
def test_format_is_guessed(tmp_path, name, text, format_name):
    """Broken if --from were needed for what a file says by itself."""
    (tmp_path / name).write_text(text)
    assert convert.guess_format(tmp_path / name) == format_name


def test_unknown_files_are_named(tmp_path):
    """Broken if a video given in place of its poses were an error of JSON."""
    (tmp_path / 'walk.mp4').write_bytes(b'\0')
    with pytest.raises(ValueError, match=r'walk.mp4: its name does not say.*--from json'):
        read_poses(tmp_path / 'walk.mp4')
    with pytest.raises(FileNotFoundError, match='other.json does not exist'):
        read_poses(tmp_path / 'other.json')
    (tmp_path / 'walk.csv').write_bytes(b'\xff\xfe')
    with pytest.raises(ValueError, match='walk.csv: is no text in UTF-8'):
        read_poses(tmp_path / 'walk.csv')
    (tmp_path / 'walk.csv').write_text('frame_id,keypoint,x,y\n')
    with pytest.raises(ValueError, match='walk.csv: holds no rows'):
        read_poses(tmp_path / 'walk.csv')
    (tmp_path / 'results.json').write_text(json.dumps([dict(image_id=0, keypoints=[])]))
    with pytest.raises(ValueError, match='--from coco-results'):
        read_poses(tmp_path / 'results.json')
