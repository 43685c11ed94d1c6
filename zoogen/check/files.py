"""The files of a zoo beside its shards: plans, architectures, manifest, and strangers."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from zoogen.architecture_file import ARCHITECTURES_NAME, read_architectures
from zoogen.check.faults import Fault
from zoogen.continuation import read_plans
from zoogen.description import Architecture
from zoogen.errors import ShardError, ZooError
from zoogen.grouping import ShardSpec
from zoogen.manifest import MANIFEST_NAME, Manifest, read_manifest
from zoogen.plan import Plan, plan_name
from zoogen.shards import ShardEntry
from zoogen.store import Store
from zoogen.summary import summarise
from zoogen.varied import all_architectures

SHARDS = "shards"


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Files:
    """What the small files say; None or empty where they cannot be read."""

    faults: tuple[Fault, ...]
    plans: tuple[Plan, ...] = ()
    specs: tuple[tuple[Plan, ShardSpec], ...] = ()
    """Every shard of every plan."""
    manifest: Manifest | None = None
    architectures: Mapping[str, Architecture] = field(default_factory=dict[str, Architecture])


def read_files(store: Store, *, partial: bool) -> Files:
    """Read and check the small files.

    Args:
        store: of the zoo.
        partial: a missing manifest, or shards that it does not list yet, are no fault.

    Raises:
        ShardError: there is no plan, so no zoo.
    """
    if not store.exists(plan_name(0)):
        raise ShardError(f"{store.uri} holds no zoo: wanted a folder or URI with a plan.json")
    try:
        plans = read_plans(store)
        for plan in plans:
            if plan.origin is None:
                next(plan.draw([plan.first]))
    except (ZooError, KeyError, TypeError, AttributeError) as error:
        # Nothing can be checked without a plan.
        return Files(faults=(_unreadable(plan_name(0), error),))
    faults: list[Fault] = list(_plan_faults(store, plans))
    specs = tuple((plan, spec) for plan in plans for spec in plan.shards())
    manifest = None
    try:
        manifest = read_manifest(store)
    except ShardError as error:
        faults.append(_unreadable(MANIFEST_NAME, error))
    else:
        faults += _manifest_faults(store, manifest, plans=plans, specs=specs, partial=partial)
    architectures: Mapping[str, Architecture] = {}
    try:
        architectures = read_architectures(store)
    except ShardError as error:
        faults.append(_unreadable(ARCHITECTURES_NAME, error))
    else:
        faults += _architecture_faults(architectures, plans)
    faults += _strangers(store, {spec.name for _, spec in specs})
    return Files(
        plans=plans,
        specs=specs,
        manifest=manifest,
        architectures=architectures,
        faults=tuple(faults),
    )


def entry_faults(listed: ShardEntry, found: ShardEntry) -> Iterator[Fault]:
    """Compare a shard with its line in the manifest."""
    wanted, got = listed.to_json(), found.to_json()
    for name in wanted:
        if wanted[name] != got[name]:
            yield Fault(
                path=listed.name,
                problem=f"{name} differs from {MANIFEST_NAME}",
                wanted=str(wanted[name]),
                got=str(got[name]),
            )


def summary_faults(store: Store, manifest: Manifest) -> Iterator[Fault]:
    """Compare the manifest's summary with the shards; only where these are without fault."""
    found = summarise(store, manifest.plans[0], manifest.shards)
    wanted = dict(manifest.summary)
    if found != wanted:
        keys = sorted(k for k in {*found, *wanted} if found.get(k) != wanted.get(k))
        yield Fault(
            path=MANIFEST_NAME,
            problem=f"summary ({', '.join(keys)}) differs from the shards",
            wanted=str({k: found.get(k) for k in keys}),
            got=str({k: wanted.get(k) for k in keys}),
        )


def _plan_faults(store: Store, plans: Sequence[Plan]) -> Iterator[Fault]:
    """Canonical text, and no gap in the numbers."""
    for plan in plans:
        if store.read(plan.name) != plan.text.encode():
            yield Fault(
                path=plan.name,
                problem="is not the text that zoogen writes for this plan",
                wanted="an unchanged file",
                got="other bytes (a field was added, or the file was edited)",
            )
    beyond = plan_name(len(plans) + 1)
    if store.exists(beyond):
        missing = plan_name(len(plans))
        yield Fault(path=missing, problem=f"there is a {beyond}", wanted="a file", got="none")


def _manifest_faults(
    store: Store,
    manifest: Manifest | None,
    *,
    plans: tuple[Plan, ...],
    specs: Sequence[tuple[Plan, ShardSpec]],
    partial: bool,
) -> Iterator[Fault]:
    there = set(store.list(SHARDS))
    names = [spec.name for _, spec in specs]
    if manifest is None:
        if not partial:
            count = f"none, and {sum(n in there for n in names)} of {len(names)} shards"
            wanted = "a file (use --partial for a zoo that is being made)"
            yield Fault(path=MANIFEST_NAME, problem="is missing", wanted=wanted, got=count)
        return
    if store.read(MANIFEST_NAME) != manifest.text.encode():
        yield Fault(
            path=MANIFEST_NAME,
            problem="is not the text that zoogen writes for these plans and shards",
            wanted="an unchanged file",
            got="other bytes (a field was added, or the file was edited)",
        )
    yield from _repeated_plans(manifest, plans, partial=partial)
    yield from _listed_shards(manifest, names, partial=partial)


def _repeated_plans(
    manifest: Manifest, plans: tuple[Plan, ...], *, partial: bool
) -> Iterator[Fault]:
    for mine, repeated in zip(plans, manifest.plans, strict=False):
        if mine != repeated:
            got = f"SHA-256 {repeated.content_hash}"
            problem = f"repeats another plan than {mine.name}"
            wanted = f"SHA-256 {mine.content_hash}"
            yield Fault(path=MANIFEST_NAME, problem=problem, wanted=wanted, got=got)
    if len(manifest.plans) > len(plans) or (len(manifest.plans) < len(plans) and not partial):
        wanted, got = f"{len(plans)} (those of the zoo)", str(len(manifest.plans))
        yield Fault(path=MANIFEST_NAME, problem="number of plans", wanted=wanted, got=got)


def _listed_shards(manifest: Manifest, names: Sequence[str], *, partial: bool) -> Iterator[Fault]:
    count = Counter(entry.name for entry in manifest.shards)
    planned = set(names)
    covered = [n for n in names if n in count] if partial else names
    problem = f"lines in {MANIFEST_NAME}"
    for name in dict.fromkeys([*covered, *count]):
        wanted = 1 if name in planned else 0
        if count[name] != wanted:
            yield Fault(path=name, problem=problem, wanted=str(wanted), got=str(count[name]))


def _architecture_faults(
    architectures: Mapping[str, Architecture], plans: Sequence[Plan]
) -> Iterator[Fault]:
    for plan in plans:
        if plan.architecture is None:
            found = _several_faults if plan.origin is not None else _varied_faults
            yield from found(architectures, plan)
            continue
        found = architectures.get(plan.architecture)
        wanted = f"{plan.family}, {plan.parameters} parameters"
        got = "none" if found is None else f"{found.family}, {found.parameters} parameters"
        if got != wanted:
            problem = f"the architecture {plan.architecture} of {plan.name}"
            yield Fault(path=ARCHITECTURES_NAME, problem=problem, wanted=wanted, got=got)


def _several_faults(architectures: Mapping[str, Architecture], plan: Plan) -> Iterator[Fault]:
    wanted = f"several of at most {plan.parameters} parameters"
    largest = max((a.parameters for a in architectures.values()), default=0)
    if largest != plan.parameters:
        got = f"{len(architectures)} of at most {largest}"
        problem = f"the architectures of {plan.name}"
        yield Fault(path=ARCHITECTURES_NAME, problem=problem, wanted=wanted, got=got)


def _varied_faults(architectures: Mapping[str, Architecture], plan: Plan) -> Iterator[Fault]:
    wanted = {a.content_id for a in all_architectures([plan])}
    if missing := sorted(wanted - set(architectures)):
        problem = f"architectures of {plan.name}"
        got = f"{len(wanted) - len(missing)}, without {missing[0]}"
        yield Fault(path=ARCHITECTURES_NAME, problem=problem, wanted=str(len(wanted)), got=got)


def _strangers(store: Store, names: set[str]) -> Iterator[Fault]:
    for name in store.list(SHARDS):
        if name not in names:
            yield Fault(path=name, problem="is in no plan", wanted="no file", got="a file")


def _unreadable(path: str, error: Exception) -> Fault:
    return Fault(path=path, problem="cannot be read", wanted="a whole file", got=_sentence(error))


def _sentence(error: Exception) -> str:
    return str(error) if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
