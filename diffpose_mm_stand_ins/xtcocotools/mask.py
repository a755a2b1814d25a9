"""Masks are the same in both."""

from pycocotools.mask import *  # noqa: F403
