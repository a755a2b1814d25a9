"""``COCO`` as xtcocotools 1.14.3 has it."""

import json
from typing import Any

import numpy as np
from pycocotools.coco import COCO as PyCOCO  # noqa: N811


class COCO(PyCOCO):
    """pycocotools' index with what xtcocotools added.

    Args:
        annotation_file: A file in COCO's form. None gives an empty index.
        test_index: Which keypoints of each person to keep. None keeps all.
        ann_data: What is in the file, if it has been read already.
    """

    def __init__(
        self,
        annotation_file: str | None = None,
        test_index: Any = None,
        ann_data: dict | None = None,
    ) -> None:
        super().__init__()
        self.anno_file = [annotation_file]
        self.test_index = test_index
        if annotation_file is None:
            return
        print('loading annotations into memory...')
        if ann_data is None:
            with open(annotation_file) as file:
                ann_data = json.load(file)
        assert type(ann_data) is dict, f'annotation file format {type(ann_data)} not supported'
        self.dataset = ann_data
        self.createIndex()
        for annotation in self.dataset.get('annotations', []):
            if test_index is not None:
                points = np.array(annotation['keypoints']).reshape(-1, 3)[test_index]
                annotation['keypoints'] = points.ravel().tolist()
            annotation.setdefault('iscrowd', False)

    def loadRes(self, resFile: Any, resData: list | None = None) -> 'COCO':  # noqa: N802
        """Results as an index of their own; there may be none.

        Args:
            resFile: A file, an array, or the results themselves.
            resData: What is in the file, if it has been read already.
        """
        if len(self.anno_file) == 1:
            self.anno_file.append(resFile)
        if isinstance(resFile, str):
            if resData is None:
                with open(resFile) as file:
                    resData = json.load(file)
            resFile = resData
        elif isinstance(resFile, np.ndarray):
            resFile = self.loadNumpyAnnotations(resFile)
        result = COCO()
        if len(resFile):
            found = super().loadRes(resFile)
            result.dataset = found.dataset
        else:
            result.dataset = dict(images=list(self.dataset['images']), annotations=[])
        result.createIndex()
        return result
