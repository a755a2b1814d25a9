"""mmpose's visualizer, with the hypotheses and the spread of a pose (paper section 3)."""

import cv2
import numpy as np
from mmengine.structures import InstanceData
from mmpose.registry import VISUALIZERS
from mmpose.visualization import PoseLocalVisualizer


@VISUALIZERS.register_module()
class ClipPoseVisualizer(PoseLocalVisualizer):
    """Draw predicted poses, and under them their hypotheses and their spread.

    ``hypotheses`` (B, N, K, 2) become faint skeletons and ``keypoint_std`` (B, K, 2), both in image
    pixels, ellipses of one standard deviation; ``track_ids`` (B, ) stand at the heads. Predictions
    without them look as mmpose draws them.

    Args:
        name: Name of the instance, as in mmengine.
        draw_hypotheses: Draw ``hypotheses`` of predictions that have them. Defaults to True.
        draw_spread: Draw ``keypoint_std`` of predictions that have it. Defaults to True.
        hypothesis_alpha: Opacity of one hypothesis. Defaults to 0.4.
        draw_track_ids: Write ``track_ids`` of predictions that have them. Defaults to True.
        spread_color: RGB of the ellipses.
        **kwargs: The arguments of :class:`PoseLocalVisualizer`.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        draw_hypotheses: bool = True,
        draw_spread: bool = True,
        hypothesis_alpha: float = 0.4,
        draw_track_ids: bool = True,
        spread_color: tuple[int, int, int] = (255, 255, 0),
        **kwargs,
    ) -> None:
        super().__init__(name=name, **kwargs)
        self.draw_hypotheses = draw_hypotheses
        self.draw_spread = draw_spread
        self.hypothesis_alpha = hypothesis_alpha
        self.draw_track_ids = draw_track_ids
        self.spread_color = spread_color

    def _draw_instances_kpts(
        self,
        image: np.ndarray,
        instances: InstanceData,
        kpt_thr: float = 0.3,
        show_kpt_idx: bool = False,
        skeleton_style: str = 'mmpose',
    ) -> np.ndarray:
        """Draw poses; as in the base class, with hypotheses and spread under them."""
        image = np.ascontiguousarray(image).copy()
        if self.draw_hypotheses and 'hypotheses' in instances:
            hypotheses = np.asarray(instances.hypotheses, dtype=np.float32)
            scores = np.asarray(
                instances.get('hypothesis_scores', np.ones(hypotheses.shape[:3])), dtype=np.float32
            )
            for n in range(hypotheses.shape[1]):
                layer = image.copy()
                for points, score in zip(hypotheses[:, n], scores[:, n]):
                    self._draw_links(layer, points, score >= kpt_thr)
                alpha = self.hypothesis_alpha
                image = cv2.addWeighted(layer, alpha, image, 1 - alpha, 0)
        if self.draw_spread and 'keypoint_std' in instances:
            self._draw_ellipses(image, instances, kpt_thr)
        image = super()._draw_instances_kpts(
            image, instances, kpt_thr, show_kpt_idx, skeleton_style
        )
        if self.draw_track_ids and 'track_ids' in instances:
            image = np.ascontiguousarray(image)
            self._draw_numbers(image, instances, kpt_thr)
        return image

    def _draw_instances_bbox(self, image: np.ndarray, instances: InstanceData) -> np.ndarray:
        """As in the base class, which fails on an image without people."""
        return super()._draw_instances_bbox(image, instances) if len(instances) else image

    def _draw_links(self, image: np.ndarray, points: np.ndarray, shown: np.ndarray) -> None:
        for index, (a, b) in enumerate(self.skeleton or ()):
            if shown[a] and shown[b] and np.isfinite(points[[a, b]]).all():
                ends = points[[a, b]].round().astype(int).tolist()
                color, width = self._link_color_of(index), (int(self.line_width) + 1) // 2
                cv2.line(image, *ends, color, width, cv2.LINE_AA)

    def _link_color_of(self, index: int) -> tuple[int, ...]:
        colors: np.ndarray | None = self.link_color
        if colors is None or isinstance(colors, str):
            return (255, 255, 255)
        return tuple(int(c) for c in colors[index])

    def _draw_ellipses(self, image: np.ndarray, instances: InstanceData, kpt_thr: float) -> None:
        points = np.asarray(instances.keypoints, dtype=np.float32)
        deviations = np.asarray(instances.keypoint_std, dtype=np.float32)
        scores = np.asarray(instances.get('keypoint_scores', np.ones(points.shape[:2])))
        for centre, axes, score in zip(
            points.reshape(-1, 2), deviations.reshape(-1, 2), scores.reshape(-1)
        ):
            if score < kpt_thr or not np.isfinite(centre).all() or axes.max() < 0.5:
                continue
            cv2.ellipse(
                image,
                tuple(centre.round().astype(int).tolist()),
                tuple(np.maximum(axes, 1).round().astype(int).tolist()),
                0,
                0,
                360,
                self.spread_color,
                max(int(self.line_width) // 2, 1),
                cv2.LINE_AA,
            )

    def _draw_numbers(self, image: np.ndarray, instances: InstanceData, kpt_thr: float) -> None:
        width = int(self.line_width)
        points = np.asarray(instances.keypoints, dtype=np.float32)
        scores = np.asarray(instances.get('keypoint_scores', np.ones(points.shape[:2])))
        for number, joints in zip(
            instances.track_ids, (p[s >= kpt_thr] for p, s in zip(points, scores))
        ):
            if not len(joints) or not np.isfinite(joints).all():
                continue
            x, y = joints[joints[:, 1].argmin()].round().astype(int).tolist()
            # The head may be above the image.
            y = max(y - 2 * width, 8 + 3 * width)
            for color, thickness in (((0, 0, 0), width + 2), ((255, 255, 255), width)):
                cv2.putText(
                    image, str(int(number)), (x + 4 + width, y),
                    cv2.FONT_HERSHEY_SIMPLEX, 0.3 + 0.12 * width, color, thickness, cv2.LINE_AA,
                )  # fmt: skip
