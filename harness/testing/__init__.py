"""For your own tests: conformance checks, and small real stand-ins for models and endpoints."""

from harness.testing.endpoints import Fault, FaultyEndpoint
from harness.testing.models import ScriptedModel, check_model
from harness.testing.scorer_checks import check_scorer
from harness.testing.servers import local_server

__all__ = ["Fault", "FaultyEndpoint", "ScriptedModel", "check_model", "check_scorer", "local_server"]
