// What an agent did, as it did it: text, thoughts, and its calls, each with what happened inside it.

import { beforePaint, duration, el, payload, pretty, span, visible } from "./dom.js";
import { Prose } from "./prose.js";

const ENDED = new Set(["completed", "failed", "cancelled"]);
const WORDS = {
  started: "running",
  running: "running",
  completed: "done",
  failed: "failed",
  cancelled: "stopped",
};

// A place where things happen one after another: the answer itself, or the inside of a delegation.
export class Branch {
  constructor(clock) {
    this.clock = clock;
    this.element = el("div", { class: "branch" });
    this.calls = new Map();
    this.last = null;
  }

  text(text) {
    this.#prose().append(text);
  }

  thinking(text) {
    if (this.last?.kind !== "thinking") {
      const body = document.createTextNode("");
      const summary = el("summary", { text: "Thinking" });
      this.#add({
        kind: "thinking",
        body,
        pending: "",
        element: el(
          "details",
          { class: "thinking" },
          summary,
          el("div", { class: "thoughts", dir: "auto" }, body),
        ),
      });
      const block = this.last;
      block.draw = () => {
        block.body.appendData(visible(block.pending));
        block.pending = "";
      };
    }
    this.last.pending += text;
    beforePaint(this.last.draw);
  }

  // A report on a call, which may be one of many levels below.
  progress(report, path = report.path ?? []) {
    if (path.length) {
      const [hop, ...rest] = path;
      const above =
        this.calls.get(hop.call_id) ??
        this.call({ action: "delegate", target: hop.agent, call_id: hop.call_id, status: "running" });
      above.branch.progress(report, rest);
      return above;
    }
    return this.call(report);
  }

  call(report) {
    let call = this.calls.get(report.call_id);
    // Some models number the calls of each turn anew.
    if (!call || (ENDED.has(call.status) && report.status === "started")) {
      call = new Call(report, this.clock);
      this.calls.set(report.call_id, call);
      if (this.last?.kind !== "calls") this.#add({ kind: "calls", element: el("ul", { class: "calls" }) });
      this.last.element.append(call.element);
    }
    call.update(report);
    return call;
  }

  // All calls below, at any depth.
  *everyCall() {
    for (const call of this.calls.values()) {
      yield call;
      yield* call.branch.everyCall();
    }
  }

  get wholeText() {
    return [...(this.proses ?? [])].map((prose) => prose.raw).join("");
  }

  end(status) {
    for (const prose of this.proses ?? []) prose.end();
    for (const call of this.calls.values()) if (!ENDED.has(call.status)) call.update({ status });
    for (const call of this.calls.values()) call.branch.end(status);
  }

  #prose() {
    if (this.last?.kind !== "text") {
      const prose = new Prose();
      (this.proses ??= []).push(prose);
      this.#add({ kind: "text", prose, element: prose.element });
    }
    return this.last.prose;
  }

  #add(block) {
    if (this.last?.kind === "text") this.last.prose.end();
    this.last = block;
    this.element.append(block.element);
  }
}

// One call of a tool or of another agent.
class Call {
  constructor(report, clock) {
    this.clock = clock;
    this.began = clock.now();
    this.status = "started";
    this.isDelegation = report.action === "delegate";
    this.branch = new Branch(clock);
    this.name = span("call-name", visible(report.target));
    this.preview = el("span", { class: "call-preview", dir: "auto" });
    this.state = span("call-state");
    this.time = span("call-time");
    this.bar = span("bar-fill");
    this.payloads = el("div", { class: "payloads" });
    this.details = el(
      "details",
      { open: this.isDelegation },
      el(
        "summary",
        {},
        el("span", { class: "call-icon", "aria-hidden": "true" }),
        span("call-kind", this.isDelegation ? "agent" : "tool"),
        this.name,
        this.preview,
        this.state,
        this.time,
        el("span", { class: "waterfall", "aria-hidden": "true" }, this.bar),
      ),
      el("div", { class: "call-body" }, this.payloads, this.branch.element),
    );
    this.element = el("li", { class: "call", "data-status": "running" }, this.details);
    clock.add(this);
  }

  update(report) {
    this.status = report.status ?? this.status;
    if (report.delta) this.branch.text(report.delta);
    this.element.dataset.status = WORDS[this.status] ?? this.status;
    this.state.textContent = WORDS[this.status] ?? this.status;
    if (ENDED.has(this.status)) {
      this.took = report.duration_ms ?? this.took ?? this.clock.now() - this.began;
      this.branch.end(this.status);
      this.clock.remove(this);
    }
    this.tick();
  }

  // Sets a call to what memory knows of it: when it began and ended, counted from the begin of its turn.
  place(began, took) {
    this.began = began;
    this.took = took;
    this.tick();
  }

  // What the call was given, and what came back; either may be missing yet.
  fill({ args, result }) {
    if (args !== undefined && this.args === undefined) {
      this.args = args;
      this.preview.textContent = visible(this.isDelegation && args?.task ? args.task : signature(args));
      this.payloads.append(
        el("h4", { text: this.isDelegation ? "Task" : "Arguments" }),
        payload(this.isDelegation && args?.task ? args.task : args),
      );
    }
    if (result !== undefined && this.result === undefined) {
      this.result = result;
      const isTold = this.isDelegation && this.branch.wholeText.trim().endsWith(String(result).trim());
      if (!isTold) {
        const block = el("div", {}, el("h4", { text: "Result" }), payload(result));
        if (this.isDelegation) this.branch.element.after(block);
        else this.payloads.append(block);
      }
      if (!this.isDelegation)
        this.preview.textContent += ` → ${pretty(result).replace(/\s+/g, " ").slice(0, 200)}`;
    }
  }

  tick() {
    const took = this.took ?? this.clock.now() - this.began;
    this.time.textContent = duration(took);
    const whole = Math.max(this.clock.now(), 1);
    this.bar.style.setProperty("--begin", `${Math.min(99, (100 * this.began) / whole)}%`);
    this.bar.style.setProperty("--length", `${Math.min(100, (100 * took) / whole)}%`);
  }
}

function signature(args) {
  if (args === null || typeof args !== "object") return pretty(args);
  return Object.entries(args)
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`)
    .join(", ")
    .slice(0, 200);
}

// The time of one turn, in ms since it began; calls that run, and the turn itself, are told that it goes on.
export class Clock {
  #parts = new Set();
  #all = new Set();
  #end = null;
  #began;
  #timer = setInterval(() => {
    for (const part of this.#parts) part.tick();
  }, 200);

  // `ago` is for how long the turn has been going on already.
  constructor(ago = 0) {
    this.#began = performance.now() - ago;
  }

  now() {
    return this.#end ?? performance.now() - this.#began;
  }
  add(part) {
    this.#parts.add(part);
    this.#all.add(part);
  }
  remove(part) {
    this.#parts.delete(part);
  }

  // Stops, at a time that may be known from elsewhere, and has every part drawn against the whole.
  stop(at = this.now()) {
    this.#end = at;
    clearInterval(this.#timer);
    for (const part of this.#all) part.tick();
  }
}
