// What this installation works with: services real or simulated, nodes, engines left alone, work that failed for good.

import { ENGINES, add, api, dateTimeOf, empty, h, loading, put, refused, sentence, session, tell } from './kit.js'

const EVERY = 5_000
const STATES = { real: ['Real', 'good'], embedded: ['Embedded', 'good'], simulated: ['Simulated', 'warn'], local_rule: ['Local rule', 'warn'], left_out: ['Left out', 'plain'], unknown: ['Not known here', 'plain'] }
const ENGINE_STATES = { offered: ['Offered', 'good'], left_alone: ['Left alone', 'warn'], on_trial: ['On trial', 'warn'] }
const WORK = { analyse: 'Judge the call', index: 'Find and count the call', tell_started: 'Tell the webhook of the start', tell_ended: 'Tell the webhook of the end', tell_analyzed: 'Tell the webhook of the outcome', reconcile: 'Ask Twilio what became of it', join_recording: 'Join the recording', fill_transcript: 'Fill in the transcript', erase: 'Erase', expire: 'Expire', erase_number: 'Erase a number' }

export async function show(main, { signal }) {
  const services = h('section', { class: 'card' }, h('h2', null, 'Services'), loading())
  const nodes = h('section', { class: 'card' }, h('h2', null, 'Media nodes'), loading())
  const work = h('section', { class: 'card' }, h('h2', null, 'Failed work'), loading())
  add(main, [h('div', { class: 'head' }, h('h1', null, 'Status'), h('a', { href: '/openapi.json', target: '_blank' }, 'API description')), services, nodes, work])
  const fill = async (card, path, draw) => {
    try {
      const content = draw(await api(path, { signal }))
      const seen = content.textContent
      if (card.dataset.seen === seen) return
      card.dataset.seen = seen
      put(card, card.querySelector('h2'), content)
    } catch (error) {
      if (error.name === 'AbortError') return
      if (!card.dataset.seen) put(card, card.querySelector('h2'), refused(error))
    }
  }
  const look = () => Promise.all([fill(services, '/v1/services', drawServices), fill(nodes, '/v1/nodes', drawNodes), fill(work, '/v1/work', (found) => drawWork(found, look))])
  await look()
  const timer = setInterval(() => { if (!document.hidden) look() }, EVERY)
  signal.addEventListener('abort', () => clearInterval(timer))
}

const badge = ([label, kind]) => h('span', { class: `badge ${kind}` }, label)

function drawServices({ services }) {
  return h('ul', { class: 'lines services' }, services.map((one) => h('li', null, h('b', null, one.name), badge(STATES[one.state] ?? [one.state, 'plain']), h('span', { class: 'muted' }, sentence(one.detail)))))
}

function drawNodes({ nodes }) {
  if (nodes.length === 0) return empty('No node was heard of', 'Calls cannot be taken before a media node runs. Start one, with the same STREAM_SECRET and table.')
  return h('div', { class: 'nodes' }, nodes.map((node) => {
    const state = !node.alive ? ['Gone', 'bad'] : node.ready ? ['Ready', 'good'] : ['Draining', 'warn']
    const status = node.status
    return h('article', { class: 'node-card' }, h('h3', { class: 'row' }, node.name, badge(state)),
      h('p', null, h('b', null, node.sessions), ` of ${node.capacity} calls`, status?.region && ` · ${status.region}`),
      h('p', { class: 'faint' }, `Version ${node.version}, since ${dateTimeOf(node.started_at)}. ${node.alive ? '' : `Last heard of ${dateTimeOf(node.seen_at)}.`}`),
      status && h('ul', { class: 'row' }, status.engines.map((one) => {
        const [label, kind] = ENGINE_STATES[one.state] ?? [one.state, 'plain']
        const again = one.tried_again_in_s === undefined ? '' : `, tried again in ${one.tried_again_in_s < 90 ? `${one.tried_again_in_s} s` : `${Math.round(one.tried_again_in_s / 60)} min`}`
        return h('li', { class: `badge ${kind}` }, `${ENGINES[one.engine] ?? one.engine}: ${label.toLowerCase()}${again}`)
      })),
      status && h('p', { class: 'faint' }, `Streams are guarded by ${status.streams_guarded_by}. ${waiting(status)}`),
      node.alive && !status && h('p', { class: 'faint' }, 'It does not say more about itself at the moment.'))
  }))
}

function waiting({ spool_bytes: spool, spool_set_aside: aside }) {
  const bytes = spool.journal + spool.recording
  const waits = bytes === 0 ? 'Nothing waits to be stored.' : `${Math.ceil(bytes / 1024)} kB wait to be stored.`
  return aside > 0 ? `${waits} ${aside} files cannot be stored; look at its DATA_DIR.` : waits
}

function drawWork({ dead }, look) {
  if (dead.length === 0) return h('p', { class: 'muted' }, 'None. Work that fails ten times is listed here, until a person lets it be tried again.')
  return h('ul', { class: 'lines' }, dead.map((item) => h('li', null, h('b', null, WORK[item.kind] ?? item.kind ?? 'Work'),
    item.call && h('a', { href: `/calls/${item.call}` }, 'Call'), h('span', { class: 'muted' }, sentence(item.last_error ?? item.error ?? '')),
    session.may('admin') && h('button', { class: 'button', type: 'button', onclick: async (event) => {
      event.target.disabled = true
      try { await api(`/v1/work/${encodeURIComponent(item.id)}/retry`, { method: 'POST' }); tell('It is tried again.') } catch (error) { tell(sentence(error.detail), 'bad') }
      look()
    } }, 'Try again'))))
}
