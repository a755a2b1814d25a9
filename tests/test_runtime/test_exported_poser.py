"""The runtime beside the torch path, entry by entry, and what it refuses."""

import json
import shutil

import numpy as np
import pytest
from runtime_helpers import CHECKPOINT, CONFIG, walk

from diffpose_mm.apis import DiffPoseInferencer
from diffpose_mm_runtime import ExportedPoser, ExportError, StreamingExportedPoser, engines, infer
from diffpose_mm_runtime.boxes import GivenBoxes
from diffpose_mm_runtime.manifest import file_hash
from diffpose_mm_runtime.windows import as_frame

TOLERANCE = 1e-3  # image pixels; a crop of these boxes has more input pixels than image pixels


@pytest.fixture(scope='module')
def inferencer():
    return DiffPoseInferencer(CONFIG, CHECKPOINT, device='cpu', det_model='whole_image')


def entries(poser, frames, boxes, **options):
    shots = (as_frame(image, index) for index, image in enumerate(frames))
    return list(infer(poser, shots, GivenBoxes(boxes), **options))


@pytest.mark.parametrize('engine', ['onnxruntime', 'openvino'])
@pytest.mark.parametrize(
    'mode, streaming, hypotheses, steps',
    [
        ('offline', False, 1, 1),
        ('causal', False, 3, 4),
        ('offline', True, 1, 2),
        ('causal', True, 3, 4),
    ],
)
def test_frame_by_frame(engine, mode, streaming, hypotheses, steps, inferencer, exported, tmp_path):
    """Broken if the runtime cut, sampled, decoded, streamed or numbered otherwise than torch."""
    frames, boxes = walk(9)
    run = inferencer(
        iter(frames),
        mode=mode,
        streaming=streaming,
        num_hypotheses=hypotheses,
        sampling_steps=steps,
        return_hypotheses=True,
        bboxes=boxes,
        batch_size=3,
    )
    expected = [(result['frames'][0], result['predictions'][0]) for result in run]
    kind = StreamingExportedPoser if streaming else ExportedPoser
    poser = kind(exported, engine, 1, num_hypotheses=hypotheses, sampling_steps=steps)
    found = entries(poser, frames, boxes, mode=mode, with_hypotheses=True, batch_size=3)
    assert len(found) == len(expected) == 9
    off = []
    for entry, (about, people) in zip(found, expected):
        for field in ('frame_id', 'frames_used', 'replicated', 'mode'):
            assert entry[field] == about[field]
        assert len(entry['instances']) == len(people) == 2
        for one, other in zip(entry['instances'], json.loads(json.dumps(people))):
            assert one.keys() == other.keys()
            off += [np.abs(np.subtract(one[f], other[f])).ravel() for f in one]
    values = np.concatenate(off)
    # A joint whose hypotheses lie apart hangs on the last digit of a sum, and every engine adds in
    # an order of its own.
    assert np.mean(values > TOLERANCE) < 0.002
    assert values.mean() < 5e-5 and values.max() < 0.02
    if streaming:
        # Fewer passes than frames of windows: crops are held, and were renewed at least once.
        assert poser.state.renewals == run.state.renewals > 0
        assert poser.state.backbone_passes == run.state.backbone_passes


@pytest.mark.parametrize('there', [False, True])
def test_bfloat16_where_the_processor_has_it(there, exported, monkeypatch):
    """Broken if bfloat16 were emulated without a word, or moved joints by more than it rounds."""
    frames, boxes = walk(5)
    if not there:
        monkeypatch.setattr(engines, 'capabilities', lambda: ['FP32'])
    if 'BF16' not in engines.capabilities():
        with pytest.raises(ValueError, match="'bfloat16': this processor has none"):
            ExportedPoser(exported, 'openvino', 1, 'bfloat16')
        return
    found = [
        np.array([p['keypoints'] for e in run for p in e['instances']])
        for run in (
            entries(ExportedPoser(exported, 'openvino', 1, precision), frames, boxes)
            for precision in ('float32', 'bfloat16')
        )
    ]
    apart = np.linalg.norm(found[0] - found[1], axis=-1)
    assert 0 < np.median(apart) < 0.5


@pytest.mark.parametrize(
    ('engine', 'precision', 'message'),
    [
        ('onnxruntime', 'bfloat16', "'onnxruntime' computes in float32"),
        ('openvino', 'int8', 'write the folder with export --precision int8'),
        ('openvino', 'int4', 'must be one of float32, bfloat16'),
    ],
)
def test_precisions_that_an_engine_has_not(engine, precision, message, exported):
    """Broken if another precision than was asked for were taken."""
    with pytest.raises(ValueError, match=message):
        ExportedPoser(exported, engine, 1, precision)


def damaged(exported, tmp_path, change):
    folder = tmp_path / 'model'
    shutil.copytree(exported, folder)
    change(folder)
    return folder


def set_version(folder):
    path = folder / 'manifest.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), 'version': 99}))


def drop_field(folder):
    path = folder / 'manifest.json'
    manifest = json.loads(path.read_text())
    del manifest['codec']
    path.write_text(json.dumps(manifest))


def with_fields(**fields):
    """Changes fields of a manifest."""

    def change(folder):
        path = folder / 'manifest.json'
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))

    return change


def cut_part(folder):
    """A part that ends early, and a manifest written for it."""
    path = folder / 'denoise.onnx'
    path.write_bytes(path.read_bytes()[:1000])
    manifest = json.loads((folder / 'manifest.json').read_text())
    with_fields(files={**manifest['files'], path.name: file_hash(path)})(folder)


@pytest.mark.parametrize(
    'change, message',
    [
        (with_fields(format='tflite'), "manifest.json: format 'tflite' is not read, but onnx and"),
        (with_fields(format=['onnx']), 'is not read, but onnx and openvino are'),
        (with_fields(files=['tokens.onnx']), 'manifest.json: files has to be an object'),
        (with_fields(files={}), 'manifest.json: files has no entry tokens.onnx'),
        (with_fields(keypoints='nose'), 'manifest.json: keypoints has to be a list of names'),
        (with_fields(keypoints=['a'] * 3), 'keypoints has 3 names and flip_indices 17 entries'),
        (with_fields(flip_indices=[0] * 17), 'manifest.json: flip_indices .* is not what export'),
        (with_fields(skeleton=[[0, 17]]), 'manifest.json: skeleton .* is not what export'),
        (with_fields(test_cfg=None), 'manifest.json: test_cfg None is not what export'),
        (with_fields(test_cfg=dict(seed=0)), 'manifest.json: test_cfg .* is not what export'),
        (with_fields(std=[1, 0, 1]), 'manifest.json: std .* is not what export'),
        (with_fields(frame_offsets=[1, 2]), 'manifest.json: frame_offsets .* is not what export'),
        (with_fields(codec=dict(type='x')), 'manifest.json: codec cannot be used .*type'),
        (with_fields(spread_calibration=3), 'manifest.json: spread_calibration cannot be used'),
        (cut_part, 'denoise.onnx cannot be loaded by onnxruntime'),
    ],
)
def test_a_broken_manifest_is_named(change, message, exported, tmp_path):
    """Broken if a field of another type ended in a traceback, or were found after frames."""
    with pytest.raises(ExportError, match=message):
        ExportedPoser(damaged(exported, tmp_path, change))


def test_a_size_that_the_networks_do_not_have(exported, tmp_path):
    """Broken if a manifest that does not fit its parts ended in the engine's own exception."""
    manifest = json.loads((exported / 'manifest.json').read_text())
    codec = {**manifest['codec'], 'heatmap_size': [12, 16]}
    poser = ExportedPoser(damaged(exported, tmp_path, with_fields(codec=codec)))
    with pytest.raises(ExportError, match='denoise.onnx cannot be run by onnxruntime on arrays of'):
        entries(poser, *walk(1))


def test_a_batch_of_nobody(exported):
    """Broken if a batch size below 1 were found when the frames are there, or never."""
    with pytest.raises(ValueError, match='batch_size=0 has to be at least 1'):
        entries(ExportedPoser(exported), *walk(1), batch_size=0)


@pytest.mark.parametrize(
    'change, message',
    [
        (set_version, 'version 99'),
        (drop_field, 'lacks codec'),
        (lambda folder: (folder / 'manifest.json').unlink(), 'holds no manifest.json'),
        (lambda folder: (folder / 'manifest.json').write_text('{'), 'is no JSON'),
        (lambda folder: (folder / 'denoise.onnx').unlink(), 'denoise.onnx.*is missing'),
        (lambda folder: (folder / 'denoise.onnx').write_bytes(b'half'), 'is not the file'),
    ],
)
def test_half_an_export_is_refused(change, message, exported, tmp_path):
    """Broken if another version's, an incomplete or a mixed folder gave poses."""
    with pytest.raises(ExportError, match=message):
        ExportedPoser(damaged(exported, tmp_path, change))


@pytest.mark.parametrize(
    'engine, settings, error, message',
    [
        ('tensorrt', {}, ValueError, "engine='tensorrt' must be one of onnxruntime, openvino"),
        ('onnxruntime', dict(sampling_steps=0), ValueError, 'sampling_steps must be an integer'),
        ('onnxruntime', dict(num_hypotheses=0), ValueError, 'num_hypotheses must be an integer'),
        ('onnxruntime', dict(aggregate='best'), ValueError, 'aggregate must be'),
        ('onnxruntime', dict(eta=1), ValueError, 'eta is no setting'),
    ],
)
def test_settings_out_of_range(engine, settings, error, message, exported):
    """Broken if a setting that nobody reads, or no engine can do, were taken in silence."""
    with pytest.raises(error, match=message):
        ExportedPoser(exported, engine, **settings)


def test_an_engine_that_is_not_installed(exported, monkeypatch):
    """Broken if the error did not name the one command."""
    monkeypatch.setattr('diffpose_mm_runtime.engines.find_spec', lambda name: None)
    with pytest.raises(ModuleNotFoundError, match='pip install openvino'):
        ExportedPoser(exported, 'openvino')
