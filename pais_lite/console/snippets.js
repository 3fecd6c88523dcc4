// What the page did, as commands that do the same. The key is never in them: a variable stands for it.

const VARIABLE = "PAIS_API_KEY";
// What is not seen, or turns the text around it, is escaped: a command shall do what it looks like when it is pasted.
const UNSEEN = /[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\u{e0000}-\u{e007f}]/gu;

const hex = (code, digits) => code.toString(16).padStart(digits, "0");

// JSON escapes what lies beyond 16 bits in two halves.
function json(value) {
  const units = (c) => [...Array(c.length).keys()].map((place) => c.charCodeAt(place));
  return JSON.stringify(value).replace(UNSEEN, (c) =>
    units(c)
      .map((unit) => `\\u${hex(unit, 4)}`)
      .join(""),
  );
}

// A literal of Python is one of JSON but for that.
function pythonText(text) {
  const escaped = (code) => (code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`);
  return JSON.stringify(text).replace(UNSEEN, (c) => escaped(c.codePointAt(0)));
}

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function curl({ method, url, body, headers, withKey }) {
  const parts = [
    `curl${body?.stream || url.includes("stream=true") ? " -N" : ""}${method === "GET" ? "" : ` -X ${method}`} ${quoted(url)}`,
  ];
  if (withKey) parts.push(`-H "Authorization: Bearer $${VARIABLE}"`);
  if (body !== undefined) parts.push(`-H 'Content-Type: application/json'`);
  for (const [name, value] of Object.entries(headers)) parts.push(`-H ${quoted(`${name}: ${value}`)}`);
  if (body !== undefined) parts.push(`-d ${quoted(json(body))}`);
  return parts.join(" \\\n  ");
}

export function python(entry) {
  const { method, url, body, headers, withKey } = entry;
  const key = withKey ? `os.environ["${VARIABLE}"]` : '"unused"';
  const imports = withKey ? "import os\n\n" : "";
  const found = /^(.*\/v1)\/(chat\/completions|responses)$/.exec(url);
  if (method === "POST" && found) {
    const call = found[2] === "responses" ? "responses.create" : "chat.completions.create";
    const fields = Object.entries(body)
      .map(([name, value]) => `    ${name}=${literal(value, 1)},\n`)
      .join("");
    const extra = Object.keys(headers).length ? `    extra_headers=${literal(headers, 1)},\n` : "";
    return (
      `${imports}from openai import OpenAI\n\nclient = OpenAI(base_url=${literal(found[1])}, api_key=${key})\n` +
      `stream = client.${call}(\n${fields}${extra})\nfor event in stream:\n    print(event)\n`
    );
  }
  const sent = { ...headers };
  const all = Object.entries(sent).map(([name, value]) => `${literal(name)}: ${literal(value)}`);
  if (withKey) all.push(`"Authorization": f"Bearer {${key.replaceAll('"', "'")}}"`);
  const given = [
    literal(url),
    ...(all.length ? [`headers={${all.join(", ")}}`] : []),
    ...(body === undefined ? [] : [`json=${literal(body)}`]),
  ];
  return `${imports}import httpx2\n\nanswer = httpx2.${method.toLowerCase()}(${given.join(", ")})\nprint(answer.status_code, answer.text)\n`;
}

function literal(value, depth = 0) {
  if (value === null) return "None";
  if (value === true) return "True";
  if (value === false) return "False";
  if (typeof value === "string") return pythonText(value);
  if (typeof value === "number") return String(value);
  const pad = "    ".repeat(depth);
  const isList = Array.isArray(value);
  const parts = isList
    ? value.map((item) => literal(item, depth + 1))
    : Object.entries(value).map(([name, item]) => `${pythonText(name)}: ${literal(item, depth + 1)}`);
  const flat = parts.join(", ");
  const [open, close] = isList ? "[]" : "{}";
  if (flat.length + pad.length < 80 && !flat.includes("\n")) return open + flat + close;
  return `${open}\n${parts.map((part) => `${pad}    ${part},\n`).join("")}${pad}${close}`;
}
