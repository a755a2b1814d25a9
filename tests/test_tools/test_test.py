"""Testing from the command line: what it writes, and what may go wrong."""

import json
import pickle
import shutil

import pytest
import torch
from tools_helpers import CONFIG, CONFIG_DIR, arguments

from diffpose_mm.tools import test as tool


class Payload:
    """Would print when it is unpickled the ordinary way."""

    def __reduce__(self):
        return print, ('executed',)


def test_writes_metrics_predictions_and_pictures(trained, tiny_posetrack, tmp_path):
    """Broken if mim test does not score a checkpoint, or options at test time have no effect."""
    out, dump, pictures = tmp_path / 'm' / 'ap.json', tmp_path / 'p.pkl', tmp_path / 'pictures'
    metrics = tool.main(
        arguments(
            CONFIG,
            trained / 'epoch_1.pth',
            '--out',
            out,
            '--dump',
            dump,
            '--show-dir',
            pictures,
            data_root=tiny_posetrack,
            work_dir=tmp_path / 'work',
            options=['model.test_cfg.num_hypotheses=3', 'model.test_cfg.sampling_steps=2'],
        )
    )
    assert json.loads(out.read_text()) == metrics
    groups = ('Head', 'Shou', 'Elb', 'Wri', 'Hip', 'Knee', 'Ankl')
    assert {f'posetrack/{group} AP' for group in groups} | {'posetrack/AP'} <= metrics.keys()
    predictions = pickle.loads(dump.read_bytes())
    assert len(predictions) == 2 * 3 * 2
    assert predictions[0]['pred_instances']['hypotheses'].shape == (1, 3, 17, 2)
    # Three frames of two videos, with the same names, each with two persons.
    assert len(list(pictures.glob('*.jpg'))) == 12


def test_tells_whose_boxes_were_tested(trained, tiny_posetrack, tmp_path):
    """Whatever the config says: a file of detections set at test time makes them detected."""
    boxes = 'annotations/posetrack18_val_human_detections.json'
    for options, source in (
        (
            [
                f'test_dataloader.dataset.bbox_file={boxes}',
                'test_evaluator.box_source=ground_truth',
            ],
            'detected',
        ),
        (['test_evaluator.box_source=detected'], 'ground_truth'),
    ):
        work_dir, out = tmp_path / source, tmp_path / f'{source}.json'
        common = dict(data_root=tiny_posetrack, work_dir=work_dir, options=options)
        tool.main(arguments(CONFIG, trained / 'epoch_1.pth', '--out', out, **common))
        assert json.loads(out.read_text())['box_source'] == source
        (log,) = work_dir.glob('*/*.log')
        log = log.read_text()
        assert f'2 videos, 6 frames; boxes: {source.replace("_", " ")}\n' in log
        assert f'- boxes: {source}\n' in log
        assert 'in the config is wrong' in log


def test_scores_the_averaged_weights(trained, tiny_posetrack, tmp_path):
    """Broken if a test takes the weights in training, which stand in the checkpoint as well."""
    checkpoint = torch.load(trained / 'epoch_1.pth', weights_only=True)
    plain = dict(state_dict=checkpoint['state_dict'], meta=checkpoint['meta'])
    torch.save(plain, tmp_path / 'plain.pth')
    common = dict(data_root=tiny_posetrack, work_dir=tmp_path)
    paths = trained / 'epoch_1.pth', tmp_path / 'plain.pth'
    first, second = (tool.main(arguments(CONFIG, path, **common)) for path in paths)
    assert first == second


def message_of(*argv, **kwargs):
    with pytest.raises(SystemExit) as exit_info:
        tool.main(arguments(*argv, **kwargs))
    assert exit_info.value.code.startswith('error: ')
    return exit_info.value.code


def test_bad_checkpoints(trained, tiny_posetrack, tmp_path):
    """Missing, cut short, of another model, or carrying code: one message each."""
    common = dict(data_root=tiny_posetrack, work_dir=tmp_path)
    assert 'none.pth does not exist' in message_of(CONFIG, 'none.pth', **common)

    path = tmp_path / 'bad.pth'
    data = (trained / 'epoch_1.pth').read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    assert 'cut short' in message_of(CONFIG, path, **common)

    torch.save(dict(state_dict={}, hook=Payload()), path)
    assert 'refused' in message_of(CONFIG, path, **common)

    text = message_of(f'{CONFIG_DIR}/strl_synthetic.py', trained / 'epoch_1.pth', **common)
    assert 'another architecture' in text and 'head.pose_decoder' in text


@pytest.mark.parametrize(
    'options, message',
    [
        (['model.test_cfg.sampling_steps=1001'], 'integer from 1 to 1000'),
        (['model.test_cfg.num_hypotheses=0'], 'at least 1'),
        (['test_dataloader.dataset.ann_file=annotations/none.json'], 'does not exist'),
        (
            ['test_dataloader.dataset.ann_file=annotations/posetrack18_val_human_detections.json'],
            'not an annotation file of the COCO style',
        ),
        (['test_dataloader.dataset.frame_offsets="(0,)"'], 'clips of 1 frames'),
    ],
)
def test_bad_options(options, message, trained, tiny_posetrack, tmp_path):
    common = dict(data_root=tiny_posetrack, work_dir=tmp_path, options=options)
    assert message in message_of(CONFIG, trained / 'epoch_1.pth', **common)


def test_broken_keyframes_are_named_before_anything_runs(trained, tiny_posetrack, tmp_path):
    """Broken if a metric leaves them out, or if they are told one a run."""
    root = tmp_path / 'data'
    shutil.copytree(tiny_posetrack, root)
    lost, cut = sorted(root.glob('images/val/*/000001.jpg'))
    lost.unlink()
    cut.write_bytes(cut.read_bytes()[:-2])
    text = message_of(CONFIG, trained / 'epoch_1.pth', data_root=root, work_dir=tmp_path)
    assert text.startswith('error: 2 keyframes cannot be read'), text
    assert f'{lost} does not exist' in text and f'{cut} is a truncated JPEG' in text
    (named,) = tmp_path.glob('*/frames_test.txt')
    assert [line.split('\t')[0] for line in named.read_text().splitlines()] == ['broken', 'missing']


@pytest.mark.parametrize('workers', [0, 1])
def test_a_keyframe_that_is_lost_during_the_test_is_named(
    workers, trained, tiny_posetrack, tmp_path, monkeypatch
):
    """Whichever process reads it; without the check before, this is the last guard."""
    monkeypatch.setattr('diffpose_mm.engine.loops.broken_keyframes', lambda dataset: [])
    root = tmp_path / 'data'
    shutil.copytree(tiny_posetrack, root)
    lost = sorted(root.glob('images/val/*/000001.jpg'))[0]
    lost.unlink()
    options = [f'test_dataloader.num_workers={workers}']
    common = dict(data_root=root, work_dir=tmp_path, options=options)
    text = message_of(CONFIG, trained / 'epoch_1.pth', **common)
    assert text.startswith(f'error: LoadClip: the keyframe {lost} does not exist'), text


def test_bad_file_names():
    args = tool.parse_args([CONFIG, 'some.pth', '--dump', 'x.json'])
    with pytest.raises(ValueError, match='--dump x.json must end with'):
        tool.merge_args(tool.load_config(args), args)
    with pytest.raises(SystemExit, match='config none.py does not exist'):
        tool.main(['none.py', 'some.pth'])
