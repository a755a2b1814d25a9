"""Clip estimator: folding of time, any backbone, coordinates back in the image, errors."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.structures import PoseDataSample

from diffpose_mm.models import TopdownClipEstimator

CODEC = dict(type='DiffusionHeatmap', input_size=(48, 64), heatmap_size=(12, 16), sigma=1.5)
BACKBONES = {
    'mmpose ResNet': (dict(
        type='ResNet', depth=18, base_channels=4, stem_channels=4, num_stages=3,
        strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2, )), 16),
    'mmpretrain ViT': (dict(
        type='ClipVisionTransformer', img_size=(64, 48), patch_size=16, patch_cfg=dict(padding=2),
        arch=dict(embed_dims=24, num_layers=1, num_heads=2, feedforward_channels=24),
        with_cls_token=False, out_type='featmap'), 24),
}  # yapf: disable


def make_model(
    backbone='mmpose ResNet',
    frames=3,
    neck=True,
    head='DiffPoseHead',
    test_cfg=None,
    codec=CODEC,
    feature_size=(3, 4),
):
    torch.manual_seed(0)
    backbone, channels = BACKBONES[backbone]
    heads = dict(
        DiffPoseHead=dict(
            type='DiffPoseHead', in_channels=channels, out_channels=4, decoder=codec,
            pose_decoder=dict(type='PoseDecoder', channels=(16, 8, 8), out_channels=8,
                              time_dims=16, num_heads=2, num_groups=4)),
        HeatmapHead=dict(
            type='HeatmapHead', in_channels=channels, out_channels=4, decoder=codec,
            deconv_out_channels=(8, 8), deconv_kernel_sizes=(4, 4)))  # yapf: disable
    model = TopdownClipEstimator(
        backbone=backbone,
        neck=dict(
            type='SpatioTemporalNeck',
            in_channels=channels,
            feature_size=feature_size,
            num_frames=frames,
            embed_dims=16,
            num_layers=1,
            num_heads=2,
        )
        if neck
        else None,
        head=heads[head],
        test_cfg=test_cfg,
    )
    model.init_weights()
    return model.eval()


def make_samples(count):
    samples = []
    for i in range(count):
        sample = PoseDataSample(
            metainfo=dict(
                img_id=i,
                id=i,
                flip_indices=[1, 0, 3, 2],
                input_size=(48, 64),
                input_center=np.array([100.0 + 10 * i, 50.0]),
                input_scale=np.array([72.0, 96.0]),
            )
        )
        sample.gt_instances = InstanceData(bboxes=np.zeros((1, 4)), bbox_scores=np.ones(1))
        samples.append(sample)
    return samples


@pytest.mark.parametrize('head', ['DiffPoseHead', 'HeatmapHead'])
@pytest.mark.parametrize('backbone', BACKBONES)
def test_any_backbone_sees_frames_and_the_neck_sees_clips(backbone, head):
    """Broken if a frame's feature landed in another clip, or another place of its own."""
    model = make_model(backbone, head=head)
    seen = []
    model.neck.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    clips = torch.randn(2, 3, 3, 64, 48)
    with torch.no_grad():
        feats = model.extract_feat(clips)
        for n in range(2):
            for t in range(3):
                alone = model.backbone(clips[n, t][None])[-1]
                torch.testing.assert_close(seen[0][n, t], alone[0], atol=1e-4, rtol=1e-3)
        assert feats[0].shape[0] == 2 and feats[0].shape[2:] == (4, 3)
        assert len(model.predict(clips, make_samples(2))) == 2


def test_a_model_without_neck_is_the_single_frame_model():
    """Broken if the heatmap baseline needed a temporal neck."""
    model = make_model(frames=1, neck=False, head='HeatmapHead')
    clips = torch.randn(2, 1, 3, 64, 48)
    with torch.no_grad():
        torch.testing.assert_close(
            model.extract_feat(clips)[0], model.backbone(clips[:, 0])[-1], atol=1e-4, rtol=1e-3
        )
    with pytest.raises(ValueError, match=r'3 frames.*SpatioTemporalNeck.*frame_offsets=\(0,\)'):
        model.extract_feat(torch.randn(2, 3, 3, 64, 48))


def crop_to_image(points, center, scale):
    """Invert the UDP crop: input pixel 0 and w-1 are the two edges of the enlarged box."""
    return np.array(center) - np.array(scale) / 2 + points / (np.array([48.0, 64.0]) - 1) * scale


@pytest.mark.parametrize('flip_test', [False, True])
def test_keypoints_hypotheses_and_spread_are_in_image_pixels(flip_test):
    """Broken if hypotheses or their spread were left in pixels of the crop."""
    model = make_model(test_cfg=dict(num_hypotheses=3, sampling_steps=2, flip_test=flip_test))
    torch.nn.init.normal_(model.head.pose_decoder.final_layer.weight, std=0.5)
    clips, samples = torch.randn(2, 3, 3, 64, 48), make_samples(2)
    with torch.no_grad():
        feats = model.extract_feat(clips)
        if flip_test:
            feats = [feats, model.extract_feat(clips.flip(-1))]
        raw = model.head.predict(feats, samples, model.test_cfg)
        results = model.predict(clips, samples)
    for i, (crop, result) in enumerate(zip(raw, results)):
        image = result.pred_instances
        center, scale = (100.0 + 10 * i, 50.0), np.array([72.0, 96.0])
        np.testing.assert_allclose(
            image.keypoints, crop_to_image(crop.keypoints, center, scale), atol=1e-3
        )
        np.testing.assert_allclose(
            image.hypotheses, crop_to_image(crop.hypotheses, center, scale), atol=1e-3
        )
        assert image.keypoint_std.max() > 0.01
        np.testing.assert_allclose(
            image.keypoint_std[0], image.hypotheses[0].std(axis=0), atol=1e-3
        )


def test_selected_keypoints_are_selected_in_every_field():
    """Broken if output_keypoint_indices left hypotheses with all joints."""
    model = make_model(
        test_cfg=dict(num_hypotheses=2, sampling_steps=1, output_keypoint_indices=[3, 1])
    )
    whole = make_model(test_cfg=dict(num_hypotheses=2, sampling_steps=1))
    whole.load_state_dict(model.state_dict())
    clips = torch.randn(1, 3, 3, 64, 48)
    with torch.no_grad():
        few = model.predict(clips, make_samples(1))[0].pred_instances
        every = whole.predict(clips, make_samples(1))[0].pred_instances
    np.testing.assert_array_equal(few.keypoints, every.keypoints[:, [3, 1]])
    np.testing.assert_array_equal(few.keypoint_std, every.keypoint_std[:, [3, 1]])
    np.testing.assert_array_equal(few.hypotheses, every.hypotheses[:, :, [3, 1]])
    np.testing.assert_array_equal(few.hypothesis_scores, every.hypothesis_scores[:, :, [3, 1]])


def test_coordinates_survive_crop_encode_decode_and_way_back():
    """Broken if TopdownAffine, codec and estimator did not mean the same input pixels."""
    from mmpose.datasets.transforms import TopdownAffine

    model = make_model(test_cfg=dict(sampling_steps=1))
    center, scale = np.array([[100.0, 50.0]]), np.array([[72.0, 96.0]])
    keypoints = np.random.RandomState(0).uniform([70, 10], [130, 90], (1, 4, 2))
    crop = TopdownAffine(input_size=(48, 64), use_udp=True)(
        dict(
            img=[np.zeros((120, 200, 3), np.uint8)],
            bbox_center=center,
            bbox_scale=scale,
            keypoints=keypoints,
            keypoints_visible=np.ones((1, 4)),
        )
    )
    sample = make_samples(1)[0]
    sample.set_metainfo(dict(input_center=crop['input_center'], input_scale=crop['input_scale']))
    heatmaps = model.head.decoder.encode(crop['transformed_keypoints'])['heatmaps']
    heatmaps = torch.from_numpy(heatmaps)[None]
    model.head.pose_decoder.denoise = lambda x_t, t, prepared: heatmaps
    with torch.no_grad():
        found = model.predict(torch.randn(1, 3, 3, 64, 48), [sample])[0].pred_instances.keypoints
    np.testing.assert_allclose(found, keypoints, atol=0.1)


def test_misfitting_configs_are_refused_when_the_model_is_built():
    """Broken if a wrong heatmap size, S > T or N < 1 were found after loading a data set."""
    with pytest.raises(ValueError, match=r'\(12, 16\).*\(6, 8\).*heatmap_size=\(24, 32\)'):
        make_model(feature_size=(6, 8))
    with pytest.raises(ValueError, match='sampling_steps.*1001'):
        make_model(test_cfg=dict(sampling_steps=1001))
    with pytest.raises(ValueError, match='num_hypotheses'):
        make_model(test_cfg=dict(num_hypotheses=0))


@pytest.mark.parametrize('deconvs, size', [(0, (3, 4)), (1, (6, 8)), (3, (24, 32))])
def test_heads_of_any_stride_are_taken(deconvs, size):
    """Broken if the estimator asked mmpose's own head for DiffPose's four times the feature."""
    codec = dict(CODEC, heatmap_size=size, sigma=1)
    model = TopdownClipEstimator(
        backbone=BACKBONES['mmpose ResNet'][0],
        neck=dict(
            type='SpatioTemporalNeck', in_channels=16, feature_size=(3, 4), num_frames=3,
            embed_dims=16, num_layers=1, num_heads=2),
        head=dict(
            type='HeatmapHead', in_channels=16, out_channels=4, decoder=codec,
            deconv_out_channels=(8,) * deconvs, deconv_kernel_sizes=(4,) * deconvs),
    ).eval()  # fmt: skip
    clips, samples = torch.randn(2, 3, 3, 64, 48), make_samples(2)
    encoded = model.head.decoder.encode(np.full((1, 4, 2), 20.0))
    for sample in samples:
        sample.gt_fields = PixelData(heatmaps=torch.from_numpy(encoded['heatmaps']))
        sample.gt_instance_labels = InstanceData(
            keypoint_weights=torch.from_numpy(encoded['keypoint_weights'])
        )
    assert torch.isfinite(model.loss(clips, samples)['loss_kpt'])
    with torch.no_grad():
        for sample in model.predict(clips, samples):
            assert sample.pred_instances.keypoints.shape == (1, 4, 2)


def test_images_instead_of_clips_are_explained():
    """Broken if a pipeline with LoadImage ended in an error about unflatten."""
    with pytest.raises(ValueError, match='LoadClip'):
        make_model().extract_feat(torch.randn(2, 3, 64, 48))
