"""The errors a user of sne can meet. Each message says what was wanted, what came, what to do."""


class SneError(Exception):
    """Base of every error that sne raises on purpose."""


class SettingError(SneError):
    """A setting that is not possible, by itself or beside another one."""


class ModelError(SneError):
    """A model that cannot take an architecture, or is asked before it is ready."""


class WeightsError(SneError):
    """Weights that are not what their description says, or not finite."""


class DataError(SneError):
    """A zoo, or a column of it, that cannot be used for what was asked."""


class RunError(SneError):
    """A run folder that is missing, damaged or made by other settings."""


class TrainingError(SneError):
    """Training that cannot go on."""


class CapacityError(SneError):
    """A training that its card cannot hold."""
