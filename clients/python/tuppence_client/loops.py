"""The client needs asyncio's loop; under another one it says so before anything is done."""

import asyncio


def need_asyncio(call: str) -> None:
    """Raise RuntimeError, in words for people, where no loop of asyncio runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise RuntimeError(
            f"{call} needs a running asyncio loop: asyncio.run(main()). Under trio, and in code without a "
            "loop, use SyncClient in a thread: trio.to_thread.run_sync(work)."
        ) from None
