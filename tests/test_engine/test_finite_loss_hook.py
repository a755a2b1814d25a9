"""A loss or weight that is no number ends the training, and names the samples."""

import json
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.runner import get_priority
from mmengine.structures import BaseDataElement

from diffpose_mm.engine import FiniteLossHook, NonFiniteError


class Model(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, inputs, data_samples=None, mode='tensor'):
        loss = [self.weight[0] * inputs[0], self.weight[1] * inputs[1]]
        return dict(loss_kpt=loss, acc_pose=torch.tensor(float('nan')))


@pytest.fixture
def run(tmp_path):
    """A hook in place, and a function that trains on two numbers."""
    model, hook = Model(), FiniteLossHook()
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.5))
    runner = SimpleNamespace(model=model, log_dir=str(tmp_path), iter=41, epoch=3, rank=0)
    hook.before_train(runner)

    def step(*inputs):
        sample = BaseDataElement(
            metainfo=dict(img_path='a/000003.jpg', id=17, track_id=2, frame_id=3, other=object())
        )
        batch = dict(inputs=torch.tensor(inputs), data_samples=[sample])
        hook.before_train_iter(runner, 0, batch)
        model.train_step(batch, optimizer)

    return SimpleNamespace(model=model, step=step, hook=hook, runner=runner, folder=tmp_path)


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
def test_stops_before_the_weights_change_and_names_the_samples(value, run):
    """Broken if one bad sample spoils the weights, or nobody can find it."""
    run.step(1.0, 2.0)
    weights = run.model.weight.detach().clone()
    with pytest.raises(
        NonFiniteError, match='iteration 42 .epoch 4. is not finite.*loss_kpt='
    ) as e:
        run.step(1.0, value)
    assert torch.equal(run.model.weight, weights)
    (path,) = run.folder.glob('*.json')
    assert str(path) in str(e.value)
    report = json.loads(path.read_text())
    assert report['iteration'] == 42
    assert report['samples'] == [dict(img_path='a/000003.jpg', frame_id=3, id=17, track_id=2)]


def test_what_is_no_loss_and_what_is_no_training_may_be_anything(run):
    """acc_pose is NaN where no joint is labelled; a test returns no losses."""
    run.step(1.0, 2.0)
    run.model.eval()
    run.model(torch.tensor([float('nan'), 1.0]))


def test_weights_that_are_no_numbers_are_not_saved(run):
    """Broken if a NaN gradient, under a finite loss, overwrites the last good checkpoint."""
    good = dict(state_dict=dict(a=torch.ones(2), n=torch.tensor(3)))
    run.hook.before_save_checkpoint(run.runner, good)
    bad = dict(good, ema_state_dict=dict(b=torch.tensor([1.0, float('inf')])))
    with pytest.raises(NonFiniteError, match='weights b are not finite'):
        run.hook.before_save_checkpoint(run.runner, bad)


def test_averaged_weights_are_there_when_a_checkpoint_is_looked_at():
    """Broken if the hook came before the one that adds them."""
    assert get_priority(FiniteLossHook.priority) > get_priority(EMAHook.priority)
