// A run as one stream of events, whatever protocol it is read by:
// {kind: "text" | "thinking", text}, {kind: "progress", progress}, {kind: "usage", usage}, {kind: "finish", reason},
// {kind: "error", error}.

import { ApiError } from "./api.js";

// Starts a run by chat completions. `onOpen` gets the id of the run, where the server gives one.
export async function* startRun(api, { model, session, text, signal, onOpen }) {
  const body = { model, stream: true, stream_options: { include_usage: true }, messages: [{ role: "user", content: text }] };
  const headers = { "X-Session-ID": session, "X-On-Disconnect": "continue" };
  const events = api.events("POST", "v1/chat/completions", {
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

export async function cancelRun(api, id) {
  await api.json("POST", `v1/responses/${encodeURIComponent(id)}/cancel`);
}
