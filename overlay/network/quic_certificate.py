"""A member's key as an X.509 certificate, so that TLS 1.3 itself proves who is at the other end.

The certificate states each half of the 74-byte key exactly once: its subject public key is the Ed25519 half, its
common name is the X25519 half in 64 lower-case hexadecimal digits. Nothing else in it means anything.

TLS's CertificateVerify (RFC 8446 section 4.4.3) is a signature by the Ed25519 key over the whole handshake, both key
shares and the certificate included. So it proves possession of the key in this session and cannot be replayed or
relayed, and it also covers the common name: the X25519 half is the one its owner states. Possession of the X25519
secret is not proven; who states another's half under his own Ed25519 key is, by all 74 bytes, another member, and
gains messages that he cannot open. Callers compare all 74 bytes, so two keys that share one half are never confused.

Dates are ignored on purpose: the clocks of members drift and nobody revokes or renews a key by date; the key is the
identity. The certificate says from 2000 to the "no expiration" of RFC 5280 section 4.1.2.5. Its self-signature is not
checked either, since CertificateVerify says more.
"""

from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID
from nacl.bindings import crypto_core_ed25519_is_valid_point

from overlay.keys import PUBLIC_PREFIX, SECRET_PREFIX, Identity, PublicKey

_BOX_BYTES = 32
_SEED_START = len(SECRET_PREFIX) + _BOX_BYTES
_NOT_BEFORE = datetime(2000, 1, 1, tzinfo=UTC)
_NO_EXPIRATION = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


class InvalidCertificate(ValueError):
    """The certificate names no member key; the message says why."""


def signing_key(identity: Identity) -> Ed25519PrivateKey:
    """The Ed25519 half of the identity, as the TLS library wants it."""
    return Ed25519PrivateKey.from_private_bytes(identity.secret[_SEED_START:])


def make_certificate(public_key: PublicKey, key: Ed25519PrivateKey) -> x509.Certificate:
    """The certificate of `public_key`, signed by its own Ed25519 half. The same key always gives the same bytes."""
    box_half = public_key[len(PUBLIC_PREFIX) : len(PUBLIC_PREFIX) + _BOX_BYTES]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, box_half.hex())])
    builder = x509.CertificateBuilder(
        issuer_name=name,
        subject_name=name,
        public_key=key.public_key(),
        serial_number=1,
        not_valid_before=_NOT_BEFORE,
        not_valid_after=_NO_EXPIRATION,
    )
    return builder.sign(key, None)


def read_certificate(certificate: x509.Certificate) -> PublicKey:
    """The 74-byte member key that the certificate states; raises InvalidCertificate."""
    return PublicKey(PUBLIC_PREFIX + _box_half(certificate) + _signing_half(certificate))


def _signing_half(certificate: x509.Certificate) -> bytes:
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise InvalidCertificate(f"the certificate's key cannot be read: {error}") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidCertificate("the certificate's key is not an Ed25519 key")
    raw = key.public_bytes_raw()
    # For a point of small order anyone can make signatures that OpenSSL accepts; libsodium, which checks the blocks,
    # refuses it, and a member must be the same to both.
    if not crypto_core_ed25519_is_valid_point(raw):
        raise InvalidCertificate("the certificate's key is a point of small order or not on the curve")
    return raw


def _box_half(certificate: x509.Certificate) -> bytes:
    try:
        attributes = list(certificate.subject)
    except ValueError as error:
        raise InvalidCertificate(f"the certificate's subject cannot be read: {error}") from error
    if len(attributes) != 1 or attributes[0].oid != NameOID.COMMON_NAME:
        raise InvalidCertificate("the certificate's subject is not one common name")
    return _parse_hex(attributes[0].value)


def _parse_hex(text: str | bytes) -> bytes:
    """Exactly one spelling per key: 64 lower-case digits."""
    try:
        raw = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError as error:
        raise InvalidCertificate("the certificate's common name is not hexadecimal") from error
    if len(raw) != _BOX_BYTES or raw.hex() != text:
        raise InvalidCertificate("the certificate's common name is not 64 lower-case hexadecimal digits")
    return raw
