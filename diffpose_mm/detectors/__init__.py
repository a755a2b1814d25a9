"""Detectors of persons: of mmdet, transformers and torchvision, behind one small interface."""

from .default import DefaultDetector, default_order
from .interface import Detections, Detector, DetectorError
from .names import FORMS, find_detector
from .selection import person_labels, select_persons
from .shipped import SHIPPED

__all__ = [
    'FORMS',
    'SHIPPED',
    'DefaultDetector',
    'Detections',
    'Detector',
    'DetectorError',
    'default_order',
    'find_detector',
    'person_labels',
    'select_persons',
]
