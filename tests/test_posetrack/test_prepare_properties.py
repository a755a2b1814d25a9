"""Official PoseTrack files, malformed in random places: a sound result or one clear error."""

import json
import math

import pytest
from hypothesis import strategies as st
from official_posetrack import WRITERS, make_truth
from property_cases import cases, damaged

from diffpose_mm.datasets import PoseTrack17ClipDataset, PoseTrack18ClipDataset
from diffpose_mm.evaluation import load_ground_truth
from diffpose_mm.posetrack import BrokenFileError, Report, prepare, read_video


@pytest.fixture(scope='module', params=[17, 18, 21])
def download(request, tmp_path_factory):
    """The year, the root of its download, its only annotation file and what that holds."""
    year = request.param
    root = tmp_path_factory.mktemp(f'official{year}')
    (file,) = WRITERS[year](root, make_truth(videos=1, frames=4, labelled=range(1, 3)))
    return year, root, file, json.loads(file.read_text())


@cases(st.data())
def test_a_malformed_file_is_read_or_named(download, data):
    """Broken if a user sees where in this code a field was missed, and not in which file."""
    year, _, file, content = download
    file.write_text(json.dumps(data.draw(damaged(content))))
    try:
        video = read_video(file, year, 10**6, Report())
    except BrokenFileError as error:
        assert file.name in str(error)
        return
    ids = {image['id'] for image in video.images}
    assert len(ids) == len(video.images)
    for person in video.annotations:
        assert person['image_id'] in ids and len(person['keypoints']) == 51
        assert all(map(math.isfinite, person['keypoints']))
        for box in (person.get('bbox') or [], person.get('bbox_head') or []):
            assert len(box) in (0, 4) and all(map(math.isfinite, box))


@cases(st.data())
def test_what_is_written_can_be_trained_and_evaluated_on(download, tmp_path_factory, data):
    """Broken if the conversion lets something pass on which training or a test would stop."""
    year, root, file, content = download
    file.write_text(json.dumps(data.draw(damaged(content))))
    out = tmp_path_factory.mktemp('prepared')
    report = prepare(year, root, out, splits=['val'], skip_broken=data.draw(st.booleans()))
    written = out / f'annotations/posetrack{year}_val.json'
    if not written.exists():
        assert report.needs_attention
        return
    kind = PoseTrack17ClipDataset if year == 17 else PoseTrack18ClipDataset
    try:
        dataset = kind(ann_file=str(written), data_root=str(out), pipeline=[], test_mode=True)
        dataset.full_init()
        load_ground_truth(written)
    except ValueError as error:
        # Nobody is left, or nobody with a head.
        assert 'is empty' in str(error) or 'bbox_head' in str(error), error
