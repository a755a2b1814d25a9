"""Kept features: what is written comes back; what is damaged or of something else is refused."""

import json

import numpy as np
import pytest

from diffpose_mm import feature_cache
from diffpose_mm.feature_cache import FeatureCache, FeatureCacheError, decode, encode

SHAPE = (3, 4, 2, 5)
IDENTITY = dict(backbone='abc', pipeline={'0 LoadClip': dict(size=(3, 4))}, seed=0)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(feature_cache, 'SHARD_SAMPLES', 3)


def features(view, shard, count):
    rng = np.random.default_rng([view, shard])
    return rng.normal(size=(count, *SHAPE)).astype(np.float16)


def records(view, samples):
    return [dict(sample=i, view=view, same='in all', points=np.full(2, i / 3)) for i in samples]


def fill(folder, views=2, samples=7, identity=IDENTITY):
    cache = FeatureCache.create(folder, identity, samples, SHAPE, dict(seed=0))
    for view, shard in cache.missing(views):
        numbers = cache.shard_range(shard)
        cache.write(view, shard, features(view, shard, len(numbers)), records(view, numbers))
    cache.finish(views)
    return FeatureCache(folder)


def same(a, b):
    """Equal in type and in value, all the way down."""
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        shapes = [(type(x), x.dtype, x.shape, np.ascontiguousarray(x).tobytes()) for x in (a, b)]
        return shapes[0] == shapes[1]
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


@pytest.mark.parametrize(
    'value',
    [
        None, True, 3, 0.1, 'é\n', [1, (2, [3.5, ()])], {'a': {2: 'x', (0, 1): None}},
        {'__array__': 1}, np.arange(6.0).reshape(2, 3)[:, ::-1], np.zeros((0, 3), np.float32),
        np.array(5), np.float32(0.1), np.float64(0.1), np.int64(2**60), np.bool_(True),
        np.array([np.nan, np.inf, -0.0]), np.array(['ab', 'c']),
    ],
)  # fmt: skip
def test_values_come_back_as_they_were(value):
    """Broken if a record loses a bit, a type or a shape on its way through JSON."""
    assert same(decode(json.loads(json.dumps(encode(value)))), value)


def test_a_value_that_cannot_be_kept_is_said():
    """Broken if an object is pickled, or turned into text."""
    for value in (object(), np.array([None]), {1, 2}):
        with pytest.raises(TypeError, match='cannot be kept'):
            encode(value)


def test_features_and_records_come_back(tmp_path):
    """Broken if samples, views or shards are mixed up, or features are read into memory whole."""
    cache = fill(tmp_path)
    assert cache.num_shards == 3 and cache.views == 2 and cache.facts == dict(seed=0)
    assert cache.sample_bytes == 3 * 4 * 2 * 5 * 2
    for view in range(2):
        for sample in range(7):
            found, record = cache.read(sample, view)
            shard, place = divmod(sample, 3)
            count = len(cache.shard_range(shard))
            assert isinstance(found, np.memmap) and found.dtype == np.float16
            assert np.array_equal(found, features(view, shard, count)[place])
            assert same(
                dict(sorted(record.items())), dict(sorted(records(view, [sample])[0].items()))
            )
    cache.check_complete(contents=True)
    # What all records of a shard share is written once.
    assert (tmp_path / 'view-00/00000.jsonl').read_text().count('in all') == 1


def test_an_interrupted_cache_goes_on(tmp_path):
    """Broken if finished shards are computed again, or a shard without records counts."""
    cache = FeatureCache.create(tmp_path, IDENTITY, 7, SHAPE)
    cache.write(0, 1, features(0, 1, 3), records(0, range(3, 6)))
    broken = [*records(0, range(2)), dict(sample=object())]
    with pytest.raises(TypeError):
        cache.write(0, 0, features(0, 0, 3), broken)
    assert FeatureCache(tmp_path).missing(1) == [(0, 0), (0, 2)]
    with pytest.raises(FeatureCacheError, match=r'lacks 2 of 3 shards.*view-00.00000'):
        FeatureCache(tmp_path).check_complete()
    before = (tmp_path / 'view-00/00001.f16').stat().st_mtime_ns
    assert fill(tmp_path, views=1).views == 1
    assert (tmp_path / 'view-00/00001.f16').stat().st_mtime_ns == before
    # More views are added to those that are there.
    assert fill(tmp_path, views=2).views == 2
    assert fill(tmp_path, views=1).views == 2


def test_features_of_something_else_are_refused(tmp_path):
    """Broken if stale features are used or overwritten, or it is not said what differs."""
    fill(tmp_path, views=1)
    other = {**IDENTITY, 'pipeline': {'0 LoadClip': dict(size=(3, 5))}}
    with pytest.raises(
        FeatureCacheError, match=r'LoadClip.size: \[3, 4\] then, \[3, 5\] now.*--out'
    ):
        FeatureCache.create(tmp_path, other, 7, SHAPE)
    with pytest.raises(FeatureCacheError, match="backbone: 'abc' then, 'abd' now"):
        FeatureCache(tmp_path).check(dict(backbone='abd'), 'do this')
    FeatureCache(tmp_path).check(IDENTITY, 'do this')


@pytest.mark.parametrize('damage', ['cut', 'gone', 'records', 'garbled'])
def test_a_damaged_shard_is_named_and_can_be_written_again(tmp_path, damage):
    """Broken if a cut file trains on what happens to be there, or cannot be repaired."""
    fill(tmp_path, views=1)
    file = tmp_path / 'view-00/00001.f16'
    index = file.with_suffix('.jsonl')
    if damage == 'cut':
        file.write_bytes(file.read_bytes()[:-10])
    elif damage == 'gone':
        file.unlink()
    elif damage == 'records':
        index.write_text('\n'.join(index.read_text().splitlines()[:-1]))
    else:
        content = bytearray(file.read_bytes())
        content[7] ^= 1
        file.write_bytes(content)
    with pytest.raises(FeatureCacheError, match=r'00001.*damaged.*remove .*00001\.jsonl'):
        FeatureCache(tmp_path).check_complete(contents=damage == 'garbled')
    index.unlink()
    fill(tmp_path, views=1).check_complete(contents=True)


def test_what_float16_cannot_hold_is_refused(tmp_path):
    """Broken if training is fed with infinities."""
    cache = FeatureCache.create(tmp_path, IDENTITY, 7, SHAPE)
    values = features(0, 0, 3)
    values[1, 0, 0, 0, 0] = np.inf
    with pytest.raises(FeatureCacheError, match='float16 cannot hold'):
        cache.write(0, 0, values, records(0, range(3)))
    with pytest.raises(FeatureCacheError, match='takes features'):
        cache.write(0, 0, values[:2], records(0, range(2)))


def test_too_small_a_disk_is_said_before_the_work(tmp_path, monkeypatch):
    """Broken if the disk is full after hours."""
    cache = FeatureCache.create(tmp_path, IDENTITY, 7, SHAPE)
    cache.write(0, 0, features(0, 0, 3), records(0, range(3)))
    needed = (2 * 7 - 3) * (240 + 2048)
    free = [needed]
    monkeypatch.setattr(
        feature_cache.shutil, 'disk_usage', lambda path: type('Usage', (), dict(free=free[0]))
    )
    assert cache.check_space(2) == needed
    free[0] -= 1
    with pytest.raises(OSError, match='11 features of 240 bytes need 0.0 GB.*fewer --views'):
        cache.check_space(2)


@pytest.mark.parametrize(
    ('text', 'message'),
    [('{', 'cannot be read'), ('[]', 'cannot be read'), ('{"format": 9}', 'of format 9')],
)
def test_a_manifest_that_cannot_be_read_is_named(tmp_path, text, message):
    """Broken if a cut or foreign manifest ends in a traceback."""
    with pytest.raises(FeatureCacheError, match='holds no kept features'):
        FeatureCache(tmp_path)
    (tmp_path / 'features.json').write_text(text)
    with pytest.raises(FeatureCacheError, match=message):
        FeatureCache(tmp_path)
