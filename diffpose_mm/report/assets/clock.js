'use strict';
// Which frame is shown: told by the video itself, or by a timer where there is no picture.

// Place of the time nearest to `time` in rising `times`.
function nearestPlace(times, time) {
  let low = 0;
  let high = times.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low > 0 && time - times[low - 1] < times[low] - time ? low - 1 : low;
}

// Place of the last time that is not after `time`, with a millisecond for rounding.
function lastPlaceBefore(times, time) {
  const place = nearestPlace(times, time);
  return place > 0 && times[place] > time + 1e-3 ? place - 1 : place;
}

class Clock {
  constructor(times) {
    this.times = times;
    this.place = 0; // that is shown
    this.target = 0; // that was asked for
    this.playing = false;
    this.onFrame = () => {};
    this.onState = () => {};
  }

  clamp(place) {
    return Math.max(0, Math.min(this.times.length - 1, Math.round(place)));
  }

  step(count) {
    this.pause();
    this.seek(this.target + count);
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play();
  }

  show(place) {
    this.place = place;
    if (this.playing) this.target = place;
    this.onFrame(place);
  }

  setPlaying(playing) {
    this.playing = playing;
    if (!playing) this.target = this.place;
    this.onState(playing);
  }
}

class VideoClock extends Clock {
  constructor(times, video) {
    super(times);
    this.video = video;
    this.presented = 0;
    this.tells = 'requestVideoFrameCallback' in HTMLVideoElement.prototype;
    video.addEventListener('play', () => this.setPlaying(true));
    video.addEventListener('pause', () => this.setPlaying(false));
    video.addEventListener('seeked', () => this.seeked());
    video.addEventListener('loadeddata', () => this.seek(this.target));
    if (this.tells) {
      const told = (now, frame) => {
        this.presented++;
        this.show(nearestPlace(this.times, frame.mediaTime));
        video.requestVideoFrameCallback(told);
      };
      video.requestVideoFrameCallback(told);
    } else {
      const look = () => {
        if (this.playing) this.show(lastPlaceBefore(this.times, video.currentTime));
        requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }
  }

  // The middle of the time that a frame is shown: no rounding leads to its neighbours.
  middle(place) {
    const times = this.times;
    const next = place + 1 < times.length ? times[place + 1] : 2 * times[place] - (times[place - 1] || 0);
    const end = Number.isFinite(this.video.duration) ? this.video.duration : Infinity;
    return Math.min((times[place] + next) / 2, Math.max(times[place], end - 1e-4));
  }

  seek(place) {
    this.target = this.clamp(place);
    if (!this.video.seeking) this.go();
  }

  go() {
    this.going = this.target;
    this.video.currentTime = this.middle(this.going);
  }

  seeked() {
    if (this.target !== this.going && !this.playing) {
      this.go(); // asked for another frame meanwhile
      return;
    }
    if (this.playing) return;
    const [place, presented] = [this.going, this.presented];
    if (!this.tells) this.show(place);
    // A picture that was on the screen before is not presented again.
    else setTimeout(() => {
      if (this.presented === presented && !this.video.seeking && this.going === place) this.show(place);
    }, 150);
  }

  play() {
    if (this.target >= this.times.length - 1) this.seek(0);
    this.video.play().catch(() => this.setPlaying(false));
  }

  pause() {
    this.video.pause();
  }

  set speed(value) {
    this.video.playbackRate = value;
  }
}

class TimerClock extends Clock {
  constructor(times) {
    super(times);
    this.rate = 1;
  }

  seek(place) {
    this.target = this.clamp(place);
    this.begin(this.target);
    this.show(this.target);
  }

  begin(place) {
    this.from = { at: performance.now(), time: this.times[place] };
  }

  play() {
    if (this.place >= this.times.length - 1) this.seek(0);
    this.begin(this.place);
    this.setPlaying(true);
    const tick = () => {
      if (!this.playing) return;
      const time = this.from.time + ((performance.now() - this.from.at) / 1000) * this.rate;
      const place = lastPlaceBefore(this.times, time);
      if (place !== this.place) this.show(place);
      if (place >= this.times.length - 1) this.pause();
      else requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
  }

  pause() {
    if (this.playing) this.setPlaying(false);
  }

  set speed(value) {
    this.rate = value;
    this.begin(this.place);
  }
}
