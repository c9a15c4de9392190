"""The process that imports RunPod's SDK: one question on stdin, one line of JSON on stdout."""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

# Constant: what is asked needs no variables, and the SDK's transport has none.
QUERY = "query account { myself { clientBalance currentSpendPerHr spendLimit } }"


def main() -> None:
    """Answer `{"api_url", "api_key", "patience"}` with GraphQL's document or `{"unknown": why}`."""
    asked: dict[str, Any] = json.load(sys.stdin)
    os.environ["RUNPOD_API_BASE_URL"] = asked["api_url"]
    # A proxy must not see what is meant for this machine.
    os.environ["NO_PROXY"] = ",".join(
        filter(None, (os.environ.get("NO_PROXY"), "localhost,127.0.0.1,::1"))
    )
    answers: list[dict[str, Any]] = []
    try:
        # The SDK's modules may print; the answer is the last line whatever they do.
        from runpod.api.graphql import run_graphql_query  # noqa: PLC0415 - all this process is for
    except Exception as error:  # noqa: BLE001 - an SDK that is broken is one that is not there
        answers.append({"unknown": f"RunPod's SDK cannot be loaded: {error!r}"})
    else:

        def ask() -> None:
            try:
                answers.append(run_graphql_query(QUERY, asked["api_key"]))
            except Exception as error:  # noqa: BLE001 - retired, refused, unreachable: all unknown
                answers.append({"unknown": f"RunPod's GraphQL says: {error}"})

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(asked["patience"])
    answer = answers[0] if answers else {"unknown": "RunPod's GraphQL did not answer in time"}
    print(f"\n{json.dumps(answer)}", flush=True)  # noqa: T201 - this is how the parent is told
    # A request that hangs, and whatever the SDK started, is left behind.
    os._exit(0)


if __name__ == "__main__":
    main()
