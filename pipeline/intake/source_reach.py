"""Find the executors that take no entry of a source, to warn before the first signal."""

from collections.abc import Mapping

from config.checks.reachability import unreachable_by
from config.schema.executor import ExecutorSettings
from config.schema.settings import Settings, executor_keys
from pipeline.intake.sources.protocol import AlpacaKeys, SourceContext, open_source_by_name, produced_by
from pipeline.model.errors import ConfigInvalid, Problem
from pipeline.model.sources import PRACTICE


def source_context(settings: Settings) -> SourceContext:
    """Return the settings with which a source is opened."""
    keys = executor_keys(settings, "alpaca")
    return SourceContext(
        exchange_url=settings.exchange_url,
        cadence_s=settings.cadence_s,
        alpaca=None if keys is None else AlpacaKeys(key=keys[0], secret=keys[1]),
        path=settings.source_file,
    )


def source_problems(settings: Settings, source: str) -> list[Problem]:
    """Open *source* as a test, before any process needs it, and return the problems."""
    # The practice source is not tested: it reads the paper exchange, which `up` starts later.
    if source in ("none", PRACTICE):
        return []
    try:
        open_source_by_name(source, source_context(settings)).close()
    except ConfigInvalid as error:
        return list(error.problems)
    return []


def untraded_source_problems(source: str, executors: Mapping[str, ExecutorSettings]) -> list[Problem]:
    """Return the reasons why executors take no entry of *source*.

    There are none for a source that does not declare its symbols, strategies and actions.
    """
    produced = produced_by(source, SourceContext())
    problems = []
    for executor_id, executor in executors.items():
        if source == PRACTICE and executor.mode == "live":
            message = "a live executor takes no practice signals"
            problems.append(Problem(key=f"executors.{executor_id}.mode", message=message))
        problems += unreachable_by(
            executor, symbols=produced.symbols, strategies=produced.strategies, actions=produced.actions
        )
    return [Problem(key=problem.key, message=f"{problem.message} (source {source})") for problem in problems]
