"""Payments and statements over real sockets and HTTP."""

import asyncio
import csv
import io
import json

import pytest
from tests.support.wire import new_id


async def download(server, account, query):
    """Status, headers and body of a statement as a file."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    token = "" if account is None else f"Authorization: Bearer {account.token}\r\n"
    writer.write(f"GET /v1/statement{query} HTTP/1.1\r\nHost: x\r\n{token}Connection: close\r\n\r\n".encode())
    raw = await reader.read()
    writer.close()
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
    if headers.get("transfer-encoding") == "chunked":
        whole, body = body, b""
        while size := int(whole[: whole.index(b"\r\n")], 16):
            start = whole.index(b"\r\n") + 2
            body += whole[start : start + size]
            whole = whole[start + size + 2 :]
    return int(lines[0].split()[1]), headers, body


async def test_a_statement_is_asked_for_and_downloaded(server):
    alice, bob = await server.people("alice", "bob", credit="10.00")
    client = await server.connect(alice)
    await client.pay("@bob", "2.50")
    asked = {"kind": "ask.statement", "id": new_id(), "body": {"currency": "EUR", "limit": 1}}
    await client.send(asked)
    page = (await client.answer(asked["id"]))["body"]
    assert (page["opening"], page["closing"], len(page["lines"])) == ("0.00", "7.50", 1)
    assert page["lines"][0]["with"] == "operator"
    asked = {**asked, "id": new_id(), "body": {"currency": "EUR", "after": page["next"]}}
    await client.send(asked)
    page = (await client.answer(asked["id"]))["body"]
    assert [(line["amount"], line["with"]) for line in page["lines"]] == [("-2.50", "bob")]
    assert page["next"] is None
    status, headers, body = await download(server, alice, "?currency=EUR")
    assert (status, headers["content-type"]) == (200, "text/csv; charset=utf-8; header=present")
    assert 'filename="statement-EUR.csv"' in headers["content-disposition"]
    assert headers["cache-control"] == "no-store"
    records = list(csv.reader(io.StringIO(body.decode(), newline="")))
    assert [record[-2] for record in records] == ["balance", "0.00", "10.00", "7.50", "7.50"]
    moment = page["lines"][0]["at"]
    status, headers, body = await download(server, bob, f"?currency=EUR&format=json&from={moment}")
    assert headers["content-type"] == "application/jsonl"
    first, line, last = map(json.loads, body.splitlines())
    assert (first["opening"], line["amount"], last) == ("10.00", "2.50", {"closing": "12.50", "lines": 1})


async def test_payments_are_listed(server):
    alice, bob = await server.people("alice", "bob", credit="10.00")
    client = await server.connect(alice)
    event = await client.pay("@bob", "2.50")
    asked = {"kind": "ask.payments", "id": new_id(), "body": {"with": "@bob", "state": "completed"}}
    await client.send(asked)
    page = (await client.answer(asked["id"]))["body"]
    (view,) = page["payments"]
    assert (view["id"], view["payee"], view["amount"]) == (event["id"], bob.id, "2.50")
    assert (page["next"], page["pos"]) == (None, event["pos"])


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ("", "unknown_currency", "$.currency"),
        ("?currency=XXX", "unknown_currency", "$.currency"),
        ("?currency=EUR&format=xls", "bad_frame", "$.format"),
        ("?currency=EUR&from=yesterday", "bad_frame", "$.from"),
        ("?currency=EUR&to=-1", "bad_frame", "$.to"),
        ("?currency=EUR&to=99999999999999999999", "bad_frame", "$.to"),
        ("?currency=EUR&user=bob", "bad_frame", "$.user"),
    ],
)
async def test_what_is_asked_wrongly_is_refused(server, query, code, field):
    (alice,) = await server.people("alice")
    status, _, body = await download(server, alice, query)
    found = json.loads(body)
    assert (status, found["code"], found["field"]) == (400, code, field)


async def test_a_statement_is_for_its_owner_alone(server):
    status, _, body = await download(server, None, "?currency=EUR")
    assert (status, json.loads(body)["code"]) == (401, "bad_token")
