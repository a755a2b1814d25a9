"""Many videos: planned, cut into stretches, posed by many workers, written exactly once."""
