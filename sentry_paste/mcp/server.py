"""The tools of the server, with the official SDK of the Model Context Protocol, version 1 or 2."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

from mcp.types import ToolAnnotations
from pydantic import Field

from sentry_paste.mcp.marking import NOTICE, as_data
from sentry_paste.mcp.queries import QueryError, SpoolReader
from sentry_paste.sdk.failures import log_failure

try:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
except ImportError:  # version 1
    from mcp.server.fastmcp import FastMCP as MCPServer
    from mcp.server.fastmcp.exceptions import ToolError

_READ_ONLY = ToolAnnotations(
    readOnlyHint=True, destructiveHint=False, idempotentHint=True, openWorldHint=False
)

_INSTRUCTIONS = f"""\
Errors, requests and log lines of a web app, from the spool directory of sentry-paste. All tools only read.
Begin with whats_new or search_errors; get_error has the traceback, the source and the variables of an error,
and log_before what was logged before it; get_trace shows where a request has spent its time.
{NOTICE}"""

Search = Annotated[
    str,
    Field(
        description="words, and fields such as level:error handled:no status:>=500 transaction:GET* url: "
        "environment: release: user: logger: tag:NAME=VALUE after:2h before:2026-11-22T07:00 "
        "duration:>500ms; ! before a term excludes it; empty for all"
    ),
]
Limit = Annotated[int, Field(ge=1, le=100, description="how many to return")]
ErrorId = Annotated[str, Field(description="id or group of an error, or its first digits (at least four)")]


def make_server(directory: Path) -> Any:
    """Return the server.

    Args:
        directory: directory of the spool.
    """
    server: Any = MCPServer("sentry-paste", instructions=_INSTRUCTIONS, log_level="WARNING")
    for tool in _tools(SpoolReader(directory)):
        server.tool(annotations=_READ_ONLY, structured_output=False)(_answering(tool))
    return server


def _answering(tool: Callable[..., Any]) -> Callable[..., str]:
    """Return a tool whose answer is marked as data, and whose failures say what to do."""

    @functools.wraps(tool)
    def answer(*args: Any, **kwargs: Any) -> str:
        try:
            return as_data(tool(*args, **kwargs))
        except QueryError as error:
            raise ToolError(str(error)) from None
        except Exception as error:
            # Its message may quote what was recorded.
            log_failure("a question of an assistant cannot be answered")
            kind = type(error).__name__
            raise ToolError(f"this cannot be answered: {kind}; see the log of the server") from None

    # What wraps() has copied says what the tool returns, not what this does.
    answer.__annotations__ = {**tool.__annotations__, "return": "str"}
    return answer


def _tools(reader: SpoolReader) -> list[Callable[..., Any]]:
    def whats_new(
        since: Annotated[
            str,
            Field(description="15m, 2h or 1d before now, or a time; 'until' of the last answer, for example"),
        ] = "24h",
        limit: Limit = 20,
    ) -> Any:
        """Return the kinds of errors that are new since a time, those that came again, and counts."""
        return reader.news(since, limit)

    def search_errors(
        search: Search = "",
        sort: Annotated[
            Literal["last", "first", "count"],
            Field(description="last seen, first seen, or most frequent first"),
        ] = "last",
        limit: Limit = 20,
    ) -> Any:
        """Search errors; those of the same kind and place are one group, with its newest error."""
        return reader.errors(search, sort, limit)

    def get_error(id: ErrorId) -> Any:  # noqa: A002 - the name of the argument for the client
        """Return an error: exceptions with frames, source and variables, its request, tags and contexts."""
        return reader.error(id)

    def log_before(id: ErrorId, limit: Limit = 50) -> Any:  # noqa: A002
        """Return the log lines and breadcrumbs before an error, oldest first."""
        return reader.lines_before(id, limit)

    def search_traces(
        search: Search = "",
        sort: Annotated[Literal["last", "slowest"], Field(description="newest or slowest first")] = "last",
        limit: Limit = 20,
    ) -> Any:
        """Search requests: name, status, duration, errors, and the id of the trace for get_trace."""
        return reader.traces(search, sort, limit)

    def slow_routes(
        search: Search = "",
        sort: Annotated[
            Literal["p95", "p50", "count", "failed", "last", "name"], Field(description="highest first")
        ] = "p95",
        limit: Limit = 20,
    ) -> Any:
        """Return requests by name, with count, failures, and median and 95th percentile of the duration."""
        return reader.routes(search, sort, limit)

    def get_trace(
        id: Annotated[  # noqa: A002
            str, Field(description="id of a trace, or of an error in it, or its first digits (at least four)")
        ],
    ) -> Any:
        """Return a trace: spans and errors as a tree with times, and its log lines."""
        return reader.trace(id)

    return [whats_new, search_errors, get_error, log_before, search_traces, slow_routes, get_trace]
