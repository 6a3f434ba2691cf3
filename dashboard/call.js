// One call: its journal, drawn. While it lasts, it is followed.

import { Conversation, audioCard, facts, latencyCard } from './conversation.js'
import { Feed } from './feed.js'
import { ENGINES, Refusal, STATUSES, add, api, ask, clock, dateTimeOf, empty, ending, exactTimeOf, field, h, icon, isLive, loading, options, outcomeBadge, OUTCOMES, phone, put, refused, sentence, session, share, tell } from './kit.js'
import { Player } from './player.js'
import { controls } from './steer.js'
import { Story, journal } from './story.js'

/** After the end a verdict and a recording come within seconds; it is looked for that often. */
const LATER_MS = [1_000, 1_500, 2_000, 3_000, 4_000, 5_000, 8_000, 10_000, 15_000, 20_000]

export async function show(main, { params, signal, go }) {
  add(main, [loading('Opening the call')])
  try {
    const call = await api(`/v1/calls/${encodeURIComponent(params.id)}`, { signal })
    await new CallPage(main, call, signal, go).open()
  } catch (error) {
    if (error.name === 'AbortError' || error.status === 401) throw error
    put(main, h('h1', { class: 'sr' }, 'Call'), gone(error) ?? refused(error, h('a', { class: 'button', href: '/' }, 'To the calls')))
  }
}

function gone(error) {
  const way = h('a', { class: 'button', href: '/' }, 'To the calls')
  if (error.status === 410) return empty('This call was erased', 'All that belonged to it is gone: words, sound and numbers.', way)
  if (error.status === 404) return empty('There is no such call', 'The address may be cut off, or the call is older than calls are kept.', way)
  return null
}

class CallPage {
  constructor(main, call, signal, go) {
    Object.assign(this, { main, call, signal, go, story: new Story(), latency: null, notice: h('p', { class: 'notice', role: 'status', hidden: true }), node: null })
    this.head = h('header', { class: 'call-head' })
    this.steer = h('div')
    this.player = new Player({ signal, onTime: (ms) => this.talk.follow(ms) })
    this.talk = new Conversation({ seek: (ms) => this.player.play(ms), latency: new Map() })
    this.side = h('aside', { class: 'stack', 'aria-label': 'About the call' })
    this.words = h('section', { class: 'card talk-card' }, h('h2', null, 'Conversation'), this.talk.list)
    this.levels = h('div', { class: 'levels', hidden: true, 'aria-hidden': 'true' }, ['caller', 'agent'].map((who) => h('span', { class: `level ${who}` }, h('span'))))
    this.raw = h('details', { class: 'card raw' }, h('summary', null, h('h2', null, 'Journal')))
    this.raw.addEventListener('toggle', () => this.drawRaw())
  }

  async open() {
    const { id } = this.call
    const [entries, latency] = await Promise.all([journal(api, id, undefined, this.signal), api(`/v1/calls/${id}/latency`, { signal: this.signal }).catch(quiet)])
    for (const entry of entries) this.story.add(entry)
    this.weigh(latency)
    put(this.main, this.head, this.notice, this.steer, h('div', { class: 'call-body' }, h('div', { class: 'stack' }, this.player.node, this.words, this.raw), this.side))
    this.draw()
    if (isLive(this.call)) this.follow()
    else this.after()
  }

  weigh(latency) {
    this.latency = latency
    this.talk.latency = new Map((latency?.turns ?? []).map((turn) => [turn.n, turn]))
  }

  draw() {
    const { call, story } = this
    document.title = `${phone(call.phone)} – Switchboard`
    this.drawHead()
    this.drawSteer()
    this.player.node.hidden = story.turns.size === 0 && !this.player.audio && !isLive(call)
    this.player.tell(story)
    this.talk.draw(story)
    if (story.turns.size === 0 && !this.words.querySelector('.state')) this.words.append(h('div', { class: 'state' }, h('p', null, isLive(call) ? 'The words appear here as they are spoken.' : 'Nothing was said in this call.')))
    if (story.turns.size > 0) this.words.querySelector('.state')?.remove()
    this.drawSide()
    this.drawRaw()
  }

  drawHead() {
    const { call } = this
    const state = `${call.status} ${call.outcome} ${call.engine} ${call.duration_s} ${this.story.engine} ${this.node}`
    if (this.headSeen === state) return
    this.headSeen = state
    const badge = isLive(call) ? h('span', { class: 'badge live' }, h('span', { class: 'pulse', 'aria-hidden': 'true' }), STATUSES[call.status]) : call.outcome && outcomeBadge(call.outcome)
    const engine = ENGINES[this.story.engine ?? call.engine] ?? this.story.engine ?? call.engine
    this.timer = h('span', { class: 'timer' })
    const line = [call.direction === 'inbound' ? 'Inbound' : 'Outbound', dateTimeOf(call.created_at), this.timer, call.agent, engine, this.node, isLive(call) ? null : ending(call)].filter(Boolean)
    const from = /^\/(\?|$)/.test(history.state?.from ?? '') ? history.state.from : null
    const back = (event) => { event.preventDefault(); history.back() }
    put(this.head, h('a', { class: 'plain-button back', href: from ?? '/', onclick: from && back }, icon('back'), 'Calls'),
      h('div', { class: 'row' }, h('h1', null, phone(call.phone)), badge, this.levels), h('p', { class: 'muted meta' }, line.map((part) => (part === this.timer ? part : h('span', null, part)))))
    this.tick()
  }

  tick() {
    const { call } = this
    this.timer.textContent = isLive(call) ? clock((Date.now() - new Date(call.answered_at ?? call.created_at)) / 1000) : call.duration_s === null ? '' : clock(call.duration_s)
    this.timer.hidden = !this.timer.textContent
  }

  drawSteer() {
    const wanted = isLive(this.call) && session.may('operator')
    if (wanted && !this.steer.firstChild) put(this.steer, controls(this.call))
    if (!wanted && this.steer.firstChild) put(this.steer)
  }

  drawSide() {
    const { call, story } = this
    const seen = JSON.stringify([call, story.audio, story.way, this.latency, story.epochs.length, story.engines.length])
    if (this.sideSeen === seen) return
    this.sideSeen = seen
    const open = [...this.side.querySelectorAll('details[open]')].map((node) => node.querySelector('summary').textContent)
    put(this.side, !isLive(call) && this.verdict(), latencyCard(this.latency), audioCard(story), this.about(), !isLive(call) && this.downloads())
    for (const node of this.side.querySelectorAll('details')) if (open.includes(node.querySelector('summary').textContent)) node.open = true
  }

  // --- the verdict -------------------------------------------------------------------------------------------------------

  verdict() {
    const { analysis, outcome } = this.call
    const { judgement, correction } = analysis ?? {}
    const where = judgement?.evidence_found ? h('button', { class: 'plain-button', type: 'button', onclick: () => this.talk.show(`turn-${judgement.evidence_turn}`) }, 'Show where') : null
    const may = session.may('operator')
    return h('section', { class: 'card verdict' }, h('h2', null, 'Outcome'),
      h('p', { class: 'row' }, outcomeBadge(outcome), judgement && h('span', { class: 'faint' }, correction ? `judged “${OUTCOMES[judgement.outcome]}” before` : `${share(judgement.confidence)} sure`)),
      correction && h('p', { class: 'note' }, `Corrected by ${correction.by}, ${dateTimeOf(correction.at)}.`, correction.note && ` “${correction.note}”`),
      judgement?.evidence && h('blockquote', null, `“${judgement.evidence}”`, where),
      judgement && !judgement.evidence_found && judgement.evidence && h('p', { class: 'note warn-text' }, 'This sentence was not said in the call.'),
      judgement && h('p', { class: 'muted small' }, sentence(judgement.reason)),
      judgement && facts([...Object.entries(judgement.fields).map(([name, value]) => [capital(name), value]), ['Judged by', judgement.model]]),
      !judgement && !correction && h('p', { class: 'muted' }, this.call.answered_at ? 'Not judged yet.' : 'Nobody answered, so there is nothing to judge.'),
      may && this.call.answered_at && h('div', { class: 'row' }, h('button', { class: 'button', type: 'button', onclick: () => this.correct() }, 'Correct'),
        h('button', { class: 'plain-button', type: 'button', onclick: () => this.judge() }, 'Judge again')))
  }

  async correct() {
    const outcome = h('select', { name: 'outcome' }, options(Object.entries(OUTCOMES), this.call.outcome ?? 'yes'))
    const note = h('input', { type: 'text', name: 'note', maxlength: 500 })
    const done = await ask({ title: 'Correct the outcome', text: 'The verdict stays on record beside your correction.', fields: [field('Outcome', outcome), field('Note', note, 'Why, if you like.')], action: 'Correct',
      act: async (form) => { this.call = { ...this.call, ...await api(`/v1/calls/${this.call.id}/outcome`, { method: 'PUT', body: { outcome: form.get('outcome'), note: form.get('note').trim() || null } }) } } })
    if (!done) return
    tell('The outcome is corrected.', 'good')
    await this.reread()
  }

  async judge() {
    try {
      await api(`/v1/calls/${this.call.id}/analyze`, { method: 'POST' })
      tell('The call is judged again; the verdict appears in a moment.')
      this.after()
    } catch (error) { tell(sentence(error.detail), 'bad') }
  }

  about() {
    const { call, story } = this
    return h('section', { class: 'card' }, h('h2', null, 'Details'), facts([
      ['From', phone(call.from)], ['To', phone(call.to)], ['Agent', `${call.agent}${call.agent_version ? `, version ${call.agent_version}` : ''}`],
      ['Engines', (story.engines.length > 0 ? story.engines.map((one) => one.engine) : call.engines_tried).map((engine) => ENGINES[engine] ?? engine).join(' → ')],
      ['Media streams', story.epochs.length > 1 ? `${story.epochs.length}, at ${story.epochs.map((epoch) => clock(Math.max(0, epoch.ms) / 1000)).join(', ')}` : story.epochs.length],
      ['Answered', call.answered_at && dateTimeOf(call.answered_at)], ['Ended', call.ended_at && ending(call)], ['Transfer', call.transfer && `${call.transfer.status}, ${clock(call.transfer.duration_s)}`],
      ['Phone network', call.simulated ? 'simulated' : null], ['Twilio’s id', call.twilio_sid], ['Id', call.id],
    ]))
  }

  downloads() {
    const { id, recording } = this.call
    const link = (label, path, file) => h('a', { class: 'button', href: path, download: file }, icon('download'), label)
    return h('section', { class: 'card' }, h('h2', null, 'Downloads'), h('div', { class: 'row' },
      this.story.turns.size > 0 && [link('Transcript', `/v1/calls/${id}/transcript?format=txt`, `${id}.txt`), link('Captions', `/v1/calls/${id}/transcript?format=vtt`, `${id}.vtt`)],
      recording === 'ready' && link('Recording', `/v1/calls/${id}/recording`, `${id}.wav`), h('button', { class: 'button', type: 'button', onclick: () => this.saveJournal() }, icon('download'), 'Journal')),
    session.may('admin') && h('p', null, h('button', { class: 'plain-button erase', type: 'button', onclick: () => this.erase() }, 'Erase this call …')))
  }

  saveJournal() {
    const text = this.story.entries.map(({ at_ms: at, ...entry }) => JSON.stringify({ at: new Date(at).toISOString(), ...entry })).join('\n')
    const url = URL.createObjectURL(new Blob([`${text}\n`], { type: 'application/x-ndjson' }))
    const link = h('a', { href: url, download: `${this.call.id}.ndjson` })
    link.click()
    setTimeout(() => URL.revokeObjectURL(url), 60_000)
  }

  async erase() {
    const done = await ask({ title: 'Erase this call?', text: 'Words, sound, numbers and verdict are removed for good. Nothing brings them back.', action: 'Erase', danger: true, act: () => api(`/v1/calls/${this.call.id}`, { method: 'DELETE' }) })
    if (!done) return
    tell('The call is erased.')
    this.go('/')
  }

  // --- as it happens -----------------------------------------------------------------------------------------------------

  follow() {
    const ticking = setInterval(() => this.tick(), 500)
    const looking = setInterval(() => this.look(), 3_000)
    const stop = () => { clearInterval(ticking); clearInterval(looking) }
    this.ending = new AbortController()
    const signal = AbortSignal.any([this.signal, this.ending.signal])
    signal.addEventListener('abort', stop)
    this.levels.hidden = false
    this.feed = new Feed({
      subscribe: this.call.id, signal,
      onEntry: (call, entry, node) => { this.node = node; if (this.story.add(entry)) this.drawSoon(); if (entry.kind === 'stream_ended') setTimeout(() => this.look(), 300) },
      onLevels: (call, levels, node) => { if (node !== this.node) { this.node = node; this.drawHead() } for (const who of ['caller', 'agent']) this.levels.querySelector(`.${who} span`).style.transform = `scaleX(${levels[who] / 100})` },
      onState: (state) => { if (state === 'lost') this.say('The live connection was lost. It is opened again; what is said meanwhile is not lost.') },
      onBack: () => this.fill(true),
    })
    // What was said before the socket was open.
    this.fill(false)
  }

  drawSoon() {
    if (this.drawing) return
    this.drawing = true
    requestAnimationFrame(() => {
      this.drawing = false
      const isAtEnd = scrollY + innerHeight > document.documentElement.scrollHeight - 200
      this.draw()
      if (isAtEnd) scrollTo(0, document.documentElement.scrollHeight)
    })
  }

  say(text) {
    this.notice.textContent = text
    this.notice.hidden = !text
  }

  /** Reads from the journal what no socket has told. */
  async fill(wasLost) {
    try {
      // Entries reach the journal within a quarter of a second; those that came over the socket are known by number.
      await new Promise((resolve) => setTimeout(resolve, wasLost ? 600 : 300))
      const entries = await journal(api, this.call.id, undefined, this.signal)
      const missed = entries.filter((entry) => this.story.add(entry)).length
      if (wasLost) this.say(`Connected again. ${missed === 0 ? 'Nothing was missed.' : `${missed} ${missed === 1 ? 'entry was' : 'entries were'} filled in from the journal.`}`)
      if (wasLost) setTimeout(() => this.say(''), 12_000)
      this.drawSoon()
    } catch { /* The next look finds it. */ }
  }

  /** What became of the call. */
  async look() {
    try {
      const call = await api(`/v1/calls/${this.call.id}`, { signal: this.signal })
      const wasLive = isLive(this.call)
      this.call = call
      if (wasLive && !isLive(call)) {
        this.ending?.abort()
        this.levels.hidden = true
        this.say('')
        await this.reread()
        this.after()
      } else this.drawSoon()
    } catch (error) {
      const text = gone(error)
      if (text) { this.ending?.abort(); put(this.main, h('h1', { class: 'sr' }, 'Call'), text) }
    }
  }

  async reread() {
    const { id } = this.call
    const [call, entries, latency] = await Promise.all([api(`/v1/calls/${id}`, { signal: this.signal }), journal(api, id, this.story.after, this.signal), api(`/v1/calls/${id}/latency`, { signal: this.signal }).catch(quiet)])
    this.call = call
    for (const entry of entries) this.story.add(entry)
    this.weigh(latency)
    this.draw()
  }

  /** Once it is over: the recording as soon as it is joined, the verdict as soon as it is there. */
  async after() {
    for (const wait of [0, ...LATER_MS]) {
      await new Promise((resolve) => setTimeout(resolve, wait))
      if (this.signal.aborted) return
      if (wait > 0) await this.reread().catch(quiet)
      const { call } = this
      if (call.recording === 'ready' && !this.player.audio) {
        const wave = await api(`/v1/calls/${call.id}/waveform`, { signal: this.signal }).catch(quiet)
        if (wave && !this.signal.aborted) this.player.load(`/v1/calls/${call.id}/recording`, wave)
      }
      this.player.said.textContent = recordingSays(call, this.player.audio)
      const isJudged = call.analysis?.judgement || call.outcome || !call.answered_at
      if (call.recording !== 'pending' && isJudged) return
    }
  }

  drawRaw() {
    if (!this.raw.open) return
    const known = this.raw.querySelectorAll('tbody tr').length
    const body = this.raw.querySelector('tbody') ?? add(this.raw, [h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Journal' }, h('table', null, h('thead', null, h('tr', null, ['Time', 'No.', 'What', 'More'].map((text) => h('th', { scope: 'col' }, text)))), h('tbody')))]).querySelector('tbody')
    for (const { epoch, seq, at_ms: at, at: _, kind, ...more } of this.story.entries.slice(known)) {
      body.append(h('tr', null, h('td', null, exactTimeOf(at)), h('td', null, `${epoch}.${seq}`), h('td', null, kind), h('td', { class: 'mono' }, JSON.stringify(more))))
    }
  }
}

function recordingSays(call, audio) {
  if (audio) return ''
  if (call.recording === 'pending') return 'The recording is being put together …'
  if (call.recording === 'empty') return 'There is no sound of this call.'
  return call.recording === null ? 'This call was not recorded: its agent does not record, or nobody answered.' : ''
}

const capital = (name) => name[0].toUpperCase() + name.slice(1).replaceAll('_', ' ')

function quiet(error) {
  if (error instanceof Refusal || error.name === 'AbortError') return null
  throw error
}
