// Both voices, drawn along the time of the call, and the recording played beside them.

import { add, clock, h, icon, put } from './kit.js'

const RATES = [1, 1.25, 1.5, 2, 0.75]

/** Draws what there is: waves of a recording, or else only who spoke when. */
export class Player {
  constructor({ onTime, signal }) {
    Object.assign(this, { onTime, wave: null, story: null, audio: null, frame: 0, length: 1_000 })
    this.canvas = h('canvas', { class: 'waves', 'aria-hidden': 'true' })
    this.slider = h('input', { type: 'range', min: 0, max: 1000, step: 100, value: 0, 'aria-label': 'Position in the call', class: 'seek' })
    this.time = h('span', { class: 'time' }, '0:00')
    this.button = h('button', { class: 'button primary round', type: 'button', 'aria-label': 'Play', onclick: () => this.toggle() }, icon('play'))
    this.rate = h('button', { class: 'plain-button', type: 'button', 'aria-label': 'Speed', onclick: () => this.faster() }, '1×')
    this.said = h('p', { class: 'faint', role: 'status' })
    this.bar = h('div', { class: 'row player-bar' }, this.button, this.time, this.slider, this.rate)
    this.lanes = h('div', { class: 'lanes' }, h('span', { class: 'lane-name caller' }, 'Caller'), h('span', { class: 'lane-name agent' }, 'Agent'), this.canvas)
    this.node = h('section', { class: 'card player', 'aria-label': 'Both voices' }, this.lanes, this.bar, this.said)
    this.bar.hidden = true
    this.canvas.addEventListener('pointerdown', (event) => this.seek((event.offsetX / this.canvas.clientWidth) * this.length))
    this.slider.addEventListener('input', () => this.seek(Number(this.slider.value)))
    const sized = new ResizeObserver(() => this.draw())
    sized.observe(this.canvas)
    const coloured = new MutationObserver(() => this.draw())
    coloured.observe(document.documentElement, { attributes: true, attributeFilter: ['data-theme'] })
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.draw(), { signal })
    signal.addEventListener('abort', () => { sized.disconnect(); coloured.disconnect(); this.audio?.pause(); this.audio?.removeAttribute('src'); cancelAnimationFrame(this.frame) })
  }

  /** The story as it is by now. */
  tell(story) {
    this.story = story
    this.measure()
    this.draw()
  }

  /** The recording is there. */
  load(source, wave) {
    this.wave = wave
    this.audio = new Audio()
    this.audio.preload = 'none'
    this.audio.src = source
    for (const kind of ['play', 'pause', 'ended']) this.audio.addEventListener(kind, () => this.playing())
    this.audio.addEventListener('error', () => { this.said.textContent = 'The recording cannot be played. Download it, or reload the page.' })
    this.bar.hidden = false
    this.said.textContent = ''
    this.measure()
    this.draw()
  }

  measure() {
    const waves = this.wave ? this.wave.step_ms * Math.max(this.wave.caller.length, this.wave.agent.length) : 0
    this.length = Math.max(1_000, waves, this.story?.end ?? 0)
    this.slider.max = String(Math.round(this.length))
    this.showTime()
  }

  get ms() { return (this.audio?.currentTime ?? 0) * 1000 }

  toggle() {
    if (!this.audio) return
    if (this.audio.paused) this.audio.play().catch(() => { this.said.textContent = 'The recording cannot be played. Download it, or reload the page.' })
    else this.audio.pause()
  }

  seek(ms) {
    if (!this.audio) return
    this.audio.currentTime = Math.max(0, Math.min(ms, this.length)) / 1000
    this.showTime()
    this.draw()
    this.onTime(this.ms)
  }

  play(ms) {
    this.seek(ms)
    if (this.audio?.paused) this.toggle()
  }

  faster() {
    const next = RATES[(RATES.indexOf(this.audio?.playbackRate ?? 1) + 1) % RATES.length]
    if (this.audio) this.audio.playbackRate = next
    this.rate.textContent = `${next}×`
  }

  playing() {
    const isPlaying = !this.audio.paused
    put(this.button, icon(isPlaying ? 'pause' : 'play'))
    this.button.setAttribute('aria-label', isPlaying ? 'Pause' : 'Play')
    cancelAnimationFrame(this.frame)
    const step = () => {
      this.showTime()
      this.draw()
      this.onTime(this.ms)
      if (!this.audio.paused) this.frame = requestAnimationFrame(step)
    }
    step()
    if (this.audio.ended) this.onTime(null)
  }

  showTime() {
    this.time.textContent = `${clock(this.ms / 1000)} / ${clock(this.length / 1000)}`
    this.slider.value = String(Math.round(this.ms))
    this.slider.setAttribute('aria-valuetext', `${clock(this.ms / 1000)} of ${clock(this.length / 1000)}`)
  }

  draw() {
    const { canvas } = this
    const [width, height, ratio] = [canvas.clientWidth, canvas.clientHeight, Math.min(2, devicePixelRatio || 1)]
    if (!width || !this.story) return
    if (canvas.width !== Math.round(width * ratio)) Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) })
    const pen = canvas.getContext('2d')
    pen.setTransform(ratio, 0, 0, ratio, 0, 0)
    pen.clearRect(0, 0, width, height)
    const colour = colours(canvas)
    const x = (ms) => (ms / this.length) * width
    const lane = { caller: height * 0.27, agent: height * 0.73 }
    const reach = height * 0.22
    for (const turn of this.story.turns.values()) {
      pen.fillStyle = colour[turn.speaker]
      pen.globalAlpha = this.wave ? 0.1 : 0.6
      const end = turn.end ?? this.story.end
      block(pen, x(turn.ms), lane[turn.speaker] - reach, Math.max(2, x(end) - x(turn.ms)), reach * 2)
    }
    pen.globalAlpha = 1
    if (this.wave) for (const who of ['caller', 'agent']) waves(pen, this.wave[who], this.wave.step_ms, { x, y: lane[who], reach, width, colour: colour[who], length: this.length, played: this.audio ? this.ms : 0 })
    for (const turn of this.story.turns.values()) {
      if (!turn.interrupted || turn.end === undefined) continue
      pen.fillStyle = colour.bad
      pen.fillRect(x(turn.end) - 1, lane.agent - reach - 3, 2, reach * 2 + 6)
    }
    for (const event of this.story.events) {
      pen.fillStyle = event.tone === 'warn' ? colour.warn : event.tone === 'good' ? colour.good : colour.muted
      if (event.quiet) continue
      pen.beginPath()
      pen.arc(x(Math.max(0, event.ms)), height / 2, 3, 0, 7)
      pen.fill()
    }
    for (const epoch of this.story.epochs.slice(1)) {
      pen.fillStyle = colour.warn
      for (let y = 0; y < height; y += 6) pen.fillRect(x(epoch.ms), y, 1.5, 3)
    }
    if (this.audio && this.ms > 0) {
      pen.fillStyle = colour.text
      pen.fillRect(x(this.ms) - 0.75, 0, 1.5, height)
    }
  }
}

function block(pen, x, y, width, height) {
  pen.beginPath()
  pen.roundRect(x, y, width, height, 4)
  pen.fill()
}

/** One column for each three points on the screen, as high as the loudest that it covers. */
function waves(pen, peaks, step, { x, y, reach, width, colour, length, played }) {
  const loudest = Math.max(24, ...sampled(peaks))
  pen.fillStyle = colour
  for (let column = 0; column < width; column += 3) {
    const [from, to] = [column, column + 3].map((at) => Math.floor((at / width) * length / step))
    let peak = 0
    for (let at = from; at <= to && at < peaks.length; at++) peak = Math.max(peak, peaks[at])
    if (peak === 0) continue
    const height = Math.max(1.5, (peak / loudest) * reach)
    pen.globalAlpha = x(played) >= column || played === 0 ? 1 : 0.45
    pen.fillRect(column, y - height, 2, height * 2)
  }
  pen.globalAlpha = 1
}

/** Long lists do not fit among a function's arguments. */
function sampled(peaks) {
  const few = []
  for (let at = 0; at < peaks.length; at += 500) few.push(peaks.slice(at, at + 500).reduce((most, peak) => Math.max(most, peak), 0))
  return few
}

const probes = ['caller', 'accent', 'bad', 'warn', 'good', 'muted', 'text']

function colours(canvas) {
  const probe = h('span', { hidden: true })
  add(canvas.parentNode, [probe])
  const found = Object.fromEntries(probes.map((name) => { probe.style.color = `var(--${name})`; return [name, getComputedStyle(probe).color] }))
  probe.remove()
  return { ...found, agent: found.accent }
}
