"""A checkpoint is whole or not there, whenever the process is killed or the disk is full."""

import os
import resource
import shutil
import signal
import sys
from multiprocessing import get_context
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner import save_checkpoint

from diffpose_mm.engine import (
    AtomicCheckpointHook,
    CheckpointError,
    MetricError,
    checkpoint_hook,
    newest_checkpoint,
    read_checkpoint,
)

EPOCHS = 3


class SmallRunner:
    """What the hook needs of a runner; the weights say which epoch they are of."""

    def __init__(self, work_dir, epoch=0):
        self.work_dir, self.epoch = str(work_dir), epoch
        self.iter = 10 * epoch
        self.max_epochs = EPOCHS
        self.logger = SimpleNamespace(info=lambda text: None)
        self.message_hub = MessageHub('test')
        if epoch:
            hub = read_checkpoint(newest_checkpoint(self.work_dir))['message_hub']
            self.message_hub._runtime_info.update(hub)

    def save_checkpoint(self, out_dir, filename, *args, meta, backend_args, **kwargs):
        # Two blocks, for the writing to have a middle.
        weights = dict(w=torch.full((5000,), float(meta['epoch'])))
        hub = dict(self.message_hub.runtime_info)
        checkpoint = dict(state_dict=weights, meta=dict(meta), message_hub=hub)
        save_checkpoint(checkpoint, os.path.join(out_dir, filename), backend_args=backend_args)


def train(work_dir, start=0, epochs=EPOCHS, **options):
    """Save as a training does that validates after every epoch and gets better every time."""
    hook = AtomicCheckpointHook(
        interval=1, save_best='AP', rule='greater', max_keep_ckpts=options.pop('keep', 2), **options
    )
    runner = SmallRunner(work_dir, start)
    hook.before_train(runner)
    while runner.epoch < epochs:
        runner.iter += 10
        hook.after_train_epoch(runner)
        runner.epoch += 1
        hook.after_val_epoch(runner, dict(AP=runner.epoch))


def killed_at(operation, work_dir):
    """Train until the file operation of this number (open, move, remove) begins."""
    count = 0

    def audit(event, arguments):
        nonlocal count
        if event in ('open', 'os.rename', 'os.remove') and str(work_dir) in str(arguments[0]):
            count += 1
            if count == operation:
                os.kill(os.getpid(), signal.SIGKILL)

    torch.set_num_threads(1)
    sys.addaudithook(audit)
    train(work_dir, epochs=2, keep=1)


def run_in_fork(function, *args):
    process = get_context('fork').Process(target=function, args=args)
    process.start()
    process.join()
    return process.exitcode


def epoch_of(path):
    return read_checkpoint(str(path))['meta']['epoch']


@pytest.mark.parametrize('keep', [1, 2])
def test_keeps_the_newest_and_the_best(keep, tmp_path):
    """Broken if old checkpoints pile up, or last_checkpoint names another than the last."""
    train(tmp_path, keep=keep)
    kept = [f'epoch_{n}.pth' for n in range(EPOCHS - keep + 1, EPOCHS + 1)]
    expected = sorted(['best_AP_epoch_3.pth', 'last_checkpoint', *kept])
    assert sorted(os.listdir(tmp_path)) == expected
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'epoch_3.pth')


def test_a_kill_at_any_file_operation_leaves_whole_checkpoints(tmp_path):
    """Broken if a file is written in place, or removed before what replaces it is there."""
    last, best, operation = 0, 0, 0
    while True:
        operation += 1
        work_dir = tmp_path / str(operation)
        work_dir.mkdir()
        status = run_in_fork(killed_at, operation, work_dir)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        # All that bears a final name is whole.
        epochs = [epoch_of(path) for path in work_dir.glob('epoch_*.pth')]
        bests = [epoch_of(path) for path in work_dir.glob('best_*.pth')]
        pointer = work_dir / 'last_checkpoint'
        named = epoch_of(pointer.read_text()) if pointer.exists() else 0
        # Nothing that an earlier kill would have left is missing.
        assert max(epochs, default=0) >= named >= last
        assert max(bests, default=0) >= best
        last, best = named, max(bests, default=0)
        newest = newest_checkpoint(str(work_dir))
        if newest:
            # The next start goes on from there, and clears away what was not finished.
            start = epoch_of(newest)
            train(work_dir, start)
            assert not list(work_dir.glob('*.part'))
            assert epoch_of(work_dir / 'epoch_3.pth') == EPOCHS
    assert operation > 20 and last == 2


def killed_while_writing(work_dir):
    """Train until the system ends the process at the byte that is half of the second checkpoint."""
    torch.set_num_threads(1)
    train(work_dir, epochs=1)
    size = os.path.getsize(work_dir / 'epoch_1.pth') // 2
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    train(work_dir, start=1)


def test_half_a_checkpoint_bears_no_name_of_one(tmp_path):
    """Broken if a checkpoint is written under its own name."""
    assert run_in_fork(killed_while_writing, tmp_path) == -signal.SIGXFSZ
    assert not (tmp_path / 'epoch_2.pth').exists()
    assert 0 < (tmp_path / 'epoch_2.pth.part').stat().st_size
    assert epoch_of(newest_checkpoint(str(tmp_path))) == 1


def test_the_best_metric_of_a_validation_after_a_resume_is_remembered(tmp_path):
    """Broken if a kill during a validation lets a worse epoch replace the best one later."""
    for epoch in (0, 1):
        hook = AtomicCheckpointHook(interval=1, save_best='AP', rule='greater')
        runner = SmallRunner(tmp_path, epoch)
        hook.before_train(runner)
        if epoch == 0:
            hook.after_train_epoch(runner)
        else:
            hook.after_val_epoch(runner, dict(AP=0.5))
    assert read_checkpoint(str(tmp_path / 'epoch_1.pth'))['message_hub']['best_score'] == 0.5


def short_of_space(work_dir):
    """Train with half the room that the third checkpoint needs, as if the disk were full."""
    torch.set_num_threads(1)
    train(work_dir, epochs=2)
    size = os.path.getsize(work_dir / 'epoch_2.pth') // 2
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    try:
        train(work_dir, start=2)
    except OSError as error:
        (work_dir / 'message').write_text(str(error))
        raise SystemExit(3) from error


def test_no_space_left(tmp_path):
    """Broken if a full disk costs the previous checkpoint, or leaves rubbish that fills it more."""
    assert run_in_fork(short_of_space, tmp_path) == 3
    message = (tmp_path / 'message').read_text()
    assert 'epoch_3.pth could not be written: File too large' in message and 'are free' in message
    assert epoch_of(newest_checkpoint(str(tmp_path))) == 2
    assert sorted(p.name for p in tmp_path.glob('*.p*')) == [
        'best_AP_epoch_2.pth', 'epoch_1.pth', 'epoch_2.pth',
    ]  # fmt: skip


def test_an_unreadable_newest_gives_way_to_the_one_before(tmp_path, monkeypatch):
    """Broken if a power cut makes a training start anew, or go on from elsewhere unsaid."""
    words = []
    monkeypatch.setattr(checkpoint_hook, 'print_log', lambda text, *args: words.append(text))
    train(tmp_path)
    for damage in (b'', (tmp_path / 'epoch_3.pth').read_bytes()[:9000]):
        (tmp_path / 'epoch_3.pth').write_bytes(damage)
        assert newest_checkpoint(str(tmp_path)) == str(tmp_path / 'epoch_2.pth')
        text = words.pop()
        assert f'{tmp_path}/epoch_3.pth' in text and f'on from {tmp_path}/epoch_2.pth' in text
    (tmp_path / 'epoch_2.pth').write_bytes(b'')
    with pytest.raises(CheckpointError, match='epoch_3.pth'):
        newest_checkpoint(str(tmp_path))


def test_a_folder_without_a_name_of_the_last(tmp_path):
    """Killed between the first checkpoint and the file that names it; or moved elsewhere."""
    assert newest_checkpoint(str(tmp_path)) is None
    old = tmp_path / 'old'
    train(old)
    new = shutil.move(old, tmp_path / 'new')
    assert newest_checkpoint(str(new)) == str(new / 'epoch_3.pth')
    for content in ('', None):
        (new / 'last_checkpoint').write_text('') if content == '' else os.remove(
            new / 'last_checkpoint'
        )
        os.utime(new / 'epoch_2.pth', (0, 0))
        assert newest_checkpoint(str(new)) == str(new / 'epoch_3.pth')


class Evaluated(SmallRunner):
    """A runner whose validation has these metrics, with or without prefixes."""

    def __init__(self, work_dir, *prefixes):
        super().__init__(work_dir)
        metrics = [SimpleNamespace(prefix=prefix) for prefix in prefixes]
        self.val_loop = SimpleNamespace(evaluator=SimpleNamespace(metrics=metrics))
        self.warnings = []
        self.logger.warning = self.warnings.append


def validate(work_dir, metrics, *prefixes, **options):
    hook, runner = AtomicCheckpointHook(**options), Evaluated(work_dir, *prefixes)
    hook.before_train(runner)
    for runner.epoch, values in enumerate(metrics, start=1):
        hook.after_val_epoch(runner, values)
    return runner


def test_auto_keeps_the_best_by_the_main_metric(tmp_path):
    """Broken if the best were that of mmengine's first metric, here the AP of heads alone."""
    metrics = [{'posetrack/Head AP': h, 'posetrack/AP': a} for h, a in ((9, 1), (8, 3), (7, 2))]
    validate(tmp_path, metrics, 'posetrack', save_best='auto')
    assert os.listdir(tmp_path) == ['best_posetrack_AP_epoch_2.pth']


def test_auto_knows_errors_from_scores(tmp_path):
    """Broken if the largest error were taken for the best."""
    validate(tmp_path, [dict(EPE=3.0), dict(EPE=1.0), dict(EPE=2.0)], None, save_best='auto')
    assert os.listdir(tmp_path) == ['best_EPE_epoch_2.pth']


def test_auto_goes_on_where_no_name_tells_what_is_better(tmp_path):
    """Broken if a metric of one's own ended a training that did not ask for a best checkpoint."""
    runner = validate(tmp_path, [dict(stiffness=3.0)] * 2, None, save_best='auto')
    assert os.listdir(tmp_path) == [] and len(runner.warnings) == 2
    assert 'stiffness' in runner.warnings[0] and 'save_best and rule' in runner.warnings[0]
    validate(tmp_path, [dict(stiffness=3.0)] * 2, None, save_best='auto', rule='less')
    assert os.listdir(tmp_path) == ['best_stiffness_epoch_1.pth']


def test_another_metric_is_named_before_a_validation_or_at_the_first(tmp_path):
    """Broken if a KeyError came after hours: in one line, the setting and the metrics there are."""
    with pytest.raises(MetricError, match="save_best='posetrack/AP' is no metric.*jhmdb/...:"):
        validate(tmp_path, [], 'jhmdb', save_best='posetrack/AP')
    with pytest.raises(MetricError, match="save_best='posetrack/AP'.*gives PCK, AUC: set"):
        validate(tmp_path, [dict(PCK=1, AUC=2)], 'jhmdb', None, save_best='posetrack/AP')
    with pytest.raises(MetricError, match="save_best='EPE'.*gives PCK:"):
        validate(tmp_path, [dict(PCK=1)], None, save_best=['PCK', 'EPE'])
    validate(tmp_path, [{}], None, save_best='PCK')  # no metric, as a keyframe was broken
