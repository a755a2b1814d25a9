"""A model as files that engines without torch can run: three parts and a manifest."""

from .parts import Parts, split
from .settings import export_settings
from .verifying import Differences, compare
from .writing import write_export

__all__ = ['Differences', 'Parts', 'compare', 'export_settings', 'split', 'write_export']
