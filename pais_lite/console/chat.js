// The chat: one conversation for each session, the composer, and what becomes of a run when its page goes away.

import { BASE } from "./api.js";
import { beforePaint, byId, el, errorBlock } from "./dom.js";
import { cancelRun, followRun, startRun } from "./runs.js";
import { Turn, turnsOf } from "./turn.js";

const RUNS = `pais-console-runs:${BASE}`;
const EVENTS = 200;

// The runs that this tab has begun and not seen the end of, by session.
const runs = {
  all() {
    return JSON.parse(sessionStorage.getItem(RUNS) ?? "{}");
  },
  get(session) {
    return this.all()[session];
  },
  set(session, run) {
    sessionStorage.setItem(RUNS, JSON.stringify({ ...this.all(), [session]: run }));
  },
  forget(session) {
    const { [session]: _, ...others } = this.all();
    sessionStorage.setItem(RUNS, JSON.stringify(others));
  },
};

const placeOf = (api, session) => `${api.agentPath}${session}`;

class Conversation {
  constructor(api, session, { agent, onChange }) {
    // The page may turn to another agent while this one still works.
    Object.assign(this, { api, session, agent, onChange, path: api.agentPath, place: placeOf(api, session) });
    this.element = el("div", { class: "turns" });
    this.active = null;
    this.loading = false;
  }

  get running() {
    return this.active !== null;
  }

  // Draws what the server remembers, and takes up the run that was under way.
  async load() {
    this.loading = true;
    const turns = await this.#remembered().finally(() => {
      this.loading = false;
    });
    const kept = runs.get(this.place);
    // What the log of the run tells is more than what memory knows of it.
    if (kept && turns.at(-1)?.said === kept.text) turns.pop();
    this.element.replaceChildren(...turns.map((turn) => turn.element));
    if (kept) await this.#run(this.#begin(kept.text, kept.at), { follow: kept.id });
    else if (turns.at(-1)?.state === "unknown")
      turns.at(-1).offer(this.#button("Look again", () => this.load()));
  }

  async #remembered(options) {
    const where = `${this.path}memory/events?session_id=${encodeURIComponent(this.session)}&limit=${EVENTS}`;
    return turnsOf((await this.api.json("GET", where, options)).events, this.agent);
  }

  async send(text, input = text) {
    await this.#run(this.#begin(text), { input });
  }

  #begin(text, at) {
    const turn = new Turn({ text, at, agent: this.agent });
    this.element.append(turn.element);
    return turn;
  }

  async #run(turn, { input, follow }) {
    const abort = new AbortController();
    const active = (this.active = { turn, abort, id: follow ?? null, stopping: false });
    turn.onDecided = (decisions) => this.#decided(decisions);
    this.onChange();
    const onOpen = (id) => {
      active.id = turn.run = id;
      runs.set(this.place, { id, text: turn.said, at: turn.at });
      if (active.stopping) this.stop();
      this.onChange();
    };
    const { api, path, session, agent: model } = this;
    const options = { signal: abort.signal, onOpen };
    try {
      const events = follow
        ? followRun(api, path, follow, options)
        : startRun(api, path, { model, session, input, ...options });
      for await (const event of events) turn.apply(event);
      turn.end();
      // A run that waits for its user is there again after a reload.
      if (turn.state !== "asking") runs.forget(this.place);
      // The answer is there without its times, too.
      if (follow) await this.#time(turn).catch(() => {});
    } catch (error) {
      await this.#broken(turn, active, error, follow);
    } finally {
      if (this.active === active) this.active = null;
      this.onChange();
    }
  }

  async #time(turn) {
    const known = (await this.#remembered({ quiet: true })).at(-1);
    if (known?.said === turn.said && known.state !== "unknown") turn.adopt(known);
  }

  async #broken(turn, active, error, follow) {
    if (error.name === "AbortError") {
      this.#leave(turn, "detached");
    } else if (follow && error.status === 404) {
      // The server keeps a run for a while only; what it remembers of the session stays.
      runs.forget(this.place);
      this.active = null;
      await this.load();
    } else if (active.id && (error.broken || error.unreachable)) {
      this.#leave(turn, "lost");
    } else {
      runs.forget(this.place);
      turn.fail(error);
    }
  }

  #leave(turn, state) {
    turn.leave(state);
    turn.offer(this.#button("Follow", () => this.#follow(turn)));
  }

  // Reads a run that this page left, from its first event on.
  async #follow(turn) {
    if (this.running) return;
    const again = new Turn({ text: turn.said, at: turn.at, agent: this.agent });
    turn.element.replaceWith(again.element);
    await this.#run(again, { follow: turn.run });
  }

  async #decided(decisions) {
    const said = decisions
      .map(({ name, approve }) => `${approve ? "Approved" : "Denied"}: ${name}`)
      .join("\n");
    await this.send(
      said,
      decisions.map(({ id, approve }) => ({
        type: "mcp_approval_response",
        approval_request_id: id,
        approve,
      })),
    );
  }

  async stop() {
    const { active } = this;
    if (!active) return;
    active.stopping = true;
    this.onChange();
    // Until the server has named the run, which it does at once, there is nothing to stop.
    if (!active.id) return;
    try {
      await cancelRun(this.api, this.path, active.id);
    } catch (error) {
      active.turn.branch.element.append(errorBlock(error));
      active.stopping = false;
      this.onChange();
    }
  }

  detach() {
    this.active?.abort.abort();
  }

  #button(text, work) {
    return el("button", { type: "button", class: "small", text, onclick: work });
  }
}

export class Chat {
  constructor(api, { agent, onTurn, onSession }) {
    Object.assign(this, { api, agent, onTurn, onSession });
    this.conversations = new Map();
    this.transcript = byId("transcript");
    this.prompt = byId("prompt");
    this.atEnd = true;
    this.top = 0;
    byId("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.prompt.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        this.send();
      }
    });
    this.prompt.addEventListener("input", () => this.#fit());
    byId("stop").addEventListener("click", () => {
      if (!this.current.active?.stopping) this.current.stop();
    });
    byId("detach").addEventListener("click", () => this.current.detach());
    byId("new-chat").addEventListener("click", () => {
      this.onSession(newSession());
      this.prompt.focus();
    });
    byId("to-end").addEventListener("click", () => {
      this.atEnd = true;
      this.#follow();
      this.prompt.focus();
    });
    this.transcript.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => beforePaint(this.#stick)).observe(this.transcript);
    this.grown = new ResizeObserver(() => beforePaint(this.#stick));
  }

  // Shows the conversation of a session, which goes on where it was when it had been shown before.
  async open(session) {
    // What was to be sent was meant for the conversation that was seen.
    if (this.current) this.isEager = false;
    let conversation = this.conversations.get(placeOf(this.api, session));
    const isNew = !conversation;
    if (isNew) {
      conversation = new Conversation(this.api, session, {
        agent: this.agent(),
        onChange: () => this.#changed(),
      });
      this.conversations.set(conversation.place, conversation);
    }
    this.current = conversation;
    this.grown.disconnect();
    this.grown.observe(conversation.element);
    this.transcript.replaceChildren(conversation.element, this.empty());
    byId("session-id").textContent = session;
    byId("session-events").href = `#/sessions/${encodeURIComponent(session)}`;
    this.atEnd = true;
    this.#changed();
    if (isNew && !unused.has(session)) await this.#loaded(conversation);
    if (this.isEager && this.current === conversation) await this.send();
  }

  // The session that is shown, if anything has been said in it.
  get begun() {
    return this.current?.element.childElementCount ? this.current.session : undefined;
  }

  async #loaded(conversation) {
    try {
      await conversation.load();
    } catch (error) {
      conversation.element.replaceChildren(errorBlock(error));
      this.conversations.delete(conversation.place);
    }
    this.#changed();
  }

  empty() {
    this.hint ??= el("div", { class: "empty" });
    return this.hint;
  }

  async send() {
    const text = this.prompt.value.trim();
    const conversation = this.current;
    // Who types faster than the page learns about its server, or of what was said, is not made to press Enter twice.
    this.isEager = !conversation || conversation.loading;
    if (!text || this.isEager || conversation.running) return;
    this.prompt.value = "";
    this.#fit();
    this.atEnd = true;
    this.onSession(conversation.session);
    await conversation.send(text);
    this.onTurn();
  }

  #changed() {
    const { running, active } = this.current;
    if (running) this.isEager = false;
    const held = document.activeElement;
    byId("send").hidden = running;
    byId("stop").hidden = !running;
    // A button that is disabled loses the keyboard at once.
    byId("stop").setAttribute("aria-disabled", Boolean(active?.stopping));
    byId("stop").textContent = active?.stopping ? "Stopping" : "Stop";
    byId("detach").hidden = !active?.id;
    this.hint?.toggleAttribute("hidden", this.current.element.childElementCount > 0);
    // Those who go by keyboard are not left with a button that is gone, nor those who touch with a keyboard on the glass.
    if (held?.hidden && byId("composer").contains(held)) {
      const field = matchMedia("(pointer: fine)").matches ? this.prompt : this.transcript;
      (running ? byId("stop") : field).focus();
    }
  }

  #fit() {
    this.prompt.style.height = "auto";
    this.prompt.style.height = `${Math.min(this.prompt.scrollHeight + 2, 240)}px`;
  }

  #stick = () => {
    if (this.atEnd) this.#follow();
    else this.#scrolled();
  };

  #follow() {
    this.transcript.scrollTop = this.transcript.scrollHeight;
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.transcript;
    // Text that came since the last scroll is no wish to leave the end; to go back is one.
    if (scrollHeight - scrollTop - clientHeight < 60) this.atEnd = true;
    else if (scrollTop < this.top) this.atEnd = false;
    this.top = scrollTop;
    byId("to-end").hidden = this.atEnd;
  }
}

// Sessions that this page has made up, of which no server can know anything yet.
const unused = new Set();

export function newSession() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  const session = `console-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  unused.add(session);
  return session;
}
