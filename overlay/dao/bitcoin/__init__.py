"""Bitcoin for a treasury: taproot payments, the chain that they need, and a regtest chain of our own.

    amounts, networks, scripts, bech32, address     satoshis, addresses, scriptPubKeys
    transaction, taproot, payment                   BIP144 bytes, BIP341 hashes, payments that await signatures
    replacement, psbt, psbt_maps                    a payment with a higher fee; payments for other people's wallets
    backend                                         what a treasury asks of the chain, whoever tells it
    jsonrpc, answers, bitcoind                      the chain as a bitcoind tells it
    headers, acceptance                             what shows that something is confirmed, or would be taken
    esplora_http, esplora_reader, esplora           the chain as an Esplora server tells it, as far as it shows it
    regtest                                         Bitcoin Core's consensus code served as a small bitcoind and Esplora

A treasury with the x-only internal key `internal_key` pays a farmer:

    script = taproot.script_pubkey(taproot.output_key(internal_key).key)
    backend = BitcoindBackend("http://127.0.0.1:18443/", CookieFile(folder / ".cookie"), Network.REGTEST)
    backend = EsploraBackend("https://blockstream.info/testnet/api", Network.TESTNET)      # or this one
    coins = await backend.coins(script)
    payee = Payee(address.decode("bcrt1q...", Network.REGTEST), Sats(25_000))
    unsigned = payment.build(coins, [payee], await backend.fee_rate(), change_script=script)
    signatures = [sign_with_the_tweaked_key(sighash) for sighash in unsigned.sighashes]
    raw = payment.attach_signatures(unsigned, signatures)
    await backend.test_accept(raw)
    txid = await backend.broadcast(raw)
    better = replacement.bump(unsigned, fee_rate=20, change_script=script)                 # if it waits too long

Another signer gets `unsigned.raw` and judges `payment.read(raw, await backend.coins(script), script)` instead of
believing it. For tests and demonstrations:

    service = await regtest.serve(folder, "127.0.0.1", 0, SystemClock(), SystemRandomness())
    backend = BitcoindBackend(service.url, CookieFile(service.cookie_path), Network.REGTEST)
    backend = EsploraBackend(service.esplora_url, Network.REGTEST)                         # the same chain
    ...
    await service.close()

Nothing here knows of members, votes or shares, and nothing of it reads a clock or draws a random number by itself.
"""
