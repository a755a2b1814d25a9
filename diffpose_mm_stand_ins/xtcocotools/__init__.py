"""For xtcocotools 1.14.3: what mmpose takes from it to evaluate bodies, over pycocotools."""

__version__ = '1.14.3+pycocotools'
