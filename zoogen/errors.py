"""The errors a user of zoogen can meet: what was wanted, what came, where, what to do."""


class ZooError(Exception):
    """Base of every error that zoogen raises on purpose."""


class DataError(ZooError):
    """Image data that is missing, corrupt or not what its name says."""


class PlanError(ZooError):
    """A request that no plan can be made for, or that differs from the plan already written."""


class CompileError(PlanError):
    """Code for this processor that could not be compiled: no compiler, or one that failed."""


class ShardError(ZooError):
    """A shard or a zoo folder whose contents are not what the plan and manifest promise."""


class SourceError(ZooError):
    """A zoo from elsewhere that is not what its format promises, or that cannot be read safely."""


class ExportError(ZooError):
    """A zoo that another project's format cannot hold, or a place that cannot be written."""


class LockError(ZooError):
    """Somebody else is writing this zoo."""


class MemberError(ZooError):
    """Training one member raised; the message names the member."""


class RunError(ZooError):
    """Shards of a run could not be made; those that were made are kept."""


def first_line(error: BaseException) -> str:
    """The first line of another library's message; the error's type where it has none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def refusal_sentence(error: ZooError | OSError) -> str:
    """What a command says when it ends with this error."""
    return system_sentence(error) if isinstance(error, OSError) else str(error)


def system_sentence(error: OSError) -> str:
    """What the system refuses, and of which file."""
    return f"{error.filename or type(error).__name__}: {error.strerror or error}"
