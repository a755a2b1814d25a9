"""No model starts from weights that are not its own without being told to."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from mmengine.runner import CheckpointLoader
from torch import nn

from diffpose_mm.loading import (
    CheckpointError,
    check_checkpoint,
    prepare_pretrained,
    prepare_start,
    starting,
)


class Attention(nn.Module):
    def __init__(self, width, num_heads):
        super().__init__()
        self.embed_dims, self.num_heads = width, num_heads
        self.qkv = nn.Linear(width, 3 * width)


class Backbone(BaseModule):
    def __init__(self, width=4, num_heads=2, init_cfg=None):
        super().__init__(init_cfg)
        self.layers = nn.Sequential(nn.Linear(3, width), Attention(width, num_heads))


class Model(BaseModule):
    """The parts of a top-down model, small."""

    def __init__(self, keypoints=3, init_cfg=None, **backbone):
        super().__init__(init_cfg)
        self.backbone = Backbone(**backbone)
        self.neck = nn.Linear(4, 4)
        self.head = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, keypoints))


@pytest.fixture
def log(caplog):
    """Lines of the log with their levels."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield lambda: [(record.levelname, record.getMessage()) for record in caplog.records]
    logger.removeHandler(caplog.handler)


def save(weights, path, **more):
    torch.save(dict(state_dict=weights, **more), path)
    return str(path)


def pretrained(path, **more):
    return dict(type='Pretrained', checkpoint=path, prefix='backbone.', **more)


def of_zeros(model):
    return {key: torch.zeros_like(value) for key, value in model.state_dict().items()}


def test_what_fits_is_said_in_one_line_and_taken(tmp_path, log):
    """Broken if nobody were told how much of the backbone comes from the file."""
    path = save(of_zeros(Model()), tmp_path / 'whole.pth')
    model = Model(init_cfg=None)
    model.backbone.init_cfg = pretrained(path)
    prepare_pretrained(model)
    model.init_weights()
    assert all((value == 0).all() for value in model.backbone.state_dict().values())
    lines = [line for line in log() if 'weights taken' in line[1]]
    assert lines == [('INFO', f'model.backbone (Backbone): 4 of 4 weights taken from {path}')]


def test_what_was_compared_is_what_is_loaded(tmp_path):
    """Broken if a file that is exchanged meanwhile were loaded unseen."""
    path = save(of_zeros(Model()), tmp_path / 'whole.pth')
    model = Model()
    model.backbone.init_cfg = pretrained(path)
    prepare_pretrained(model)
    (tmp_path / 'whole.pth').write_bytes(b'another')
    model.init_weights()
    assert (model.backbone.layers[0].weight == 0).all()


def test_one_file_for_two_purposes(tmp_path):
    """Broken if what was left out of one were left out of the other, or the other way round."""
    path = save(of_zeros(Model()), tmp_path / 'whole.pth')
    model = Model()
    model.backbone.init_cfg = pretrained(path)
    prepare_pretrained(model)
    name = prepare_start(model, path, reinit=['backbone.layers.0', 'neck'])
    model.init_weights()
    assert (model.backbone.layers[0].weight == 0).all()
    assert 'neck.weight' not in CheckpointLoader.load_checkpoint(name)['state_dict']


@pytest.mark.parametrize(
    'rename, message',
    [
        (lambda key: f'vit.{key}', "no name begins with 'backbone.'.*they begin with vit"),
        (lambda key: key.replace('layers', 'blocks'), r'0 of 4 weights taken.*only in the model'),
        (lambda key: key.replace('layers.1', 'layers.7'), r'2 of 4 weights taken.*allow-partial'),
    ],
)
def test_other_names_are_an_error(rename, message, tmp_path):
    """Broken if a backbone started from random weights, or half of them, with a warning."""
    weights = {rename(key): value for key, value in of_zeros(Model()).items()}
    model = Model()
    model.backbone.init_cfg = pretrained(save(weights, tmp_path / 'other.pth'))
    with pytest.raises(CheckpointError, match=f'(?s)other.pth.*{message}'):
        prepare_pretrained(model)


@pytest.mark.parametrize('where', ['field', 'argument'])
def test_a_part_is_taken_where_that_is_said(where, tmp_path, log):
    weights = of_zeros(Model())
    del weights['backbone.layers.1.qkv.bias']
    path = save(weights, tmp_path / 'part.pth')
    model = Model()
    asked = where == 'field'
    model.backbone.init_cfg = [pretrained(path, **(dict(allow_partial=True) if asked else {}))]
    prepare_pretrained(model, allow_partial=not asked)
    model.init_weights()
    assert (model.backbone.layers[0].weight == 0).all()
    levels = {level for level, line in log() if '3 of 4 weights taken' in line}
    assert levels == {'WARNING'}


def test_initialised_parts_are_left_alone(tmp_path):
    """Broken if a second call read the checkpoint again."""
    model = Model()
    model.backbone.init_cfg = pretrained(str(tmp_path / 'none.pth'))
    model.backbone._is_init = True
    prepare_pretrained(model)
    model.backbone._is_init = False
    with pytest.raises(CheckpointError, match='none.pth does not exist'):
        prepare_pretrained(model)


def test_start_from_a_backbone_alone(tmp_path, log):
    """ViTPose's weights in a model with another neck and head: wanted, and said."""
    weights = {key: value for key, value in of_zeros(Model()).items() if 'backbone' in key}
    path = save(weights, tmp_path / 'backbone.pth')
    name = prepare_start(Model(), path)
    assert CheckpointLoader.load_checkpoint(name)['state_dict'].keys() == weights.keys()
    assert log()[0] == (
        'WARNING',
        'model: 4 of 10 weights taken (backbone 4 of 4, neck 0 of 2, head 0 of 4) from ' + path,
    )
    # Once: afterwards it is read again.
    assert CheckpointLoader.load_checkpoint(name)['state_dict'].keys() == weights.keys()


@pytest.mark.parametrize(
    'weights, message',
    [
        (lambda: {'encoder.weight': torch.zeros(3)}, '0 of 10 weights taken'),
        (
            lambda: {k: v for k, v in of_zeros(Model()).items() if k != 'head.0.bias'},
            r'9 of 10 .*head 3 of 4\).*only in the model \(1\): head.0.bias \(4,\)',
        ),
        (
            lambda: of_zeros(Model(keypoints=5)),
            r'8 of 10 .*--reinit head.1.weight head.1.bias.*\(5, 4\) in the checkpoint, \(3, 4\)',
        ),
    ],
)
def test_start_from_what_does_not_fit(weights, message, tmp_path):
    """Broken if training began from random or half random weights with exit status 0."""
    path = save(weights(), tmp_path / 'other.pth')
    with pytest.raises(CheckpointError, match=f'(?s)other.pth do not fit.*{message}'):
        prepare_start(Model(), path)


def test_start_with_other_keypoints(tmp_path, log):
    """The last layer is left at its start, all else is taken; it is not even given to mmengine."""
    path = save(of_zeros(Model(keypoints=5)), tmp_path / 'five.pth')
    model = Model(keypoints=3)
    before = model.head[1].weight.clone()
    checkpoint = CheckpointLoader.load_checkpoint(prepare_start(model, path, reinit=['head.1']))
    assert not any(key.startswith('head.1') for key in checkpoint['state_dict'])
    assert torch.equal(model.head[1].weight, before) and (model.head[0].weight == 0).all()
    assert log()[0] == (
        'INFO', f'model: 8 of 8 weights taken from {path}; started anew: head.1')  # yapf: disable


def test_another_number_of_heads_is_an_error(tmp_path, monkeypatch):
    """Broken if ViT-S with six heads took ViTPose's weights, which have twelve: they all load."""
    path = save(of_zeros(Model()), tmp_path / 'vit.pth')
    read = starting.read_checkpoint
    came_with = SimpleNamespace(embed_dims=4, num_heads=4, heads_from='a file')
    monkeypatch.setattr(
        starting, 'read_checkpoint', lambda source: read(source) | dict(architecture=came_with)
    )
    model = Model(num_heads=2)
    model.backbone.init_cfg = pretrained(path)
    for call in (prepare_pretrained, lambda m: prepare_start(m, path),
                 lambda m: check_checkpoint(m, path)):  # yapf: disable
        with pytest.raises(CheckpointError, match=r'4 heads.* \(a file\), and Backbone has 2'):
            call(model)
    prepare_pretrained(Model(num_heads=4, init_cfg=None))
    prepare_start(Model(num_heads=4), path)


def test_part_of_a_checkpoint_that_is_to_be_used_as_it_is(tmp_path, log):
    """--checkpoint: all or an error, or what fits if that is said; never nothing."""
    weights = of_zeros(Model())
    del weights['head.0.bias']
    path = save(weights, tmp_path / 'part.pth')
    with pytest.raises(CheckpointError, match='another architecture.*: 9 of 10 weights taken'):
        check_checkpoint(Model(), path)
    check_checkpoint(Model(), path, allow_partial=True)
    assert log()[-1][0] == 'WARNING'
    nothing = save({'encoder.weight': torch.zeros(3)}, tmp_path / 'nothing.pth')
    with pytest.raises(CheckpointError, match='0 of 10 weights taken'):
        check_checkpoint(Model(), nothing, allow_partial=True)


def test_all_taken_is_said_too(tmp_path, log):
    path = save(of_zeros(Model()), tmp_path / 'all.pth')
    check_checkpoint(Model(), path)
    assert log() == [('INFO', f'model: 10 of 10 weights taken from {path}')]
