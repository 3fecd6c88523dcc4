// What is remembered: the sessions, and the events of one.

import { ago, announce, asking, byId, clock, el, errorBlock, faint, fill, payload, span, visible } from "./dom.js";

const PAGE = 50;
const EVENTS = 500;

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

  // Lists the latest sessions in the rail. Two answers on their way may be those of two agents.
  async recent() {
    const isLatest = asking(byId("recent"));
    const { sessions } = await this.api.json("GET", `${this.api.agentPath}memory/sessions?limit=15`, {
      quiet: true,
    });
    if (!isLatest()) return;
    byId("recent").replaceChildren(
      ...sessions.map(({ session_id: id, updated_at: at, event_count: count }) =>
        el(
          "li",
          {},
          el(
            "a",
            { href: chatOf(id), title: id },
            span("recent-id", id),
            el("span", { class: "faint", text: `${ago(at)} · ${count} events` }),
          ),
        ),
      ),
    );
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
    const failed = el("div");
    const path = `${this.api.agentPath}memory/sessions?limit=${PAGE}`;
    let next = null;
    const add = async () => {
      const query = next ? `&cursor=${encodeURIComponent(next)}` : "";
      const { sessions, next_cursor: after } = await this.api.json("GET", `${path}${query}`);
      const rows = sessions.map((session) => this.#row(session));
      body.append(...rows);
      next = after;
      more.hidden = !after;
      return rows;
    };
    if (!(await add()).length)
      return [faint("Nothing is remembered yet. Sessions appear here with their first message.")];
    let adding = false;
    more.addEventListener("click", async () => {
      if (adding) return;
      adding = true;
      try {
        const [first] = await add();
        failed.replaceChildren();
        // Those who go by keyboard go on where the new ones begin.
        first?.querySelector("a").focus({ preventScroll: true });
      } catch (error) {
        failed.replaceChildren(errorBlock(error));
      } finally {
        adding = false;
      }
    });
    const head = ["Session", "Updated", "Events", ""].map((text) =>
      el("th", { scope: "col" }, text || span("sr", "Actions")),
    );
    return [el("table", {}, el("thead", {}, el("tr", {}, ...head)), body), failed, more];
  }

  #row({ session_id: id, updated_at: at, event_count: count }) {
    const goOn = el("a", { class: "button small", href: chatOf(id), text: "Go on" });
    const row = el(
      "tr",
      {},
      el("td", { class: "id" }, el("a", { href: eventsOf(id), text: id })),
      el("td", { class: "when", title: at, text: ago(at) }),
      el("td", { class: "number", text: String(count) }),
      el(
        "td",
        {},
        el(
          "div",
          { class: "row-actions" },
          goOn,
          this.#forget(id, () => {
            const next = row.nextElementSibling ?? row.previousElementSibling;
            row.remove();
            (next?.querySelector("button") ?? byId("sessions-refresh")).focus();
          }),
        ),
      ),
    );
    return row;
  }

  #forget(id, done) {
    const button = el("button", { type: "button", class: "small" });
    const say = (text, name) => {
      button.textContent = text;
      button.setAttribute("aria-label", name);
    };
    say("Forget", `Forget session ${id}`);
    let asked = 0;
    button.addEventListener("click", async () => {
      if (!asked) {
        say("Really?", `Really? Forget session ${id}`);
        announce(`Really forget session ${id}? Press again.\n`, { now: true });
        button.classList.add("danger");
        asked = setTimeout(() => {
          asked = 0;
          say("Forget", `Forget session ${id}`);
          button.classList.remove("danger");
        }, 4000);
        return;
      }
      clearTimeout(asked);
      try {
        await this.api.json("DELETE", `${this.api.agentPath}memory/sessions/${encodeURIComponent(id)}`);
        announce(`Session ${id} is forgotten.\n`, { now: true });
        done();
        this.onForgotten(id);
      } catch (error) {
        button.replaceWith(errorBlock(error));
      }
    });
    return button;
  }

  async #events(session) {
    const { events } = await this.api.json(
      "GET",
      `${this.api.agentPath}memory/events?session_id=${encodeURIComponent(session)}&limit=${EVENTS}`,
    );
    const back = el(
      "p",
      {},
      el("a", { href: "#/sessions", text: "← All sessions" }),
      " ",
      el("a", { class: "button small", href: chatOf(session), text: "Go on in the chat" }),
    );
    if (!events.length) return [back, faint("The server remembers nothing of this session.")];
    return [back, el("ol", { class: "events" }, ...events.map((event) => this.#event(event)))];
  }

  #event({ event_type: type, content, timestamp, metadata }) {
    const isText = typeof content === "string";
    return el(
      "li",
      { class: "event", "data-type": type },
      el(
        "div",
        { class: "event-head" },
        span("chip", type),
        isText ? null : el("code", { text: visible(content.tool ?? "") }),
        span("grow"),
        el("time", { class: "faint", datetime: timestamp, title: timestamp, text: clock(timestamp) }),
      ),
      isText
        ? el("div", { class: "event-text", dir: "auto", text: visible(content) })
        : payload(content.arguments ?? content.result ?? content),
      Object.keys(metadata ?? {}).length
        ? el("details", {}, el("summary", { text: "Metadata" }), payload(metadata))
        : null,
    );
  }
}

const chatOf = (id) => `#/chat/${encodeURIComponent(id)}`;
const eventsOf = (id) => `#/sessions/${encodeURIComponent(id)}`;
