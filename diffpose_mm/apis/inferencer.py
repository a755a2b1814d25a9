"""DiffPoseInferencer: MMPoseInferencer for models that look at clips."""

import os
import os.path as osp
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config, ConfigDict
from mmpose.apis import Pose2DInferencer
from mmpose.apis.inference import dataset_meta_from_config
from torch import nn

from ..configs import read_config
from ..engine.checkpoint import compare, prepare, read_checkpoint
from ..identity import config_identity, file_identity
from ..loading import weights_digest
from .defaults import DETECTOR, MODEL, weights_of_config
from .detector import PersonDetector
from .options import InferenceOptions
from .people import WHOLE_IMAGE
from .precision import set_precision
from .run import Run


class DiffPoseInferencer(Pose2DInferencer):
    """mmpose's ``MMPoseInferencer`` with windows over frames, tracks and uncertainty.

    It is called in the same way and gives and writes the same; :meth:`__call__` says what it adds.
    A frame without people gives no people. The detector is built when it is first needed. A
    top-down model of mmpose, which looks at single frames, is taken as well: its window is one
    frame.

    Args:
        pose2d (str | Config, optional): Config (path or object), or the name of one of this
            package's, as 'diffpose_posetrack18'; 'diffpose' is short for it. Defaults to what comes
            along with its weights: 'diffpose_real', five frames of real people.
        pose2d_weights (str, optional): Its checkpoint: a file of torch or safetensors, a folder,
            'hf:OWNER/NAME' or an address. Defaults to None: random weights.
        pose3d, pose3d_weights: Accepted for ``MMPoseInferencer``'s order; must be None.
        device (str, optional): Defaults to a GPU if there is one.
        scope (str): Defaults to 'mmpose'.
        det_model (str | Config, optional): What finds people, see :func:`find_detector`: config,
            name or alias of mmdet, ``hf:OWNER/NAME`` or a folder (transformers),
            ``torchvision:NAME``, or 'whole_image'. Defaults to the first of a fixed order that can
            be had (docs/detectors.md).
        det_weights (str, optional): Its checkpoint; without ``det_model``, the config in it counts.
        det_cat_ids (int | Sequence[int], optional): Its labels for people. Defaults to those that
            are called person.
        show_progress (bool): Defaults to False.
        precision (str): Number format of backbone and neck: 'float32', 'bfloat16' (GPUs, and
            processors that have it) or 'float16' (GPUs). Defaults to 'float32'.

    Raises:
        FileNotFoundError: There is no such config.
        CheckpointError: The checkpoint is missing, unreadable, or does not fit the config; the
            first differences are listed.
        ValueError: The config is not one of a top-down model; the device has no such precision.
    """

    def __init__(
        self,
        pose2d: str | Config | None = None,
        pose2d_weights: str | None = None,
        pose3d: str | None = None,
        pose3d_weights: str | None = None,
        device: str | None = None,
        scope: str = 'mmpose',
        det_model: Any = None,
        det_weights: str | None = None,
        det_cat_ids: int | Sequence[int] | None = None,
        show_progress: bool = False,
        precision: str = 'float32',
    ) -> None:
        if pose3d is not None or pose3d_weights is not None:
            raise ValueError('DiffPoseInferencer does no 3D: leave out pose3d and pose3d_weights')
        if pose2d is None:
            if pose2d_weights is not None:
                raise ValueError('pose2d_weights needs the pose2d (config) of its model')
            pose2d, pose2d_weights = MODEL
            det_model = DETECTOR if det_model is None and det_weights is None else det_model
        elif pose2d_weights is None:
            pose2d_weights = weights_of_config(pose2d)
        config = read_config(pose2d) if isinstance(pose2d, (str, os.PathLike)) else pose2d
        if config.get('data_mode') != 'topdown':
            raise ValueError(
                f'{_name_of(pose2d)} is not a top-down model (data_mode="topdown"): use '
                'MMPoseInferencer'
            )
        if pose2d_weights is not None:
            pose2d_weights = os.fspath(pose2d_weights)
        self._weights, name, checkpoint = pose2d_weights, None, None
        if pose2d_weights is not None:
            checkpoint = read_checkpoint(pose2d_weights)
            name = prepare(pose2d_weights, checkpoint)
        super().__init__(
            model=config,
            weights=name,
            device=device,
            scope=scope,
            det_model='whole_image',
            show_progress=show_progress,
        )
        self.detector = (
            None
            if isinstance(det_model, str) and det_model in WHOLE_IMAGE
            else PersonDetector(det_model, det_weights, det_cat_ids, device)
        )
        if self.model.dataset_meta is None:
            # Without a checkpoint, where several data sets are trained on.
            self.model.dataset_meta = dataset_meta_from_config(self.cfg, 'test')
        set_precision(self.model, precision)
        # What predictions depend on, by content as it was when it was loaded.
        self.identity: dict[str, Any] = dict(
            config=config_identity(
                dict(model=self.cfg.model, test_dataset=self.cfg.test_dataloader.dataset)
            ),
            checkpoint=checkpoint and _weights_identity(str(pose2d_weights), checkpoint),
            **({} if precision == 'float32' else dict(precision=precision)),
        )

    def _load_weights_to_model(
        self, model: nn.Module, checkpoint: dict | None, cfg: ConfigDict | None
    ) -> None:
        if self._weights is not None and checkpoint is not None:
            # Before mmengine, which would list every key.
            compare(model, checkpoint, self._weights)
        super()._load_weights_to_model(model, checkpoint, cfg)

    def __call__(  # type: ignore[override]
        self,
        inputs: Any,
        return_datasamples: bool = False,
        batch_size: int = 1,
        out_dir: str | None = None,
        **options: Any,
    ) -> Run:
        """Pose the people of all frames, one result a frame, as soon as it is known.

        Everything that can be refused is refused here, and not at the first result. Several runs
        may be under way at once; the inferencer stays as it is.

        Args:
            inputs: An image (path or array), a list of images, a folder of images, a video file,
                the address of a stream (rtsp, http, udp, srt, ...), 'webcam:0' or the index or
                device file of a camera, an iterator of frames (BGR arrays), or a
                :class:`FrameSource`.
            return_datasamples: Give data samples in place of dicts.
            batch_size: Frames a pass of the detector, and people times frames a pass of the pose
                model.
            out_dir: Writes to ``out_dir/visualizations`` and ``out_dir/predictions``.
            **options: The other fields of :class:`InferenceOptions`.

        Returns:
            Run: An iterator of dicts. ``predictions``: a list of one list of people, each a dict
            with ``keypoints``, ``keypoint_scores``, ``bbox``, ``bbox_score``, of several
            hypotheses ``keypoint_std``, in clips ``track_id`` (image pixels); ``visualization``;
            ``frames``: a list of one dict with ``img_path``, ``frame_id``, ``time`` (seconds or
            None), ``frames_used`` (T frame numbers), ``replicated`` (which of them stand in for
            others) and ``mode``. A frame that cannot be read has no people, and the reason in
            ``fault``.

        Raises:
            ValueError: An option out of range, with its name; inputs that cannot be used.
            OSError: A file that cannot be read or written. What was predicted before is kept.
        """
        return Run(
            self,
            inputs,
            InferenceOptions(
                return_datasamples=return_datasamples,
                batch_size=batch_size,
                out_dir=out_dir,
                **options,
            ),
        )


def _name_of(config: Any) -> str:
    return os.fspath(config) if isinstance(config, (str, os.PathLike)) else 'the config'


def _weights_identity(source: str, checkpoint: dict) -> dict:
    """The content of a checkpoint: of its file, or of its weights where it is none of one file."""
    if osp.isfile(source):
        return file_identity(source)
    return dict(weights=weights_digest(checkpoint['state_dict'])[:16])
