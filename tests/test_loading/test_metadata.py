"""What a checkpoint says about itself survives a file that holds texts only."""

import json

import numpy as np
import pytest

from diffpose_mm.loading import decode_metadata, encode_metadata

META = dict(
    name='diffpose_synthetic.py',
    number=3,
    share=0.25,
    nothing=None,
    yes=True,
    text='3',
    quoted='"a"',
    names={0: 'nose', 1: 'head'},
    links=[(0, 1), (1, 2)],
    sigmas=np.array([0.1, 0.25], np.float32),
    colors=np.zeros((2, 3), np.uint8),
    nested=dict(keypoint=dict(id=np.int64(4), swap='')),
)


def read(text):
    """As files of safetensors are read."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def test_round_trip():
    """Broken if numbers of keypoints became texts, tuples lists, or arrays lost their type."""
    encoded = encode_metadata(META)
    assert all(isinstance(text, str) for item in encoded.items() for text in item)
    decoded = decode_metadata({key: read(text) for key, text in encoded.items()})
    for key in ('name', 'number', 'share', 'nothing', 'yes', 'text', 'quoted', 'names', 'links'):
        assert decoded[key] == META[key] and type(decoded[key]) is type(META[key])
    for key in ('sigmas', 'colors'):
        np.testing.assert_array_equal(decoded[key], META[key])
        assert decoded[key].dtype == META[key].dtype
    assert decoded['nested'] == dict(keypoint=dict(id=4, swap=''))
    assert type(decoded['links'][0]) is tuple


def test_what_is_no_data_is_refused():
    with pytest.raises(TypeError, match='metadata cannot hold object'):
        encode_metadata(dict(hook=[object()]))
