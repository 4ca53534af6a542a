"""The experiments on the ledger's speed run, do all that they count, and tell it under the promised names."""

from pathlib import Path

from experiments import exchange_ceiling, exchange_throughput, ledger_growth, sync_throughput


async def test_the_ceiling_counts_three_blocks_for_each_agreement(tmp_path: Path) -> None:
    told = await exchange_ceiling.measure(tmp_path, agreements=40, window=8)

    vouchers, warming_up = 8, 8
    assert told["blocks"] == vouchers + 3 * (warming_up + told["agreements"])
    assert told["agreements"] == 40
    assert told["agreements_per_s"] > 0


async def test_two_nodes_reach_every_agreement_that_was_begun(tmp_path: Path) -> None:
    told = await exchange_throughput.measure(tmp_path, seconds=0.3, lanes=8, rounds=1)

    assert {"agreements_per_s", "ceiling_per_s", "ratio", "p50_ms", "p99_ms"} <= told.keys()
    charter_and_admission, vouchers = 2, 8
    assert told["agreements"] > 0
    assert told["blocks"] == charter_and_admission + vouchers + 3 * told["agreements"]
    assert 0 < told["p50_ms"] <= told["p99_ms"]
    assert told["ratio"] > 0


async def test_a_growing_ledger_is_measured_at_each_size(tmp_path: Path) -> None:
    sizes = [200, 600]
    told = await ledger_growth.measure(tmp_path, sizes, repeat=2)

    assert {"sizes", "exchange_ms", "query_ms", "bytes_per_agreement"} <= told.keys()
    assert told["sizes"] == sizes
    assert len(told["exchange_ms"]) == len(told["query_ms"]) == len(sizes)
    # It is filled in whole rounds up to the last size, and two exchanges of three blocks are made on top.
    assert 0 <= sizes[-1] + 2 * 3 - told["blocks"] < ledger_growth.BLOCKS_PER_ROUND
    assert told["bytes_per_agreement"] > 0


def test_a_newcomer_fetches_every_block() -> None:
    told = sync_throughput.measure(count=1_200, chains=4)

    assert {"blocks", "blocks_per_s", "peak_rss_mb"} <= told.keys()
    assert told["blocks"] == 1_200
    assert told["peak_rss_mb"] > 0
