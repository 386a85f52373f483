// What the backend promises, for each class of fault that this run had, against what was seen.

const promisedOf = (result) => {
  if (!result.promised.length) return h("p.quiet", null, "The plan names no promises.");
  const rows = result.promised.map((row) => {
    const open = row.observed - row.covered;
    const seen = row.observed === 0 ? "✔ none seen" : `${open ? "✘" : "≈"} ${plural(row.observed, "finding")}${row.covered && open ? `, ${number(row.covered)} of them known` : ""}`;
    return h("tr", null,
      h("th", { scope: "row" }, row.promise.replaceAll("-", " ")),
      h("td", null, row.fault_class === "none" ? "no fault" : row.fault_class.replaceAll("-", " ")),
      h("td", null, row.word, row.limits.length > 0 && h("div.quiet", null, row.limits.join(", "))),
      h(open ? "td.wrong" : "td", null, seen));
  });
  return h("div", null,
    table([["property"], ["under"], [`${result.backend} says`], ["seen in this run"]], rows, "Promised against observed"),
    h("p.quiet", null, "Only the classes of faults that landed here. A finding counts under every class of the faults that its evidence overlaps."));
};
