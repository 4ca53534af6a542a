"""Keys at rest: readable by their owner only, and with a passphrase by nobody without it."""

from pathlib import Path

import pytest
from nacl.pwhash import argon2id

from overlay.keys import Identity, InvalidKey, did_key
from overlay.node import vault
from overlay.node.folder import DataFolder
from overlay.node.vault import MAX_MEMORY, MAX_OPERATIONS, MAX_PASSPHRASE_BYTES, NoPassphrase, Work, WrongPassphrase
from tests.town import SeededRandomness

CHEAP = Work(argon2id.OPSLIMIT_MIN, argon2id.MEMLIMIT_MIN, b"s" * 16)
WHO = Identity.from_seed(bytes(range(64)))
PROTECTED = vault.protect(WHO, "correct horse", CHEAP, SeededRandomness("vault"))


def folder_of(path: Path, passphrase: str | None = None) -> DataFolder:
    random = SeededRandomness("farmer")
    return DataFolder(path, random) if passphrase is None else DataFolder(path, random, lambda: passphrase)


def test_a_did_key_is_what_other_software_makes_of_the_same_key() -> None:
    """The first test vector of RFC 8032, as the did:key method's own examples encode keys: 0xed 0x01, base58btc."""
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    identity = Identity.from_seed(bytes(32) + seed)
    assert identity.public_key[42:].hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert did_key(identity.public_key) == "did:key:z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw"


def test_a_protected_key_opens_with_its_passphrase_only() -> None:
    assert vault.open_identity(PROTECTED, lambda: "correct horse").secret == WHO.secret
    assert vault.public_key_of(PROTECTED) == WHO.public_key
    assert WHO.secret[10:] not in PROTECTED
    with pytest.raises(WrongPassphrase, match="this passphrase does not open the key"):
        vault.open_identity(PROTECTED, lambda: "correct  horse")


def test_one_passphrase_typed_in_two_ways_of_unicode_is_one_passphrase() -> None:
    protected = vault.protect(WHO, "caf\u00e9", CHEAP, SeededRandomness("vault"))
    assert vault.open_identity(protected, lambda: "cafe\u0301").public_key == WHO.public_key


@pytest.mark.parametrize("at", range(0, len(PROTECTED), 7))
def test_no_byte_of_a_protected_key_can_be_changed(at: int) -> None:
    changed = PROTECTED[:at] + bytes([PROTECTED[at] ^ 1]) + PROTECTED[at + 1 :]
    with pytest.raises(InvalidKey):
        vault.open_identity(changed, lambda: "correct horse")


@pytest.mark.parametrize("raw", [PROTECTED[:-1], PROTECTED + b"\0", vault.KEY_MAGIC, b"", b"x" * 74])
def test_what_is_no_key_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidKey):
        vault.open_identity(raw, lambda: "correct horse")
    with pytest.raises(InvalidKey):
        vault.public_key_of(raw)


@pytest.mark.parametrize(
    ("operations", "memory", "is_allowed"),
    [
        (MAX_OPERATIONS, MAX_MEMORY, True),
        (MAX_OPERATIONS + 1, MAX_MEMORY, False),
        (MAX_OPERATIONS, MAX_MEMORY + 1, False),
        (1, argon2id.MEMLIMIT_MIN, True),
        (0, argon2id.MEMLIMIT_MIN, False),
        (1, argon2id.MEMLIMIT_MIN - 1, False),
    ],
)
def test_a_file_cannot_ask_for_endless_work(operations: int, memory: int, is_allowed: bool) -> None:
    raw = Work(operations, memory, b"s" * 16).pack()
    if is_allowed:
        assert Work.read(raw).memory == memory
    else:
        with pytest.raises(InvalidKey, match="amount of work"):
            Work.read(raw)


def test_a_passphrase_has_a_length() -> None:
    assert len(CHEAP.key("x" * MAX_PASSPHRASE_BYTES)) == 32
    for wrong in ("", "x" * (MAX_PASSPHRASE_BYTES + 1)):
        with pytest.raises(InvalidKey, match="a passphrase has"):
            CHEAP.key(wrong)


def test_the_work_for_people_is_argon2ids_moderate_work() -> None:
    work = Work.moderate(SeededRandomness("work"))
    assert (work.operations, work.memory) == (argon2id.OPSLIMIT_MODERATE, argon2id.MEMLIMIT_MODERATE)


def test_protecting_a_key_keeps_its_member_its_mode_and_its_place(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "n")
    who = folder.identity
    folder.mark_place()
    folder.rewrite_key(vault.protect(who, "open", CHEAP, SeededRandomness("vault")))
    assert folder.place_fits()
    assert folder.is_protected
    assert (folder.key_file.stat().st_mode & 0o777) == 0o600
    folder.close()

    assert who.secret[10:] not in (tmp_path / "n" / "identity.key").read_bytes()
    again = folder_of(tmp_path / "n", "open")
    assert (again.public_key, again.identity.secret) == (who.public_key, who.secret)
    again.rewrite_key(again.identity.secret)
    assert again.place_fits()
    again.close()
    plain = folder_of(tmp_path / "n")
    assert plain.identity.secret == who.secret
    plain.close()


def test_a_folder_in_another_place_stays_so_when_its_key_is_protected(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "n")
    (tmp_path / "n" / "place").write_text("another place")
    folder.rewrite_key(vault.protect(folder.identity, "open", CHEAP, SeededRandomness("vault")))
    assert not folder.place_fits()
    folder.close()


def test_a_protected_key_without_or_with_a_wrong_passphrase_names_its_file(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "n")
    folder.rewrite_key(vault.protect(folder.identity, "open", CHEAP, SeededRandomness("vault")))
    folder.close()
    for passphrase, error in ((None, NoPassphrase), ("shut", WrongPassphrase)):
        folder = folder_of(tmp_path / "n", passphrase)
        with pytest.raises(error, match=r"identity\.key"):
            _ = folder.identity
        folder.close()
