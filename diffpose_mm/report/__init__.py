from .making import MAX_MEGABYTES, Report, make_report
from .predictions import Predictions, read_predictions

__all__ = ['MAX_MEGABYTES', 'Predictions', 'Report', 'make_report', 'read_predictions']
