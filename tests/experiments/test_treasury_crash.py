"""A short form of the experiment: deaths of a signer cost no nonce, no money, and not the group's word."""

from experiments import treasury_crash


async def test_a_killed_signer_reuses_no_nonce_and_loses_nothing() -> None:
    told = await treasury_crash.measure(kills=2, first=30)
    assert told["kills"] == 2
    assert (told["nonce_reuse"], told["unspendable"], told["unwritten"]) == (0, 0, 0)
