"""The paper exchange counts requests over a sliding minute, and refuses those above the rate."""

from __future__ import annotations

from workers.exchange.traffic import RateDecision, Traffic

_S = 1_000_000_000
#: An arbitrary time, half a second after a full second.
START = 1_800_000_000 * _S + _S // 2


def headers(decision: RateDecision) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in decision.headers}


def test_without_a_rate_all_pass_and_are_counted_by_route() -> None:
    traffic = Traffic()

    decisions = [
        traffic.count("k", route, START) for route in ("GET /v2/account", "POST /v2/orders", "POST /v2/orders")
    ]

    assert [decision.passes for decision in decisions] == [True] * 3
    assert traffic.to_json("k") == {
        "per_minute": None,
        "requests": 3,
        "refused": 0,
        "busiest_60s": 3,
        "routes": {"GET /v2/account": 1, "POST /v2/orders": 2},
    }


def test_requests_above_the_rate_are_refused_until_the_first_is_a_minute_old() -> None:
    traffic = Traffic()
    traffic.limit(3, retry_after=True)
    at = [START, START + 10 * _S, START + 20 * _S, START + 59 * _S, START + 60 * _S, START + 61 * _S]

    assert [traffic.count("k", "r", each).passes for each in at] == [True, True, True, False, True, False]


def test_refusals_do_not_count_against_the_rate_but_against_the_busiest_minute() -> None:
    traffic = Traffic()
    traffic.limit(1, retry_after=True)
    for second in range(60):
        traffic.count("k", "r", START + second * _S)

    assert traffic.count("k", "r", START + 60 * _S).passes
    counted = traffic.to_json("k")
    assert (counted["requests"], counted["refused"], counted["busiest_60s"]) == (61, 59, 60)


def test_the_headers_have_the_rate_the_rest_and_the_time_of_the_reset() -> None:
    traffic = Traffic()
    traffic.limit(1, retry_after=True)

    first, second = traffic.count("k", "r", START), traffic.count("k", "r", START + 15 * _S)

    reset = str(START // _S + 61)
    assert headers(first) == {
        "x-ratelimit-limit": "1", "x-ratelimit-remaining": "0", "x-ratelimit-reset": reset,
    }  # fmt: skip
    assert headers(second) == headers(first) | {"retry-after": "45"}


def test_without_a_rate_the_headers_show_the_documented_limit_and_never_less_than_nothing_left() -> None:
    traffic = Traffic()

    decisions = [traffic.count("k", "r", START) for _ in range(202)]

    assert [headers(decisions[count])["x-ratelimit-remaining"] for count in (0, 199, 201)] == ["199", "0", "0"]
    assert all(decision.passes for decision in decisions)


def test_a_refusal_can_come_without_retry_after() -> None:
    traffic = Traffic()
    traffic.limit(1, retry_after=False)
    traffic.count("k", "r", START)

    refused = traffic.count("k", "r", START)

    assert not refused.passes
    assert "retry-after" not in headers(refused)


def test_each_account_has_its_own_minute() -> None:
    traffic = Traffic()
    traffic.limit(1, retry_after=True)

    assert traffic.count("one", "r", START).passes
    assert traffic.count("other", "r", START).passes
    assert traffic.to_json("unused")["requests"] == 0


def test_a_new_rate_counts_anew() -> None:
    traffic = Traffic()
    traffic.limit(1, retry_after=True)
    traffic.count("k", "r", START)
    traffic.limit(None, retry_after=True)

    assert traffic.to_json("k")["requests"] == 0
    assert headers(traffic.count("k", "r", START))["x-ratelimit-limit"] == "200"
