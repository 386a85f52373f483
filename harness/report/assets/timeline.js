// The timeline: what every process and node did, with the faults across all of them. Drawn on a canvas that stays in
// place while its lanes scroll beneath; all that it tells on hover is told to the keyboard too.

class TimelineView extends TimelineDrawing {
  constructor(result, axis, selection, filter) {
    super();
    Object.assign(this, { result, selection, filter });
    this.data = result.timeline;
    this.faults = result.faults;
    this.axis = axis;
    this.laneHeight = this.data.lanes.length > 60 ? 14 : 20;
    this.lane = 0;
    this.cursor = -1;
    this.task = null;
    this.byLane = this.data.lanes.map(() => []);
    this.data.lane.forEach((lane, i) => this.byLane[lane].push(i));
    this.most = Math.max(1, ...this.data.omitted.map((bins) => Math.max(...bins)));
    this.node = this.build();
    // In the next frame: a resize inside the observer would be one more for it to observe.
    this.observer = new ResizeObserver(() => requestAnimationFrame(() => this.resize()));
    this.observer.observe(this.view);
    axis.listen(() => this.redraw());
    selection.on("query", () => this.redraw());
    onScheme(() => { this.colors = null; this.redraw(); });
  }

  build() {
    const lanes = this.data.lanes.length;
    this.canvas = h("canvas", { "aria-hidden": "true" });
    this.tall = h("div.tall", null, this.canvas);
    this.tip = h("div.tip", { hidden: true });
    this.status = h("p.status", { "aria-live": "polite" });
    this.view = h("div.view", {
      tabindex: "0", role: "application", "aria-label":
        `Timeline of ${lanes} lanes. Left and right pan, plus and minus zoom, 0 shows all, n and p go to the next and ` +
        "previous finding, up and down choose a lane, comma and full stop step through its operations, Enter marks a task.",
    }, this.tall);
    this.tall.style.height = `${HEAD + lanes * this.laneHeight + 6}px`;
    this.view.style.height = `${Math.min(HEAD + lanes * this.laneHeight + 8, 620)}px`;
    this.listen();
    const tools = h("div.tools", null,
      button("−", () => this.axis.zoom(2), { title: "Zoom out (−)", "aria-label": "Zoom out" }),
      button("+", () => this.axis.zoom(0.5), { title: "Zoom in (+)", "aria-label": "Zoom in" }),
      button("All", () => this.axis.reset(), { title: "Show the whole run (0)" }),
      this.data.marks.length > 0 && [
        button("‹ finding", () => this.jump(-1), { title: "Previous finding (p)" }),
        button("finding ›", () => this.jump(1), { title: "Next finding (n)" }),
      ],
      h("span.quiet.hint", null, "drag to pan; click, then wheel to zoom; keys + − 0 n p ← →"));
    this.minimap = new Minimap(this.result, this.axis);
    return h("div.timeline", null, tools, this.filter.node, this.legend(), this.minimap.node,
      h("div.frame", null, this.view, this.tip), this.status,
      this.data.cut && h("p.quiet", null, this.data.cut));
  }

  legend() {
    const used = new Set(this.data.kind.map((kind) => FAMILY[this.data.kinds[kind]] || "other"));
    return h("p.legend.quiet", null,
      FAMILIES.filter(([name]) => used.has(name)).map(([name, words]) => h("span", null, h(`i.swatch.op-${name}`), words)),
      h("span", null, h("i.swatch.unsure"), "outcome unknown, or no end"),
      h("span", null, h("i.swatch.refused"), "failed; dequeue: found empty"),
      this.data.bins > 0 && h("span", null, h("i.swatch.shade"), "operations not drawn singly"),
      this.data.marks.length > 0 && h("span", null, h("b.mark", null, "▼"), "evidence of a finding"));
  }

  isWanted(i) { return !this.filter.wanted || this.filter.wanted[i] === 1; }

  // What an operation was, without who did it and when.
  told(i) {
    const { length, how, task, hows } = this.data;
    const subject = task[i] >= 0 ? ` of task ${task[i]}` : "";
    const ending = how[i] === 3 && this.familyOf(i) === "dequeue" ? "found empty" : hows[how[i]];
    return `${this.kindOf(i)}${subject}, ${ending}${how[i] === 0 ? "" : `, took ${span(length[i] / 1e6)}`}`;
  }

  describe(i) {
    const { start, lane, lanes } = this.data;
    return `${lanes[lane[i]].name} at ${moment(start[i] / 1e6)}: ${this.told(i)}`;
  }

  describeFault(fault) {
    return `fault ${fault.index + 1}, ${fault.kind} of ${fault.struck.join(", ") || fault.target}: ${moment(fault.start)} to ` +
      `${fault.end === null ? "the end" : moment(fault.end)}; ${fault.landed ? "landed" : "not seen to land"}`;
  }

  // What lies at a point of the canvas: [words, index of a span or -1].
  at(x, y) {
    if (x < GUTTER) return null;
    const t = this.seconds(x);
    const slack = (this.seconds(x + 4) - t) * 1e6;
    if (y < HEAD) {
      const fault = this.faults.findLast((each) => each.start <= t && t <= (each.end ?? this.data.end));
      return fault ? [this.describeFault(fault), -1] : null;
    }
    const lane = Math.floor((y - HEAD + this.view.scrollTop) / this.laneHeight);
    if (!this.byLane[lane]) return null;
    const { start, length } = this.data;
    let best = -1;
    for (const i of this.byLane[lane]) {
      if (start[i] > t * 1e6 + slack) break;
      if (!this.isWanted(i)) continue;
      if (start[i] + length[i] >= t * 1e6 - slack && (best < 0 || length[i] <= length[best])) best = i;
    }
    if (best >= 0) return [this.describe(best), best];
    const { name, group } = this.data.lanes[lane];
    if (group === "nemesis") {
      const fault = this.faults.findLast((each) => each.start <= t && t <= (each.end ?? this.data.end));
      return fault ? [this.describeFault(fault), -1] : null;
    }
    const role = this.data.roles.find((each) => each.lane === lane && each.start <= t && t < each.end);
    return role ? [`${name}: ${role.role} ${role.of}, ${moment(role.start)} to ${moment(role.end)}`, -1] : null;
  }

  say(words) { this.status.textContent = words; }

  // Mark a task: its operations ringed, the way between them drawn.
  mark(task, from, to) {
    this.task = task;
    if (from !== undefined) this.axis.reveal(from, to);
    if (task !== null) this.say(`task ${task} is marked`);
    this.redraw();
  }

  jump(direction) {
    const { selection } = this;
    const stop = selection.next(direction);
    if (!stop) return;
    const half = Math.min(0.5, this.axis.end / 4);
    this.axis.set(stop.t - half, stop.t + half);
    const task = stop.finding?.tasks[0] ?? null;
    this.mark(task);
    if (stop.finding) selection.choose(stop);
    this.reveal(task, stop.t);
    const place = stop.finding?.stories[0]?.place;
    this.say(`finding ${selection.inTime.indexOf(stop) + 1} of ${selection.inTime.length}, at ${moment(stop.t)}` +
      (stop.finding ? `: ${stop.cluster.anomaly}, ${task === null ? stop.finding.summary : `task ${task}`}${place ? `; ${place}` : ""}` : ", which is not listed on this page"));
  }

  // Scroll to the lane that a task was last worked on in before a moment.
  reveal(task, t) {
    let last = -1;
    this.data.task.forEach((each, i) => { if (each === task && each >= 0 && this.data.start[i] <= t * 1e6) last = i; });
    if (last < 0) return;
    const lane = this.data.lane[last];
    const y = this.y(lane);
    if (y < HEAD || y + this.laneHeight > this.height) this.view.scrollTop = lane * this.laneHeight - (this.height - HEAD) / 2;
  }

  step(direction) {
    const list = (this.byLane[this.lane] || []).filter((i) => this.isWanted(i));
    const position = list.indexOf(this.cursor);
    const inView = list.findIndex((i) => (this.data.start[i] + this.data.length[i]) / 1e6 >= this.axis.min);
    const next = list[position < 0 ? Math.max(inView, 0) : Math.min(Math.max(position + direction, 0), list.length - 1)];
    if (next === undefined) return this.say(`${this.data.lanes[this.lane].name} has no operations`);
    this.cursor = next;
    const t = this.data.start[next] / 1e6;
    const width = this.axis.max - this.axis.min;
    if (t < this.axis.min || t > this.axis.max) this.axis.set(t - width / 2, t + width / 2);
    this.say(this.describe(next));
    this.redraw();
  }

  choose(direction) {
    this.lane = Math.min(Math.max(this.lane + direction, 0), this.data.lanes.length - 1);
    this.cursor = -1;
    const y = this.y(this.lane);
    if (y < HEAD) this.view.scrollTop -= HEAD - y;
    if (y + this.laneHeight > this.height) this.view.scrollTop += y + this.laneHeight - this.height;
    this.say(`lane ${this.data.lanes[this.lane].name}`);
    this.redraw();
  }

  key(event) {
    const width = this.axis.max - this.axis.min;
    const actions = {
      ArrowLeft: () => this.axis.pan(-width * 0.15), ArrowRight: () => this.axis.pan(width * 0.15),
      ArrowUp: () => this.choose(-1), ArrowDown: () => this.choose(1),
      "+": () => this.axis.zoom(0.6), "=": () => this.axis.zoom(0.6), "-": () => this.axis.zoom(1 / 0.6),
      0: () => this.axis.reset(), ",": () => this.step(-1), ".": () => this.step(1),
      Enter: () => this.cursor >= 0 && this.data.task[this.cursor] >= 0 && this.mark(this.data.task[this.cursor]),
      Escape: () => { this.cursor = -1; this.mark(null); },
    };
    const action = actions[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  }

  listen() {
    const view = this.view;
    view.addEventListener("scroll", () => this.redraw(), { passive: true });
    for (const name of ["focus", "blur"]) view.addEventListener(name, () => this.redraw());
    view.addEventListener("focus", () => { TimelineView.current = this; });
    view.addEventListener("keydown", (event) => this.key(event));
    view.addEventListener("wheel", (event) => {
      // Until it is clicked the page scrolls on, so that nobody is caught in it.
      if (document.activeElement !== view && !event.ctrlKey) return;
      event.preventDefault();
      const x = event.clientX - view.getBoundingClientRect().left;
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
        this.axis.pan(((event.deltaX || event.deltaY) / this.width) * (this.axis.max - this.axis.min));
      } else {
        this.axis.zoom(1.0015 ** event.deltaY, this.seconds(x));
      }
    }, { passive: false });
    view.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || event.offsetX > view.clientWidth) return;
      this.drag = { x: event.clientX, moved: false };
    });
    view.addEventListener("pointermove", (event) => this.point(event));
    view.addEventListener("pointerup", (event) => {
      if (this.drag && !this.drag.moved) this.pick(event);
      this.drag = null;
    });
    view.addEventListener("pointerleave", () => { this.tip.hidden = true; });
    view.addEventListener("dblclick", (event) => {
      this.axis.zoom(0.4, this.seconds(event.clientX - view.getBoundingClientRect().left));
    });
  }

  point(event) {
    const box = this.view.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    if (this.drag && event.buttons) {
      const dx = event.clientX - this.drag.x;
      if (Math.abs(dx) < 3 && !this.drag.moved) return;
      if (!this.drag.moved) this.view.setPointerCapture(event.pointerId);
      this.drag = { x: event.clientX, moved: true };
      this.axis.pan((-dx / (this.width - GUTTER - RIGHT)) * (this.axis.max - this.axis.min));
      this.tip.hidden = true;
      return;
    }
    const found = this.at(x, y);
    this.tip.hidden = !found;
    if (!found) return;
    this.tip.textContent = found[0];
    this.tip.style.left = `${Math.max(4, Math.min(x + 14, this.width - this.tip.offsetWidth - 6))}px`;
    this.tip.style.top = `${y + 18}px`;
  }

  pick(event) {
    const box = this.view.getBoundingClientRect();
    const found = this.at(event.clientX - box.left, event.clientY - box.top);
    const task = found && found[1] >= 0 ? this.data.task[found[1]] : -1;
    this.cursor = found ? found[1] : -1;
    this.mark(task >= 0 ? task : null);
    this.say(found ? found[0] : "");
  }
}
