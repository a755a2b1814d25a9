"""Scores of a sweep over S and N, without a model: each setting is scored alone, by any metric."""

import os

import numpy as np
import pytest
from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS
from test_hypothesis_quality import META, TRUE, sample

from diffpose_mm.evaluation.sweep import SweepScores, data_digest


@METRICS.register_module()
class MeanX(BaseMetric):
    """Mean x of the predicted keypoints, as a user's metric may be."""

    default_prefix = 'mean'

    def __init__(self, factor=1.0, text=False, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor
        self.text = text

    def process(self, data_batch, data_samples):
        for one in data_samples:
            self.results.append(one['pred_instances']['keypoints'][..., 0].mean())

    def compute_metrics(self, results):
        return dict(note='text') if self.text else dict(x=self.factor * np.mean(results))


def records(count=3, settings=((1, 1), (1, 2), (4, 1), (4, 2))):
    """Batches of one sample; the pose of a setting is moved by 10 S + N, its consensus by 100."""
    for index in range(count):
        record = sample([TRUE, TRUE], occluded=[0, 1, 0, 0]) | dict(img_id=index, id=index)
        cells = {}
        for steps, number in settings:
            for kind, moved in (('mean', 0), ('consensus', 100)):
                pose = TRUE + 10 * steps + number + moved + index
                hypotheses = [TRUE + 10 * steps, TRUE][:number]
                cells[steps, number, kind] = sample(hypotheses, pose=pose)['pred_instances']
        yield [record | dict(cells=cells)]


def scored(evaluators, **kwargs):
    scores = SweepScores(evaluators, META)
    for batch in records(**kwargs):
        scores.add(batch)
    return scores.summarise()


@pytest.mark.parametrize(
    'evaluators',
    [
        dict(type='MeanX'),
        [dict(type='MeanX'), dict(type='HypothesisQuality', pck_thr=0.1)],
        dict(type='Evaluator', metrics=[dict(type='MeanX')]),
        [dict(type='DumpResults', out_file_path='never.pkl'), dict(type='MeanX')],
    ],
)
def test_each_setting_is_scored_alone(evaluators):
    """Broken if settings shared results, or one way to write an evaluator were not understood."""
    rows, bins = scored(evaluators)
    middle = TRUE[:, 0].mean() + 1
    for row in rows:
        assert row['x mean'] == pytest.approx(middle + 10 * row['S'] + row['N'])
        assert row['x consensus'] == pytest.approx(row['x mean'] + 100)
    assert [(row['S'], row['N']) for row in rows] == [(1, 1), (1, 2), (4, 1), (4, 2)]
    assert list(bins) == [(1, 2), (4, 2)] and 'Spearman' not in rows[0]
    # Of the two hypotheses of N = 2 the second one is right.
    assert [row['best-of-N PCK'] for row in rows] == [0, 100, 0, 100]


def test_no_evaluator_leaves_the_quality_of_the_hypotheses():
    """Broken if a config without test_evaluator could not be swept."""
    rows, _ = scored(None)
    assert {'best-of-N PCK', 'mean duplicate rate', 'mean inversion rate'} <= rows[0].keys()
    assert not any(key.startswith(('x', 'AP')) for key in rows[0])


def test_two_metrics_with_one_name_keep_both_numbers():
    """Broken if the second took the place of the first."""
    rows, _ = scored([dict(type='MeanX'), dict(type='MeanX', factor=2.0)])
    assert rows[0]['MeanX 1 x mean'] == pytest.approx(2 * rows[0]['x mean'])


def test_a_metric_without_a_number_is_named():
    """Broken if a table came out without the numbers that were asked for."""
    with pytest.raises(ValueError, match='MeanX gives no number'):
        scored(dict(type='MeanX', text=True))


class Samples(list):
    def get_data_info(self, index):
        return self[index]


def test_digest_follows_frames_neighbours_boxes_and_keypoints(tmp_path):
    """Broken if predictions of other pixels or boxes were taken for those of these."""
    for name in ('0.jpg', '1.jpg'):
        (tmp_path / name).write_bytes(b'0')
    info = dict(img_path=str(tmp_path / '0.jpg'), id=1, bbox=np.ones((1, 4)), keypoints=TRUE[None])
    digests = [data_digest(Samples([info]))]
    assert data_digest(Samples([info])) == digests[0]
    (tmp_path / '._0.jpg').write_bytes(b'0')
    assert data_digest(Samples([info])) == digests[0], 'a hidden file is none of the data'
    for changed in (dict(bbox=np.full((1, 4), 2.0)), dict(keypoints=TRUE[None] + 1), dict(id=2)):
        digests.append(data_digest(Samples([info | changed])))
    (tmp_path / '1.jpg').write_bytes(b'00')
    digests.append(data_digest(Samples([info])))
    (tmp_path / '0.jpg').write_bytes(b'1')
    os.utime(tmp_path / '0.jpg', ns=(1, 1))
    digests.append(data_digest(Samples([info])))
    (tmp_path / '1.jpg').unlink()
    digests.append(data_digest(Samples([info])))
    assert len(set(digests)) == len(digests) == 7
