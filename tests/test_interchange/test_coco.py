import contextlib
import io
import json

import numpy as np
import pytest
from interchange_cases import POSETRACK, assert_same, two_people
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from diffpose_mm.interchange.coco import read_coco, read_coco_results, write_coco
from diffpose_mm.keypoint_sets import keypoint_set


@pytest.fixture
def folder(tmp_path):
    write_coco(two_people(), tmp_path / 'walk_coco', 'walk')
    return tmp_path / 'walk_coco'


def average_precision(folder, sigmas):
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO(str(folder / 'dataset.json'))
        evaluation = COCOeval(truth, truth.loadRes(str(folder / 'results.json')), 'keypoints')
        evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats[0]


def test_pycocotools_finds_every_pose(folder):
    """Broken if an id of 0, a missing area or a score of 0 hid people from the evaluation."""
    sigmas = json.loads((folder / 'sigmas.json').read_text())
    assert sigmas['keypoints'] == list(POSETRACK.keypoints)
    assert sigmas['sigmas'] == list(POSETRACK.sigmas)
    assert average_precision(folder, sigmas['sigmas']) == pytest.approx(1.0)


def test_pycocotools_measures_distances(folder):
    """Broken if the score above would be reached by poses that are somewhere else."""
    results = json.loads((folder / 'results.json').read_text())
    for result in results:
        result['keypoints'] = [v + 60 * (i % 3 == 0) for i, v in enumerate(result['keypoints'])]
    (folder / 'results.json').write_text(json.dumps(results))
    assert average_precision(folder, POSETRACK.sigmas) < 0.2


def test_results_rank(folder):
    """Broken if boxes given by hand, all of score 1, left nothing to sort poses by."""
    results = json.loads((folder / 'results.json').read_text())
    by_track = {r['track_id']: r['score'] for r in results if r['image_id'] == 3}
    assert 0 < by_track[3] < by_track[7] < 1


def test_dataset_to_correct(folder):
    """Broken if a label program drew missing joints at the corner, or hid those that are there."""
    content = json.loads((folder / 'dataset.json').read_text())
    assert [image['id'] for image in content['images']] == list(range(8))
    assert content['images'][4]['file_name'] == 'walk/000004.jpg'
    assert content['images'][4]['time'] == 0.7
    for annotation in content['annotations']:
        triples = np.reshape(annotation['keypoints'], (-1, 3))
        assert set(triples[:, 2]) == {0, 2}
        assert (triples[triples[:, 2] == 0] == 0).all()
        assert annotation['attributes'] == {'track_id': annotation['track_id']}  # for datumaro
        assert annotation['num_keypoints'] == (triples[:, 2] > 0).sum()
    assert content['categories'][0]['keypoints'] == list(POSETRACK.keypoints)
    bones = content['categories'][0]['skeleton']
    assert min(min(bone) for bone in bones) >= 1 and max(max(bone) for bone in bones) <= 17


def test_read_back(folder):
    """Broken if corrected labels could not go on into pseudo-labels or --boxes."""
    lost = ('deviations', 'box_scores', 'fps')
    assert_same(read_coco(folder), two_people(), but=lost)
    found = read_coco_results(folder)
    assert found.frames.tolist() == [0, 1, 2, 3, 4, 5, 6]  # results know no frame without people
    np.testing.assert_allclose(found.points, two_people().points)
    np.testing.assert_allclose(found.scores, two_people().scores)


def test_numbers_of_frames_are_not_places(tmp_path):
    """Broken if a file that lists the frames 10, 30, 20 became the frames 0, 1, 2."""
    images = [dict(id=n, file_name=f'walk/{n:06d}.jpg', frame_id=None) for n in (10, 30, 20)]
    annotations = [
        dict(id=i, image_id=n, keypoints=[n, 1, 2], category_id=1)
        for i, n in enumerate((30, 10, 20), 1)
    ]
    for image in images:
        del image['frame_id']
    content = dict(images=images, annotations=annotations, categories=[dict(keypoints=['nose'])])
    path = tmp_path / 'walk.json'
    path.write_text(json.dumps(content))
    table = read_coco(path)
    assert table.frames.tolist() == [10, 20, 30]
    assert table.points[:, 0, 0].tolist() == [10, 20, 30]
    assert table.scores.tolist() == [[1], [1], [1]]


@pytest.mark.parametrize(
    'change, words',
    [
        (dict(categories=[dict(name='person')]), 'give --keypoints coco17 or posetrack17'),
        (dict(images=None), 'has no "images"'),
        (
            dict(images=[dict(id=0, file_name='a/0.jpg'), dict(id=1, file_name='b/0.jpg')]),
            r'frames of 2 folders \(a, b',
        ),
        (dict(annotations=[dict(id=1, image_id=9, keypoints=[0] * 51)]), 'annotation 1 .*listed'),
        (dict(annotations=[dict(id=1, image_id=0, keypoints=[1, 2])]), 'keypoints'),
    ],
)
def test_bad_datasets_are_named(folder, change, words):
    """Broken if a file of another kind gave poses, or an error without its name."""
    content = {**json.loads((folder / 'dataset.json').read_text()), **change}
    (folder / 'dataset.json').write_text(json.dumps(content))
    with pytest.raises(ValueError, match=words) as error:
        read_coco(folder)
    assert str(folder / 'dataset.json') in str(error.value)


def test_results_need_names(tmp_path):
    """Broken if results were read as COCO-17 whatever they are of."""
    path = tmp_path / 'results.json'
    path.write_text(json.dumps([dict(image_id=0, keypoints=[1, 2, 0.5] * 17, score=1)]))
    with pytest.raises(ValueError, match='give --keypoints'):
        read_coco_results(path)
    assert read_coco_results(path, 'coco17').keypoints == keypoint_set('coco17').keypoints
    with pytest.raises(ValueError, match='51'):
        read_coco_results(path, 'body25')


def test_results_that_name_pictures(tmp_path):
    """Broken if AlphaPose's results, whose image_id is a name, could not be read."""
    path = tmp_path / 'alphapose.json'
    names = '10.jpg', 'walk_9.jpg'
    path.write_text(json.dumps([dict(image_id=name, keypoints=[1, 2, 0.5] * 17) for name in names]))
    assert read_coco_results(path, 'coco17').frames.tolist() == [9, 10]
    path.write_text(json.dumps([dict(image_id='walk.jpg', keypoints=[1, 2, 0.5] * 17)]))
    with pytest.raises(ValueError, match="entry 0 has image_id 'walk.jpg', not the number"):
        read_coco_results(path, 'coco17')
