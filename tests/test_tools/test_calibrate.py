"""The tool that calibrates: what it writes is a checkpoint, and tests of it are calibrated."""

import numpy as np
import pytest
import torch
from tools_helpers import CONFIG, SMALL

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm.loading import read_checkpoint, weights_digest
from diffpose_mm.tools import calibrate
from diffpose_mm_runtime.spread_calibration import SpreadCalibration

OPTIONS = [o for o in SMALL if o.startswith('test_dataloader')]


def run(checkpoint, root, out, *argv):
    where = ['--data-root', str(root), '--device', 'cpu', '--out', str(out)]
    argv = [CONFIG, '--checkpoint', str(checkpoint), *where, *argv, '--cfg-options', *OPTIONS]
    return calibrate.main(argv)


@pytest.fixture(scope='module')
def calibrated(trained, tiny_posetrack, tmp_path_factory):
    out = tmp_path_factory.mktemp('calibrate') / 'calibrated.safetensors'
    options = ('--steps', '2', '1', '--hypotheses', '3')
    return out, run(trained / 'epoch_1.pth', tiny_posetrack, out, *options)


def test_the_weights_are_the_same_and_the_tables_there(calibrated, trained):
    """Broken if calibrating changed a weight, or the file did not hold what was fitted."""
    out, fitted = calibrated
    before, after = read_checkpoint(str(trained / 'epoch_1.pth')), read_checkpoint(str(out))
    assert weights_digest(after['state_dict']) == weights_digest(before['state_dict'])
    assert after['meta']['spread_calibration'] == fitted
    assert [table['sampling_steps'] for table in fitted['tables']] == [1, 2]
    assert not list(out.parent.glob('*predictions*')), 'what was kept to go on is left lying'


def test_predictions_are_calibrated_and_say_so(calibrated, trained):
    """Broken if the map were of other pixels than the spread, or applied to one of two paths."""
    frames = [np.full((64, 80, 3), 30 * i, np.uint8) for i in range(3)]
    found = {}
    for name, weights in (('raw', trained / 'epoch_1.pth'), ('calibrated', calibrated[0])):
        inferencer = DiffPoseInferencer(CONFIG, str(weights), device='cpu', det_model='whole_image')
        run = inferencer(iter(frames), num_hypotheses=3, sampling_steps=2, return_hypotheses=True)
        assert run.identity()['keypoint_std'] == dict(raw='spread of hypotheses').get(name, name)
        found[name] = [result['predictions'][0][0] for result in run]
        head = inferencer.model.head
    # An image of 80 x 64 is a crop of 96 x 128 input pixels by its width; see the codec.
    table = SpreadCalibration(calibrated[1])
    assert head.spread_calibration.tables == table.tables
    for raw, ours in zip(found['raw'], found['calibrated']):
        np.testing.assert_array_equal(raw['keypoints'], ours['keypoints'])
        spread, stds = (np.array(p['keypoint_std'])[None] for p in (raw, ours))
        scores = np.array(raw['keypoint_scores'])[None]
        ratios = [(stds / table(spread * scale, scores, 3, 2) * scale) for scale in scales(spread)]
        assert min(np.abs(ratio - 1).max() for ratio in ratios) < 1e-3


def scales(spread):
    """Input pixels of an image pixel that a crop of 80 x 64 may have: by width or by height."""
    return [np.array([95 / w, 127 / h]) for w, h in ((80, 80 * 4 / 3), (48, 64))]


def test_an_interrupted_run_goes_on(trained, tiny_posetrack, tmp_path, monkeypatch):
    """Broken if hours of sampling were lost to a fault at the end."""
    out = tmp_path / 'calibrated.pth'
    options = ('--steps', '1', '--hypotheses', '2')
    monkeypatch.setattr(calibrate, 'write', lambda *_: (_ for _ in ()).throw(OSError('disk full')))
    with pytest.raises(SystemExit):
        run(trained / 'epoch_1.pth', tiny_posetrack, out, *options)
    monkeypatch.undo()

    def predict(*_):
        raise AssertionError('a batch that was there is computed again')

    monkeypatch.setattr(calibrate.Sweep, 'predict', predict)
    run(trained / 'epoch_1.pth', tiny_posetrack, out, *options)
    assert 'spread_calibration' in torch.load(out, weights_only=False)['meta']


@pytest.mark.parametrize(
    'argv, match',
    [
        (('--hypotheses', '1'), '--hypotheses 1'),
        (('--steps', '0'), 'sampling_steps'),
        (('--batch-size', '0'), '--batch-size 0'),
    ],
)
def test_arguments_out_of_range_are_named(argv, match, trained, tiny_posetrack, tmp_path, capsys):
    """Broken if they were found out after the sampling."""
    with pytest.raises(SystemExit) as error:
        run(trained / 'epoch_1.pth', tiny_posetrack, tmp_path / 'c.pth', *argv)
    assert match in str(error.value) + capsys.readouterr().err


def test_a_file_that_is_there_is_not_replaced_unasked(trained, tiny_posetrack, tmp_path, capsys):
    """Broken if a calibration wrote over the checkpoint that it read."""
    out = tmp_path / 'c.pth'
    out.write_bytes(b'kept')
    with pytest.raises(SystemExit) as error:
        run(trained / 'epoch_1.pth', tiny_posetrack, out)
    assert 'overwrite' in str(error.value) + capsys.readouterr().err
    assert out.read_bytes() == b'kept'
