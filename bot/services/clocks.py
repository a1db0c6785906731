"""How far a service's clock may be from ours; the doctor tells where it is further."""

from __future__ import annotations

from datetime import timedelta

CLOCKS_MAY_DIFFER = timedelta(minutes=2)
