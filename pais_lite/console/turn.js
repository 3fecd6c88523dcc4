// One turn of a conversation: what was said, and the answer as it grows.

import { Branch, Clock } from "./tree.js";
import { announce, byId, clock, copyButton, duration, el, errorBlock, payload, span, visible } from "./dom.js";

const STATES = {
  waiting: "waiting",
  answering: "answering",
  done: "done",
  stopped: "stopped",
  failed: "failed",
  detached: "runs on",
  lost: "connection lost",
  asking: "asks you",
  unknown: "no answer yet",
};

export class Turn {
  constructor({ text, at = Date.now(), agent, kind = "You" }) {
    this.said = text;
    this.at = at;
    this.clock = new Clock(Date.now() - at);
    this.branch = new Branch(this.clock);
    this.state = "waiting";
    this.stateText = span("turn-state");
    this.time = span("turn-time");
    this.buttons = span("turn-buttons");
    this.foot = el("div", { class: "turn-foot", hidden: true });
    this.element = el(
      "article",
      { class: "turn", "aria-label": visible(`${kind}: ${text.slice(0, 80)}`) },
      el(
        "div",
        { class: "said" },
        el("div", { class: "turn-head" }, el("strong", { text: kind }), span("faint", clock(at))),
        el("div", { class: "said-text", dir: "auto", text: visible(text) }),
      ),
      el(
        "div",
        { class: "answer" },
        el(
          "div",
          { class: "turn-head" },
          el("strong", { text: visible(agent) }),
          this.stateText,
          this.time,
          span("grow"),
          this.buttons,
        ),
        this.branch.element,
        this.foot,
      ),
    );
    this.clock.add(this);
    this.become("waiting");
  }

  tick() {
    this.time.textContent = duration(this.clock.now());
  }

  become(state) {
    this.state = state;
    this.element.dataset.state = state;
    this.stateText.textContent = STATES[state];
  }

  apply(event) {
    if (this.state === "waiting" || this.state === "lost") this.become("answering");
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
      case "payload":
        this.branch.calls.get(event.call)?.fill(event);
        break;
      case "approval":
        this.#ask(event.request);
        break;
      case "broken":
        this.become("lost");
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
    if (error.code === "cancelled") {
      this.end("stopped");
      return;
    }
    this.end("failed");
    this.branch.element.append(errorBlock(error));
    announce(`The run failed: ${error.message}`, { now: true });
  }

  end(state = "done") {
    if (["done", "failed", "stopped", "asking"].includes(this.state)) return;
    this.clock.stop();
    if (state === "done" && this.asked?.length) state = "asking";
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

  // Leaves the run to the server, by wish or because it is out of reach.
  leave(state) {
    this.clock.stop();
    this.become(state);
  }

  // Lets the user decide about a call; when all that were asked for are decided, `onDecided` is told.
  #ask({ id, name, args }) {
    const request = { id, name };
    (this.asked ??= []).push(request);
    const decide = (approve) => {
      request.approve = approve;
      buttons.replaceChildren(span("chip", approve ? "approved" : "denied"));
      // Those who go by keyboard are not left with a button that is gone.
      (this.element.querySelector(".approval button") ?? byId("transcript")).focus();
      if (this.asked.every((each) => "approve" in each)) this.onDecided(this.asked);
    };
    const buttons = el(
      "div",
      { class: "actions" },
      el("button", { type: "button", class: "primary", text: "Approve", onclick: () => decide(true) }),
      el("button", { type: "button", text: "Deny", onclick: () => decide(false) }),
    );
    this.branch.element.append(
      el(
        "div",
        { class: "approval", role: "group", "aria-label": `Approval of ${visible(name)}` },
        el("p", {}, "The agent asks whether it may call ", el("code", { text: visible(name) }), ":"),
        payload(args),
        buttons,
      ),
    );
    announce(`The agent asks whether it may call ${name}.\n`);
  }

  // Takes times from the same turn as memory knows it: a log that is read again has none of its own.
  adopt(known) {
    for (const [id, call] of known.branch.calls) this.branch.calls.get(id)?.place(call.began, call.took);
    this.clock.stop(known.clock.now());
  }

  offer(...buttons) {
    this.buttons.replaceChildren(...buttons);
  }

  #sum() {
    const parts = [];
    if (this.usage) parts.push(`${this.usage.input_tokens} + ${this.usage.output_tokens} tokens`);
    if (this.reason) parts.push(`ended by ${this.reason}`);
    if (this.run) parts.push(`run ${this.run}`);
    this.foot.replaceChildren(...parts.map((part) => el("span", { text: part })));
    const text = () => this.branch.wholeText;
    if (text()) this.foot.append(span("grow"), copyButton(text));
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
      const call = turn.branch.call({
        action: isTool ? "tool_call" : "delegate",
        target,
        call_id: content.call_id,
        status: "started",
      });
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
      const code = event.metadata?.code;
      if (code !== "cancelled") turn.branch.element.append(errorBlock({ message: asText(content), code }));
      close(code === "cancelled" ? "stopped" : "failed", at);
    }
  }
  close("unknown", began);
  return turns;
}

function asText(content) {
  return typeof content === "string" ? content : JSON.stringify(content);
}
