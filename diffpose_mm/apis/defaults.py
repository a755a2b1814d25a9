"""What inference takes where nothing is named: a model that comes along, a folder for outputs."""

import os
import os.path as osp
import re

from ..configs import packaged_configs
from ..detectors import multipose

WEIGHTS = dict(
    diffpose_real='shipped://diffpose-real',
    movenet_thunder='shipped://movenet-thunder',
)
"""Configs whose weights come along, so that naming the config is enough: real people, 17 joints of
COCO."""
MODEL = 'diffpose_real', WEIGHTS['diffpose_real']
DETECTOR = multipose.NAME
"""Finds people for it: the same ones on a machine with a network and on one without."""


def weights_of_config(config: object) -> str | None:
    """The weights that come along for a config: by its name, with ``.py`` or not, or its path."""
    if not isinstance(config, (str, os.PathLike)):
        return None
    given = os.fspath(config)
    for name, path in packaged_configs().items():
        if osp.isfile(given) and osp.samefile(given, path):
            return WEIGHTS.get(name)
    return WEIGHTS.get(given.removesuffix('.py'))


def output_folder(source: str, resume: bool = False) -> str:
    """A folder beside the input that is not there yet: ``walk_poses`` for ``walk.mp4``.

    Of a camera or stream it is in the current folder.

    Args:
        source: A path, a camera or an address.
        resume: Take the newest of those that are there, to go on in it.

    Raises:
        ValueError: Nothing can be written there; says what to do.
    """
    place, name = osp.split(osp.abspath(source))
    if not osp.exists(source):
        place, name = os.getcwd(), re.sub(r'[^A-Za-z0-9]+', '_', osp.basename(source)).strip('_')
    base = osp.join(place, f'{osp.splitext(name)[0] or "stream"}_poses')
    folder, number = base, 1
    while osp.lexists(folder):
        number += 1
        following = f'{base}{number}'
        if resume and not osp.lexists(following):
            return folder
        folder = following
    if not os.access(place, os.W_OK):
        raise ValueError(f'nothing can be written beside the input, in {place}: give --out DIR')
    return folder
