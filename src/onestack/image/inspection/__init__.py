"""Inspection: what image data really is, read by nothing but this before it is trusted."""

from onestack.image.inspection.inspector import Finding, Inspector
from onestack.image.inspection.refusal import Refused

__all__ = ["Finding", "Inspector", "Refused"]
