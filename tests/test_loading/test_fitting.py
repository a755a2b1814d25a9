"""How many weights fit is counted as torch loads them."""

import torch
from torch import nn

from diffpose_mm.loading import fit_weights
from diffpose_mm.models import SpatioTemporalNeck


class Model(nn.Module):
    """The parts of a top-down model, small."""

    def __init__(self, keypoints=3):
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.neck = nn.Linear(4, 4)
        self.head = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, keypoints))


def test_all():
    fit = fit_weights(Model(), {f'{key}': value for key, value in Model().state_dict().items()})
    # Convolution 2, BatchNorm 4 beside its counter, three linear layers of 2.
    assert (fit.taken, fit.total, fit.given) == (12, 12, 12)
    assert fit.parts == dict(backbone=(6, 6), neck=(2, 2), head=(4, 4))
    assert fit.sentence() == '12 of 12 weights taken' and fit.differences() == ''
    assert not fit.few and not fit.halves()


def test_weights_are_loaded():
    model, weights = Model(), {'neck.weight': torch.full((4, 4), 7.0)}
    before = model.head[0].weight.clone()
    fit = fit_weights(model, weights)
    assert (model.neck.weight == 7).all() and torch.equal(model.head[0].weight, before)
    assert fit.halves() == ['neck'] and fit.parts['neck'] == (1, 2)


def test_backbone_alone_is_no_few():
    """All that was given was taken, though it is less than half of the model."""
    weights = {key: value for key, value in Model().state_dict().items() if key.startswith('neck')}
    fit = fit_weights(Model(), weights)
    assert fit.taken == 2 and not fit.few and not fit.halves()
    assert fit.sentence() == '2 of 12 weights taken (backbone 0 of 6, neck 2 of 2, head 0 of 4)'


def test_few():
    strange = {f'encoder.{number}': torch.zeros(1) for number in range(5)}
    assert fit_weights(Model(), strange).few
    neck = {key: value for key, value in Model().state_dict().items() if key.startswith('neck')}
    assert fit_weights(Model(), neck | strange).few
    assert not fit_weights(Model(), neck | dict(list(strange.items())[:2])).few


def test_other_shapes_are_named_and_the_rest_is_taken():
    """Broken if one weight of another shape hid what else there is."""
    weights = Model(keypoints=5).state_dict() | dict(more=torch.zeros(2))
    del weights['neck.bias']
    fit = fit_weights(Model(keypoints=3), weights)
    assert fit.reshaped == (
        'head.1.weight (5, 4) in the checkpoint, (3, 4) in the model',
        'head.1.bias (5,) in the checkpoint, (3,) in the model',
    )
    assert fit.missing == ('neck.bias (4,)',) and fit.unexpected == ('more (2,)',)
    assert fit.parts == dict(backbone=(6, 6), neck=(1, 2), head=(2, 4))


def test_what_is_to_start_anew_does_not_count():
    fit = fit_weights(Model(3), Model(5).state_dict(), anew=['head.1'])
    assert (fit.taken, fit.total) == (10, 10) and not fit.reshaped and not fit.halves()


def test_a_name_is_no_beginning_of_a_longer_name():
    """Broken if head.1 meant head.10 too."""
    model = nn.ModuleDict(dict(head=nn.ModuleList([nn.Linear(1, 1) for _ in range(11)])))
    assert fit_weights(model, model.state_dict(), anew=['head.1']).total == 20


def test_what_the_model_adapts_is_taken():
    """One frame for three, another size of the input; another number of frames is a fault."""

    def neck(frames, size=(3, 4)):
        return SpatioTemporalNeck(
            in_channels=4, feature_size=size, num_frames=frames, embed_dims=8, num_layers=1,
            num_heads=2)  # yapf: disable

    for other in (neck(1), neck(3, (6, 8))):
        fit = fit_weights(neck(3), other.state_dict())
        assert fit.taken == fit.total and not fit.differences()
    fit = fit_weights(neck(3), neck(5).state_dict())
    assert fit.taken == 0 and 'The checkpoint has 5 frames' in fit.differences()
