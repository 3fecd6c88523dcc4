// The way to the server: requests, the key, errors, and event streams. All URLs are relative to where the page lies.

export const BASE = new URL("./", location.href).href.split(/[?#]/)[0];
const KEY = `pais-console-key:${BASE}`;
// What helps to find a request in the server's log, and to know when to ask again.
const TELLING = [
  "x-request-id",
  "x-run-id",
  "x-session-id",
  "traceparent",
  "retry-after",
  "x-should-retry",
  "www-authenticate",
  "allow",
];

export class ApiError extends Error {
  constructor(message, fields = {}) {
    super(message);
    Object.assign(this, fields);
  }
}

// Server-sent events, read piece by piece (WHATWG HTML, section 9.2); only `data` matters here.
export class SseParser {
  #rest = "";
  #data = [];

  push(text) {
    const events = [];
    this.#rest += text;
    // A final CR may be half of a CR LF.
    const lines = this.#rest.split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length) events.push(this.#data.join("\n"));
        this.#data = [];
      } else if (line.startsWith("data:")) {
        this.#data.push(line.slice(line[5] === " " ? 6 : 5));
      }
    }
    return events;
  }
}

export class Api {
  #entries = new WeakMap();
  #paused = new Set();

  constructor({ askForKey, onRequest, onReach }) {
    this.askForKey = askForKey;
    this.onRequest = onRequest;
    this.onReach = onReach;
    this.routes = new Set();
  }

  get key() {
    return sessionStorage.getItem(KEY) ?? "";
  }
  set key(value) {
    if (value) sessionStorage.setItem(KEY, value);
    else sessionStorage.removeItem(KEY);
  }

  // Answers with a response whose status is not an error; raises `ApiError` for all else.
  async send(method, path, { body, headers = {}, accept = "application/json", signal, quiet = false } = {}) {
    const entry = {
      method,
      url: BASE + path,
      body,
      headers,
      began: performance.now(),
      at: Date.now(),
      withKey: Boolean(this.key),
    };
    if (!quiet) this.onRequest(entry);
    for (;;) {
      const key = this.key;
      const sent = { accept, ...headers };
      if (body !== undefined) sent["content-type"] = "application/json";
      if (key) sent.authorization = `Bearer ${key}`;
      let response;
      try {
        response = await fetch(BASE + path, {
          method,
          headers: sent,
          signal,
          credentials: "same-origin",
          cache: "no-store",
          body: body === undefined ? undefined : JSON.stringify(body),
        });
      } catch (error) {
        if (error.name === "AbortError") {
          this.#tell(entry, { aborted: true });
          throw error;
        }
        this.onReach(false);
        const unreachable = new ApiError("The server did not answer.", {
          type: "network",
          unreachable: true,
        });
        this.#tell(entry, { error: unreachable });
        throw unreachable;
      }
      this.#reached();
      this.#tell(entry, { status: response.status, answer: telling(response), withKey: Boolean(key) });
      if (response.ok) {
        this.#entries.set(response, entry);
        return response;
      }
      const error = await readError(response);
      this.#tell(entry, { error });
      if (response.status !== 401) throw error;
      if (
        this.key === key &&
        !(await this.askForKey(key ? error.message : "This server answers only to those who have a key."))
      )
        throw error;
    }
  }

  async json(method, path, options) {
    const response = await this.send(method, path, options);
    try {
      return await response.json();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError("The server's answer is not JSON.", { status: response.status });
    }
  }

  // Yields the payloads of an event stream; `onOpen` sees the response first.
  async *events(method, path, { onOpen = () => {}, ...options } = {}) {
    const response = await this.send(method, path, { ...options, accept: "text/event-stream" });
    onOpen(response);
    const parser = new SseParser();
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        yield* parser.push(value);
      }
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new ApiError("The connection broke before the answer was whole.", {
        type: "network",
        broken: true,
      });
    } finally {
      reader.cancel().catch(() => {});
      this.#tell(this.#entries.get(response), {});
    }
  }

  // Asks a probe, without a key: whatever it answers is an answer, and so is silence. A server that stops waits until
  // those who probe it have heard so, unless they say that they only look on.
  async probe(path, { quiet = false } = {}) {
    const headers = { "X-Observer": "console" };
    const entry = {
      method: "GET",
      url: BASE + path,
      headers,
      began: performance.now(),
      at: Date.now(),
      withKey: false,
    };
    if (!quiet) this.onRequest(entry);
    try {
      const response = await fetch(entry.url, {
        headers: { accept: "application/json", ...headers },
        credentials: "same-origin",
        cache: "no-store",
      });
      const body = await response.json().catch(() => ({}));
      this.#reached();
      this.#tell(entry, { status: response.status, answer: telling(response) });
      return { ok: response.ok, status: response.status, ms: entry.ms, body };
    } catch {
      this.#tell(entry, { error: new ApiError("The server did not answer.", { type: "network" }) });
      return { ok: false, unreachable: true, body: {} };
    }
  }

  // Waits, but no longer than until the server has answered anything at all.
  async pause(ms) {
    await new Promise((resolve) => {
      this.#paused.add(resolve);
      setTimeout(resolve, ms);
    });
  }

  #reached() {
    this.onReach(true);
    for (const resume of this.#paused) resume();
    this.#paused.clear();
  }

  #tell(entry, fields) {
    Object.assign(entry, fields, { ms: performance.now() - entry.began });
    entry.onChange?.();
  }
}

function telling(response) {
  return Object.fromEntries(
    TELLING.filter((name) => response.headers.has(name)).map((name) => [name, response.headers.get(name)]),
  );
}

async function readError(response) {
  const fields = { status: response.status, statusText: response.statusText, headers: telling(response) };
  const text = await response.text().catch(() => "");
  try {
    const { message, type, code, param } = JSON.parse(text).error;
    return new ApiError(message, { ...fields, type, code, param });
  } catch {
    return new ApiError(text.slice(0, 500) || "The server gave no reason.", fields);
  }
}
