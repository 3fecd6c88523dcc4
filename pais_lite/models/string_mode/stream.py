"""A streamed answer in string mode: another model's stream, with the calls in its text turned into tool call parts."""

from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from uuid import uuid4

from pydantic_ai.messages import (
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)
from pydantic_ai.models import StreamedResponse
from pydantic_ai.usage import RequestUsage

from pais_lite.models.string_mode.calls import Call
from pais_lite.models.string_mode.reader import AnswerReader, Text

__all__ = ["StringModeStream", "read_response", "tool_call_part"]


def tool_call_part(call: Call) -> ToolCallPart:
    """Return the part for a call, under an id of our own."""
    return ToolCallPart(call.tool, call.arguments, tool_call_id=f"call_{uuid4().hex[:24]}")


def read_response(
    response: ModelResponse, tools: Mapping[str, Collection[str]], *, enveloped: bool
) -> ModelResponse:
    """Return a whole response with the calls in its text turned into parts."""
    parts: list[ModelResponsePart] = []
    called = False
    for part in response.parts:
        if not isinstance(part, TextPart):
            parts.append(part)
            continue
        reader = AnswerReader(tools, enveloped=enveloped)
        text = ""
        calls: list[ModelResponsePart] = []
        for item in (*reader.feed(part.content), *reader.finish()):
            if isinstance(item, Text):
                text += item.content
            else:
                calls.append(tool_call_part(item))
        if text:
            parts.append(replace(part, content=text))
        parts.extend(calls)
        called = called or bool(calls)
    reason = "tool_call" if called and response.finish_reason == "stop" else response.finish_reason
    return replace(response, parts=parts, finish_reason=reason)


@dataclass
class StringModeStream(StreamedResponse):
    """Reads the events of `inner`: text leaves as it comes, calls leave as parts, everything else is passed on."""

    inner: StreamedResponse
    tools: Mapping[str, Collection[str]] | None
    enveloped: bool = False
    spent: RequestUsage = field(default_factory=RequestUsage)
    """What was used before this answer began, such as for finding out what it should be."""

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        reader: AnswerReader | None = None
        reading = -1
        called = False
        async for event in self.inner:
            items: list[Text | Call] = []
            text = ""
            if isinstance(event, PartStartEvent):
                if reader is not None:
                    for settled in self._events(reader.finish(), reading):
                        yield settled
                    reader = None
                if isinstance(event.part, TextPart):
                    reader, reading, text = self._maybe_reader(), event.index, event.part.content
                else:
                    yield self._parts_manager.handle_part(
                        vendor_part_id=("inner", event.index), part=event.part
                    )
            elif isinstance(event, PartDeltaEvent):
                if isinstance(event.delta, TextPartDelta):
                    text = event.delta.content_delta
                else:
                    for passed in self._passed_on(event.index, event.delta):
                        yield passed
            if text:
                items = [Text(text)] if reader is None else reader.feed(text)
            called = called or any(isinstance(item, Call) for item in items)
            for settled in self._events(items, reading):
                yield settled
        if reader is not None:
            items = reader.finish()
            called = called or any(isinstance(item, Call) for item in items)
            for settled in self._events(items, reading):
                yield settled
        self._take_over(called)

    def _maybe_reader(self) -> AnswerReader | None:
        return None if self.tools is None else AnswerReader(self.tools, enveloped=self.enveloped)

    def _events(self, items: list[Text | Call], index: int) -> Iterator[ModelResponseStreamEvent]:
        for item in items:
            if isinstance(item, Text):
                yield from self._parts_manager.handle_text_delta(
                    vendor_part_id=("text", index), content=item.content
                )
            else:
                yield self._parts_manager.handle_part(vendor_part_id=None, part=tool_call_part(item))

    def _passed_on(self, index: int, delta: object) -> Iterator[ModelResponseStreamEvent]:
        vendor_part_id = ("inner", index)
        if isinstance(delta, ThinkingPartDelta):
            yield from self._parts_manager.handle_thinking_delta(
                vendor_part_id=vendor_part_id,
                content=delta.content_delta,
                signature=delta.signature_delta,
                provider_name=delta.provider_name,
                provider_details=delta.provider_details,
            )
        elif isinstance(delta, ToolCallPartDelta):
            yield from self._parts_manager.handle_tool_call_delta_events(
                vendor_part_id=vendor_part_id,
                tool_name=delta.tool_name_delta,
                args=delta.args_delta,
                tool_call_id=delta.tool_call_id,
            )

    def _take_over(self, called: bool) -> None:
        self.finish_reason = (
            "tool_call" if called and self.inner.finish_reason == "stop" else self.inner.finish_reason
        )
        self.provider_response_id = self.inner.provider_response_id
        self.provider_details = self.inner.provider_details
        self.canonical_system = self.inner.canonical_system
        self.state = self.inner.state
        self.metadata = self.inner.metadata
        self.failed_attempts = self.inner.failed_attempts

    async def close_stream(self) -> None:
        """Close the wrapped stream and its connection."""
        await self.inner.cancel()

    def get_stream_cancel_errors(self) -> tuple[type[BaseException], ...]:
        """Return what the wrapped stream may raise when it is cancelled."""
        return self.inner.get_stream_cancel_errors()

    @property
    def usage(self) -> RequestUsage:
        """What this answer has used so far, with all that was asked before it."""
        return self.inner.usage + self.spent

    @property
    def model_name(self) -> str:
        """The name of the model that answers."""
        return self.inner.model_name

    @property
    def provider_name(self) -> str | None:
        """The wrapped model's provider."""
        return self.inner.provider_name

    @property
    def provider_url(self) -> str | None:
        """The wrapped model's address."""
        return self.inner.provider_url

    @property
    def timestamp(self) -> datetime:
        """When the wrapped model's answer began."""
        return self.inner.timestamp
