"""Talk and pay from this terminal, or watch two people do it.

Interactive, as one person:
    python clients/demo.py --url http://127.0.0.1:8802 --as alice

The scripted conversation of two people, over real sockets:
    python clients/demo.py --url http://127.0.0.1:8802 --script --as alice --with bob

Passwords are asked for, or come from the environment; tokens are used where they are given:
    TUPPENCE_TOKEN, TUPPENCE_PASSWORD            of the person after --as
    TUPPENCE_PEER_TOKEN, TUPPENCE_PEER_PASSWORD  of the person after --with
"""

import argparse
import asyncio
import getpass
import os
import sys

from tuppence_client import TuppenceError, connect, login, register
from tuppence_client.terminal import run_terminal
from tuppence_client.terminal.words import refused
from tuppence_demo.conversation import ScriptFailed, run_script


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--url", default="http://127.0.0.1:8802", help="the server (default: %(default)s)")
    parser.add_argument("--as", dest="handle", default="alice", metavar="HANDLE", help="who you are")
    parser.add_argument("--script", action="store_true", help="run the scripted conversation instead")
    parser.add_argument(
        "--with", dest="peer", default="bob", metavar="HANDLE", help="the other one of --script"
    )
    parser.add_argument("--register", action="store_true", help="make the user first")
    parser.add_argument(
        "--password-stdin", action="store_true", help="the password is the first line of input"
    )
    return parser.parse_args()


async def token_of(args: argparse.Namespace, handle: str, prefix: str) -> str:
    """The token of a person: given, or from a login."""
    if token := os.environ.get(f"{prefix}TOKEN"):
        return token
    password = os.environ.get(f"{prefix}PASSWORD")
    if password is None and args.password_stdin:
        password = sys.stdin.readline().removeprefix("\ufeff").rstrip("\r\n")
    if password is None:
        password = await asyncio.to_thread(getpass.getpass, f"Password of @{handle}: ")
    if args.register:
        await register(args.url, handle, password)
    return (await login(args.url, handle, password, device=f"demo-{handle}")).token


async def main() -> int:
    """Run what was asked for; the exit code is 0 when all went well."""
    args = arguments()
    try:
        mine = await token_of(args, args.handle, "TUPPENCE_")
        if args.script:
            await run_script(args.url, mine, await token_of(args, args.peer, "TUPPENCE_PEER_"), print)
        else:
            async with connect(args.url, token=mine) as me:
                return await run_terminal(me)
    except TuppenceError as refusal:
        sys.stderr.write(f"✗ {refused(refusal)}\n")
        return 1
    except (ScriptFailed, TimeoutError, ValueError) as fault:
        sys.stderr.write(f"✗ {fault or 'the server took too long'}\n")
        return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main()))
    except KeyboardInterrupt:
        sys.exit(130)
