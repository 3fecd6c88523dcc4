// Elements from values, and values as people read them. Text only ever becomes text: nothing here parses HTML.

export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "text") element.textContent = value;
    else if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

export const span = (name, text = "") => el("span", { class: name, text });
export const faint = (text) => el("p", { class: "faint", text });
export const byId = (id) => document.getElementById(id);

// Characters that are not seen, or that turn the text around them: a name or a command shall be what it looks like.
const UNSEEN =
  /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\u{e0000}-\u{e007f}]/gu;

export function visible(text) {
  return String(text).replace(
    UNSEEN,
    (c) => `[U+${c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}]`,
  );
}

export function duration(ms) {
  if (ms === null || ms === undefined) return "";
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
}

export function clock(value) {
  const date = new Date(value);
  return Number.isNaN(date.getTime()) ? String(value) : date.toLocaleTimeString([], { hourCycle: "h23" });
}

export function ago(value) {
  const seconds = (Date.now() - new Date(value).getTime()) / 1000;
  if (!(seconds >= 0)) return clock(value);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} h ago`;
  return new Date(value).toLocaleDateString();
}

export function pretty(value) {
  return visible(typeof value === "string" ? value : JSON.stringify(value, null, 2));
}

export function payload(value) {
  return el("pre", { class: "payload", tabindex: "0", dir: "auto", text: pretty(value) });
}

export function copyButton(read) {
  const button = el("button", { type: "button", class: "plain small", text: "Copy" });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(read());
      button.textContent = "Copied";
    } catch {
      // Browsers have no clipboard for pages that come over plain HTTP from another machine.
      button.textContent = "Not allowed";
    }
    setTimeout(() => {
      button.textContent = "Copy";
    }, 1500);
  });
  return button;
}

// What a server said is wrong, as it said it.
export function errorBlock(error) {
  const rows = [];
  const row = (name, value) => {
    if (value) rows.push(el("dt", { text: name }), el("dd", { text: visible(value) }));
  };
  row("Status", error.status ? `${error.status} ${error.statusText ?? ""}`.trim() : "");
  row("Type", error.type);
  row("Code", error.code);
  row("Parameter", error.param);
  for (const [name, value] of Object.entries(error.headers ?? {})) row(name, value);
  return el(
    "div",
    { class: "error" },
    el("p", { class: "error-message", dir: "auto", text: visible(error.message) }),
    rows.length ? el("dl", {}, ...rows) : null,
  );
}

// Notes that something is asked for a place of the page, and returns whether nothing else has been since: what was asked
// for last is shown, whichever answer comes last.
const latest = new WeakMap();
export function asking(place) {
  const mine = {};
  latest.set(place, mine);
  return () => latest.get(place) === mine;
}

// Fills a page with what `work` makes, or with what went wrong.
export async function fill(page, work) {
  const isLatest = asking(page);
  page.setAttribute("aria-busy", "true");
  const parts = await work().catch((error) => [errorBlock(error)]);
  if (!isLatest()) return;
  page.replaceChildren(...parts);
  page.removeAttribute("aria-busy");
}

// Work that waits for the next frame; what is asked for twice is done once.
const waiting = new Set();
export function beforePaint(work) {
  if (!waiting.size)
    requestAnimationFrame(() => {
      const all = [...waiting];
      waiting.clear();
      for (const each of all) each();
    });
  waiting.add(work);
}

// Spoken by screen readers: whole sentences, and never faster than they can be said.
const spoken = { region: null, text: "", timer: 0 };
export function announce(text, { now = false } = {}) {
  spoken.region ??= byId("live");
  spoken.text += text;
  if (now) say(true);
  else spoken.timer ||= setTimeout(() => say(false), 2000);
}
function say(everything) {
  clearTimeout(spoken.timer);
  spoken.timer = 0;
  const end = everything
    ? spoken.text.length
    : Math.max(...[". ", "! ", "? ", "\n"].map((mark) => spoken.text.lastIndexOf(mark) + 1));
  if (end > 0) {
    spoken.region.textContent = visible(spoken.text.slice(0, end));
    spoken.text = spoken.text.slice(end);
  }
  if (spoken.text) spoken.timer = setTimeout(() => say(false), 2000);
}
