"""Which detector runs where none is named, and what is told where none can be had."""

import numpy as np
import pytest

from diffpose_mm.apis import detector as apis_detector
from diffpose_mm.apis.detector import DetectedPeople, PersonDetector
from diffpose_mm.detectors import (
    SHIPPED,
    DefaultDetector,
    Detections,
    default,
    default_order,
    find_detector,
)


class Stub:
    """Finds one person, or cannot be had."""

    names, fallback_label, clips = {0: 'person'}, None, True

    def __init__(self, name, fault=None):
        self.name, self.fault, self.prepared = name, fault, 0

    def prepare(self):
        self.prepared += 1
        if self.fault:
            raise OSError(self.fault)

    def identity(self):
        return dict(library=self.name)

    def description(self):
        return self.name

    def __call__(self, frames):
        one = Detections(np.array([[1, 2, 30, 40.0]]), np.array([0.9]), np.array([0]))
        return [one for _ in frames]


def detector_of(*candidates):
    detector = PersonDetector()
    detector.network = DefaultDetector(candidates)
    return detector


def test_the_first_that_can_be_had_runs_and_is_named(monkeypatch):
    """Broken if another detector than the expected one ran without a word."""
    said = []
    monkeypatch.setattr(apis_detector, 'print_log', lambda text, *_: said.append(text))
    first, second, third = Stub('zoo', 'no network'), Stub('small one'), Stub('never')
    detector = detector_of(first, second, third)
    (people,) = detector([np.zeros((50, 60, 3), np.uint8)], 0.3, 0.3)
    assert people[0].box.tolist() == [1, 2, 30, 40]
    assert said == ['people are found by small one (not by zoo: no network)']
    assert detector.identity() == dict(library='small one', labels=['person'])
    detector([np.zeros((50, 60, 3), np.uint8)], 0.3, 0.3)
    assert (first.prepared, third.prepared) == (1, 0), 'the choice is made once'
    assert len(said) == 1


def test_runs_with_different_detectors_are_told_apart():
    """Broken if a run begun with one detector were gone on with by another, in one file."""
    with_network = DetectedPeople(detector_of(Stub('zoo'), Stub('small one')), 0.3, 0.3)
    without = DetectedPeople(detector_of(Stub('zoo', 'down'), Stub('small one')), 0.3, 0.3)
    assert with_network.identity()['library'] == 'zoo'
    assert without.identity()['library'] == 'small one'
    limited = DetectedPeople(detector_of(Stub('zoo')), 0.3, 0.3, 2)
    assert limited.identity() == dict(with_network.identity(), max_people=2)


def test_none_to_be_had_says_why_for_each_and_what_else_to_do():
    detector = detector_of(Stub('zoo', 'host\nis down'), Stub('other', 'pip install other'))
    for call in detector.prepare, detector.identity:
        with pytest.raises(ValueError) as error:
            call()
        text = str(error.value)
        assert 'zoo: host is down; other: pip install other' in text and '\n' not in text
        for way in ('--det-model hf:', 'torchvision:', '--boxes FILE', 'whole_image', 'bboxes='):
            assert way in text


def test_the_order_begins_with_rtmdet_and_goes_on_with_what_ships(monkeypatch):
    monkeypatch.setitem(SHIPPED, 'stub', lambda device: Stub(f'shipped on {device}'))
    names = [candidate.description() for candidate in default_order('cpu')]
    assert names[0] == "mmdet's RTMDet-m" and names[-1] == 'shipped on cpu'
    assert isinstance(find_detector(), DefaultDetector)
    assert find_detector('stub').description() == 'shipped on None'


def test_rtmdet_is_built_from_the_file_that_was_downloaded(monkeypatch):
    """Broken if mmdet were left to fetch it, which waits for a host that is silent."""
    seen = []
    monkeypatch.setattr(default, 'download', lambda address: seen.append(address) or '/none.pth')
    with pytest.raises(Exception, match='/none.pth does not exist'):
        default.ZooRTMDet('cpu').prepare()
    assert len(seen) == 1 and seen[0].endswith('obj365-person-235e8209.pth')
    assert default.ZooRTMDet().identity()['weights'] == seen[0]
