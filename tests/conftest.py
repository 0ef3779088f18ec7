"""Hypothesis profiles: the same examples on every run, so that a failure can be run again. And where tests lie."""

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

# A test may take the cases of another, from whichever folder.
sys.path += sorted({str(test.parent) for test in Path(__file__).parent.rglob("test_*.py")})

settings.register_profile(
    "floatlab",
    derandomize=True,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("floatlab")
