"""How one libtorrent session of ours is set up: quiet, small, exact, and only where it was told to be."""

from typing import Any

import libtorrent as lt

from overlay.content.bandwidth import TOKEN_PREFIX, peer_id
from overlay.content.torrent import METADATA_LIMIT

# Exact accounting needs blocks and pieces one by one: at 50 MB/s that is 3,000 alerts a second, and the queue holds
# six seconds of them should the event loop be busy elsewhere.
ALERT_QUEUE = 20_000
ALERTS = (
    lt.alert_category.error
    | lt.alert_category.status
    | lt.alert_category.storage
    | lt.alert_category.block_progress
    | lt.alert_category.piece_progress
    | lt.alert_category.upload
)
# A member talks to its commons, not to the world.
CONNECTIONS_LIMIT = 60
KIB = 1024


def session_params(host: str, port: int, token: str, upload_limit: int) -> lt.session_params:
    """Parameters of a session that listens on `host` and `port` (0: any) with the peer id `token`.

    `upload_limit` is in bytes a second for all peers together, 0 for none.
    """
    settings: Any = _private() | _small() | _exact(token) | _listening(host, port)
    settings["upload_rate_limit"] = upload_limit
    params = lt.session_params(settings)
    # Writes are done in the order they come, and each is reported before its piece is checked: that makes the credit
    # per block exact. The default back end checks pieces out of its cache and drops the report of the rest.
    params.disk_io_constructor = "posix_disk_io_constructor"
    return params


def _private() -> dict[str, object]:
    """Nothing is announced or asked outside of the peers that were named to us."""
    return {
        "enable_dht": False,
        "enable_lsd": False,
        "enable_upnp": False,
        "enable_natpmp": False,
        "dht_bootstrap_nodes": "",
        "webtorrent_stun_server": "",
        # A hostile announcement could name a service of this machine or its network as a "peer".
        "no_connect_privileged_ports": True,
        "user_agent": "counterfoil",
    }


def _small() -> dict[str, object]:
    """Memory in proportion to pictures and songs, not to a seed box."""
    return {
        "alert_queue_size": ALERT_QUEUE,
        "alert_mask": ALERTS,
        "connections_limit": CONNECTIONS_LIMIT,
        # Where a peer states the size beforehand, libtorrent takes up to 4 MiB whatever is set here; `check_metadata`
        # then refuses it. Messages that carry the metadata along leave no room for that.
        "max_metadata_size": METADATA_LIMIT,
        "max_peerlist_size": 200,
        "max_paused_peerlist_size": 50,
        "file_pool_size": 8,
        "max_queued_disk_bytes": 1024 * KIB,
        "send_buffer_watermark": 128 * KIB,
        "max_peer_recv_buffer_size": 256 * KIB,
        "max_out_request_queue": 100,
        "max_allowed_in_request_queue": 200,
        "checking_mem_usage": 16,
    }


def _exact(token: str) -> dict[str, object]:
    """Fixed identity, prompt reactions, no guessing."""
    return {
        # 20 bytes are taken as the whole peer id.
        "peer_fingerprint": peer_id(token),
        "handshake_client_version": TOKEN_PREFIX.decode(),
        # Many members sit behind one address: a household, a village network, a test on one machine.
        "allow_multiple_connections_per_ip": True,
        # Delay-based uTP falls to a fraction of TCP's speed where the machine is busy, and brings us nothing: peers are
        # known by their token, so TCP's unannounced ports do no harm.
        "enable_outgoing_utp": False,
        # New peers are dialled on the next tick.
        "tick_interval": 100,
        # Encryption of BitTorrent hides nothing from who knows the infohash, and costs a key exchange each time.
        "out_enc_policy": int(lt.enc_policy.pe_disabled),
        "in_enc_policy": int(lt.enc_policy.pe_disabled),
    }


def _listening(host: str, port: int) -> dict[str, object]:
    """Exactly there: no other port is tried in silence, so that the announced endpoint is true."""
    shown = f"[{host}]" if ":" in host else host
    return {
        "listen_interfaces": f"{shown}:{port}",
        "listen_system_port_fallback": False,
        "max_retry_port_bind": 0,
    }
