"""Evaluation: PoseTrack's average precision, as a metric and as plain functions."""

from .posetrack_ap import PoseTrackAP
from .posetrack_files import load_ground_truth, load_submission, predicted_poses, write_submission
from .posetrack_protocol import evaluate_poses

__all__ = [
    'PoseTrackAP', 'evaluate_poses', 'load_ground_truth', 'load_submission', 'predicted_poses',
    'write_submission'
]
