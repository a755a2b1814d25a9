"""The one idea of the package, a clip is a frame with neighbours, as the runtime has it."""

from diffpose_mm_runtime.clip import RandomFrameOffsets, check_frame_offsets, nearest

__all__ = ['RandomFrameOffsets', 'check_frame_offsets', 'nearest']
