"""MMPose's zoo of ViTPose, and where else the same network can be had.

The addresses are those of mmpose 1.3.2 (``vitpose_coco.yml`` of its configs). The eight digits are
the start of the file's SHA-256 (mmpose's ``tools/misc/publish_model.py`` writes them so). The hub's
models were converted from ViTAE's files: the same architecture, head and training set, which is not
to say the same run of training.
"""

import re
from dataclasses import dataclass

HOST = 'https://download.openmmlab.com/'
_FOLDER = f'{HOST}mmpose/v1/body_2d_keypoint/topdown_heatmap/coco/'
_DIGITS = re.compile(r'-([0-9a-f]{8})(_\d{8})?\.(pth|safetensors)$')


@dataclass(frozen=True)
class ZooFile:
    """A file of MMPose's zoo.

    Attributes:
        name: Of the file.
        digits: The first eight hexadecimal digits of its SHA-256, from its name.
        hub: The hub's model of the same architecture, head and training set; None if there is none.
        kin: A hub's model of the same architecture and head that was trained otherwise (ViTPose++,
            on six data sets).
    """

    name: str
    digits: str
    hub: str | None
    kin: str | None = None

    @property
    def address(self) -> str:
        """Where MMPose's zoo has it."""
        return _FOLDER + self.name


def _file(size: str, digits: str, date: str, hub: str | None, kin: str | None = None) -> ZooFile:
    name = f'td-hm_ViTPose-{size}_8xb64-210e_coco-256x192-{digits}_{date}.pth'
    return ZooFile(
        name, digits, hub and f'hf:usyd-community/{hub}', kin and f'hf:usyd-community/{kin}'
    )


FILES = (
    _file('small', '62d7a712', '20230314', None, 'vitpose-plus-small'),
    _file('base', '216eae50', '20230314', 'vitpose-base'),
    _file('large', '53609f55', '20230314', None, 'vitpose-plus-large'),
    _file('huge', 'e32adcd4', '20230314', None, 'vitpose-plus-huge'),
    _file('small-simple', '4c101a76', '20230314', None),
    _file('base-simple', '0b8234ea', '20230407', 'vitpose-base-simple'),
    _file('large-simple', '3a7ee9e1', '20230314', None),
    _file('huge-simple', 'ffd48c05', '20230314', None),
)


def zoo_file(source: str) -> ZooFile | None:
    """The zoo's file that an address or path names, None if it is none of ViTPose."""
    name = source.replace('\\', '/').rpartition('/')[2]
    return next((file for file in FILES if file.name == name), None)


def digits_in(name: str) -> str | None:
    """The start of a SHA-256 in a file's name, as OpenMMLab writes it; None without one."""
    found = _DIGITS.search(name)
    return found[1] if found else None
