"""The clients in the order of the table."""

from . import packages, programs

ALL = [*programs.CLIENTS, *packages.CLIENTS]
