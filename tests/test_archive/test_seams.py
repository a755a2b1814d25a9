"""Videos cut into stretches: the poses are those of the whole video, to the last digit."""

import json

import numpy as np
import pytest
from apis_helpers import moving_frames, write_tiny
from archive_cases import InlinePool, run_archive, table, write_mp4

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm.archive.engine import EngineSource
from diffpose_mm.archive.manifest import read_entries

MODES = dict(
    offline=dict(),
    causal=dict(mode='causal'),
    streaming=dict(streaming=True),
    streaming_causal=dict(streaming=True, mode='causal'),
    oks=dict(use_oks_tracking=True),
)


@pytest.fixture(scope='module')
def tiny_model(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp('tiny'))


@pytest.fixture(scope='module')
def walk(tmp_path_factory):
    """A video, and boxes: one stays in a crop for nine frames, one leaves it with each."""
    folder = tmp_path_factory.mktemp('walk')
    video = write_mp4(folder / 'walk.mp4', moving_frames(61, width=320))
    boxes = []
    for t in range(61):
        people = [[10 + 0.4 * t, 10, 45 + 0.4 * t, 80]]
        if t % 17 < 12:
            people.append([260 - 4 * t, 5, 300 - 4 * t, 85])
        if t == 39:
            people = []
        boxes.append(people)
    (folder / 'boxes.json').write_text(json.dumps(boxes))
    (folder / 'all.csv').write_text('path,boxes\nwalk.mp4,boxes.json\n')
    return video, boxes, read_entries([str(folder / 'all.csv')])


@pytest.mark.parametrize(
    'mode, batch_size, stretch',
    [
        *((mode, batch_size, 12) for mode in MODES for batch_size in (1, 4)),
        ('streaming', 4, 1000),
        ('oks', 4, 1000),
    ],
)
def test_rows_of_a_video_are_those_of_an_ordinary_run_however_it_is_cut(
    tiny_model, walk, tmp_path, mode, batch_size, stretch
):
    """Broken if tracks, windows, batches, noise or the crops of a stream knew of a seam."""
    video, boxes, entries = walk
    options = dict(batch_size=batch_size, **MODES[mode])
    inferencer = DiffPoseInferencer(*tiny_model, device='cpu', det_model='whole_image')
    expected = [
        (result['frames'][0]['frame_id'], person)
        for result in inferencer(video, bboxes=boxes, **options)
        for person in result['predictions'][0]
    ]
    arguments = dict(
        config=tiny_model[0],
        checkpoint=tiny_model[1],
        device='cpu',
        det_model='whole_image',
        options=options,
    )
    pool = InlinePool(EngineSource('diffpose_mm.archive.engine:model_engine', arguments))
    report = run_archive(entries, tmp_path, pool=pool, stretch=stretch)
    assert not report.failed
    kinds = [unit.kind for unit in pool.done]
    if stretch == 12:
        assert kinds.count('find') == 5 and kinds.count('pose') >= 4 and kinds.count('finish') == 1
    else:
        assert kinds == ['plan', 'whole']
    rows = table(tmp_path, entries[0].key)
    assert len(rows) == len(expected) > 80
    assert len({row['track_id'] for row in rows}) > 1
    for row, (frame, person) in zip(rows, expected):
        assert (row['frame_id'], row['track_id']) == (frame, person['track_id'])
        points = np.float32(person['keypoints'])
        np.testing.assert_array_equal(np.float32([row['x'], row['y']]).T, points)
        np.testing.assert_array_equal(
            np.float32(row['score']), np.float32(person['keypoint_scores'])
        )
        box = [row[f'bbox_{edge}'] for edge in ('x1', 'y1', 'x2', 'y2')]
        np.testing.assert_array_equal(np.float32(box), np.float32(person['bbox'][0]))
