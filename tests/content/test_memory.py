"""What a content session adds to a node's resident memory."""

import subprocess
import sys

# A whole node stays under 120 MB; a third of it is for content: libtorrent, its session, and a hundred pictures.
CONTENT_SHARE = 40 * 1024**2

PROGRAM = """
import asyncio, sys
from pathlib import Path
import psutil
before = psutil.Process().memory_info().rss
from overlay.clock import SystemClock, SystemRandomness
from overlay.content import ContentSession, new_token

async def main():
    token = new_token(SystemRandomness())
    session = await ContentSession.open(Path(sys.argv[1]), clock=SystemClock(), token=token, on_event=print)
    for each in range(100):
        await session.publish(each.to_bytes() * 100_000, ".png")
    print(psutil.Process().memory_info().rss - before)
    await session.close()

asyncio.run(main())
"""


def test_a_session_with_a_hundred_pictures_stays_within_its_share_of_memory(tmp_path):
    ran = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path], capture_output=True, text=True, check=True)
    assert 0 < int(ran.stdout) < CONTENT_SHARE
