// What every page is made of: elements, requests, words for things, dialogs.
//
// Text becomes text nodes and nothing else: there is no way here to make markup of a string, whatever a caller said.

/** An element. `props` are attributes, `on…` listeners, or properties that have no attribute of their own. */
export function h(tag, props, ...children) {
  return fill(document.createElement(tag), props, children)
}

const SVG = 'http://www.w3.org/2000/svg'

/** The same for SVG. */
export function s(tag, props, ...children) {
  return fill(document.createElementNS(SVG, tag), props, children)
}

function fill(node, props, children) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue
    if (name.startsWith('on') && typeof value === 'function') node.addEventListener(name.slice(2), value)
    else if (name === 'value' || name === 'checked' || name === 'disabled' || name === 'hidden') node[name] = value
    else node.setAttribute(name, value === true ? '' : value)
  }
  add(node, children)
  return node
}

/** Puts children into a node; texts become text nodes, nothing is left out for null and false. */
export function add(node, children) {
  for (const child of [children].flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue
    node.append(child instanceof Node ? child : document.createTextNode(String(child)))
  }
  return node
}

/** Puts children in the place of what was there. */
export function put(node, ...children) {
  node.replaceChildren()
  return add(node, children)
}

const ICONS = {
  calls: 'M4 6h16M4 12h16M4 18h10', listen: 'M3 12h3l2.5-7 4 14 3-9 1.5 2h4', place: 'M5 4h4l2 5-2.5 1.5a11 11 0 0 0 5 5L15 13l5 2v4a2 2 0 0 1-2 2A16 16 0 0 1 3 6a2 2 0 0 1 2-2Z',
  agents: 'M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8ZM4.5 20a7.5 7.5 0 0 1 15 0', figures: 'M4 20V4M4 20h16M8 16v-4M12.5 16V8M17 16v-6', system: 'M4 5h16v5H4zM4 14h16v5H4zM7.5 7.5h.01M7.5 16.5h.01',
  in: 'M19 5 6 18M6 8v10h10', out: 'M5 19 18 6M8 6h10v10', back: 'M15 5l-7 7 7 7', download: 'M12 4v11M7 11l5 5 5-5M5 20h14', play: 'M7 4.5v15l12-7.5z', pause: 'M8 5v14M16 5v14',
  search: 'M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14ZM20 20l-4-4', close: 'M6 6l12 12M18 6 6 18', check: 'M5 13l4.5 4.5L19 7', plus: 'M12 5v14M5 12h14', tool: 'M14.5 6.500a4 4 0 0 0-5 5L4 17l3 3 5.5-5.5a4 4 0 0 0 5-5L15 12l-3-3z', theme: 'M20 14.5A8.2 8.2 0 0 1 9.5 4 8.2 8.2 0 1 0 20 14.5Z', filter: 'M4 6h16M7 12h10M10 18h4', up: 'M6 15l6-6 6 6', down: 'M6 9l6 6 6-6',
}

/** A drawing of 20 pixels that means nothing by itself. */
export function icon(name) {
  const path = s('path', { d: ICONS[name], fill: 'none', stroke: 'currentColor', 'stroke-width': 1.7, 'stroke-linecap': 'round', 'stroke-linejoin': 'round' })
  return s('svg', { viewBox: '0 0 24 24', class: 'icon', 'aria-hidden': 'true', focusable: 'false' }, path)
}

// --- requests ----------------------------------------------------------------------------------------------------------

/** What went wrong, in words for whoever asked. `status` is 0 without a connection. */
export class Refusal extends Error {
  constructor(status, problem) {
    super(problem.detail ?? '')
    Object.assign(this, { status, title: problem.title ?? 'Something went wrong', detail: problem.detail ?? '', errors: problem.errors ?? [], kind: String(problem.type ?? '').split(':').pop(), after: problem.after })
  }
}

/** Asks the API. Resolves to its JSON, its text, or null where there is none. */
export async function api(path, { method = 'GET', body, headers = {}, signal, raw = false } = {}) {
  let response
  try {
    const init = { method, signal, headers: { Accept: 'application/json', ...headers }, credentials: 'same-origin' }
    if (body !== undefined) Object.assign(init, { body: JSON.stringify(body), headers: { ...init.headers, 'Content-Type': 'application/json' } })
    response = await fetch(path, init)
  } catch (error) {
    if (error.name === 'AbortError') throw error
    dispatchEvent(new CustomEvent('connection', { detail: false }))
    throw new Refusal(0, { title: 'No connection', detail: 'Switchboard cannot be reached. What you see may be out of date; this page tries again by itself.' })
  }
  dispatchEvent(new CustomEvent('connection', { detail: true }))
  if (response.ok && raw) return response
  const text = response.status === 204 ? '' : await response.text()
  const content = (response.headers.get('content-type') ?? '').includes('json') && text ? JSON.parse(text) : text || null
  if (response.ok) return content
  const problem = content && typeof content === 'object' ? content : { title: 'Something went wrong', detail: `The server answered ${response.status}.` }
  const refusal = new Refusal(response.status, { ...problem, after: Number(response.headers.get('retry-after')) || undefined })
  if (response.status === 401 && path !== '/v1/session') dispatchEvent(new CustomEvent('signed-out'))
  throw refusal
}

// --- who is signed in ----------------------------------------------------------------------------------------------------

const KEPT = 'switchboard.session'
const RANKS = { viewer: 1, operator: 2, admin: 3 }

/** Name, role, time zone and numbers of whoever is signed in: nothing secret, so that a page can begin before it has asked. */
export const session = {
  now: read(),
  set(value) {
    this.now = value
    try {
      if (value) localStorage.setItem(KEPT, JSON.stringify(value))
      else localStorage.removeItem(KEPT)
    } catch { /* A browser that keeps nothing asks each time. */ }
  },
  may(role) { return (RANKS[this.now?.role] ?? 0) >= RANKS[role] },
}

function read() {
  try { return JSON.parse(localStorage.getItem(KEPT)) } catch { return null }
}

// --- words for things ---------------------------------------------------------------------------------------------------

export const OUTCOMES = { yes: 'Booked', no: 'Not booked', unclear: 'Unclear' }
export const STATUSES = { queued: 'Queued', ringing: 'Ringing', in_progress: 'In conversation', completed: 'Completed', busy: 'Busy', no_answer: 'No answer', failed: 'Failed', canceled: 'Canceled' }
export const ENGINES = { hume: 'Hume EVI', openai: 'OpenAI', cascade: 'Cascade' }
export const ENDS = { said_goodbye: 'Said goodbye', hung_up: 'Hung up', transferred: 'Transferred', limit: 'Reached a limit', no_engine: 'No engine was left', no_answer: 'Nobody answered', busy: 'Line was busy', canceled: 'Called off', error: 'Failed' }
export const ENDED_BY = { caller: 'caller', agent: 'agent', operator: 'operator', system: 'system' }

export const isLive = (call) => ['queued', 'ringing', 'in_progress'].includes(call.status)

/** How a call ended, in a few words. */
export function ending(call) {
  if (isLive(call)) return STATUSES[call.status]
  const end = ENDS[call.end_reason] ?? STATUSES[call.status] ?? call.status
  const silent = ['no_answer', 'busy', 'canceled'].includes(call.end_reason)
  return call.ended_by && !silent ? `${end} (${ENDED_BY[call.ended_by] ?? call.ended_by})` : end
}

/** A number as people read it. Others are left as they are. */
export function phone(number) {
  const home = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(number ?? '')
  return home ? `+1 ${home[1]} ${home[2]} ${home[3]}` : number || 'Unknown'
}

/** 65 becomes 1:05. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds))
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, String(whole % 60).padStart(2, '0')]
  return hours ? `${hours}:${String(minutes).padStart(2, '0')}:${rest}` : `${minutes}:${rest}`
}

export const seconds = (ms) => ms === null || ms === undefined ? '–' : `${(ms / 1000).toFixed(2)} s`
export const share = (part) => part === null || part === undefined ? '–' : `${Math.round(part * 100)} %`
export const zone = () => session.now?.time_zone

// Formatters are costly to make and cheap to use.
const FORMATS = {
  time: ['en-GB', { hour: '2-digit', minute: '2-digit' }],
  exact: ['en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 }],
  full: ['en-GB', { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric', hour: '2-digit', minute: '2-digit' }],
  // Swedes write days as the API does.
  day: ['sv-SE', { year: 'numeric', month: '2-digit', day: '2-digit' }],
}
const formats = new Map()

function written(name, moment) {
  const key = `${name} ${zone()}`
  if (!formats.has(key)) formats.set(key, new Intl.DateTimeFormat(FORMATS[name][0], { ...FORMATS[name][1], timeZone: zone() }))
  return formats.get(key).format(new Date(moment))
}

export const timeOf = (moment) => written('time', moment)
export const exactTimeOf = (moment) => written('exact', moment)
export const dateTimeOf = (moment) => written('full', moment)

/** The day of a moment, as the API writes days. */
export const dayOf = (moment) => written('day', moment)

/** So many days before today. */
export const daysAgo = (days) => new Date(new Date(`${dayOf(Date.now())}T12:00:00Z`) - days * 86_400_000).toISOString().slice(0, 10)

const dayNames = new Map()

/** Today, Yesterday, or the day. */
export function dayName(day) {
  const key = `${day} ${daysAgo(0)}`
  if (!dayNames.has(key)) {
    const year = day.slice(0, 4) === daysAgo(0).slice(0, 4) ? undefined : 'numeric'
    const other = () => new Intl.DateTimeFormat('en-GB', { weekday: 'short', day: 'numeric', month: 'short', year, timeZone: 'UTC' }).format(new Date(`${day}T12:00:00Z`))
    dayNames.set(key, { [daysAgo(0)]: 'Today', [daysAgo(1)]: 'Yesterday' }[day] ?? other())
  }
  return dayNames.get(key)
}

// --- small parts -------------------------------------------------------------------------------------------------------

/** How an outcome looks, and what it is called. */
export const outcomeLooks = (outcome) => outcome ? [`badge ${{ yes: 'good', unclear: 'warn' }[outcome] ?? 'plain'}`, OUTCOMES[outcome] ?? outcome] : ['faint', '–']

export function outcomeBadge(outcome) {
  const [looks, text] = outcomeLooks(outcome)
  return h('span', { class: looks }, text)
}

export const loading = (what = 'Loading') => h('div', { class: 'state', role: 'status' }, h('span', { class: 'spinner', 'aria-hidden': 'true' }), h('p', null, `${what} …`))

export const empty = (title, text, ...actions) => h('div', { class: 'state' }, h('h2', null, title), h('p', null, text), actions.length > 0 && h('div', { class: 'row' }, actions))

/** What went wrong and what to do. */
export function refused(error, ...actions) {
  if (!(error instanceof Refusal)) console.error(error)
  const [title, detail] = error instanceof Refusal ? [error.title, sentence(error.detail)] : ['This page failed', 'Reload it; if that does not help, tell whoever runs Switchboard.']
  return h('div', { class: 'state', role: 'alert' }, h('h2', null, title), h('p', null, detail), actions.length > 0 && h('div', { class: 'row' }, actions))
}

/** The API's fragments as a sentence. */
export function sentence(text) {
  const trimmed = (text ?? '').trim()
  if (!trimmed) return ''
  const begun = trimmed[0].toUpperCase() + trimmed.slice(1)
  return /[.!?…][)”"]?$/.test(begun) ? begun : `${begun}.`
}

/** Says something in the corner, for some seconds, and to screen readers. */
export function tell(text, kind = 'plain') {
  const toast = h('p', { class: `toast ${kind}` }, text)
  document.getElementById('toasts').append(toast)
  setTimeout(() => toast.remove(), kind === 'bad' ? 9_000 : 5_000)
}

/** Asks something and does it: `act` gets the form's fields, and its refusal is shown inside the dialog. */
export function ask({ title, text, fields = [], action, danger = false, act }) {
  return new Promise((resolve) => {
    const wrong = h('p', { class: 'wrong', role: 'alert', hidden: true })
    const go = h('button', { class: danger ? 'button danger' : 'button primary', type: 'submit' }, action)
    const form = h('form', { method: 'dialog' }, h('h2', { id: 'ask-title' }, title), text && h('p', { class: 'muted' }, text), fields, wrong,
      h('div', { class: 'row end' }, h('button', { class: 'button', type: 'button', onclick: () => dialog.close() }, 'Cancel'), go))
    const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': 'ask-title' }, form)
    let done = false
    form.addEventListener('submit', async (event) => {
      event.preventDefault()
      if (go.disabled) return
      go.disabled = true
      wrong.hidden = true
      try {
        await act?.(new FormData(form))
        done = true
        dialog.close()
      } catch (error) {
        wrong.textContent = error instanceof Refusal ? sentence(error.detail) : 'That did not work.'
        wrong.hidden = false
        go.disabled = false
      }
    })
    dialog.addEventListener('close', () => { dialog.remove(); resolve(done) })
    document.body.append(dialog)
    dialog.showModal()
  })
}

let fieldNumber = 0

/** A labelled control with room for a hint and for what is wrong with it. */
export function field(label, control, hint) {
  const id = control.id || `f${++fieldNumber}`
  control.id = id
  const wrong = h('span', { class: 'wrong', id: `${id}-wrong`, hidden: true })
  const note = hint && h('span', { class: 'hint', id: `${id}-hint` }, hint)
  control.setAttribute('aria-describedby', `${hint ? `${id}-hint ` : ''}${id}-wrong`)
  const box = h('div', { class: 'field' }, h('label', { for: id }, label), control, note, wrong)
  box.say = (text) => {
    wrong.textContent = text ?? ''
    wrong.hidden = !text
    if (text) control.setAttribute('aria-invalid', 'true')
    else control.removeAttribute('aria-invalid')
  }
  return box
}

export const options = (pairs, chosen) => pairs.map(([value, label]) => {
  const option = h('option', { value }, label)
  option.selected = value === chosen
  return option
})
