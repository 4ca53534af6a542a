"""Other people's threshold signing, to compare with: `@noble/curves` from npm, and the BIP's own reference in Python.

Neither is part of the project. `@noble/curves` is fetched by npm into a cache folder outside the repository; the
reference is taken from a checkout of the repository of BIP-445 that `COUNTERFOIL_BIP445` names. Where one is missing,
the reason is told instead of a figure.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

NOBLE = "@noble/curves"
# The release that has FROST for BIP340, and those that do not break what it promises.
NOBLE_WANTED = f"{NOBLE}@^2.4.0"
SCRIPT = Path(__file__).parent.parent / "tests" / "dao" / "frost" / "noble.mjs"
REFERENCE = "COUNTERFOIL_BIP445"
SECONDS = 600


class Missing(Exception):
    """A peer is not on this machine; the message says what it would take."""


def cache() -> Path:
    """Where npm's packages are kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "counterfoil-peers"


def noble_folder(*, fetch: bool) -> Path:
    """The folder of `@noble/curves`; npm gets it where that is allowed. Raises Missing."""
    if shutil.which("node") is None:
        raise Missing("node is not installed")
    place = cache() / "node_modules" / "@noble" / "curves"
    if not place.exists() and fetch:
        npm = shutil.which("npm")
        if npm is None:
            raise Missing("npm is not installed")
        cache().mkdir(parents=True, exist_ok=True)
        got = subprocess.run(
            [npm, "install", "--no-audit", "--no-fund", "--prefix", str(cache()), NOBLE_WANTED],
            capture_output=True,
            timeout=SECONDS,
        )
        if got.returncode:
            raise Missing(f"npm could not install {NOBLE_WANTED}")
    if not place.exists():
        raise Missing(f"{NOBLE} is not in {cache().name}: experiments.treasury_speed fetches it")
    return place


def noble(asked: dict[str, Any], *, fetch: bool = False) -> Any:
    """What `noble.mjs` answers. Raises Missing, CalledProcessError."""
    folder = noble_folder(fetch=fetch)
    ran = subprocess.run(
        ["node", str(SCRIPT), str(folder)],
        input=json.dumps(asked).encode(),
        capture_output=True,
        timeout=SECONDS,
        check=True,
    )
    return json.loads(ran.stdout)


def noble_version() -> str:
    """The version that was measured."""
    return str(json.loads((noble_folder(fetch=False) / "package.json").read_text())["version"])


# Run by another Python, so that the reference's modules never meet ours: one signer, and the check of one signature
# share, since that of all would take minutes.
_REFERENCE_SCRIPT = """
import json, sys, time
folder, t, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
sys.path[:0] = [folder, folder + "/secp256k1lab/src"]
from frost_ref import signing
from secp256k1lab.secp256k1 import G, Scalar

def share(i):
    return sum((Scalar(7 + k) * Scalar(pow(i + 1, k)) for k in range(t)), Scalar(0))

ids = list(range(t))
secrets = [share(i) for i in ids]
public = [(s * G).to_bytes_compressed() for s in secrets]
key = (Scalar(7) * G).to_bytes_compressed()
signers = signing.SignersContext(n, t, ids, public, key)
msg = bytes([7]) * 32
def nonce(i):
    return signing.nonce_gen_internal(bytes([i]) * 32, secrets[i].to_bytes(), public[i], None, msg, None)
begin = time.perf_counter()
first = nonce(0)
spent = time.perf_counter() - begin
nonces = [first] + [nonce(i) for i in ids[1:]]
session = signing.SessionContext(signing.nonce_agg([p for _, p in nonces]), signers, [], [], msg)
begin = time.perf_counter()
part = signing.sign(bytearray(first[0]), secrets[0].to_bytes(), 0, session)
spent += time.perf_counter() - begin
begin = time.perf_counter()
assert signing.partial_sig_verify_internal(part, 0, nonces[0][1], public[0], session)
one = time.perf_counter() - begin
print(json.dumps({"signer_ms": spent * 1000, "one_share_verified_ms": one * 1000}))
"""


def reference(threshold: int, count: int) -> Any:
    """Milliseconds of the reference for one signer, and to verify one signature share. Raises Missing."""
    folder = Path(os.environ.get(REFERENCE, "")) / "python"
    if not os.environ.get(REFERENCE) or not (folder / "frost_ref" / "signing.py").exists():
        raise Missing(f"{REFERENCE} names no checkout of the repository of BIP-445")
    ran = subprocess.run(
        [sys.executable, "-c", _REFERENCE_SCRIPT, str(folder), str(threshold), str(count)],
        capture_output=True,
        timeout=SECONDS,
        check=True,
    )
    return json.loads(ran.stdout)
