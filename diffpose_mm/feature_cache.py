"""Features kept on disk: shards of float16 maps with a record each, whole or not there at all.

A cache is a folder. ``features.json`` says what its features are of (the identity), how many
samples there are and how large a feature is; ``view-00/00000.f16`` holds the features of some
neighbouring samples in one of their views, one after the other, and ``view-00/00000.jsonl`` what
else belongs to each. The second is written when the first is complete, so a shard that has it is
whole.
"""

import base64
import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .files import atomic_write, prepare_folder
from .identity import differences

FORMAT = 1
MANIFEST = 'features.json'
SHARD_BYTES = 128 << 20
SHARD_SAMPLES = 1024
_SPECIAL = ('__array__', '__scalar__', '__tuple__', '__items__')
_SHOWN = 5


class FeatureCacheError(ValueError):
    """Kept features are missing, incomplete, damaged, or not those that are asked for."""


def encode(value: Any) -> Any:
    """A value as JSON can hold it; arrays, numpy scalars and tuples come back as they were.

    Raises:
        TypeError: It is of another type.
    """
    if value is None or isinstance(value, (bool, int, float, str)) and not _is_numpy(value):
        return value
    if isinstance(value, np.ndarray) and value.dtype != object:
        data = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode()
        return dict(__array__=[value.dtype.str, list(value.shape), data])
    if _is_numpy(value):
        return dict(__scalar__=[value.dtype.str, base64.b64encode(value.tobytes()).decode()])
    if isinstance(value, tuple):
        return dict(__tuple__=[encode(item) for item in value])
    if isinstance(value, list):
        return [encode(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(key, str) and key not in _SPECIAL for key in value):
            return {key: encode(item) for key, item in value.items()}
        return dict(__items__=[[encode(key), encode(item)] for key, item in value.items()])
    raise TypeError(f'a {type(value).__name__} cannot be kept')


def _is_numpy(value: Any) -> bool:
    return isinstance(value, np.generic)


def decode(value: Any) -> Any:
    """The value that :func:`encode` was given."""
    if isinstance(value, list):
        return [decode(item) for item in value]
    if not isinstance(value, dict):
        return value
    if '__array__' in value:
        dtype, shape, data = value['__array__']
        if not data:
            return np.empty(shape, dtype)
        return np.frombuffer(base64.b64decode(data), dtype).reshape(shape).copy()
    if '__scalar__' in value:
        dtype, data = value['__scalar__']
        return np.frombuffer(base64.b64decode(data), dtype)[0]
    if '__tuple__' in value:
        return tuple(decode(item) for item in value['__tuple__'])
    if '__items__' in value:
        return {decode(key): decode(item) for key, item in value['__items__']}
    return {key: decode(item) for key, item in value.items()}


class FeatureCache:
    """The features of a data set's samples, in one or more augmented views of each.

    Args:
        folder: Where they are.

    Raises:
        FeatureCacheError: There is no cache, or it is of another format.
    """

    def __init__(self, folder: str | os.PathLike) -> None:
        self.folder = Path(folder)
        path = self.folder / MANIFEST
        if not path.is_file():
            raise FeatureCacheError(
                f'{folder} holds no kept features (no {MANIFEST}): write them first, with '
                f'cache_features CONFIG --checkpoint CHECKPOINT --out {folder}'
            )
        try:
            manifest = json.loads(path.read_text(encoding='utf-8'))
            if manifest.get('format') != FORMAT:
                raise FeatureCacheError(
                    f'{path} is of format {manifest.get("format")}, this version reads {FORMAT}: '
                    'write the features again'
                )
            self.identity: dict = manifest['identity']
            self.samples: int = manifest['samples']
            self.shape: tuple[int, ...] = tuple(manifest['shape'])
            self.shard_samples: int = manifest['shard_samples']
            self.views: int = manifest['views']
            self.facts: dict = manifest['facts']
        except FeatureCacheError:
            raise
        except (ValueError, KeyError, AttributeError) as error:
            raise FeatureCacheError(
                f'{path} cannot be read ({error!r}): remove the folder and write the features again'
            ) from error
        self._open: dict[tuple[int, int], tuple[np.ndarray, dict, list[bytes]]] = {}

    def __getstate__(self) -> dict:
        """Open files stay behind when a worker process is given a copy."""
        return {**vars(self), '_open': {}}

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike,
        identity: dict,
        samples: int,
        shape: Sequence[int],
        facts: dict | None = None,
    ) -> 'FeatureCache':
        """Begin a cache, or go on with one of the same identity.

        Args:
            folder: Where it is to be.
            identity: What the features follow from; JSON values.
            samples: Of the data set.
            shape: (T, C, H, W) of a feature.
            facts: What a reader may want to know or check beside the identity; JSON values.

        Raises:
            FeatureCacheError: The folder holds features of another identity.
            OSError: It cannot be written to.
        """
        folder = Path(folder)
        if (folder / MANIFEST).is_file():
            cache = cls(folder)
            cache.check(identity, 'write to another --out, or remove this folder')
            return cache
        prepare_folder(os.fspath(folder))
        size = 2 * int(np.prod(shape))
        manifest = dict(
            format=FORMAT,
            identity=identity,
            samples=samples,
            shape=list(shape),
            shard_samples=max(1, min(SHARD_BYTES // size, SHARD_SAMPLES, samples)),
            views=0,
            facts=facts or {},
        )
        _write_json(folder / MANIFEST, manifest)
        return cls(folder)

    @property
    def sample_bytes(self) -> int:
        """Bytes of the feature of one sample in one view."""
        return 2 * int(np.prod(self.shape))

    @property
    def num_shards(self) -> int:
        """Shards of a view."""
        return -(-self.samples // self.shard_samples)

    def shard_range(self, shard: int) -> range:
        """The samples of a shard."""
        return range(
            shard * self.shard_samples, min((shard + 1) * self.shard_samples, self.samples)
        )

    def _paths(self, view: int, shard: int) -> tuple[Path, Path]:
        stem = self.folder / f'view-{view:02d}' / f'{shard:05d}'
        return stem.with_suffix('.f16'), stem.with_suffix('.jsonl')

    def missing(self, views: int) -> list[tuple[int, int]]:
        """(view, shard) of all shards that are still to be written."""
        return [
            (view, shard)
            for view in range(views)
            for shard in range(self.num_shards)
            if not self._paths(view, shard)[1].is_file()
        ]

    def check(self, identity: dict, advice: str) -> None:
        """Raise unless the features are of this identity.

        Args:
            identity: As in :meth:`create`, or some of its fields.
            advice: What to do.

        Raises:
            FeatureCacheError: Says what differs.
        """
        now = json.loads(json.dumps(identity))
        found = differences({key: self.identity.get(key) for key in now}, now)
        if found:
            more = f'; and {len(found) - _SHOWN} more' if len(found) > _SHOWN else ''
            raise FeatureCacheError(
                f'the features kept in {self.folder} are of something else: '
                f'{"; ".join(found[:_SHOWN])}{more}. To go on, {advice}'
            )

    def check_space(self, views: int) -> int:
        """Bytes that are still to be written.

        Raises:
            OSError: The disk has not so many.
        """
        missing = sum(len(self.shard_range(shard)) for _, shard in self.missing(views))
        # Records take a part of a percent of ViT's features, a few percent of small ones.
        needed = missing * (self.sample_bytes + 2048)
        free = shutil.disk_usage(self.folder).free
        if needed > free:
            raise OSError(
                f'{self.folder}: {missing:,} features of {self.sample_bytes:,} bytes need '
                f'{needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free: take fewer --views, or '
                'another --out'
            )
        return needed

    def write(
        self, view: int, shard: int, features: np.ndarray, records: Sequence[dict[str, Any]]
    ) -> None:
        """Write a shard.

        Args:
            view: Which view.
            shard: Which samples, see :meth:`shard_range`.
            features: (B, T, C, H, W), float16, finite.
            records: B dicts of what :func:`encode` takes.

        Raises:
            FeatureCacheError: The features are not so many, not of this shape, or not finite.
            OSError: They cannot be written.
        """
        expected = (len(self.shard_range(shard)), *self.shape)
        if features.shape != expected or len(records) != len(features):
            raise FeatureCacheError(
                f'shard {shard} takes features {expected}, got {features.shape} and '
                f'{len(records)} records'
            )
        if not np.isfinite(features).all():
            raise FeatureCacheError(
                'the backbone gives features that float16 cannot hold (beyond 65,504, or no '
                'numbers): they cannot be kept; train on pixels, or normalise its last feature'
            )
        path, index = self._paths(view, shard)
        path.parent.mkdir(parents=True, exist_ok=True)
        features = np.ascontiguousarray(features, dtype=np.float16)
        with atomic_write(path, 'wb', 'Finished shards are kept') as file:
            file.write(features.data)
        texts = [{k: json.dumps(encode(v)) for k, v in record.items()} for record in records]
        common = {k: v for k, v in texts[0].items() if all(t.get(k) == v for t in texts)}
        head = dict(samples=len(records), digest=_digest(features), common=_join(common))
        with atomic_write(index, 'w', 'Finished shards are kept') as file:
            file.write(json.dumps(head) + '\n')
            for text in texts:
                file.write(_join({k: v for k, v in text.items() if k not in common}) + '\n')

    def finish(self, views: int) -> None:
        """Say that so many views are complete.

        Raises:
            FeatureCacheError: They are not.
        """
        self._check_none_missing(views)
        if views > self.views:
            self.views = views
            manifest = json.loads((self.folder / MANIFEST).read_text(encoding='utf-8'))
            _write_json(self.folder / MANIFEST, {**manifest, 'views': views})

    def check_complete(self, contents: bool = False) -> None:
        """Raise unless every shard of every view is there and of its size.

        Args:
            contents: Also read all features and compare them with their checksums.

        Raises:
            FeatureCacheError: Names the first shard that is missing or damaged.
        """
        self._check_none_missing(max(self.views, 1))
        if not self.views:
            raise FeatureCacheError(
                f'{self.folder} was not finished: the same cache_features command goes on'
            )
        for view in range(self.views):
            for shard in range(self.num_shards):
                features, head, _ = self._load(view, shard)
                if contents and _digest(features) != head['digest']:
                    raise self._damaged(self._paths(view, shard)[0], 'its contents have changed')

    def _check_none_missing(self, views: int) -> None:
        missing = self.missing(views)
        if missing:
            view, shard = missing[0]
            raise FeatureCacheError(
                f'{self.folder} lacks {len(missing)} of {views * self.num_shards} shards, the '
                f'first being {self._paths(view, shard)[1].relative_to(self.folder)}: the same '
                'cache_features command writes them'
            )

    def read(self, sample: int, view: int) -> tuple[np.ndarray, dict[str, Any]]:
        """A feature, (T, C, H, W) float16, mapped from the disk and not to be written to; its
        record.

        Raises:
            FeatureCacheError: The shard is missing or damaged.
        """
        shard, place = divmod(sample, self.shard_samples)
        features, head, lines = self._load(view, shard)
        record = {**json.loads(head['common']), **json.loads(lines[place])}
        return features[place], {key: decode(value) for key, value in record.items()}

    def _load(self, view: int, shard: int) -> tuple[np.ndarray, dict, list[bytes]]:
        if (view, shard) not in self._open:
            path, index = self._paths(view, shard)
            count = len(self.shard_range(shard))
            try:
                head, *lines = index.read_bytes().splitlines()
                header = json.loads(head)
                size = path.stat().st_size
            except (OSError, ValueError) as error:
                raise self._damaged(index, str(error)) from error
            if len(lines) != count or header.get('samples') != count:
                raise self._damaged(index, f'{len(lines)} of {count} records')
            if size != count * self.sample_bytes:
                raise self._damaged(path, f'{size:,} of {count * self.sample_bytes:,} bytes')
            features = np.memmap(path, np.float16, 'r', shape=(count, *self.shape))
            self._open[view, shard] = features, header, lines
        return self._open[view, shard]

    def _damaged(self, path: Path, reason: str) -> FeatureCacheError:
        stem = path.with_suffix('')
        return FeatureCacheError(
            f'{path} is cut short or damaged ({reason}): remove {stem}.jsonl, and the same '
            'cache_features command writes this shard again'
        )


def _digest(features: np.ndarray) -> str:
    return hashlib.blake2b(np.ascontiguousarray(features).data, digest_size=8).hexdigest()


def _join(texts: dict[str, str]) -> str:
    """Values that are JSON already as one object."""
    return '{' + ', '.join(f'{json.dumps(key)}: {text}' for key, text in texts.items()) + '}'


def _write_json(path: Path, value: dict) -> None:
    with atomic_write(path) as file:
        json.dump(value, file, indent=1)
