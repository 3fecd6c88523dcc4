// The tools that the model sees, as it sees them.

import { byId, el, faint, fill, payload, span, visible } from "./dom.js";

export class Tools {
  constructor(api) {
    this.api = api;
    this.page = byId("tools");
    byId("tools-refresh").addEventListener("click", () => this.show());
  }

  async show() {
    await fill(this.page, async () => {
      const { tools } = await this.api.json("GET", `${this.api.agentPath}tools`);
      if (!tools.length) return [faint("The model sees no tools.")];
      return tools.map(({ function: tool }) => this.#tool(tool));
    });
  }

  #tool({ name, description, parameters = {} }) {
    const properties = Object.entries(parameters.properties ?? {});
    const required = new Set(parameters.required ?? []);
    const rows = properties.map(([parameter, schema]) =>
      el(
        "tr",
        {},
        el(
          "td",
          {},
          el("code", { text: visible(parameter) }),
          required.has(parameter) ? null : span("faint", " optional"),
        ),
        el("td", {}, el("code", { text: visible(typeOf(schema)) })),
        el("td", { dir: "auto", text: visible(schema.description ?? "") }),
      ),
    );
    const head = ["Parameter", "Type", "Meaning"].map((text) => el("th", { scope: "col", text }));
    return el(
      "article",
      { class: "card" },
      el("h3", {}, el("code", { text: visible(name) })),
      description ? el("p", { class: "wrap", dir: "auto", text: visible(description) }) : null,
      rows.length
        ? el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows))
        : faint("No parameters."),
      el("details", {}, el("summary", { text: "JSON schema" }), payload(parameters)),
    );
  }
}

function typeOf(schema) {
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.type === "array") return `${typeOf(schema.items ?? {})}[]`;
  return schema.type ?? schema.$ref?.split("/").pop() ?? "any";
}
