// A model's text while it comes: a small part of Markdown (headings, lists, quotes, fenced code, `code`, **bold**) made of
// elements, and all else as the text that it is. A line is drawn as it stands until it is whole.

import { beforePaint, copyButton, el, visible } from "./dom.js";

// No two parts that could share what they match: a hostile line takes no longer than any other.
const FENCE = /^ {0,3}(```+|~~~+)\s*([\w+#.-]*)$/;
const HEADING = /^(#{1,6})\s+(.*)$/;
const QUOTE = /^>\s?(.*)$/;
const ITEM = /^(\s*)(?:[-*+]|(\d{1,4})[.)])\s+(.*)$/;
const INLINE = /(`[^`\n]+`|\*\*[^*\n]+\*\*)/;

export class Prose {
  constructor() {
    this.element = el("div", { class: "prose" });
    this.raw = "";
    this.waiting = "";
    this.line = "";
    this.live = null;
    this.code = null;
    this.list = null;
    this.gap = false;
    this.draw = () => this.flush();
  }

  append(text) {
    this.raw += text;
    this.waiting += text;
    beforePaint(this.draw);
  }

  // Draws what has come since the last frame.
  flush() {
    const lines = this.waiting.split("\n");
    this.waiting = "";
    const last = lines.pop();
    for (const line of lines) this.#finish(this.line + line);
    if (last) this.#grow(last);
  }

  end() {
    this.flush();
    if (this.line) this.#finish(this.line);
  }

  #grow(text) {
    this.line += text;
    if (this.live) {
      this.live.appendData(visible(text));
      return;
    }
    this.live = document.createTextNode(visible(this.line));
    if (this.code) this.code.append(this.live);
    else this.element.append(el("p", { dir: "auto", class: this.gap ? "gap" : null }, this.live));
  }

  #finish(line) {
    line = line.trimEnd();
    this.line = "";
    if (this.live) {
      if (this.code) this.live.remove();
      else this.live.parentElement.remove();
      this.live = null;
    }
    const fence = FENCE.exec(line);
    if (this.code) {
      if (fence && !fence[2] && fence[1].startsWith(this.fence)) this.code = null;
      else this.code.append(document.createTextNode(visible(line) + "\n"));
      return;
    }
    if (!line.trim()) {
      this.gap = true;
      this.list = null;
      return;
    }
    if (fence) {
      this.#openCode(fence);
      return;
    }
    const item = ITEM.exec(line);
    if (item) {
      this.#addItem(item);
      return;
    }
    this.list = null;
    const heading = HEADING.exec(line);
    const quote = heading ? null : QUOTE.exec(line);
    const element = heading
      ? el("p", {
          class: "heading",
          dir: "auto",
          role: "heading",
          "aria-level": Math.min(6, heading[1].length + 2),
        })
      : el("p", { class: quote ? "quote" : null, dir: "auto" });
    element.append(...inline(heading?.[2] ?? quote?.[1] ?? line));
    this.element.append(this.#spaced(element));
  }

  #openCode([, mark, language]) {
    this.fence = mark;
    this.list = null;
    const code = (this.code = el("code"));
    const head = el(
      "div",
      { class: "code-head" },
      el("span", { text: language }),
      copyButton(() => code.textContent),
    );
    this.element.append(this.#spaced(el("div", { class: "code" }, head, el("pre", { tabindex: "0" }, code))));
  }

  #addItem([, indent, number, text]) {
    const kind = number ? "OL" : "UL";
    if (this.list?.tagName !== kind) {
      this.list = el(kind.toLowerCase(), number ? { start: number } : {});
      this.element.append(this.#spaced(this.list));
    }
    this.gap = false;
    this.list.append(el("li", { dir: "auto", class: indent.length > 1 ? "inner" : null }, ...inline(text)));
  }

  #spaced(element) {
    if (this.gap && this.element.childElementCount) element.classList.add("gap");
    this.gap = false;
    return element;
  }
}

function inline(text) {
  return text
    .split(INLINE)
    .filter(Boolean)
    .map((part) => {
      if (/^`[^`]+`$/.test(part)) return el("code", { text: visible(part.slice(1, -1)) });
      if (/^\*\*[^*]+\*\*$/.test(part)) return el("strong", { text: visible(part.slice(2, -2)) });
      return document.createTextNode(visible(part));
    });
}
