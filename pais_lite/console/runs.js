// A run as one stream of events, read by the Responses API:
// {kind: "text" | "thinking", text}, {kind: "progress", progress}, {kind: "payload", call, args | result},
// {kind: "approval", request}, {kind: "broken"}, {kind: "usage", usage}, {kind: "finish", reason}, {kind: "error", error}.

import { ApiError } from "./api.js";

// How long to wait before a broken stream is taken up again, each time in a row: two minutes in all, or as soon as the
// server is there again.
const PAUSES = [500, 1000, 2000, 4000, ...Array(14).fill(8000)];
const ENDS = new Set(["response.completed", "response.incomplete", "response.failed"]);

// Starts a run that goes on without its reader. `onOpen` gets its id as soon as the server has taken it on.
export function startRun(api, path, { model, session, input, ...options }) {
  const body = { model, input, conversation: session, background: true, stream: true };
  return read(api, path, { method: "POST", where: `${path}v1/responses`, body }, options);
}

// Reads a run from its first event on, whoever began it.
export function followRun(api, path, id, options) {
  return read(api, path, { method: "GET", where: `${of(path, id)}?stream=true` }, options);
}

export async function cancelRun(api, path, id) {
  await api.json("POST", `${of(path, id)}/cancel`);
}

const of = (path, id) => `${path}v1/responses/${encodeURIComponent(id)}`;

// A stream that breaks is taken up where it broke.
async function* read(api, path, { method, where, body }, { signal, onOpen }) {
  const decoder = new Decoder();
  let pauses = [...PAUSES];
  let id = null;
  const opened = (response) => onOpen((id = response.headers.get("x-run-id")));
  for (;;) {
    try {
      for await (const data of api.events(method, where, { body, signal, onOpen: opened })) {
        if (data === "[DONE]") continue;
        const event = JSON.parse(data);
        pauses = [...PAUSES];
        yield* decoder.decode(event);
        if (ENDS.has(event.type)) return;
      }
      throw new ApiError("The connection broke before the answer was whole.", {
        type: "network",
        broken: true,
      });
    } catch (error) {
      const pause = id && (error.broken || error.unreachable) ? pauses.shift() : undefined;
      if (pause === undefined) throw error;
      yield { kind: "broken" };
      await api.pause(pause);
      signal.throwIfAborted();
      const after = decoder.cursor < 0 ? "" : `&starting_after=${decoder.cursor}`;
      [method, where, body] = ["GET", `${of(path, id)}?stream=true${after}`, undefined];
    }
  }
}

class Decoder {
  cursor = -1;
  // Which call an item is about; only what is told of its progress says so.
  #calls = new Map();

  *decode(event) {
    this.cursor = event.sequence_number ?? this.cursor;
    const { progress, item, response } = event;
    if (progress) {
      if (!progress.path) this.#calls.set(event.item_id, progress.call_id);
      yield { kind: "progress", progress };
    }
    switch (event.type) {
      case "response.output_text.delta":
        yield { kind: "text", text: event.delta };
        break;
      case "response.reasoning_summary_text.delta":
        yield { kind: "thinking", text: event.delta };
        break;
      case "response.mcp_call_arguments.done":
        yield { kind: "payload", call: this.#calls.get(event.item_id), args: JSON.parse(event.arguments) };
        break;
      case "response.output_item.done":
        if (item.type === "mcp_call") {
          const result = item.output ?? item.error?.content?.map((part) => part.text).join("\n");
          if (result !== undefined) yield { kind: "payload", call: this.#calls.get(item.id), result };
        } else if (item.type === "mcp_approval_request") {
          yield {
            kind: "approval",
            request: { id: item.id, name: item.name, args: JSON.parse(item.arguments) },
          };
        }
        break;
      case "response.completed":
      case "response.incomplete":
        yield { kind: "usage", usage: response.usage };
        yield { kind: "finish", reason: response.incomplete_details?.reason };
        break;
      case "response.failed":
        yield { kind: "usage", usage: response.usage };
        yield { kind: "error", error: response.error };
        break;
      case "error":
        yield { kind: "error", error: event };
        break;
    }
  }
}
