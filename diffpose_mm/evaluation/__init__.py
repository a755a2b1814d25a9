"""Evaluation: PoseTrack's average precision and the worth of hypotheses, metrics and functions."""

from .dump_results import DumpSortedResults
from .hypothesis_quality import HypothesisQuality
from .posetrack_ap import PoseTrackAP
from .posetrack_files import load_ground_truth, load_submission, predicted_poses, write_submission
from .posetrack_mota import PoseTrackMOTA, evaluate_tracks
from .posetrack_protocol import evaluate_poses

__all__ = [
    'DumpSortedResults',
    'HypothesisQuality',
    'PoseTrackAP',
    'PoseTrackMOTA',
    'evaluate_poses',
    'evaluate_tracks',
    'load_ground_truth',
    'load_submission',
    'predicted_poses',
    'write_submission',
]
