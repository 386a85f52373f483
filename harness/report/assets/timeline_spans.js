// How operations are drawn: kinds told by shape, ends that nobody knows by a dashed edge, the marked task by its way.

class TimelineDrawing extends TimelineFrame {
  drawSpans(c) {
    const [first, last] = this.lanesInView();
    const from = this.axis.min * 1e6;
    const to = this.axis.max * 1e6;
    const { start, length } = this.data;
    // Executions enclose others, so they go beneath.
    for (const beneath of [true, false]) {
      for (let lane = first; lane < last; lane++) {
        for (const i of this.byLane[lane]) {
          if (start[i] > to) break;
          if (start[i] + length[i] < from || !this.isWanted(i)) continue;
          if ((this.familyOf(i) === "execute") === beneath) this.drawSpan(c, i, this.y(lane));
        }
      }
    }
  }

  familyOf(i) { return FAMILY[this.data.kinds[this.data.kind[i]]] || "other"; }

  // [y, height] of a span within its lane: the shape tells the kind without colour.
  shapeOf(i, y) {
    const tall = this.laneHeight;
    const family = this.familyOf(i);
    if (family === "execute") return [y + 2, tall - 4];
    if (family === "dequeue") return [y + tall * 0.6, tall * 0.4 - 2];
    if (family === "complete") return [y + 2, tall * 0.45 - 1];
    return [y + 4, tall - 8];
  }

  drawSpan(c, i, y) {
    const from = this.x(this.data.start[i] / 1e6);
    const wide = this.x((this.data.start[i] + this.data.length[i]) / 1e6) - from;
    const width = Math.max(wide, 1);
    const [top, tall] = this.shapeOf(i, y);
    const how = this.data.how[i];
    const color = this.colors[`op-${this.familyOf(i)}`];
    const empty = how === 3;
    const unsure = how === 0 || how === 4;
    c.fillStyle = color;
    // What is narrower than a pixel is drawn fainter, so that many of them read as a shade of how busy it was.
    const share = unsure ? 1 : Math.min(1, Math.max(wide, 0.5));
    c.globalAlpha = share * (empty ? 0.12 : unsure ? 0.3 : this.familyOf(i) === "execute" ? 0.55 : 0.9);
    c.fillRect(from, top, width, tall);
    c.globalAlpha = 1;
    if (unsure) {
      c.strokeStyle = this.colors.bad;
      c.lineWidth = 1;
      c.setLineDash([3, 2]);
      c.strokeRect(from + 0.5, top + 0.5, Math.max(width - 1, 1), tall - 1);
      c.setLineDash([]);
    } else if (empty && width > 3) {
      c.strokeStyle = color;
      c.globalAlpha = 0.4;
      c.strokeRect(from + 0.5, top + 0.5, width - 1, tall - 1);
      c.globalAlpha = 1;
    }
    if (i === this.cursor) {
      c.strokeStyle = this.colors.ink;
      c.lineWidth = 2;
      c.strokeRect(from - 2, top - 2, width + 4, tall + 4);
      c.lineWidth = 1;
    }
    const at = Math.max(from, GUTTER);
    if (from + wide - at > 60 && tall > 9 && this.data.task[i] >= 0) {
      c.fillStyle = this.colors.ink;
      c.fillText(fitted(c, `${this.kindOf(i)} ${this.data.task[i]}`, from + wide - at - 8), at + 5, top + tall / 2 + 0.5);
    }
  }

  kindOf(i) { return this.data.kinds[this.data.kind[i]].replaceAll("_", " "); }

  // The marked task's operations, and the way it took from lane to lane.
  drawTask(c) {
    if (this.task === null) return;
    const points = [];
    this.data.task.forEach((task, i) => {
      if (task !== this.task) return;
      const [top, tall] = this.shapeOf(i, this.y(this.data.lane[i]));
      const from = this.x(this.data.start[i] / 1e6);
      const to = Math.max(this.x((this.data.start[i] + this.data.length[i]) / 1e6), from + 2);
      c.strokeStyle = this.colors.accent;
      c.lineWidth = 2;
      c.strokeRect(from - 2, top - 2, to - from + 4, tall + 4);
      points.push([from, top + tall / 2]);
    });
    c.lineWidth = 1.25;
    c.globalAlpha = 0.8;
    c.beginPath();
    points.forEach(([x, y], i) => (i ? c.lineTo(x, y) : c.moveTo(x, y)));
    c.stroke();
    c.globalAlpha = 1;
    c.lineWidth = 1;
  }
}
