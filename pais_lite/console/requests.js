// All that the page has asked the server for: how it ended, and how to do the same from elsewhere.

import { BASE } from "./api.js";
import { byId, clock, copyButton, duration, el, errorBlock, faint, span, visible } from "./dom.js";
import { curl, python } from "./snippets.js";

const MOST = 50;

export class Requests {
  constructor() {
    this.list = el("ol", { class: "request-list" });
    this.hint = faint(
      "What this page asks of the server appears here, with the curl and the Python that do the same.",
    );
    byId("requests").append(this.hint, this.list);
    byId("requests-clear").addEventListener("click", () => {
      this.list.replaceChildren();
      this.hint.hidden = false;
    });
  }

  add(entry) {
    this.hint.hidden = true;
    const status = span("request-status");
    const time = span("faint");
    const body = el("div", { class: "request-body" });
    const path = `/${decodeURI(entry.url.slice(BASE.length))}`;
    const details = el(
      "details",
      {},
      el(
        "summary",
        {},
        status,
        span("request-method", entry.method),
        span("request-path", visible(path)),
        time,
      ),
      body,
    );
    const draw = () => {
      status.textContent = entry.status ?? (entry.error ? "✕" : entry.aborted ? "left" : "…");
      status.dataset.kind = entry.error ? "bad" : entry.aborted ? "left" : entry.status ? "good" : "open";
      time.textContent = entry.ms === undefined ? "" : duration(entry.ms);
      if (details.open) body.replaceChildren(...this.#inside(entry));
    };
    details.addEventListener("toggle", draw);
    entry.onChange = draw;
    draw();
    this.list.prepend(el("li", {}, details));
    while (this.list.childElementCount > MOST) this.list.lastElementChild.remove();
  }

  #inside(entry) {
    const parts = [el("p", { class: "faint", text: `Sent at ${clock(entry.at)}` })];
    if (entry.error) parts.push(errorBlock(entry.error));
    for (const [name, text] of [
      ["curl", curl(entry)],
      ["Python", python(entry)],
    ]) {
      parts.push(
        el(
          "div",
          { class: "code" },
          el(
            "div",
            { class: "code-head" },
            el("span", { text: name }),
            copyButton(() => text),
          ),
          el("pre", { tabindex: "0" }, el("code", { text })),
        ),
      );
    }
    const headers = Object.entries(entry.answer ?? {});
    if (headers.length && !entry.error) {
      parts.push(
        el(
          "dl",
          { class: "headers" },
          ...headers.flatMap(([name, value]) => [
            el("dt", { text: name }),
            el("dd", { text: visible(value) }),
          ]),
        ),
      );
    }
    return parts;
  }
}
