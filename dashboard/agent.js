// One agent: a form, with what is wrong beside the field that it is about, and the versions before.

import { ENGINES, Refusal, api, dateTimeOf, field, h, icon, options, put, sentence, session, tell } from './kit.js'

const WAITS_MS = 400
const VERSIONS_MAX = 20

/** The settings that are one control each: where in the agent, what it is called, what kind of control, a hint. */
const SECTIONS = [
  ['What it says', [
    ['greeting', 'Greeting', 'text', 'Said first. {{variables}} are filled in by each call.'],
    ['disclosure', 'Disclosure', 'text', 'Said before the greeting, and not cut off: that this is an AI, and that the call is recorded.'],
    ['recording', 'Record the calls', 'check', 'Only with a disclosure.'],
    ['instructions', 'Instructions', 'long', 'Who the agent is, what it shall do, how it speaks.'],
  ]],
  ['Who speaks', [
    ['engines', 'Engines, in the order in which they are tried', 'engines'],
    ['language', 'Language', 'word', 'A tag such as en-US.'], ['languages', 'Other languages', 'words', 'Tags, with commas between.'],
    ['openai.voice', 'OpenAI’s voice', 'voice openai'], ['openai.speed', 'OpenAI’s speed', 'number'],
    ['hume.voice_id', 'Hume’s voice', 'voice hume'], ['hume.config_id', 'Hume’s configuration', 'word', 'Left empty, HUME_CONFIG_ID counts.'],
    ['cascade.voice', 'Cartesia’s voice', 'voice cascade'], ['cascade.model', 'Model at Groq', 'word'],
  ]],
  ['Taking turns', [
    ['turn_taking.end_of_turn_silence_ms', 'Silence that ends a turn', 'number'], ['turn_taking.speech_threshold', 'How sure it must be that somebody speaks', 'number'],
    ['turn_taking.unplayed_ms_min', 'Least unplayed speech that is cut off', 'number'], ['lead_ms', 'Audio sent ahead', 'number'],
  ]],
  ['Calls', [
    ['numbers', 'Answers these numbers', 'words', 'With a plus sign, with commas between.'], ['prepare', 'Prepare the engine', 'choice', 'While it rings, the greeting starts without delay; a call that nobody answers then costs engine time.'],
    ['limits.call_minutes_max', 'Longest call', 'number'], ['limits.caller_silence_s_max', 'Longest silence of the caller', 'number'],
    ['variables', 'Variables', 'pairs', 'One on each line: name = value.'],
  ]],
  ['Did it work?', [['outcome.goal', 'Goal', 'text', 'What is asked of the transcript after the call.']]],
  ['Tools', [['tools', 'Tools, as JSON', 'json', 'What the model may ask for.']]],
]
const TRUE_CHOICES = { prepare: [['answered', 'when the call is answered'], ['ringing', 'while it rings']] }

export async function show(main, { params, signal }) {
  const path = `/v1/agents/${encodeURIComponent(params.name)}`
  const [agent, offer] = await Promise.all([api(path, { signal }), api('/v1/engines', { signal })])
  new Page(main, path, agent, offer, signal).draw()
}

const at = (object, key) => key.split('.').reduce((value, part) => value?.[part], object)

function set(object, key, value) {
  const parts = key.split('.')
  const last = parts.pop()
  const home = parts.reduce((value, part) => (value[part] ??= {}), object)
  if (value === undefined || value === '') delete home[last]
  else home[last] = value
}

class Page {
  constructor(main, path, agent, offer, signal) {
    Object.assign(this, { main, path, agent, offer, signal, mayEdit: session.may('admin'), controls: new Map(), boxes: new Map(), checks: 0, isDirty: false })
    this.ranges = new Map(offer.ranges.map((range) => [range.key, range]))
    this.others = h('ul', { class: 'wrong', role: 'alert', hidden: true })
    this.state = h('p', { class: 'muted', role: 'status' })
    this.save = h('button', { class: 'button primary', type: 'submit', disabled: true }, 'Save')
    this.versions = h('ul', { class: 'lines' })
  }

  draw() {
    const { agent, mayEdit } = this
    document.title = `${agent.name} – Switchboard`
    this.form = h('form', { class: 'stack', novalidate: true, 'aria-label': 'Agent' }, SECTIONS.map(([title, fields]) => h('fieldset', { class: 'card' }, h('legend', null, title), h('div', { class: 'fields' }, fields.map((one) => this.control(one))))))
    const bar = h('div', { class: 'save-bar' }, this.others, h('div', { class: 'row' }, mayEdit ? this.save : h('span', { class: 'badge plain' }, 'Saving needs the role admin'), this.state))
    put(this.main, h('a', { class: 'plain-button back', href: '/agents' }, icon('back'), 'Agents'),
      h('div', { class: 'head' }, h('div', { class: 'row' }, h('h1', null, agent.name), agent.default && h('span', { class: 'badge plain' }, 'Default'), this.badge = h('span', { class: 'badge plain' }, versionName(agent.version))),
        session.may('operator') && h('a', { class: 'button', href: `/place?agent=${encodeURIComponent(agent.name)}` }, icon('place'), 'Try it now')),
      this.form, h('section', { class: 'card' }, h('h2', null, 'Versions'), this.versions))
    this.form.append(bar)
    for (const control of this.form.elements) if (!mayEdit) control.disabled = true
    this.form.addEventListener('input', () => this.changed())
    this.form.addEventListener('submit', (event) => { event.preventDefault(); this.store() })
    this.drawVersions()
    addEventListener('beforeunload', (event) => { if (this.isDirty) event.preventDefault() }, { signal: this.signal })
  }

  control([key, label, kind, hint]) {
    const range = this.ranges.get(key)
    const value = at(this.agent, key)
    const [shape, engine] = kind.split(' ')
    let node
    if (shape === 'check') {
      node = h('input', { type: 'checkbox', checked: Boolean(value), id: `set-${key}` })
      const wrong = h('span', { class: 'wrong', hidden: true })
      const box = h('div', { class: 'field' }, h('label', { class: 'check', for: node.id }, node, label), hint && h('span', { class: 'hint' }, hint), wrong)
      box.say = (text) => { wrong.textContent = text ?? ''; wrong.hidden = !text }
      return this.keep(key, node, box, () => node.checked, (value) => { node.checked = Boolean(value) })
    }
    if (shape === 'engines') return this.engines(key, label, value)
    if (shape === 'number') node = h('input', { type: 'number', value: value ?? '', ...(range && { min: range.min, max: range.max, step: range.unit ? 1 : 0.05 }) })
    else if (shape === 'long' || shape === 'json' || shape === 'pairs') node = h('textarea', { value: written(shape, value), rows: shape === 'long' ? 16 : 6, spellcheck: shape === 'long' ? 'true' : 'false', ...(shape === 'json' && { class: 'mono' }) })
    else if (shape === 'text') node = h('textarea', { value: value ?? '', rows: 2 })
    else if (shape === 'choice') node = h('select', null, options(TRUE_CHOICES[key], value))
    else if (shape === 'voice') node = this.voice(engine, value)
    else node = h('input', { type: 'text', value: Array.isArray(value) ? value.join(', ') : value ?? '', spellcheck: 'false', autocomplete: 'off' })
    const bounds = range && `${range.min.toLocaleString('en')} to ${range.max.toLocaleString('en')} ${range.unit}`.trim()
    const box = field(label, node, [hint, bounds && `${bounds}.`].filter(Boolean).join(' ') || undefined)
    if (['long', 'json', 'text', 'pairs'].includes(shape)) box.classList.add('wide')
    return this.keep(key, node, box, () => read(shape, node.value), (value) => { node.value = written(shape, value) })
  }

  voice(engine, value) {
    const offer = this.offer.engines.find((one) => one.name === engine)
    if (offer && offer.voices.length > 0 && !offer.other_voices) return h('select', null, options([...(value && !offer.voices.includes(value) ? [[value, value]] : []), ...offer.voices.map((voice) => [voice, voice])], value))
    return h('input', { type: 'text', value: value ?? '', spellcheck: 'false', placeholder: 'an id of your library', autocomplete: 'off' })
  }

  engines(key, label, value) {
    const list = h('ol', { class: 'order' })
    const wrong = h('span', { class: 'wrong', hidden: true })
    const box = h('div', { class: 'field wide', role: 'group', 'aria-label': label }, h('span', { class: 'label' }, label), list, wrong)
    box.say = (text) => { wrong.textContent = text ?? ''; wrong.hidden = !text }
    const fill = (chosen) => put(list, [...chosen, ...Object.keys(ENGINES).filter((one) => !chosen.includes(one))].map((engine) => {
      const offer = this.offer.engines.find((one) => one.name === engine)
      const check = h('input', { type: 'checkbox', value: engine, id: `engine-${engine}`, checked: chosen.includes(engine) })
      const up = h('button', { class: 'plain-button', type: 'button', disabled: !this.mayEdit, 'aria-label': `${ENGINES[engine]}: earlier`, onclick: () => { const item = up.closest('li'); item.previousElementSibling?.before(item); up.focus(); this.changed() } }, icon('up'))
      return h('li', null, h('label', { class: 'check', for: check.id }, check, ENGINES[engine]), offer?.credentials === false && h('span', { class: 'faint' }, `no ${offer.credentials_variable}`), up)
    }))
    fill(value ?? [])
    return this.keep(key, list, box, () => [...list.querySelectorAll('input:checked')].map((input) => input.value), fill)
  }

  keep(key, node, box, get, put) {
    this.controls.set(key, { get, put })
    this.boxes.set(key, box)
    return box
  }

  /** The agent as the form has it. */
  get draft() {
    const draft = structuredClone(this.agent)
    for (const [key, { get }] of this.controls) set(draft, key, get())
    return draft
  }

  changed() {
    this.isDirty = true
    this.state.textContent = 'Checking …'
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.check(), WAITS_MS)
  }

  async check() {
    const mine = ++this.checks
    let draft
    try { draft = this.draft } catch (error) { return this.say([{ key: error.key ?? 'tools', message: error.message }]) }
    try {
      const { problems } = await api('/v1/agents/validate', { method: 'POST', body: { ...draft, version: undefined }, signal: this.signal })
      if (mine === this.checks) this.say(problems)
    } catch (error) {
      if (error instanceof Refusal && mine === this.checks) this.say(error.errors.length > 0 ? error.errors.map(({ name, detail }) => ({ key: name, message: detail })) : [{ key: '', message: error.detail }])
    }
  }

  say(problems) {
    for (const box of this.boxes.values()) box.say()
    const homeless = []
    for (const { key, message } of problems) {
      const home = [...this.boxes.keys()].find((one) => key === one || key.startsWith(`${one}.`) || key.startsWith(`${one}[`))
      const text = sentence(key === home || !home ? message : `${key.slice(home.length).replace(/^\./, '')}: ${message}`)
      if (home) this.boxes.get(home).say(text)
      else homeless.push(sentence(key && key !== 'body' ? `${key}: ${message}` : message))
    }
    this.others.hidden = homeless.length === 0
    put(this.others, homeless.map((text) => h('li', null, text)))
    this.save.disabled = problems.length > 0 || !this.isDirty
    this.state.textContent = problems.length === 0 ? (this.isDirty ? 'Nothing is wrong with it. Calls under way keep the version they have.' : '') : `${problems.length} ${problems.length === 1 ? 'thing has' : 'things have'} to be set right before it can be saved.`
  }

  async store() {
    if (this.save.disabled) return
    this.save.disabled = true
    try {
      this.agent = await api(this.path, { method: 'PUT', body: this.draft, signal: this.signal })
      this.isDirty = false
      this.badge.textContent = versionName(this.agent.version)
      this.state.textContent = ''
      tell(`${this.agent.name} is saved as version ${this.agent.version}.`, 'good')
      this.drawVersions()
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.say(error.errors.length > 0 ? error.errors.map(({ name, detail }) => ({ key: name, message: detail })) : [{ key: '', message: error.detail }])
    }
  }

  drawVersions() {
    const latest = this.agent.version ?? 0
    if (latest === 0) return put(this.versions, h('li', { class: 'muted' }, 'It was never saved here, so it has no versions yet.'))
    const numbers = Array.from({ length: Math.min(latest, VERSIONS_MAX) }, (_, n) => latest - n)
    put(this.versions, numbers.map((version) => h('li', null, h('b', null, `Version ${version}`), version === latest && h('span', { class: 'badge good' }, 'Latest'),
      h('button', { class: 'plain-button', type: 'button', onclick: () => this.recall(version) }, 'Show it'))))
  }

  async recall(version) {
    try {
      const { agent, saved_at: saved } = await api(`${this.path}/versions/${version}`, { signal: this.signal })
      for (const [key, { put }] of this.controls) put(at(agent, key) ?? (key === 'engines' ? [] : ''))
      this.changed()
      tell(`Version ${version} of ${dateTimeOf(saved)} is in the form. Save it to go back to it.`)
      scrollTo(0, 0)
    } catch (error) { tell(sentence(error.detail), 'bad') }
  }
}

const versionName = (version) => (version ? `Version ${version}` : 'Not saved here yet')

function written(shape, value) {
  if (shape === 'json') return JSON.stringify(value || [], null, 2)
  if (shape === 'pairs') return Object.entries(value || {}).map(([name, text]) => `${name} = ${text}`).join('\n')
  return Array.isArray(value) ? value.join(', ') : String(value ?? '')
}

function read(shape, text) {
  if (shape === 'number') return text.trim() === '' ? undefined : Number(text)
  if (shape === 'words') return text.split(',').map((word) => word.trim()).filter(Boolean)
  if (shape === 'pairs') return Object.fromEntries(text.split('\n').filter((line) => line.trim()).map((line) => { const [name, ...rest] = line.split('='); return [name.trim(), rest.join('=').trim()] }))
  if (shape === 'json') {
    try { return JSON.parse(text) } catch (error) { throw Object.assign(new Error(`this is not JSON: ${error.message}`), { key: 'tools' }) }
  }
  return shape === 'long' ? text : text.trim()
}
