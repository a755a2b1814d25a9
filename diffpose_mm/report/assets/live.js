'use strict';
// Sampling again with other steps and hypotheses, asked of the program that serves the page.

class Live {
  // onPoses(places): poses of these frames have changed.
  constructor(poses, elements, onPoses) {
    Object.assign(this, { poses, elements, onPoses });
    this.facts = poses.facts.live;
    this.round = 0; // of the last change; answers to earlier ones are not taken
    this.place = 0;
    elements.block.hidden = false;
    for (const name of ['steps', 'hypotheses']) {
      const slider = elements[name];
      const most = this.facts[`most_${name}`] || 1;
      slider.max = most;
      slider.value = this.facts[name] || 1;
      slider.disabled = Boolean(this.facts.reason);
      elements[`${name}Value`].textContent = this.facts.reason ? 'none' : slider.value;
      slider.addEventListener('input', () => {
        elements[`${name}Value`].textContent = slider.value;
        this.change();
      });
    }
    elements.state.textContent = this.facts.reason || 'As the video was posed.';
  }

  // The frame on the screen comes first, then its neighbours, and so on.
  change() {
    const round = ++this.round;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.sample(round), 60);
  }

  async sample(round) {
    const count = this.poses.numFrames;
    const done = new Uint8Array(count);
    let left = count;
    let size = 1;
    const begun = performance.now();
    while (left && round === this.round) {
      const places = this.next(done, size);
      const asked = performance.now();
      try {
        const answer = await this.ask(places);
        if (round !== this.round) return;
        this.take(places, answer);
      } catch (error) {
        this.elements.state.textContent = `No answer: ${error.message}. Is the program still running?`;
        return;
      }
      places.forEach((place) => (done[place] = 1));
      left -= places.length;
      const took = performance.now() - asked;
      // Answers of about half a second: short enough to follow a slider.
      size = Math.max(1, Math.min(64, Math.round((places.length * 500) / Math.max(took, 1))));
      const first = left + places.length === count ? ` This frame took ${Math.round(took)} ms.` : '';
      if (first) this.first = first;
      this.elements.state.textContent = left
        ? `${count - left} of ${count} frames sampled again.${this.first}`
        : `All ${count} frames sampled again in ${((performance.now() - begun) / 1000).toFixed(1)} s.${this.first}${this.missing || ''}`;
    }
  }

  // Frames that are to be done, those nearest to the one on the screen, later ones first.
  next(done, size) {
    const places = [];
    const count = this.poses.numFrames;
    for (let off = 0; off < count && places.length < size; off++) {
      for (const place of off ? [this.place + off, this.place - off] : [this.place]) {
        if (place >= 0 && place < count && !done[place] && places.length < size) places.push(place);
      }
    }
    return places;
  }

  async ask(places) {
    const answer = await fetch('sample', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        steps: Number(this.elements.steps.value),
        hypotheses: Number(this.elements.hypotheses.value),
        frames: places.map((place) => place + this.poses.facts.firstFrame),
      }),
    });
    const content = await answer.json();
    if (!answer.ok) throw new Error(content.error || answer.statusText);
    return content;
  }

  take(places, answer) {
    places.forEach((place) => {
      const people = answer.frames[place + this.poses.facts.firstFrame] || [];
      people.forEach((person) => this.poses.replace(place, person));
    });
    if (answer.missing) this.missing = ` Not kept, and as they were: ${this.facts.not_kept} poses.`;
    this.onPoses(places);
  }
}
