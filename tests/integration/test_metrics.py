"""What the operator sees: every series from the start, and a hostile peer as a number and not as a full
disk."""

import re

from tests.support.server import ROOT, serving

from tuppence_protocol.errors import CLOSES, CODES
from tuppence_protocol.kinds import CLIENT_FRAMES

MALFORMED = (
    b"\x00" * 50,
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"\x16\x03\x01\x02\x00",
    b"GET / HTTP/1.1\r\nA B: c\r\n\r\n",
)
UPGRADE = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: upgrade, close\r\nUpgrade: h2c\r\n\r\n"


async def test_every_series_is_there_at_0_from_the_start(server):
    found = await server.metrics()
    for code in CODES:
        assert found[f'tuppence_refusals_total{{code="{code}"}}'] == 0
    for reason in CLOSES:
        assert found[f'tuppence_closes_total{{reason="{reason}"}}'] == 0
    for cls in CLIENT_FRAMES:
        assert found[f'tuppence_frames_total{{kind="{cls.__struct_config__.tag}"}}'] == 0
    assert found["process_resident_memory_bytes"] > 0
    assert found["process_open_fds"] > 0
    (build,) = (name for name in found if name.startswith("tuppence_build_info{"))
    assert 'version="' in build


async def test_every_metric_of_the_guide_is_there_by_its_name(tmp_path):
    """A name that is told and not shown is an alert that never comes."""
    guide = (ROOT / "docs" / "operating.md").read_text("utf-8")
    table = guide.partition("| metric | watch for |")[2].partition("\n\n")[0]
    told = set(re.findall(r"`(tuppence_\w+)", table))
    async with serving(tmp_path) as server:
        shown = {re.sub(r"(_bucket|_count|_sum)?(\{.*)?$", "", name) for name in await server.metrics()}
    assert told - shown == set()
    assert {"tuppence_clock_jumps_total", "tuppence_commit_seconds"} <= told


async def test_malformed_requests_are_counted_and_the_log_stays_short(server):
    for _ in range(40):
        for data in (*MALFORMED, UPGRADE):
            raw = await server.raw()
            await raw.send(data)
            raw.writer.write_eof()
            await raw.rest()
            await raw.drop()
    assert await server.metric("malformed_requests_total") >= 40 * (len(MALFORMED) - 1)
    assert len(server.log.read_text().splitlines()) < 30
