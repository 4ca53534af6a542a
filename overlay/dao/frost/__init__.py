"""Threshold Schnorr signatures on secp256k1: key generation by ChillDKG, signing by BIP-445, signatures of BIP340.

Everything is a function of bytes to bytes: no clock, no network, no randomness of its own. Messages of any length and
content are safe to hand in. A ValueError says that the caller erred; `InvalidContributionError` (signing) and the
`ProtocolError` family (key generation) name the party that misbehaved.

**Key generation.** Host keys are 32-byte secrets that outlive everything else; t of n with participants 0..n-1 in the
order of their host public keys. In one process, where `random(k)` gives k fresh bytes:

>>> import os
>>> from overlay.dao.frost import bip340, chilldkg, signing
>>> from overlay.dao.frost.hashing import tagged_hash
>>> random = os.urandom
>>> hostseckeys = [random(32) for _ in range(5)]
>>> params = chilldkg.SessionParams([chilldkg.hostpubkey_gen(key) for key in hostseckeys], t=3)
>>> len(chilldkg.params_hash(params))  # compare it over the telephone
32
>>> begun = [chilldkg.participant_step1(key, params, random(32)) for key in hostseckeys]
>>> cstate, cmsg1 = chilldkg.coordinator_step1([pmsg1 for _, pmsg1 in begun], params)
>>> certified = [
...     chilldkg.participant_step2(key, state1, cmsg1, random(32))
...     for key, (state1, _) in zip(hostseckeys, begun)
... ]
>>> cmsg2, _, _ = chilldkg.coordinator_finalize(cstate, [pmsg2 for _, pmsg2 in certified])
>>> finished = [chilldkg.participant_finalize(state2, cmsg2) for state2, _ in certified]
>>> outputs = [output for output, _ in finished]
>>> recovery_data = finished[0][1]  # public; keep it, and let others keep it

States live in memory, serve one call, and are not serialised: a participant that restarts before its `pmsg2` begins a
new session; later on its host key and the recovery data restore everything:

>>> output, _ = chilldkg.participant_recover(hostseckeys[4], recovery_data)
>>> output == outputs[4]
True

**Signing** by participants 0, 2 and 4, under the key that BIP341 makes of an internal key without scripts:

>>> key = signing.TweakContext.init(outputs[0].thresh_pk)
>>> tweak = tagged_hash("TapTweak", key.get_xonly_pubkey())
>>> output_key = key.apply(tweak, is_xonly=True).get_xonly_pubkey()
>>> ids = [0, 2, 4]
>>> signers = signing.SignersContext(
...     n=5, t=3, ids=ids, pubshares=[outputs[0].pubshares[i] for i in ids], thresh_pk=outputs[0].thresh_pk
... )
>>> msg = random(32)  # a BIP341 signature hash

First round, at each signer. A `SecretNonce` signs once and cannot be copied, stored or shown:

>>> nonces = {
...     i: signing.nonce_gen(random(32), outputs[i].secshare, outputs[i].pubshares[i], output_key, msg) for i in ids
... }

The coordinator aggregates, and sends `aggnonce` to the signers, each of which builds the same session and signs:

>>> coordinator = signing.SigningCoordinator(signers, [nonces[i][1] for i in ids], msg, [tweak], [True])
>>> aggnonce = coordinator.session.aggnonce
>>> session = signing.SessionContext(signers, aggnonce, msg, [tweak], [True])
>>> psigs = [signing.sign(nonces[i][0], outputs[i].secshare, i, session) for i in ids]

Each partial signature is checked as it comes (`InvalidContributionError` names the index of a liar in `ids`), in any
order; the last one completes an ordinary 64-byte signature:

>>> for index, psig in enumerate(psigs):
...     coordinator.accept(index, psig)
>>> bip340.schnorr_verify(msg, output_key, coordinator.signature())
True

`signing.nonce_agg`, `signing.partial_sig_verify` and `signing.partial_sig_agg` are the same as single steps, and
`deterministic.deterministic_sign` is for a last signer who keeps no state. A `SignersContext` costs one product of
points per signer and is worth keeping where the same signers sign again.

**The Ed25519 key of a group** is made between the same host keys, by `pedpop`, where each message goes to all, and
signs plain Ed25519 by RFC 9591:

>>> from overlay.dao.frost import pedpop, rfc9591
>>> from overlay.dao.frost.ed25519 import ED25519
>>> begun = [pedpop.participant_step1(ED25519, key, params, random(32)) for key in hostseckeys]
>>> pmsgs = [pmsg for _, pmsg in begun]
>>> certified = [
...     pedpop.participant_step2(ED25519, key, state1, pmsgs, random(32))
...     for key, (state1, _) in zip(hostseckeys, begun)
... ]
>>> sigs = [sig for _, sig in certified]
>>> finished = [pedpop.participant_finalize(state2, sigs) for state2, _ in certified]
>>> shares = [share for share, _ in finished]
>>> share, _ = pedpop.recover(ED25519, hostseckeys[4], finished[0][1])
>>> share == shares[4]
True
>>> nonces = {i: rfc9591.commit(ED25519, shares[i].secshare, random(64)) for i in ids}
>>> session = rfc9591.Session(shares[0].key, ids, [nonces[i][1] for i in ids], b"a half-block")
>>> coordinator = rfc9591.SessionCoordinator(session)
>>> for index, i in enumerate(ids):
...     coordinator.accept(index, rfc9591.sign(nonces[i][0], shares[i].secshare, i, session))
>>> ED25519.verify(shares[0].key.public_key, b"a half-block", coordinator.signature())
True

**Who is to blame.** `InvalidContributionError(signer, what)`: `signer` is an index into `ids`, None the coordinator.
`FaultyParticipantError(participant)` is certain, given that messages arrive as they were sent;
`FaultyParticipantOrCoordinatorError(participant)` may be the coordinator's doing, who can frame a participant;
`FaultyCoordinatorError` is the coordinator. After `UnknownFaultyParticipantOrCoordinatorError` of
`chilldkg.participant_step2`, ask the coordinator for `chilldkg.coordinator_investigate` and give its message for us
to `chilldkg.participant_investigate`, which returns the verdict.

Modules, from the bottom: `scalars` (public) and `secret` (secret, constant time, erased), `group`, `hashing`,
`bip340`, `onetime`, `wire`, `errors`; `nonces`, `signers`, `tweak`, `session`, `signing`, `deterministic` (BIP-445);
`vss`, `simplpedpop`, `encryption`, `encpedpop`, `certeq`, `params`, `transcript`, `recovery`, `chilldkg` with its
`chilldkg_message`, `chilldkg_participant` and `chilldkg_coordinator` (ChillDKG); `ciphersuite`, `ed25519`, `rfc9591`,
`pedpop` with its `pedpop_message` and `pedpop_transcript` (Ed25519); `coordinator` serves both ways of signing.
"""
