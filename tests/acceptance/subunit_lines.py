"""Turn a subunit stream into one JSON object a test; runs under Tempest's own interpreter."""

import json
import sys

import subunit
import testtools


def show(test: dict) -> None:
    """Print one test that ended."""
    details = {name: content.as_text() for name, content in test["details"].items()}
    line = {"id": test["id"], "status": test["status"], "details": details}
    print(json.dumps(line), flush=True)


def main() -> None:
    """Read the stream from standard input."""
    stream = subunit.ByteStreamToStreamResult(sys.stdin.buffer, non_subunit_name="stdout")
    result = testtools.StreamToDict(show)
    result.startTestRun()
    stream.run(result)
    result.stopTestRun()


if __name__ == "__main__":
    main()
