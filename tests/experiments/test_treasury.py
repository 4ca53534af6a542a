"""Short forms of the treasury's experiments: they run, they end in the keys that are quoted, and they can fail."""

import pytest

from experiments import mutated_payments, peers, treasury_speed
from overlay.dao.bitcoin import payment as payments
from overlay.dao.bitcoin.transaction import InvalidTransaction
from overlay.dao.funds import policy


async def test_of_changed_payments_none_is_signed() -> None:
    found = await mutated_payments.attack(300, seed=7)
    assert (found["mutated"], found["signed"], found["promised"]) == (300, 0, 0)
    assert len(found["refusals"]) > 5


async def test_a_signer_that_believes_the_coordinator_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def believing(db, group, asked, raw, account, me, now):  # type: ignore[no-untyped-def]
        try:
            return payments.read(raw, account.coins, account.script)
        except (payments.PaymentError, InvalidTransaction) as error:
            raise policy.Violation(str(error)) from error

    monkeypatch.setattr(policy, "judge", believing)
    found = await mutated_payments.attack(60, seed=7)
    assert found["signed"] > 5


def test_signing_is_timed_for_one_signer_the_coordinator_and_all_together() -> None:
    told = treasury_speed.signing(3, 5, repeat=1)
    assert set(told) == {"signer_ms", "coordinator_ms", "total_s", "total_each_checks_s"}
    assert told["signer_ms"] > 0


async def test_key_generation_runs_over_real_endpoints_and_counts_its_messages() -> None:
    told = await treasury_speed.key_generation(2, 3)
    assert set(told) == {"seconds", "work_s", "megabytes"}
    assert told["seconds"] > 0


async def test_counting_is_timed_in_a_ledger_of_many_proposals() -> None:
    assert set(await treasury_speed.counting(100)) == {"tally_ms", "look_ms", "open_ms"}


def test_a_peer_that_is_not_there_is_told_instead_of_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(peers.REFERENCE, raising=False)
    with pytest.raises(peers.Missing, match="names no checkout"):
        peers.reference(2, 3)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(peers.Missing, match="node is not installed"):
        peers.noble_folder(fetch=True)
