"""The errors of sweeps. Each message says what was wanted, what came, where, what to do."""


class SweepError(Exception):
    """Base of every error that sweeps raise on purpose."""


class ResultsError(SweepError):
    """A results folder that is missing, empty, damaged or of another format."""


class PlanError(SweepError):
    """A sweep that cannot be run as it was asked for."""


class TrialError(SweepError):
    """A trial that failed."""
