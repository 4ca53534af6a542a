"""Every published vector of BIP-445, those that must fail included."""

import pytest

from overlay.dao.frost.bip340 import schnorr_verify
from overlay.dao.frost.deterministic import deterministic_sign
from overlay.dao.frost.errors import InvalidContributionError
from overlay.dao.frost.nonces import SecretNonce, nonce_agg, nonce_gen
from overlay.dao.frost.secret import Secret
from overlay.dao.frost.session import SessionContext
from overlay.dao.frost.signers import SignersContext
from overlay.dao.frost.signing import partial_sig_agg, partial_sig_verify, sign
from tests.dao.frost.published import Vector, bip445, pick, unhex, unhex_all


def secnonce_of(raw: bytes) -> SecretNonce:
    return SecretNonce((Secret(raw[:32]), Secret(raw[32:])))


def taken(secnonce: SecretNonce) -> bytes:
    return b"".join(scalar.to_bytes() for scalar in secnonce.take())


def signers_of(case: Vector) -> SignersContext:
    pubshares = pick(unhex_all(case["pubshares"]), case["pubshare_indices"])
    return SignersContext(case["n"], case["t"], case["ids"], pubshares, bytes.fromhex(case["thresh_pk"]))


def tweaks_of(case: Vector) -> tuple[list[bytes], list[bool]]:
    pool = unhex_all(case.get("tweaks", []))
    return pick(pool, case.get("tweak_indices", range(len(pool)))), case.get("is_xonly", [])


def session_of(case: Vector) -> SessionContext:
    tweaks, is_xonly = tweaks_of(case)
    aggnonce, msg = bytes.fromhex(case["aggnonce"]), bytes.fromhex(case["msg"])
    return SessionContext(signers_of(case), aggnonce, msg, tweaks, is_xonly)


def signed(case: Vector) -> bytes:
    secnonce = secnonce_of(unhex_all(case["secnonces"])[case["secnonce_index"]])
    secshare = unhex_all(case["secshares"])[case["secshare_index"]]
    return sign(secnonce, secshare, case["my_id"], session_of(case))


def verified(case: Vector, psig: bytes, index: int) -> bool:
    pubnonces = pick(unhex_all(case["pubnonces"]), case["pubnonce_indices"])
    return partial_sig_verify(psig, pubnonces, signers_of(case), bytes.fromhex(case["msg"]), index, *tweaks_of(case))


def deterministically_signed(case: Vector) -> tuple[bytes, bytes]:
    secshare = unhex_all(case["secshares"])[case["secshare_index"]]
    others, rand = unhex(case["aggothernonce"]), unhex(case["rand"])
    msg = bytes.fromhex(case["msg"])
    return deterministic_sign(secshare, case["my_id"], others, signers_of(case), msg, *tweaks_of(case), rand=rand)


def expect_blame(case: Vector, caught: BaseException) -> None:
    error = case["error"]
    assert type(caught).__name__ == error["type"]
    if isinstance(caught, InvalidContributionError):
        assert (caught.signer, caught.what) == (error["signer_index"], error["contrib"])


@pytest.mark.parametrize("case", bip445("nonce_gen", "valid_tests"))
def test_nonces_come_out_as_published(case: Vector) -> None:
    fields = [unhex(case[name]) for name in ("secshare", "pubshare", "thresh_pk", "msg", "extra_in")]
    secnonce, pubnonce = nonce_gen(bytes.fromhex(case["rand_"]), *fields)
    assert [taken(secnonce), pubnonce] == unhex_all(case["expected"])


@pytest.mark.parametrize("case", bip445("nonce_agg", "valid_tests"))
def test_nonces_add_up_as_published(case: Vector) -> None:
    pubnonces = pick(unhex_all(case["pubnonces"]), case["pubnonce_indices"])
    assert nonce_agg(pubnonces) == bytes.fromhex(case["expected"])


@pytest.mark.parametrize("case", bip445("nonce_agg", "error_tests"))
def test_a_bad_public_nonce_is_blamed_on_its_signer(case: Vector) -> None:
    with pytest.raises(InvalidContributionError) as caught:
        nonce_agg(pick(unhex_all(case["pubnonces"]), case["pubnonce_indices"]))
    expect_blame(case, caught.value)


@pytest.mark.parametrize("case", bip445("sign_verify", "valid_tests") + bip445("tweak", "valid_tests"))
def test_partial_signatures_come_out_as_published_and_verify(case: Vector) -> None:
    expected = bytes.fromhex(case["expected"])
    assert nonce_agg(pick(unhex_all(case["pubnonces"]), case["pubnonce_indices"])).hex() == case["aggnonce"].lower()
    assert signed(case) == expected
    assert verified(case, expected, case["ids"].index(case["my_id"]))


@pytest.mark.parametrize("case", bip445("sign_verify", "sign_error_tests") + bip445("tweak", "error_tests"))
def test_signing_refuses_what_it_must(case: Vector) -> None:
    with pytest.raises((ValueError, InvalidContributionError)) as caught:
        signed(case)
    expect_blame(case, caught.value)


@pytest.mark.parametrize("case", bip445("sign_verify", "verify_fail_tests"))
def test_a_wrong_partial_signature_does_not_verify(case: Vector) -> None:
    assert not verified(case, bytes.fromhex(case["psig"]), case["signer_index"])


@pytest.mark.parametrize("case", bip445("sign_verify", "verify_error_tests"))
def test_verification_refuses_what_it_must(case: Vector) -> None:
    with pytest.raises((ValueError, InvalidContributionError)) as caught:
        verified(case, bytes.fromhex(case["psig"]), case["signer_index"])
    expect_blame(case, caught.value)


@pytest.mark.parametrize("case", bip445("det_sign", "valid_tests"))
def test_deterministic_signatures_come_out_as_published(case: Vector) -> None:
    assert list(deterministically_signed(case)) == unhex_all(case["expected"])


@pytest.mark.parametrize("case", bip445("det_sign", "error_tests"))
def test_deterministic_signing_refuses_what_it_must(case: Vector) -> None:
    with pytest.raises((ValueError, InvalidContributionError)) as caught:
        deterministically_signed(case)
    expect_blame(case, caught.value)


@pytest.mark.parametrize("case", bip445("sig_agg", "valid_tests"))
def test_signatures_add_up_as_published_and_verify_under_bip340(case: Vector) -> None:
    session = session_of(case)
    signature = partial_sig_agg(unhex_all(case["psigs"]), session)
    assert signature == bytes.fromhex(case["expected"])
    assert schnorr_verify(session.msg, session.key.get_xonly_pubkey(), signature)


@pytest.mark.parametrize("case", bip445("sig_agg", "error_tests"))
def test_aggregation_refuses_what_it_must(case: Vector) -> None:
    with pytest.raises((ValueError, InvalidContributionError)) as caught:
        partial_sig_agg(unhex_all(case["psigs"]), session_of(case))
    expect_blame(case, caught.value)
