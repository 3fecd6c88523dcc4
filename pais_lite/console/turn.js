// One turn of a conversation: what was said, and the answer as it grows.

import { Branch, Clock } from "./tree.js";
import { announce, clock, copyButton, duration, el, errorBlock, visible } from "./dom.js";

const STATES = { waiting: "waiting", answering: "answering", done: "done", stopped: "stopped", failed: "failed", detached: "runs on", unknown: "no answer yet" };

export class Turn {
  constructor({ text, at = Date.now(), agent, kind = "You" }) {
    this.said = text;
    this.at = at;
    this.clock = new Clock();
    this.branch = new Branch(this.clock);
    this.state = "waiting";
    this.stateText = el("span", { class: "turn-state" });
    this.time = el("span", { class: "turn-time" });
    this.buttons = el("span", { class: "turn-buttons" });
    this.foot = el("div", { class: "turn-foot", hidden: true });
    this.element = el("article", { class: "turn", "aria-label": visible(`${kind}: ${text.slice(0, 80)}`) },
      el("div", { class: "said" },
        el("div", { class: "turn-head" }, el("strong", { text: kind }), el("span", { class: "faint", text: clock(at) })),
        el("div", { class: "said-text", dir: "auto", text: visible(text) })),
      el("div", { class: "answer" },
        el("div", { class: "turn-head" }, el("strong", { text: visible(agent) }), this.stateText, this.time, el("span", { class: "grow" }), this.buttons),
        this.branch.element, this.foot));
    this.clock.add(this);
    this.become("waiting");
  }

  tick() { this.time.textContent = duration(this.clock.now()); }

  become(state) {
    this.state = state;
    this.element.dataset.state = state;
    this.stateText.textContent = STATES[state];
  }

  apply(event) {
    if (this.state === "waiting") this.become("answering");
    switch (event.kind) {
      case "text":
        this.branch.text(event.text);
        announce(event.text);
        break;
      case "thinking":
        this.branch.thinking(event.text);
        break;
      case "progress":
        this.#progress(event.progress);
        break;
      case "usage":
        this.usage = event.usage;
        break;
      case "finish":
        this.reason = event.reason;
        break;
      case "error":
        this.fail(event.error);
        break;
    }
  }

  #progress(report) {
    this.branch.progress(report);
    if (report.status === "running") return;
    const what = report.action === "delegate" ? "Agent" : "Tool";
    announce(`${what} ${report.target} ${report.status}.\n`);
  }

  fail(error) {
    if (error.code === "cancelled") { this.end("stopped"); return; }
    this.end("failed");
    this.branch.element.append(errorBlock(error));
    announce(`The run failed: ${error.message}`, { now: true });
  }

  end(state = "done") {
    if (["done", "failed", "stopped"].includes(this.state)) return;
    this.clock.stop();
    this.branch.end(state === "done" ? "completed" : "cancelled");
    this.become(state);
    announce(state === "done" ? "\nThe answer is whole.\n" : `\n${STATES[state]}.\n`, { now: true });
    this.#sum();
  }

  // Draws a turn that memory tells of, which has no end to be announced.
  remember(state, took) {
    this.clock.stop(took);
    this.branch.end("cancelled");
    this.become(state);
    if (took === 0) this.time.textContent = "";
    this.#sum();
  }

  // Leaves the run to the server.
  leave() {
    this.clock.stop();
    this.become("detached");
  }

  offer(...buttons) { this.buttons.replaceChildren(...buttons); }

  // Takes arguments and results of calls from the events of memory, by their ids.
  fill(events) {
    for (const { event_type: type, content } of events) {
      const call = content?.call_id && this.branch.calls.get(content.call_id);
      if (!call) continue;
      if (type === "tool_call" || type === "delegation_request") call.fill({ args: content.arguments });
      if (type === "tool_result" || type === "delegation_response") call.fill({ result: content.result });
    }
  }

  #sum() {
    const parts = [];
    if (this.usage) parts.push(`${this.usage.prompt_tokens} + ${this.usage.completion_tokens} tokens`);
    if (this.reason && this.reason !== "stop") parts.push(`ended by ${this.reason}`);
    if (this.run) parts.push(`run ${this.run}`);
    this.foot.replaceChildren(...parts.map((part) => el("span", { text: part })));
    const text = () => this.branch.wholeText;
    if (text()) this.foot.append(el("span", { class: "grow" }), copyButton(text));
    this.foot.hidden = !this.foot.childElementCount;
  }
}

// The turns that the events of a session tell of, oldest first.
export function turnsOf(events, agent) {
  const turns = [];
  let turn, began;
  const close = (state, at) => {
    if (turn) turn.remember(state, at - began);
    turn = undefined;
  };
  for (const event of events) {
    const { event_type: type, content } = event;
    const at = new Date(event.timestamp).getTime();
    if (type === "user_message" || type === "task_delegation_received") {
      close("unknown", began);
      began = at;
      turn = new Turn({ text: asText(content), at, agent, kind: type === "user_message" ? "You" : "Task" });
      turns.push(turn);
    } else if (!turn) {
      continue;
    } else if (type === "tool_call" || type === "delegation_request") {
      const isTool = type === "tool_call";
      const target = isTool ? content.tool : content.tool.replace(/^delegate_to_/, "");
      const call = turn.branch.call({ action: isTool ? "tool_call" : "delegate", target, call_id: content.call_id, status: "started" });
      call.place(at - began);
      call.fill({ args: content.arguments });
    } else if (type === "tool_result" || type === "delegation_response") {
      const call = turn.branch.calls.get(content.call_id);
      call?.place(call.began, at - began - call.began);
      call?.fill({ result: content.result });
      call?.update({ status: /^\[Delegation failed: /.test(content.result) ? "failed" : "completed" });
    } else if (type === "agent_response") {
      turn.branch.text(asText(content));
      close("done", at);
    } else if (type === "error") {
      turn.branch.element.append(errorBlock({ message: asText(content), ...event.metadata?.error }));
      close("failed", at);
    }
  }
  close("unknown", began);
  return turns;
}

function asText(content) {
  return typeof content === "string" ? content : JSON.stringify(content);
}
