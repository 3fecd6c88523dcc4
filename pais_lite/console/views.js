// The pages beside the chat: sessions and their events, the tools that the model sees, and how the server is.

import { ago, byId, clock, el, errorBlock, payload, visible } from "./dom.js";

const PAGE = 50;
const EVENTS = 500;

// Fills a page with what `work` makes, or with what went wrong.
async function fill(page, work) {
  page.setAttribute("aria-busy", "true");
  try {
    page.replaceChildren(...(await work()));
  } catch (error) {
    if (error.name !== "AbortError") page.replaceChildren(errorBlock(error));
  } finally {
    page.removeAttribute("aria-busy");
  }
}

export class Sessions {
  constructor(api, { onForgotten }) {
    this.api = api;
    this.onForgotten = onForgotten;
    this.page = byId("sessions");
    byId("sessions-refresh").addEventListener("click", () => this.show(this.shown));
  }

  async show(session) {
    this.shown = session;
    byId("sessions-title").textContent = session ? `Events of ${session}` : "Sessions";
    await fill(this.page, () => (session ? this.#events(session) : this.#list()));
  }

  // Lists the latest sessions in the rail.
  async recent() {
    const { sessions } = await this.api.json("GET", `${this.api.agentPath}memory/sessions?limit=15`, { quiet: true });
    byId("recent").replaceChildren(...sessions.map(({ session_id: id, updated_at: at, event_count: count }) =>
      el("li", {}, el("a", { href: chatOf(id), title: id }, el("span", { class: "recent-id", text: id }), el("span", { class: "faint", text: `${ago(at)} · ${count} events` })))));
    byId("recent").parentElement.hidden = !sessions.length;
    this.mark();
  }

  // Marks the session that the chat shows.
  mark() {
    for (const link of byId("recent").querySelectorAll("a")) {
      if (link.getAttribute("href") === location.hash) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }

  async #list() {
    const body = el("tbody");
    const more = el("button", { type: "button", text: "More" });
    const add = async (cursor) => {
      const query = cursor ? `&cursor=${encodeURIComponent(cursor)}` : "";
      const { sessions, next_cursor: next } = await this.api.json("GET", `${this.api.agentPath}memory/sessions?limit=${PAGE}${query}`);
      body.append(...sessions.map((session) => this.#row(session)));
      more.hidden = !next;
      more.onclick = () => add(next);
      return sessions.length;
    };
    if (!(await add())) return [el("p", { class: "faint", text: "Nothing is remembered yet. Sessions appear here with their first message." })];
    const head = ["Session", "Updated", "Events", ""].map((text) => el("th", { scope: "col" }, text || el("span", { class: "sr", text: "Actions" })));
    return [el("table", {}, el("thead", {}, el("tr", {}, ...head)), body), more];
  }

  #row({ session_id: id, updated_at: at, event_count: count }) {
    const row = el("tr", {},
      el("td", { class: "id" }, el("a", { href: eventsOf(id), text: id })),
      el("td", { title: at, text: ago(at) }),
      el("td", { class: "number", text: String(count) }),
      el("td", { class: "row-actions" }, el("a", { class: "button small", href: chatOf(id), text: "Go on" }), this.#forget(id, () => row.remove())));
    return row;
  }

  #forget(id, done) {
    const button = el("button", { type: "button", class: "small", text: "Forget", "aria-label": `Forget session ${id}` });
    let asked = 0;
    button.addEventListener("click", async () => {
      if (!asked) {
        button.textContent = "Really?";
        button.classList.add("danger");
        asked = setTimeout(() => { asked = 0; button.textContent = "Forget"; button.classList.remove("danger"); }, 4000);
        return;
      }
      clearTimeout(asked);
      try {
        await this.api.json("DELETE", `${this.api.agentPath}memory/sessions/${encodeURIComponent(id)}`);
        done();
        this.onForgotten(id);
      } catch (error) {
        button.replaceWith(errorBlock(error));
      }
    });
    return button;
  }

  async #events(session) {
    const { events } = await this.api.json("GET", `${this.api.agentPath}memory/events?session_id=${encodeURIComponent(session)}&limit=${EVENTS}`);
    const back = el("p", {}, el("a", { href: "#/sessions", text: "← All sessions" }), " ", el("a", { class: "button small", href: chatOf(session), text: "Go on in the chat" }));
    if (!events.length) return [back, el("p", { class: "faint", text: "The server remembers nothing of this session." })];
    return [back, el("ol", { class: "events" }, ...events.map((event) => this.#event(event)))];
  }

  #event({ event_type: type, content, timestamp, metadata }) {
    const isText = typeof content === "string";
    return el("li", { class: "event", "data-type": type },
      el("div", { class: "event-head" }, el("span", { class: "chip", text: type }), isText ? null : el("code", { text: visible(content.tool ?? "") }), el("span", { class: "grow" }), el("time", { class: "faint", datetime: timestamp, title: timestamp, text: clock(timestamp) })),
      isText ? el("div", { class: "event-text", dir: "auto", text: visible(content) }) : payload(content.arguments ?? content.result ?? content),
      Object.keys(metadata ?? {}).length ? el("details", {}, el("summary", { text: "Metadata" }), payload(metadata)) : null);
  }
}

const chatOf = (id) => `#/chat/${encodeURIComponent(id)}`;
const eventsOf = (id) => `#/sessions/${encodeURIComponent(id)}`;

export class Tools {
  constructor(api) {
    this.api = api;
    this.page = byId("tools");
    byId("tools-refresh").addEventListener("click", () => this.show());
  }

  async show() {
    await fill(this.page, async () => {
      const { tools } = await this.api.json("GET", `${this.api.agentPath}tools`);
      if (!tools.length) return [el("p", { class: "faint", text: "The model sees no tools." })];
      return tools.map(({ function: tool }) => this.#tool(tool));
    });
  }

  #tool({ name, description, parameters = {} }) {
    const properties = Object.entries(parameters.properties ?? {});
    const required = new Set(parameters.required ?? []);
    const rows = properties.map(([parameter, schema]) => el("tr", {},
      el("td", {}, el("code", { text: visible(parameter) }), required.has(parameter) ? null : el("span", { class: "faint", text: " optional" })),
      el("td", {}, el("code", { text: visible(typeOf(schema)) })),
      el("td", { dir: "auto", text: visible(schema.description ?? "") })));
    const head = ["Parameter", "Type", "Meaning"].map((text) => el("th", { scope: "col", text }));
    return el("article", { class: "card" },
      el("h3", {}, el("code", { text: visible(name) })),
      description ? el("p", { class: "wrap", dir: "auto", text: visible(description) }) : null,
      rows.length ? el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)) : el("p", { class: "faint", text: "No parameters." }),
      el("details", {}, el("summary", { text: "JSON schema" }), payload(parameters)));
  }
}

function typeOf(schema) {
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.type === "array") return `${typeOf(schema.items ?? {})}[]`;
  return schema.type ?? schema.$ref?.split("/").pop() ?? "any";
}

// Whether the server is there and ready, asked again and again while somebody looks.
export class Status {
  constructor(api, { onState }) {
    this.api = api;
    this.onState = onState;
    this.page = byId("status");
    this.state = "unknown";
    byId("status-refresh").addEventListener("click", () => this.show());
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.poll(); });
  }

  // Asks for readiness, and says when to ask again.
  async poll() {
    clearTimeout(this.timer);
    const answer = await this.api.probe("ready", { quiet: true });
    this.#become(answer.unreachable ? "unreachable" : answer.ok ? "ready" : "not ready");
    if (!document.hidden) this.timer = setTimeout(() => this.poll(), this.state === "ready" ? 15_000 : 2000);
  }

  #become(state) {
    if (state === this.state) return;
    const before = this.state;
    this.state = state;
    this.onState(state, before);
  }

  async show() {
    await fill(this.page, async () => {
      const [health, ready] = await Promise.all([this.api.probe("health"), this.api.probe("ready")]);
      const card = await this.api.json("GET", `${this.api.agentPath}.well-known/agent-card.json`).catch((error) => error);
      this.#become(ready.unreachable ? "unreachable" : ready.ok ? "ready" : "not ready");
      return [this.#probe("Health", "/health", health), this.#probe("Readiness", "/ready", ready), card instanceof Error ? errorBlock(card) : this.#card(card), this.#routes()];
    });
  }

  #probe(title, path, answer) {
    const checks = Object.entries(answer.body.checks ?? {}).map(([name, state]) => [el("dt", { text: visible(name) }), el("dd", {}, el("span", { class: "chip", "data-good": String(state === "ok"), text: visible(state) }))]).flat();
    return el("article", { class: "card" },
      el("h3", {}, title, " ", el("code", { class: "faint", text: path }), " ", el("span", { class: "chip", "data-good": String(answer.ok), text: answer.unreachable ? "unreachable" : `${answer.status} ${answer.body.status ?? ""}` })),
      checks.length ? el("dl", { class: "pairs" }, ...checks) : null,
      answer.unreachable ? null : el("p", { class: "faint", text: `answered in ${Math.round(answer.ms)} ms` }));
  }

  #card(card) {
    const pairs = [["Name", card.name], ["Description", card.description], ["URL", card.url], ["Version", card.version], ["Protocol", card.protocolVersion]]
      .filter(([, value]) => value)
      .flatMap(([name, value]) => [el("dt", { text: name }), el("dd", { dir: "auto", text: visible(value) })]);
    return el("article", { class: "card" }, el("h3", { text: "Agent card" }), el("dl", { class: "pairs" }, ...pairs), el("details", {}, el("summary", { text: "The whole card" }), payload(card)));
  }

  #routes() {
    return el("article", { class: "card" }, el("h3", { text: "Routes" }), el("ul", { class: "routes" }, ...[...this.api.routes].map((route) => el("li", {}, el("code", { text: route })))));
  }
}
