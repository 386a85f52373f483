// What a reader may take along: from this page itself, and from beside it where its folder came along.

const save = (name, type, text) => {
  const link = h("a", { href: URL.createObjectURL(new Blob([text()], { type })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};

const csv = (value) => (/[",\n]/.test(String(value)) ? `"${String(value).replaceAll('"', '""')}"` : String(value));

// The operations in view, as filtered. A leading `=` and the like is no formula to a spreadsheet.
const operationsCsv = (result, axis, filter) => {
  const { start, length, lane, lanes, kind, kinds, how, hows, task } = result.timeline;
  const lines = ["start_s,length_s,worker,operation,task,ended"];
  start.forEach((us, i) => {
    if (us / 1e6 > axis.max || (us + length[i]) / 1e6 < axis.min || (filter.wanted && !filter.wanted[i])) return;
    const name = lanes[lane[i]].name;
    lines.push([us / 1e6, length[i] / 1e6, csv(/^[=+@-]/.test(name) ? `'${name}` : name), csv(kinds[kind[i]]), task[i] < 0 ? "" : task[i], csv(hows[how[i]])].join(","));
  });
  return `${lines.join("\n")}\n`;
};

const downloadsOf = (result, axis, filter) => {
  const name = `${result.scenario}-${result.backend}`.replaceAll(/[^\w.-]+/g, "-");
  // Only plain paths below the report's own folder become links.
  const plain = result.files.filter(([path]) => path.split("/").every((part) => /^[\w@+=-][\w.@+=-]*$/.test(part)));
  return h("div", null,
    h("div.tools", null,
      button("Operations in view (CSV)", () => save(`${name}-operations.csv`, "text/csv", () => operationsCsv(result, axis, filter))),
      button("This result as drawn (JSON)", () => save(`${name}.json`, "application/json", () => JSON.stringify(result))),
      result.plan && button("plan.json", () => save(`${name}-plan.json`, "application/json", () => result.plan))),
    plain.length > 0 && h("details.small", null, h("summary", null, `${plural(plain.length, "file")} beside this page`),
      h("ul.files", null, plain.map(([path, size]) => h("li", null, h("a", { href: path.split("/").map(encodeURIComponent).join("/") }, path), h("span.quiet", null, ` ${number(size)} bytes`))))),
    h("p.quiet", null, "All operations: ", h("code", null, `huey-harness export ${(result.replay.match(/--huey-replay=(\S+)/) || [])[1] || "RUN"}`)));
};
