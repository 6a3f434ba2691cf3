// Placing a call. Whoever clicks twice has called once: all clicks on one form carry the same key.

import { choices, e164 } from './countries.js'
import { ENGINES, Refusal, add, api, empty, field, h, icon, loading, options, phone, put, sentence, session, tell } from './kit.js'

/** What a call fills in by itself. */
const BUILT_IN = ['caller_number', 'called_number', 'date', 'time']

export async function show(main, { query, signal, go }) {
  if (!session.may('operator')) return void add(main, [h('h1', null, 'Place a call'), empty('Your role does not allow this', 'Placing calls needs the role operator; ask whoever runs Switchboard for another token.')])
  add(main, [loading()])
  const [{ agents }, { engines }, who] = await Promise.all([api('/v1/agents', { signal }), api('/v1/engines', { signal }), api('/v1/session', { signal })])
  session.set(who)
  const first = agents.find((agent) => agent.name === query.get('agent')) ?? agents.find((agent) => agent.default) ?? agents[0]
  new Form(main, { agents, engines, who, first, signal, go }).draw()
}

class Form {
  constructor(main, { agents, engines, who, first, signal, go }) {
    Object.assign(this, { main, agents, engines, who, signal, go, key: null, isSending: false })
    this.country = h('select', { name: 'country', autocomplete: 'off' }, options(choices(who.countries), who.countries.includes('US') ? 'US' : who.countries[0]))
    this.number = h('input', { type: 'tel', name: 'number', required: true, autocomplete: 'off', inputmode: 'tel', maxlength: 40 })
    this.agent = h('select', { name: 'agent' }, options(agents.map((agent) => [agent.name, agent.default ? `${agent.name} (default)` : agent.name]), first?.name))
    this.engine = h('select', { name: 'engine' })
    this.greeting = h('textarea', { name: 'greeting', rows: 2, maxlength: 2000 })
    this.fields = new Map()
    this.numberField = field('Number', this.number, 'As you would dial it there, or with a plus sign.')
    this.variables = h('div', { class: 'fields' })
    this.box = h('fieldset', { class: 'variables' }, h('legend', null, 'What the agent knows'), this.variables)
    this.preview = h('p', { class: 'muted', role: 'status' })
    this.wrong = h('p', { class: 'wrong', role: 'alert', hidden: true })
    this.button = h('button', { class: 'button primary', type: 'submit' }, icon('place'), 'Call')
  }

  draw() {
    const engineField = field('Engine to try first', this.engine)
    this.form = h('form', { class: 'card form', novalidate: true }, h('div', { class: 'fields' }, field('Country', this.country), this.numberField),
      h('div', { class: 'fields' }, field('Agent', this.agent), engineField), this.box,
      h('details', null, h('summary', null, 'Another greeting for this call'), field('Greeting', this.greeting, 'Instead of the agent’s own. Left empty, the agent greets as always.')),
      this.wrong, h('div', { class: 'row' }, this.button, this.preview))
    put(this.main, h('div', { class: 'head' }, h('h1', null, 'Place a call')),
      this.who.simulated && h('p', { class: 'notice' }, 'The phone network is simulated: whatever number you call, somebody recorded takes it, and speaks.'), this.form)
    // Another request deserves another key; the same one, however often it is sent, the same.
    this.form.addEventListener('input', () => { this.key = null; this.showPreview() })
    this.form.addEventListener('submit', (event) => { event.preventDefault(); this.send() })
    this.agent.addEventListener('change', () => this.chosen())
    this.chosen()
    this.number.focus({ preventScroll: true })
  }

  chosen() {
    const agent = this.agents.find((one) => one.name === this.agent.value)
    const credentialed = new Map(this.engines.map((engine) => [engine.name, engine.credentials]))
    put(this.engine, options([['', `As the agent says (${ENGINES[agent?.engines[0]] ?? agent?.engines[0] ?? '–'})`], ...Object.entries(ENGINES).filter(([name]) => credentialed.get(name) !== false)], ''))
    const used = [...`${agent?.instructions ?? ''} ${agent?.greeting ?? ''} ${agent?.disclosure ?? ''}`.matchAll(/\{\{\s*([a-z][a-z0-9_]*)\s*\}\}/g)].map(([, name]) => name)
    const names = [...new Set([...Object.keys(agent?.variables ?? {}), ...used])].filter((name) => !BUILT_IN.includes(name))
    const kept = new Map([...this.fields].map(([name, { input }]) => [name, input.value]))
    this.fields = new Map(names.map((name) => {
      const preset = agent.variables?.[name]
      const input = h('input', { type: 'text', name: `variable ${name}`, maxlength: 2000, autocomplete: 'off', placeholder: preset ?? '', required: preset === undefined, value: preset === undefined ? kept.get(name) ?? '' : '' })
      return [name, { input, preset, node: field(words(name), input, preset === undefined ? 'Needed.' : undefined) }]
    }))
    this.box.hidden = names.length === 0
    put(this.variables, [...this.fields.values()].map(({ node }) => node))
    this.greeting.placeholder = agent?.greeting ?? ''
    this.showPreview()
  }

  showPreview() {
    const to = e164(this.number.value, this.country.value)
    this.preview.textContent = this.number.value.trim() ? `Calls ${phone(to)} from ${phone(this.who.number)}` : ''
  }

  get body() {
    const variables = Object.fromEntries([...this.fields].map(([name, { input }]) => [name, input.value.trim()]).filter(([, value]) => value))
    return { to: e164(this.number.value, this.country.value), agent: this.agent.value, variables, ...(this.engine.value && { engine: this.engine.value }), ...(this.greeting.value.trim() && { greeting: this.greeting.value.trim() }) }
  }

  async send() {
    if (this.isSending) return
    this.say()
    const missing = [...this.fields].find(([, { input, preset }]) => preset === undefined && !input.value.trim())
    if (!this.number.value.trim()) return this.say('to', 'Write the number to call.')
    if (missing) return this.say(missing[0], 'The agent needs this.')
    this.isSending = true
    this.button.setAttribute('aria-busy', 'true')
    this.key ??= crypto.randomUUID()
    try {
      const call = await api('/v1/calls', { method: 'POST', body: this.body, headers: { 'Idempotency-Key': this.key }, signal: this.signal })
      this.key = null
      tell(`${phone(call.to)} is being called.`)
      await this.go(`/calls/${call.id}`)
    } catch (error) {
      if (error.name === 'AbortError') return
      this.refused(error)
    } finally {
      this.isSending = false
      this.button.removeAttribute('aria-busy')
    }
  }

  refused(error) {
    if (!(error instanceof Refusal)) throw error
    if (error.errors.length === 0) return this.say('', error.status === 0 ? 'Switchboard cannot be reached, so it is not known whether the call was placed. Press Call again: it is placed once in any case.' : sentence(error.detail))
    for (const { name, detail } of error.errors) this.say(name, sentence(detail))
  }

  /** Says what is wrong, beside the field that it is about. Without arguments nothing is wrong any more. */
  say(name, text) {
    if (name === undefined) {
      this.numberField.say()
      for (const { node } of this.fields.values()) node.say()
      this.wrong.hidden = true
      return
    }
    const variable = this.fields.get(name) ?? (name === 'variables' ? [...this.fields].find(([key]) => text.includes(key))?.[1] : undefined)
    const box = name === 'to' ? this.numberField : variable?.node
    if (box) {
      box.say(text)
      box.querySelector('input').focus()
    } else {
      this.wrong.textContent = text
      this.wrong.hidden = false
    }
  }
}

const words = (name) => { const text = name.replaceAll('_', ' '); return text[0].toUpperCase() + text.slice(1) }
