"""Which metric the best checkpoint goes by, and whether more of it is better."""

import pytest
from mmpose.evaluation import metrics as mmpose_metrics

from diffpose_mm.engine.best_metric import check_prefixes, main_metric, rule_of


@pytest.mark.parametrize(
    'metric, rule',
    [
        ('posetrack/AP', 'greater'),
        ('posetrack/Head AP', 'greater'),
        ('posetrack/AP (occluded)', 'greater'),
        ('coco/AP .5', 'greater'),
        ('crowdpose/AP(E)', 'greater'),
        ('jhmdb/PCK', 'greater'),
        ('jhmdb/Head tPCK', 'greater'),
        ('PCKh@0.1', 'greater'),
        ('AUC', 'greater'),
        ('MOTA', 'greater'),
        ('EPE', 'less'),
        ('NME', 'less'),
        ('MPJPE', 'less'),
        ('P-MPJPE', 'less'),
        ('AP error', 'less'),
        ('val_loss', 'less'),
        ('shape', None),  # mmengine goes by parts of words: it has "ap" in it
        ('top', None),
        ('stiffness', None),
    ],
)
def test_rule_by_the_words_of_a_name(metric, rule):
    """Broken if the worst checkpoint were kept as the best."""
    assert rule_of(metric) == rule


@pytest.mark.parametrize(
    'metrics, main',
    [
        (['posetrack/Head AP', 'posetrack/AP', 'posetrack/AP (visible)'], 'posetrack/AP'),
        (['coco/AP', 'coco/AP .5', 'coco/AR'], 'coco/AP'),
        (['Head PCK', 'Sho PCK', 'PCK', 'AUC'], 'PCK'),
        (['EPE', 'AUC'], 'AUC'),
        (['note', 'Head PCK'], 'Head PCK'),
        (['note'], None),
        ([], None),
    ],
)
def test_the_main_metric(metrics, main):
    assert main_metric(metrics) == main


def test_a_given_rule_chooses_among_the_metrics():
    assert main_metric(['AUC', 'EPE'], 'less') == 'EPE'
    assert main_metric(['note'], 'greater') == 'note'


def test_metrics_without_prefix_may_have_any_name():
    check_prefixes(['posetrack/AP'], [])
    check_prefixes(['posetrack/AP'], ['jhmdb', None])
    check_prefixes(['auto'], ['jhmdb'])
    check_prefixes(['jhmdb/PCK'], ['posetrack', 'jhmdb'])


def test_prefixes_are_those_of_mmpose():
    """Broken if mmpose's metrics came to have prefixes of another kind than mmengine's."""
    assert mmpose_metrics.CocoMetric.default_prefix == 'coco'
    assert mmpose_metrics.PCKAccuracy.default_prefix is None
