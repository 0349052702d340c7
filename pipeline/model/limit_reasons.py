"""The part of the catalogue of reasons that is about limits."""

from collections.abc import Mapping

from pipeline.model.reason_meaning import Meaning
from pipeline.model.reasons import Code

LIMIT_REASONS: Mapping[Code, Meaning] = {
    Code.PYRAMIDING_LIMIT: Meaning(
        "The position already consists of as many entries as `limits.pyramiding` allows.",
        "Nothing to do, or raise `limits.pyramiding`.",
    ),
    Code.OPEN_POSITIONS_LIMIT: Meaning(
        "As many positions are open or ordered as `limits.open_positions` allows.",
        "Close a position, or raise the limit.",
    ),
    Code.GROSS_EXPOSURE_LIMIT: Meaning(
        "All positions and orders together leave too little of `limits.gross_exposure_percent` for the smallest order.",
        "Close positions, or raise the limit.",
    ),
    Code.SYMBOL_EXPOSURE_LIMIT: Meaning(
        "The symbol's position and orders leave too little of `limits.symbol_exposure_percent` for the smallest order.",
        "Close a part of the position, or raise the limit.",
    ),
    Code.GROUP_POSITIONS_LIMIT: Meaning(
        "As many positions of the symbol's group are open or ordered as `limits.group_positions` allows.",
        "Close a position of the group, or raise the limit.",
    ),
    Code.GROUP_EXPOSURE_LIMIT: Meaning(
        "The positions and orders of the symbol's group leave too little of `limits.group_exposure_percent`.",
        "Close a position of the group, or raise the limit.",
    ),
    Code.ORDERS_PER_DAY_LIMIT: Meaning(
        "The number of the day's entries has reached `limits.orders_per_day`.",
        "Wait for the next day, or raise the limit.",
    ),
    Code.DAILY_LOSS_LIMIT: Meaning(
        "The day's loss, the risk of open positions and this entry's risk together exceed `limits.daily_loss_percent`.",
        "Wait for the next day, or lower the risk.",
    ),
    Code.DRAWDOWN_LIMIT: Meaning(
        "The drawdown, the risk of open positions and this entry's risk together exceed `limits.drawdown_percent`.",
        "Close positions, or lower the risk.",
    ),
    Code.ENTRY_WITHOUT_STOP: Meaning(
        "`order.unprotected` refuses entries without a stop, or the price is too low to add one, or has "
        "passed the stop of the strategy's holding.",
        "Send `stop_price` with entries, or change `order.unprotected`.",
    ),
    Code.STOP_TOO_FAR: Meaning(
        "The signal's stop is farther from its price than `limits.stop_distance_percent`.",
        "Send a closer stop, or raise the limit.",
    ),
    Code.POSITION_SIZE_LIMIT: Meaning(
        "The size that may still be added to the position is below the smallest order.",
        "Raise `size.maximum_percent` or `firm.maximum_quantity`.",
    ),
    Code.CASH_USED_UP: Meaning(
        "Crypto is bought with settled cash, and too little of it is left for the smallest order.",
        "Close positions or add funds.",
    ),
    Code.CONSISTENCY_LIMIT: Meaning(
        "The day's share of all profit has reached `firm.consistency_percent`.", "Wait for the next day."
    ),
}
