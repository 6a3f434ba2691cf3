// The agents, one card each.

import { ENGINES, add, api, empty, h, loading, phone, session } from './kit.js'

export async function show(main, { signal }) {
  const grid = h('div', { class: 'agents' }, loading())
  add(main, [h('div', { class: 'head' }, h('h1', null, 'Agents')), grid])
  const { agents } = await api('/v1/agents', { signal })
  grid.replaceChildren(...(agents.length > 0 ? agents.map(card) : [empty('No agents yet', 'An agent is a file in the directory agents/, or saved over the API. It says who speaks, and what it shall do.')]))
}

function card(agent) {
  const address = `/agents/${encodeURIComponent(agent.name)}`
  return h('article', { class: 'card agent-card' },
    h('div', { class: 'row' }, h('h2', null, h('a', { href: address }, agent.name)), agent.default && h('span', { class: 'badge plain' }, 'Default'), agent.recording && h('span', { class: 'badge plain' }, 'Recorded')),
    h('p', { class: 'muted greeting' }, agent.greeting ? `“${agent.greeting}”` : 'The engine’s own configuration greets.'),
    h('p', { class: 'faint' }, [agent.engines.map((engine) => ENGINES[engine] ?? engine).join(' → '), agent.language, agent.version ? `version ${agent.version}` : null, ...agent.numbers.map(phone)].filter(Boolean).join(' · ')),
    h('div', { class: 'row' }, h('a', { class: 'button', href: address, 'aria-label': `${session.may('admin') ? 'Edit' : 'Look at'} ${agent.name}` }, session.may('admin') ? 'Edit' : 'Look at it'),
      session.may('operator') && h('a', { class: 'plain-button', href: `/place?agent=${encodeURIComponent(agent.name)}`, 'aria-label': `Try ${agent.name}` }, 'Try it now')))
}
