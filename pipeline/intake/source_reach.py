"""Find the executors that take no entry of a source, to warn before the first signal."""

from collections.abc import Mapping

from config.checks.reachability import unreachable_by
from config.schema.executor import ExecutorSettings
from pipeline.intake.routing import PRACTICE
from pipeline.intake.sources.protocol import SourceContext, produced_by
from pipeline.model.errors import Problem


def untraded_source_problems(source: str, executors: Mapping[str, ExecutorSettings]) -> list[Problem]:
    """Return a problem for each executor that takes no entry of *source*.

    A source that does not describe its signals has no problems.
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
