// Renders /openapi.json. No library, nothing from another host.
"use strict";

const el = (tag, attrs, ...children) => {
  const node = Object.assign(document.createElement(tag), attrs);
  node.append(...children.filter((c) => c !== null && c !== undefined));
  return node;
};

let spec;
const resolve = (schema) => {
  while (schema && schema.$ref) schema = spec.components.schemas[schema.$ref.split("/").pop()];
  return schema || {};
};

const typeOf = (schema) => {
  const s = resolve(schema);
  const type = [].concat(s.type || "any").filter((t) => t !== "null").join(" | ");
  if (type === "array") return "list of " + typeOf(s.items || {});
  if (s.enum) return s.enum.map((v) => JSON.stringify(v)).join(" | ");
  return s.format ? `${type} (${s.format})` : type;
};

const fields = (schema, prefix, depth, seen) => {
  const s = resolve(schema);
  if (s.type === "array" || [].concat(s.type).includes("array")) return fields(s.items || {}, prefix + "[]", depth, seen);
  if (!s.properties || depth > 3 || seen.includes(s)) return [];
  return Object.entries(s.properties).flatMap(([name, p]) => [
    el("tr", {}, el("td", {}, el("code", { textContent: (prefix ? prefix + "." : "") + name })),
      el("td", { textContent: typeOf(p) + ((s.required || []).includes(name) ? "" : ", optional") }),
      el("td", { textContent: p.description || resolve(p).description || "" })),
    ...fields(p, (prefix ? prefix + "." : "") + name, depth + 1, [...seen, s]),
  ]);
};

const table = (title, rows) => rows.length
  ? el("div", {}, el("h4", { textContent: title }), el("table", {}, ...rows)) : null;

const operation = (path, method, op) => {
  const params = (op.parameters || []).map((p) => el("tr", {},
    el("td", {}, el("code", { textContent: p.name })),
    el("td", { textContent: `${p.in}, ${typeOf(p.schema)}${p.required ? "" : ", optional"}` }),
    el("td", { textContent: p.description || "" })));
  const body = op.requestBody ? fields(op.requestBody.content["application/json"].schema, "", 0, []) : [];
  const ok = Object.entries(op.responses).find(([code]) => code.startsWith("2")) || ["200", {}];
  const reply = ok[1].content && ok[1].content["application/json"]
    ? fields(ok[1].content["application/json"].schema, "", 0, []) : [];
  const curl = [`curl -s -X ${method.toUpperCase()} '${location.origin}${path}'`];
  if (op.requestBody) curl.push("-H 'Content-Type: application/json' -d '{…}'");
  return el("details", { id: op.operationId },
    el("summary", {}, el("span", { className: "method", textContent: method.toUpperCase() }),
      el("code", { className: "path", textContent: path }), " ", el("span", { className: "about", textContent: op.summary || "" })),
    op.description ? el("p", { textContent: op.description }) : null,
    el("pre", { textContent: curl.join(" \\\n  ") }),
    table("Parameters", params), table("Body", body), table(`Answer ${ok[0]}`, reply));
};

const render = (filter) => {
  const groups = new Map();
  for (const [path, methods] of Object.entries(spec.paths)) {
    for (const [method, op] of Object.entries(methods)) {
      const text = `${method} ${path} ${op.summary} ${op.operationId}`.toLowerCase();
      if (filter && !text.includes(filter)) continue;
      const tag = (op.tags || ["other"])[0];
      groups.set(tag, [...(groups.get(tag) || []), operation(path, method, op)]);
    }
  }
  document.getElementById("operations").replaceChildren(
    ...[...groups].flatMap(([tag, ops]) => [el("h2", { textContent: tag }), ...ops]));
};

fetch("/openapi.json").then((r) => r.json()).then((s) => {
  spec = s;
  document.getElementById("about").textContent = s.info.description;
  document.getElementById("filter").addEventListener("input", (e) => render(e.target.value.toLowerCase()));
  render("");
}).catch((err) => { document.getElementById("operations").textContent = "openapi.json could not be read: " + err; });
