// Steering a call that is under way: hang up, transfer, say a sentence, change the instructions. Each asks once more.

import { api, ask, field, h, icon, phone, tell } from './kit.js'

/** The four buttons, for a call. */
export function controls(call) {
  const button = (label, act, kind = '') => h('button', { class: `button ${kind}`, type: 'button', onclick: act }, label)
  return h('div', { class: 'row steer', role: 'group', 'aria-label': 'Steer the call' },
    button('Say …', () => say(call)), button('Instructions …', () => instruct(call)), button('Transfer …', () => transfer(call)),
    button([icon('close'), 'Hang up'], () => hangUp(call), 'danger'))
}

const post = (call, what, body) => api(`/v1/calls/${call.id}/${what}`, { method: 'POST', body })

async function hangUp(call) {
  const done = await ask({ title: 'Hang up?', text: `The call with ${phone(call.phone)} ends at once.`, action: 'Hang up', danger: true, act: () => post(call, 'hangup') })
  if (done) tell('The call is being ended.')
}

async function transfer(call) {
  const to = h('input', { type: 'tel', name: 'to', required: true, autocomplete: 'off', placeholder: '+12025550123' })
  const done = await ask({ title: 'Transfer the call', text: `${phone(call.phone)} is connected with this number, and the agent leaves.`, fields: [field('Number', to, 'With a plus sign and the country code.')], action: 'Transfer', act: (form) => post(call, 'transfer', { to: form.get('to').replace(/[\s().-]/g, '') }) })
  if (done) tell('The caller is being connected.')
}

async function say(call) {
  const text = h('textarea', { name: 'text', required: true, maxlength: 1500, rows: 3 })
  const done = await ask({ title: 'Let the agent say something', fields: [field('Sentence', text, 'In the agent’s voice, as soon as it can speak.')], action: 'Say it', act: (form) => post(call, 'say', { text: form.get('text').replace(/\s+/g, ' ') }) })
  if (done) tell('The agent will say it.')
}

async function instruct(call) {
  const agent = await api(`/v1/agents/${encodeURIComponent(call.agent)}`).catch(() => null)
  const text = h('textarea', { name: 'instructions', required: true, maxlength: 32000, rows: 12, value: agent?.instructions ?? '' })
  const done = await ask({ title: 'Change the instructions', text: 'For the rest of this call only. They replace the agent’s own as a whole.', fields: [field('Instructions', text)], action: 'Change them', act: (form) => post(call, 'instructions', { instructions: form.get('instructions') }) })
  if (done) tell('The agent has new instructions for this call.')
}
