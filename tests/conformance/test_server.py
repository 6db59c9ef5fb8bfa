"""The transcripts against a real server, and the vectors through its sockets."""

import json
from pathlib import Path

import pytest
from tests.conformance.real_world import TRANSCRIPTS, VECTORS, RealWorld, environment
from tests.conformance.transcripts import play
from tests.support.server import serving


@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_transcript(path: Path, tmp_path: Path) -> None:
    async with serving(tmp_path, **environment(path)) as server:
        await play(RealWorld(server), path)


async def test_every_malformed_frame_gets_its_error_and_the_connection_lives(tmp_path: Path) -> None:
    """What is only malformed costs an error; bad UTF-8 and oversize end the connection, as RFC 6455 says."""
    vectors = [json.loads(line) for line in (VECTORS / "invalid.jsonl").read_text("utf-8").splitlines()]
    texts = [vector for vector in vectors if "raw" in vector and len(vector["raw"].encode()) <= 65_536]
    assert len(texts) > 500
    async with serving(tmp_path) as server:
        client = await server.connect(await server.person("alice"))
        for vector in texts:
            await client.send(vector["raw"])
            error = await client.expect(kind="error")
            assert (error["body"]["code"], error["body"]["field"]) == (vector["code"], vector["field"]), (
                vector["name"]
            )
        event = await client.submit("chat.text", "self", text="still here")
        assert event["seq"] == 1
