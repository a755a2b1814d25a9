"""The S x N table: its numbers are those of single tests, and an interruption costs nothing."""

import json
import shutil

import cv2
import pytest
import torch
from mmengine.evaluator import BaseMetric
from mmpose.registry import METRICS
from tools_helpers import CONFIG, CONFIG_DIR, SMALL, arguments

from diffpose_mm.tools import hypotheses as tool
from diffpose_mm.tools import test as test_tool

OPTIONS = [o for o in SMALL if o.startswith('test_dataloader')]


def run(trained, root, out, *argv, options=(), config=CONFIG):
    return tool.main(
        [
            str(config),
            '--checkpoint',
            str(trained / 'epoch_1.pth'),
            '--data-root',
            str(root),
            '--out',
            str(out),
            '--device',
            'cpu',
            *argv,
            '--cfg-options',
            *OPTIONS,
            *options,
        ]
    )


@pytest.fixture(scope='module')
def rows(trained, tiny_posetrack, tmp_path_factory):
    out = tmp_path_factory.mktemp('hypotheses')
    options = '--steps', '2', '1', '--hypotheses', '3', '1'
    return out, run(trained, tiny_posetrack, out, *options)


def test_numbers_are_those_of_single_tests(rows, trained, tiny_posetrack, tmp_path):
    """Broken if a prefix of the hypotheses were not the N of a run with N, or S another's."""
    table = {(row['S'], row['N']): row for row in rows[1]}
    assert list(table) == [(1, 1), (1, 3), (2, 1), (2, 3)]

    both = tmp_path / 'both.py'
    both.write_text(
        f'_base_ = [{CONFIG!r}]\n'
        "test_evaluator = [dict(type='PoseTrackAP'), dict(type='HypothesisQuality', numbers=[3])]\n"
    )

    def single(steps, number, *options, config=CONFIG):
        return test_tool.main(
            arguments(
                config,
                trained / 'epoch_1.pth',
                data_root=tiny_posetrack,
                work_dir=tmp_path,
                options=[
                    f'model.test_cfg.sampling_steps={steps}',
                    'model.test_cfg.flip_test=True',
                    f'model.test_cfg.num_hypotheses={number}',
                    *options,
                ],
            )
        )

    found = single(2, 3, config=both)
    row = table[2, 3]
    assert row['AP mean'] == pytest.approx(found['posetrack/AP'], abs=1e-6)
    for name in (
        'mean PCK',
        'mean duplicate rate',
        'consensus duplicate rate',
        'mean inversion rate',
        'Spearman',
        'error/spread',
    ):
        # Of random weights ranks hang on the last digits, which differ with the batch.
        least = 1e-3 if name == 'Spearman' else 1e-6
        assert row[name] == pytest.approx(found[f'hypotheses/{name}'], rel=1e-3, abs=least), name
    assert row['best-of-N OKS'] == pytest.approx(found['hypotheses/best-of-3 OKS'], rel=1e-3)
    found = single(2, 3, 'model.test_cfg.aggregate=consensus')
    assert row['AP consensus'] == pytest.approx(found['posetrack/AP'], abs=1e-6)
    assert table[1, 1]['AP mean'] == pytest.approx(single(1, 1)['posetrack/AP'], abs=1e-6)
    assert table[1, 1]['AP consensus'] == table[1, 1]['AP mean']
    assert 'Spearman' not in table[1, 1]


def test_another_metric_is_swept_as_a_test_scores_it(trained, tiny_posetrack, tmp_path):
    """Broken if only PoseTrackAP could be measured, or the numbers were of another setting."""
    config = tmp_path / 'pck.py'
    config.write_text(
        f'_base_ = [{CONFIG!r}]\n'
        "test_evaluator = [dict(type='PCKAccuracy', thr=0.2),\n"
        "    dict(type='PCKAccuracy', thr=0.5, prefix='half'), dict(type='AUC')]\n"
    )
    (row,) = run(
        trained, tiny_posetrack, tmp_path, '--steps', '2', '--hypotheses', '3', config=config
    )
    single = test_tool.main(
        arguments(
            config,
            trained / 'epoch_1.pth',
            data_root=tiny_posetrack,
            work_dir=tmp_path,
            options=[
                'model.test_cfg.sampling_steps=2',
                'model.test_cfg.flip_test=True',
                'model.test_cfg.num_hypotheses=3',
            ],
        )
    )
    assert row['PCK mean'] == pytest.approx(single['PCK'])
    assert row['PCKAccuracy 1 PCK mean'] == pytest.approx(single['half/PCK'])
    assert row['PCKAccuracy 1 PCK mean'] > row['PCK mean']
    assert row['AUC mean'] == pytest.approx(single['AUC'])
    assert 'AP mean' not in row and 0 < row['PCK mean'] < 1
    line = (tmp_path / 'hypotheses.md').read_text().splitlines()[2]
    assert f' {row["PCK mean"]:.3f} |' in line, 'a share needs more than one decimal'


@METRICS.register_module()
class MetricOfInputs(BaseMetric):
    """Reads the batch of inputs, as a metric may."""

    def process(self, data_batch, data_samples):
        self.results += [0 for _ in zip(data_batch, data_samples)]

    def compute_metrics(self, results):
        return dict(number=len(results))


@pytest.mark.parametrize(
    'evaluator, message',
    [
        (dict(type='MetricOfInputs'), 'MetricOfInputs takes nothing from a predicted sample'),
        (
            dict(type='PCKAccuracy', norm_item='head'),
            'PCKAccuracy cannot score one setting of S and N: AssertionError: The ground truth',
        ),
        (
            dict(type='MultiDatasetEvaluator', metrics=[dict(type='AUC')], datasets=[]),
            'MultiDatasetEvaluator scores several data sets',
        ),
    ],
)
def test_a_metric_that_cannot_be_swept_is_refused(
    evaluator, message, trained, tiny_posetrack, tmp_path
):
    """Broken if it ended in a traceback, or in a table without its numbers."""
    config = tmp_path / 'other.py'
    config.write_text(f'_base_ = [{CONFIG!r}]\ntest_evaluator = [{evaluator!r}]\n')
    if evaluator['type'] == 'MultiDatasetEvaluator':
        config.write_text(
            f'_base_ = [{CONFIG!r}]\ntest_evaluator = dict(_delete_=True, **{evaluator!r})\n'
        )
    options = '--steps', '1', '--hypotheses', '1'
    with pytest.raises(SystemExit) as stopped:
        run(trained, tiny_posetrack, tmp_path / 'out', *options, config=config)
    text = stopped.value.code
    assert text.startswith('error: ') and message in text and '\n' not in text, text


def test_what_is_written(rows):
    """Broken if the table, the numbers behind it or a picture were missing or another's."""
    out, values = rows
    assert sorted(p.name for p in out.iterdir()) == [
        'hypotheses.json',
        'hypotheses.md',
        'hypotheses.png',
        'people.png',
        'reliability.png',
    ]
    stored = json.loads((out / 'hypotheses.json').read_text())
    assert stored['rows'] == values
    assert stored['samples'] == 12 and stored['test_cfg']['seed'] == 0
    assert [(r['S'], r['N']) for r in stored['reliability']] == [(1, 3), (2, 3)]
    # Of 15 annotated joints each.
    assert sum(b['joints'] for b in stored['reliability'][0]['all']) == 12 * 15
    lines = (out / 'hypotheses.md').read_text().splitlines()
    assert len(lines) == 2 + 4 and lines[2].startswith('| 1 | 1 |') and ' - |' in lines[2]
    for name in ('hypotheses.png', 'people.png', 'reliability.png'):
        assert cv2.imread(str(out / name)) is not None


def test_goes_on_after_an_interruption(rows, trained, tiny_posetrack, tmp_path, monkeypatch):
    """Broken if what was computed were lost, mixed up, or kept for other weights."""
    options = '--steps', '1', '2', '--hypotheses', '1', '3', '--batch-size', '5'
    predict, calls = tool.Sweep.predict, []

    def interrupted(self, data, all_steps):
        calls.append(len(data['data_samples']))
        for number, records in enumerate(predict(self, data, all_steps)):
            if len(calls) == 2 and number == 1:
                raise KeyboardInterrupt
            yield records

    monkeypatch.setattr(tool.Sweep, 'predict', interrupted)
    for draw in 'step_curves', 'reliability_plot', 'hypothesis_sheet':
        monkeypatch.setattr(tool, draw, lambda *_: None)
    with pytest.raises(SystemExit) as stopped:
        run(trained, tiny_posetrack, tmp_path, *options)
    assert stopped.value.code == 130 and calls == [5, 5]

    steps = []
    monkeypatch.setattr(
        tool.Sweep, 'predict', lambda *a: (steps.append(list(a[2])), predict(*a))[1]
    )
    values = run(trained, tiny_posetrack, tmp_path, *options)
    assert steps == [[2], [1, 2]], 'only what was missing'
    for row, expected in zip(values, rows[1]):
        # Ranks of nearly equal numbers change places with the last digit of a sum.
        assert row.pop('Spearman', None) == pytest.approx(expected.get('Spearman'), abs=5e-3)
        rest = {name: value for name, value in expected.items() if name != 'Spearman'}
        assert row == pytest.approx(rest, rel=1e-3, abs=1e-6)
    assert not list(tmp_path.glob('predictions-*'))


def test_predictions_of_other_weights_are_not_taken(trained, tiny_posetrack, tmp_path, monkeypatch):
    """Broken if a second checkpoint in the same folder were given the first one's numbers."""

    def interrupted(records, *_):
        next(iter(records))
        raise KeyboardInterrupt

    monkeypatch.setattr(tool, 'measure', interrupted)
    checkpoint = torch.load(trained / 'epoch_1.pth', weights_only=True)
    for value in checkpoint['state_dict'].values():
        value *= 2
    (tmp_path / 'other').mkdir()
    torch.save(checkpoint, tmp_path / 'other' / 'epoch_1.pth')
    options = '--steps', '1', '--hypotheses', '1', '--batch-size', '1'
    for folder in trained, tmp_path / 'other':
        with pytest.raises(SystemExit):
            run(folder, tiny_posetrack, tmp_path, *options)
    assert len(list(tmp_path.glob('predictions-*/*.pth'))) == 2


def test_predictions_of_other_data_are_not_taken(trained, tiny_posetrack, tmp_path, monkeypatch):
    """Broken if frames or boxes that were exchanged under their names got the old predictions."""
    root = tmp_path / 'data'
    shutil.copytree(tiny_posetrack, root)
    frame = next((root / 'images/val').rglob('*.jpg'))
    annotations = root / 'annotations/posetrack18_val.json'

    def interrupted(records, *_):
        next(iter(records))
        raise KeyboardInterrupt

    monkeypatch.setattr(tool, 'measure', interrupted)
    options = '--steps', '1', '--hypotheses', '1', '--batch-size', '1'

    def folders():
        with pytest.raises(SystemExit):
            run(trained, root, tmp_path / 'out', *options)
        return len(list((tmp_path / 'out').glob('predictions-*')))

    assert folders() == folders() == 1, 'the same data'
    cv2.imwrite(str(frame), cv2.imread(str(frame))[:, ::-1])
    assert folders() == 2
    content = json.loads(annotations.read_text())
    content['annotations'][0]['bbox'][2] += 1
    annotations.write_text(json.dumps(content))
    assert folders() == 3


@pytest.mark.parametrize(
    'argv, options, message',
    [
        (['--steps', '0'], [], 'sampling_steps must be an integer from 1 to 1000'),
        (['--hypotheses', '1', '0'], [], 'num_hypotheses must be an integer of at least 1'),
        (['--batch-size', '0'], [], '--batch-size 0 must be at least 1'),
        (
            ['--steps', '1', '--hypotheses', '1'],
            ['test_dataloader.dataset.bbox_file=annotations/posetrack18_val_human_detections.json'],
            'is not an annotated one: set bbox_file=None',
        ),
    ],
)
def test_bad_input_is_told_in_one_line(argv, options, message, trained, tiny_posetrack, tmp_path):
    """One message, before anything long runs."""
    with pytest.raises(SystemExit) as stopped:
        run(trained, tiny_posetrack, tmp_path, *argv, options=options)
    text = stopped.value.code
    assert text.startswith('error: ') and message in text and '\n' not in text, text


def test_a_model_without_hypotheses_is_refused(trained, tiny_posetrack, tmp_path):
    """Broken if the baseline ended in an AttributeError."""
    with pytest.raises(SystemExit, match='HeatmapHead, which draws no hypotheses'):
        run(trained, tiny_posetrack, tmp_path, config=f'{CONFIG_DIR}/heatmap_synthetic.py')
