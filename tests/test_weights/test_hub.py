"""Names of the hub; its answers are simulated by its own classes of errors."""

import builtins
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub import errors

from diffpose_mm.weights import HubName, UnavailableWeightsError, WeightsError, fetch, hub

NAME = 'hf:owner/name'
SHA = 'a' * 40


@pytest.mark.parametrize(
    'text, expected',
    [
        ('hf:a/b', HubName('a/b')),
        ('hf://a/b', HubName('a/b')),
        ('hf:a/b@v1.0', HubName('a/b', 'v1.0')),
        ('hf:a/b@refs/pr/1', HubName('a/b', 'refs/pr/1')),
        ('hf:a/b/torch/c.pth@x', HubName('a/b', 'x', 'torch/c.pth')),
        ('https://huggingface.co/a/b', HubName('a/b')),
        ('https://huggingface.co/a/b/resolve/main/x.safetensors', None),
        ('a/b', None),
        ('b.pth', None),
    ],
)
def test_names(text, expected):
    """Broken if a name, revision or file were taken for another."""
    assert hub.parse(text) == expected
    if expected:
        assert hub.parse(str(expected)) == expected


@pytest.mark.parametrize('text', ['hf:', 'hf:a', 'hf:a/', 'hf:a b/c', 'hf:a/b@', 'hf:a/b#ap10k'])
def test_a_name_that_is_none(text):
    """Broken if a slip of the pen were asked of the hub."""
    with pytest.raises(WeightsError, match='is no name of the hub: write hf:OWNER/NAME'):
        hub.parse(text)


@pytest.mark.parametrize(
    'files, taken',
    [
        (['config.json', 'model.safetensors', 'pytorch_model.bin'], {'model.safetensors'}),
        (['model.safetensors', 'model.fp16.safetensors'], {'model.safetensors'}),
        (['pytorch_model.bin', 'training_args.bin', 'tf_model.h5'], {'pytorch_model.bin'}),
        (
            [
                'model.safetensors.index.json',
                'model-1-of-2.safetensors',
                'model-2-of-2.safetensors',
            ],
            {'model-1-of-2.safetensors', 'model-2-of-2.safetensors'},
        ),
        (['a/model.safetensors', 'b.pth'], {'b.pth'}),
    ],
)
def test_one_set_of_weights_is_chosen(files, taken):
    """Broken if a model were downloaded twice over, or not."""
    chosen = hub.choose(files)
    assert {file for file in chosen if not file.endswith('.json')} == taken
    assert {file for file in files if file.endswith('.json')} <= set(chosen)


def answers(monkeypatch, error):
    def model_info(self, *args, **kwargs):
        raise error

    monkeypatch.setattr(huggingface_hub.HfApi, 'model_info', model_info)


def hub_error(kind, status):
    error = kind.__new__(kind)
    Exception.__init__(error, f'{status} Client Error')
    error.response = SimpleNamespace(status_code=status)
    return error


@pytest.mark.parametrize(
    'kind, status, said',
    [
        (errors.RepositoryNotFoundError, 401, 'is not on the hub, or is private'),
        (errors.GatedRepoError, 403, 'is gated: .*hf auth login'),
        (errors.DisabledRepoError, 403, 'was disabled'),
        (errors.RevisionNotFoundError, 404, 'has no revision v9'),
        (errors.HfHubHTTPError, 401, 'may not be read with your token'),
        (errors.HfHubHTTPError, 418, 'could not be had: 418'),
    ],
)
def test_what_the_hub_answers(kind, status, said, monkeypatch):
    """Broken if an answer of the hub were a traceback, or called a lack of network."""
    answers(monkeypatch, hub_error(kind, status))
    with pytest.raises(UnavailableWeightsError, match=said) as caught:
        fetch(f'{NAME}@v9')
    assert '\n' not in str(caught.value) and 'owner/name' in str(caught.value)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A function that puts files into an empty cache of the hub."""
    monkeypatch.setattr(huggingface_hub.constants, 'HF_HUB_CACHE', str(tmp_path))

    def put(*files):
        root = tmp_path / 'models--owner--name'
        (root / 'refs').mkdir(parents=True, exist_ok=True)
        (root / 'refs' / 'main').write_text(SHA)
        for file in files:
            path = root / 'snapshots' / SHA / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text('{"weight_map": {"a": "model-1-of-1.safetensors"}}')
        return root / 'snapshots' / SHA

    return put


OUT_OF_REACH = [
    OSError('Name or service not known'),
    errors.OfflineModeIsEnabled('offline mode is enabled'),
    hub_error(errors.HfHubHTTPError, 503),
]


@pytest.mark.parametrize('error', OUT_OF_REACH)
def test_without_a_network_the_cache_serves(error, cache, monkeypatch):
    """Broken if what was once downloaded could not be used on a train."""
    answers(monkeypatch, error)
    folder = cache('config.json', 'model.safetensors')
    assert fetch(NAME) == folder
    folder = cache('torch/b.pth')
    assert fetch(f'{NAME}/torch/b.pth') == folder / 'torch'


@pytest.mark.parametrize('error', OUT_OF_REACH)
@pytest.mark.parametrize(
    'files, lacking',
    [
        ((), 'does not hold this model'),
        (('config.json',), r'lacks model\.safetensors'),
        (('config.json', 'model.safetensors.index.json'), 'lacks model-1-of-1|lacks model'),
    ],
)
def test_an_incomplete_cache_is_refused(files, lacking, error, cache, monkeypatch):
    """Broken if a folder with config.json alone passed for the model, as in the library it does."""
    answers(monkeypatch, error)
    if files:
        cache(*files)
    with pytest.raises(UnavailableWeightsError, match=lacking):
        fetch(NAME)


def test_a_download_takes_what_was_chosen(tmp_path, monkeypatch):
    """Broken if all of a repository, or another revision than was listed, were downloaded."""
    files = ['config.json', 'model.safetensors', 'pytorch_model.bin', 'onnx/model.onnx']
    info = SimpleNamespace(sha=SHA, siblings=[SimpleNamespace(rfilename=f) for f in files])
    monkeypatch.setattr(huggingface_hub.HfApi, 'model_info', lambda *a, **k: info)
    asked = {}

    def snapshot_download(name, revision, allow_patterns):
        asked.update(name=name, revision=revision, files=allow_patterns)
        for file in allow_patterns[: asked.get('stop', 9)]:
            (tmp_path / file).write_text('x')
        return str(tmp_path)

    monkeypatch.setattr(huggingface_hub, 'snapshot_download', snapshot_download)
    assert fetch(NAME) == tmp_path
    assert asked['revision'] == SHA
    assert asked['files'] == ['config.json', 'model.safetensors']
    with pytest.raises(UnavailableWeightsError, match=r'has no file x\.pth; its weights are model'):
        fetch(f'{NAME}/x.pth')
    (tmp_path / 'model.safetensors').unlink()
    asked['stop'] = 1
    with pytest.raises(UnavailableWeightsError, match=r'ended early.* lacks model\.safetensors'):
        fetch(NAME)


def test_without_the_library(monkeypatch):
    """Broken if a missing extra were a traceback."""
    real = builtins.__import__

    def no_hub(name, *args, **kwargs):
        if name == 'huggingface_hub':
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, '__import__', no_hub)
    with pytest.raises(UnavailableWeightsError, match='pip install huggingface_hub'):
        fetch(NAME)
