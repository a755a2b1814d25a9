"""Detectors of transformers, from a folder or the Hugging Face hub."""

import os
import os.path as osp
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from mmengine.device import get_device

from ..identity import files_identity
from ..weights import hub
from .frames import by_size, to_rgb
from .interface import Detections, DetectorError

CONFIG, PROCESSOR = 'config.json', 'preprocessor_config.json'
WEIGHTS = ('.safetensors', '.bin')
SHOWN_KEYS = 3


class TransformersDetector:
    """A :class:`Detector` of transformers (``AutoModelForObjectDetection``).

    RT-DETR, RT-DETR v2, D-FINE, RF-DETR, DETR, YOLOS, Conditional and Deformable DETR and what else
    the installed release has. Code that lies in a folder is never run (``trust_remote_code`` is
    off), pickled weights are read as tensors only.

    Args:
        source: A folder, or ``hf:OWNER/NAME[@REVISION]``.
        device: Where it runs. Defaults to a GPU if there is one.
    """

    fallback_label = None
    clips = True

    def __init__(self, source: str, device: str | None = None) -> None:
        self.source, self.device = source, device
        self.names: Mapping[int, str] | None = None
        self.model: Any = None
        self.processor: Any = None
        self._folder: str | None = None

    def folder(self) -> str:
        """The folder with its files, fetched if need be.

        Raises:
            WeightsError: See :func:`hub.fetch`.
            DetectorError: A file that it needs is missing.
        """
        if self._folder is None:
            folder = self.source
            if not osp.isdir(folder):
                folder = os.fspath(hub.fetch(folder))
            for name, what in (
                (CONFIG, 'is no model of transformers'),
                (PROCESSOR, 'says nothing about the pictures that its model takes'),
            ):
                if not osp.isfile(osp.join(folder, name)):
                    raise DetectorError(
                        f'{self.source} {what}: it has no {name}; take the file from where the '
                        'weights are from'
                    )
            if not any(name.endswith(WEIGHTS) for name in os.listdir(folder)):
                raise DetectorError(f'{self.source} has no weights ({", ".join(WEIGHTS)})')
            self._folder = folder
        return self._folder

    def identity(self) -> dict:
        """See :class:`Detector`."""
        folder = self.folder()
        weights = sorted(name for name in os.listdir(folder) if name.endswith(WEIGHTS))
        files = [osp.join(folder, name) for name in (CONFIG, PROCESSOR, *weights)]
        return dict(library='transformers', **files_identity(files))

    def description(self) -> str:
        """See :class:`Detector`."""
        kind = '' if self.model is None else f' ({type(self.model).__name__})'
        return f'{self.source} of transformers{kind}'

    def prepare(self) -> None:
        """See :class:`Detector`."""
        if self.model is not None:
            return
        folder = self.folder()
        try:
            import transformers
        except ImportError as error:
            raise DetectorError(
                f'{self.source} is a detector of transformers, which is not installed: '
                'pip install transformers'
            ) from error
        safe: dict[str, Any] = dict(local_files_only=True, trust_remote_code=False)
        with _one_line(f'{self.source} (transformers {transformers.__version__})'):
            config = transformers.AutoConfig.from_pretrained(folder, **safe)
            self._check(config)
            processor = transformers.AutoImageProcessor.from_pretrained(folder, **safe)
            model, report = transformers.AutoModelForObjectDetection.from_pretrained(
                folder, config=config, output_loading_info=True, **safe
            )
        self._check_report(report)
        if not hasattr(processor, 'post_process_object_detection'):
            raise DetectorError(
                f'{self.source}: its {PROCESSOR} is of a {type(processor).__name__}, which gives '
                'no boxes'
            )
        self.names = _names(config)
        self.processor = processor
        # Some are stored as half floats, which few processors compute.
        self.model = model.float().to(self.device or get_device()).eval()

    def _check(self, config: Any) -> None:
        if getattr(config, 'use_focal_loss', True) is False:
            # Its scores are a softmax over the pictures of a batch: alone, each has a score of 1.
            raise DetectorError(
                f'{self.source} was trained with use_focal_loss=False, whose scores transformers '
                'computes over the batch and not over the classes: they mean nothing'
            )

    def _check_report(self, report: Mapping[str, Any]) -> None:
        for kind, what in (
            ('missing_keys', 'are not in its weights'),
            ('mismatched_keys', 'have another shape in its weights'),
            ('error_msgs', 'cannot be loaded'),
        ):
            keys = sorted(map(str, report.get(kind) or ()))
            if keys:
                more = ', ...' if len(keys) > SHOWN_KEYS else ''
                raise DetectorError(
                    f'{self.source} is not whole: {len(keys)} parameters {what} '
                    f'({", ".join(keys[:SHOWN_KEYS])}{more}), and the model would be part random'
                )

    @torch.inference_mode()
    def __call__(self, frames: Sequence[np.ndarray]) -> list[Detections]:
        """See :class:`Detector`. Frames of one size are a batch: no padding gets in."""
        found: list[Detections | None] = [None] * len(frames)
        for size, places in by_size(frames).items():
            inputs = self.processor(
                images=[to_rgb(frames[place]) for place in places], return_tensors='pt'
            ).to(self.model.device)
            outputs = self.model(**inputs)
            results = self.processor.post_process_object_detection(
                outputs, threshold=0.0, target_sizes=[size] * len(places)
            )
            for place, result in zip(places, results, strict=True):
                found[place] = Detections(
                    result['boxes'].float().cpu().numpy(),
                    result['scores'].float().cpu().numpy(),
                    result['labels'].cpu().numpy(),
                )
        return [one for one in found if one is not None]


def _names(config: Any) -> dict[int, str] | None:
    """What the labels mean; None where the config was written without names."""
    names = {int(label): str(name) for label, name in (config.id2label or {}).items()}
    if all(name == f'LABEL_{label}' for label, name in names.items()):
        return None
    return names


@contextmanager
def _one_line(where: str):  # type: ignore[no-untyped-def]
    """Make one line of what transformers raises."""
    try:
        yield
    except DetectorError:
        raise
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        text = ' '.join(lines)[:400] or type(error).__name__
        raise DetectorError(f'{where}: {text}') from error
