"""Models: STRL neck, pose decoder with LMSFI, diffusion head, clip estimator."""

from ..loading import decode_metadata
from ..shipped import register_scheme
from .clip_neck import ClipNeck
from .clip_vision_transformer import ClipVisionTransformer
from .conditional_decoder import ConditionalDecoder
from .data_preprocessor import ClipDataPreprocessor
from .diffpose_head import DiffPoseHead
from .heatmap_head import Float32HeatmapHead
from .joint_query_neck import JointQueryNeck
from .keyframe_query_neck import KeyframeQueryNeck
from .movenet_backbone import MoveNetBackbone
from .movenet_head import MoveNetHead
from .movenet_multipose import MultiPose
from .movenet_pose_backbone import MoveNetPoseBackbone
from .pose_decoder import LookupInteraction, PoseDecoder
from .pose_estimator import TopdownClipEstimator
from .positioned_neck import PositionedClipNeck
from .spatiotemporal_neck import SpatioTemporalNeck

__all__ = [
    'ClipDataPreprocessor',
    'ClipNeck',
    'ClipVisionTransformer',
    'ConditionalDecoder',
    'DiffPoseHead',
    'Float32HeatmapHead',
    'JointQueryNeck',
    'KeyframeQueryNeck',
    'LookupInteraction',
    'MoveNetBackbone',
    'MoveNetHead',
    'MoveNetPoseBackbone',
    'MultiPose',
    'PoseDecoder',
    'PositionedClipNeck',
    'SpatioTemporalNeck',
    'TopdownClipEstimator',
]

register_scheme(decode_metadata)
