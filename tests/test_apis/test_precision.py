"""Other number formats: what they change, and what they must not."""

import numpy as np
import pytest
import torch
from apis_helpers import BOXES, moving_frames, write_tiny

from diffpose_mm.apis import DiffPoseInferencer, precision


@pytest.fixture(scope='module')
def tiny(tmp_path_factory):
    return write_tiny(tmp_path_factory.mktemp('precision'))


@pytest.fixture
def bfloat16(monkeypatch):
    """torch computes in bfloat16 on any processor, slowly where that has none."""
    monkeypatch.setattr(precision, 'has_bfloat16', lambda: True)


def build(tiny, **options):
    return DiffPoseInferencer(*tiny, device='cpu', det_model='whole_image', **options)


def test_bfloat16_rounds_and_no_more(tiny, bfloat16):
    """Broken if the head were rounded too, or if nothing were."""
    plain, rounded = build(tiny).model, build(tiny, precision='bfloat16').model
    assert {p.dtype for p in rounded.backbone.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in rounded.neck.parameters()} == {torch.bfloat16}
    assert {p.dtype for p in rounded.head.parameters()} == {torch.float32}
    clips = torch.randn(2, 5, 3, 128, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected, found = (model.extract_feat(clips)[-1] for model in (plain, rounded))
    apart = (found - expected).norm() / expected.norm()
    # Eight bits a number, which the layers add up.
    assert 1e-4 < apart < 0.05


@pytest.mark.parametrize('streaming', [False, True])
def test_both_ways_of_posing_run_in_it(streaming, tiny, bfloat16):
    """Broken if a stream, which calls the neck's two steps by themselves, met two formats."""
    boxes = {i: dict(bboxes=[list(map(float, b)) for b in box]) for i, box in enumerate(BOXES)}
    run = build(tiny, precision='bfloat16')(
        moving_frames(7), as_clip=True, bboxes=boxes, streaming=streaming, batch_size=4
    )
    people = [person for result in run for person in result['predictions'][0]]
    assert len(people) == 14
    assert np.isfinite([person['keypoints'] for person in people]).all()


def test_features_are_float32_again(tiny, bfloat16):
    """Broken if what a stream keeps, or the head gets, were in the other format."""
    model = build(tiny, precision='bfloat16').model
    frames = torch.zeros(5, 3, 128, 96)
    tokens = model.neck.embed(model.backbone(frames)[-1])
    assert tokens.dtype == model.neck.fuse(tokens[None]).dtype == torch.float32


def test_a_run_in_another_precision_is_another_run(tiny, bfloat16):
    """Broken if --resume joined frames of two precisions."""
    assert build(tiny).identity != build(tiny, precision='bfloat16').identity
    assert build(tiny).identity == build(tiny, precision='float32').identity


@pytest.mark.parametrize(
    ('name', 'there', 'message'),
    [
        ('int4', True, 'must be one of float32, bfloat16, float16'),
        ('float16', True, "'float16': this processor has float32 and bfloat16"),
        ('bfloat16', False, "'bfloat16': this processor has float32; take precision='float32'"),
    ],
)
def test_what_the_device_lacks_is_told(name, there, message, tiny, monkeypatch):
    """Broken if a format that is only emulated were taken for a fast one."""
    monkeypatch.setattr(precision, 'has_bfloat16', lambda: there)
    with pytest.raises(ValueError, match=message):
        build(tiny, precision=name)
