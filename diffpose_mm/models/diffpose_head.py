"""DiffPose head: where diffusion, pose decoder and codec meet (paper sections 3.2 and 3.3)."""

import inspect
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import Any, cast

import numpy as np
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.evaluation.functional import pose_pck_accuracy
from mmpose.models.heads.base_head import BaseHead
from mmpose.registry import KEYPOINT_CODECS, MODELS
from mmpose.structures import PoseDataSample
from mmpose.utils.tensor_utils import to_numpy
from mmpose.utils.typing import ConfigType, InstanceList, OptConfigType, SampleList
from torch import Tensor

from diffpose_mm_runtime.refinement import DEFAULTS, check_refinement, with_peaks_of
from diffpose_mm_runtime.spread_calibration import SpreadCalibration

from ..codecs import consensus
from ..diffusion import SAMPLERS, NoiseSchedule, refined_sample
from .noise_draws import draw_steps_and_noise, noise_generators
from .self_alignment import SelfAlignment

TEST_CFG = dict(
    sampling_steps=4,
    num_hypotheses=1,
    sampler='ddim',
    eta=0.0,
    **DEFAULTS,
    flip_test=False,
    seed=0,
    output_heatmaps=False,
    aggregate='mean',
)
# What mmpose's estimators and heads read beside.
MMPOSE_TEST_CFG = ('flip_mode', 'shift_heatmap', 'output_keypoint_indices', 'multiscale_test')
# What streaming reads: docs in StreamingPoser.
STREAM_TEST_CFG = ('crop_tolerance',)
AGGREGATES = ('mean', 'consensus')

Features = tuple[Tensor] | list[tuple[Tensor]]


@MODELS.register_module()
class DiffPoseHead(BaseHead):
    """Keypoint heatmaps by conditional diffusion.

    Training adds noise to the heatmaps of the keyframe at a step drawn for each sample and
    regresses them back. Testing starts from Gaussian noise and runs a sampler, once for each of
    ``num_hypotheses`` independent noises (the paper says that it combines several estimates; how
    is a choice of this project).

    Fields of the model's ``test_cfg``, all of which can be changed at test time:

    - ``sampling_steps`` (int): S decoder calls for a hypothesis. Defaults to 4.
    - ``num_hypotheses`` (int): N. Defaults to 1.
    - ``sampler`` (str): A name in :data:`diffpose_mm.diffusion.SAMPLERS`. Defaults to ``'ddim'``.
    - ``eta`` (float): 0 is deterministic DDIM, 1 has DDPM's variance. Only of samplers that take
      it. Defaults to 0.
    - ``strength`` (float): Below 1, all steps but the first go through the last ``strength`` of
      the diffusion only, from the first answer noised to there (SDEdit, arXiv 2108.01073). 1, the
      default, is plain sampling.
    - ``temperature`` (float): Scale of that noise. Below 1 what is likely becomes likelier.
      Defaults to 1.
    - ``first_weight`` (float): Weight of the first step's x̂0 in the heatmaps of a hypothesis; the
      last step's has the rest. 0, the default, takes the last one.
    - ``first_scores`` (bool): Give each heatmap of a hypothesis the height that it had in the first
      step, so that scores are the first step's. Defaults to False.
    - ``flip_test`` (bool): Average x̂0 of the clip and of its mirror image in every step. Defaults
      to False, as in mmpose; the configs of this package set it.
    - ``seed`` (int): Of the noise. A sample's noise depends on this seed, on what identifies the
      sample (image and annotation) and on the number of the hypothesis, and on nothing else.
    - ``aggregate`` (str): ``'mean'`` (default) decodes the mean heatmaps of the hypotheses;
      ``'consensus'`` takes the keypoints of the one whole hypothesis that agrees best with the
      others by expected OKS (:func:`~diffpose_mm.codecs.consensus`). Scores are those of the mean
      heatmaps either way: one hypothesis does not know how sure all of them are.
    - ``output_heatmaps`` (bool): Keep the mean heatmaps in ``pred_fields``.

    Args:
        in_channels (int): Channels of the neck's feature 𝔽.
        out_channels (int): Number of keypoints K.
        pose_decoder (dict): Config of a :class:`ConditionalDecoder`; ``in_channels`` and
            ``num_keypoints`` are filled in.
        schedule (dict): Arguments of :class:`NoiseSchedule`. Defaults to 1000 cosine steps.
        noise_draws (int): Pairs of step and noise drawn for a sample in training. All share one
            pass of backbone and neck. Defaults to 1, as in the paper.
        self_aligned (dict, optional): Arguments of :class:`SelfAlignment`, which draws x_t of a
            part of the training samples from the model's own answer. Defaults to None: never, as
            in the paper.
        loss (dict): Loss on heatmaps; it is given keypoint weights. Defaults to plain MSE.
        decoder (dict): Config of the codec, :class:`DiffusionHeatmap`.
        init_cfg (dict, optional): mmengine's initialisation config.

    Attributes:
        spread_calibration (SpreadCalibration, optional): Of the checkpoint, see ``calibrate``.

    Raises:
        ValueError: No codec is given; the decoder cannot predict heatmaps of the codec's
            ``heatmap_size`` from 𝔽; a field of ``test_cfg`` is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        pose_decoder: ConfigType,
        schedule: dict | None = None,
        noise_draws: int = 1,
        self_aligned: dict | None = None,
        loss: ConfigType | None = None,
        decoder: OptConfigType = None,
        init_cfg: OptConfigType = None,
    ):
        super().__init__(init_cfg)
        if decoder is None:
            raise ValueError("DiffPoseHead needs decoder=dict(type='DiffusionHeatmap', ...)")
        if noise_draws < 1:
            raise ValueError(f'DiffPoseHead: noise_draws must be at least 1, got {noise_draws}')
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.noise_draws = noise_draws
        self.decoder = KEYPOINT_CODECS.build(decoder)
        width, height = self.decoder.heatmap_size
        self.heatmap_size = (int(width), int(height))
        self.schedule = NoiseSchedule(**(schedule or {}))
        self.self_alignment = SelfAlignment(**self_aligned) if self_aligned else None
        self.loss_module = MODELS.build(
            loss or dict(type='KeypointMSELoss', use_target_weight=True)
        )
        self.spread_calibration: SpreadCalibration | None = None
        self.pose_decoder = MODELS.build(
            dict(pose_decoder, in_channels=in_channels, num_keypoints=out_channels)
        )

    def check_test_cfg(self, test_cfg: dict) -> dict:
        """Fill in defaults and check the ranges; returns the fields this head reads."""
        for field in test_cfg:
            known = (*TEST_CFG, *MMPOSE_TEST_CFG, *STREAM_TEST_CFG)
            if field not in known:
                near = get_close_matches(field, known, 1)
                raise ValueError(
                    f'model.test_cfg.{field} is read by nobody'
                    + (f': is {near[0]} meant?' if near else '')
                )
        cfg = {field: test_cfg.get(field, default) for field, default in TEST_CFG.items()}
        steps, limit = cfg['sampling_steps'], self.schedule.num_steps
        if not isinstance(steps, int) or not 1 <= steps <= limit:
            raise ValueError(
                f'model.test_cfg.sampling_steps must be an integer from 1 to {limit}, the steps '
                f'of the diffusion that was trained, got {steps!r}'
            )
        if not isinstance(cfg['num_hypotheses'], int) or cfg['num_hypotheses'] < 1:
            raise ValueError(
                'model.test_cfg.num_hypotheses must be an integer of at least 1, got '
                f'{cfg["num_hypotheses"]!r}'
            )
        if not 0 <= cfg['eta'] <= 1:
            raise ValueError(f'model.test_cfg.eta must lie in [0, 1], got {cfg["eta"]!r}')
        check_refinement(cfg, 'model.test_cfg.')
        if cfg['sampler'] not in SAMPLERS:
            raise ValueError(
                f'model.test_cfg.sampler must be one of {", ".join(SAMPLERS)}, got '
                f'{cfg["sampler"]!r}'
            )
        if cfg['eta'] > 0 and not _takes_eta(SAMPLERS[cfg['sampler']]):
            raise ValueError(
                f'model.test_cfg.eta must be 0 with sampler={cfg["sampler"]!r}, which adds no '
                f'noise, got {cfg["eta"]!r}'
            )
        if cfg['aggregate'] not in AGGREGATES:
            raise ValueError(
                f"model.test_cfg.aggregate must be 'mean' or 'consensus', got {cfg['aggregate']!r}"
            )
        return cfg

    def check_feature_size(self, feature_size: tuple[int, int]) -> None:
        """Raise unless the decoder can predict the codec's heatmaps from 𝔽 of this (W, H)."""
        self.pose_decoder.check_size(feature_size, self.heatmap_size)

    def forward(self, feats: tuple[Tensor]) -> Tensor:
        """Deterministic heatmaps (N, K, h, w): one step from zero noise, for FLOP counters."""
        feature = feats[-1]
        width, height = self.heatmap_size
        noise = feature.new_zeros(feature.shape[0], self.out_channels, height, width)
        t = torch.full((len(noise),), self.schedule.num_steps - 1, device=noise.device)
        return self.pose_decoder(noise, feature, t)

    def loss(
        self, feats: tuple[Tensor], batch_data_samples: SampleList, train_cfg: OptConfigType = None
    ) -> dict:
        """Loss ‖x̂0 − x0‖² at a uniformly drawn step (paper section 3.3).

        Args:
            feats (tuple[Tensor]): The last one is 𝔽, (N, C, H, W).
            batch_data_samples (list[PoseDataSample]): With ``gt_fields.heatmaps`` (K, h, w)
                and ``gt_instance_labels.keypoint_weights`` (1, K).
            train_cfg (dict, optional): ``compute_acc`` (bool) turns off ``acc_pose``.

        Returns:
            dict: ``loss_kpt`` and ``acc_pose``, the share of joints within 0.05 of the heatmap
            size, over the drawn steps.
        """
        feature = feats[-1]
        heatmaps = torch.stack([d.gt_fields.heatmaps for d in batch_data_samples])
        weights = torch.cat([d.gt_instance_labels.keypoint_weights for d in batch_data_samples])
        heatmaps = heatmaps.to(feature.device).repeat_interleave(self.noise_draws, dim=0)
        weights = weights.to(feature.device).repeat_interleave(self.noise_draws, dim=0)

        x0 = self.decoder.to_signal(heatmaps)
        t, noise = draw_steps_and_noise(x0, self.schedule.num_steps, self.noise_draws)
        if self.self_alignment is not None:
            x0, t = self.self_alignment(self, x0, t, noise, feature)
        x_t = self.schedule.add_noise(x0, noise, t)
        predicted = self.pose_decoder(x_t, feature, t)

        losses = dict(loss_kpt=self.loss_module(predicted, heatmaps, weights))
        if (train_cfg or {}).get('compute_acc', True):
            _, accuracy, _ = pose_pck_accuracy(
                output=to_numpy(predicted.float()),
                target=to_numpy(heatmaps),
                mask=to_numpy(weights) > 0,
            )
            losses.update(acc_pose=torch.tensor(float(accuracy), device=feature.device))
        return losses

    def predict(
        self, feats: Features, batch_data_samples: SampleList, test_cfg: OptConfigType = None
    ) -> InstanceList | tuple:
        """Sample N hypotheses a sample, all in one batch, and decode them.

        Args:
            feats (tuple[Tensor] | list[tuple[Tensor]]): The features, or with ``flip_test``
                those of the clip and those of its mirror image.
            batch_data_samples (list[PoseDataSample]): Their metainfo identifies the samples.
            test_cfg (dict, optional): See the class.

        Returns:
            list[InstanceData]: One for each sample, in input pixels: ``keypoints`` (1, K, 2),
            ``keypoint_scores`` (1, K), and for more than one hypothesis ``keypoint_std``
            (1, K, 2), ``hypotheses`` (1, N, K, 2) and ``hypothesis_scores`` (1, N, K). With
            ``output_heatmaps`` also a list of :class:`PixelData` with the mean heatmaps.
            ``keypoints`` follow ``aggregate``, all else does not. ``keypoint_std`` is the spread of
            the hypotheses, or with a ``spread_calibration`` the standard deviation of the error.
        """
        cfg = self.check_test_cfg(test_cfg or {})
        heatmaps = self.sample(feats, batch_data_samples, cfg)

        predictions = []
        for sample_heatmaps, sample in zip(to_numpy(heatmaps), batch_data_samples):
            decoded = self.decoder.decode_hypotheses(sample_heatmaps)
            if cfg['aggregate'] == 'consensus':
                decoded = self.take_consensus(decoded, sample)
            if self.spread_calibration is not None and cfg['num_hypotheses'] > 1:
                decoded['keypoint_std'] = self.spread_calibration(
                    decoded['keypoint_std'],
                    decoded['keypoint_scores'],
                    cfg['num_hypotheses'],
                    cfg['sampling_steps'],
                )
            if cfg['num_hypotheses'] == 1:
                # One hypothesis says nothing of a spread: 0 would read as "certain".
                decoded = {name: decoded[name] for name in ('keypoints', 'keypoint_scores')}
            predictions.append(InstanceData(**decoded))
        if cfg['output_heatmaps']:
            return predictions, [PixelData(heatmaps=h) for h in heatmaps.mean(dim=1)]
        return predictions

    def take_consensus(self, decoded: dict[str, np.ndarray], sample: PoseDataSample) -> dict:
        """Put the hypothesis that agrees best with the others in place of the mean keypoints.

        Args:
            decoded (dict): From the codec's ``decode_hypotheses``, input pixels; left as it is.
            sample (PoseDataSample): Its box is the person's size, its metainfo has ``sigmas``.

        Returns:
            dict: The same with other ``keypoints`` (1, K, 2).

        Raises:
            ValueError: The sample has no ``sigmas``.
        """
        hypotheses = decoded['hypotheses'][0]
        if len(hypotheses) == 1:
            return dict(decoded)
        meta = sample.metainfo
        if 'sigmas' not in meta:
            raise ValueError(
                "model.test_cfg.aggregate='consensus' compares poses by OKS and needs 'sigmas' in "
                'the metainfo of a sample: load it with a clip data set and PackClipInputs of this '
                "package, or set aggregate='mean'"
            )
        extent = getattr(self.decoder, 'input_extent', meta['input_size'])
        box = np.asarray(sample.gt_instances.bboxes[0], dtype=np.float64)
        width, height = (box[2:] - box[:2]) / meta['input_scale'] * extent
        chosen = consensus(hypotheses, width * height, np.asarray(meta['sigmas']))
        return dict(decoded, keypoints=decoded['hypotheses'][:, chosen].copy())

    def sample(
        self,
        feats: Features,
        batch_data_samples: SampleList,
        cfg: dict,
        callback: Callable | None = None,
    ) -> Tensor:
        """Run the sampler from noise for every hypothesis of every sample.

        Args:
            feats: As in :meth:`predict`.
            batch_data_samples (list[PoseDataSample]): N samples.
            cfg (dict): From :meth:`check_test_cfg`.
            callback (callable, optional): ``callback(i, t, x_t, x0)`` after each step, signals of
                shape (N*R, K, h, w).

        Returns:
            Tensor: Heatmaps in [0, 1], (N, R, K, h, w), float32.
        """
        mirrored = cfg['flip_test']
        views = cast(list[tuple[Tensor]], feats if mirrored else [feats])
        features = [view[-1] for view in views]
        prepared = [self.pose_decoder.prepare(f) for f in features]
        swap = list(batch_data_samples[0].metainfo['flip_indices']) if mirrored else None
        hypotheses = cfg['num_hypotheses']
        shape = (self.out_channels, *self.heatmap_size[::-1])

        generators = [
            generator
            for sample in batch_data_samples
            for generator in noise_generators(sample.metainfo, cfg['seed'], hypotheses)
        ]
        noise = torch.stack([torch.randn(shape, generator=g) for g in generators])
        noise = noise.to(features[0].device)

        def denoise(x_t: Tensor, t: Tensor) -> Tensor:
            heatmaps = self._denoise_heatmaps(x_t, t, prepared, swap)
            return self.decoder.to_signal(heatmaps)

        sampler = SAMPLERS[cfg['sampler']]
        options = dict(eta=cfg['eta']) if _takes_eta(sampler) else {}
        first, signal = refined_sample(
            sampler,
            denoise,
            noise,
            self.schedule,
            cfg['sampling_steps'],
            cfg['strength'],
            cfg['temperature'],
            cfg['first_weight'],
            callback,
            **options,
            clip=self.decoder.signal_scale,
            generator=generators,
        )
        heatmaps = self.decoder.to_heatmap(signal.float())
        if cfg['first_scores']:
            heatmaps = with_peaks_of(heatmaps, self.decoder.to_heatmap(first.float()))
        return heatmaps.unflatten(0, (len(batch_data_samples), hypotheses))

    def _denoise_heatmaps(
        self,
        x_t: Tensor,
        t: Tensor,
        prepared: list[Any],
        swap: Sequence[int] | None,
    ) -> Tensor:
        heatmaps = self.pose_decoder.denoise(x_t, t, prepared[0])
        if swap is not None:
            # One chain sees both views: its mirror image is denoised and mirrored back.
            mirror = self.pose_decoder.denoise(x_t[:, swap].flip(-1), t, prepared[1])
            heatmaps = 0.5 * (heatmaps + mirror[:, swap].flip(-1))
        return heatmaps


def _takes_eta(sampler: Callable) -> bool:
    """Whether a sampler puts in fresh noise, as much as its parameter ``eta`` says."""
    return 'eta' in inspect.signature(sampler).parameters
