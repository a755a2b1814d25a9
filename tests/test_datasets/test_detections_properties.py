"""Files of detections: random ones in every form, and malformed ones."""

import json

from hypothesis import strategies as st
from property_cases import cases, damaged

from diffpose_mm.datasets.body.detections import read_detections

IMAGES = {
    10 + number: dict(file_name=f'images/val/v/{number:06d}.jpg', frame_number=number,
                      frame_range=(3, 7))
    for number in range(3, 8)
}  # fmt: skip
COORDINATES = st.floats(-1e4, 1e4).map(lambda value: round(value, 3))
BOXES = st.lists(
    st.tuples(
        st.integers(3, 7), st.tuples(*[COORDINATES] * 4), st.floats(0, 1), st.integers(-1, 9)
    ),
    max_size=8,
)


@cases(BOXES)
def test_coco_mmpose_and_mot_say_the_same(tmp_path_factory, boxes):
    """Broken if a format numbers frames otherwise, or mixes up the columns."""
    folder = tmp_path_factory.mktemp('detections')
    coco, named, mot = [], [], []
    for number, box, score, track in boxes:
        common = dict(category_id=1, bbox=list(box), score=score, track_id=track)
        coco.append(dict(image_id=10 + number, **common))
        named.append(dict(image_name=f'images/val/v/{number:06d}.jpg', **common))
        # MOT counts from 1, from whatever number the video begins with.
        mot.append(','.join(map(repr, (number - 2, track, *box, score))))
    (folder / 'coco.json').write_text(json.dumps(coco))
    (folder / 'named.json').write_text(json.dumps(named))
    (folder / 'v.txt').write_text('\n'.join(mot))
    files = [folder / 'coco.json', folder / 'named.json', folder / 'v.txt']
    for found in (read_detections(str(file), IMAGES) for file in files):
        assert [
            (d.image_id - 10, tuple(d.bbox), d.score, d.category_id, d.track_id) for d in found
        ] == [(number, box, score, 1, track) for number, box, score, track in boxes]


@cases(BOXES.filter(bool), st.data())
def test_malformed_json_is_read_or_refused_by_name(tmp_path_factory, boxes, data):
    content = [
        dict(image_id=10 + number, category_id=1, bbox=list(box), score=score, track_id=track)
        for number, box, score, track in boxes
    ]
    file = tmp_path_factory.mktemp('detections') / 'det.json'
    file.write_text(json.dumps(data.draw(damaged(content))))
    _check(file)


@cases(BOXES.filter(bool), st.data())
def test_malformed_text_is_read_or_refused_by_name(tmp_path_factory, boxes, data):
    rows = [[str(n), str(t), *map(repr, box), repr(s)] for n, box, s, t in boxes]
    for _ in range(data.draw(st.integers(1, 3))):
        row = rows[data.draw(st.integers(0, len(rows) - 1))]
        place = data.draw(st.integers(0, len(row) - 1))
        odd = st.sampled_from(['', 'x', 'nan', '-inf', '1e999', '0', '-3', '2.5', '1 2', '9' * 30])
        row[place] = data.draw(st.one_of(odd, st.text(max_size=4)))
    file = tmp_path_factory.mktemp('detections') / 'v.txt'
    file.write_text('\n'.join(map(','.join, rows)), encoding='utf-8')
    _check(file)


def _check(file):
    try:
        found = read_detections(str(file), IMAGES)
    except ValueError as error:
        assert str(file) in str(error), error
        return
    for detection in found:
        assert len(detection.bbox) == 4
        assert all(abs(value) < float('inf') for value in (*detection.bbox, detection.score))
