// What was said and what happened, one under the other, and the word that is being played.

import { add, clock, h, icon, put, seconds, share } from './kit.js'

const PARTIES = { phone_up_ms: 'Way from the phone', engine_ms: 'Engine', node_ms: 'Switchboard', phone_down_ms: 'Way to the phone' }

/** A list that is drawn from a story again and again, and changes only where the story has. */
export class Conversation {
  constructor({ seek, latency = new Map() }) {
    Object.assign(this, { seek, latency, nodes: new Map(), now: null })
    this.list = h('ol', { class: 'talk', 'aria-label': 'Conversation' })
  }

  draw(story) {
    const items = story.sorted
    let before = this.list.firstChild
    const keys = new Set(items.map((item) => item.key))
    for (const [key, { node }] of this.nodes) if (!keys.has(key)) { if (before === node) before = node.nextSibling; node.remove(); this.nodes.delete(key) }
    for (const item of items) {
      const seen = JSON.stringify([item, this.latency.get(item.n)])
      let known = this.nodes.get(item.key)
      if (!known || known.seen !== seen) {
        const node = known?.node ?? h('li', { id: item.key })
        fill(node, item, this)
        known = { node, seen, item }
        this.nodes.set(item.key, known)
      }
      if (known.node === before) before = before.nextSibling
      else this.list.insertBefore(known.node, before)
    }
  }

  /** Marks what is heard at this time of the recording. */
  follow(ms) {
    const turns = [...this.nodes.values()].filter(({ item }) => item.kind === 'turn' && item.done)
    const playing = ms === null ? null : turns.filter(({ item }) => item.ms <= ms && ms < item.end + 300).at(-1)
    if (playing?.node !== this.now?.node) {
      this.now?.node.classList.remove('playing')
      for (const word of this.now?.node.querySelectorAll('.word.now') ?? []) word.classList.remove('now')
      this.now = playing ?? null
      playing?.node.classList.add('playing')
      playing?.node.scrollIntoView({ block: 'nearest', behavior: matchMedia('(prefers-reduced-motion: reduce)').matches ? 'auto' : 'smooth' })
    }
    if (!playing) return
    // Where in a turn a word is, nobody has written down: its place among the letters tells nearly.
    const words = [...playing.node.querySelectorAll('.heard .word')]
    const letters = words.reduce((sum, word) => sum + word.textContent.length + 1, 0)
    let reached = Math.min(1, (ms - playing.item.ms) / Math.max(1, playing.item.end - playing.item.ms)) * letters
    let current = words.at(-1)
    for (const word of words) {
      reached -= word.textContent.length + 1
      if (reached < 0) { current = word; break }
    }
    for (const word of words) word.classList.toggle('now', word === current)
  }

  show(key) {
    const node = this.nodes.get(key)?.node
    node?.scrollIntoView({ block: 'center' })
    node?.classList.add('found')
    setTimeout(() => node?.classList.remove('found'), 2_000)
  }
}

function fill(node, item, { seek, latency }) {
  node.className = item.kind === 'turn' ? `turn ${item.speaker}` : item.kind === 'tool' ? 'happening tool' : `happening ${item.tone ?? ''} ${item.quiet ? 'quiet-event' : ''}`
  node.classList.toggle('speaking', Boolean(item.speaking))
  const at = h('button', { class: 'at', type: 'button', onclick: () => seek(item.ms), 'aria-label': `Play from ${clock(item.ms / 1000)}` }, clock(item.ms / 1000))
  put(node, at, h('div', { class: 'what' }, item.kind === 'turn' ? said(item, latency.get(item.n)) : item.kind === 'tool' ? tool(item) : happened(item)))
}

function said(turn, waited) {
  const heard = turn.done ? turn.heard : turn.text
  return [
    h('p', { class: 'speaker' }, turn.speaker === 'caller' ? 'Caller' : 'Agent',
      turn.speaking && h('span', { class: 'badge live' }, 'speaking'),
      waited && h('span', { class: 'wait', title: Object.entries(PARTIES).map(([field, label]) => `${label} ${waited[field]} ms`).join(', ') }, `after ${seconds(waited.total_ms)}`, bar(waited))),
    h('p', { class: 'words' }, h('span', { class: 'heard' }, words(heard)), turn.cut && [' ', h('del', { class: 'cut' }, turn.cut)]),
    turn.interrupted && h('p', { class: 'note cut-note' }, `Cut off by the caller after ${seconds(turn.heardMs)}${turn.cut ? `; never heard: “${turn.cut}”${turn.approximate ? ', to the nearest word' : ''}` : ''}${turn.dropped ? `. ${seconds(turn.dropped)} of speech were dropped.` : '.'}`),
    turn.remembered && h('p', { class: 'note' }, 'Filled in from the engine’s own history: what it generated, not what was heard.'),
    turn.expressions?.length > 0 && h('ul', { class: 'feelings', 'aria-label': 'Expression in the voice' }, turn.expressions.map((one) =>
      h('li', { title: `${one.name}: ${share(one.score)}` }, one.name, h('span', { class: 'faint' }, share(one.score))))),
  ]
}

const words = (text) => (text ?? '').split(/(\s+)/).map((part) => (/\S/.test(part) ? h('span', { class: 'word' }, part) : part))

/** How much of a wait was whose, as a bar. */
export function bar(waited) {
  const node = h('span', { class: 'split', 'aria-hidden': 'true' })
  for (const field of Object.keys(PARTIES)) {
    const part = h('span', { class: field.replace('_ms', '') })
    part.style.flexGrow = String(waited[field])
    add(node, part)
  }
  return node
}

function tool(one) {
  const answer = one.answer
  return [
    h('p', { class: 'title' }, icon('tool'), h('b', null, one.name), answer === null ? h('span', { class: 'badge live' }, 'asked') : h('span', { class: `badge ${answer.ok ? 'good' : 'bad'}` }, answer.ok ? 'answered' : 'failed'),
      answer && h('span', { class: 'faint' }, `${answer.took} ms`)),
    h('details', null, h('summary', null, 'Arguments and result'),
      h('h3', null, 'Arguments'), h('pre', null, pretty(one.arguments)), answer && [h('h3', null, 'Result'), h('pre', null, pretty(answer.content))]),
  ]
}

const happened = (event) => [h('p', { class: 'title' }, event.tone === 'good' && icon('check'), h('b', null, event.title)), event.detail && h('p', { class: 'muted detail' }, event.detail)]

function pretty(text) {
  try { return JSON.stringify(JSON.parse(text), null, 2) } catch { return text }
}

/** How long the caller waited for each answer, as a card. */
export function latencyCard(latency) {
  if (!latency || latency.turns.length === 0) return null
  const longest = Math.max(...latency.turns.map((turn) => turn.total_ms))
  const rows = latency.turns.map((turn) => {
    const line = bar(turn)
    line.style.width = `${Math.max(6, turn.total_ms / longest * 100)}%`
    return h('li', null, h('span', { class: 'faint' }, `Turn ${turn.n}`), h('span', { class: 'track' }, line), h('span', null, seconds(turn.total_ms)))
  })
  const table = h('table', null, h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Turn'), Object.values(PARTIES).map((label) => h('th', { scope: 'col' }, label)), h('th', { scope: 'col' }, 'All'))),
    h('tbody', null, latency.turns.map((turn) => h('tr', null, h('th', { scope: 'row' }, turn.n), [...Object.keys(PARTIES), 'total_ms'].map((field) => h('td', null, `${turn[field]} ms`))))))
  return h('section', { class: 'card' }, h('h2', null, 'Waiting for answers'),
    h('p', { class: 'faint' }, latency.first_word_ms === null || latency.first_word_ms === undefined ? '' : `First words after ${seconds(latency.first_word_ms)}. `, 'From the caller’s last word to the first sound.'),
    h('ol', { class: 'waits' }, rows), h('ul', { class: 'legend' }, Object.entries(PARTIES).map(([field, label]) => h('li', null, h('span', { class: `key ${field.replace('_ms', '')}` }), label))),
    h('details', null, h('summary', null, 'As a table'), h('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': 'Waits by party' }, table)))
}

/** What the line was like, as a card. */
export function audioCard(story) {
  const audio = story.audio
  if (!audio) return null
  const isClean = audio.missing_in_ms + audio.underruns + audio.dropped_ms + audio.malformed === 0
  const lag = audio.marks > 0 ? `${Math.round(audio.mark_lag_ms_sum / audio.marks)} ms on average, ${audio.mark_lag_ms_max} ms at most` : '–'
  const first = [
    ['From the phone', `${seconds(audio.frames_in * 20)}, ${audio.missing_in_ms} ms missing`], ['To the phone', `${seconds(audio.frames_out * 20)}, ${audio.underruns === 1 ? '1 underrun' : `${audio.underruns} underruns`}`],
    ['Way there and back', story.way === null ? '–' : `${story.way} ms`],
  ]
  const rest = [
    ['Longest time between two frames', `${audio.interval_in_ms_max} ms`], ['Silence put in, and left out', `${audio.filled_ms} ms, ${audio.skipped_ms} ms`], ['Marks behind the clock', lag],
    ['Dropped, and too late', `${audio.dropped_ms} ms, ${audio.late_audio_ms} ms`], ['Unreadable messages', audio.malformed + audio.unknown],
  ]
  return h('section', { class: 'card' }, h('h2', null, 'Audio'), h('p', null, isClean ? h('span', { class: 'badge good' }, 'Clean') : h('span', { class: 'badge warn' }, 'Not clean'), ' ',
    h('span', { class: 'faint' }, isClean ? 'Nothing was missing, and the phone never ran dry.' : 'Something was missing, or the phone ran dry.')), facts(first), h('details', null, h('summary', null, 'All figures'), facts(rest)))
}

export const facts = (rows) => h('dl', { class: 'facts' }, rows.filter(([, value]) => value !== null && value !== undefined && value !== '').map(([label, value]) => h('div', null, h('dt', null, label), h('dd', null, value))))
