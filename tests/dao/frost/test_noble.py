"""Shares made here sign in `@noble/curves` under the same output key, and it takes our signatures (where it is)."""

import pytest

from experiments.peers import Missing, noble, noble_folder
from overlay.dao.bitcoin import taproot
from overlay.dao.frost import signing
from overlay.dao.frost.group import Point
from overlay.dao.frost.hashing import tagged_hash
from overlay.dao.frost.scalars import scalar_to_bytes
from tests.dao.frost.groups import Group, group_of

MSG = bytes(range(32))


@pytest.fixture(autouse=True)
def there() -> None:
    try:
        noble_folder(fetch=False)
    except Missing as missing:
        pytest.skip(str(missing))


def tweaked(group: Group) -> tuple[signing.TweakContext, bytes]:
    """The treasury's key: that of the group, tweaked as BIP341 asks, and the tweak."""
    plain = signing.TweakContext.init(group.thresh_pk)
    tweak = tagged_hash("TapTweak", bytes(plain.get_xonly_pubkey()))
    return plain.apply(tweak, True), tweak


def tweaked_share(group: Group, participant: int) -> tuple[str, str]:
    """A share of the tweaked key, secret and public: the same polynomial, times a sign, plus the tweak."""
    key, _ = tweaked(group)
    secret = key.gacc * int.from_bytes(group.secshare(participant)) + key.tacc
    return scalar_to_bytes(secret).hex(), Point.generated_by(secret).to_bytes().hex()


@pytest.mark.parametrize(("threshold", "count"), [(2, 3), (3, 5), (5, 7)])
def test_our_shares_sign_there_under_the_output_key_of_our_treasury(threshold: int, count: int) -> None:
    group = group_of(threshold, count)
    key, _ = tweaked(group)
    shares = {str(number): tweaked_share(group, number) for number in range(count)}
    signers = list(shares)[-threshold:]
    told = noble(
        {
            "do": "sign",
            "min": threshold,
            "max": count,
            "key": bytes(key.get_plain_pubkey()).hex(),
            "verifying": {number: public for number, (_, public) in shares.items()},
            "shares": {number: shares[number][0] for number in signers},
            "msg": MSG.hex(),
        }
    )
    assert told["verified"]
    output_key = taproot.output_key(bytes(signing.TweakContext.init(group.thresh_pk).get_xonly_pubkey())).key
    assert taproot.verify(output_key, MSG, bytes.fromhex(told["signature"]))


def test_what_our_group_signs_is_valid_there_and_anything_else_is_not() -> None:
    group, ids = group_of(3, 5), [0, 2, 4]
    key, tweak = tweaked(group)
    nonces = [
        signing.nonce_gen(bytes([i]) * 32, group.secshare(i), group.outputs[0].pubshares[i], None, MSG) for i in ids
    ]
    session = signing.SigningCoordinator(group.signers(ids), [public for _, public in nonces], MSG, [tweak], [True])
    for index, (i, (secret, _)) in enumerate(zip(ids, nonces, strict=True)):
        session.accept(index, signing.sign(secret, group.secshare(i), i, session.session))
    asked = {"do": "verify", "key": bytes(key.get_plain_pubkey()).hex(), "msg": MSG.hex()}
    assert noble(asked | {"signature": session.signature().hex()})["verified"]
    assert not noble(asked | {"signature": session.signature().hex(), "msg": bytes(32).hex()})["verified"]
