"""Volume: disks that outlive the servers that use them."""

from onestack.core.api import Service
from onestack.core.flow import Flow
from onestack.volume.backend import Backend
from onestack.volume.settings import VolumeSettings
from onestack.volume.style import ROOT, VERSIONS, VolumeStyle
from onestack.volume.wiring import host_reported, wire

SERVICE = Service(
    name="volume",
    type="volumev3",
    title="Volume",
    root=ROOT,
    version="3.70",
    microversions=VERSIONS,
    style=VolumeStyle(),
    topic="volume",
    nouns=(),
)

FLOWS: tuple[type[Flow[object]], ...] = ()

__all__ = ["FLOWS", "SERVICE", "Backend", "VolumeSettings", "host_reported", "wire"]
