"""Evaluation: average precision, tracking, quality of hypotheses, sweeps over S and N."""

from .dump_results import DumpSortedResults
from .hypothesis_quality import HypothesisQuality
from .posetrack_ap import PoseTrackAP
from .posetrack_files import load_ground_truth, predicted_poses
from .posetrack_mota import PoseTrackMOTA, evaluate_tracks
from .posetrack_motion import PoseTrackMotion, evaluate_motion
from .posetrack_protocol import evaluate_poses
from .posetrack_submissions import load_submission, write_submission
from .sweep import Sweep, SweepScores

__all__ = [
    'DumpSortedResults',
    'HypothesisQuality',
    'PoseTrackAP',
    'PoseTrackMOTA',
    'PoseTrackMotion',
    'Sweep',
    'SweepScores',
    'evaluate_motion',
    'evaluate_poses',
    'evaluate_tracks',
    'load_ground_truth',
    'load_submission',
    'predicted_poses',
    'write_submission',
]
