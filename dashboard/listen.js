// Calls under way, side by side: the words as they are spoken, how loud both voices are, and steering.

import { Conversation } from './conversation.js'
import { Feed } from './feed.js'
import { ENGINES, STATUSES, add, api, clock, empty, h, isLive, loading, phone, put, refused, session } from './kit.js'
import { controls } from './steer.js'
import { Story, journal } from './story.js'

const EVERY = 3_000
const SHOWN_MAX = 12
/** A call that is over stays for a moment, so that its last words can be read. */
const STAYS_MS = 20_000

export async function show(main, { signal }) {
  const notice = h('p', { class: 'notice', role: 'status', hidden: true })
  const state = h('div', null, loading('Listening'))
  const grid = h('div', { class: 'listening' })
  add(main, [h('div', { class: 'head' }, h('h1', null, 'Live'), session.may('operator') && h('a', { class: 'button primary', href: '/place' }, 'Place a call')), notice, state, grid])
  const cards = new Map()
  const say = (text) => { notice.textContent = text; notice.hidden = !text }

  const look = async () => {
    let live
    try {
      live = (await api('/v1/calls?live=1&limit=1', { signal })).live ?? []
    } catch (error) {
      if (error.name !== 'AbortError' && cards.size === 0) put(state, refused(error, h('button', { class: 'button', onclick: look }, 'Try again')))
      return
    }
    for (const call of live.slice(0, SHOWN_MAX)) {
      const card = cards.get(call.id) ?? cards.set(call.id, new Card(call, signal)).get(call.id)
      card.update(call)
      if (!card.node.isConnected) { grid.prepend(card.node); card.fill() }
    }
    for (const [id, card] of cards) {
      if (live.some((call) => call.id === id)) continue
      await card.end()
      if (Date.now() - card.endedAt > STAYS_MS && !card.node.contains(document.activeElement)) { card.node.remove(); cards.delete(id) }
    }
    if (cards.size > 0) put(state, live.length > SHOWN_MAX && h('p', { class: 'muted' }, `The newest ${SHOWN_MAX} of ${live.length} calls are shown.`))
    else if (!state.querySelector('.quiet')) put(state, h('div', { class: 'quiet' }, empty('Nobody is on the phone', 'Calls appear here by themselves when they begin.', session.may('operator') && h('a', { class: 'button', href: '/place' }, 'Place a call'))))
  }

  let missed = 0
  new Feed({
    signal,
    onEntry: (call, entry, node) => { const card = cards.get(call); if (card) card.take(entry, node); else look() },
    onLevels: (call, levels, node) => cards.get(call)?.loud(levels, node),
    onState: (is) => { if (is === 'lost') say('The live connection was lost. It is opened again; what is said meanwhile is not lost.') },
    onBack: async () => {
      await new Promise((resolve) => setTimeout(resolve, 600))
      missed = (await Promise.all([...cards.values()].map((card) => card.fill()))).reduce((sum, n) => sum + n, 0)
      say(`Connected again. ${missed === 0 ? 'Nothing was missed.' : `${missed} ${missed === 1 ? 'entry was' : 'entries were'} filled in from the journal.`}`)
      setTimeout(() => say(''), 12_000)
      look()
    },
  })
  await look()
  const timers = [setInterval(() => { if (!document.hidden) look() }, EVERY), setInterval(() => cards.forEach((card) => card.tick()), 500)]
  signal.addEventListener('abort', () => timers.forEach(clearInterval))
}

class Card {
  constructor(call, signal) {
    Object.assign(this, { call, signal, story: new Story(), endedAt: null, on: '' })
    this.talk = new Conversation({ seek: () => {} })
    this.timer = h('span', { class: 'timer' })
    this.meta = h('p', { class: 'muted small' })
    this.levels = h('div', { class: 'levels', 'aria-hidden': 'true' }, ['caller', 'agent'].map((who) => h('span', { class: `level ${who}` }, h('span'))))
    this.steer = h('div', null, session.may('operator') && controls(call))
    this.words = h('div', { class: 'scroll', tabindex: 0, role: 'log', 'aria-label': `Conversation with ${phone(call.phone)}` }, this.talk.list)
    this.node = h('article', { class: 'card live-call', 'aria-label': `Call with ${phone(call.phone)}` },
      h('div', { class: 'row' }, h('h2', null, h('a', { href: `/calls/${call.id}` }, phone(call.phone))), this.levels, this.timer), this.meta, this.words, this.steer)
  }

  update(call) {
    this.call = call
    const engine = this.story.engine ?? call.engine
    const text = [STATUSES[call.status], call.agent, ENGINES[engine] ?? engine, this.on].filter(Boolean).join(' · ')
    if (this.meta.textContent !== text) this.meta.textContent = text
    this.tick()
  }

  tick() {
    if (!this.endedAt) this.timer.textContent = clock((Date.now() - new Date(this.call.answered_at ?? this.call.created_at)) / 1000)
  }

  take(entry, node) {
    this.on = node
    if (!this.story.add(entry)) return
    this.update(this.call)
    this.draw()
  }

  draw() {
    const box = this.words
    const isAtEnd = box.scrollTop + box.clientHeight > box.scrollHeight - 60
    this.talk.draw(this.story)
    if (isAtEnd) box.scrollTop = box.scrollHeight
  }

  loud(levels, node = this.on) {
    if (node !== this.on) { this.on = node; this.update(this.call) }
    for (const who of ['caller', 'agent']) this.levels.querySelector(`.${who} span`).style.transform = `scaleX(${levels[who] / 100})`
  }

  /** Reads what no socket has told; how much that was. */
  async fill() {
    try {
      const entries = await journal(api, this.call.id, undefined, this.signal)
      const missed = entries.filter((entry) => this.story.add(entry)).length
      this.draw()
      return missed
    } catch { return 0 }
  }

  async end() {
    if (this.endedAt) return
    const call = await api(`/v1/calls/${this.call.id}`, { signal: this.signal }).catch(() => null)
    if (call && isLive(call)) return
    this.endedAt = Date.now()
    put(this.steer)
    this.loud({ caller: 0, agent: 0 })
    this.node.classList.add('over')
    this.meta.textContent = 'Over'
    await this.fill()
  }
}
