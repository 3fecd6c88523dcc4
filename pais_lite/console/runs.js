// A run as one stream of events, whatever protocol it is read by:
// {kind: "text" | "thinking", text}, {kind: "progress", progress}, {kind: "usage", usage}, {kind: "finish", reason},
// {kind: "error", error}.

import { ApiError } from "./api.js";

// Starts a run by chat completions. `onOpen` gets the id of the run, where the server gives one.
export async function* startRun(api, path, { model, session, text, signal, onOpen }) {
  const body = { model, stream: true, stream_options: { include_usage: true }, messages: [{ role: "user", content: text }] };
  // A run that nobody could come back to ends with its connection.
  const headers = { "X-Session-ID": session, "X-On-Disconnect": canFollow(api) && canCancel(api) ? "continue" : "cancel" };
  const events = api.events("POST", `${path}v1/chat/completions`, {
    body, headers, signal, onOpen: (response) => onOpen(response.headers.get("x-run-id")),
  });
  let ended = false;
  for await (const data of events) {
    if (data === "[DONE]") { ended = true; break; }
    yield* chatEvents(JSON.parse(data));
  }
  if (!ended) throw new ApiError("The connection broke before the answer was whole.", { type: "network", broken: true });
}

function* chatEvents(chunk) {
  if (chunk.error) yield { kind: "error", error: chunk.error };
  if (chunk.progress) yield { kind: "progress", progress: chunk.progress };
  if (chunk.usage) yield { kind: "usage", usage: chunk.usage };
  const choice = chunk.choices?.[0];
  if (!choice) return;
  const thought = choice.delta?.reasoning_content ?? choice.delta?.reasoning;
  if (thought) yield { kind: "thinking", text: thought };
  if (choice.delta?.content) yield { kind: "text", text: choice.delta.content };
  if (choice.finish_reason) yield { kind: "finish", reason: choice.finish_reason };
}

// What the server says that it can do with runs whose connection is gone.
export const canFollow = (api) => api.has("GET /v1/responses/{id}");
export const canCancel = (api) => api.has("POST /v1/responses/{id}/cancel");

export async function cancelRun(api, path, id) {
  await api.json("POST", `${path}v1/responses/${encodeURIComponent(id)}/cancel`);
}

// How long to wait before a broken stream is taken up again, each time in a row.
const PAUSES = [500, 1000, 2000, 4000, 8000];
const ENDS = new Set(["response.completed", "response.incomplete", "response.failed", "response.cancelled", "error"]);

// Reads a run from its first event on, whoever began it. A stream that breaks is taken up where it broke.
export async function* followRun(api, path, id, { signal, onOpen }) {
  let cursor = -1;
  let pauses = [...PAUSES];
  for (;;) {
    const after = cursor < 0 ? "" : `&starting_after=${cursor}`;
    try {
      const where = `${path}v1/responses/${encodeURIComponent(id)}?stream=true${after}`;
      for await (const data of api.events("GET", where, { signal, quiet: cursor >= 0, onOpen: () => onOpen(id) })) {
        if (data === "[DONE]") return;
        const event = JSON.parse(data);
        cursor = event.sequence_number ?? cursor;
        pauses = [...PAUSES];
        yield* responseEvents(event);
        if (ENDS.has(event.type)) return;
      }
      throw new ApiError("The connection broke before the answer was whole.", { type: "network", broken: true });
    } catch (error) {
      const pause = error.broken || error.unreachable ? pauses.shift() : undefined;
      if (pause === undefined) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
}

function* responseEvents(event) {
  if (event.progress) yield { kind: "progress", progress: event.progress };
  switch (event.type) {
    case "response.output_text.delta":
      yield { kind: "text", text: event.delta };
      break;
    case "response.reasoning_text.delta":
    case "response.reasoning_summary_text.delta":
      yield { kind: "thinking", text: event.delta };
      break;
    case "response.completed":
    case "response.incomplete":
      if (event.response.usage) yield { kind: "usage", usage: { prompt_tokens: event.response.usage.input_tokens, completion_tokens: event.response.usage.output_tokens } };
      yield { kind: "finish", reason: event.response.incomplete_details?.reason ?? "stop" };
      break;
    case "response.failed":
      yield { kind: "error", error: event.response.error ?? { message: "The run failed." } };
      break;
    case "response.cancelled":
      yield { kind: "error", error: { code: "cancelled", message: "The run was cancelled." } };
      break;
    case "error":
      yield { kind: "error", error: event.error ?? event };
      break;
  }
}
