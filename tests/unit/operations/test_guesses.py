"""An address may try a few wrong tokens in a minute, however it sends them."""

from __future__ import annotations

from pipeline.operations.guesses import PER_MINUTE, Guesses, network_of


def test_an_address_may_try_as_many_tokens_as_it_has_wrong_ones_left() -> None:
    now = 0.0
    guesses = Guesses(clock=lambda: now)
    many = [f"guess-{number}" for number in range(3 * PER_MINUTE)]
    guesses.record("10.0.0.1", "right", right=True)
    for token in many[:5]:
        guesses.record("10.0.0.1", token, right=False)

    assert guesses.allowed("10.0.0.1", [*many, "right"]) == ("right", *many[: PER_MINUTE - 5])
    assert guesses.allowed("10.0.0.2", many) == tuple(many[:PER_MINUTE])
    now = 61.0
    assert guesses.allowed("10.0.0.1", many) == tuple(many[:PER_MINUTE])


def test_the_addresses_that_one_client_has_count_as_one() -> None:
    own = {network_of(address) for address in ("127.0.0.1", "127.9.8.7", "::1", "::ffff:127.0.0.2")}

    assert own == {"loopback"}
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("no address") == network_of("") == network_of(None)
    assert network_of("::ffff:10.0.0.1") == network_of("10.0.0.1") != network_of("10.0.0.2")


def test_a_right_token_goes_on_while_an_address_has_no_guesses_left() -> None:
    guesses = Guesses(clock=lambda: 0.0)
    guesses.record("10.0.0.1", "right", right=True)
    for number in range(PER_MINUTE):
        guesses.record("10.0.0.1", f"guess-{number}", right=False)

    with guesses.trying("10.0.0.1", "right") as right, guesses.trying("10.0.0.1", "wrong") as wrong:
        assert (right.wait_s, wrong.wait_s) == (None, 60.0)
