"""``COCOeval`` as xtcocotools 1.14.3 has it, for boxes, masks and the keypoints of bodies."""

from collections import defaultdict
from typing import Any

import numpy as np
from pycocotools.cocoeval import COCOeval as PyCOCOeval

BBOX_TO_AREA = 0.53
KINDS = ('keypoints', 'bbox', 'segm')


def _labelled(annotation: dict) -> int:
    """How many keypoints have a third number above 0."""
    return np.count_nonzero(np.asarray(annotation['keypoints'])[2::3] > 0)


class COCOeval(PyCOCOeval):
    """pycocotools' evaluation with xtcocotools' rules for what counts.

    An annotation may have the number 0; the labelled points of a person are counted, whatever
    ``num_keypoints`` says or if it is not there; a detection without any point is none; without
    ``use_area`` the size of a person is 0.53 times that of the box. What was loaded is not changed.
    Results that are no numbers are refused, which pycocotools 2.0.11 takes for exact ones.

    Args:
        cocoGt: Ground truth, a ``COCO``.
        cocoDt: Detections, from its ``loadRes``.
        iouType: 'keypoints', 'bbox' or 'segm'.
        sigmas: Of the keypoints. None takes those of COCO.
        use_area: Whether annotations have an ``area`` that counts.

    Raises:
        ValueError: By ``evaluate``, of a keypoint that is not finite.
        NotImplementedError: For whole bodies and CrowdPose, which are xtcocotools' own.
    """

    def __init__(
        self,
        cocoGt: Any = None,
        cocoDt: Any = None,
        iouType: str = 'keypoints',
        sigmas: Any = None,
        use_area: bool = True,
    ) -> None:
        if iouType not in KINDS:
            raise NotImplementedError(
                f'the stand-in for xtcocotools evaluates {", ".join(KINDS)}, not {iouType}: '
                'install xtcocotools itself (Python 3.10 or 3.11, numpy 1)'
            )
        super().__init__(cocoGt, cocoDt, iouType)
        if iouType == 'keypoints':
            if sigmas is not None:
                self.params.kpt_oks_sigmas = np.asarray(sigmas)
            self.sigmas = self.params.kpt_oks_sigmas
        self.use_area = use_area
        if cocoGt is not None:
            self.anno_file = cocoGt.anno_file

    def _counted(self, truth: dict) -> dict:
        """A copy of an annotation as pycocotools has to see it."""
        truth = dict(truth, id=truth['id'] + 1)  # pycocotools takes 0 for 'no match'
        truth['num_keypoints'] = _labelled(truth)
        truth['ignore'] = int(truth['num_keypoints'] == 0 or truth['iscrowd'])
        if not self.use_area:
            truth['area'] = truth['bbox'][2] * truth['bbox'][3] * BBOX_TO_AREA
        return truth

    def _prepare(self) -> None:
        """Called by ``evaluate``: gather annotations and detections by image and category."""
        if self.params.iouType != 'keypoints':
            super()._prepare()
            for key, truths in self._gts.items():
                self._gts[key] = [dict(truth, id=truth['id'] + 1) for truth in truths]
            return
        chosen = dict(imgIds=self.params.imgIds)
        if self.params.useCats:
            chosen['catIds'] = self.params.catIds
        self._gts, self._dts = defaultdict(list), defaultdict(list)
        for truth in self.cocoGt.loadAnns(self.cocoGt.getAnnIds(**chosen)):
            self._gts[truth['image_id'], truth['category_id']].append(self._counted(truth))
        for found in self.cocoDt.loadAnns(self.cocoDt.getAnnIds(**chosen)):
            if not np.isfinite(np.asarray(found['keypoints'], float)).all():
                raise ValueError(
                    f'the result for image_id {found["image_id"]} has a keypoint that is no '
                    'number, which pycocotools counts as exact (an AP of 1.0 for people beside '
                    'the truth): write (0, 0) with a score of 0 for a keypoint that was not found'
                )
            if _labelled(found):
                self._dts[found['image_id'], found['category_id']].append(found)
        self.evalImgs, self.eval = defaultdict(list), {}
