"""A suite that holds any transport to the rules: subclass `TransportConformance`, give it an `OutsideStore`."""

from datasync_core.testing.conformance.outside import OutsideStore
from datasync_core.testing.conformance.rules import Broken, Rule
from datasync_core.testing.conformance.suite import TransportConformance

__all__ = ["Broken", "OutsideStore", "Rule", "TransportConformance"]
