"""What a run says, as the events of the Responses API: which items there are, how each grows, and how it all ends.

The events are a pure function of the run's record and its log, read from the first event on. So every reader is told the
same, live or late, on whichever replica, and one who comes back with the number of an event gets those after it.

Of the words of the API, these are used for what only an agent does:

- Thoughts are the summary of a `reasoning` item: more clients read that than the text of one.
- A tool that the server runs is an `mcp_call` with the label `tools`, and a delegation one with the label `delegation`.
  Clients show such calls, and none tries to run them.
- What happens inside a call comes as more `response.mcp_call.in_progress` events of that item. Like all events of these
  calls, they have one field that the API does not know: `progress`, as in the chunks of a chat stream.
- A call of a client's tool is a `function_call`; one that waits for approval is an `mcp_approval_request`, whose id is
  that of the call.
"""

from collections.abc import Mapping
from typing import Any

from pais_lite.api.progress import progress_object
from pais_lite.api.responses_objects import details_of, is_background, item_id, response_object
from pais_lite.encoding import dump_json
from pais_lite.events import (
    Failed,
    Finished,
    Progress,
    RunEvent,
    TextDelta,
    ThinkingDelta,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
)
from pais_lite.runs import RunRecord, RunStatus, status_of

__all__ = ["ResponseEvents"]

_Event = dict[str, Any]

_SERVER_LABELS = {"tool_call": "tools", "delegate": "delegation"}
_TERMINAL_EVENTS: dict[RunStatus, str] = {
    "completed": "response.completed",
    "incomplete": "response.incomplete",
    "failed": "response.failed",
    # The API has no event of its own for this; the status in the response says what it was.
    "cancelled": "response.failed",
}


# The phases of messages: what was said beside a call, and the answer.
_COMMENTARY, _FINAL_ANSWER = "commentary", "final_answer"
_NEW_MESSAGE = {"type": "message", "status": "in_progress", "role": "assistant", "content": []}
_NEW_REASONING = {"type": "reasoning", "status": "in_progress", "summary": []}


class ResponseEvents:
    """Tells one run from its beginning. `begin` comes first, then `tell` for every event of the log, in order.

    Events come without their numbers; `output` holds the items so far.
    """

    def __init__(self, record: RunRecord) -> None:
        self.output: list[dict[str, Any]] = []
        self._record = record
        self._background = is_background(record)
        self._approved = frozenset(details_of(record).get("approved", ()))
        self._has_begun = not self._background
        self._has_text = False
        # The place of the message or the reasoning that still grows.
        self._growing: int | None = None
        self._pieces: list[str] = []
        # By call id, the places of the server's calls that are under way: a model may give two of them one id.
        self._calls: dict[str, list[int]] = {}
        # By the index of the call, the places of the client's calls, and by these their arguments so far.
        self._handed_out: dict[int, int] = {}
        self._arguments: dict[int, list[str]] = {}

    def begin(self) -> list[_Event]:
        """Return the events that come before all that the run says."""
        status: RunStatus = "queued" if self._background else "in_progress"
        response = response_object(self._record, status)
        return [
            {"type": "response.created", "response": response},
            {"type": f"response.{status}", "response": response},
        ]

    def tell(self, event: RunEvent) -> list[_Event]:
        """Return the events that one of the run's becomes; those of the last one end with the final event."""
        told: list[_Event] = []
        if not self._has_begun and not isinstance(event, Failed):
            told.append(
                {"type": "response.in_progress", "response": response_object(self._record, "in_progress")}
            )
        self._has_begun = True
        match event:
            case TextDelta(text=text):
                self._tell_text(told, text)
            case ThinkingDelta(text=text):
                self._tell_thought(told, text)
            case Progress():
                self._tell_progress(told, event)
            case ToolCallStarted(kind="client"):
                self._open_function_call(told, event.index, event.call_id, event.tool)
            case ToolCallDelta(index=index, arguments=arguments):
                self._tell_arguments(told, index, arguments)
            case ToolCallStarted():
                # A request for approval is told whole, with the arguments that are to be approved.
                pass
            case Finished() | Failed():
                self._end(told, event)
        return told

    # ------------------------------------------------------------------------------------------ text and thoughts

    def _tell_text(self, told: list[_Event], text: str) -> None:
        self._has_text = True
        place = self._grow(told, "message")
        self._pieces.append(text)
        told.append(
            {
                "type": "response.output_text.delta",
                "item_id": self.output[place]["id"],
                "output_index": place,
                "content_index": 0,
                "delta": text,
                "logprobs": [],
            }
        )

    def _tell_thought(self, told: list[_Event], text: str) -> None:
        place = self._grow(told, "reasoning")
        self._pieces.append(text)
        told.append(
            {
                "type": "response.reasoning_summary_text.delta",
                "item_id": self.output[place]["id"],
                "output_index": place,
                "summary_index": 0,
                "delta": text,
            }
        )

    def _grow(self, told: list[_Event], kind: str) -> int:
        """Return the place of the item that grows now, which is opened if it is of another kind."""
        place = self._growing
        if place is not None and self.output[place]["type"] == kind:
            return place
        self._close_growing(told, "completed")
        if kind == "message":
            place = self._add(told, "msg", _NEW_MESSAGE)
            told.append(self._part("response.content_part.added", place, _text_part("")))
        else:
            place = self._add(told, "rs", _NEW_REASONING)
            told.append(self._summary("response.reasoning_summary_part.added", place, part=_summary_part("")))
        self._growing = place
        return place

    def _close_growing(self, told: list[_Event], status: str, phase: str | None = None) -> None:
        place, self._growing = self._growing, None
        if place is None:
            return
        text = "".join(self._pieces)
        self._pieces.clear()
        item = self.output[place]
        if item["type"] == "message":
            done = {"text": text, "logprobs": []}
            told.append(self._of(place, "response.output_text.done", content_index=0, **done))
            told.append(self._part("response.content_part.done", place, _text_part(text)))
            phases = {} if phase is None else {"phase": phase}
            self._done(told, place, content=[_text_part(text)], status=status, **phases)
        else:
            told.append(self._summary("response.reasoning_summary_text.done", place, text=text))
            told.append(
                self._summary("response.reasoning_summary_part.done", place, part=_summary_part(text))
            )
            self._done(told, place, summary=[_summary_part(text)], status=status)

    # ------------------------------------------------------------------------------------------ calls of the server's

    def _tell_progress(self, told: list[_Event], event: Progress) -> None:
        progress = progress_object(event)
        if event.status == "started" and not event.path:
            self._open_call(told, event, progress)
            return
        root = event.path[0].call_id if event.path else event.call_id
        places = self._calls.get(root)
        if not places:
            return
        if event.path or event.status == "running":
            told.append(self._of(places[0], "response.mcp_call.in_progress", progress=progress))
            return
        place = places.pop(0)
        if event.status == "completed":
            self._close_call(told, place, progress, status="completed", output=_as_text(event.result))
        else:
            what = "the call failed" if event.result is None else _as_text(event.result)
            error = {"type": "mcp_tool_execution_error", "content": [{"type": "text", "text": what}]}
            self._close_call(told, place, progress, status="failed", error=error)

    def _open_call(self, told: list[_Event], event: Progress, progress: Mapping[str, Any]) -> None:
        self._close_growing(told, "completed", _COMMENTARY)
        arguments = "{}" if event.arguments is None else dump_json(event.arguments).decode()
        place = self._add(
            told,
            "mcp",
            {
                "type": "mcp_call",
                "status": "in_progress",
                "approval_request_id": event.call_id if event.call_id in self._approved else None,
                "arguments": "",
                "error": None,
                "name": event.target,
                "output": None,
                "server_label": _SERVER_LABELS[event.action],
            },
        )
        self.output[place] |= {"arguments": arguments}
        self._calls.setdefault(event.call_id, []).append(place)
        told.append(self._of(place, "response.mcp_call.in_progress", progress=progress))
        told.append(self._of(place, "response.mcp_call_arguments.delta", delta=arguments))
        told.append(self._of(place, "response.mcp_call_arguments.done", arguments=arguments))

    def _close_call(
        self, told: list[_Event], place: int, progress: Mapping[str, Any] | None, **fields: Any
    ) -> None:
        kind = "completed" if fields["status"] == "completed" else "failed"
        extra = {} if progress is None else {"progress": progress}
        told.append(self._of(place, f"response.mcp_call.{kind}", **extra))
        self._done(told, place, **fields)

    # ------------------------------------------------------------------------------------------ calls of the client's

    def _open_function_call(self, told: list[_Event], index: int, call_id: str, name: str) -> None:
        self._close_growing(told, "completed", _COMMENTARY)
        place = self._handed_out[index] = self._add(
            told,
            "fc",
            {
                "type": "function_call",
                "status": "in_progress",
                "arguments": "",
                "call_id": call_id,
                "name": name,
            },
        )
        self._arguments[place] = []

    def _tell_arguments(self, told: list[_Event], index: int, arguments: str) -> None:
        place = self._handed_out.get(index)
        if place is None:
            return
        self._arguments[place].append(arguments)
        told.append(self._of(place, "response.function_call_arguments.delta", delta=arguments))

    def _close_function_call(self, told: list[_Event], place: int, arguments: str, status: str) -> None:
        name = self.output[place]["name"]
        told.append(self._of(place, "response.function_call_arguments.done", name=name, arguments=arguments))
        self._done(told, place, arguments=arguments, status=status)

    def _hand_out(self, told: list[_Event], index: int, call: ToolCall) -> None:
        """Tell what is left to tell of a call that the run ended in."""
        if call.kind == "approval":
            request = {
                "type": "mcp_approval_request",
                "arguments": call.arguments,
                "name": call.tool,
                "server_label": _SERVER_LABELS["tool_call"],
            }
            place = self._add(told, None, {"id": call.call_id, **request})
            self._done(told, place)
            return
        if index not in self._handed_out:
            self._open_function_call(told, index, call.call_id, call.tool)
        place = self._handed_out.pop(index)
        known = sum(len(piece) for piece in self._arguments[place])
        if rest := call.arguments[known:]:
            told.append(self._of(place, "response.function_call_arguments.delta", delta=rest))
        self._close_function_call(told, place, call.arguments, "completed")

    # ------------------------------------------------------------------------------------------ the end

    def _end(self, told: list[_Event], ending: Finished | Failed) -> None:
        status = status_of(ending)
        of_items = "completed" if status == "completed" else "incomplete"
        if isinstance(ending, Finished):
            if not self._has_text and ending.output:
                # Runs that nobody listened to say their answer at once.
                self._tell_text(told, ending.output)
            elif not self.output and not ending.tool_calls and status == "completed":
                # An answer may be empty; there is one all the same.
                self._grow(told, "message")
            self._close_growing(told, of_items, _COMMENTARY if ending.tool_calls else _FINAL_ANSWER)
            for index, call in enumerate(ending.tool_calls):
                self._hand_out(told, index, call)
        self._close_growing(told, of_items)
        for place in self._handed_out.values():
            self._close_function_call(told, place, "".join(self._arguments[place]), "incomplete")
        for places in self._calls.values():
            for place in places:
                self._close_call(told, place, None, status="incomplete")
        response = response_object(self._record, status, output=self.output, ending=ending)
        told.append({"type": _TERMINAL_EVENTS[status], "response": response})

    # ------------------------------------------------------------------------------------------ the shape of events

    def _add(self, told: list[_Event], prefix: str | None, item: dict[str, Any]) -> int:
        place = len(self.output)
        if prefix is not None:
            item = {"id": item_id(prefix, self._record.run_id, place), **item}
        self.output.append(dict(item))
        told.append({"type": "response.output_item.added", "output_index": place, "item": item})
        return place

    def _done(self, told: list[_Event], place: int, **fields: Any) -> None:
        item = self.output[place] = self.output[place] | fields
        told.append({"type": "response.output_item.done", "output_index": place, "item": item})

    def _of(self, place: int, kind: str, **fields: Any) -> _Event:
        return {"type": kind, "item_id": self.output[place]["id"], "output_index": place, **fields}

    def _part(self, kind: str, place: int, part: Mapping[str, Any]) -> _Event:
        return self._of(place, kind, content_index=0, part=part)

    def _summary(self, kind: str, place: int, **fields: Any) -> _Event:
        return self._of(place, kind, summary_index=0, **fields)


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _summary_part(text: str) -> dict[str, Any]:
    return {"type": "summary_text", "text": text}


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else dump_json(value).decode()
