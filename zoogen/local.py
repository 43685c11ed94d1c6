"""The same shards in this one process, one after the other: for development and a single card."""

from collections.abc import Generator, Sequence

from zoogen.execute import Context, Receipt, ShardMaker, ShardReport
from zoogen.grouping import ShardSpec


def run_local(
    context: Context, specs: Sequence[ShardSpec], report: ShardReport
) -> Generator[Receipt]:
    """Make these shards; imports no Ray."""
    maker = ShardMaker(context)
    for spec in specs:
        yield maker.make(spec, report)
