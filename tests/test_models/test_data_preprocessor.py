import pytest
import torch
from mmengine.model import ImgDataPreprocessor
from mmpose.structures import PoseDataSample

from diffpose_mm.models.data_preprocessor import ClipDataPreprocessor

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def clips(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.randint(0, 256, s, generator=generator, dtype=torch.uint8) for s in shapes]


def batch(*shapes):
    return dict(inputs=clips(*shapes), data_samples=[PoseDataSample() for _ in shapes])


@pytest.mark.parametrize('num_frames', [1, 2, 5])
def test_every_frame_is_treated_as_mmengine_treats_an_image(num_frames):
    kwargs = dict(mean=MEAN, std=STD, bgr_to_rgb=True)
    data = batch(*[(num_frames, 3, 8, 6)] * 3)
    out = ClipDataPreprocessor(**kwargs)(data)
    assert out['inputs'].shape == (3, num_frames, 3, 8, 6)
    assert out['inputs'].dtype == torch.float32
    single = ImgDataPreprocessor(**kwargs)
    for clip, expected in zip(out['inputs'], data['inputs']):
        expected = single(dict(inputs=list(expected)))['inputs']
        torch.testing.assert_close(clip, expected, rtol=0, atol=1e-6)


def test_without_mean_the_values_stay_and_channels_not_frames_are_exchanged():
    data = batch((4, 3, 2, 2))
    out = ClipDataPreprocessor(bgr_to_rgb=True)(data)['inputs']
    torch.testing.assert_close(out[0], data['inputs'][0].float().flip(1))
    plain = ClipDataPreprocessor()(data)['inputs']
    torch.testing.assert_close(plain[0], data['inputs'][0].float())


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32, torch.float64])
def test_a_stacked_batch_is_taken_too_and_left_as_it_was(dtype):
    inputs = torch.stack(clips((2, 3, 4, 4), (2, 3, 4, 4))).to(dtype)
    before = inputs.clone()
    preprocessor = ClipDataPreprocessor(mean=MEAN, std=STD)
    out = preprocessor(dict(inputs=inputs))
    assert out['data_samples'] is None
    torch.testing.assert_close(out['inputs'], preprocessor(dict(inputs=list(before)))['inputs'])
    torch.testing.assert_close(inputs, before)


def test_padding_comes_below_and_right_and_is_told_to_the_samples():
    data = batch((2, 3, 8, 6), (2, 3, 8, 6))
    out = ClipDataPreprocessor(mean=MEAN, std=STD, pad_size_divisor=16, pad_value=7)(data)
    assert out['inputs'].shape == (2, 2, 3, 16, 16)
    assert (out['inputs'][..., 8:, :] == 7).all() and (out['inputs'][..., 6:] == 7).all()
    plain = ClipDataPreprocessor(mean=MEAN, std=STD)(data)
    torch.testing.assert_close(out['inputs'][..., :8, :6], plain['inputs'])
    for sample in ClipDataPreprocessor(pad_size_divisor=16)(data)['data_samples']:
        assert sample.metainfo['batch_input_shape'] == (16, 16) == sample.metainfo['pad_shape']


def test_batches_go_to_the_models_device():
    preprocessor = ClipDataPreprocessor(mean=MEAN, std=STD).to('meta')
    assert preprocessor(dict(inputs=clips((2, 3, 4, 4))))['inputs'].device.type == 'meta'


def test_batch_augments_apply_in_training_alone():
    class Half(torch.nn.Module):
        def forward(self, inputs, data_samples):
            return inputs / 2, data_samples

    preprocessor = ClipDataPreprocessor()
    preprocessor.batch_augments = torch.nn.ModuleList([Half()])
    data = batch((2, 3, 4, 4))
    plain = preprocessor(data, training=False)['inputs']
    torch.testing.assert_close(preprocessor(data, training=True)['inputs'], plain / 2)


@pytest.mark.parametrize(
    'inputs, kwargs, message',
    [
        (clips((3, 8, 6)), {}, r'single image of shape \(3, 8, 6\).*LoadClip'),
        (clips((2, 3, 8, 6))[0], {}, r'single image of shape \(3, 8, 6\)'),
        (clips((5, 3, 8, 6), (3, 3, 8, 6)), {},
         r'different shapes .*\(3, 3, 8, 6\), \(5, 3, 8, 6\).*frame_offsets'),
        (clips((2, 3, 8, 6), (2, 3, 8, 4)), {}, r'different shapes.*\(2, 3, 8, 4\)'),
        (clips((2, 4, 8, 6)), {}, r'\(2, 4, 8, 6\), which is not \(T, 3, h, w\)'),
        (clips((8, 6)), {}, r'\(8, 6\), which is not'),
        (clips((3, 3, 8, 6)), dict(num_frames=5), 'clip of 3 frames.*num_frames=5'),
        ([], {}, r'is \[\]'),
        ('frames', {}, 'str'),
    ],
)  # fmt: skip
def test_what_is_no_batch_of_clips_is_refused_with_its_shape(inputs, kwargs, message):
    with pytest.raises(ValueError, match=message):
        ClipDataPreprocessor(**kwargs)(dict(inputs=inputs))
