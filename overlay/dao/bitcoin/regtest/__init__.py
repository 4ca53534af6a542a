"""A regtest Bitcoin chain of one's own: Bitcoin Core's consensus code, a small mempool, bitcoind's JSON-RPC, Esplora.

    service = await serve(folder, "127.0.0.1", 0, SystemClock(), SystemRandomness())
    print(service.url, service.cookie_path)       # for any client of bitcoind's JSON-RPC
    print(service.esplora_url)                    # for any client of Esplora, on this machine only
    await service.stopped()                       # until a client calls `stop`
    await service.close()

A new chain begins with 101 blocks mined to the service's faucet, so that `sendtoaddress` has coins to give.
"""

from overlay.dao.bitcoin.regtest.errors import RegtestError
from overlay.dao.bitcoin.regtest.service import RegtestService, serve

__all__ = ["RegtestError", "RegtestService", "serve"]
