"""The tiny guest: a Linux of Debian's own parts that boots in seconds and does what cloud images
do, for trying a cloud out and for testing it."""

from onestack.cli.guest.build import CACHE, PACKAGES, USER, GuestImage, build, provide

__all__ = ("CACHE", "PACKAGES", "USER", "GuestImage", "build", "provide")
