// The chat: one conversation for each session, the composer, and what becomes of a run when its page goes away.

import { BASE } from "./api.js";
import { beforePaint, byId, el, errorBlock } from "./dom.js";
import { cancelRun, canCancel, canFollow, followRun, startRun } from "./runs.js";
import { Turn, turnsOf } from "./turn.js";

const RUNS = `pais-console-runs:${BASE}`;
const EVENTS = 200;

// The runs that this tab has begun and not seen the end of, by session.
const runs = {
  all() { return JSON.parse(sessionStorage.getItem(RUNS) ?? "{}"); },
  get(session) { return this.all()[session]; },
  set(session, run) { sessionStorage.setItem(RUNS, JSON.stringify({ ...this.all(), [session]: run })); },
  forget(session) { const { [session]: _, ...others } = this.all(); sessionStorage.setItem(RUNS, JSON.stringify(others)); },
};

const placeOf = (api, session) => `${api.agentPath}${session}`;

class Conversation {
  constructor(api, session, { agent, onChange }) {
    // The page may turn to another agent while this one still works.
    Object.assign(this, { api, session, agent, onChange, path: api.agentPath, place: placeOf(api, session) });
    this.element = el("div", { class: "turns" });
    this.active = null;
  }

  get running() { return this.active !== null; }

  // Draws what the server remembers, and takes up the run that was under way.
  async load() {
    const kept = runs.get(this.place);
    const events = await this.#events();
    const turns = turnsOf(events, this.agent);
    const last = turns.at(-1);
    if (kept && canFollow(this.api) && kept.id) {
      if (last?.said === kept.text && last.state === "unknown" || last?.at >= kept.at - 2000) turns.pop();
      this.element.replaceChildren(...turns.map((turn) => turn.element));
      await this.#run(this.#begin(kept.text, kept.at), { follow: kept.id });
      return;
    }
    runs.forget(this.place);
    this.element.replaceChildren(...turns.map((turn) => turn.element));
    if (last?.state === "unknown") last.offer(this.#button("Look again", () => this.load()));
  }

  async send(text) {
    await this.#run(this.#begin(text), { text });
  }

  #begin(text, at) {
    const turn = new Turn({ text, at, agent: this.agent });
    this.element.append(turn.element);
    return turn;
  }

  async #run(turn, { text, follow }) {
    const abort = new AbortController();
    const active = (this.active = { turn, abort, id: follow ?? null, open: Boolean(follow), stopping: false });
    this.onChange();
    const opened = (id) => {
      active.open = true;
      active.id = id ?? active.id;
      turn.run = active.id;
      if (active.id) runs.set(this.place, { id: active.id, text: turn.said, at: turn.at });
      if (active.stopping) this.stop();
      this.onChange();
    };
    try {
      const events = follow
        ? followRun(this.api, this.path, follow, { signal: abort.signal, onOpen: opened })
        : startRun(this.api, this.path, { model: this.agent, session: this.session, text, signal: abort.signal, onOpen: opened });
      await this.#read(turn, events);
      runs.forget(this.place);
    } catch (error) {
      await this.#broken(turn, active, error);
    } finally {
      if (this.active === active) this.active = null;
      this.onChange();
    }
    if (turn.state !== "detached") await this.#payloads(turn);
  }

  async #read(turn, events) {
    for await (const event of events) {
      turn.apply(event);
      if (event.kind === "progress" && !event.progress.path && event.progress.status !== "running") this.#payloads(turn);
    }
    turn.end();
  }

  async #broken(turn, active, error) {
    if (error.name === "AbortError") {
      if (active.detaching) this.#leave(turn);
      else { runs.forget(this.place); turn.end("stopped"); }
      return;
    }
    if (!error.broken && !error.unreachable || !active.id || !canFollow(this.api)) {
      runs.forget(this.place);
      turn.fail(error);
      if (error.broken) turn.offer(this.#button("Look again", () => this.load()));
      return;
    }
    this.#leave(turn);
  }

  #leave(turn) {
    turn.leave();
    turn.offer(this.#button("Follow", () => this.follow(turn)));
  }

  // Reads a run that this page left, from its first event on.
  async follow(turn) {
    const kept = runs.get(this.place);
    if (!kept || this.running) return;
    const again = new Turn({ text: turn.said, at: turn.at, agent: this.agent });
    turn.element.replaceWith(again.element);
    await this.#run(again, { follow: kept.id });
  }

  async stop() {
    const active = this.active;
    if (!active) return;
    active.stopping = true;
    this.onChange();
    if (!canCancel(this.api)) { active.abort.abort(); return; }
    // The id comes with the first word of the model; until then there is nothing that could be named.
    if (!active.open) return;
    if (!active.id) { active.abort.abort(); return; }
    try {
      await cancelRun(this.api, this.path, active.id);
    } catch (error) {
      active.turn.branch.element.append(errorBlock(error));
    }
  }

  detach() {
    if (!this.active?.id) return;
    this.active.detaching = true;
    this.active.abort.abort();
  }

  async #events() {
    return (await this.api.json("GET", `${this.path}memory/events?session_id=${encodeURIComponent(this.session)}&limit=${EVENTS}`, { quiet: true })).events;
  }

  // Asks memory what the calls of a turn were given and gave; one question at a time.
  async #payloads(turn) {
    if (!turn.branch.calls.size) return;
    if (this.asking) { this.askAgain = turn; return; }
    this.asking = true;
    try {
      const events = await this.#events();
      const begin = events.findLastIndex((event) => event.event_type === "user_message");
      turn.fill(events.slice(begin + 1));
    } catch {
      // Payloads are an extra; what is wrong with the server shows elsewhere.
    } finally {
      this.asking = false;
    }
    const again = this.askAgain;
    this.askAgain = null;
    if (again) await this.#payloads(again);
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
    byId("composer").addEventListener("submit", (event) => { event.preventDefault(); this.send(); });
    this.prompt.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); this.send(); }
    });
    this.prompt.addEventListener("input", () => this.#fit());
    byId("stop").addEventListener("click", () => this.current.stop());
    byId("detach").addEventListener("click", () => this.current.detach());
    byId("new-chat").addEventListener("click", () => this.onSession(newSession()));
    byId("to-end").addEventListener("click", () => { this.atEnd = true; this.#follow(); this.prompt.focus(); });
    this.transcript.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => beforePaint(this.#stick)).observe(this.transcript);
    this.grown = new ResizeObserver(() => beforePaint(this.#stick));
  }

  // Shows the conversation of a session, which goes on where it was when it had been shown before.
  async open(session) {
    let conversation = this.conversations.get(placeOf(this.api, session));
    const isNew = !conversation;
    if (isNew) {
      conversation = new Conversation(this.api, session, { agent: this.agent(), onChange: () => this.#changed() });
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
    if (this.isEager) await this.send();
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
    // Who types faster than the page learns about its server is not made to press Enter twice.
    this.isEager = !conversation;
    if (!text || !conversation || conversation.running) return;
    this.prompt.value = "";
    this.#fit();
    this.atEnd = true;
    this.onSession(conversation.session);
    await conversation.send(text);
    this.onTurn();
  }

  #changed() {
    const { running, active } = this.current;
    byId("send").hidden = running;
    byId("stop").hidden = !running;
    byId("stop").disabled = Boolean(active?.stopping);
    byId("stop").textContent = active?.stopping ? "Stopping" : "Stop";
    byId("detach").hidden = !(running && active.id && canFollow(this.api));
    this.hint?.toggleAttribute("hidden", this.current.element.childElementCount > 0);
  }

  #fit() {
    this.prompt.style.height = "auto";
    this.prompt.style.height = `${Math.min(this.prompt.scrollHeight + 2, 240)}px`;
  }

  #stick = () => { if (this.atEnd) this.#follow(); else this.#scrolled(); };

  #follow() { this.transcript.scrollTop = this.transcript.scrollHeight; }

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
