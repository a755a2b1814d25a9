"""TensorFlow.js files: shards, types, and what is wrong with them."""

import json

import numpy as np
import pytest

from diffpose_mm.shipped.tfjs import GraphModelError, read_graph_model

HALF = np.array([[0.5, -2], [3, 4]], np.float16)
SINGLE = np.arange(5, dtype=np.float32)
BYTES = np.array([0, 128, 255], np.uint8)


def row(name, kind, array, **quantization):
    entry = dict(name=name, dtype=kind, shape=list(array.shape))
    return dict(entry, quantization=quantization) if quantization else entry


def manifest():
    return [
        dict(
            paths=['a-1.bin', 'a-2.bin'],
            weights=[
                row('half', 'float32', HALF, dtype='float16', original_dtype='float32'),
                row('single', 'float32', SINGLE),
                row('bytes', 'float32', BYTES, dtype='uint8', scale=0.5, min=-1.0),
                row('count', 'int32', np.zeros(())),
            ],
        )
    ]


@pytest.fixture
def model(tmp_path):
    """A model of four weights, whose data are cut in the middle of one."""
    data = HALF.tobytes() + SINGLE.tobytes() + BYTES.tobytes() + np.int32(9).tobytes()
    (tmp_path / 'a-1.bin').write_bytes(data[:13])
    (tmp_path / 'a-2.bin').write_bytes(data[13:])
    return write(tmp_path, manifest())


def write(folder, groups):
    path = folder / 'model.json'
    path.write_text(json.dumps(dict(generatedBy='here', weightsManifest=groups)))
    return path


def test_weights_lie_one_behind_the_other_across_shards(model):
    """Broken if a weight ended with its shard, or a quantised one were not scaled."""
    found = read_graph_model(model)
    assert found.made_by == 'here'
    assert found.weights['half'].dtype == np.float16
    np.testing.assert_array_equal(found.weights['half'], HALF)
    np.testing.assert_array_equal(found.weights['single'], SINGLE)
    np.testing.assert_array_equal(found.weights['bytes'], [-1, 63, 126.5])
    assert found.weights['count'] == 9


def test_shards_in_another_order_are_other_weights(model):
    """Broken if the hash did not tell the order of the shards."""
    before = read_graph_model(model).weights_sha256
    groups = manifest()
    groups[0]['paths'].reverse()
    assert read_graph_model(write(model.parent, groups)).weights_sha256 != before


def cut(folder):
    path = folder / 'a-2.bin'
    path.write_bytes(path.read_bytes()[:-1])


def lengthen(folder):
    path = folder / 'a-2.bin'
    path.write_bytes(path.read_bytes() + b'.')


@pytest.mark.parametrize(
    'damage, said',
    [
        (cut, r'a-2\.bin: is cut short: model\.json describes 35 bytes, there are 34'),
        (lengthen, r'a-2\.bin: is too long'),
        (lambda folder: (folder / 'a-1.bin').unlink(), r'a-1\.bin: cannot be read: No such file'),
        (lambda folder: (folder / 'model.json').write_text('{'), r'model\.json: is not JSON'),
        (lambda folder: (folder / 'model.json').write_text('[]'), 'is no TensorFlow.js model'),
        (lambda folder: (folder / 'model.json').unlink(), r'model\.json: cannot be read'),
    ],
)
def test_damaged_files(model, damage, said):
    """Broken if a damaged model gave weights, or an error that names no file."""
    damage(model.parent)
    with pytest.raises(GraphModelError, match=said):
        read_graph_model(model)


@pytest.mark.parametrize(
    'change, said',
    [
        (dict(quantization=dict(dtype='uint4')), 'half is stored as uint4 of float32'),
        (dict(dtype='complex64'), 'half is stored as'),
        (dict(quantization=dict(dtype='uint8')), 'half is uint8 without a scale'),
        (dict(shape=[-1, 2]), 'half has the shape'),
        (dict(shape=None), 'cannot be read'),
    ],
)
def test_types_that_are_not_known(model, change, said):
    """Broken if numbers of an unknown type were read as others."""
    groups = manifest()
    groups[0]['weights'][0] |= change
    with pytest.raises(GraphModelError, match=said):
        read_graph_model(write(model.parent, groups))


def test_a_manifest_stays_in_its_folder(model):
    """Broken if a JSON could name any file of the disk."""
    groups = manifest()
    groups[0]['paths'] = ['../model.bin']
    with pytest.raises(GraphModelError, match='which is not beside it'):
        read_graph_model(write(model.parent, groups))
