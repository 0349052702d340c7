"""Refuse an entry or a REVERSE that repeats a recent order. Pure."""

from pipeline.model.reasons import Code, Reason
from pipeline.model.sources import is_own
from workers.rules.case import Case


def refusal(case: Case) -> Reason | None:
    """Return a reason when the same strategy (or content, by `limits.repeat_by`) has ordered within the window.

    Only orders in the symbol and on the same side count; a REVERSE repeats only another REVERSE. Signals that tradewire
    makes itself never count as repeats.
    """
    limits, recent = case.executor.limits, case.recent
    if limits.repeat_window_s is None or is_own(case.signal.source):
        return None
    if recent.repeat_of is None or recent.repeat_age is None:
        return None
    age_s = recent.repeat_age.total_seconds()
    if age_s > limits.repeat_window_s:
        return None
    return Reason(
        code=Code.REPEATED_CONTENT if limits.repeat_by == "content" else Code.REPEATED_IDEA,
        facts={"age_s": round(age_s, 1), "window_s": limits.repeat_window_s, "of": str(recent.repeat_of)},
    )
