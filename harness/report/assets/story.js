// A task's life as a table; where it was executed more than once, each execution beside the others.

const GLYPHS = { invoke: ["○", "called"], ok: ["●", "ok"], fail: ["✕", "failed"], info: ["?", "unknown"], fault: ["▲", "fault"] };
const IN_HAND = ["dequeue", "read_schedule", "execute", "complete", "requeue"];
const HANDS_SHOWN = 4;

// The story's lines by whose hands the task was in: [hands that executed it, the hand of each line or -1].
const handsOf = (lines) => {
  const hands = [];
  const open = new Map();
  const of = lines.map((line) => {
    if (!IN_HAND.includes(line.f)) return -1;
    let hand = open.get(line.process);
    const taking = line.f === "dequeue" && line.how === "invoke";
    const again = line.f === "execute" && line.how === "invoke" && hand?.executed;
    if (!hand || taking || again) {
      hand = { process: line.process, executed: false };
      open.set(line.process, hand);
      hands.push(hand);
    }
    if (line.f === "execute") hand.executed = true;
    return hand;
  });
  const executed = hands.filter((hand) => hand.executed);
  return [executed, of.map((hand) => executed.indexOf(hand))];
};

const eventOf = (line) => [h("span.glyph", { "aria-hidden": "true" }, (GLYPHS[line.how] || ["·"])[0]), " ", line.what];

const rowOf = (line, evidence, cells) => h(`tr.how-${line.how}${evidence.includes(line.index) ? ".evidence" : ""}`, null,
  h("td.n", null, line.index === null ? "" : `#${line.index}`), h("td.n", null, moment(line.t)), cells);

const plainStory = (story, evidence) => [
  ["index", "time", "process", "event"].map((name) => h("th", { scope: "col" }, name)),
  story.lines.map((line) => rowOf(line, evidence, [h("td.mono", null, line.process), h("td", null, eventOf(line))])),
];

// Columns: who else had to do with the task, then a column an execution.
const sideBySide = (story, evidence, hands, of) => {
  const shown = hands.slice(0, HANDS_SHOWN);
  const heads = ["index", "time", "elsewhere", ...shown.map((hand, i) => `execution ${i + 1}: ${hand.process}`)];
  const rows = story.lines.map((line, at) => {
    const column = of[at] >= HANDS_SHOWN ? -1 : of[at];
    const who = column < 0 ? [h("span.mono", null, line.process), " "] : [];
    return rowOf(line, evidence, [-1, ...shown.keys()].map((each) => h("td", null, each === column ? [who, eventOf(line)] : "")));
  });
  return [heads.map((name) => h("th", { scope: "col" }, name)), rows];
};

const storyOf = (story, evidence, show) => {
  const [hands, of] = handsOf(story.lines);
  const several = hands.length > 1;
  const [heads, rows] = several ? sideBySide(story, evidence, hands, of) : plainStory(story, evidence);
  if (story.cut) {
    const note = h("td.quiet", { colspan: String(heads.length) }, `… ${plural(story.cut, "event")} left out …`);
    rows.splice(Math.ceil(rows.length / 2), 0, h("tr", null, note));
  }
  return h(several ? "div.story.several" : "div.story", null,
    h("div.bar", null, h("h5", null, `The story of task ${story.task}`, several && `: ${hands.length} executions side by side`),
      show && button("Show on the timeline", show)),
    h("div.scroll", { tabindex: "0", role: "region", "aria-label": `The story of task ${story.task}` },
      h("table", null, h(several ? "thead" : "thead.hidden", null, h("tr", null, heads)), h("tbody", null, rows))),
    h("p.place", null, h("b", null, "Last known: "), story.place));
};
