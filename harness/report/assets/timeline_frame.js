// What the timeline stands on: lanes, ticks, faults, roles, marks. What it needs of `this` is set by TimelineView.

const GUTTER = 148;
const RIGHT = 12;
const HEAD = 58;
const FAMILY = {
  enqueue: "enqueue", schedule: "enqueue", dequeue: "dequeue", read_schedule: "dequeue",
  execute: "execute", complete: "complete", requeue: "requeue",
};
const FAMILIES = [
  ["enqueue", "enqueue, schedule"], ["dequeue", "dequeue, read schedule"], ["execute", "execute"],
  ["complete", "complete"], ["requeue", "requeue"], ["other", "other"],
];

class TimelineFrame {
  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.width = this.view.clientWidth;
    this.height = this.view.clientHeight;
    this.canvas.width = Math.round(this.width * ratio);
    this.canvas.height = Math.round(this.height * ratio);
    this.canvas.style.width = `${this.width}px`;
    this.canvas.style.height = `${this.height}px`;
    this.redraw();
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => { this.waiting = false; this.draw(); });
  }

  x(seconds) {
    return GUTTER + ((seconds - this.axis.min) / (this.axis.max - this.axis.min)) * (this.width - GUTTER - RIGHT);
  }

  seconds(x) {
    return this.axis.min + ((x - GUTTER) / (this.width - GUTTER - RIGHT)) * (this.axis.max - this.axis.min);
  }

  y(lane) { return HEAD + lane * this.laneHeight - this.view.scrollTop; }

  palette() {
    const names = ["ink", "quiet", "line", "paper", "sheet", "bad", "accent", "role-primary", "role-replica", "lane"];
    const colors = Object.fromEntries(names.map((name) => [name, style(`--${name}`)]));
    for (const [name] of FAMILIES) colors[`op-${name}`] = style(`--op-${name}`);
    return colors;
  }

  draw() {
    if (!this.width) return;
    const c = this.canvas.getContext("2d");
    const ratio = window.devicePixelRatio || 1;
    this.colors ||= this.palette();
    c.setTransform(ratio, 0, 0, ratio, 0, 0);
    c.clearRect(0, 0, this.width, this.height);
    c.font = `11px ${style("--sans")}`;
    c.textBaseline = "middle";
    this.drawLanes(c);
    this.drawTicks(c);
    c.save();
    c.beginPath();
    c.rect(GUTTER, 0, this.width - GUTTER - RIGHT, this.height);
    c.clip();
    this.drawBands(c);
    c.save();
    c.beginPath();
    c.rect(0, HEAD, this.width, this.height);
    c.clip();
    this.drawDensity(c);
    this.drawRoles(c);
    this.drawFaultLane(c);
    this.drawSpans(c);
    this.drawTask(c);
    c.restore();
    this.drawMarks(c);
    c.restore();
  }

  lanesInView() {
    const first = Math.max(0, Math.floor(this.view.scrollTop / this.laneHeight));
    const last = Math.min(this.data.lanes.length, Math.ceil((this.view.scrollTop + this.height - HEAD) / this.laneHeight));
    return [first, last];
  }

  drawLanes(c) {
    const [first, last] = this.lanesInView();
    c.save();
    c.beginPath();
    c.rect(0, HEAD, this.width, this.height);
    c.clip();
    for (let lane = first; lane < last; lane++) {
      const y = this.y(lane);
      if (lane % 2 === 0) {
        c.fillStyle = this.colors.lane;
        c.fillRect(0, y, this.width, this.laneHeight);
      }
      const begins = lane > 0 && this.groupOf(lane) !== this.groupOf(lane - 1);
      if (begins) {
        c.fillStyle = this.colors.line;
        c.fillRect(0, y, this.width, 1);
      }
      const chosen = lane === this.lane && document.activeElement === this.view;
      c.fillStyle = chosen ? this.colors.accent : this.colors.ink;
      c.fillText(fitted(c, (chosen ? "▸ " : "") + this.data.lanes[lane].name, GUTTER - 16), 8, y + this.laneHeight / 2 + 0.5);
    }
    c.restore();
  }

  groupOf(lane) {
    const { name, group } = this.data.lanes[lane];
    return group === "consumer" || group === "other" ? name.split("/")[0] : group;
  }

  drawTicks(c) {
    c.textAlign = "center";
    for (const [t, label] of this.axis.ticks(Math.max(3, (this.width - GUTTER) / 110))) {
      const x = Math.round(this.x(t)) + 0.5;
      c.strokeStyle = this.colors.line;
      c.lineWidth = 1;
      c.beginPath();
      c.moveTo(x, 18);
      c.lineTo(x, this.height);
      c.stroke();
      c.fillStyle = this.colors.quiet;
      if (x < this.width - 24) c.fillText(`${label} s`, x, 10);
    }
    c.textAlign = "left";
  }

  drawBands(c) {
    let free = -Infinity;
    for (const fault of this.faults) {
      const from = this.x(fault.start);
      const to = Math.max(this.x(fault.end ?? this.data.end), from + 2);
      if (to < GUTTER || from > this.width) continue;
      c.globalAlpha = 0.13;
      c.fillStyle = fault.color;
      c.fillRect(from, 20, to - from, this.height);
      c.globalAlpha = 0.9;
      c.fillRect(from, 20, 1.5, this.height);
      if (fault.end !== null) c.fillRect(to - 1, 20, 1, this.height);
      c.globalAlpha = 1;
      // A label only where the one before leaves room; the nemesis' lane and the table have them all.
      const at = Math.max(from, GUTTER);
      const label = `${fault.index + 1} ${fault.kind} ${fault.struck.join(", ") || fault.target}`;
      if (at >= free) {
        c.fillStyle = this.colors.ink;
        const shown = fitted(c, label, Math.max(to - at - 8, 110));
        c.fillText(shown, at + 5, 28);
        free = at + c.measureText(shown).width + 10;
      }
    }
  }

  drawMarks(c) {
    c.fillStyle = this.colors.bad;
    for (const t of this.data.marks) {
      const x = this.x(t);
      if (x < GUTTER || x > this.width) continue;
      c.beginPath();
      c.moveTo(x - 4.5, 42);
      c.lineTo(x + 4.5, 42);
      c.lineTo(x, 50);
      c.fill();
    }
  }

  drawDensity(c) {
    if (!this.data.bins || this.filter.wanted) return;
    const [first, last] = this.lanesInView();
    const width = this.data.end / this.data.bins;
    for (let lane = first; lane < last; lane++) {
      c.fillStyle = this.colors[this.data.lanes[lane].group === "producer" ? "op-enqueue" : "op-execute"];
      this.data.omitted[lane].forEach((count, bin) => {
        if (!count) return;
        const from = this.x(bin * width);
        const to = this.x((bin + 1) * width);
        if (to < GUTTER || from > this.width) return;
        c.globalAlpha = 0.1 + 0.5 * (count / this.most);
        c.fillRect(from, this.y(lane) + 3, to - from, this.laneHeight - 6);
      });
    }
    c.globalAlpha = 1;
  }

  drawRoles(c) {
    for (const role of this.data.roles) {
      const from = this.x(role.start);
      const to = this.x(role.end);
      const y = this.y(role.lane);
      if (to < GUTTER || from > this.width || y > this.height) continue;
      const primary = role.role === "primary";
      c.globalAlpha = primary ? 0.85 : 0.5;
      c.fillStyle = primary ? this.colors["role-primary"] : this.colors["role-replica"];
      // A primary fills its lane, others half of it: told apart without colour.
      c.fillRect(from, primary ? y + 3 : y + this.laneHeight - 6, Math.max(to - from - 1, 1), primary ? this.laneHeight - 6 : 3);
      c.globalAlpha = 1;
      const at = Math.max(from, GUTTER) + 5;
      if (to - at > 30) {
        c.fillStyle = primary ? this.colors.sheet : this.colors.quiet;
        const middle = primary ? y + this.laneHeight / 2 + 0.5 : y + this.laneHeight / 2 - 2;
        c.fillText(fitted(c, `${role.role} ${role.of}`.trim(), to - at - 4), at, middle);
      }
    }
  }

  drawFaultLane(c) {
    const lane = this.data.lanes.findIndex((each) => each.group === "nemesis");
    if (lane < 0) return;
    const y = this.y(lane);
    for (const fault of this.faults) {
      const from = this.x(fault.start);
      const to = Math.max(this.x(fault.end ?? this.data.end), from + 3);
      c.fillStyle = fault.color;
      c.fillRect(from, y + 3, to - from, this.laneHeight - 6);
      if (fault.landed && fault.healed) continue;
      c.strokeStyle = this.colors.bad;
      c.setLineDash([3, 2]);
      c.strokeRect(from + 0.5, y + 2.5, to - from, this.laneHeight - 5);
      c.setLineDash([]);
    }
  }
}

// `text`, or as much of it as fits into `width` pixels.
const fitted = (c, text, width) => {
  if (c.measureText(text).width <= width) return text;
  let low = 0;
  let high = text.length;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (c.measureText(`${text.slice(0, middle)}…`).width <= width) low = middle;
    else high = middle - 1;
  }
  return low ? `${text.slice(0, low)}…` : "";
};
