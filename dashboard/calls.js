// Every call, newest first: filters that live in the address, those under way on top, ten thousand rows of which a
// screenful is on the page.

import { ENGINES, OUTCOMES, STATUSES, Refusal, add, api, clock, dayName, dayOf, daysAgo, empty, ending, field, h, icon, isLive, loading, options, outcomeLooks, phone, put, refused, session, timeOf, zone } from './kit.js'

const FIRST = 50
const MORE = 200
const SEARCHES_MAX = 20
const EVERY = 5_000
/** Rows beyond the screen's ends, and rows that are made or written anew in one frame. */
const AROUND = 5
const FRESH_MAX = 12
const FIELDS = ['outcome', 'from', 'to', 'q', 'phone', 'direction', 'status', 'agent', 'engine', 'min_duration', 'max_duration']

/** What was shown under an address when it was left, so that the way back leads to the same place. */
let kept = null

export async function show(main, { query, signal, go }) {
  const filters = new URLSearchParams([...query].filter(([, value]) => value !== ''))
  const key = filters.toString()
  const list = kept?.key === key ? kept.list : new List(filters)
  kept = { key, list }
  const change = (name, value) => {
    const next = new URLSearchParams(filters)
    for (const [field, text] of typeof name === 'object' ? Object.entries(name) : [[name, value]]) {
      if (text) next.set(field, text)
      else next.delete(field)
    }
    go(`/${next.size ? `?${next}` : ''}`)
  }
  add(main, [
    h('div', { class: 'head' }, h('h1', null, 'Calls'), h('div', { class: 'row' },
      h('button', { class: 'button', onclick: async () => (await import('./export.js')).exportCalls(filters) }, icon('download'), 'Export'),
      session.may('operator') && h('a', { class: 'button primary', href: '/place' }, icon('place'), 'Place a call'))),
    filterBar(filters, change), list.live, list.status, list.table, list.foot,
  ])
  if (list.failed || list.items.length === 0) await list.begin(signal)
  else list.refresh(signal)
  if (signal.aborted) return
  list.attach(signal, go)
}

// --- filters ---------------------------------------------------------------------------------------------------------------

function filterBar(filters, change) {
  const chip = (label, isOn, values) => h('button', { class: 'chip', type: 'button', 'aria-pressed': String(isOn), onclick: () => change(values) }, label)
  const outcome = filters.get('outcome') ?? ''
  const [from, to] = [filters.get('from') ?? '', filters.get('to') ?? '']
  const days = [['Any day', '', ''], ['Today', daysAgo(0), daysAgo(0)], ['Yesterday', daysAgo(1), daysAgo(1)], ['Last 7 days', daysAgo(6), daysAgo(0)]]
  const words = h('input', { type: 'search', name: 'q', value: filters.get('q') ?? '', placeholder: 'Words that were said', 'aria-label': 'Words that were said', maxlength: 100 })
  const search = h('form', { class: 'search', role: 'search' }, icon('search'), words)
  search.addEventListener('submit', (event) => { event.preventDefault(); change('q', words.value.trim()) })
  words.addEventListener('search', () => { if (words.value.trim() !== (filters.get('q') ?? '')) change('q', words.value.trim()) })
  const hidden = FIELDS.filter((name) => filters.get(name) && !['outcome', 'q', 'from', 'to'].includes(name))
  const isOwnDay = (from || to) && !days.some(([, first, last]) => first === from && last === to)
  const count = hidden.length + (isOwnDay ? 1 : 0)
  return h('section', { class: 'filters', 'aria-label': 'Filters' },
    h('div', { class: 'chips' },
      h('div', { class: 'group', role: 'group', 'aria-label': 'Outcome' }, chip('All', outcome === '', { outcome: '' }), Object.entries(OUTCOMES).map(([value, label]) => chip(label, outcome === value, { outcome: value }))),
      h('div', { class: 'group', role: 'group', 'aria-label': 'Day' }, days.map(([label, first, last]) => chip(label, first === from && last === to, { from: first, to: last })))),
    search, moreFilters(filters, change, count),
    filters.size > 0 && h('button', { class: 'plain-button', type: 'button', onclick: () => change(Object.fromEntries([...filters.keys()].map((name) => [name, '']))) }, 'Clear filters'))
}

function moreFilters(filters, change, count) {
  const value = (name) => filters.get(name) ?? ''
  const input = (name, type, props) => h('input', { type, name, value: value(name), ...props })
  const select = (name, pairs) => h('select', { name }, options([['', 'Any'], ...Object.entries(pairs)], value(name)))
  const agent = input('agent', 'text', { maxlength: 40, list: 'agents', autocomplete: 'off' })
  const names = h('datalist', { id: 'agents' })
  const form = h('form', { class: 'more-fields' },
    field('From day', input('from', 'date')), field('To day', input('to', 'date')),
    field('Number', input('phone', 'tel', { placeholder: '+12025550123', maxlength: 100 })),
    field('Direction', select('direction', { inbound: 'Inbound', outbound: 'Outbound' })),
    field('Status', select('status', STATUSES)), field('Agent', agent), names, field('Engine', select('engine', ENGINES)),
    field('At least, seconds', input('min_duration', 'number', { min: 0 })), field('At most, seconds', input('max_duration', 'number', { min: 0 })),
    h('div', { class: 'row end' }, h('button', { class: 'button primary', type: 'submit' }, 'Show')))
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    change(Object.fromEntries([...new FormData(form)].map(([name, text]) => [name, text.trim()])))
  })
  const details = h('details', { class: 'more' }, h('summary', { class: 'button' }, icon('filter'), 'Filters', count > 0 && h('span', { class: 'count' }, count)), form)
  details.addEventListener('toggle', async () => {
    if (!details.open || names.firstChild) return
    const { agents } = await api('/v1/agents').catch(() => ({ agents: [] }))
    put(names, agents.map((one) => h('option', { value: one.name })))
  })
  details.addEventListener('keydown', (event) => { if (event.key === 'Escape') { details.open = false; details.firstChild.focus() } })
  return details
}

// --- the list --------------------------------------------------------------------------------------------------------------

const row = (() => {
  const cell = (name, ...children) => h('span', { class: `cell ${name}`, role: 'cell' }, children)
  const model = h('div', { class: 'call-row', role: 'row' }, cell('time', h('b'), h('span', { class: 'day' })),
    cell('party', h('span', { class: 'way' }, icon('in'), icon('out'), h('span', { class: 'sr' })), h('a', { class: 'number', tabindex: -1 })),
    cell('agent', h('span'), h('span', { class: 'faint' })), cell('length'), cell('outcome', h('span')), cell('ended'))
  return () => model.cloneNode(true)
})()

class List {
  constructor(filters) {
    Object.assign(this, { filters, items: [], under: [], cursor: null, rows: new Map(), spare: [], at: 0, busy: null, searched: 0, failed: false, height: 56 })
    this.live = h('section', { class: 'live', 'aria-label': 'Under way' })
    this.status = h('div')
    this.body = h('div', { class: 'rows', role: 'rowgroup' })
    const heads = ['When', 'With', 'Agent', 'Length', 'Outcome', 'How it ended']
    this.table = h('div', { class: 'table', role: 'table', 'aria-label': 'Calls', hidden: true },
      h('div', { role: 'rowgroup', class: 'call-heads' }, h('div', { class: 'call-row heads', role: 'row' }, heads.map((text) => h('span', { class: 'cell', role: 'columnheader' }, text)))), this.body)
    this.foot = h('p', { class: 'foot faint', role: 'status' })
  }

  async begin(signal) {
    put(this.status, loading('Looking for calls'))
    this.failed = false
    try {
      const page = await this.ask({ limit: FIRST, live: 1 }, signal)
      Object.assign(this, { items: page.calls.filter((call) => !isLive(call)), under: page.live ?? [], cursor: page.next_cursor, searched: 0 })
      this.draw()
      while (this.items.length === 0 && this.cursor && this.searched < SEARCHES_MAX) await this.more(signal)
    } catch (error) {
      if (error.name === 'AbortError' || error.status === 401) throw error
      this.failed = true
      const all = h('a', { class: 'button', href: '/' }, 'Show all calls')
      const text = error.status === 400 ? new Refusal(400, { title: 'This list cannot be shown as asked', detail: explained(error) }) : error
      put(this.status, refused(text, h('button', { class: 'button', onclick: () => this.begin(signal) }, 'Try again'), all))
      this.table.hidden = true
    }
  }

  ask(more, signal) {
    const query = new URLSearchParams(this.filters)
    for (const [name, value] of Object.entries(more)) query.set(name, value)
    return api(`/v1/calls?${query}`, { signal })
  }

  /** The next page. */
  more(signal) {
    if (this.busy || !this.cursor) return this.busy
    this.busy = this.ask({ limit: MORE, cursor: this.cursor }, signal).then((page) => {
      const last = this.items.at(-1)?.id ?? '~'
      const older = page.calls.filter((call) => call.id < last && !isLive(call))
      this.searched = older.length > 0 ? 0 : this.searched + 1
      this.items.push(...older)
      this.cursor = page.next_cursor
      this.draw()
    }, (error) => {
      if (error.name !== 'AbortError') put(this.foot, 'The next calls could not be read. ', h('button', { class: 'plain-button', onclick: () => this.more(signal) }, 'Try again'))
    }).finally(() => { this.busy = null })
    return this.busy
  }

  /** Looks for what is new, and changes only what has changed: focus and place stay. */
  async refresh(signal) {
    let page
    try { page = await this.ask({ limit: FIRST, live: 1 }, signal) } catch { return }
    const fresh = page.calls.filter((call) => !isLive(call))
    const oldest = page.next_cursor ? page.calls.at(-1)?.id ?? '' : ''
    const known = new Set(fresh.map((call) => call.id))
    // What is younger than the page's oldest and not on it is gone, or under way again.
    const rest = this.items.filter((call) => call.id < oldest && !known.has(call.id))
    const isApart = this.items.length > 0 && page.next_cursor && !this.items.some((call) => known.has(call.id)) && fresh.length > 0
    const anchor = this.anchor()
    this.items = isApart ? fresh : [...fresh, ...rest]
    if (isApart || rest.length === 0) this.cursor = page.next_cursor
    this.under = page.live ?? []
    this.draw()
    this.hold(anchor)
  }

  /** The call that has the focus, or else the first one on the screen, and where it is. */
  anchor() {
    const held = this.items.findIndex((call) => call.id === idOf(document.activeElement))
    const at = held >= 0 ? held : scrollY > this.top() ? this.firstSeen() : -1
    return this.items[at] ? { id: this.items[at].id, y: this.top() + at * this.height - scrollY } : null
  }

  firstSeen() { return Math.max(0, Math.floor((scrollY - this.top()) / this.height)) }

  hold(anchor) {
    const at = anchor ? this.items.findIndex((call) => call.id === anchor.id) : -1
    if (at < 0) return
    const wanted = this.top() + at * this.height - anchor.y
    if (Math.abs(wanted - scrollY) > 1) scrollTo(0, wanted)
  }

  top() { return this.body.getBoundingClientRect().top + scrollY }

  attach(signal, go) {
    let waits = false
    const later = () => {
      if (waits) return
      waits = true
      requestAnimationFrame(() => { waits = false; if (!signal.aborted) this.window(signal) })
    }
    this.later = later
    addEventListener('scroll', later, { signal, passive: true })
    addEventListener('resize', () => { this.measure(); later() }, { signal })
    document.addEventListener('keydown', (event) => this.key(event, go), { signal })
    this.body.addEventListener('focusin', (event) => this.select(this.items.findIndex((call) => call.id === idOf(event.target))), { signal })
    const timers = [setInterval(() => { if (!document.hidden) this.refresh(signal) }, EVERY), setInterval(() => this.tick(), 500)]
    signal.addEventListener('abort', () => timers.forEach(clearInterval))
    this.measure()
    this.window(signal)
  }

  key(event, go) {
    if (event.target.closest('input, select, textarea, dialog, details[open]') || event.metaKey || event.ctrlKey || event.altKey) return
    const inRows = this.body.contains(document.activeElement)
    const step = { j: 1, k: -1, ...(inRows ? { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 } : {}) }[event.key]
    if (step !== undefined && this.items.length > 0) {
      event.preventDefault()
      // Whoever has scrolled begins where they look.
      const at = inRows ? this.at + step : this.firstSeen() + (scrollY > this.top() ? 2 : 0)
      this.focus(Math.min(this.items.length - 1, Math.max(0, at)))
    } else if (event.key === 'Enter' && inRows) {
      event.preventDefault()
      go(document.activeElement.getAttribute('href'))
    } else if (event.key === '/') {
      event.preventDefault()
      document.querySelector('.search input')?.focus()
    }
  }

  focus(at) {
    const [y, head] = [this.top() + at * this.height, 60]
    if (y - head < scrollY) scrollTo(0, y - head)
    else if (y + this.height > scrollY + innerHeight - 16) scrollTo(0, y + this.height - innerHeight + 16)
    this.select(at)
    for (let tries = 0; tries < 4 && !this.link(at); tries++) this.window()
    this.link(at)?.focus({ preventScroll: true })
  }

  select(at) {
    if (at < 0) return
    this.link(this.at)?.setAttribute('tabindex', '-1')
    this.at = at
    this.link(at)?.setAttribute('tabindex', '0')
  }

  link(at) { return this.rows.get(this.items[at]?.id)?.querySelector('a') }

  measure() {
    const height = parseFloat(getComputedStyle(this.table).getPropertyValue('--row')) || 56
    if (height === this.height) return
    this.height = height
    this.draw()
  }

  draw() {
    const { items, cursor } = this
    this.drawLive()
    this.table.hidden = items.length === 0
    const isLooking = cursor && this.searched < SEARCHES_MAX
    if (items.length > 0) put(this.status)
    else if (isLooking) put(this.status, loading('Looking further back'))
    else if (cursor) put(this.status, empty('Nothing found yet', 'Many calls were looked through, and none of them passes these filters.', h('button', { class: 'button', onclick: () => { this.searched = 0; this.more() } }, 'Look further back')))
    else if (this.filters.size > 0) put(this.status, empty('No call passes these filters', 'Take one away, or look at all calls.', h('a', { class: 'button', href: '/' }, 'Show all calls')))
    else if (this.under.length === 0) put(this.status, empty('No calls yet', 'Each call is listed here as soon as it begins.', session.may('operator') && h('a', { class: 'button primary', href: '/place' }, 'Place the first call')))
    else put(this.status)
    put(this.foot, items.length === 0 ? '' : `${items.length.toLocaleString('en')} ${items.length === 1 ? 'call' : 'calls'}${cursor ? ' so far; more when you scroll' : ''}`)
    this.body.style.height = `${items.length * this.height}px`
    this.table.setAttribute('aria-rowcount', String(cursor ? -1 : items.length + 1))
    this.window()
  }

  /** Puts on the page what can be seen of the list, and takes off what cannot: some rows at a time, so that no frame is late. */
  window(signal) {
    const { items, rows, spare, height } = this
    const [first, last] = [scrollY - this.top(), scrollY - this.top() + innerHeight].map((y) => Math.floor(y / height))
    const [from, to] = [Math.max(0, first - AROUND), Math.min(items.length, last + 1 + AROUND)]
    const wanted = new Set()
    for (let at = from; at < to; at++) wanted.add(items[at].id)
    const held = idOf(document.activeElement)
    for (const [id, node] of rows) {
      if (wanted.has(id) || (id === held && this.items.some((call) => call.id === id))) continue
      node.remove()
      rows.delete(id)
      spare.push(node)
    }
    let before = this.body.firstChild
    let room = FRESH_MAX
    for (let at = from; at < to; at++) {
      const call = items[at]
      let node = rows.get(call.id)
      if (!node && room-- <= 0) continue
      if (!node) {
        node = spare.pop() ?? row()
        rows.set(call.id, node)
      }
      write(node, call, at)
      const place = `translateY(${at * height}px)`
      if (node.style.transform !== place) node.style.transform = place
      node.querySelector('a').setAttribute('tabindex', at === Math.min(this.at, items.length - 1) ? '0' : '-1')
      if (node !== before) this.body.insertBefore(node, before)
      else before = node.nextSibling
    }
    if (room < 0) this.later?.()
    // Whoever has not begun to scroll may not want more: the first page stays small.
    if (this.cursor && items.length - to < (scrollY > 0 ? 100 : 1) && items.length > 0 && !this.busy) this.more(signal)
  }

  drawLive() {
    const cards = new Map([...this.live.querySelectorAll('a')].map((node) => [node.dataset.id, node]))
    if (this.under.length === 0) return put(this.live)
    if (!this.live.firstChild) add(this.live, [h('h2', null, h('span', { class: 'pulse', 'aria-hidden': 'true' }), h('span', { class: 'text' })), h('div', { class: 'live-cards' })])
    this.live.querySelector('h2 .text').textContent = this.under.length === 1 ? '1 call under way' : `${this.under.length} calls under way`
    const box = this.live.querySelector('.live-cards')
    for (const [id, node] of cards) if (!this.under.some((call) => call.id === id)) node.remove()
    this.under.forEach((call, at) => {
      const node = cards.get(call.id) ?? h('a', { class: 'live-card', href: `/calls/${call.id}`, 'data-id': call.id }, h('span', { class: 'party' }), h('span', { class: 'timer' }), h('span', { class: 'muted' }))
      const [party, , rest] = node.children
      if (party.textContent !== phone(call.phone)) party.textContent = phone(call.phone)
      rest.textContent = [STATUSES[call.status], call.agent, ENGINES[call.engine] ?? call.engine].filter(Boolean).join(' · ')
      node.dataset.since = call.answered_at ?? call.created_at
      if (box.children[at] !== node) box.insertBefore(node, box.children[at] ?? null)
    })
    this.tick()
  }

  tick() {
    for (const node of this.live.querySelectorAll('a')) node.children[1].textContent = clock((Date.now() - new Date(node.dataset.since)) / 1000)
  }
}

const looks = new WeakMap()

/** When a call was, in words; found out once. */
function when(call) {
  const key = `${zone()} ${daysAgo(0)}`
  if (looks.get(call)?.key !== key) looks.set(call, { key, time: timeOf(call.created_at), day: dayName(dayOf(call.created_at)) })
  return looks.get(call)
}

/** Writes a call into its row, where anything of it has changed. The row's elements stay: one of them may have the focus. */
function write(node, call, at) {
  const seen = `${call.id} ${call.status} ${call.outcome} ${call.end_reason} ${call.duration_s} ${at}`
  if (node.dataset.seen === seen) return
  node.dataset.seen = seen
  node.dataset.id = call.id
  node.setAttribute('aria-rowindex', String(at + 2))
  const [time, party, agent, length, outcome, ended] = node.children
  const [way, link] = party.children
  const { time: at_time, day } = when(call)
  time.children[0].textContent = at_time
  time.children[1].textContent = day
  way.className = `way ${call.direction}`
  way.children[2].textContent = call.direction
  link.href = `/calls/${call.id}`
  link.textContent = phone(call.phone)
  agent.children[0].textContent = call.agent
  agent.children[1].textContent = ENGINES[call.engine] ?? call.engine ?? ''
  length.textContent = call.duration_s === null ? '–' : clock(call.duration_s)
  const [kind, name] = outcomeLooks(call.outcome)
  outcome.firstChild.className = kind
  outcome.firstChild.textContent = name
  ended.textContent = ending(call)
}

const idOf = (node) => node?.closest?.('.rows .call-row')?.dataset.id

function explained(error) {
  const unknown = /unknown field `([^`]+)`/.exec(error.detail)
  if (unknown) return `The link has a filter “${unknown[1]}”, which there is not. Take it out of the address, or look at all calls.`
  return `${error.errors.map((wrong) => `${wrong.name}: ${wrong.detail}`).join('; ') || error.detail}. Correct the filter, or look at all calls.`
}
