// Puts the page together: which view is seen, the key, the colours, and whether the server is there.

import { Api, BASE } from "./api.js";
import { Chat, newSession } from "./chat.js";
import { announce, byId, el, faint, visible } from "./dom.js";
import { Requests } from "./requests.js";
import { Sessions } from "./sessions.js";
import { Status } from "./status.js";
import { Tools } from "./tools.js";

const VIEWS = ["chat", "sessions", "tools", "status", "requests"];
const AGENT = `pais-console-agent:${BASE}`;
const THEMES = ["auto", "light", "dark"];
const server = { name: "agent", isUp: true };

const requests = new Requests();
const api = new Api({ askForKey, onRequest: (entry) => requests.add(entry), onReach });
const model = byId("model");
const chat = new Chat(api, {
  agent: () => model.value || server.name,
  onTurn: () => quietly(sessions.recent()),
  onSession: (session) => go("chat", session),
});
const sessions = new Sessions(api, { onForgotten: () => quietly(sessions.recent()) });
const tools = new Tools(api);
const status = new Status(api, { onState });

// --- which view

function go(view, part) {
  const hash = `#/${view}${part ? `/${encodeURIComponent(part)}` : ""}`;
  if (location.hash !== hash) location.hash = hash;
}

function route() {
  // Who comes back to the chat comes back to its session, after a reload as well.
  if (location.hash === "#/chat" && chat.begun)
    history.replaceState(null, "", `#/chat/${encodeURIComponent(chat.begun)}`);
  const [, name, part] = location.hash.split("/");
  const view = VIEWS.includes(name) ? name : "chat";
  const wanted = part ? decoded(part) : undefined;
  document.body.dataset.view = view;
  for (const other of VIEWS) byId(`view-${other}`)?.toggleAttribute("hidden", other !== view);
  for (const tab of document.querySelectorAll("[data-tab]")) {
    if (tab.dataset.tab === view) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  sessions.mark();
  if (!server.known) return;
  if (view === "chat") openChat(wanted);
  if (view === "sessions") sessions.show(wanted);
  if (view === "tools") tools.show();
  if (view === "status") status.show();
}

function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function openChat(session) {
  session ??= chat.current?.session ?? newSession();
  if (chat.current?.session !== session || chat.current.path !== api.agentPath) chat.open(session);
  // Not out of something else's hands, and not where it would bring up a keyboard on the glass.
  if (document.activeElement === document.body && matchMedia("(pointer: fine)").matches)
    byId("prompt").focus();
}

// A link to a place within the page would be taken for a view, and the session be lost with the next reload.
byId("skip").addEventListener("click", (event) => {
  event.preventDefault();
  go("chat", chat.current?.session);
  route();
  byId("prompt").focus();
});

// --- the key

let asking = null;

// Resolves to whether a key was given. Whoever asks meanwhile waits for the same answer.
function askForKey(message) {
  const dialog = byId("key-dialog");
  byId("key-message").textContent = visible(message);
  byId("key-button").hidden = false;
  asking ??= new Promise((resolve) => {
    const settle = (given) => {
      asking = null;
      resolve(given);
    };
    byId("key-form").onsubmit = (event) => {
      event.preventDefault();
      if (!byId("key").value) return;
      api.key = byId("key").value;
      byId("key").value = "";
      dialog.onclose = null;
      dialog.close();
      settle(true);
    };
    dialog.onclose = () => settle(false);
    if (!dialog.open) dialog.showModal();
  });
  return asking;
}

byId("key-cancel").addEventListener("click", () => byId("key-dialog").close());
byId("key-button").addEventListener("click", async () => {
  if (await askForKey("Another key takes the place of the one in use.")) location.reload();
});

// --- whether the server is there

function onReach(isUp) {
  if (server.isUp === isUp) return;
  server.isUp = isUp;
  if (!isUp) status.poll();
}

function onState(state, before) {
  byId("state").dataset.state = state;
  byId("state-text").textContent = state;
  if (state === "unreachable") notify("The server does not answer. This page asks again every two seconds.");
  else if (state === "not ready") notify("The server is up but not ready; Status says why.");
  else notify(before === "unreachable" ? "The server is back." : "", { passes: true });
  if (before === "unreachable" && state !== "unreachable") {
    server.isUp = true;
    start();
  }
}

function notify(text, { passes = false } = {}) {
  const notice = byId("notice");
  clearTimeout(notify.timer);
  notice.textContent = text;
  notice.hidden = !text;
  // What was hidden a moment ago is not read out by itself.
  if (text) announce(`${text}\n`, { now: true });
  if (passes && text)
    notify.timer = setTimeout(() => {
      notice.hidden = true;
    }, 4000);
}

async function quietly(promise) {
  // What belongs to a view shows its own errors; these lists are beside it.
  await promise.catch(() => {});
}

// --- colours

function paint(theme) {
  document.documentElement.dataset.theme = theme;
  const button = byId("theme-button");
  button.textContent = { auto: "◐ Auto", light: "○ Light", dark: "● Dark" }[theme];
  button.setAttribute("aria-label", `Colours: ${theme === "auto" ? "as the system has them" : theme}`);
}

byId("theme-button").addEventListener("click", () => {
  const next = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme) + 1) % THEMES.length];
  localStorage.setItem("pais-console-theme", next);
  paint(next);
});
paint(THEMES.find((theme) => theme === localStorage.getItem("pais-console-theme")) ?? "auto");

// --- start

async function start() {
  try {
    const index = await api.json("GET", "", { quiet: true });
    server.name = index.name ?? index.agents[0];
    // An agent that is one of several has its own path in its routes; this page lies there as well.
    api.routes = new Set(
      index.routes.map((route) => (index.name ? route.replace(` /agents/${index.name}/`, " /") : route)),
    );
    byId("version").textContent = index.version;
    const { data } = await api.json("GET", "v1/models", { quiet: true });
    pick(data.map(({ id }) => id));
    byId("key-button").hidden = !api.key;
    server.known = true;
    route();
    await sessions.recent();
  } catch (error) {
    if (!error.unreachable)
      notify(error.status === 401 ? "Without a key, this server shows nothing more." : error.message);
  }
}

// Shows a choice of agents where there is one. Each has sessions and tools of its own, under a path of its own.
function pick(names) {
  const chosen = sessionStorage.getItem(AGENT);
  model.replaceChildren(...names.map((name) => el("option", { value: name, text: visible(name) })));
  if (names.includes(chosen)) model.value = chosen;
  byId("model-label").hidden = names.length < 2;
  // Where the choice shows it, it is the page's heading still.
  byId("agent-name").classList.toggle("sr", names.length > 1);
  turnTo(model.value, names.length > 1);
}

function turnTo(name, isOneOfSeveral) {
  api.agentPath = isOneOfSeveral ? `agents/${encodeURIComponent(name)}/` : "";
  byId("agent-name").textContent = visible(name);
  document.title = `${visible(name)} · console`;
  chat
    .empty()
    .replaceChildren(
      el("p", { class: "empty-name", text: visible(name) }),
      faint("Ask something. What the agent thinks, calls and hands on appears as it happens."),
    );
}

model.addEventListener("change", () => {
  sessionStorage.setItem(AGENT, model.value);
  turnTo(model.value, true);
  go("chat", newSession());
  quietly(sessions.recent());
});

addEventListener("hashchange", route);
api.agentPath = "";
route();
start();
status.poll();
