"""Outputs of pictures that are not frames of a clip: one file each."""

import os.path as osp

import cv2
import mmengine

from ..files import writing
from .naming import is_file_name
from .records import Result
from .sink import RunInfo, Sink


class PictureJSON(Sink):
    """The people of each picture as mmpose writes them: a list of dicts in a file of its own.

    Args:
        folder: The folder to write to.
        info: The run.
    """

    def __init__(self, folder: str, info: RunInfo) -> None:
        self.files = [osp.join(folder, stem + '.json') for stem in info.stems]
        self.with_hypotheses = info.with_hypotheses

    def write(self, result: Result) -> None:
        """Write the file of one picture; one that cannot be read has none."""
        if result.frame.fault is not None:
            return
        path = self.files[result.frame.index]
        with writing(path):
            mmengine.dump(result.instances(self.with_hypotheses), path, indent='  ')


class PictureFiles(Sink):
    """Drawn pictures.

    Args:
        path: The folder to write to, or of a single picture the file.
        info: The run.

    Raises:
        ValueError: One file for several pictures.
    """

    def __init__(self, path: str, info: RunInfo) -> None:
        names = info.source.names
        if is_file_name(path):
            if len(names) > 1:
                raise ValueError(
                    f'vis_out_dir={path!r} is one file for {len(names)} pictures: give a folder'
                )
            self.files = [path]
        else:
            files = [stem + _suffix(stem, name) for stem, name in zip(info.stems, names)]
            if len({file.casefold() for file in files}) < len(files):
                files = [f'{index:06d}_{file}' for index, file in enumerate(files)]
            self.files = [osp.join(path, file) for file in files]

    def write(self, result: Result) -> None:
        """Write one picture."""
        if result.picture is None:
            return
        path = self.files[result.frame.index]
        with writing(path):
            done, data = cv2.imencode(osp.splitext(path)[1], result.picture[..., ::-1])
            if not done:
                raise OSError(f'OpenCV cannot encode a {result.picture.shape} picture')
            with open(path, 'wb') as file:
                file.write(data.tobytes())


def _suffix(stem: str, name: str) -> str:
    """The extension of a drawn picture: that of the picture where OpenCV can write it."""
    suffix = osp.splitext(name)[1]
    if not suffix or not cv2.haveImageWriter('x' + suffix):
        suffix = '.png'
    # A stem that had to keep its extension to be unique has it already.
    return '' if stem.lower().endswith(suffix.lower()) else suffix
