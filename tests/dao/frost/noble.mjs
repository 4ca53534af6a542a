// FROST of @noble/curves with shares that were made elsewhere. It reads one JSON object from standard input:
//   {"do": "sign", "min", "max", "key", "verifying": {id: hex}, "shares": {id: hex}, "msg"}   shares of a tweaked key
//   {"do": "verify", "key", "msg", "signature"}                                                a BIP340 signature
//   {"do": "time", "min", "max", "repeat"}                                                     its own shares, timed
// and writes one to standard output. The first argument is the folder of the package.
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';

const load = (file) => import(pathToFileURL(`${process.argv[2]}/${file}`).href);
const { schnorr, schnorr_FROST: frost } = await load('secp256k1.js');

const bytes = (hex) => Uint8Array.from(Buffer.from(hex, 'hex'));
const hex = (raw) => Buffer.from(raw).toString('hex');
const asked = JSON.parse(readFileSync(0, 'utf8'));

// A share of participant i here is that of identifier i + 1 there.
const identifier = (number) => frost.Identifier.fromNumber(Number(number) + 1);

function publicPart({ min, max, key, verifying }) {
  const shares = Object.entries(verifying).map(([number, share]) => [identifier(number), bytes(share)]);
  // Only the constant term is looked at when signing; the others say how the shares came about.
  return { signers: { min, max }, commitments: Array(min).fill(bytes(key)), verifyingShares: Object.fromEntries(shares) };
}

function secretParts(shares) {
  return Object.entries(shares).map(([number, share]) => ({ identifier: identifier(number), signingShare: bytes(share) }));
}

function run(secrets, open, msg, timer) {
  const made = secrets.map((secret, at) => timer(at, () => frost.commit(secret)));
  const commitments = made.map((each) => each.commitments);
  const parts = secrets.map((secret, at) => [
    secret.identifier,
    timer(at, () => frost.signShare(secret, open, made[at].nonces, commitments, msg)),
  ]);
  return timer('coordinator', () => {
    for (const [id, part] of parts)
      if (!frost.verifyShare(open, commitments, msg, id, part)) throw new Error(`the share of ${id} is wrong`);
    return frost.aggregate(open, commitments, msg, Object.fromEntries(parts));
  });
}

function time({ min, max, repeat }) {
  const deal = frost.trustedDealer({ min, max });
  const secrets = Object.values(deal.secretShares).slice(0, min);
  const msg = new Uint8Array(32).fill(7);
  const best = { signer_ms: Infinity, coordinator_ms: Infinity };
  for (let round = 0; round < repeat; round++) {
    const spent = {};
    run(secrets, deal.public, msg, (who, work) => {
      const begin = performance.now();
      try { return work(); } finally { spent[who] = (spent[who] ?? 0) + performance.now() - begin; }
    });
    best.signer_ms = Math.min(best.signer_ms, spent[0]);
    best.coordinator_ms = Math.min(best.coordinator_ms, spent.coordinator);
  }
  return best;
}

const actions = {
  sign: () => {
    const msg = bytes(asked.msg);
    const signature = run(secretParts(asked.shares), publicPart(asked), msg, (_, work) => work());
    return { signature: hex(signature), verified: schnorr.verify(signature, msg, bytes(asked.key).slice(1)) };
  },
  verify: () => ({ verified: schnorr.verify(bytes(asked.signature), bytes(asked.msg), bytes(asked.key).slice(1)) }),
  time: () => time(asked),
};
process.stdout.write(JSON.stringify(actions[asked.do]()));
