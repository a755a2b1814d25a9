"""ViTPose from wherever it comes ends up in our backbone as its authors' does, or is refused."""

import pytest
import torch
from mmpose.registry import MODELS

from diffpose_mm.loading import CheckpointError, prepare_start, read_checkpoint
from diffpose_mm.weights import read_weights
from diffpose_mm.weights.weights_writing import write_hugging_face, write_mmpose

ARCH = dict(embed_dims=16, num_layers=2, num_heads=2, feedforward_channels=32)
META = dict(cfg='model = dict(backbone=dict(arch=dict(num_heads=2)))\n')
CODEC = dict(type='UDPHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=2)


def build(checkpoint=None, arch=ARCH, keypoints=5, **more):
    """A small ViTPose with the classic head, of our estimator."""
    init = dict(type='Pretrained', prefix='backbone.', checkpoint=checkpoint, **more)
    return MODELS.build(
        dict(
            type='TopdownClipEstimator',
            backbone=dict(
                type='ClipVisionTransformer',
                arch=arch,
                img_size=(64, 48),
                patch_size=16,
                qkv_bias=True,
                with_cls_token=False,
                out_type='featmap',
                patch_cfg=dict(padding=2),
                init_cfg=init if checkpoint else None,
            ),
            head=dict(
                type='HeatmapHead',
                in_channels=16,
                out_channels=keypoints,
                deconv_out_channels=(8, 8),
                deconv_kernel_sizes=(4, 4),
                loss=dict(type='KeypointMSELoss', use_target_weight=True),
                decoder=CODEC,
            ),
        )
    )


def save(weights, path):
    torch.save(dict(meta=META, state_dict=weights), path)
    return path


def in_hugging_faces_names(path):
    """The names and tensors that transformers' VitPoseForPoseEstimation has, as a .pth."""
    folder = path.parent / 'hf'
    write_hugging_face(read_weights(str(path)), folder)
    from diffpose_mm.weights import read_safetensors

    weights = read_safetensors(folder / 'model.safetensors')[0]
    assert 'backbone.encoder.layer.0.attention.attention.query.weight' in weights
    target = path.parent / 'named_otherwise.pth'
    torch.save(weights, target)
    return folder, target


@pytest.fixture
def source():
    torch.manual_seed(0)
    model = build()
    model.init_weights()
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return model


@pytest.mark.parametrize('form', ['pth', 'safetensors', 'folder of transformers', 'pth of theirs'])
def test_a_backbone_starts_from_any_form(form, source, tmp_path):
    """Broken if init_cfg took a form for another, or one of them with a warning."""
    path = save(source.state_dict(), tmp_path / 'mine.pth')
    if form == 'safetensors':
        path = write_mmpose(read_weights(str(path)), tmp_path / 'mine.safetensors')
    elif form == 'folder of transformers':
        path, _ = in_hugging_faces_names(path)
    elif form == 'pth of theirs':
        # Without the config.json that says how many heads it has, and of no known size.
        _, path = in_hugging_faces_names(path)
    model = build(str(path))
    model.init_weights()
    for key, value in source.backbone.state_dict().items():
        torch.testing.assert_close(model.backbone.state_dict()[key], value, rtol=0, atol=1e-6)
    assert (model.head.final_layer.weight != source.head.final_layer.weight).any()


def test_head_and_all_by_load_from(source, tmp_path):
    folder, _ = in_hugging_faces_names(save(source.state_dict(), tmp_path / 'mine.pth'))
    model = build()
    prepare_start(model, str(folder))
    for key, value in source.state_dict().items():
        torch.testing.assert_close(model.state_dict()[key], value, rtol=0, atol=1e-6)
    with pytest.raises(CheckpointError, match='--reinit head.final_layer.weight'):
        prepare_start(build(keypoints=7), str(folder))


def test_another_number_of_heads(source, tmp_path):
    """The number stands in config.json, in the config within a .pth, or is known of the size."""
    path = save(source.state_dict(), tmp_path / 'mine.pth')
    folder, _ = in_hugging_faces_names(path)
    for form in (path, folder):
        model = build(str(form), arch=dict(ARCH, num_heads=4))
        with pytest.raises(CheckpointError, match='2 heads of attention.*has 4'):
            model.init_weights()


def test_small_vitpose_with_the_heads_of_deit(tmp_path):
    """384 channels and 12 layers are ViTPose-S, with 12 heads; mmpretrain's deit-small has six."""
    small = dict(ARCH, embed_dims=384, num_layers=12, num_heads=12, feedforward_channels=4)
    weights = build(arch=small | dict(num_heads=12)).backbone.state_dict()
    path = tmp_path / 'small.pth'
    torch.save({f'backbone.{key}': value for key, value in weights.items()}, path)
    with pytest.raises(CheckpointError, match=r'12 heads .*\(the known sizes\).* has 6'):
        build(str(path), arch=small | dict(num_heads=6)).init_weights()
    build(str(path), arch=small).init_weights()


@pytest.mark.parametrize(
    'names, message',
    [
        (['model.embed_tokens.weight', 'lm_head.weight'], 'safetensors is a language model'),
        (['backbone.stage4.0.fuse_layers.0.1.0.weight', 'backbone.transition1.0.0.weight'],
         '0 of [0-9]+ weights taken'),
        (['conv1.weight', 'layer1.0.conv1.weight', 'layer4.0.conv1.weight'],
         "no name begins with 'backbone.'"),
    ],
)  # fmt: skip
def test_other_architectures_are_refused(names, message, tmp_path):
    from diffpose_mm.weights import write_safetensors

    with open(tmp_path / 'other.safetensors', 'wb') as file:
        write_safetensors(file, {name: torch.zeros(2, 2) for name in names})
    with pytest.raises(CheckpointError, match=message):
        build(str(tmp_path / 'other.safetensors')).init_weights()


def test_cut_short(source, tmp_path):
    path = write_mmpose(
        read_weights(str(save(source.state_dict(), tmp_path / 'mine.pth'))),
        tmp_path / 'mine.safetensors',
    )
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match='mine.safetensors is cut short'):
        read_checkpoint(str(path))
