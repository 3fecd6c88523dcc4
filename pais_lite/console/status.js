// How the server is: its probes, its card and its routes.

import { byId, el, errorBlock, fill, payload, visible } from "./dom.js";

// Whether the server is there and ready, asked again and again while somebody looks.
export class Status {
  constructor(api, { onState }) {
    this.api = api;
    this.onState = onState;
    this.page = byId("status");
    this.state = "unknown";
    byId("status-refresh").addEventListener("click", () => this.show());
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) this.poll();
    });
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
      const card = await this.api
        .json("GET", `${this.api.agentPath}.well-known/agent-card.json`)
        .catch((error) => error);
      this.#become(ready.unreachable ? "unreachable" : ready.ok ? "ready" : "not ready");
      return [
        this.#probe("Health", "/health", health),
        this.#probe("Readiness", "/ready", ready),
        card instanceof Error ? errorBlock(card) : this.#card(card),
        this.#routes(),
      ];
    });
  }

  #probe(title, path, answer) {
    const checks = Object.entries(answer.body.checks ?? {})
      .map(([name, state]) => [
        el("dt", { text: visible(name) }),
        el(
          "dd",
          {},
          el("span", { class: "chip", "data-good": String(state === "ok"), text: visible(state) }),
        ),
      ])
      .flat();
    return el(
      "article",
      { class: "card" },
      el(
        "h3",
        {},
        title,
        " ",
        el("code", { class: "faint", text: path }),
        " ",
        el("span", {
          class: "chip",
          "data-good": String(answer.ok),
          text: answer.unreachable ? "unreachable" : `${answer.status} ${answer.body.status ?? ""}`,
        }),
      ),
      checks.length ? el("dl", { class: "pairs" }, ...checks) : null,
      answer.unreachable
        ? null
        : el("p", { class: "faint", text: `answered in ${Math.round(answer.ms)} ms` }),
    );
  }

  #card(card) {
    const pairs = [
      ["Name", card.name],
      ["Description", card.description],
      ["Version", card.version],
      // The card of protocol 1.0 lists the ways to speak to the agent; that of 0.3 has one.
      ...(card.supportedInterfaces ?? [card]).map(({ url, protocolVersion }) => [
        `A2A ${protocolVersion}`,
        url,
      ]),
    ]
      .filter(([, value]) => value)
      .flatMap(([name, value]) => [
        el("dt", { text: name }),
        el("dd", { dir: "auto", text: visible(value) }),
      ]);
    return el(
      "article",
      { class: "card" },
      el("h3", { text: "Agent card" }),
      el("dl", { class: "pairs" }, ...pairs),
      el("details", {}, el("summary", { text: "The whole card" }), payload(card)),
    );
  }

  #routes() {
    return el(
      "article",
      { class: "card" },
      el("h3", { text: "Routes" }),
      el(
        "ul",
        { class: "routes" },
        ...[...this.api.routes].map((route) => el("li", {}, el("code", { text: route }))),
      ),
    );
  }
}
