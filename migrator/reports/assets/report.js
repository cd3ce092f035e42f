// Lists, filters and searches the rows that stand in the page as JSON, and opens one. Values only ever become text.
(() => {
  "use strict";

  const PAGE = 50;
  const PRINTED = 1000;
  const byId = (id) => document.getElementById(id);
  const json = (element) => JSON.parse(element.textContent);

  const words = json(byId("words"));
  const legend = json(byId("legend"));
  const chunks = [...document.querySelectorAll("script.details")];
  const rows = [...document.querySelectorAll("script.rows")].flatMap((chunk, number) =>
    json(chunk).map(([line, outcome, error, container, type, status, object, name, message], index) => ({
      line, status, object, name, message, number, index,
      outcome: words.outcomes[outcome], error: words.errors[error],
      container: words.containers[container], type: words.types[type],
      text: `${line} ${object} ${name} ${message}`.toLowerCase(),
    })));

  const body = byId("table").tBodies[0];
  const [text, outcome, error, container] = ["text", "by-outcome", "by-error", "by-container"].map(byId);
  let found = rows;
  let page = 0;

  function make(name, properties, ...children) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children.filter((child) => child !== null && child !== ""));
    return element;
  }

  const counted = (number, noun) => `${number.toLocaleString("en")} ${noun}${number === 1 ? "" : "s"}`;
  const spaced = (word) => word.replaceAll("_", " ");
  const moment = (seconds) => `${new Date(seconds * 1000).toISOString().slice(0, 23).replace("T", " ")} UTC`;

  // Filter

  function fill(select, all, member, order) {
    const counts = new Map();
    for (const row of rows) if (row[member]) counts.set(row[member], (counts.get(row[member]) ?? 0) + 1);
    const frequent = [...counts.keys()].sort((one, other) => counts.get(other) - counts.get(one));
    const options = (order ?? frequent).filter((value) => counts.has(value)).map((value) =>
      make("option", { value, textContent: `${spaced(value)} (${counts.get(value).toLocaleString("en")})` }));
    select.append(make("option", { value: "", textContent: all }), ...options);
    select.closest("label").hidden = counts.size < (member === "error" ? 1 : 2);
  }

  function fits(row) {
    if (outcome.value === "care" ? legend.fine.includes(row.outcome) : outcome.value && row.outcome !== outcome.value) return false;
    return (!error.value || row.error === error.value) && (!container.value || row.container === container.value);
  }

  function filter() {
    const sought = text.value.trim().toLowerCase().split(/\s+/);
    found = rows.filter((row) => fits(row) && sought.every((word) => row.text.includes(word)));
    page = 0;
    show();
  }

  // List

  function show(size = PAGE) {
    const begin = page * PAGE;
    const shown = found.slice(begin, begin + size);
    body.replaceChildren(...shown.map(listed));
    const last = Math.max(1, Math.ceil(found.length / PAGE));
    byId("found").textContent = `${counted(found.length, "row")} of ${rows.length.toLocaleString("en")}`
      + (found.length > size ? `, ${(begin + 1).toLocaleString("en")} to ${(begin + shown.length).toLocaleString("en")} shown` : "");
    byId("pages").hidden = last === 1;
    byId("page").textContent = `Page ${page + 1} of ${last}`;
    byId("previous").disabled = page === 0;
    byId("next").disabled = page === last - 1;
  }

  function listed(row) {
    const line = make("button", { type: "button", className: "line", textContent: row.line });
    line.setAttribute("aria-expanded", "false");
    line.setAttribute("aria-label", `Line ${row.line}, details`);
    const why = [row.error && spaced(row.error), row.status].filter(Boolean).join(", ");
    const entry = make("tr", { className: "row" },
      make("td", {}, line,
        make("span", { className: `badge ${row.outcome.replace(" ", "-")}`, textContent: row.outcome }),
        row.outcome === "applied" || !why ? null : make("span", { className: "why", textContent: why })),
      make("td", {},
        row.name ? make("div", { className: "name", textContent: row.name }) : null,
        make("div", { className: "id", textContent: [row.type, row.object].filter(Boolean).join(" ") }),
        row.message ? make("div", { className: "message", textContent: row.message }) : null));
    entry.addEventListener("click", () => { if (!String(getSelection())) toggle(entry, line, row); });
    return entry;
  }

  function turn(by) {
    page += by;
    show();
    byId("table").scrollIntoView({ block: "start" });
    body.querySelector("button")?.focus({ preventScroll: true });
  }

  // One row in full

  let kept = { number: -1, details: [] };

  function detailsOf(row) {
    if (kept.number !== row.number) kept = { number: row.number, details: json(chunks[row.number]) };
    return kept.details[row.index];
  }

  function toggle(entry, line, row) {
    const open = line.getAttribute("aria-expanded") === "true";
    line.setAttribute("aria-expanded", String(!open));
    if (open) entry.nextElementSibling.remove();
    else entry.after(make("tr", { className: "detail" }, make("td", { colSpan: 2 }, ...inFull(row, detailsOf(row)))));
  }

  function inFull(row, details) {
    const cells = details.input.map((cell, index) => [legend.header[index] ?? "", cell]).filter(([, cell]) => cell);
    return [
      ...changes(row, details),
      make("div", { className: "beside" },
        make("div", {}, make("h3", { textContent: "Request" }), pairs(request(row, details)), ...attempts(details.attempts)),
        make("div", {}, make("h3", { textContent: "Row as it was read" }), pairs(cells))),
    ];
  }

  function changes(row, details) {
    const done = row.outcome === "applied";
    const title = make("h3", { textContent: done ? "Change" : "Change, as it was to be made" });
    const say = (textContent) => [title, make("p", { textContent })];
    if (row.outcome === "unchanged") return say("None: the object was as wanted already.");
    if (words.kinds[details.kind] === "delete") return say(done ? "The object was deleted." : "The object is deleted.");
    if (!details.places) {
      const planned = make("p", {}, make("code", { textContent: details.planned }));
      return [...say("What was there before is not in the ledger. As planned:"), planned];
    }
    if (!details.places.length) return say("Nothing differs.");
    const more = details.more ? [make("p", { textContent: `… and ${counted(details.more, "more place")}` })] : [];
    return [title, ...details.places.map(place), ...more];
  }

  function place([path, head, before, after, tail]) {
    const side = (name, label, value) => value === null ? null
      : make(name, {}, make("span", { className: "hidden", textContent: label }), head, make("b", { textContent: value }), tail);
    return make("div", { className: "place" }, make("code", { className: "path", textContent: path || "/" }),
      make("code", {}, side("del", "before: ", before), side("ins", "after: ", after)));
  }

  function request(row, details) {
    const kind = words.kinds[details.kind];
    const how = { answer: "the service's answer", look: "looking at the object afterwards", policy: "what --on-doubt says" }[details.how];
    return [
      ["Container", row.container],
      ["Kind", details.step ? `${kind}, together with line ${details.step}` : kind],
      ["Attempts", details.attempt ?? "none: nothing was sent"],
      ["Sent", details.attempt && moment(details.sent)],
      ["Settled", details.ended && moment(details.ended)],
      ["Settled by", details.attempt && how],
      ["Version after", details.etag],
      ["x-request-id", details.request],
    ].filter(([, value]) => value !== undefined);
  }

  function attempts(tried = []) {
    if (!tried.length) return [];
    const cells = ([number, sent, ended, status, error, message]) => [
      `Attempt ${number}`,
      `${moment(sent)}, ${(ended - sent).toFixed(2)} s: ${[spaced(error) || "not sent", status].filter(Boolean).join(", ")}. ${message}`,
    ];
    return [make("h3", { textContent: "Attempts that settled nothing" }), pairs(tried.map(cells))];
  }

  function pairs(entries) {
    return make("dl", {}, ...entries.flatMap(([name, value]) => [
      make("dt", { textContent: name }), make("dd", { textContent: value }),
    ]));
  }

  // Beginning

  const care = rows.filter((row) => !legend.fine.includes(row.outcome)).length;
  fill(outcome, "all", "outcome", legend.order);
  fill(error, "any", "error");
  fill(container, "all", "container", words.containers);
  if (care && care < rows.length) {
    outcome.options[0].after(make("option", { value: "care", textContent: `to look at (${care.toLocaleString("en")})` }));
    outcome.value = "care";
  }

  let waiting;
  text.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 80); });
  for (const select of [outcome, error, container]) select.addEventListener("change", filter);
  byId("filter").addEventListener("submit", (event) => { event.preventDefault(); filter(); });
  byId("filter").addEventListener("reset", (event) => {
    event.preventDefault();
    for (const field of [text, outcome, error, container]) field.value = "";
    filter();
  });
  byId("previous").addEventListener("click", () => turn(-1));
  byId("next").addEventListener("click", () => turn(1));
  for (const button of document.querySelectorAll("[data-error]")) {
    button.addEventListener("click", () => {
      [text.value, outcome.value, container.value] = ["", "", ""];
      error.value = button.dataset.error;
      filter();
      byId("rows").focus();
    });
  }
  addEventListener("beforeprint", () => show(PRINTED));
  addEventListener("afterprint", () => show());

  for (const id of ["filter", "table"]) byId(id).hidden = false;
  filter();
})();
