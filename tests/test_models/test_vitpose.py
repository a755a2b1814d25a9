"""The model that ViTPose's weights are for, against mmpose's own configs."""

from pathlib import Path

import mmpose
import pytest
from mmengine.config import Config
from mmpretrain.models import VisionTransformer

from diffpose_mm.models.vitpose import vitpose_config
from diffpose_mm.weights import Architecture, WeightsError
from diffpose_mm.weights.architecture import VITPOSE_SIZES

FOLDER = Path(mmpose.__file__).parent / '.mim/configs/body_2d_keypoint/topdown_heatmap/coco'
NAMES = {'S': 'small', 'B': 'base', 'L': 'large', 'H': 'huge'}


def architecture(dims, head, **changes):
    letter, depth, heads = VITPOSE_SIZES[dims]
    fields = dict(
        embed_dims=dims,
        depth=depth,
        num_heads=heads,
        heads_from='',
        feedforward=4 * dims,
        patch_size=16,
        grid=(16, 12),
        class_token=False,
        head=head,
        keypoints=17,
    )
    return Architecture(**fields | changes)


@pytest.mark.parametrize('dims', VITPOSE_SIZES)
@pytest.mark.parametrize('head', ['classic', 'simple'])
def test_it_is_mmposes_own(dims, head):
    """Broken if weights of the zoo were run in another model than mmpose's."""
    name = NAMES[VITPOSE_SIZES[dims][0]] + ('-simple' if head == 'simple' else '')
    theirs = Config.fromfile(FOLDER / f'td-hm_ViTPose-{name}_8xb64-210e_coco-256x192.py').model
    ours = vitpose_config(architecture(dims, head))
    arch = theirs.backbone.arch
    if isinstance(arch, str):
        arch = VisionTransformer.arch_zoo[arch]
    assert ours['backbone'].pop('arch') == dict(arch)
    assert ours['backbone'].pop('type') == 'ClipVisionTransformer'
    for field, value in ours['backbone'].items():
        assert theirs.backbone[field] == value, field
    left = set(theirs.backbone) - set(ours['backbone'])
    assert left <= {'arch', 'type', 'drop_path_rate', 'init_cfg'}
    assert ours['head'] == {k: v for k, v in theirs.head.items() if k != 'decoder'}
    assert ours.get('neck') == theirs.get('neck')


def test_without_a_head_and_without_what_is_needed():
    """Broken if a number of heads were guessed."""
    assert vitpose_config(architecture(384, None)).keys() == {'backbone'}
    for change, said in (
        (dict(num_heads=None), 'number of heads'),
        (dict(grid=None), 'input size'),
    ):
        with pytest.raises(WeightsError, match=said):
            vitpose_config(architecture(384, None, **change))
