'use strict';
// Confidence over the whole video as a strip of colour, gaps as stripes; a click goes there.

class Strip {
  constructor(canvas, poses, onSeek) {
    this.canvas = canvas;
    this.poses = poses;
    this.pen = canvas.getContext('2d');
    this.values = null;
    this.place = 0;
    let held = false;
    canvas.addEventListener('pointerdown', (event) => {
      held = true;
      canvas.setPointerCapture(event.pointerId);
      onSeek(this.placeAt(event));
    });
    canvas.addEventListener('pointermove', (event) => held && onSeek(this.placeAt(event)));
    canvas.addEventListener('pointerup', () => (held = false));
    canvas.addEventListener('pointercancel', () => (held = false));
  }

  placeAt(event) {
    const { left, width } = this.canvas.getBoundingClientRect();
    const share = (event.clientX - left) / width;
    const place = Math.floor(share * this.poses.numFrames);
    return Math.max(0, Math.min(this.poses.numFrames - 1, place));
  }

  // Take the confidences of a person (null: the lowest of all) and paint them.
  update(track) {
    this.track = track;
    this.values = this.poses.confidences(track);
    this.paint();
  }

  // Red for 0 by way of yellow to green for 1; the height says it too.
  static color(value) {
    return `hsl(${Math.round(130 * Math.max(0, Math.min(1, value)))}, 75%, 45%)`;
  }

  paint() {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(Math.round(this.canvas.clientWidth * ratio), 1);
    const height = Math.max(Math.round(this.canvas.clientHeight * ratio), 1);
    const picture = document.createElement('canvas');
    [picture.width, picture.height] = [width, height];
    const pen = picture.getContext('2d');
    const count = this.poses.numFrames;
    pen.fillStyle = 'rgba(128, 128, 128, 0.25)';
    pen.fillRect(0, 0, width, height);
    // Of the frames that share a column, the worst is shown.
    for (let column = 0; column < width; column++) {
      const from = Math.floor((column * count) / width);
      const to = Math.max(from + 1, Math.floor(((column + 1) * count) / width));
      let worst = Infinity;
      let gap = false;
      for (let place = from; place < to; place++) {
        if (Number.isNaN(this.values[place])) gap = true;
        else worst = Math.min(worst, this.values[place]);
      }
      if (worst < Infinity) {
        pen.fillStyle = Strip.color(worst);
        const tall = Math.max(2, Math.round(worst * (height - 2)));
        pen.fillRect(column, height - tall, 1, tall);
      }
      if (gap) {
        pen.fillStyle = 'rgba(60, 60, 70, 0.55)';
        pen.fillRect(column, 0, 1, worst < Infinity ? height * 0.25 : height);
        if (column % Math.round(6 * ratio) < 2 * ratio) {
          pen.fillStyle = '#fff';
          pen.fillRect(column, 0, 1, height * 0.25);
        }
      }
    }
    this.picture = picture;
    this.mark(this.place);
  }

  // Draw the strip with the cursor at a frame.
  mark(place) {
    this.place = place;
    if (!this.picture) return;
    const { canvas, pen, picture } = this;
    [canvas.width, canvas.height] = [picture.width, picture.height];
    pen.drawImage(picture, 0, 0);
    const x = ((place + 0.5) / this.poses.numFrames) * canvas.width;
    const ratio = window.devicePixelRatio || 1;
    pen.fillStyle = '#000';
    pen.fillRect(x - 2 * ratio, 0, 4 * ratio, canvas.height);
    pen.fillStyle = '#fff';
    pen.fillRect(x - ratio, 0, 2 * ratio, canvas.height);
  }

  // The strip in words.
  describe() {
    const known = [...this.values.keys()].filter((place) => !Number.isNaN(this.values[place]));
    const parts = ['Strip: confidence from 0 (low, red) to 1 (full height, green); click to go there.'];
    if (known.length) {
      const worst = known.reduce((a, b) => (this.values[b] < this.values[a] ? b : a));
      parts.push(`Lowest ${this.values[worst].toFixed(2)} in frame ${worst + this.poses.facts.firstFrame}.`);
    }
    const gaps = this.gaps();
    const name = (place) => place + this.poses.facts.firstFrame;
    const shown = gaps.slice(0, 4).map(([a, b]) => (a === b ? `${name(a)}` : `${name(a)} to ${name(b)}`));
    if (gaps.length) {
      const who = this.track === null ? 'nobody' : 'without this person';
      const more = gaps.length > 4 ? ` and ${gaps.length - 4} more` : '';
      parts.push(`Gaps (${who}): frames ${shown.join(', ')}${more}.`);
    } else parts.push('No gaps.');
    return parts.join(' ');
  }

  gaps() {
    const found = [];
    this.values.forEach((value, place) => {
      if (!Number.isNaN(value)) return;
      const last = found[found.length - 1];
      if (last && last[1] === place - 1) last[1] = place;
      else found.push([place, place]);
    });
    return found;
  }
}
